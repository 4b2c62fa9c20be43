/*
 * tag_rows.h
 *	  The rows of a tag that a command has gathered, with the tag, and the memory of many such.
 *
 * In a plant's load each of 100,000 tags has one row.  So the tag, what is known of it and its first
 * row lie together, one tag after the other in large blocks.
 */
#ifndef HISTORIAN_TAG_ROWS_H
#define HISTORIAN_TAG_ROWS_H

#include "postgres.h"

#include "store/row_buffer.h"

/* A tag has few rows if they are no more than this, not compressed. */
#define TAG_ROWS_FEW_BYTES 512

typedef struct TagRows
{
	RowBuffer	rows;
	uint32		kept;			/* the last rows, which write_batch() has not written */
	uint32		tag_bytes;
	char		tag[FLEXIBLE_ARRAY_MEMBER];
} TagRows;

typedef struct TagRowsBlock TagRowsBlock;

/* Zero it to start.  Its blocks belong to the memory context that is current at each call. */
typedef struct TagRowsMemory
{
	TagRowsBlock *first;
	TagRowsBlock *last;			/* the one in use, or NULL */
	char	   *free;
	char	   *end;
	Size		bytes;			/* of all blocks */
} TagRowsMemory;

/* Makes a tag without rows.  The first one that comes should have so many values. */
extern TagRows *tag_rows_new(TagRowsMemory *memory, const char *tag, uint32 tag_bytes,
							 uint32 nvalues);

/* Forgets all tags of the memory, and keeps its blocks for others. */
extern void tag_rows_forget(TagRowsMemory *memory);

/* The bytes of rows of so many values. */
static inline Size
tag_rows_bytes(uint32 nrows, uint32 nvalues)
{
	return nrows * (sizeof(int64) + nvalues * sizeof(double));
}

static inline bool
tag_rows_are_few(const TagRows *tag)
{
	return tag_rows_bytes(tag->rows.nrows, tag->rows.stride) <= TAG_ROWS_FEW_BYTES;
}

#endif							/* HISTORIAN_TAG_ROWS_H */
