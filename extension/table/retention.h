/*
 * retention.h
 *	  Keeps the retention policies of one database, in the background.
 */
#ifndef HISTORIAN_RETENTION_H
#define HISTORIAN_RETENTION_H

#include "postgres.h"

/* historian.retention: are policies kept? */
extern bool historian_retention;

/*
 * Removes what has expired in the database of this background worker, in transactions of its own,
 * and says when it is to be called again.  Errors are logged and shown in historian.stat_retention.
 */
extern void retention_keep(void);

#endif							/* HISTORIAN_RETENTION_H */
