/*
 * arrow_rows.h
 *	  Rows (time, tag, values) as an Apache Arrow IPC stream, with a column for each value.
 *
 * The columns are time (a timestamp in UTC, or an int64), tag (utf8), and values (float64).
 */
#ifndef HISTORIAND_ARROW_ROWS_H
#define HISTORIAND_ARROW_ROWS_H

#include "arrow/arrow_message.h"

typedef struct ArrowRows ArrowRows;

typedef struct ArrowTimes
{
	int64_t unit_ns; /* times are rounded down to it */
	bool integers;	 /* int64 in that unit, instead of timestamps */
} ArrowTimes;

/* Appends the schema.  The names are those of the columns of values, and are used only now. */
extern ArrowRows *arrow_rows_new(const char *const *names, int count, ArrowTimes times, Bytes *out);

/*
 * The columns of a COPY with FORMAT binary that arrow_rows_take() takes; a %d stands where the number of columns of
 * values goes.
 */
#define ARROW_ROWS_SELECT "time, tag, historian.value_bytes(values, %d)"

/*
 * Takes a piece that such a COPY has sent: a row, after the header if it is the first one, or the
 * trailer.  Appends a batch when one is full.  If the piece is something else, returns false.
 */
extern bool arrow_rows_take(ArrowRows *rows, const char *piece, size_t length, Bytes *out);

/* Appends the rows that are left, and the end of the stream. */
extern void arrow_rows_end(ArrowRows *rows, Bytes *out);

/* How much memory it holds. */
extern size_t arrow_rows_memory(const ArrowRows *rows);
extern void arrow_rows_free(ArrowRows *rows);

#endif /* HISTORIAND_ARROW_ROWS_H */
