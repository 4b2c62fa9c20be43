/*
 * slice_reader.c
 *	  Reads the rows of one tag in ascending order of time, cut at given times.
 *
 * The cuts are found by a search for times within a segment, not by a division for each row.
 */
#include "postgres.h"

#include "read/slice_reader.h"

#include "miscadmin.h"

struct SliceReader
{
	TagReader  *reader;
	text	   *tag;
	bool		want_values;
	const int64 *ends;
	uint32		nends;
	uint32		period;			/* of the last slice */
	RowRun		run;
	uint32		next;			/* the first row of the run that is not returned yet */
};

static SliceReader *begin_slices(TagReader *rows, text *tag, const int64 *ends, uint32 nends,
								 bool want_values);
static uint32 pack(const RowSlice *slice, uint32 v, const double **numbers, double *scratch);

SliceReader *
slice_reader_begin(const Leaves *leaves, text *tag, int64 from, const int64 *ends, uint32 nends,
				   bool want_values)
{
	SliceReader *reader = begin_slices(tag_reader_begin_leaves(leaves), tag, ends, nends,
									   want_values);

	tag_reader_start(reader->reader, tag, from, ends[nends - 1], want_values);
	return reader;
}

SliceReader *
slice_reader_begin_parts(Relation rel, DirectoryCursor *cursor, Snapshot snapshot, text *tag,
						 const int64 *ends, uint32 nends, bool want_values)
{
	return begin_slices(tag_reader_begin(rel, cursor, snapshot), tag, ends, nends, want_values);
}

void
slice_reader_restrict_values(SliceReader *reader, ValueRange values)
{
	tag_reader_restrict_values(reader->reader, values);
}

void
slice_reader_start_part(SliceReader *reader, int64 from, int64 until, const SegmentList *pending,
						bool after_segment)
{
	reader->run.rows = NULL;
	tag_reader_start_part(reader->reader, reader->tag, from, until, pending, after_segment,
						  reader->want_values);
}

void
slice_reader_end(SliceReader *reader)
{
	tag_reader_end(reader->reader);
	pfree(reader);
}

bool
slice_reader_next(SliceReader *reader, RowSlice *slice)
{
	const RowRun *run = &reader->run;
	int64		time;

	if (run->rows == NULL || reader->next == run->first + run->nrows)
	{
		CHECK_FOR_INTERRUPTS();
		if (!tag_reader_next(reader->reader, &reader->run))
			return false;
		reader->next = run->first;
	}

	time = run->rows->time[reader->next];
	while (time > reader->ends[reader->period])
		reader->period++;
	Assert(reader->period < reader->nends);

	slice->rows = run->rows;
	slice->first = reader->next;
	slice->nrows = decoded_rows_after(run->rows, reader->next, run->first + run->nrows,
									  reader->ends[reader->period]) - reader->next;
	slice->period = reader->period;
	reader->next += slice->nrows;
	return true;
}

bool
row_slice_width(const RowSlice *slice, uint32 *width)
{
	const uint16 *widths = slice->rows->width;
	bool		found = false;

	*width = 0;
	if (widths == NULL)
	{
		*width = slice->rows->nvalues;
		return true;
	}
	for (uint32 row = slice->first; row < slice->first + slice->nrows; row++)
	{
		if (widths[row] == CODEC_WIDTH_NULL)
			continue;
		found = true;
		*width = Max(*width, widths[row]);
	}
	return found;
}

uint32
row_slice_values(const RowSlice *slice, uint32 v, double *scratch, const double **values)
{
	const DecodedRows *rows = slice->rows;

	if (v >= rows->nvalues)
		return 0;
	*values = rows->values + (Size) v * rows->nrows + slice->first;
	if (rows->width == NULL && rows->isnull == NULL)
		return slice->nrows;
	return pack(slice, v, values, scratch);
}

const double *
row_slice_factors(const RowSlice *slice, uint32 v, const double *factors, double *scratch)
{
	if (slice->rows->width != NULL || slice->rows->isnull != NULL)
		pack(slice, v, &factors, scratch);
	return factors;
}

static SliceReader *
begin_slices(TagReader *rows, text *tag, const int64 *ends, uint32 nends, bool want_values)
{
	SliceReader *reader = palloc0(sizeof(SliceReader));

	reader->reader = rows;
	reader->tag = tag;
	reader->want_values = want_values;
	reader->ends = ends;
	reader->nends = nends;
	return reader;
}

/*
 * Points *numbers at the elements whose row has a value v, which it copies to scratch unless all
 * have one.  Returns how many these are.
 */
static uint32
pack(const RowSlice *slice, uint32 v, const double **numbers, double *scratch)
{
	uint32		taken = 0;

	for (uint32 i = 0; i < slice->nrows; i++)
	{
		scratch[taken] = (*numbers)[i];
		taken += decoded_rows_has_value(slice->rows, slice->first + i, v);
	}
	if (taken < slice->nrows)
		*numbers = scratch;
	return taken;
}
