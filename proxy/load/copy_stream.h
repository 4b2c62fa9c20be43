/*
 * copy_stream.h
 *	  Sends the rows of one COPY to PostgreSQL.
 *
 * A stream is a state machine without callbacks.  The caller begins it, and advances it at every
 * input event of the connection until it is finished.
 */
#ifndef HISTORIAND_COPY_STREAM_H
#define HISTORIAND_COPY_STREAM_H

#include "ingest/batch.h"
#include "load/bundle.h"
#include "database/pg_connection.h"
#include "database/sql_failure.h"

typedef struct CopyStream
{
	PgConnection *connection;
	BatchCursor cursor;
	uint64_t count; /* rows */
	uint64_t sent;
	char *piece;	 /* rows that are encoded, before libpq gets them */
	uint32_t table;	 /* the OID of the table to which bundles go; 0: rows are sent one by one */
	Bundle *bundle;	 /* NULL: none was sent yet */
	bool began;		 /* PostgreSQL has asked for the rows */
	bool sending;	 /* it has not got all of them yet */
	char answer[96]; /* the second value of a statement after the COPY, if it has two */
	SqlFailure failure;
} CopyStream;

/*
 * sql is a COPY in binary format; there may be statements before and after it, whose results are
 * ignored but for answer.  The batch must outlive the stream.  stream is zeroed, or was used for a COPY before.
 */
extern void copy_stream_begin(CopyStream *stream, PgConnection *connection, const char *sql,
							  const Batch *batch, uint64_t first, uint64_t count);

/* The same with a COPY into historian.bundle, which has the table's OID and bundles of its rows. */
extern void copy_stream_begin_bundles(CopyStream *stream, PgConnection *connection, const char *sql,
									  uint32_t table, const Batch *batch, uint64_t first,
									  uint64_t count);

/* Returns whether it is finished; failure then says whether it has failed. */
extern bool copy_stream_advance(CopyStream *stream);

#endif /* HISTORIAND_COPY_STREAM_H */
