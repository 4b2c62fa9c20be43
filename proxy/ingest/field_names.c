/*
 * field_names.c
 *	  Finds the names of the fields of line protocol that PostgreSQL has not been told yet.
 *
 * Series are remembered by 64 bits of a hash of tag and number of fields, in an open hash table, so
 * that a point of a known series costs one access to memory.  Two series with the same bits would
 * be one, and the second would stay without names; with a million series that is one chance in
 * thirty million.
 */
#include "ingest/field_names.h"

#include "base/log.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS	   1024				 /* a power of two */
#define MAX_SLOTS	   (1024 * 2048)	 /* 16 MiB, for half as many series */
#define MAX_WAITING	   ((size_t) 262144) /* bytes that are told at a time */
#define MAX_NAME_BYTES 256				 /* of historian.tag */

struct FieldNames
{
	uint64_t *slots; /* keys; 0: free */
	size_t slot_count;
	size_t used;
	bool full;	   /* MAX_SLOTS are half used: no more series are remembered, nor told */
	Bytes waiting; /* the array without its end */
};

FieldNames *
field_names_new(void)
{
	FieldNames *names = memory_new(sizeof(FieldNames));

	names->slot_count = FIRST_SLOTS;
	names->slots = memory_new(FIRST_SLOTS * sizeof(uint64_t));
	return names;
}

/* What is remembered of a series; never 0. */
static uint64_t
key_of(uint64_t hash, uint32_t count)
{
	return (hash ^ count * UINT64_C(0x9e3779b97f4a7c15)) | 1;
}

/* Returns the slot of the key, or the free one where it would be. */
static uint64_t *
find(const FieldNames *names, uint64_t key)
{
	size_t i = (key >> 8) & (names->slot_count - 1);

	while (names->slots[i] != 0 && names->slots[i] != key)
		i = (i + 1) & (names->slot_count - 1);
	return &names->slots[i];
}

bool
field_names_known(const FieldNames *names, uint64_t hash, uint32_t count)
{
	return names->full || *find(names, key_of(hash, count)) != 0;
}

static void
grow(FieldNames *names)
{
	FieldNames old = *names;

	names->slot_count *= 2;
	names->slots = memory_new(names->slot_count * sizeof(uint64_t));
	for (size_t i = 0; i < old.slot_count; i++)
	{
		if (old.slots[i] != 0)
			*find(names, old.slots[i]) = old.slots[i];
	}
	free(old.slots);
}

static void
remember(FieldNames *names, uint64_t key)
{
	*find(names, key) = key;
	if (++names->used * 2 < names->slot_count)
		return;
	if (names->slot_count < MAX_SLOTS)
	{
		grow(names);
		return;
	}
	names->full = true;
	log_warning("POST /write: there are more than %zu series; names of the fields of others are "
				"not kept",
				names->used);
}

void
field_names_add(FieldNames *names, uint64_t hash, const char *tag, size_t tag_length,
				const char *packed, uint32_t count)
{
	Bytes *waiting = &names->waiting;
	size_t before = waiting->length;

	if (before > MAX_WAITING)
		return;
	remember(names, key_of(hash, count));
	bytes_puts(waiting, before == 0 ? "[{\"tag\":" : ",{\"tag\":");
	bytes_json_string(waiting, tag, tag_length);
	for (uint32_t i = 0; i < count; i++)
	{
		uint16_t length;

		memcpy(&length, packed, sizeof(length));
		packed += sizeof(length);
		if (length > MAX_NAME_BYTES || !utf8_valid(packed, length) ||
			utf8_has_control(packed, length))
		{
			/* historian.tag does not take such names, so this series has none. */
			waiting->length = before;
			return;
		}
		bytes_puts(waiting, i == 0 ? ",\"names\":[" : ",");
		bytes_json_string(waiting, packed, length);
		packed += length;
	}
	bytes_puts(waiting, "]}");
}

bool
field_names_take(FieldNames *names, Bytes *json)
{
	if (names->waiting.length == 0)
		return false;
	*json = names->waiting;
	names->waiting = (Bytes){0};
	bytes_puts(json, "]");
	return true;
}
