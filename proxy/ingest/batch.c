/*
 * batch.c
 *	  Messages accepted but not yet loaded, grouped by tag as they arrive.
 *
 * The rows of a tag lie in a list of chunks that grow from 256 bytes to 4 KiB, because most tags
 * are rare and the frequent ones should be read sequentially.  Chunks and tags are cut from large
 * blocks that are freed all at once.  A row of ten values takes 96 bytes here and 167 bytes in
 * COPY's format.  It is kept in this form because the buffer then holds more messages, and encoding
 * costs little.
 */
#include "ingest/batch.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define BLOCK_BYTES		((size_t) 256 * 1024)
#define FIRST_CHUNK		((size_t) 256)
#define LARGEST_CHUNK	((size_t) 4096)
#define INITIAL_BUCKETS 1024u /* a power of two */

typedef struct Block
{
	struct Block *next;
	size_t used;
	char data[];
} Block;

typedef struct BatchChunk
{
	struct BatchChunk *next;
	uint32_t used; /* bytes of data */
	uint32_t capacity;
	char data[];
} BatchChunk;

typedef struct BatchTag
{
	BatchChunk *first;
	BatchChunk *last;
	uint64_t rows;
	uint64_t hash;
	uint64_t head;	  /* the name's first 8 bytes: most are not longer */
	const char *name; /* padded with zeros to 8 bytes */
	uint32_t name_length;
} BatchTag;

struct Batch
{
	Block *blocks; /* memory is cut from the first one */
	size_t bytes;
	uint64_t rows;
	BatchTag *tags;
	uint32_t tag_count;
	uint32_t tag_capacity;
	uint32_t *buckets; /* tag index + 1, 0 = free; open addressing */
	uint32_t bucket_mask;
};

static void add_row(Batch *batch, BatchTag *tag, const BatchRow *row, const double *values);
static BatchTag *find_tag(Batch *batch, const char *name, uint32_t length);
static BatchTag *known_tag(const Batch *batch, const char *name, uint32_t length, uint64_t hash,
						   uint32_t *bucket);
static void *cut(Batch *batch, size_t size);
static void grow_tags(Batch *batch);

/*
 * The hash is keyed, so that a client cannot choose tags that collide.  The first batch makes the
 * key.
 */
static uint64_t hash_key[2];

static void
make_hash_key(void)
{
	if (getrandom(hash_key, sizeof(hash_key), GRND_NONBLOCK) != sizeof(hash_key))
		hash_key[1] = (uint64_t) (uintptr_t) &hash_key;
}

/* Multiplies and folds a word at a time, including the zero padding. */
static inline uint64_t
hash_tag(const char *name, uint32_t length)
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

uint64_t
batch_hash_tag(const char *name, uint32_t length)
{
	return hash_tag(name, length);
}

Batch *
batch_new(void)
{
	static pthread_once_t key_made = PTHREAD_ONCE_INIT;
	Batch *batch = memory_new(sizeof(Batch));

	pthread_once(&key_made, make_hash_key);
	batch->buckets = memory_new(INITIAL_BUCKETS * sizeof(uint32_t));
	batch->tag_capacity = INITIAL_BUCKETS / 2;
	batch->tags = memory_new_raw(batch->tag_capacity * sizeof(BatchTag));
	batch->bucket_mask = INITIAL_BUCKETS - 1;
	return batch;
}

void
batch_free(Batch *batch)
{
	while (batch->blocks != NULL)
	{
		Block *next = batch->blocks->next;

		free(batch->blocks);
		batch->blocks = next;
	}
	free(batch->buckets);
	free(batch->tags);
	free(batch);
}

uint64_t
batch_rows(const Batch *batch)
{
	return batch->rows;
}

size_t
batch_bytes(const Batch *batch)
{
	return batch->bytes;
}

/* On the average, chunks are well over half full, and the arrays of tags three quarters. */
size_t
batch_estimate(size_t staged_bytes, uint64_t tags)
{
	return staged_bytes + staged_bytes * 2 / 3 +
		   tags * (FIRST_CHUNK + (sizeof(BatchTag) + 2 * sizeof(uint32_t)) * 4 / 3);
}

void
batch_add(Batch *batch, const StagedMessage *message, uint32_t ticket)
{
	BatchRow row = {
		.time_ns = message->time_ns,
		.value_count = message->value_count,
		.ticket = ticket,
	};

	add_row(batch, find_tag(batch, staged_tag(message), message->tag_length), &row,
			message->values);
}

void
batch_add_row(Batch *batch, const char *tag, uint32_t tag_length, const BatchRow *row)
{
	add_row(batch, find_tag(batch, tag, tag_length), row, row->values);
}

/* Adds a row, with these values, to the tag's last chunk or to a new one. */
static void
add_row(Batch *batch, BatchTag *tag, const BatchRow *row, const double *values)
{
	size_t size = sizeof(BatchRow) + row->value_count * sizeof(double);
	BatchChunk *chunk = tag->last;
	BatchRow *copy;

	if (chunk == NULL || chunk->capacity - chunk->used < size)
	{
		size_t capacity = chunk == NULL ? FIRST_CHUNK : (chunk->capacity + sizeof(*chunk)) * 4;

		if (capacity > LARGEST_CHUNK)
			capacity = LARGEST_CHUNK;
		if (capacity < sizeof(BatchChunk) + size)
			capacity = sizeof(BatchChunk) + size;
		chunk = cut(batch, capacity);
		chunk->next = NULL;
		chunk->used = 0;
		chunk->capacity = (uint32_t) (capacity - sizeof(BatchChunk));
		if (tag->last == NULL)
			tag->first = chunk;
		else
			tag->last->next = chunk;
		tag->last = chunk;
	}

	copy = (BatchRow *) (chunk->data + chunk->used);
	copy->time_ns = row->time_ns;
	copy->value_count = row->value_count;
	copy->ticket = row->ticket;
	memcpy(copy->values, values, row->value_count * sizeof(double));
	chunk->used += (uint32_t) size;
	tag->rows++;
	batch->rows++;
}

/* Returns the tag's entry or NULL, and in *bucket where it is or would be. */
static BatchTag *
known_tag(const Batch *batch, const char *name, uint32_t length, uint64_t hash, uint32_t *bucket)
{
	uint64_t head;

	memcpy(&head, name, sizeof(head));
	*bucket = (uint32_t) hash & batch->bucket_mask;
	for (; batch->buckets[*bucket] != 0; *bucket = (*bucket + 1) & batch->bucket_mask)
	{
		BatchTag *tag = &batch->tags[batch->buckets[*bucket] - 1];

		if (tag->hash == hash && tag->head == head && tag->name_length == length &&
			(length <= sizeof(head) || memcmp(tag->name, name, length) == 0))
			return tag;
	}
	return NULL;
}

/* Returns the tag's entry, which is made if there is none. */
static BatchTag *
find_tag(Batch *batch, const char *name, uint32_t length)
{
	uint64_t hash = hash_tag(name, length);
	uint32_t bucket;
	BatchTag *tag = known_tag(batch, name, length, hash, &bucket);
	char *copy;
	size_t padded = (length + 7u) & ~7u;
	uint64_t head;

	if (tag != NULL)
		return tag;
	if (batch->tag_count == batch->tag_capacity)
	{
		grow_tags(batch);
		known_tag(batch, name, length, hash, &bucket);
	}
	memcpy(&head, name, sizeof(head));
	copy = cut(batch, padded);
	memcpy(copy, name, padded);
	tag = &batch->tags[batch->tag_count++];
	*tag = (BatchTag){.hash = hash, .head = head, .name = copy, .name_length = length};
	batch->buckets[bucket] = batch->tag_count;
	return tag;
}

uint32_t
batch_tags(const Batch *batch)
{
	return batch->tag_count;
}

bool
batch_shares_tag(const Batch *batch, const Batch *other, uint32_t index)
{
	const BatchTag *tag = &other->tags[index];
	uint32_t bucket;

	return known_tag(batch, tag->name, tag->name_length, tag->hash, &bucket) != NULL;
}

void
batch_forget_tag(Batch *batch, uint32_t index)
{
	BatchTag *tag = &batch->tags[index];

	batch->rows -= tag->rows;
	tag->rows = 0;
	tag->first = NULL;
	tag->last = NULL;
}

/* Doubles tags and buckets, so that at most half of the buckets are used. */
static void
grow_tags(Batch *batch)
{
	uint32_t bucket_count = (batch->bucket_mask + 1) * 2;
	uint32_t *buckets = memory_new(bucket_count * sizeof(uint32_t));

	free(batch->buckets);
	batch->buckets = buckets;
	batch->tags = memory_resize(batch->tags, bucket_count / 2 * sizeof(BatchTag));
	batch->bytes += (bucket_count / 2) * (sizeof(uint32_t) + sizeof(BatchTag));
	batch->bucket_mask = bucket_count - 1;
	batch->tag_capacity = bucket_count / 2;
	for (uint32_t i = 0; i < batch->tag_count; i++)
	{
		uint32_t bucket = (uint32_t) batch->tags[i].hash & batch->bucket_mask;

		while (buckets[bucket] != 0)
			bucket = (bucket + 1) & batch->bucket_mask;
		buckets[bucket] = i + 1;
	}
}

/* Returns memory that lives as long as the batch.  size is a multiple of 8. */
static void *
cut(Batch *batch, size_t size)
{
	Block *block = batch->blocks;

	if (block == NULL || BLOCK_BYTES - sizeof(Block) - block->used < size)
	{
		block = memory_new_raw(BLOCK_BYTES);
		block->next = batch->blocks;
		block->used = 0;
		batch->blocks = block;
		batch->bytes += BLOCK_BYTES;
	}
	block->used += size;
	return block->data + block->used - size;
}

void
batch_cursor_seek(BatchCursor *cursor, const Batch *batch, uint64_t row)
{
	*cursor = (BatchCursor){.batch = batch};
	while (cursor->tag_index < batch->tag_count && row >= batch->tags[cursor->tag_index].rows)
		row -= batch->tags[cursor->tag_index++].rows;
	if (cursor->tag_index < batch->tag_count)
		cursor->chunk = batch->tags[cursor->tag_index].first;
	while (row-- > 0)
		batch_cursor_next(cursor);
}

const BatchRow *
batch_cursor_next(BatchCursor *cursor)
{
	const BatchRow *row;

	while (cursor->chunk == NULL || cursor->offset == cursor->chunk->used)
	{
		cursor->offset = 0;
		if (cursor->chunk != NULL)
			cursor->chunk = cursor->chunk->next;
		if (cursor->chunk != NULL)
			continue;
		if (cursor->tag_index + 1 >= cursor->batch->tag_count)
			return NULL;
		cursor->chunk = cursor->batch->tags[++cursor->tag_index].first;
	}
	row = (const BatchRow *) (cursor->chunk->data + cursor->offset);
	cursor->offset += sizeof(BatchRow) + row->value_count * sizeof(double);
	cursor->tag = cursor->batch->tags[cursor->tag_index].name;
	cursor->tag_length = cursor->batch->tags[cursor->tag_index].name_length;
	return row;
}
