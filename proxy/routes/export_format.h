/*
 * export_format.h
 *	  What an export asks of a format: rows as COPY sends them in, bytes of the answer out.
 *
 * route_export.c does the rest: parameters, SQL, the stream from PostgreSQL, compression, chunks.
 * Its list has all formats.
 */
#ifndef HISTORIAND_EXPORT_FORMAT_H
#define HISTORIAND_EXPORT_FORMAT_H

#include "base/memory.h"
#include "routes/query.h"

#include <stdbool.h>

/* What an encoder may look at, as long as it lives. */
typedef struct ExportRequest
{
	const QueryParameters *parameters;
	int value_columns; /* of formats that have asked for names */
} ExportRequest;

typedef struct ExportFormat
{
	const char *name;
	const char *content_type;
	const char *copy_options; /* of the COPY that makes the rows */
	bool nanoseconds;		  /* has times in no other form than integers of nanoseconds */
	bool asks_names;		  /* begin() wants names, which a query finds out before the COPY */

	/* Appends the columns of the COPY's SELECT. */
	void (*put_columns)(Bytes *sql, const ExportRequest *request);

	/*
	 * Returns a new encoder, and appends what precedes the rows.  names has a row for each column of
	 * values, or is NULL.  An export may wait long for a connection after this: allocate what is
	 * large with the first row.
	 */
	void *(*begin)(const ExportRequest *request, const PGresult *names, Bytes *out);

	/*
	 * Takes a piece that COPY has sent, which is a row; or with FORMAT csv, HEADER the first line;
	 * or with FORMAT binary the header with the first row, or the trailer.  Appends what is ready to
	 * be sent.
	 * If the piece is something else, returns false: the export fails.
	 */
	bool (*take)(void *encoder, const char *piece, size_t length, Bytes *out);

	/* Appends what follows the last row; NULL: nothing does. */
	void (*end)(void *encoder, Bytes *out);

	/* The memory that it holds beside its own struct, for the metrics; NULL: none. */
	size_t (*bytes)(const void *encoder);
	void (*free)(void *encoder);
} ExportFormat;

#endif /* HISTORIAND_EXPORT_FORMAT_H */
