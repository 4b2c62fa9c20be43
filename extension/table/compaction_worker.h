/*
 * compaction_worker.h
 *	  Compaction in the background.
 */
#ifndef HISTORIAN_COMPACTION_WORKER_H
#define HISTORIAN_COMPACTION_WORKER_H

#include "postgres.h"

/* historian.compaction: does the launcher start workers? */
extern bool historian_compaction;

/* historian.compaction_interval, in seconds. */
extern int	historian_compaction_interval;
extern int	historian_compaction_nice;

/*
 * Reserves shared memory and registers the launcher.  Called once, and does something only in a
 * library of shared_preload_libraries.
 */
extern void compaction_worker_init(void);

extern PGDLLEXPORT void historian_compaction_launcher_main(Datum arg);
extern PGDLLEXPORT void historian_compaction_worker_main(Datum arg);

#endif							/* HISTORIAN_COMPACTION_WORKER_H */
