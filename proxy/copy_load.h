/*
 * copy_load.h
 *	  One COPY of some rows of a batch on an open connection: one transaction.
 *
 * A state machine without callbacks: begin it, then advance it at every input event of the
 * connection until it is finished.
 */
#ifndef HISTORIAND_COPY_LOAD_H
#define HISTORIAND_COPY_LOAD_H

#include "batch.h"
#include "pg_connection.h"

typedef enum LoadStatus
{
	LOAD_RUNNING,
	LOAD_COMMITTED,
	LOAD_UNAVAILABLE, /* nothing is wrong with the rows; try again later */
	LOAD_REFUSED,	  /* at least one of the rows is why */
} LoadStatus;

typedef struct CopyLoad
{
	PgConnection *connection;
	const char *copy_sql;
	BatchCursor cursor;
	uint64_t count; /* rows of this load */
	uint64_t sent;
	uint64_t progress; /* changes while something happens */
	char *piece;	   /* what was encoded but not given to libpq */
	enum
	{
		COPY_STARTING, /* the statement was sent */
		COPY_SENDING,
		COPY_FINISHING, /* all was sent, or the server gave up */
	} state;
	bool began; /* the server asked for the rows */

	/* Of a load that is finished and not committed. */
	char sqlstate[6];
	char message[512];
	int64_t refused_row; /* which one the server named, from 0; -1: none */
} CopyLoad;

/* copy_sql and the batch must outlive the load.  load is zeroed or that of an earlier load. */
extern void copy_load_begin(CopyLoad *load, PgConnection *connection, const char *copy_sql,
							const Batch *batch, uint64_t first, uint64_t count);
extern LoadStatus copy_load_advance(CopyLoad *load);

#endif /* HISTORIAND_COPY_LOAD_H */
