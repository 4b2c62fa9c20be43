/*
 * decoded_rows.h
 *	  Rows of one segment decoded into memory, and rows as SQL arrays.
 */
#ifndef HISTORIAN_DECODED_ROWS_H
#define HISTORIAN_DECODED_ROWS_H

#include "postgres.h"

#include "store/row_buffer.h"
#include "store/store.h"

/* Values of a row by their numbers, first <= number < end. */
typedef struct ValueRange
{
	uint32		first;
	uint32		end;
} ValueRange;

static const ValueRange values_all = {0, CODEC_MAX_VALUES};
static const ValueRange values_none = {0, 0};

/*
 * Consecutive rows of one segment, column by column.  Zero it to start; the buffers grow in the
 * memory context that is current at decoded_rows_load() and serve any number of segments.
 */
typedef struct DecodedRows
{
	uint32		first_row;		/* of the segment's rows, the first that is here */
	uint32		nrows;
	uint32		first_value;	/* of the rows' values, the first that is here: 0, as a rule */
	uint32		widest;			/* width of the segment's widest row, decoded or not */
	uint32		nvalues;		/* columns decoded; 0 where only times were wanted */
	int64	   *time;			/* [nrows] */
	double	   *values;			/* value first_value + v of row r at values[v * nrows + r] */
	uint16	   *width;			/* [nrows], of what is here; or NULL: all rows have nvalues values */
	uint8	   *isnull;			/* as values, or NULL: no element is NULL */

	/* what is allocated */
	char	   *memory;
	Size		memory_bytes;
} DecodedRows;

/*
 * Decodes the rows of an opened segment with from <= time <= until: the times, and the values
 * wanted.  There may be none.  Returns false where their times do not ascend within the header's and
 * these bounds: SEGMENT_BAD_TIMES.
 */
extern bool decoded_rows_load(DecodedRows *rows, const Segment *segment, int64 from, int64 until,
							  ValueRange wanted);
extern void decoded_rows_free(DecodedRows *rows);

/*
 * The values of a row as float8[], palloc'd; *isnull where the array itself is NULL.  Each stands
 * under its own subscript, also where the first are left out.
 */
extern Datum decoded_rows_array(const DecodedRows *rows, uint32 row, bool *isnull);

/* The same straight from an opened segment. */
extern Datum decoded_rows_segment_array(const Segment *segment, uint32 row, bool *isnull);

/* Is value v of a row there, and not NULL? */
static inline bool
decoded_rows_has_value(const DecodedRows *rows, uint32 row, uint32 v)
{
	if (v >= rows->nvalues)
		return false;
	if (rows->width != NULL && (rows->width[row] == CODEC_WIDTH_NULL || v >= rows->width[row]))
		return false;
	return rows->isnull == NULL || !rows->isnull[(Size) v * rows->nrows + row];
}

/* The rows for the codec; valid until the next load. */
extern CodecRows decoded_rows_source(const DecodedRows *rows);

/* Adds a row to a buffer. */
extern void decoded_rows_append(const DecodedRows *rows, uint32 row, RowBuffer *buffer);

#endif							/* HISTORIAN_DECODED_ROWS_H */
