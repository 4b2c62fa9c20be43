/*
 * tag_totals.c
 *	  Reduces all rows of a tag within a range of time.
 *
 * The range is read as a single period.
 */
#include "postgres.h"

#include "read/tag_totals.h"

#include "utils/float.h"

#include "read/period_reader.h"

static void add_rows(TagTotals *totals, const RowSlice *slice);
static void add_summaries(TagTotals *totals, const SummarySlice *slice);
static void add_span(TagTotals *totals, int64 count, int64 first_time, int64 last_time);
static bool all_finite(const double *values, uint32 n);

/* Has a sum of finite numbers become infinite?  PostgreSQL's aggregates raise an error then. */
static inline bool
sum_left_range(const Reduction *reduced, bool was_finite)
{
	return was_finite && !isfinite(double_sum_value(&reduced->sum));
}

void
tag_totals_clear(TagTotals *totals)
{
	totals->count = 0;
	totals->first_time = PG_INT64_MAX;
	totals->last_time = PG_INT64_MIN;
	for (uint32 i = 0; i < totals->nvalues; i++)
		reduction_init(&totals->reduced[i]);
}

void
tag_totals_add(TagTotals *totals, Relation rel, DirectoryCursor *cursor, Snapshot snapshot,
			   text *tag, int64 from, int64 until)
{
	int			wanted =
		totals->nvalues > 0 ? period_reader_facets(totals->facets) : PERIOD_COUNTS_ONLY;
	PeriodReader *reader;
	PeriodPart	part;

	if (from > until)
		return;
	reader = period_reader_begin(rel, cursor, snapshot, tag, from, &until, 1, wanted, values_all);
	while (period_reader_next(reader, &part))
	{
		if (part.summarized)
			add_summaries(totals, &part.summaries);
		else
			add_rows(totals, &part.rows);
	}
	period_reader_end(reader);
}

static void
add_rows(TagTotals *totals, const RowSlice *slice)
{
	const int64 *time = slice->rows->time + slice->first;

	add_span(totals, slice->nrows, time[0], time[slice->nrows - 1]);
	for (uint32 i = 0; i < totals->nvalues; i++)
	{
		double		scratch[CODEC_MAX_ROWS];
		const double *values = NULL;
		uint32		n = row_slice_values(slice, totals->value[i], scratch, &values);
		bool		was_finite = isfinite(double_sum_value(&totals->reduced[i].sum));

		reduction_add(&totals->reduced[i], totals->facets, values, n);
		if (sum_left_range(&totals->reduced[i], was_finite) && all_finite(values, n))
			float_overflow_error();
	}
}

static void
add_summaries(TagTotals *totals, const SummarySlice *slice)
{
	const SummaryBlock *block = slice->block;
	uint32		first = slice->first;
	int64		count = 0;

	for (uint32 i = first; i < first + slice->nsegments; i++)
		count += block->nrows[i];
	add_span(totals, count, block->first_time[first],
			 block->last_time[first + slice->nsegments - 1]);
	for (uint32 i = 0; i < totals->nvalues; i++)
	{
		bool		was_finite = isfinite(double_sum_value(&totals->reduced[i].sum));

		if (totals->value[i] < block->width[first])
			summary_slice_reduce(slice, totals->value[i], count, totals->facets,
								 &totals->reduced[i]);
		/* values that are summarized are finite */
		if (sum_left_range(&totals->reduced[i], was_finite))
			float_overflow_error();
	}
}

/* Adds rows to the count and the range of times, which may be of several tags. */
static void
add_span(TagTotals *totals, int64 count, int64 first_time, int64 last_time)
{
	totals->count += count;
	totals->first_time = Min(totals->first_time, first_time);
	totals->last_time = Max(totals->last_time, last_time);
}

static bool
all_finite(const double *values, uint32 n)
{
	for (uint32 i = 0; i < n; i++)
	{
		if (!isfinite(values[i]))
			return false;
	}
	return true;
}
