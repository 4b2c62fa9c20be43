/*
 * compaction_notes.h
 *	  Where pending segments were written since compaction last looked at a table.
 */
#ifndef HISTORIAN_COMPACTION_NOTES_H
#define HISTORIAN_COMPACTION_NOTES_H

#include "postgres.h"

#include "storage/block.h"
#include "utils/rel.h"

/* Consecutive blocks of a table. */
typedef struct NotedBlocks
{
	BlockNumber first;
	BlockNumber last;
} NotedBlocks;

/* A look of compaction at a table. */
typedef struct CompactionLook
{
	bool		full;			/* at all tags; otherwise at those that have pending segments in
								 * blocks */
	NotedBlocks *blocks;		/* palloc'd */
	uint32		nblocks;
	uint64		number;			/* no later look at the table has begun while it is the last one */
	uint64		since;			/* in load order: what is written later is noted */
} CompactionLook;

/* Called while shared_preload_libraries are loaded. */
extern void compaction_notes_init(void);

/*
 * Notes blocks that pending segments of the current transaction, or any others that compaction must
 * look at again, have been written to.  Called after that, so that no look can come between.
 */
extern void compaction_notes_add(Relation rel, const NotedBlocks *blocks, uint32 nblocks);

/* Is everything looked at that has been written to the table? */
extern bool compaction_notes_none(Relation rel);

/* From now on what is written to the table is noted.  To be called before a look's horizon is taken. */
extern void compaction_notes_start(Relation rel);

/*
 * Begins a look, after compaction_notes_start().  It takes the notes: what it meets and leaves for
 * another time is to be noted again.  Until it ends well the next look is a full one.
 */
extern CompactionLook compaction_notes_take(Relation rel);

/*
 * The look has seen all that is older in load order than horizon.  It has ended well when the
 * current transaction commits, if no subtransaction is rolled back until then.
 */
extern void compaction_notes_done(Relation rel, const CompactionLook *look, uint64 horizon);

#endif							/* HISTORIAN_COMPACTION_NOTES_H */
