/*
 * compaction_queue.h
 *	  The databases that background compaction will look at.
 */
#ifndef HISTORIAN_COMPACTION_QUEUE_H
#define HISTORIAN_COMPACTION_QUEUE_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* Called while shared_preload_libraries are loaded. */
extern void compaction_queue_init(void);

/*
 * Adds a database to the launcher's queue, if there is a launcher, for rows that were loaded or, with 0
 * rows, for work that was left.
 */
extern void compaction_queue_add(Oid database, uint64 rows);

/*
 * Takes the databases to which min_rows were added, or that have waited for longest_wait_ms, as a list of
 * their OIDs; others stay.  Returns false if the round must look at every database instead.
 */
extern bool compaction_queue_take(List **databases, uint64 min_rows, int longest_wait_ms);

#endif							/* HISTORIAN_COMPACTION_QUEUE_H */
