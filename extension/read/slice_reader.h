/*
 * slice_reader.h
 *	  Reads the rows of one tag in ascending order of time, cut at given times.
 */
#ifndef HISTORIAN_SLICE_READER_H
#define HISTORIAN_SLICE_READER_H

#include "postgres.h"

#include "read/tag_reader.h"

/* Consecutive rows of one segment that lie in one period; there may be several in a period. */
typedef struct RowSlice
{
	const DecodedRows *rows;
	uint32		first;
	uint32		nrows;			/* at least 1 */
	uint32		period;			/* ends[period - 1] < time <= ends[period] */
} RowSlice;

typedef struct SliceReader SliceReader;

/*
 * Reads the rows with from <= time <= the last of ends, which ascend and must outlive the reader,
 * as must the cursors and the tag.  Values are decoded only where wanted.
 */
extern SliceReader *slice_reader_begin(const Leaves *leaves, text *tag, int64 from,
									   const int64 *ends, uint32 nends, bool want_values);

/* The same for one table; there is nothing to read until slice_reader_start_part(). */
extern SliceReader *slice_reader_begin_parts(Relation rel, DirectoryCursor *cursor,
											 Snapshot snapshot, text *tag, const int64 *ends,
											 uint32 nends, bool want_values);

/* Restricts the values that are decoded where values are wanted, before the first slice. */
extern void slice_reader_restrict_values(SliceReader *reader, ValueRange values);

/* Starts with the rows from <= time <= until: see tag_reader_start_part(). */
extern void slice_reader_start_part(SliceReader *reader, int64 from, int64 until,
									const SegmentList *pending, bool after_segment);
extern void slice_reader_end(SliceReader *reader);

/* The next rows, or false at the end.  A slice is valid until the next call. */
extern bool slice_reader_next(SliceReader *reader, RowSlice *slice);

/* Sets *width to that of the widest array in a slice, or returns false if all arrays are NULL. */
extern bool row_slice_width(const RowSlice *slice, uint32 *width);

/*
 * Returns the number of rows that have a value v, and sets *values to these.  They are in the slice
 * or, if some rows lack the value, in scratch[slice->nrows].
 */
extern uint32 row_slice_values(const RowSlice *slice, uint32 v, double *scratch,
							   const double **values);

/* Returns the elements of factors[slice->nrows] for the same rows, in the same way. */
extern const double *row_slice_factors(const RowSlice *slice, uint32 v, const double *factors,
									   double *scratch);

#endif							/* HISTORIAN_SLICE_READER_H */
