/*
 * method_last_known.c
 *	  The method last_known: the last value of each element that is not NULL.
 *
 * It is the method last, applied to each element by itself.  What is known when the window starts
 * is found by reading backward until all elements are known.  There are as many as the widest array
 * before the window has.  Summaries have that width and, of segments without one, the headers of
 * their blocks; no values are decoded for it.
 */
#include "postgres.h"

#include "read/method_last_known.h"

#include "miscadmin.h"

#include "read/leaf_periods.h"
#include "read/tag_reader.h"

/* What is known of each element. */
typedef struct Known
{
	bool		has_array;
	uint32		width;			/* of the widest array so far */
	uint32		nknown;
	double		values[CODEC_MAX_VALUES];
	bool		unknown[CODEC_MAX_VALUES];	/* [width] */
} Known;

static uint32 widest_before(const MethodCall *call);
static uint32 widest_in_leaf(const MethodCall *call, const Leaves *leaf);
static void read_backward(Known *known, const MethodCall *call);
static void widen(Known *known, uint32 width);
static void learn(Known *known, uint32 v, double value);
static void learn_row(Known *known, const DecodedRows *rows, uint32 row);
static void add_rows(Known *known, const RowSlice *slice);
static void add_summaries(Known *known, const SummarySlice *slice);

void
method_last_known(const MethodCall *call)
{
	Known	   *known = palloc0_object(Known);
	uint32		nperiods = call->window->samples;
	uint32		current = 0;
	LeafPeriods *reader;
	PeriodPart	part;

	read_backward(known, call);
	reader = leaf_periods_begin(call->leaves, call->tag, call->window->start + 1, call->ends,
								nperiods, 1 << SUMMARY_LAST, values_all);
	while (leaf_periods_next(reader, &part))
	{
		for (; current < part.period; current++)
			sample_sink_put_elements(call->sink, call->ends[current], known->has_array, known->values,
									 known->unknown, known->width);
		if (part.summarized)
			add_summaries(known, &part.summaries);
		else
			add_rows(known, &part.rows);
	}
	for (; current < nperiods; current++)
		sample_sink_put_elements(call->sink, call->ends[current], known->has_array, known->values,
								 known->unknown, known->width);
	leaf_periods_end(reader);
	pfree(known);
}

/*
 * Returns the width of the widest array at or before the window's start, or of a wider one later in
 * the same segment.
 */
static uint32
widest_before(const MethodCall *call)
{
	const Leaves *leaves = call->leaves;
	uint32		widest = 0;

	for (uint32 i = 0; i < leaves->nleaves; i++)
	{
		Leaves		leaf = {
			.snapshot = leaves->snapshot,
			.nleaves = 1,
			.leaves = &leaves->leaves[i],
		};
		uint32		width = leaf_is_by_sql(&leaves->leaves[i])
			? foreign_rows_widest(leaves->leaves[i].rel, call->tag, call->window->start)
			: widest_in_leaf(call, &leaf);

		widest = Max(widest, width);
	}
	return widest;
}

/* The same in one leaf. */
static uint32
widest_in_leaf(const MethodCall *call, const Leaves *leaf)
{
	uint32		widest = 0;
	LeafPeriods *reader = leaf_periods_begin(leaf, call->tag, PG_INT64_MIN, &call->window->start, 1,
											 PERIOD_WIDTHS_ONLY, values_all);
	PeriodPart	part;

	while (leaf_periods_next(reader, &part))
		widest = Max(widest, part.summarized ? part.summaries.block->width[part.summaries.first]
					 : part.rows.rows->widest);
	leaf_periods_end(reader);
	return widest;
}

/* Reads backward from the window's start until all elements are known. */
static void
read_backward(Known *known, const MethodCall *call)
{
	uint32		widest = widest_before(call);
	TagReader  *reader = tag_reader_begin_leaves(call->leaves);
	RowRun		run;

	tag_reader_start_backward(reader, call->tag, PG_INT64_MIN, call->window->start, true);
	while ((!known->has_array || known->nknown < widest) && tag_reader_next(reader, &run))
	{
		CHECK_FOR_INTERRUPTS();
		for (uint32 i = run.nrows; i > 0 && (!known->has_array || known->nknown < widest); i--)
			learn_row(known, run.rows, run.first + i - 1);
	}
	tag_reader_end(reader);
}

/* Makes room for arrays of this width. */
static void
widen(Known *known, uint32 width)
{
	known->has_array = true;
	for (; known->width < width; known->width++)
		known->unknown[known->width] = true;
}

static void
learn(Known *known, uint32 v, double value)
{
	known->nknown += known->unknown[v];
	known->unknown[v] = false;
	known->values[v] = value;
}

/* Learns from an earlier row what is not known yet. */
static void
learn_row(Known *known, const DecodedRows *rows, uint32 row)
{
	RowSlice	slice = {.rows = rows, .first = row, .nrows = 1};
	uint32		width;

	if (!row_slice_width(&slice, &width))
		return;
	widen(known, width);
	for (uint32 v = 0; v < width; v++)
	{
		if (known->unknown[v] && decoded_rows_has_value(rows, row, v))
			learn(known, v, rows->values[(Size) v * rows->nrows + row]);
	}
}

/* Learns the last value of each element in a slice. */
static void
add_rows(Known *known, const RowSlice *slice)
{
	const DecodedRows *rows = slice->rows;
	uint32		width;

	if (!row_slice_width(slice, &width))
		return;
	widen(known, width);
	for (uint32 v = 0; v < width; v++)
	{
		uint32		row = slice->first + slice->nrows;

		while (row > slice->first && !decoded_rows_has_value(rows, row - 1, v))
			row--;
		if (row > slice->first)
			learn(known, v, rows->values[(Size) v * rows->nrows + row - 1]);
	}
}

/* Learns the last values of the last segment, none of which is NULL, as it has a summary. */
static void
add_summaries(Known *known, const SummarySlice *slice)
{
	uint32		width = slice->block->width[slice->first];

	widen(known, width);
	for (uint32 v = 0; v < width; v++)
		learn(known, v, summary_slice_value(slice, SUMMARY_LAST, v, slice->nsegments - 1));
}
