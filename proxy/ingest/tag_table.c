/*
 * tag_table.c
 *	  The names of tags, each once, for all batches that have rows of them.
 *
 * Names are cut from blocks.  Open addressing finds them: a bucket has the whole hash, so that a
 * search visits few names but the one that it finds.  The place of a name by its number is in one of
 * several arrays, each twice as long as the one before, which therefore never move.
 *
 * When half of the buckets are used, an array of twice as many takes their place.  All that is done in
 * small steps, because a million buckets at once would hold all clients.  The array is cleared before
 * it is needed, some buckets with each new name.  The former buckets are moved there afterwards, some
 * with each message.  Until that is done, a search that finds nothing looks at the former ones too.
 */
#include "ingest/tag_table.h"

#include "base/assert.h"
#include "base/memory.h"
#include "ingest/tag_order.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_NAMES		256u  /* in the first array; a power of two */
#define MOST_ARRAYS		24	  /* for 4 billion tags, as many as numbers have */
#define INITIAL_BUCKETS 1024u /* a power of two */
#define FIRST_BLOCK		((size_t) 16 * 1024)
#define LARGEST_BLOCK	((size_t) 256 * 1024)
#define STEP_BUCKETS	8 /* moved in a step; with 2 the last would be moved when the array is full */

/*
 * The next buckets, twice as many, are cleared while the used ones grow from 3/8 to 1/2 of these: so
 * many in a step.
 */
#define CLEAR_FROM(buckets) ((buckets) / 8 * 3)
#define STEP_CLEARED		16

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
	Bucket *next;	  /* the buckets after these, while they are cleared; else NULL */
	uint32_t cleared; /* of the next ones */
	Bucket *former;	  /* the buckets before these, until all are moved; else NULL */
	uint32_t former_count;
	uint32_t moved; /* of the former ones */
	uint32_t count;
	uint32_t period;
	uint32_t used;	   /* tags used in the period */
	uint64_t messages; /* of the period */
	TagName **names[MOST_ARRAYS];

	uint32_t *order;  /* numbers of the first tags in the order of their names; of another thread */
	uint32_t ordered; /* how many */
};

static TagName *new_name(TagTable *table, const char *name, uint32_t length);
static void clear_next(TagTable *table);
static void grow_buckets(TagTable *table);
static void free_former(TagTable *table);

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
	TagTable *table = memory_new(sizeof(TagTable));

	tag_name_make_key();
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
	free_former(table);
	free(table->order);
	free(table->next);
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
find_bucket(Bucket *buckets, uint32_t mask, const char *name, uint32_t length, uint64_t hash)
{
	uint32_t at = (uint32_t) hash & mask;

	for (;; at = (at + 1) & mask)
	{
		Bucket *bucket = &buckets[at];

		if (bucket->name == NULL || (bucket->hash == hash && bucket->name->length == length &&
									 memcmp(bucket->name->text, name, length) == 0))
			return bucket;
	}
}

/* The name if it is in a former bucket, or else NULL. */
static TagName *
find_former(const TagTable *table, const char *name, uint32_t length, uint64_t hash)
{
	if (table->former == NULL)
		return NULL;
	return find_bucket(table->former, table->former_count - 1, name, length, hash)->name;
}

const TagName *
tag_table_find(const TagTable *table, const char *name, uint32_t length, uint64_t hash)
{
	const TagName *found =
		find_bucket(table->buckets, table->bucket_mask, name, length, hash)->name;

	return found != NULL ? found : find_former(table, name, length, hash);
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

/* Moves some of the former buckets.  They stay where they are too, because searches pass them. */
static void
move_former(TagTable *table)
{
	for (int i = 0; i < STEP_BUCKETS; i++)
	{
		const Bucket *bucket = &table->former[table->moved++];
		uint32_t at = (uint32_t) bucket->hash & table->bucket_mask;

		if (bucket->name == NULL)
			continue;
		while (table->buckets[at].name != NULL)
			at = (at + 1) & table->bucket_mask;
		table->buckets[at] = *bucket;
	}
	if (table->moved == table->former_count)
		free_former(table);
}

/* Adds a name that is not in the buckets, unless it is in a former one. */
static TagName *
add_name(TagTable *table, const char *name, uint32_t length, uint64_t hash)
{
	TagName *added = find_former(table, name, length, hash);
	Bucket *bucket;

	if (added != NULL)
		return added;
	if (table->count >= (table->bucket_mask + 1) / 2)
		grow_buckets(table);
	else if (table->count >= CLEAR_FROM(table->bucket_mask + 1))
		clear_next(table);
	added = new_name(table, name, length);
	bucket = find_bucket(table->buckets, table->bucket_mask, name, length, hash);
	bucket->hash = hash;
	bucket->name = added;
	return added;
}

const TagName *
tag_table_add(TagTable *table, const char *name, uint32_t length, uint64_t hash)
{
	TagName *found;

	if (table->former != NULL)
		move_former(table);
	found = find_bucket(table->buckets, table->bucket_mask, name, length, hash)->name;
	if (found == NULL)
		found = add_name(table, name, length, hash);
	if (found->period != table->period)
	{
		found->period = table->period;
		table->used++;
	}
	return found;
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

/* Clears some of the next buckets. */
static void
clear_next(TagTable *table)
{
	if (table->next == NULL)
	{
		size_t bytes = ((size_t) table->bucket_mask + 1) * 2 * sizeof(Bucket);

		table->next = memory_new_raw(bytes);
		table->cleared = 0;
		count_bytes(table, bytes);
	}
	memset(table->next + table->cleared, 0, STEP_CLEARED * sizeof(Bucket));
	table->cleared += STEP_CLEARED;
}

/*
 * Begins with the next buckets.  The budget has the former ones for as long as they are kept, although
 * the table does not count them.
 */
static void
grow_buckets(TagTable *table)
{
	ASSERT(table->former == NULL);
	table->former = table->buckets;
	table->former_count = table->bucket_mask + 1;
	table->bytes -= table->former_count * sizeof(Bucket);
	table->moved = 0;
	table->buckets = table->next;
	table->bucket_mask = table->former_count * 2 - 1;
	table->next = NULL;
	ASSERT(table->cleared >= table->former_count * 2);
}

static void
free_former(TagTable *table)
{
	if (table->former == NULL)
		return;
	if (table->budget != NULL)
		budget_return(table->budget, table->former_count * sizeof(Bucket));
	free(table->former);
	table->former = NULL;
}

static const TagName *
name_of(const void *table, uint32_t number)
{
	return tag_table_name(table, number);
}

uint32_t
tag_table_unordered(const TagTable *table, uint32_t count)
{
	return count > table->ordered ? count - table->ordered : 0;
}

const uint32_t *
tag_table_order(TagTable *table, uint32_t count, uint32_t *sorted)
{
	if (count > table->ordered)
	{
		uint32_t *order = tag_order_extend(name_of, table, table->order, table->ordered, count);

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
