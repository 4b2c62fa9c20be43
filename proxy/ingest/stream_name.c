/*
 * stream_name.c
 *	  The names of streams that producers give with their messages, each once in the process.
 *
 * A hash table of lists, under one mutex.  Names are never freed, so that batches can point to them;
 * their number is bounded instead.
 */
#include "ingest/stream_name.h"

#include "base/memory.h"

#include <pthread.h>
#include <string.h>

#define BUCKETS		 8192
#define MOST_STREAMS 100000

static struct
{
	pthread_mutex_t lock;
	StreamName *buckets[BUCKETS];
	uint32_t count;
} names = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool
stream_name_valid(const char *text, size_t length)
{
	if (length > STREAM_NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < length; i++)
	{
		if (text[i] < 0x20 || text[i] > 0x7e)
			return false;
	}
	return true;
}

/* FNV-1a */
static uint32_t
hash(const char *text, size_t length)
{
	uint32_t value = 2166136261u;

	for (size_t i = 0; i < length; i++)
		value = (value ^ (unsigned char) text[i]) * 16777619u;
	return value;
}

static StreamName *
find_locked(StreamName *bucket, const char *text, size_t length)
{
	while (bucket != NULL && (bucket->length != length || memcmp(bucket->text, text, length) != 0))
		bucket = bucket->next;
	return bucket;
}

StreamName *
stream_name_known(const char *text, size_t length)
{
	StreamName **bucket = &names.buckets[hash(text, length) % BUCKETS];
	StreamName *name;

	pthread_mutex_lock(&names.lock);
	name = find_locked(*bucket, text, length);
	pthread_mutex_unlock(&names.lock);
	return name;
}

StreamName *
stream_name_of(const char *text, size_t length)
{
	StreamName **bucket = &names.buckets[hash(text, length) % BUCKETS];
	StreamName *name;

	pthread_mutex_lock(&names.lock);
	name = find_locked(*bucket, text, length);
	if (name == NULL && (names.count < MOST_STREAMS || length == 0))
	{
		name = memory_new(sizeof(StreamName) + length + 1);
		name->length = length;
		memcpy(name->text, text, length);
		name->next = *bucket;
		*bucket = name;
		names.count++;
	}
	pthread_mutex_unlock(&names.lock);
	return name;
}
