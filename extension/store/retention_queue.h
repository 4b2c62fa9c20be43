/*
 * retention_queue.h
 *	  When the background worker is to look after the retention policies of which database.
 */
#ifndef HISTORIAN_RETENTION_QUEUE_H
#define HISTORIAN_RETENTION_QUEUE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

/* Called while shared_preload_libraries are loaded. */
extern void retention_queue_init(void);

/*
 * Has the launcher visit a database at this time, if there is a launcher.  Of several times of one
 * database the earliest counts.
 */
extern void retention_queue_add(Oid database, TimestampTz due);

/*
 * Takes the databases that are due, as a list of their OIDs.  Returns false if the round must visit
 * every database instead.
 */
extern bool retention_queue_take(List **databases);

#endif							/* HISTORIAN_RETENTION_QUEUE_H */
