/*
 * row_memory.c
 *	  Memory of the arrays of many row buffers, which grow side by side.
 */
#include "postgres.h"

#include "store/row_memory.h"

#include <sys/mman.h>

#include "port/pg_bitutils.h"
#include "utils/memutils.h"

#define LEAST_BYTES 64			/* a cache line */

/* Larger arrays are the context's: few tags have any, and their pages are used one after the other. */
#define ROW_MEMORY_MOST_BYTES (2 * 1024 * 1024)

/* The first block is small, for a command with few rows; each is twice as large as the one before. */
#define FIRST_BLOCK_BYTES (8 * 1024)
#define MOST_BLOCK_BYTES (32 * 1024 * 1024)
#define LARGE_PAGE_BYTES (2 * 1024 * 1024)

static void *take(RowMemory *memory, Size size);
static void next_block(RowMemory *memory, Size size);

/* Rounds a size up to the next one of which arrays are made; returns the number of that size. */
static inline int
round_size(Size *size)
{
	Size		last = Max(*size, LEAST_BYTES) - 1;
	int			shift = pg_leftmost_one_pos64(last) - 2;

	*size = ((last >> shift) + 1) << shift;
	return (int) (4 * (shift - 3) + (last >> shift) - 4);
}

StaticAssertDecl(LEAST_BYTES == 1 << 6, "sizes are numbered from those of 64 bytes and less");
StaticAssertDecl(ROW_MEMORY_MOST_BYTES == 1 << (5 + ROW_MEMORY_SIZES / 4),
				 "there is a list for each size");

static inline bool
is_own(const RowMemory *memory, Size size)
{
	return memory != NULL && size <= ROW_MEMORY_MOST_BYTES;
}

void *
row_memory_resize(RowMemory *memory, void *array, Size old_size, Size size)
{
	void	   *resized;

	/* so that there is always something to free */
	size = Max(size, sizeof(double));
	old_size = Max(old_size, sizeof(double));
	if (array == NULL)
		return take(memory, size);
	if (!is_own(memory, old_size) && !is_own(memory, size))
		return repalloc_huge(array, size);
	if (is_own(memory, old_size) && is_own(memory, size))
	{
		Size		old_rounded = old_size;
		Size		rounded = size;

		if (round_size(&old_rounded) == round_size(&rounded))
			return array;
	}
	resized = take(memory, size);
	memcpy(resized, array, Min(old_size, size));
	row_memory_free(memory, array, old_size);
	return resized;
}

void
row_memory_free(RowMemory *memory, void *array, Size size)
{
	size = Max(size, sizeof(double));
	if (is_own(memory, size))
	{
		int			number = round_size(&size);

		*(void **) array = memory->idle[number];
		memory->idle[number] = array;
	}
	else
		pfree(array);
}

static void *
take(RowMemory *memory, Size size)
{
	int			number;
	void	   *array;

	if (memory == NULL)
		return palloc_extended(size, MCXT_ALLOC_HUGE);
	if (size > ROW_MEMORY_MOST_BYTES)
		return MemoryContextAllocHuge(memory->context, size);
	number = round_size(&size);
	array = memory->idle[number];
	if (array != NULL)
	{
		memory->idle[number] = *(void **) array;
		return array;
	}
	if ((Size) (memory->end - memory->free) < size)
		next_block(memory, size);
	array = memory->free;
	memory->free += size;
	return array;
}

/* Begins another block, with room for an array of that size.  The rest of the last one stays unused. */
static void
next_block(RowMemory *memory, Size size)
{
	Size		bytes = memory->block_bytes == 0 ? FIRST_BLOCK_BYTES
		: Min(2 * memory->block_bytes, MOST_BLOCK_BYTES);
	char	   *block;

	bytes = Max(bytes, 2 * size);
	block = MemoryContextAlloc(memory->context, bytes);
#ifdef MADV_HUGEPAGE
	if (bytes >= 2 * LARGE_PAGE_BYTES)
	{
		char	   *first = (char *) TYPEALIGN(LARGE_PAGE_BYTES, block);
		Size		length = TYPEALIGN_DOWN(LARGE_PAGE_BYTES, block + bytes - first);

		/* without large pages the block is as any other */
		(void) madvise(first, length, MADV_HUGEPAGE);
	}
#endif
	memory->block_bytes = bytes;
	memory->free = block;
	memory->end = block + bytes;
}
