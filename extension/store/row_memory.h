/*
 * row_memory.h
 *	  Memory of the arrays of many row buffers, which grow side by side.
 *
 * A load puts each row behind the last one of its tag.  With thousands of tags these places are spread over
 * all memory of the load: in pages of 4 kB nearly each of them costs the processor a walk through the page
 * tables, and each page a fault when it is touched first.  So the arrays are cut from blocks that are large
 * enough for pages of 2 MB, where the system has them.
 *
 * A freed array serves a later one of the same size.  So arrays that double leave as much as they take.
 */
#ifndef HISTORIAN_ROW_MEMORY_H
#define HISTORIAN_ROW_MEMORY_H

#include "postgres.h"

/* Four between two powers of two. */
#define ROW_MEMORY_SIZES 64

/* Zero it to start, and set the context, which owns all memory and frees it. */
typedef struct RowMemory
{
	MemoryContext context;
	char	   *free;			/* the rest of the last block */
	char	   *end;
	Size		block_bytes;	/* of the last block */
	void	   *idle[ROW_MEMORY_SIZES]; /* lists of freed arrays, by size */
} RowMemory;

/*
 * Makes an array of size bytes (array NULL), or makes it smaller or larger than old_size, or frees it.  With
 * memory NULL arrays are of the memory context that is current when they are made.
 */
extern void *row_memory_resize(RowMemory *memory, void *array, Size old_size, Size size);
extern void row_memory_free(RowMemory *memory, void *array, Size size);

#endif							/* HISTORIAN_ROW_MEMORY_H */
