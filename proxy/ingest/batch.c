/*
 * batch.c
 *	  Messages accepted but not yet loaded, in the order of arrival until they are grouped by tag.
 *
 * Rows lie one after the other in blocks.  Closing a batch makes a list of their places in the order
 * in which they are loaded.  A row of one value takes 24 bytes and 4 more for its place, and one of
 * ten values 100, while COPY's format takes 59 and 167 and the tag.  The tag is a number here.  The
 * tickets of requests that wait and the names of streams are kept apart, since most messages have
 * none: with the place from which on each holds.
 */
#include "ingest/batch.h"

#include "base/assert.h"
#include "base/block_pool.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_WORDS (POOL_BLOCK_BYTES / 8)
#define NO_PLACE	UINT32_MAX /* the row was forgotten */
#define GROUP_ROWS	16		   /* whose tags are looked up together */
#define AHEAD		12		   /* rows between two steps of fetching the memory of one */
#define CACHE_LINE	64
#define MOST_FETCHED                                                                               \
	512				   /* bytes of a row that are fetched ahead; the processor goes on by itself */
#define SPARSE_SHARE 8 /* a batch of fewer rows than 1/8 of the tags is sorted by comparing */

/* To close a batch of so many takes some milliseconds. */
#define MANY_ROWS	  250000
#define MANY_NEW_TAGS 20000

typedef struct Block
{
	char *data;
	uint32_t words; /* in use */
} Block;

typedef struct SourceRun
{
	uint32_t place; /* of the first row that has the source */
	BatchSource source;
} SourceRun;

/* The place of a row is the number of its first word, of 8 bytes, in all blocks. */
struct Batch
{
	TagTable *tags;
	bool own_tags;
	Block *blocks;
	uint32_t block_count;
	uint32_t block_capacity;
	uint32_t tag_limit; /* no row has this tag or a later one */
	uint64_t stored;	/* rows, with forgotten ones */
	uint64_t rows;
	uint32_t *order; /* places by number of the row; NULL: the batch is not closed yet */
	SourceRun *runs;
	uint32_t run_count;
	bool has_streams;
};

static BatchRow *new_row(Batch *batch, const TagName *tag, int64_t time_ns, uint32_t value_count,
						 BatchSource source);
static Block *new_block(Batch *batch);
static void sort_places(Batch *batch);
static void count_places(Batch *batch);

static inline BatchRow *
row_at(const Batch *batch, uint32_t place)
{
	return (BatchRow *) (batch->blocks[place / BLOCK_WORDS].data + place % BLOCK_WORDS * 8);
}

static inline size_t
row_bytes(uint32_t value_count)
{
	return sizeof(BatchRow) + value_count * sizeof(double);
}

Batch *
batch_new(TagTable *tags)
{
	Batch *batch = memory_new(sizeof(Batch));

	batch->own_tags = tags == NULL;
	batch->tags = tags == NULL ? tag_table_new(NULL) : tag_table_reference(tags);
	return batch;
}

void
batch_free(Batch *batch)
{
	for (uint32_t i = 0; i < batch->block_count; i++)
		block_pool_return(batch->blocks[i].data);
	free(batch->blocks);
	free(batch->order);
	free(batch->runs);
	tag_table_release(batch->tags);
	free(batch);
}

uint64_t
batch_rows(const Batch *batch)
{
	return batch->rows;
}

bool
batch_has_streams(const Batch *batch)
{
	return batch->has_streams;
}

size_t
batch_bytes(const Batch *batch)
{
	size_t bytes = batch->block_count * POOL_BLOCK_BYTES;

	if (batch->stored > 0)
		bytes += batch->stored * sizeof(uint32_t) + batch->run_count * sizeof(SourceRun) +
				 (batch->own_tags ? tag_table_bytes(batch->tags) : 0);
	return bytes;
}

/*
 * A row and its place take less than the message in its stage, because that has the tag.  A new
 * tag's name is as long as there; its number, its place and at most four buckets come on top.
 */
size_t
batch_estimate(size_t staged_bytes, uint64_t tags)
{
	return staged_bytes + tags * (sizeof(TagName) + 2 * sizeof(TagName *) + 4 * 16);
}

uint32_t
batch_tags(const Batch *batch)
{
	return batch->tag_limit;
}

void
batch_add(Batch *batch, const StagedMessage *message, BatchSource source)
{
	const char *name = staged_tag(message);
	const TagName *tag = tag_table_add(batch->tags, name, message->tag_length,
									   tag_name_hash(name, message->tag_length));
	BatchRow *row = new_row(batch, tag, message->time_ns, message->value_count, source);

	memcpy(row->values, message->values, message->value_count * sizeof(double));
}

/*
 * Messages are taken in groups.  The memory that the lookup of each tag needs is fetched while the
 * others of the group are worked on, since each is of another tag.
 */
void
batch_add_stage(Batch *batch, const Stage *stage, BatchSource source)
{
	const StagedMessage *message = (const StagedMessage *) stage->data;
	const StagedMessage *group[GROUP_ROWS];
	uint64_t hashes[GROUP_ROWS];
	uint32_t count;

	for (uint32_t done = 0; done < stage->count; done += count)
	{
		count = stage->count - done < GROUP_ROWS ? stage->count - done : GROUP_ROWS;
		for (uint32_t i = 0; i < count; i++)
		{
			group[i] = message;
			hashes[i] = tag_name_hash(staged_tag(message), message->tag_length);
			tag_table_prefetch(batch->tags, hashes[i]);
			message = staged_next(message);
		}
		if (count > 1)
			for (uint32_t i = 0; i < count; i++)
				tag_table_prefetch_name(batch->tags, hashes[i]);
		for (uint32_t i = 0; i < count; i++)
		{
			const TagName *tag =
				tag_table_add(batch->tags, staged_tag(group[i]), group[i]->tag_length, hashes[i]);
			BatchRow *row = new_row(batch, tag, group[i]->time_ns, group[i]->value_count, source);

			memcpy(row->values, group[i]->values, group[i]->value_count * sizeof(double));
		}
	}
}

static Block *
new_block(Batch *batch)
{
	Block *block;

	if (batch->block_count == batch->block_capacity)
	{
		batch->block_capacity = batch->block_capacity == 0 ? 16 : batch->block_capacity * 2;
		batch->blocks = memory_resize(batch->blocks, batch->block_capacity * sizeof(Block));
	}
	block = &batch->blocks[batch->block_count++];
	block->data = block_pool_take();
	block->words = 0;
	return block;
}

/* Adds a row, whose values the caller fills in. */
static BatchRow *
new_row(Batch *batch, const TagName *tag, int64_t time_ns, uint32_t value_count, BatchSource source)
{
	uint32_t words = (uint32_t) (row_bytes(value_count) / 8);
	Block *block = batch->block_count > 0 ? &batch->blocks[batch->block_count - 1] : NULL;
	BatchSource last =
		batch->run_count > 0 ? batch->runs[batch->run_count - 1].source : (BatchSource){0};
	uint32_t place;
	BatchRow *row;

	ASSERT(batch->order == NULL);
	if (block == NULL || block->words + words > BLOCK_WORDS)
		block = new_block(batch);
	place = (uint32_t) ((batch->block_count - 1) * BLOCK_WORDS) + block->words;
	block->words += words;
	if (source.ticket != last.ticket || source.stream != last.stream)
	{
		/* The array is doubled at each power of two. */
		if ((batch->run_count & (batch->run_count - 1)) == 0)
			batch->runs =
				memory_resize(batch->runs, (batch->run_count == 0 ? 1 : batch->run_count * 2) *
											   sizeof(SourceRun));
		batch->runs[batch->run_count++] = (SourceRun){place, source};
		batch->has_streams |= source.stream != NULL;
	}
	row = row_at(batch, place);
	row->time_ns = time_ns;
	row->tag = tag->number;
	row->value_count = value_count;
	if (tag->number >= batch->tag_limit)
		batch->tag_limit = tag->number + 1;
	batch->stored++;
	batch->rows++;
	return row;
}

static bool
is_sparse(const Batch *batch)
{
	return batch->stored < batch->tag_limit / SPARSE_SHARE;
}

bool
batch_close_is_long(const Batch *batch)
{
	return batch->order == NULL &&
		   (batch->stored > MANY_ROWS ||
			(!is_sparse(batch) &&
			 tag_table_unordered(batch->tags, batch->tag_limit) > MANY_NEW_TAGS));
}

void
batch_close(Batch *batch)
{
	if (batch->order != NULL)
		return;
	batch->order = memory_new_large((batch->stored + 1) * sizeof(uint32_t));
	if (is_sparse(batch))
		sort_places(batch);
	else
		count_places(batch);
}

/* All rows in the order of arrival: begins with the first one; NULL after the last one. */
typedef struct Walk
{
	const Batch *batch;
	uint32_t block;
	uint32_t word;
} Walk;

static const BatchRow *
walk_next(Walk *walk, uint32_t *place)
{
	const Batch *batch = walk->batch;
	const BatchRow *row;

	if (walk->block == batch->block_count)
		return NULL;
	if (walk->word == batch->blocks[walk->block].words)
	{
		if (++walk->block == batch->block_count)
			return NULL;
		walk->word = 0;
	}
	*place = (uint32_t) (walk->block * BLOCK_WORDS) + walk->word;
	row = row_at(batch, *place);
	walk->word += (uint32_t) (row_bytes(row->value_count) / 8);
	return row;
}

static int
by_tag(const void *a, const void *b, void *context)
{
	const Batch *batch = context;
	uint32_t first = *(const uint32_t *) a;
	uint32_t second = *(const uint32_t *) b;
	uint32_t first_tag = row_at(batch, first)->tag;
	uint32_t second_tag = row_at(batch, second)->tag;

	if (first_tag != second_tag)
		return tag_name_compare(tag_table_name(batch->tags, first_tag),
								tag_table_name(batch->tags, second_tag));
	return (first > second) - (first < second);
}

/* Sorts the places by the tags' names, for few rows of a large table. */
static void
sort_places(Batch *batch)
{
	Walk walk = {.batch = batch};
	uint64_t count = 0;
	uint32_t place;

	while (walk_next(&walk, &place) != NULL)
		batch->order[count++] = place;
	qsort_r(batch->order, count, sizeof(uint32_t), by_tag, batch);
}

/* The same by counting how many rows each tag has, with the order that the table of tags keeps. */
static void
count_places(Batch *batch)
{
	uint32_t tags;
	const uint32_t *order = tag_table_order(batch->tags, batch->tag_limit, &tags);
	uint32_t *next = memory_new_large((tags + 1) * sizeof(uint32_t)); /* by tag */
	Walk walk = {.batch = batch};
	const BatchRow *row;
	uint32_t place;
	uint32_t before = 0;

	memset(next, 0, (tags + 1) * sizeof(uint32_t));
	while ((row = walk_next(&walk, &place)) != NULL)
		next[row->tag]++;
	for (uint32_t i = 0; i < tags; i++)
	{
		uint32_t rows = next[order[i]];

		next[order[i]] = before;
		before += rows;
	}
	walk = (Walk){.batch = batch};
	while ((row = walk_next(&walk, &place)) != NULL)
		batch->order[next[row->tag]++] = place;
	free(next);
}

/*
 * Fetches what the cursor will read soon: the begin of a row; of a nearer one the rest and the place of
 * its tag's name; of a still nearer one the name.  Rows that follow each other lie apart, and the
 * processor would wait for each.
 */
static inline void
fetch_ahead(const Batch *batch, uint64_t next)
{
	const uint32_t *order = batch->order + next;

	if (batch->stored - next <= 3 * AHEAD)
		return;
	if (order[3 * AHEAD] != NO_PLACE)
		__builtin_prefetch(row_at(batch, order[3 * AHEAD]));
	if (order[2 * AHEAD] != NO_PLACE)
	{
		const BatchRow *row = row_at(batch, order[2 * AHEAD]);
		size_t bytes = row_bytes(row->value_count);

		for (size_t at = CACHE_LINE; at < bytes + CACHE_LINE - 8 && at < MOST_FETCHED;
			 at += CACHE_LINE)
			__builtin_prefetch((const char *) row + (at < bytes ? at : bytes - 1));
		tag_table_prefetch_place(batch->tags, row->tag);
	}
	if (order[AHEAD] != NO_PLACE)
	{
		const TagName *tag = tag_table_name(batch->tags, row_at(batch, order[AHEAD])->tag);

		__builtin_prefetch(tag);
		__builtin_prefetch((const char *) tag + CACHE_LINE - 1);
	}
}

void
batch_cursor_seek(BatchCursor *cursor, const Batch *batch, uint64_t row)
{
	ASSERT(batch->order != NULL);
	*cursor = (BatchCursor){.batch = batch};
	if (batch->rows == batch->stored)
		cursor->next = row < batch->stored ? row : batch->stored;
	else
		while (row-- > 0 && batch_cursor_next(cursor) != NULL)
			;
}

const BatchRow *
batch_cursor_next(BatchCursor *cursor)
{
	const Batch *batch = cursor->batch;
	const TagName *tag;
	const BatchRow *row;

	while (cursor->next < batch->stored && batch->order[cursor->next] == NO_PLACE)
		cursor->next++;
	if (cursor->next == batch->stored)
		return NULL;
	fetch_ahead(batch, cursor->next);
	row = row_at(batch, batch->order[cursor->next++]);
	tag = tag_table_name(batch->tags, row->tag);
	cursor->tag_index = row->tag;
	cursor->tag = tag->text;
	cursor->tag_length = tag->length;
	return row;
}

uint32_t
batch_cursor_ticket(const BatchCursor *cursor)
{
	return batch_cursor_source(cursor).ticket;
}

BatchSource
batch_cursor_source(const BatchCursor *cursor)
{
	const Batch *batch = cursor->batch;
	uint32_t place = batch->order[cursor->next - 1];
	uint32_t low = 0, high = batch->run_count;
	const BatchSource none = {0};

	while (low < high)
	{
		uint32_t middle = low + (high - low) / 2;

		if (batch->runs[middle].place <= place)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 ? none : batch->runs[low - 1].source;
}

void
batch_add_row(Batch *batch, const BatchCursor *cursor, const BatchRow *row)
{
	const TagName *tag = tag_table_add(batch->tags, cursor->tag, cursor->tag_length,
									   tag_name_hash(cursor->tag, cursor->tag_length));
	BatchRow *copy =
		new_row(batch, tag, row->time_ns, row->value_count, batch_cursor_source(cursor));

	memcpy(copy->values, row->values, row->value_count * sizeof(double));
}

bool
batch_has_tag_of(const Batch *batch, const BatchCursor *cursor)
{
	ASSERT(batch->own_tags);
	return tag_table_find(batch->tags, cursor->tag, cursor->tag_length,
						  tag_name_hash(cursor->tag, cursor->tag_length)) != NULL;
}

void
batch_forget(Batch *batch, const BatchCursor *cursor)
{
	uint32_t *place = &batch->order[cursor->next - 1];

	ASSERT(cursor->batch == batch && *place != NO_PLACE);
	*place = NO_PLACE;
	batch->rows--;
}
