/*
 * decoded_rows.h
 *	  Decodes rows of one segment into memory, and makes SQL arrays of them.
 */
#ifndef HISTORIAN_DECODED_ROWS_H
#define HISTORIAN_DECODED_ROWS_H

#include "postgres.h"

#include "store/row_buffer.h"
#include "store/store.h"

/*
 * Consecutive rows of one segment, column by column.  Zero it to start; the buffers grow in the
 * memory context that is current at decoded_rows_load() and serve any number of segments.
 */
typedef struct DecodedRows
{
	uint32		first_row;		/* the number of the first row decoded, among all rows of the
								 * stored tuple */
	uint32		nrows;
	uint32		first_value;	/* the number of the first value decoded; usually 0 */
	uint32		widest;			/* width of the segment's widest row, decoded or not */
	uint32		nvalues;		/* values decoded of the widest row; 0 if only times were wanted */
	int64	   *time;			/* [nrows] */
	double	   *values;			/* value first_value + v of row r at values[v * nrows + r] */
	uint16	   *width;			/* [nrows]: values decoded of a row; NULL: nvalues of each */
	uint8	   *isnull;			/* indexed as values; NULL: no element is NULL */

	/* all arrays are in this memory */
	char	   *memory;
	Size		memory_bytes;
} DecodedRows;

/*
 * Decodes the rows of an opened segment with from <= time <= until: the times, and the values
 * wanted.  If there are none, nrows is 0.  Returns false if the times do not ascend, or leave these
 * bounds or the header's; the caller then reports SEGMENT_BAD_TIMES.
 */
extern bool decoded_rows_load(DecodedRows *rows, const Segment *segment, int64 from, int64 until,
							  ValueRange wanted);

/* The same for rows first .. end - 1 of the segment; there must be at least one. */
extern bool decoded_rows_load_numbered(DecodedRows *rows, const Segment *segment, uint32 first,
									   uint32 end, ValueRange wanted);
extern void decoded_rows_free(DecodedRows *rows);

/*
 * Makes room for rows that the caller fills in, which need not be of a segment; ragged ones have
 * widths.  The caller sets first_row, first_value and widest, too.  Nothing is zeroed.
 */
extern void decoded_rows_reserve(DecodedRows *rows, uint32 nrows, uint32 nvalues, bool ragged,
								 bool nulls);

/*
 * Returns the decoded values of a row as a palloc'd float8[]; sets *isnull if the array itself is
 * NULL.  Each value keeps its subscript: the array's first one is first_value + 1.
 */
extern Datum decoded_rows_array(const DecodedRows *rows, uint32 row, bool *isnull);

/* The same for all values of a row, straight from an opened segment. */
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

/* The rows as input of the codec; valid until the next load. */
extern CodecRows decoded_rows_source(const DecodedRows *rows);

/* Adds a row to a buffer. */
extern void decoded_rows_append(const DecodedRows *rows, uint32 row, RowBuffer *buffer);

/*
 * The first of the rows first .. end - 1 that is after time, or end.  Steps double and then halve,
 * which is cheap for a row near by and for one far away.
 */
static inline uint32
decoded_rows_after(const DecodedRows *rows, uint32 first, uint32 end, int64 time)
{
	const int64 *times = rows->time;
	uint32		low = first;
	uint32		step = 1;

	if (times[end - 1] <= time)
		return end;
	if (times[first] > time)
		return first;
	while (low + step < end && times[low + step] <= time)
	{
		low += step;
		step *= 2;
	}
	for (end = Min(end, low + step); low + 1 < end;)
	{
		uint32		middle = low + (end - low) / 2;

		if (times[middle] <= time)
			low = middle;
		else
			end = middle;
	}
	return low + 1;
}

#endif							/* HISTORIAN_DECODED_ROWS_H */
