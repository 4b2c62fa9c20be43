/*
 * directory_walk.h
 *	  Index scans of a directory that are opened once and then used again.
 */
#ifndef HISTORIAN_DIRECTORY_WALK_H
#define HISTORIAN_DIRECTORY_WALK_H

#include "postgres.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/skey.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

#include "store/store.h"

/* The most scan keys that a walk needs: tag, lower bound, upper bound. */
#define WALK_MAX_KEYS 3

/* So many scans are kept for the next walks. */
#define WALK_MAX_IDLE 4

/*
 * Scans of walks that are over, for others to take.  Each has 27 kB and more, and to give memory back to
 * the system and to get it anew may take longer than a short query does otherwise.
 */
typedef struct IdleScans
{
	int			nscans;
	IndexScanDesc scans[WALK_MAX_IDLE];
} IdleScans;

/* What the walks of one reader share. */
typedef struct DirectoryView
{
	Relation	rel;
	Relation	directory;
	Snapshot	snapshot;
	MemoryContext context;		/* in which all scans allocate */
	IdleScans  *idle;
} DirectoryView;

/* One kind of walk.  Zero it, add its keys, and set each key's sk_argument before each start. */
typedef struct DirectoryWalk
{
	IndexScanDesc scan;			/* NULL if the walk is not under way */
	bool		nothing;		/* it is known, without a look, that there is nothing to return */
	bool		want_key;		/* returns the entries' keys too, not only the places */
	int			nkeys;
	ScanKeyData keys[WALK_MAX_KEYS];
} DirectoryWalk;

/* Adds a comparison of the tag or of the time. */
extern void directory_walk_compare_tag(DirectoryWalk *walk, StrategyNumber strategy,
									   RegProcedure procedure);
extern void directory_walk_compare_time(DirectoryWalk *walk, StrategyNumber strategy,
										RegProcedure procedure);

/* Adds the condition that the time is NULL. */
extern void directory_walk_null_time(DirectoryWalk *walk);

extern void directory_walk_start(DirectoryWalk *walk, const DirectoryView *view);

/* Ends a walk before its last entry.  Otherwise it ends by itself. */
extern void directory_walk_end(DirectoryWalk *walk, const DirectoryView *view);

/* Closes the scans of all walks that have ended. */
extern void directory_walk_close(IdleScans *idle);

/* Steps to the next entry, or returns NULL.  Its segment may be invisible. */
extern ItemPointer directory_walk_step(DirectoryWalk *walk, const DirectoryView *view,
									   ScanDirection direction);

/* The tag of the key of the last step's entry, if the walk returns keys; valid until the next step. */
extern const text *directory_walk_key(const DirectoryWalk *walk);

/*
 * Takes note that the entry of the last step, at this place, has no segment for the walk's snapshot:
 * marks it as dead, if no transaction can see the segment any more.  Raises an error if the segment
 * is lost.  tag as in store_fetch().
 */
extern void directory_walk_absent(DirectoryWalk *walk, const DirectoryView *view, const text *tag,
								  const ItemPointerData *place, StoreAbsence absence);

#endif							/* HISTORIAN_DIRECTORY_WALK_H */
