/*
 * method_plot.c
 *	  The method that keeps the first, least, greatest and last row of each period.
 *
 * Segments that lie wholly in a period are read from their summaries, which tell the extremes but
 * not their times.  So an extreme may be known by its segment alone until the period ends.  Then
 * that segment is decoded, and no other one.  Parts come in order of time, and a later extreme
 * replaces one only if it is beyond it; so of equal values the earliest is kept, whichever part it
 * is in.
 */
#include "postgres.h"

#include "read/method_plot.h"

#include <math.h>

#include "utils/builtins.h"

#include "read/chosen_rows.h"
#include "read/leaf_periods.h"
#include "read/tag_reader.h"

/* Of samples, how many a period has: its first, least, greatest and last row. */
#define ROWS_PER_PERIOD 4

/* The least or the greatest value of a period so far. */
typedef struct Extreme
{
	double		value;
	int64		time;			/* of its row, or the first time of its segment */
	int64		until;			/* if it is in a segment: the last time of that */
	const Leaf *leaf;			/* of that segment; NULL if the row is known */
} Extreme;

typedef struct Plot
{
	const MethodCall *call;
	ChosenRows	chosen;
	LeafPeriods *periods;

	/* the period that is being read */
	uint32		period;
	bool		any;			/* has it a row with a value? */
	int64		first_time;
	int64		last_time;
	Extreme		least;
	Extreme		greatest;

	/* for the segments of extremes */
	const Leaf *leaf;			/* that the reader reads */
	Leaves	   *again;
	TagReader  *reader;
} Plot;

static void add_rows(Plot *plot, const RowSlice *slice);
static void add_summaries(Plot *plot, const SummarySlice *slice);
static void finish_period(Plot *plot);
static void find_row(Plot *plot, Extreme *extreme);
static void open_leaf(Plot *plot, const Leaf *leaf);
static void close_leaf(Plot *plot);

/*
 * Puts the first, least, greatest and last row of each of samples / 4 periods, in order of time and
 * each once, without rows whose value is NULL or NaN.
 */
void
method_plot(const MethodCall *call)
{
	Window		window = window_by_samples(call->window->start, call->window->end,
										   call->window->samples / ROWS_PER_PERIOD);
	Plot		plot = {.call = call};
	int64	   *ends = window_times(&window);
	PeriodPart	part;

	plot.periods = leaf_periods_begin(call->leaves, call->tag, window.start + 1, ends,
									  window.samples, 1 << SUMMARY_MIN | 1 << SUMMARY_MAX,
									  chosen_rows_values(call));
	while (leaf_periods_next(plot.periods, &part))
	{
		if (part.period != plot.period)
			finish_period(&plot);
		plot.period = part.period;
		if (part.summarized)
			add_summaries(&plot, &part.summaries);
		else
			add_rows(&plot, &part.rows);
	}
	finish_period(&plot);
	close_leaf(&plot);
	leaf_periods_end(plot.periods);
	chosen_rows_put(&plot.chosen, call);
}

static void
add_rows(Plot *plot, const RowSlice *slice)
{
	const DecodedRows *rows = slice->rows;

	chosen_rows_see(&plot->chosen, plot->call, slice);
	for (uint32 row = slice->first; row < slice->first + slice->nrows; row++)
	{
		Extreme		point = {.time = rows->time[row]};

		if (!chosen_rows_value(plot->call, rows, row, &point.value) || isnan(point.value))
			continue;
		if (!plot->any)
			plot->first_time = point.time;
		if (!plot->any || point.value < plot->least.value)
			plot->least = point;
		if (!plot->any || point.value > plot->greatest.value)
			plot->greatest = point;
		plot->last_time = point.time;
		plot->any = true;
	}
}

/* All values that are summarized are finite. */
static void
add_summaries(Plot *plot, const SummarySlice *slice)
{
	const SummaryBlock *block = slice->block;

	plot->chosen.has_array = true;
	if (block->width[slice->first] <= plot->call->value)
		return;
	plot->chosen.has_value = true;
	for (uint32 i = 0; i < slice->nsegments; i++)
	{
		Extreme		segment = {
			.time = block->first_time[slice->first + i],
			.until = block->last_time[slice->first + i],
			.leaf = leaf_periods_leaf(plot->periods),
		};

		if (!plot->any)
			plot->first_time = segment.time;
		segment.value = summary_slice_value(slice, SUMMARY_MIN, 0, i);
		if (!plot->any || segment.value < plot->least.value)
			plot->least = segment;
		segment.value = summary_slice_value(slice, SUMMARY_MAX, 0, i);
		if (!plot->any || segment.value > plot->greatest.value)
			plot->greatest = segment;
		plot->last_time = segment.until;
		plot->any = true;
	}
}

/* Chooses the rows of the period, if it has any. */
static void
finish_period(Plot *plot)
{
	int64		times[ROWS_PER_PERIOD];

	if (!plot->any)
		return;
	find_row(plot, &plot->least);
	find_row(plot, &plot->greatest);
	times[0] = plot->first_time;
	times[1] = Min(plot->least.time, plot->greatest.time);
	times[2] = Max(plot->least.time, plot->greatest.time);
	times[3] = plot->last_time;
	for (int i = 0; i < lengthof(times); i++)
	{
		if (i == 0 || times[i] != times[i - 1])
			chosen_rows_add(&plot->chosen, times[i]);
	}
	plot->any = false;
}

/* Finds the earliest row with an extreme that is known by its segment alone. */
static void
find_row(Plot *plot, Extreme *extreme)
{
	const SegmentList none = {0};
	RowRun		run;

	if (extreme->leaf == NULL)
		return;
	open_leaf(plot, extreme->leaf);

	/* the segment is compacted, and no pending one meets it; otherwise its summary was not used */
	tag_reader_start_part(plot->reader, plot->call->tag, extreme->time, extreme->until, &none,
						  true, true);
	while (tag_reader_next(plot->reader, &run))
	{
		for (uint32 row = run.first; row < run.first + run.nrows; row++)
		{
			double		value;

			if (chosen_rows_value(plot->call, run.rows, row, &value) && value == extreme->value)
			{
				extreme->time = run.rows->time[row];
				return;
			}
		}
	}
	ereport(ERROR,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("summary of tag \"%s\" in table \"%s\" does not fit the rows from " INT64_FORMAT
				   " to " INT64_FORMAT,
				   text_to_cstring(plot->call->tag), RelationGetRelationName(extreme->leaf->rel),
				   extreme->time, extreme->until),
			errhint("historian.check() shows what else is damaged."));
}

/* Opens a reader of the leaf, beside the one that reads the periods. */
static void
open_leaf(Plot *plot, const Leaf *leaf)
{
	Leaves		one = {
		.snapshot = plot->call->leaves->snapshot,
		.nleaves = 1,
		.leaves = unconstify(Leaf *, leaf),
	};

	if (plot->leaf == leaf)
		return;
	close_leaf(plot);
	plot->leaf = leaf;
	plot->again = leaves_again(&one);
	plot->reader = tag_reader_begin_leaves(plot->again);
	tag_reader_restrict_values(plot->reader, chosen_rows_values(plot->call));
}

static void
close_leaf(Plot *plot)
{
	if (plot->leaf == NULL)
		return;
	tag_reader_end(plot->reader);
	leaves_again_end(plot->again);
	plot->leaf = NULL;
}
