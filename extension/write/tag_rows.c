/*
 * tag_rows.c
 *	  The rows of a tag that a command has gathered, with the tag, and the memory of many such.
 */
#include "postgres.h"

#include "write/tag_rows.h"

/* The first block is small, for a command with one row; each is twice as large as the one before. */
#define FIRST_BLOCK_BYTES (2 * 1024)
#define MOST_BLOCK_BYTES (64 * 1024)

struct TagRowsBlock
{
	TagRowsBlock *next;
	Size		bytes;
};

static void next_block(TagRowsMemory *memory);

TagRows *
tag_rows_new(TagRowsMemory *memory, const char *tag, uint32 tag_bytes, uint32 nvalues)
{
	Size		lent = tag_rows_bytes(1, nvalues) <= TAG_ROWS_FEW_BYTES
		? row_buffer_lent_bytes(nvalues) : 0;
	Size		head = MAXALIGN(offsetof(TagRows, tag) + tag_bytes);
	TagRows    *new;

	if (memory->end - memory->free < head + lent)
		next_block(memory);
	new = (TagRows *) memory->free;
	memory->free += head + lent;
	if (lent > 0)
		row_buffer_lend(&new->rows, nvalues, (char *) new + head);
	else
		memset(&new->rows, 0, sizeof(new->rows));
	new->kept = 0;
	new->tag_bytes = tag_bytes;
	memcpy(new->tag, tag, tag_bytes);
	return new;
}

void
tag_rows_forget(TagRowsMemory *memory)
{
	memory->last = NULL;
	memory->free = memory->end = NULL;
}

/* Goes to the block after the one in use, which has room for any tag; makes it if there is none. */
static void
next_block(TagRowsMemory *memory)
{
	TagRowsBlock *last = memory->last;
	TagRowsBlock **next = last != NULL ? &last->next : &memory->first;

	if (*next == NULL)
	{
		Size		bytes = last != NULL ? Min(2 * last->bytes, MOST_BLOCK_BYTES) : FIRST_BLOCK_BYTES;

		*next = palloc(bytes);
		**next = (TagRowsBlock) {.bytes = bytes};
		memory->bytes += bytes;
	}
	memory->last = *next;
	memory->free = (char *) *next + MAXALIGN(sizeof(TagRowsBlock));
	memory->end = (char *) *next + (*next)->bytes;
}
