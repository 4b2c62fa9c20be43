/*
 * leaf_periods.c
 *	  Reads consecutive periods of a tag, of one table or of several.
 *
 * Parts must ascend in time, so the leaves are read in groups, one after the other.  A leaf whose
 * span of time overlaps that of no other leaf is a group by itself, and is read with its summaries.
 * Leaves whose spans overlap are one group, whose rows are merged without summaries: a summary of
 * one leaf would hide where the rows of the others belong.  A foreign leaf has no summaries.
 */
#include "postgres.h"

#include "read/leaf_periods.h"

#include "miscadmin.h"

#include "read/as_of.h"
#include "read/slice_reader.h"
#include "read/tag_reader.h"

/* A leaf and the span of its rows. */
typedef struct Extent
{
	int64		first_time;
	int64		last_time;
	Leaf		leaf;
} Extent;

struct LeafPeriods
{
	text	   *tag;
	int64		from;
	const int64 *ends;
	uint32		nends;
	int			facets;
	ValueRange	values;

	/* the groups that are not begun yet, if there are several leaves */
	Extent	   *extents;		/* in order of first_time */
	uint32		nextents;
	uint32		next_extent;
	Leaves		group;

	/* the group being read: one leaf, or several */
	PeriodReader *one;
	const Leaf *one_leaf;
	SliceReader *merged;
};

static void find_extents(LeafPeriods *reader, const Leaves *leaves);
static bool find_extent(const LeafPeriods *reader, const Leaves *leaf, Extent *extent);
static int	compare_extents(const void *left, const void *right);
static bool begin_group(LeafPeriods *reader);
static void end_group(LeafPeriods *reader);

LeafPeriods *
leaf_periods_begin(const Leaves *leaves, text *tag, int64 from, const int64 *ends, uint32 nends,
				   int facets, ValueRange values)
{
	LeafPeriods *reader = palloc0_object(LeafPeriods);

	reader->tag = tag;
	reader->from = from;
	reader->ends = ends;
	reader->nends = nends;
	reader->facets = facets;
	reader->values = values;
	if (leaves->nleaves == 1 && !leaf_is_by_sql(&leaves->leaves[0]))
	{
		reader->one_leaf = &leaves->leaves[0];
		reader->one = period_reader_begin(leaves->leaves[0].rel, leaves->leaves[0].cursor,
										  leaves->snapshot, tag, from, ends, nends, facets,
										  values);
	}
	else
		find_extents(reader, leaves);
	return reader;
}

bool
leaf_periods_next(LeafPeriods *reader, PeriodPart *part)
{
	do
	{
		if (reader->one != NULL && period_reader_next(reader->one, part))
			return true;
		if (reader->merged != NULL && slice_reader_next(reader->merged, &part->rows))
		{
			part->period = part->rows.period;
			part->summarized = false;
			return true;
		}
		end_group(reader);
	} while (begin_group(reader));
	return false;
}

const Leaf *
leaf_periods_leaf(const LeafPeriods *reader)
{
	Assert(reader->one != NULL);
	return reader->one_leaf;
}

void
leaf_periods_end(LeafPeriods *reader)
{
	end_group(reader);
	if (reader->extents != NULL)
	{
		pfree(reader->extents);
		pfree(reader->group.leaves);
	}
	pfree(reader);
}

/* Lists the leaves that have rows to read, with their spans. */
static void
find_extents(LeafPeriods *reader, const Leaves *leaves)
{
	reader->extents = palloc_array(Extent, leaves->nleaves);
	reader->group.snapshot = leaves->snapshot;
	reader->group.leaves = palloc_array(Leaf, leaves->nleaves);
	for (uint32 i = 0; i < leaves->nleaves; i++)
	{
		Leaves		leaf = {
			.snapshot = leaves->snapshot,
			.nleaves = 1,
			.leaves = &leaves->leaves[i],
		};

		if (find_extent(reader, &leaf, &reader->extents[reader->nextents]))
			reader->nextents++;
	}
	qsort(reader->extents, reader->nextents, sizeof(Extent), compare_extents);
}

/* Finds the first and last row to read of a leaf; returns false if there are none. */
static bool
find_extent(const LeafPeriods *reader, const Leaves *leaf, Extent *extent)
{
	int64		until = reader->ends[reader->nends - 1];
	AsOfReader *last = as_of_begin(leaf);
	bool		changed;
	bool		found;

	CHECK_FOR_INTERRUPTS();
	extent->leaf = leaf->leaves[0];
	as_of_start(last, reader->tag, until);
	found = as_of_seek(last, until, &changed);
	if (found)
		extent->last_time = as_of_time(last);
	as_of_end(last);
	if (found && extent->last_time >= reader->from)
	{
		TagReader  *first = tag_reader_begin_leaves(leaf);
		RowRun		run;

		tag_reader_start(first, reader->tag, reader->from, until, false);
		found = tag_reader_next(first, &run);
		if (found)
			extent->first_time = run.rows->time[run.first];
		tag_reader_end(first);
		return found;
	}
	return false;
}

static int
compare_extents(const void *left, const void *right)
{
	const Extent *a = left;
	const Extent *b = right;

	return a->first_time < b->first_time ? -1 : a->first_time > b->first_time;
}

/* Begins the group of the next leaf and all whose spans overlap; returns false if none is left. */
static bool
begin_group(LeafPeriods *reader)
{
	Leaves	   *group = &reader->group;
	int64		from;
	int64		until;

	if (reader->next_extent == reader->nextents)
		return false;
	from = reader->extents[reader->next_extent].first_time;
	until = reader->extents[reader->next_extent].last_time;
	group->nleaves = 0;
	while (reader->next_extent < reader->nextents &&
		   reader->extents[reader->next_extent].first_time <= until)
	{
		const Extent *extent = &reader->extents[reader->next_extent++];

		until = Max(until, extent->last_time);
		group->leaves[group->nleaves++] = extent->leaf;
	}
	if (group->nleaves == 1 && !leaf_is_by_sql(&group->leaves[0]))
	{
		reader->one_leaf = &reader->extents[reader->next_extent - 1].leaf;
		reader->one = period_reader_begin(group->leaves[0].rel, group->leaves[0].cursor,
										  group->snapshot, reader->tag, from, reader->ends,
										  reader->nends, reader->facets, reader->values);
	}
	else
	{
		reader->merged = slice_reader_begin(group, reader->tag, from, reader->ends, reader->nends,
											reader->facets != PERIOD_COUNTS_ONLY &&
											reader->facets != PERIOD_WIDTHS_ONLY);
		slice_reader_restrict_values(reader->merged, reader->values);
	}
	return true;
}

static void
end_group(LeafPeriods *reader)
{
	if (reader->one != NULL)
		period_reader_end(reader->one);
	if (reader->merged != NULL)
		slice_reader_end(reader->merged);
	reader->one = NULL;
	reader->merged = NULL;
}
