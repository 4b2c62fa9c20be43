/*
 * emptied_blocks.h
 *	  The blocks from which a merge has deleted segments, so that others can be written there soon.
 *
 * VACUUM finds such room too, but autovacuum comes once a minute at most, and for a large table far
 * less often.  A plant's loads write as much in a minute as remains of an hour after merging.
 */
#ifndef HISTORIAN_EMPTIED_BLOCKS_H
#define HISTORIAN_EMPTIED_BLOCKS_H

#include "postgres.h"

#include "storage/block.h"
#include "utils/rel.h"

/* Zero it to start; it allocates in context. */
typedef struct EmptiedBlocks
{
	MemoryContext context;
	BlockNumber *blocks;
	uint32		nblocks;
	uint32		capacity;
} EmptiedBlocks;

/* Notes the block of a segment that the present transaction has deleted; emptied may be NULL. */
extern void emptied_blocks_add(EmptiedBlocks *emptied, BlockNumber block);

/*
 * After that transaction has committed: prunes the blocks and enters their room in the free space
 * map, as far as no snapshot sees the deleted segments any more.  Keeps the other blocks, for which
 * it is to be called again.
 */
extern void emptied_blocks_reuse(EmptiedBlocks *emptied, Relation rel);

#endif							/* HISTORIAN_EMPTIED_BLOCKS_H */
