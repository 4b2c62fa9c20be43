/*
 * tag_name.c
 *	  The name of a tag as tables of tags keep it: its hash, and its place among others.
 */
#include "ingest/tag_name.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#define WORD	  TAG_NAME_WORD
#define DIGITS	  256 /* values of a byte */
#define AHEAD	  16  /* so many names before it is read the memory of one is fetched */
#define FEW_NAMES 32  /* are sorted by comparing them */

/* The key keeps a client from choosing tags that collide. */
static uint64_t hash_key[2];

static void
make_hash_key(void)
{
	if (getrandom(hash_key, sizeof(hash_key), GRND_NONBLOCK) != sizeof(hash_key))
		hash_key[1] = (uint64_t) (uintptr_t) &hash_key;
}

void
tag_name_make_key(void)
{
	static pthread_once_t key_made = PTHREAD_ONCE_INIT;

	pthread_once(&key_made, make_hash_key);
}

/* Multiplies and folds a word at a time, including the zero padding. */
uint64_t
tag_name_hash(const char *name, uint32_t length)
{
	uint64_t hash = length ^ hash_key[1];

	for (uint32_t i = 0; i < length; i += WORD)
	{
		uint64_t word;
		unsigned __int128 product;

		memcpy(&word, name + i, WORD);
		product = (unsigned __int128) (hash ^ word) * (hash_key[0] ^ UINT64_C(0x9E3779B97F4A7C15));
		hash = (uint64_t) product ^ (uint64_t) (product >> 64);
	}
	return hash;
}

/* The shorter of two names that begin alike has zeros there. */
int
tag_name_compare(const TagName *first, const TagName *second)
{
	uint32_t shorter = first->length < second->length ? first->length : second->length;

	for (uint32_t i = 0; i < shorter; i += WORD)
	{
		uint64_t a = tag_name_word(first, i);
		uint64_t b = tag_name_word(second, i);

		if (a != b)
			return a < b ? -1 : 1;
	}
	return (first->length > second->length) - (first->length < second->length);
}

/* A name with the word of it by which it is sorted now. */
typedef struct SortItem
{
	uint64_t word;
	const TagName *name;
} SortItem;

static int
by_name(const void *a, const void *b)
{
	return tag_name_compare(((const SortItem *) a)->name, ((const SortItem *) b)->name);
}

/*
 * Sorts items by their words: by the last byte first, then by each one before it, where the order of
 * equal ones is kept.  A byte that all words have alike is passed over.
 */
static void
sort_by_words(SortItem *items, SortItem *spare, uint32_t count)
{
	uint32_t counts[WORD][DIGITS] = {0};
	SortItem *from = items, *to = spare;

	for (uint32_t i = 0; i < count; i++)
		for (int byte = 0; byte < WORD; byte++)
			counts[byte][items[i].word >> 8 * byte & 0xff]++;
	for (int byte = 0; byte < WORD; byte++)
	{
		uint32_t *next = counts[byte]; /* place of the next item by digit */
		SortItem *sorted = to;
		uint32_t before = 0;

		if (next[items[0].word >> 8 * byte & 0xff] == count)
			continue;
		for (int digit = 0; digit < DIGITS; digit++)
		{
			uint32_t those = next[digit];

			next[digit] = before;
			before += those;
		}
		for (uint32_t i = 0; i < count; i++)
			sorted[next[from[i].word >> 8 * byte & 0xff]++] = from[i];
		to = from;
		from = sorted;
	}
	if (from != items)
		memcpy(items, from, count * sizeof(SortItem));
}

/*
 * Sorts names that are alike before a place, word by word.  To compare 300,000 names with each other
 * takes some times as long, because the processor waits for the memory of each name.
 */
static void
sort_items(SortItem *items, SortItem *spare, uint32_t count, uint32_t at)
{
	uint32_t end;

	if (count <= FEW_NAMES)
	{
		qsort(items, count, sizeof(SortItem), by_name);
		return;
	}
	for (uint32_t i = 0; i < count; i++)
	{
		__builtin_prefetch(items[i + AHEAD < count ? i + AHEAD : i].name);
		items[i].word = tag_name_word(items[i].name, at);
	}
	sort_by_words(items, spare, count);
	for (uint32_t first = 0; first < count; first = end)
	{
		end = first + 1;
		while (end < count && items[end].word == items[first].word)
			end++;
		/* Different names do not end in the same word. */
		if (end - first > 1 && items[first].word != 0)
			sort_items(items + first, spare, end - first, at + WORD);
	}
}

void
tag_name_sort(const TagName **names, uint32_t count)
{
	SortItem *items = memory_new_large(2 * (size_t) count * sizeof(SortItem));

	for (uint32_t i = 0; i < count; i++)
		items[i].name = names[i];
	sort_items(items, items + count, count, 0);
	for (uint32_t i = 0; i < count; i++)
		names[i] = items[i].name;
	free(items);
}
