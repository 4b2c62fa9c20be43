/*
 * copy_stream.h
 *	  The rows of one COPY on their way to PostgreSQL.
 *
 * A state machine without callbacks: begin it, then advance it at every input event of the
 * connection until it is finished.
 */
#ifndef HISTORIAND_COPY_STREAM_H
#define HISTORIAND_COPY_STREAM_H

#include "ingest/batch.h"
#include "database/pg_connection.h"
#include "database/sql_failure.h"

typedef struct CopyStream
{
	PgConnection *connection;
	BatchCursor cursor;
	uint64_t count; /* rows */
	uint64_t sent;
	char *piece;  /* what was encoded but not given to libpq */
	bool began;	  /* the server asked for the rows */
	bool sending; /* and has not got all of them */
	SqlFailure failure;
} CopyStream;

/*
 * sql is a COPY in binary format, perhaps with statements before and after it that return nothing of
 * interest.  The batch must outlive the stream.  stream is zeroed or that of an earlier COPY.
 */
extern void copy_stream_begin(CopyStream *stream, PgConnection *connection, const char *sql,
							  const Batch *batch, uint64_t first, uint64_t count);

/* Returns whether it is finished; failure then says how. */
extern bool copy_stream_advance(CopyStream *stream);

#endif /* HISTORIAND_COPY_STREAM_H */
