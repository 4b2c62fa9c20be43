/*
 * compaction_worker.h
 *	  Background compaction and retention: a launcher, and short-lived workers.
 */
#ifndef HISTORIAN_COMPACTION_WORKER_H
#define HISTORIAN_COMPACTION_WORKER_H

#include "postgres.h"

/* historian.compaction: do the workers compact? */
extern bool historian_compaction;

/* historian.compaction_interval: seconds from one round to the next. */
extern int	historian_compaction_interval;

/*
 * historian.compaction_min_rows: so many rows must be loaded for the next round to look at a database.
 * Otherwise the first round after five intervals, or after ten seconds, looks at it, because each look
 * costs the start of a process.
 */
extern int	historian_compaction_min_rows;

/* historian.compaction_nice: the niceness of workers. */
extern int	historian_compaction_nice;

/*
 * Reserves shared memory and registers the launcher.  Called once, when the library is loaded; does
 * nothing unless shared_preload_libraries names it.
 */
extern void compaction_worker_init(void);

/* The entry points of the two kinds of processes. */
extern PGDLLEXPORT void historian_compaction_launcher_main(Datum arg);
extern PGDLLEXPORT void historian_compaction_worker_main(Datum arg);

#endif							/* HISTORIAN_COMPACTION_WORKER_H */
