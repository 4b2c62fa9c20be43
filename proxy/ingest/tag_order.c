/*
 * tag_order.c
 *	  Numbers of tags in the order of the tags' names, byte by byte.
 *
 * New numbers are sorted in pieces, which are then merged.  To sort all at once would take several times
 * the memory of the numbers.  Memory that a process touches first is dear: the system makes its pages
 * then, and the loop that waits for them serves nobody.
 */
#include "ingest/tag_order.h"

#include "base/assert.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PIECE 16384u /* names */
#define AHEAD 8		 /* so many names before it is read the memory of one is fetched */

/* A piece that is being merged. */
typedef struct Piece
{
	uint64_t word; /* of the next name, where names of the pieces begin to differ */
	const TagName *name;
	const uint32_t *next; /* its number */
	const uint32_t *end;
} Piece;

typedef struct Merge
{
	TagNameOf name_of;
	const void *table;
	uint32_t alike; /* so many bytes all names have alike */
	uint32_t count;
	Piece *
		heap; /* the piece with the first name is at 0, and those of 2i + 1 and 2i + 2 come after that of i */
} Merge;

/* Sorts the numbers from first to end, PIECE at most. */
static void
sort_piece(const Merge *merge, uint32_t *numbers, uint32_t first, uint32_t end,
		   const TagName **names)
{
	for (uint32_t i = first; i < end; i++)
		names[i - first] = merge->name_of(merge->table, i);
	tag_name_sort(names, end - first);
	for (uint32_t i = 0; i < end - first; i++)
		numbers[i] = names[i]->number;
}

static bool
is_before(const Piece *a, const Piece *b)
{
	if (a->word != b->word)
		return a->word < b->word;
	return tag_name_compare(a->name, b->name) < 0;
}

/* Reads the next name of a piece, and fetches one of those after it. */
static void
read_name(const Merge *merge, Piece *piece)
{
	if (piece->end - piece->next > AHEAD)
		__builtin_prefetch(merge->name_of(merge->table, piece->next[AHEAD]));
	piece->name = merge->name_of(merge->table, *piece->next);
	piece->word = tag_name_word(piece->name, merge->alike);
}

/* Puts a piece in the heap at a place or below it. */
static void
sift_down(Merge *merge, uint32_t at, Piece piece)
{
	for (;;)
	{
		uint32_t child = 2 * at + 1;

		if (child >= merge->count)
			break;
		if (child + 1 < merge->count && is_before(&merge->heap[child + 1], &merge->heap[child]))
			child++;
		if (!is_before(&merge->heap[child], &piece))
			break;
		merge->heap[at] = merge->heap[child];
		at = child;
	}
	merge->heap[at] = piece;
}

/* How many bytes, whole words, the names of all pieces have alike: as many as the first and the last. */
static uint32_t
bytes_alike(const Merge *merge)
{
	const TagName *first = merge->name_of(merge->table, merge->heap[0].next[0]);
	const TagName *last = merge->name_of(merge->table, merge->heap[0].end[-1]);
	uint32_t alike = 0;

	for (uint32_t i = 1; i < merge->count; i++)
	{
		const Piece *piece = &merge->heap[i];
		const TagName *low = merge->name_of(merge->table, piece->next[0]);
		const TagName *high = merge->name_of(merge->table, piece->end[-1]);

		if (tag_name_compare(low, first) < 0)
			first = low;
		if (tag_name_compare(high, last) > 0)
			last = high;
	}
	while (alike < first->length && tag_name_word(first, alike) == tag_name_word(last, alike))
		alike += TAG_NAME_WORD;
	return alike;
}

/* Merges sorted pieces of the numbers. */
static void
merge_pieces(Merge *merge, const uint32_t *numbers, uint32_t count, uint32_t *merged)
{
	merge->count = (count + PIECE - 1) / PIECE;
	merge->heap = memory_new(merge->count * sizeof(Piece));
	for (uint32_t i = 0; i < merge->count; i++)
	{
		merge->heap[i].next = numbers + i * PIECE;
		merge->heap[i].end = numbers + (i + 1 < merge->count ? (i + 1) * PIECE : count);
	}
	merge->alike = bytes_alike(merge);
	for (uint32_t i = 0; i < merge->count; i++)
		read_name(merge, &merge->heap[i]);
	for (uint32_t i = merge->count / 2; i-- > 0;)
		sift_down(merge, i, merge->heap[i]);
	while (merge->count > 0)
	{
		Piece piece = merge->heap[0];

		*merged++ = *piece.next++;
		if (piece.next < piece.end)
			read_name(merge, &piece);
		else if (--merge->count > 0)
			piece = merge->heap[merge->count];
		else
			break;
		sift_down(merge, 0, piece);
	}
	free(merge->heap);
}

/* The numbers from first to end, sorted; the caller frees the array. */
static uint32_t *
sort_numbers(Merge *merge, uint32_t first, uint32_t end)
{
	uint32_t count = end - first;
	uint32_t *numbers = memory_new_large(count * sizeof(uint32_t));
	const TagName **names =
		memory_new_raw((count < PIECE ? count : PIECE) * sizeof(const TagName *));
	uint32_t *merged;

	for (uint32_t done = 0; done < count; done += PIECE)
		sort_piece(merge, numbers + done, first + done,
				   count - done < PIECE ? end : first + done + PIECE, names);
	free(names);
	if (count <= PIECE)
		return numbers;
	merged = memory_new_large(count * sizeof(uint32_t));
	merge_pieces(merge, numbers, count, merged);
	free(numbers);
	return merged;
}

/*
 * How many of the sorted numbers have names before that of another.  Looks at the 1st, 2nd, 4th ..,
 * because new names mostly follow one another closely or lie far apart.
 */
static uint32_t
count_before(const Merge *merge, const uint32_t *sorted, uint32_t count, const TagName *name)
{
	uint32_t low = 0, high = 1;

	while (high <= count &&
		   tag_name_compare(merge->name_of(merge->table, sorted[high - 1]), name) < 0)
	{
		low = high;
		high *= 2;
	}
	if (high > count)
		high = count + 1;
	/* the low first ones are before it, the high first ones are not */
	while (high - low > 1)
	{
		uint32_t middle = low + (high - low) / 2;

		if (tag_name_compare(merge->name_of(merge->table, sorted[middle - 1]), name) < 0)
			low = middle;
		else
			high = middle;
	}
	return low;
}

uint32_t *
tag_order_extend(TagNameOf name_of, const void *table, const uint32_t *sorted,
				 uint32_t sorted_count, uint32_t count)
{
	Merge merge = {.name_of = name_of, .table = table};
	uint32_t added_count = count - sorted_count;
	uint32_t *added = sort_numbers(&merge, sorted_count, count);
	uint32_t *order, *out;

	if (sorted_count == 0)
		return added;
	order = memory_new_large(count * sizeof(uint32_t));
	out = order;
	for (uint32_t i = 0; i < added_count; i++)
	{
		uint32_t before = count_before(&merge, sorted, sorted_count, name_of(table, added[i]));

		memcpy(out, sorted, before * sizeof(uint32_t));
		out += before;
		sorted += before;
		sorted_count -= before;
		*out++ = added[i];
	}
	memcpy(out, sorted, sorted_count * sizeof(uint32_t));
	ASSERT(out + sorted_count == order + count);
	free(added);
	return order;
}
