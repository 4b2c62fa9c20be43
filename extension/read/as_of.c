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
 * seldom many, are searched, and some of them are kept pinned until they are passed.
 *
 * Several tables are searched one by one, and the latest of their rows is the answer.
 */
#include "postgres.h"

#include "read/as_of.h"

#include "utils/datum.h"

#include "read/foreign_rows.h"
#include "read/near_rows.h"
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

/*
 * The search in a foreign table.  A first query finds a row at or before a time; then the rows after
 * it are read on, unless there are many.
 */
typedef struct ForeignSearch
{
	bool		sought;
	bool		found;
	uint32		nfound;			/* how many rows were answers: the number of the present one */
	int64		time;			/* of the row found */
	Datum		values;			/* of the row found, unless it is in batch */
	bool		isnull;
	bool		in_batch;
	uint32		row;			/* of the row found, in batch */
	ForeignRows *after;			/* reads on behind the row found, or NULL */
	DecodedRows batch;
	uint32		next;			/* the first row of batch that is not reached */
	MemoryContext context;		/* for all of this */
} ForeignSearch;

/* The batches that are read on in search of a row; then a new query is cheaper. */
#define BATCHES_READ_ON 4

/* So many open segments are kept; each takes some 9 kB of memory. */
#define MOST_KEPT 8

typedef struct KeptSegment
{
	bool		used;
	StoredSegment stored;		/* pinned, rows opened */
} KeptSegment;

typedef struct OpenSegment
{
	uint32		index;			/* into pending.refs */
	KeptSegment *kept;			/* NULL: it is fetched for each search */
} OpenSegment;

/* The search in one table. */
typedef struct TableReader
{
	ForeignSearch *foreign;		/* of a foreign table, which uses no other member but the next */
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
	OpenSegment *open;
	KeptSegment *kept;			/* MOST_KEPT of them; NULL until needed */
	uint32		nopen;
	uint32		open_capacity;
	Candidate	passed;

	NearRows   *near;			/* values of answers */
} TableReader;

struct AsOfReader
{
	TableReader *tables;
	uint32		ntables;
	Candidate	answer;
};

static void start(TableReader *reader, text *tag, int64 until);
static Candidate seek(TableReader *reader, int64 time);
static bool is_same_row(Candidate *a, Candidate *b);
static void consider(Candidate *best, const Candidate *other);
static Candidate compacted_at(TableReader *reader, int64 time);
static void descend(TableReader *reader, int64 time);
static void look_ahead(TableReader *reader, int64 after);
static Candidate pending_at(TableReader *reader, int64 time);
static void open_reached(TableReader *reader, int64 time);
static Candidate find_in_pending(TableReader *reader, OpenSegment *open, int64 time);
static KeptSegment *keep(TableReader *reader, const SegmentRef *ref);
static void release_kept(KeptSegment *kept);
static void find_row(const TableReader *reader, const StoredSegment *stored, int64 time,
					 Candidate *found);
static void fetch_rows(const TableReader *reader, const SegmentRef *ref, StoredSegment *stored);
static void let_go(TableReader *reader);
static void close_pending(TableReader *reader);
static Candidate foreign_seek(TableReader *reader, int64 time);
static bool foreign_read_on(TableReader *reader, int64 time);
static void foreign_query(TableReader *reader, int64 time);
static void foreign_keep_values(ForeignSearch *search);
static Datum foreign_values(const ForeignSearch *search, bool *isnull);
static void foreign_forget(ForeignSearch *search);
static void foreign_stop(ForeignSearch *search);

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
		reader->tables[i].near = near_rows_begin();
		if (leaf_is_by_sql(&leaves->leaves[i]))
		{
			reader->tables[i].foreign = palloc0_object(ForeignSearch);
			reader->tables[i].foreign->context = CurrentMemoryContext;
		}
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
		close_pending(table);
		near_rows_end(table->near);
		if (table->foreign != NULL)
		{
			foreign_forget(table->foreign);
			decoded_rows_free(&table->foreign->batch);
			pfree(table->foreign);
		}
		if (table->pending.refs != NULL)
			pfree(table->pending.refs);
		if (table->open != NULL)
			pfree(table->open);
		if (table->kept != NULL)
			pfree(table->kept);
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
	*changed = best.valid != former.valid || (best.valid && !is_same_row(&best, &former));
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
	if (table->foreign != NULL)
		return foreign_values(table->foreign, isnull);
	if (table->has_segment &&
		ItemPointerEquals((ItemPointer) &table->segment.tuple.t_self, (ItemPointer) &ref->tid))
		return near_rows_array(table->near, table->rel, &table->segment, reader->answer.row, isnull);

	for (uint32 i = 0; i < table->nopen; i++)
	{
		const KeptSegment *kept = table->open[i].kept;

		if (kept != NULL && ItemPointerEquals((ItemPointer) &kept->stored.tuple.t_self,
											  (ItemPointer) &ref->tid))
			return near_rows_array(table->near, table->rel, &kept->stored, reader->answer.row, isnull);
	}

	fetch_rows(table, ref, &stored);
	values = near_rows_array(table->near, table->rel, &stored, reader->answer.row, isnull);
	store_release(&stored);
	return values;
}

static void
start(TableReader *reader, text *tag, int64 until)
{
	let_go(reader);
	close_pending(reader);
	near_rows_forget(reader->near);
	reader->tag = tag;
	reader->next_known = false;
	reader->none_before = false;
	reader->next_pending = 0;
	reader->passed.valid = false;
	reader->until = until;
	reader->listed = false;
	if (reader->foreign != NULL)
		foreign_forget(reader->foreign);
}

/* Are two valid candidates the same row?  A row of a foreign table has no place but its time. */
static bool
is_same_row(Candidate *a, Candidate *b)
{
	return a->table == b->table && a->time == b->time &&
		(a->table->foreign != NULL ||
		 (a->row == b->row && ItemPointerEquals(&a->ref.tid, &b->ref.tid)));
}

/* The table's last row at or before time. */
static Candidate
seek(TableReader *reader, int64 time)
{
	Candidate	best;
	Candidate	pending;

	if (reader->foreign != NULL)
		return foreign_seek(reader, time);
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
		OpenSegment *open = &reader->open[i];
		const SegmentRef *ref = &reader->pending.refs[open->index];

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
			release_kept(open->kept);
		}
		else
			reader->open[still_open++] = *open;
	}
	reader->nopen = still_open;

	best = reader->passed;
	for (uint32 i = 0; i < reader->nopen; i++)
	{
		Candidate	found = find_in_pending(reader, &reader->open[i], time);

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
				? palloc_array(OpenSegment, reader->open_capacity)
				: repalloc_array(reader->open, OpenSegment, reader->open_capacity);
		}
		reader->open[reader->nopen++] = (OpenSegment) {.index = reader->next_pending++};
	}
}

/* Searches a pending segment that begins at or before time and ends after it. */
static Candidate
find_in_pending(TableReader *reader, OpenSegment *open, int64 time)
{
	const SegmentRef *ref = &reader->pending.refs[open->index];
	StoredSegment stored;
	Candidate	found = {.valid = true, .table = reader, .ref = *ref};

	if (open->kept == NULL)
		open->kept = keep(reader, ref);
	if (open->kept != NULL)
	{
		find_row(reader, &open->kept->stored, time, &found);
		return found;
	}
	fetch_rows(reader, ref, &stored);
	find_row(reader, &stored, time, &found);
	store_release(&stored);
	return found;
}

/*
 * Fetches a segment to keep it, if fewer than MOST_KEPT are kept.  Shared ones are not: their rows may
 * be in memory of the runs, which is used again, and are found there without a pin.
 */
static KeptSegment *
keep(TableReader *reader, const SegmentRef *ref)
{
	KeptSegment *kept = NULL;

	if (ref->shared)
		return NULL;
	if (reader->kept == NULL)
		reader->kept = palloc0(MOST_KEPT * sizeof(KeptSegment));
	for (uint32 i = 0; i < MOST_KEPT && kept == NULL; i++)
	{
		if (!reader->kept[i].used)
			kept = &reader->kept[i];
	}
	if (kept == NULL)
		return NULL;
	fetch_rows(reader, ref, &kept->stored);
	kept->used = true;
	return kept;
}

static void
release_kept(KeptSegment *kept)
{
	if (kept == NULL)
		return;
	store_release(&kept->stored);
	kept->used = false;
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
	segment_ref_look(reader->rel, reader->snapshot, reader->cursor, reader->tag, ref, stored);
	store_open_rows(reader->rel, stored, false);
}

/* Releases the compacted segment. */
static void
let_go(TableReader *reader)
{
	if (reader->has_segment)
		store_release(&reader->segment);
	reader->has_segment = false;
}

/* Releases the open segments that are kept. */
static void
close_pending(TableReader *reader)
{
	for (uint32 i = 0; i < reader->nopen; i++)
		release_kept(reader->open[i].kept);
	reader->nopen = 0;
}

/* The foreign table's last row at or before time. */
static Candidate
foreign_seek(TableReader *reader, int64 time)
{
	ForeignSearch *search = reader->foreign;
	MemoryContext caller = MemoryContextSwitchTo(search->context);
	Candidate	found = {.table = reader};

	if (!search->sought || !foreign_read_on(reader, time))
		foreign_query(reader, time);
	MemoryContextSwitchTo(caller);
	search->sought = true;
	found.valid = search->found;
	found.time = search->time;
	found.row = search->nfound;
	return found;
}

/* Reads on up to time.  Returns false if it is not reached soon. */
static bool
foreign_read_on(TableReader *reader, int64 time)
{
	ForeignSearch *search = reader->foreign;

	if (search->found && search->time >= time)
		return true;
	if (search->after == NULL)
	{
		int64		from = search->found ? search->time + 1 : PG_INT64_MIN;

		foreign_keep_values(search);
		search->after = foreign_rows_begin(reader->rel, reader->tag, from, reader->until, false, 0);
		search->batch.nrows = 0;
		search->next = 0;
	}
	for (int i = 0; i < BATCHES_READ_ON; i++)
	{
		uint32		reached;

		if (search->next == search->batch.nrows)
		{
			foreign_keep_values(search);
			search->next = 0;
			if (!foreign_rows_next(search->after, &search->batch))
			{
				search->batch.nrows = 0;
				return true;
			}
		}
		reached = decoded_rows_after(&search->batch, search->next, search->batch.nrows, time);
		if (reached > search->next)
		{
			search->found = true;
			search->nfound++;
			search->in_batch = true;
			search->row = reached - 1;
			search->time = search->batch.time[search->row];
			search->next = reached;
		}
		if (reached < search->batch.nrows)
			return true;
	}
	return false;
}

/* Asks for the row at or before time. */
static void
foreign_query(TableReader *reader, int64 time)
{
	ForeignSearch *search = reader->foreign;
	ForeignRows *last = foreign_rows_begin(reader->rel, reader->tag, PG_INT64_MIN, time, true, 2);

	foreign_stop(search);
	search->found = foreign_rows_next(last, &search->batch);
	foreign_rows_end(last);
	if (search->found)
	{
		search->nfound++;
		search->in_batch = true;
		search->row = search->batch.nrows - 1;
		search->time = search->batch.time[search->row];
		foreign_keep_values(search);
	}
	search->batch.nrows = 0;
	search->next = 0;
}

/* Copies the values of the row found, before its batch is replaced. */
static void
foreign_keep_values(ForeignSearch *search)
{
	if (!search->in_batch)
		return;
	if (DatumGetPointer(search->values) != NULL)
		pfree(DatumGetPointer(search->values));
	search->values = decoded_rows_array(&search->batch, search->row, &search->isnull);
	search->in_batch = false;
}

/* Returns the values of the row found, palloc'd. */
static Datum
foreign_values(const ForeignSearch *search, bool *isnull)
{
	if (search->in_batch)
		return decoded_rows_array(&search->batch, search->row, isnull);
	*isnull = search->isnull;
	return *isnull ? (Datum) 0 : datumCopy(search->values, false, -1);
}

/* Forgets the row found, to start again. */
static void
foreign_forget(ForeignSearch *search)
{
	foreign_stop(search);
	search->sought = false;
	search->found = false;
}

/* Ends reading on. */
static void
foreign_stop(ForeignSearch *search)
{
	if (search->after != NULL)
		foreign_rows_end(search->after);
	search->after = NULL;
	if (DatumGetPointer(search->values) != NULL)
		pfree(DatumGetPointer(search->values));
	search->values = (Datum) 0;
	search->in_batch = false;
	search->batch.nrows = 0;
	search->next = 0;
}
