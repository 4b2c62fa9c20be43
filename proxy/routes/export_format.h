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
#include <stdint.h>

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
	 * or with FORMAT binary what export_format_read_row() reads.  Appends what is ready to be sent.
	 * If the piece is something else, returns false: the export fails.
	 */
	bool (*take)(void *encoder, const char *piece, size_t length, Bytes *out);

	/* Appends what follows the last row; NULL: nothing does. */
	void (*end)(void *encoder, Bytes *out);

	/* The memory that it holds beside its own struct, for the metrics; NULL: none. */
	size_t (*bytes)(const void *encoder);
	void (*free)(void *encoder);
} ExportFormat;

/* A row of the columns time, tag and values; it points into the piece. */
typedef struct ExportRow
{
	int64_t time_ns;
	const char *tag;
	size_t tag_length;
	bool has_values; /* false: NULL instead of an array */
	uint32_t value_count;
	const char *next; /* the next value */
	const char *end;
} ExportRow;

typedef enum ExportPiece
{
	EXPORT_PIECE_ROW,
	EXPORT_PIECE_EDGE,	 /* the header or the trailer alone */
	EXPORT_PIECE_BROKEN, /* not what COPY sends for these columns */
} ExportPiece;

/* Reads a piece of a COPY with FORMAT binary of the columns time, tag, values. */
extern ExportPiece export_format_read_row(const char *piece, size_t length, ExportRow *row);

/* Takes the next of the row's value_count values; false: it is NULL. */
extern bool export_format_next_value(ExportRow *row, double *value);

#endif /* HISTORIAND_EXPORT_FORMAT_H */
