/*
 * tag_table.c
 *	  The names of tags, each once, for all batches that have rows of them.
 *
 * Names are cut from blocks.  Open addressing finds them: a bucket has the whole hash, so that a
 * search visits few names but the one that it finds.  The place of a name by its number is in one of
 * several arrays, each twice as long as the one before, which therefore never move.
 */
#include "ingest/tag_table.h"

#include "base/assert.h"
#include "base/memory.h"

#include <endian.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define FIRST_NAMES		256u  /* in the first array; a power of two */
#define MOST_ARRAYS		24	  /* for 4 billion tags, as many as numbers have */
#define INITIAL_BUCKETS 1024u /* a power of two */
#define FIRST_BLOCK		((size_t) 16 * 1024)
#define LARGEST_BLOCK	((size_t) 256 * 1024)

/* A period has so many messages for each tag of the table, and of small tables so many in all. */
#define PERIOD_MESSAGES_A_TAG 4
#define SMALL_TABLE_TAGS	  4096

typedef struct Block
{
	struct Block *next;
	size_t size;
	size_t used;
	char data[];
} Block;

typedef struct Bucket
{
	uint64_t hash;
	TagName *name; /* NULL: the bucket is free */
} Bucket;

struct TagTable
{
	atomic_uint references;
	Budget *budget;
	size_t bytes;
	Block *blocks; /* memory is cut from the first one */
	Bucket *buckets;
	uint32_t bucket_mask;
	uint32_t count;
	uint32_t period;
	uint32_t used;	   /* tags used in the period */
	uint64_t messages; /* of the period */
	TagName **names[MOST_ARRAYS];

	uint32_t *order;  /* numbers of the first tags in the order of their names; of another thread */
	uint32_t ordered; /* how many */
};

static TagName *new_name(TagTable *table, const char *name, uint32_t length);
static void grow_buckets(TagTable *table);

/* The key keeps a client from choosing tags that collide.  The first table makes it. */
static uint64_t hash_key[2];

static void
make_hash_key(void)
{
	if (getrandom(hash_key, sizeof(hash_key), GRND_NONBLOCK) != sizeof(hash_key))
		hash_key[1] = (uint64_t) (uintptr_t) &hash_key;
}

/* Multiplies and folds a word at a time, including the zero padding. */
uint64_t
tag_name_hash(const char *name, uint32_t length)
{
	uint64_t hash = length ^ hash_key[1];

	for (uint32_t i = 0; i < length; i += 8)
	{
		uint64_t word;
		unsigned __int128 product;

		memcpy(&word, name + i, 8);
		product = (unsigned __int128) (hash ^ word) * (hash_key[0] ^ UINT64_C(0x9E3779B97F4A7C15));
		hash = (uint64_t) product ^ (uint64_t) (product >> 64);
	}
	return hash;
}

static void
count_bytes(TagTable *table, size_t bytes)
{
	table->bytes += bytes;
	if (table->budget != NULL)
		budget_add(table->budget, bytes);
}

TagTable *
tag_table_new(Budget *budget)
{
	static pthread_once_t key_made = PTHREAD_ONCE_INIT;
	TagTable *table = memory_new(sizeof(TagTable));

	pthread_once(&key_made, make_hash_key);
	table->references = 1;
	table->budget = budget;
	table->period = 1;
	table->buckets = memory_new(INITIAL_BUCKETS * sizeof(Bucket));
	table->bucket_mask = INITIAL_BUCKETS - 1;
	count_bytes(table, INITIAL_BUCKETS * sizeof(Bucket));
	return table;
}

TagTable *
tag_table_reference(TagTable *table)
{
	atomic_fetch_add_explicit(&table->references, 1, memory_order_relaxed);
	return table;
}

void
tag_table_release(TagTable *table)
{
	if (atomic_fetch_sub_explicit(&table->references, 1, memory_order_acq_rel) > 1)
		return;
	while (table->blocks != NULL)
	{
		Block *next = table->blocks->next;

		free(table->blocks);
		table->blocks = next;
	}
	for (uint32_t i = 0; i < MOST_ARRAYS; i++)
		free(table->names[i]);
	if (table->budget != NULL)
		budget_return(table->budget, table->bytes);
	free(table->order);
	free(table->buckets);
	free(table);
}

/* The array that has a number, and where it is there. */
static inline uint32_t
array_of(uint32_t number, uint32_t *place)
{
	uint32_t shifted = number / FIRST_NAMES + 1;
	uint32_t array = 31 - (uint32_t) __builtin_clz(shifted);

	*place = number - ((1u << array) - 1) * FIRST_NAMES;
	return array;
}

void
tag_table_prefetch_place(const TagTable *table, uint32_t number)
{
	uint32_t place;
	uint32_t array = array_of(number, &place);

	__builtin_prefetch(&table->names[array][place]);
}

const TagName *
tag_table_name(const TagTable *table, uint32_t number)
{
	uint32_t place;
	uint32_t array = array_of(number, &place);

	return table->names[array][place];
}

uint32_t
tag_table_count(const TagTable *table)
{
	return table->count;
}

size_t
tag_table_bytes(const TagTable *table)
{
	return table->bytes;
}

/* The bucket that has the name, or else the free one where it belongs. */
static inline Bucket *
find_bucket(const TagTable *table, const char *name, uint32_t length, uint64_t hash)
{
	uint32_t at = (uint32_t) hash & table->bucket_mask;

	for (;; at = (at + 1) & table->bucket_mask)
	{
		Bucket *bucket = &table->buckets[at];

		if (bucket->name == NULL || (bucket->hash == hash && bucket->name->length == length &&
									 memcmp(bucket->name->text, name, length) == 0))
			return bucket;
	}
}

const TagName *
tag_table_find(const TagTable *table, const char *name, uint32_t length, uint64_t hash)
{
	return find_bucket(table, name, length, hash)->name;
}

void
tag_table_prefetch(const TagTable *table, uint64_t hash)
{
	__builtin_prefetch(&table->buckets[(uint32_t) hash & table->bucket_mask]);
}

void
tag_table_prefetch_name(const TagTable *table, uint64_t hash)
{
	const Bucket *bucket = &table->buckets[(uint32_t) hash & table->bucket_mask];

	__builtin_prefetch(bucket->name);
	__builtin_prefetch((const char *) bucket->name + 64);
}

const TagName *
tag_table_add(TagTable *table, const char *name, uint32_t length, uint64_t hash)
{
	Bucket *bucket = find_bucket(table, name, length, hash);

	if (bucket->name == NULL)
	{
		if (table->count >= (table->bucket_mask + 1) / 2)
		{
			grow_buckets(table);
			bucket = find_bucket(table, name, length, hash);
		}
		bucket->hash = hash;
		bucket->name = new_name(table, name, length);
	}
	if (bucket->name->period != table->period)
	{
		bucket->name->period = table->period;
		table->used++;
	}
	return bucket->name;
}

/* Copies a name, and gives it the next number. */
static TagName *
new_name(TagTable *table, const char *name, uint32_t length)
{
	size_t padded = (length + 7u) & ~(size_t) 7;
	size_t size = (sizeof(TagName) + padded + 7) & ~(size_t) 7;
	Block *block = table->blocks;
	TagName *copy;
	uint32_t place;
	uint32_t array = array_of(table->count, &place);

	if (block == NULL || block->size - block->used < size)
	{
		size_t bytes = block == NULL ? FIRST_BLOCK : sizeof(Block) + block->size;

		if (block != NULL && bytes < LARGEST_BLOCK)
			bytes *= 2;
		block = memory_new_raw(bytes);
		block->next = table->blocks;
		block->size = bytes - sizeof(Block);
		block->used = 0;
		table->blocks = block;
		count_bytes(table, bytes);
	}
	copy = (TagName *) (block->data + block->used);
	block->used += size;
	copy->number = table->count;
	copy->length = length;
	copy->period = 0;
	memcpy(copy->text, name, padded);

	ASSERT(array < MOST_ARRAYS);
	if (place == 0)
	{
		size_t bytes = ((size_t) FIRST_NAMES << array) * sizeof(TagName *);

		table->names[array] = memory_new_raw(bytes);
		/* the order that tag_table_order() makes in another thread is counted here */
		count_bytes(table, bytes + ((size_t) FIRST_NAMES << array) * sizeof(uint32_t));
	}
	table->names[array][place] = copy;
	table->count++;
	return copy;
}

/* Doubles the buckets, so that at most half of them are used. */
static void
grow_buckets(TagTable *table)
{
	uint32_t old_count = table->bucket_mask + 1;
	uint32_t mask = old_count * 2 - 1;
	Bucket *buckets = memory_new((size_t) old_count * 2 * sizeof(Bucket));

	for (uint32_t i = 0; i < old_count; i++)
	{
		uint32_t at = (uint32_t) table->buckets[i].hash & mask;

		if (table->buckets[i].name == NULL)
			continue;
		while (buckets[at].name != NULL)
			at = (at + 1) & mask;
		buckets[at] = table->buckets[i];
	}
	free(table->buckets);
	table->buckets = buckets;
	table->bucket_mask = mask;
	count_bytes(table, old_count * sizeof(Bucket));
}

/* Words are compared as bytes are; the shorter of two names that begin alike has zeros there. */
int
tag_name_compare(const TagName *first, const TagName *second)
{
	uint32_t shorter = first->length < second->length ? first->length : second->length;

	for (uint32_t i = 0; i < shorter; i += 8)
	{
		uint64_t a, b;

		memcpy(&a, first->text + i, 8);
		memcpy(&b, second->text + i, 8);
		if (a != b)
			return be64toh(a) < be64toh(b) ? -1 : 1;
	}
	return (first->length > second->length) - (first->length < second->length);
}

static int
by_name(const void *a, const void *b, void *table)
{
	return tag_name_compare(tag_table_name(table, *(const uint32_t *) a),
							tag_table_name(table, *(const uint32_t *) b));
}

const uint32_t *
tag_table_order(TagTable *table, uint32_t count, uint32_t *sorted)
{
	uint32_t *order;
	uint32_t old = 0, new = table->ordered;

	if (count > table->ordered)
	{
		uint32_t *added = memory_new_raw((count - table->ordered) * sizeof(uint32_t));

		for (uint32_t i = table->ordered; i < count; i++)
			added[i - table->ordered] = i;
		qsort_r(added, count - table->ordered, sizeof(uint32_t), by_name, table);
		order = memory_new_raw(count * sizeof(uint32_t));
		for (uint32_t i = 0; i < count; i++)
		{
			const uint32_t *next = new < count ? &added[new - table->ordered] : NULL;

			if (next == NULL ||
				(old < table->ordered && by_name(&table->order[old], next, table) < 0))
				order[i] = table->order[old++];
			else
			{
				order[i] = *next;
				new ++;
			}
		}
		free(added);
		free(table->order);
		table->order = order;
		table->ordered = count;
	}
	*sorted = table->ordered;
	return table->order;
}

bool
tag_table_is_stale(TagTable *table, uint64_t messages)
{
	bool stale;

	table->messages += messages;
	if (table->messages <
		(uint64_t) (table->count > SMALL_TABLE_TAGS ? table->count : SMALL_TABLE_TAGS) *
			PERIOD_MESSAGES_A_TAG)
		return false;
	stale = table->count > SMALL_TABLE_TAGS && table->used < table->count / 2;
	table->messages = 0;
	table->used = 0;
	table->period++;
	return stale;
}
