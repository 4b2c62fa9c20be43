/*
 * as_of.c
 *	  Finds the last row of a tag at or before a time, for ascending times.
 *
 * Compacted segments are disjoint, so only one of them can have the answer: the last one that
 * begins at or before the time.  It takes one descent in the directory to find, and none while the
 * times stay within it or before the beginning of the next one.
 *
 * Pending and late segments may overlap compacted ones, and pending ones each other.  As the times
 * ascend, each goes from ahead (it begins later) to open (it spans the time) to passed (it ends at
 * or before the time).  Of those passed only the one with the latest row counts.  Those open,
 * seldom more than one, are searched.
 *
 * Several tables are searched one by one, and the latest of their rows is the answer.
 */
#include "postgres.h"

#include "read/as_of.h"

#include "store/decoded_rows.h"
#include "store/segment_list.h"

/* A row that may be the answer. */
typedef struct Candidate
{
	bool		valid;
	struct TableReader *table;
	SegmentRef	ref;
	int64		time;
	uint32		row;
} Candidate;

/* The search in one table. */
typedef struct TableReader
{
	Relation	rel;
	DirectoryCursor *cursor;
	Snapshot	snapshot;
	text	   *tag;

	/* compacted: the segment that the last descent has found, and what is known of the next one */
	StoredSegment segment;		/* pinned, rows opened */
	bool		has_segment;
	bool		next_known;		/* next_first is known; otherwise descend past the segment */
	int64		next_first;		/* first time of the compacted segment after it */
	bool		none_before;	/* nothing compacted begins before next_first */

	/* pending, and late */
	int64		until;			/* no later time will be sought */
	bool		listed;			/* the list is loaded, for the first time sought and later ones */
	SegmentList pending;
	uint32		next_pending;	/* the first that is ahead */
	uint32	   *open;			/* indexes into pending.refs */
	uint32		nopen;
	uint32		open_capacity;
	Candidate	passed;
} TableReader;

struct AsOfReader
{
	TableReader *tables;
	uint32		ntables;
	Candidate	answer;
};

static void start(TableReader *reader, text *tag, int64 until);
static Candidate seek(TableReader *reader, int64 time);
static void consider(Candidate *best, const Candidate *other);
static Candidate compacted_at(TableReader *reader, int64 time);
static void descend(TableReader *reader, int64 time);
static void look_ahead(TableReader *reader, int64 after);
static Candidate pending_at(TableReader *reader, int64 time);
static void open_reached(TableReader *reader, int64 time);
static Candidate find_in_pending(TableReader *reader, const SegmentRef *ref, int64 time);
static void find_row(const TableReader *reader, const StoredSegment *stored, int64 time,
					 Candidate *found);
static void fetch_rows(const TableReader *reader, const SegmentRef *ref, StoredSegment *stored);
static void let_go(TableReader *reader);

AsOfReader *
as_of_begin(const Leaves *leaves)
{
	AsOfReader *reader = palloc0(sizeof(AsOfReader));

	reader->tables = palloc0(sizeof(TableReader) * leaves->nleaves);
	reader->ntables = leaves->nleaves;
	for (uint32 i = 0; i < leaves->nleaves; i++)
	{
		reader->tables[i].rel = leaves->leaves[i].rel;
		reader->tables[i].cursor = leaves->leaves[i].cursor;
		reader->tables[i].snapshot = leaves->snapshot;
	}
	return reader;
}

void
as_of_end(AsOfReader *reader)
{
	for (uint32 i = 0; i < reader->ntables; i++)
	{
		TableReader *table = &reader->tables[i];

		let_go(table);
		if (table->pending.refs != NULL)
			pfree(table->pending.refs);
		if (table->open != NULL)
			pfree(table->open);
	}
	pfree(reader->tables);
	pfree(reader);
}

void
as_of_start(AsOfReader *reader, text *tag, int64 until)
{
	for (uint32 i = 0; i < reader->ntables; i++)
		start(&reader->tables[i], tag, until);
	reader->answer.valid = false;
}

bool
as_of_seek(AsOfReader *reader, int64 time, bool *changed)
{
	Candidate	former = reader->answer;
	Candidate	best = {.valid = false};

	for (uint32 i = 0; i < reader->ntables; i++)
	{
		Candidate	found = seek(&reader->tables[i], time);

		consider(&best, &found);
	}
	reader->answer = best;
	*changed = best.valid != former.valid ||
		(best.valid &&
		 (best.row != former.row || best.table != former.table ||
		  !ItemPointerEquals(&best.ref.tid, &former.ref.tid)));
	return best.valid;
}

int64
as_of_time(const AsOfReader *reader)
{
	Assert(reader->answer.valid);
	return reader->answer.time;
}

Datum
as_of_values(const AsOfReader *reader, bool *isnull)
{
	const SegmentRef *ref = &reader->answer.ref;
	TableReader *table = reader->answer.table;
	StoredSegment stored;
	Datum		values;

	Assert(reader->answer.valid);
	if (table->has_segment &&
		ItemPointerEquals((ItemPointer) &table->segment.tuple.t_self, (ItemPointer) &ref->tid))
		return decoded_rows_segment_array(&table->segment.segment, reader->answer.row, isnull);

	fetch_rows(table, ref, &stored);
	values = decoded_rows_segment_array(&stored.segment, reader->answer.row, isnull);
	store_release(&stored);
	return values;
}

static void
start(TableReader *reader, text *tag, int64 until)
{
	let_go(reader);
	reader->tag = tag;
	reader->next_known = false;
	reader->none_before = false;
	reader->next_pending = 0;
	reader->nopen = 0;
	reader->passed.valid = false;
	reader->until = until;
	reader->listed = false;
}

/* The table's last row at or before time. */
static Candidate
seek(TableReader *reader, int64 time)
{
	Candidate	best;
	Candidate	pending;

	if (!reader->listed)
	{
		segment_list_load_as_of(&reader->pending, reader->cursor, reader->tag, time,
								Max(time, reader->until));
		reader->listed = true;
	}
	best = compacted_at(reader, time);
	pending = pending_at(reader, time);
	consider(&best, &pending);
	return best;
}

/* Keeps the later row or, of two with the same time, that of the later load. */
static void
consider(Candidate *best, const Candidate *other)
{
	if (!other->valid)
		return;
	if (!best->valid || other->time > best->time ||
		(other->time == best->time && segment_ref_precedence(&other->ref, &best->ref) > 0))
		*best = *other;
}

/* The last row at or before time in compacted segments. */
static Candidate
compacted_at(TableReader *reader, int64 time)
{
	Candidate	found = {.table = reader};
	const SegmentHeader *header = &reader->segment.segment.header;

	if (reader->next_known && time < reader->next_first)
	{
		if (reader->none_before)
			return found;
	}
	else if (!reader->has_segment || time > header->last_time)
		descend(reader, time);
	if (!reader->has_segment)
		return found;

	found.valid = true;
	found.ref = segment_ref(&reader->segment);
	found.row = header->nrows - 1;
	found.time = header->last_time;
	if (time < header->last_time)
		find_row(reader, &reader->segment, time, &found);
	return found;
}

/* Finds the compacted segment for a time after the end of the current one. */
static void
descend(TableReader *reader, int64 time)
{
	ItemPointerData former;
	bool		had_segment = reader->has_segment;
	int64		former_first = PG_INT64_MIN;
	int64		near = PG_INT64_MIN;

	if (had_segment)
	{
		const SegmentHeader *header = &reader->segment.segment.header;
		uint64		span = (uint64) header->last_time - (uint64) header->first_time;

		/*
		 * The segment sought begins no earlier than the former one.  It probably lasts about as
		 * long, so it is first sought only so far back: a near bound is quicker.
		 */
		former = reader->segment.tuple.t_self;
		former_first = header->first_time;
		near = former_first;
		if (span < (uint64) time - (uint64) former_first)
			near = time - (int64) span;
	}
	let_go(reader);
	reader->next_known = false;
	reader->none_before = false;

	directory_seek_back_within(reader->cursor, reader->tag, near, time);
	reader->has_segment = directory_next_back(reader->cursor, &reader->segment);
	if (!reader->has_segment && near > former_first)
	{
		directory_seek_back_within(reader->cursor, reader->tag, former_first, time);
		reader->has_segment = directory_next_back(reader->cursor, &reader->segment);
	}
	if (!reader->has_segment)
	{
		reader->none_before = true;
		look_ahead(reader, time);
		return;
	}
	store_open_rows(reader->rel, &reader->segment, false);

	/* if it is the same segment again, the time is in a gap, whose end is worth knowing */
	if (had_segment && ItemPointerEquals(&former, &reader->segment.tuple.t_self))
		look_ahead(reader, time);
}

/* Finds the first time of the next compacted segment, or PG_INT64_MAX if there is none. */
static void
look_ahead(TableReader *reader, int64 after)
{
	StoredSegment next;

	reader->next_known = true;
	reader->next_first = PG_INT64_MAX;
	directory_seek_forward(reader->cursor, reader->tag, after, PG_INT64_MAX);
	if (directory_next_forward(reader->cursor, &next))
	{
		reader->next_first = next.segment.header.first_time;
		store_release(&next);
	}
}

/* The last row at or before time in pending and late segments. */
static Candidate
pending_at(TableReader *reader, int64 time)
{
	Candidate	best;
	uint32		still_open = 0;

	open_reached(reader, time);
	for (uint32 i = 0; i < reader->nopen; i++)
	{
		const SegmentRef *ref = &reader->pending.refs[reader->open[i]];

		if (ref->last_time <= time)
		{
			Candidate	last = {
				.valid = true,
				.table = reader,
				.ref = *ref,
				.time = ref->last_time,
				.row = ref->nrows - 1,
			};

			consider(&reader->passed, &last);
		}
		else
			reader->open[still_open++] = reader->open[i];
	}
	reader->nopen = still_open;

	best = reader->passed;
	for (uint32 i = 0; i < reader->nopen; i++)
	{
		Candidate	found =
			find_in_pending(reader, &reader->pending.refs[reader->open[i]], time);

		consider(&best, &found);
	}
	return best;
}

/* Opens the pending segments that begin at or before time. */
static void
open_reached(TableReader *reader, int64 time)
{
	while (reader->next_pending < reader->pending.nrefs &&
		   reader->pending.refs[reader->next_pending].first_time <= time)
	{
		if (reader->nopen == reader->open_capacity)
		{
			reader->open_capacity = Max(16, reader->open_capacity * 2);
			reader->open = reader->open == NULL
				? palloc_array(uint32, reader->open_capacity)
				: repalloc_array(reader->open, uint32, reader->open_capacity);
		}
		reader->open[reader->nopen++] = reader->next_pending++;
	}
}

/* Searches a pending segment that begins at or before time and ends after it. */
static Candidate
find_in_pending(TableReader *reader, const SegmentRef *ref, int64 time)
{
	StoredSegment stored;
	Candidate	found = {.valid = true, .table = reader, .ref = *ref};

	fetch_rows(reader, ref, &stored);
	find_row(reader, &stored, time, &found);
	store_release(&stored);
	return found;
}

/*
 * Searches a segment that begins at or before time.  No checksum was compared, so it checks times.
 */
static void
find_row(const TableReader *reader, const StoredSegment *stored, int64 time, Candidate *found)
{
	const SegmentHeader *header = &stored->segment.header;
	int32		row = codec_find(&stored->segment.rows, time);

	if (row >= 0)
		found->time = codec_time_at(&stored->segment.rows, row);
	if (row < 0 || found->time < header->first_time || found->time > time)
		store_report(reader->rel, (ItemPointer) &stored->tuple.t_self, header, SEGMENT_BAD_TIMES);
	found->row = row;
}

static void
fetch_rows(const TableReader *reader, const SegmentRef *ref, StoredSegment *stored)
{
	segment_ref_fetch(reader->rel, reader->snapshot, reader->tag, ref, stored);
	store_open_rows(reader->rel, stored, false);
}

static void
let_go(TableReader *reader)
{
	if (reader->has_segment)
		store_release(&reader->segment);
	reader->has_segment = false;
}
