/*
 * compaction_queue.h
 *	  The databases that background compaction will look at in its next round.
 */
#ifndef HISTORIAN_COMPACTION_QUEUE_H
#define HISTORIAN_COMPACTION_QUEUE_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* Called while shared_preload_libraries are loaded. */
extern void compaction_queue_init(void);

/* Adds a database to the launcher's next round, if there is a launcher. */
extern void compaction_queue_add(Oid database);

/*
 * Takes the databases that were added since the last call, as a list of their OIDs.  Returns false
 * if the round must look at every database instead.
 */
extern bool compaction_queue_take(List **databases);

#endif							/* HISTORIAN_COMPACTION_QUEUE_H */
