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

StreamName *
stream_name_of(const char *text, size_t length)
{
	StreamName **bucket = &names.buckets[hash(text, length) % BUCKETS];
	StreamName *name;

	pthread_mutex_lock(&names.lock);
	name = *bucket;
	while (name != NULL && (name->length != length || memcmp(name->text, text, length) != 0))
		name = name->next;
	if (name == NULL && names.count < MOST_STREAMS)
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
