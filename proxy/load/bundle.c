/*
 * bundle.c
 *	  Many rows in one piece of bytes, as the extension's view historian.bundle takes them.
 *
 * An entry whose rows are not all known yet is open: its tag is written, and its form and number of
 * rows follow when a row comes that does not belong to it.
 */
#include "load/bundle.h"

#include "base/memory.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC 0x31424948 /* "HIB1" */
/* From one of these numbers on a bundle has no room for more. */
#define FULL_ROWS	2048
#define FULL_VALUES 4096
#define FULL_BYTES	((size_t) 32 * 1024) /* of entries */

/* The most bytes of an entry: four numbers of at most four bytes, a tag, a bitmap. */
#define MOST_ENTRY_BYTES (4 * 4 + MESSAGE_MAX_TAG_BYTES + (MESSAGE_MAX_VALUES + 7) / 8)

#define HAS_NULLS 1
#define HAS_COUNT 2
#define FORM_BITS 2

struct Bundle
{
	uint32_t rows;
	uint32_t value_count;
	uint32_t entry_count;
	char *end; /* of the entries */

	/* the last entry */
	bool open;
	uint32_t tag_index;
	const char *tag;
	uint32_t tag_length;
	uint32_t width;
	uint32_t entry_rows;

	int64_t times[FULL_ROWS];
	double values[FULL_VALUES + MESSAGE_MAX_VALUES];
	char entries[FULL_BYTES + 2 * MOST_ENTRY_BYTES];
};

static void begin_entry(Bundle *bundle, const BatchCursor *cursor);
static void close_entry(Bundle *bundle);
static void put_sparse(Bundle *bundle, const BatchRow *row);
static uint32_t common_bytes(const char *a, const char *b, uint32_t most);
static char *put_varint(char *out, uint32_t value);

bool
bundle_possible(void)
{
	return BYTE_ORDER == LITTLE_ENDIAN;
}

Bundle *
bundle_new(void)
{
	Bundle *bundle = memory_new_raw(sizeof(Bundle));

	bundle_begin(bundle);
	return bundle;
}

void
bundle_free(Bundle *bundle)
{
	free(bundle);
}

void
bundle_begin(Bundle *bundle)
{
	bundle->rows = 0;
	bundle->value_count = 0;
	bundle->entry_count = 0;
	bundle->end = bundle->entries;
	bundle->open = false;
	bundle->tag_length = 0;
}

static inline bool
has_nulls(const BatchRow *row)
{
	for (uint32_t i = 0; i < row->value_count; i++)
		if (__builtin_expect(value_is_null(&row->values[i]), 0))
			return true;
	return false;
}

bool
bundle_has_room(const Bundle *bundle)
{
	return bundle->rows < FULL_ROWS && bundle->value_count < FULL_VALUES &&
		   (size_t) (bundle->end - bundle->entries) < FULL_BYTES;
}

void
bundle_add(Bundle *bundle, const BatchCursor *cursor, const BatchRow *row)
{
	bool sparse = has_nulls(row);
	bool same_tag = bundle->entry_count > 0 && cursor->tag_index == bundle->tag_index;

	if (!bundle->open || !same_tag || sparse || row->value_count != bundle->width)
	{
		close_entry(bundle);
		begin_entry(bundle, cursor);
	}
	bundle->times[bundle->rows++] = row->time_ns;
	bundle->entry_rows++;
	if (sparse)
	{
		put_sparse(bundle, row);
		return;
	}
	bundle->width = row->value_count;
	memcpy(bundle->values + bundle->value_count, row->values, row->value_count * sizeof(double));
	bundle->value_count += row->value_count;
}

void
bundle_end(Bundle *bundle, char header[BUNDLE_HEADER_BYTES], BundlePart parts[BUNDLE_PARTS])
{
	uint32_t numbers[BUNDLE_HEADER_BYTES / sizeof(uint32_t)];

	close_entry(bundle);
	parts[0] = (BundlePart){bundle->times, bundle->rows * sizeof(int64_t)};
	parts[1] = (BundlePart){bundle->values, bundle->value_count * sizeof(double)};
	parts[2] = (BundlePart){bundle->entries, (size_t) (bundle->end - bundle->entries)};
	numbers[0] = MAGIC;
	numbers[1] = bundle->rows;
	numbers[2] = bundle->value_count;
	numbers[3] = bundle->entry_count;
	numbers[4] = (uint32_t) parts[2].length;
	numbers[5] = 0;
	memcpy(header, numbers, sizeof(numbers));
}

/* Writes the tag of a new entry. */
static void
begin_entry(Bundle *bundle, const BatchCursor *cursor)
{
	uint32_t most =
		cursor->tag_length < bundle->tag_length ? cursor->tag_length : bundle->tag_length;
	uint32_t kept = most == 0 ? 0 : common_bytes(bundle->tag, cursor->tag, most);
	char *out = put_varint(bundle->end, kept);

	out = put_varint(out, cursor->tag_length - kept);
	memcpy(out, cursor->tag + kept, cursor->tag_length - kept);
	bundle->end = out + cursor->tag_length - kept;
	bundle->entry_count++;
	bundle->open = true;
	bundle->tag_index = cursor->tag_index;
	bundle->tag = cursor->tag;
	bundle->tag_length = cursor->tag_length;
	bundle->entry_rows = 0;
}

/* Writes what follows the tag of an open entry without NULLs. */
static void
close_entry(Bundle *bundle)
{
	if (!bundle->open)
		return;
	bundle->open = false;
	if (bundle->entry_rows == 1)
	{
		bundle->end = put_varint(bundle->end, bundle->width << FORM_BITS);
		return;
	}
	bundle->end = put_varint(bundle->end, bundle->width << FORM_BITS | HAS_COUNT);
	bundle->end = put_varint(bundle->end, bundle->entry_rows);
}

/* Adds the values of a row with NULLs, and closes its entry. */
static void
put_sparse(Bundle *bundle, const BatchRow *row)
{
	unsigned char *present;

	bundle->open = false;
	bundle->end = put_varint(bundle->end, row->value_count << FORM_BITS | HAS_NULLS);
	present = (unsigned char *) bundle->end;
	bundle->end += (row->value_count + 7) / 8;
	memset(present, 0, (row->value_count + 7) / 8);
	for (uint32_t i = 0; i < row->value_count; i++)
	{
		if (value_is_null(&row->values[i]))
			continue;
		present[i / 8] |= (unsigned char) (1 << i % 8);
		bundle->values[bundle->value_count++] = row->values[i];
	}
}

/* How many of the first most bytes are the same?  Both names are padded with zeros to 8 bytes. */
static uint32_t
common_bytes(const char *a, const char *b, uint32_t most)
{
	for (uint32_t same = 0; same < most; same += 8)
	{
		uint64_t left, right;

		memcpy(&left, a + same, sizeof(left));
		memcpy(&right, b + same, sizeof(right));
		if (left != right)
		{
			same += (uint32_t) __builtin_ctzll(htole64(left) ^ htole64(right)) / 8;
			return same < most ? same : most;
		}
	}
	return most;
}

static char *
put_varint(char *out, uint32_t value)
{
	while (value >= 0x80)
	{
		*out++ = (char) (value | 0x80);
		value >>= 7;
	}
	*out++ = (char) value;
	return out;
}
