/*
 * compaction_notes.h
 *	  Notes where pending segments were written since compaction last looked at a table.
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

/* A *look* is one pass of compaction over a table. */
typedef struct CompactionLook
{
	bool		full;			/* at all tags; otherwise only at those in the blocks */
	NotedBlocks *blocks;		/* palloc'd */
	uint32		nblocks;
	uint64		number;			/* of the look, or 0 if notes are not kept */
	uint64		since;			/* in load order: all that is written later is noted */
} CompactionLook;

/* Called while shared_preload_libraries are loaded. */
extern void compaction_notes_init(void);

/*
 * Notes blocks that have pending segments at which compaction must look, or look again.  Call it
 * after the segments are written: a look that began before the call would not meet them.
 */
extern void compaction_notes_add(Relation rel, const NotedBlocks *blocks, uint32 nblocks);

/* Has compaction looked at everything that has been written to the table? */
extern bool compaction_notes_none(Relation rel);

/* Begins to note what is written to the table.  Call it before a look's horizon is taken. */
extern void compaction_notes_start(Relation rel);

/*
 * Begins a look, after compaction_notes_start(), and takes the notes.  The caller notes again what
 * it meets and leaves for later.  Until the look has ended well, the next one is a full one.
 */
extern CompactionLook compaction_notes_take(Relation rel);

/*
 * Reports that the look has seen all that is older in load order than horizon.  The look ends well
 * when the current transaction commits, unless a subtransaction is rolled back before that.
 */
extern void compaction_notes_done(Relation rel, const CompactionLook *look, uint64 horizon);

#endif							/* HISTORIAN_COMPACTION_NOTES_H */
