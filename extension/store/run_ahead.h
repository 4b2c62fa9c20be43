/*
 * run_ahead.h
 *	  The next segments of a sorted run, read ahead from the directory.
 *
 * A reader of all tags comes to thousands of shared segments, one after the other, in several runs at
 * once.  To find each by a descent of its own took as long as to read it.  So a walk that has found one
 * reads on, and keeps the keys and places of those that follow.
 */
#ifndef HISTORIAN_RUN_AHEAD_H
#define HISTORIAN_RUN_AHEAD_H

#include "postgres.h"

#include "store/directory_key.h"
#include "store/directory_walk.h"

/* So many entries are kept at most. */
#define RUN_AHEAD_MOST 32

typedef struct RunAheadEntry
{
	ItemPointerData place;
	DirectoryTag key;
} RunAheadEntry;

/* Zero it to begin. */
typedef struct RunAhead
{
	RunAheadEntry *entries;		/* NULL before the first time that any are read */
	uint32		nentries;
	uint32		next;
	uint32		wanted;			/* how many to read the next time */
} RunAhead;

/* Forgets the entries; the reader is elsewhere now, and perhaps wants no more from there. */
extern void run_ahead_forget(RunAhead *ahead);
extern void run_ahead_free(RunAhead *ahead);

/* Returns the next entry, which is valid until more are read, or NULL if the directory must be asked. */
extern const RunAheadEntry *run_ahead_next(RunAhead *ahead);

/*
 * Reads on in a walk over the entries of one run, forward, which returns keys.  The more often it is
 * called, the more entries it reads.  It reads none for a snapshot under which they might change.
 */
extern void run_ahead_read(RunAhead *ahead, DirectoryWalk *walk, const DirectoryView *view);

#endif							/* HISTORIAN_RUN_AHEAD_H */
