/*
 * extremes.c
 *	  The first, least, greatest and last row of each period, by one value.
 *
 * Segments that lie wholly in a period are read from their summaries, which tell the extremes but
 * not their times.  So an extreme may be known by its segment alone until the period ends.  Then
 * that segment is decoded, and no other one.  Parts come in order of time, and a later extreme
 * replaces one only if it is beyond it; so of equal values the earliest is kept, whichever part it
 * is in.
 */
#include "postgres.h"

#include "read/extremes.h"

#include <math.h>

#include "utils/builtins.h"

#include "read/leaf_periods.h"
#include "read/tag_reader.h"

/* The least or the greatest value of a period so far. */
typedef struct Extreme
{
	double		value;
	int64		time;			/* of its row, or the first time of its segment */
	int64		until;			/* if it is in a segment: the last time of that */
	const Leaf *leaf;			/* of that segment; NULL if the row is known */
} Extreme;

typedef struct ExtremesReader
{
	const MethodCall *call;
	bool		finite;
	ChosenRows *chosen;
	LeafPeriods *periods;
	ExtremesCallback callback;
	void	   *argument;

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
	TagReader  *tag_reader;
} ExtremesReader;

static void add_rows(ExtremesReader *reader, const RowSlice *slice);
static void add_summaries(ExtremesReader *reader, const SummarySlice *slice);
static void finish_period(ExtremesReader *reader);
static void find_row(ExtremesReader *reader, Extreme *extreme);
static void open_leaf(ExtremesReader *reader, const Leaf *leaf);
static void close_leaf(ExtremesReader *reader);

void
extremes_read(const MethodCall *call, const Window *window, bool finite, ChosenRows *chosen,
			  ExtremesCallback callback, void *argument)
{
	ExtremesReader reader = {
		.call = call,
		.finite = finite,
		.chosen = chosen,
		.callback = callback,
		.argument = argument,
	};
	int64	   *ends = window_times(window);
	PeriodPart	part;

	reader.periods = leaf_periods_begin(call->leaves, call->tag, window->start + 1, ends,
										window->samples, 1 << SUMMARY_MIN | 1 << SUMMARY_MAX,
										chosen_rows_values(call));
	while (leaf_periods_next(reader.periods, &part))
	{
		if (part.period != reader.period)
			finish_period(&reader);
		reader.period = part.period;
		if (part.summarized)
			add_summaries(&reader, &part.summaries);
		else
			add_rows(&reader, &part.rows);
	}
	finish_period(&reader);
	close_leaf(&reader);
	leaf_periods_end(reader.periods);
	pfree(ends);
}

static void
add_rows(ExtremesReader *reader, const RowSlice *slice)
{
	const DecodedRows *rows = slice->rows;

	chosen_rows_see(reader->chosen, reader->call, slice);
	for (uint32 row = slice->first; row < slice->first + slice->nrows; row++)
	{
		Extreme		point = {.time = rows->time[row]};

		if (!chosen_rows_value(reader->call, rows, row, &point.value) || isnan(point.value) ||
			(reader->finite && isinf(point.value)))
			continue;
		if (!reader->any)
			reader->first_time = point.time;
		if (!reader->any || point.value < reader->least.value)
			reader->least = point;
		if (!reader->any || point.value > reader->greatest.value)
			reader->greatest = point;
		reader->last_time = point.time;
		reader->any = true;
	}
}

/* All values that are summarized are finite. */
static void
add_summaries(ExtremesReader *reader, const SummarySlice *slice)
{
	const SummaryBlock *block = slice->block;

	reader->chosen->has_array = true;
	if (block->width[slice->first] <= reader->call->value)
		return;
	reader->chosen->has_value = true;
	for (uint32 i = 0; i < slice->nsegments; i++)
	{
		Extreme		segment = {
			.time = block->first_time[slice->first + i],
			.until = block->last_time[slice->first + i],
			.leaf = leaf_periods_leaf(reader->periods),
		};

		if (!reader->any)
			reader->first_time = segment.time;
		segment.value = summary_slice_value(slice, SUMMARY_MIN, 0, i);
		if (!reader->any || segment.value < reader->least.value)
			reader->least = segment;
		segment.value = summary_slice_value(slice, SUMMARY_MAX, 0, i);
		if (!reader->any || segment.value > reader->greatest.value)
			reader->greatest = segment;
		reader->last_time = segment.until;
		reader->any = true;
	}
}

/* Calls back for the period, if it has any rows. */
static void
finish_period(ExtremesReader *reader)
{
	PeriodExtremes period;

	if (!reader->any)
		return;
	find_row(reader, &reader->least);
	find_row(reader, &reader->greatest);
	period = (PeriodExtremes) {
		.first_time = reader->first_time,
		.last_time = reader->last_time,
		.least = reader->least.value,
		.greatest = reader->greatest.value,
		.least_time = reader->least.time,
		.greatest_time = reader->greatest.time,
	};
	reader->callback(reader->argument, &period);
	reader->any = false;
}

/* Finds the earliest row with an extreme that is known by its segment alone. */
static void
find_row(ExtremesReader *reader, Extreme *extreme)
{
	const SegmentList none = {0};
	RowRun		run;

	if (extreme->leaf == NULL)
		return;
	open_leaf(reader, extreme->leaf);

	/* the segment is compacted, and no pending one meets it; otherwise its summary was not used */
	tag_reader_start_part(reader->tag_reader, reader->call->tag, extreme->time, extreme->until, &none,
						  true, true);
	while (tag_reader_next(reader->tag_reader, &run))
	{
		for (uint32 row = run.first; row < run.first + run.nrows; row++)
		{
			double		value;

			if (chosen_rows_value(reader->call, run.rows, row, &value) && value == extreme->value)
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
				   text_to_cstring(reader->call->tag), RelationGetRelationName(extreme->leaf->rel),
				   extreme->time, extreme->until),
			errhint("historian.check() shows what else is damaged."));
}

/* Opens a reader of the leaf, beside the one that reads the periods. */
static void
open_leaf(ExtremesReader *reader, const Leaf *leaf)
{
	Leaves		one = {
		.snapshot = reader->call->leaves->snapshot,
		.nleaves = 1,
		.leaves = unconstify(Leaf *, leaf),
	};

	if (reader->leaf == leaf)
		return;
	close_leaf(reader);
	reader->leaf = leaf;
	reader->again = leaves_again(&one);
	reader->tag_reader = tag_reader_begin_leaves(reader->again);
	tag_reader_restrict_values(reader->tag_reader, chosen_rows_values(reader->call));
}

static void
close_leaf(ExtremesReader *reader)
{
	if (reader->leaf == NULL)
		return;
	tag_reader_end(reader->tag_reader);
	leaves_again_end(reader->again);
	reader->leaf = NULL;
}
