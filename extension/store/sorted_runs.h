/*
 * sorted_runs.h
 *	  The sorted runs of a table: shared segments in order of their tags.
 *
 * A load with many tags of few rows writes these as one *run*: shared segments
 * (shared_segment.h), of which each has the tags after those of the one before.  The directory has
 * an entry for each of them, under the run's number and the segment's fence, so that a descent
 * finds the one segment that may have a tag.  A segment that is written anew without some rows
 * keeps its fence, so that all its versions have the same key.
 *
 * Each run has a *root*, a stored segment of its own that tells which runs there are, and what
 * range of time each covers.  Who does not see the root does not look for the run.  So a run that
 * was merged costs its readers nothing.
 *
 * Each run has a *level*.  A load writes a run of level 0; a merge of runs writes one of a higher
 * level (write/run_merge.c).  All rows of a run have one number in load order.
 *
 * A merge may take several transactions, tag after tag.  Meanwhile the new run has the tags that are
 * done, and the old runs have the others; the new run's root tells from the start what the run will
 * be.  Segments of a run are written in the order of their fences, and if a transaction that wrote
 * some is rolled back, no other one goes on with the run: its keys would be between theirs.
 */
#ifndef HISTORIAN_SORTED_RUNS_H
#define HISTORIAN_SORTED_RUNS_H

#include "postgres.h"

#include "store/directory_walk.h"
#include "store/store.h"

/* What the root of a run says. */
typedef struct SortedRun
{
	uint64		number;			/* no other run of the table has it */
	uint64		sequence;		/* in load order */
	int64		first_time;		/* of its rows */
	int64		last_time;
	uint32		level;
	uint64		rows;			/* about so many; 0 if it is not known */
	ItemPointerData root;
} SortedRun;

/* The highest level: each merge of all runs gives one level more, without end. */
#define SORTED_RUN_MAX_LEVEL 63

/* The values of the row that a root has: the level, and the rows, which early roots lack. */
#define SORTED_RUN_ROOT_VALUES 2

/* The runs that a snapshot sees, each with a position among its tags. */
typedef struct SortedRuns SortedRuns;

extern SortedRuns *sorted_runs_begin(const DirectoryView *view);
extern void sorted_runs_end(SortedRuns *runs);

extern uint32 sorted_runs_count(const SortedRuns *runs);
extern const SortedRun *sorted_runs_get(const SortedRuns *runs, uint32 i);

/* Forgets the runs whose number in load order is not within these bounds. */
extern void sorted_runs_restrict(SortedRuns *runs, uint64 first_sequence, uint64 last_sequence);

/* Forgets the run with this number. */
extern void sorted_runs_forget(SortedRuns *runs, uint64 number);

/*
 * Looks a tag up: each step returns the rows that the next run has of it.  They are in memory that
 * is valid until the next call, without a pin; store_release() does no harm.  Skips runs that have
 * no rows in from..until; the run that ends last comes first.  It is quick if the tag is after the
 * one looked up before.
 */
extern void sorted_runs_seek(SortedRuns *runs, text *tag, int64 from, int64 until);
extern bool sorted_runs_next(SortedRuns *runs, StoredSegment *stored);

/* Which of the runs had the rows that the last step returned. */
extern uint32 sorted_runs_last(const SortedRuns *runs);

/*
 * The bytes of the shared segment at a place and their length, if the run has not left it since; valid
 * until the next look-up.  NULL if they must be fetched.
 */
extern const uint8 *sorted_runs_held(const SortedRuns *runs, uint32 run,
									 const ItemPointerData *place, Size *length);

/* From the next step on, skips the runs that end before time. */
extern void sorted_runs_skip_before(SortedRuns *runs, int64 time);

/*
 * Returns the first tag after the given one (NULL: the first of all), palloc'd, or NULL.  It is quickest
 * if the given one was returned last, and no other was looked up since.
 */
extern text *sorted_runs_next_tag(SortedRuns *runs, text *tag);

/*
 * Walks over all tags after a given one (NULL: all).  Each step returns the next tag, palloc'd, or NULL
 * at the end.  sorted_runs_walk_rows() then returns the rows that one run after the other has of this
 * tag, the earliest load first, as sorted_runs_next() does.  Until the walk ends, no other tag may be
 * looked up, and no run forgotten.
 */
extern void sorted_runs_walk(SortedRuns *runs, const text *after);
extern text *sorted_runs_walk_tag(SortedRuns *runs);
extern bool sorted_runs_walk_rows(SortedRuns *runs, StoredSegment *stored);

/* Walks through the shared segments of one run that the snapshot sees; each step pins one. */
extern void sorted_runs_seek_segments(SortedRuns *runs, uint32 i);
extern bool sorted_runs_next_segment(SortedRuns *runs, StoredSegment *stored);

#endif							/* HISTORIAN_SORTED_RUNS_H */
