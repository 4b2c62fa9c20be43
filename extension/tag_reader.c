/*
 * tag_reader.c
 *	  The rows of one tag in ascending order of time, each time once.
 *
 * A merge of the tag's segments.  Compacted segments arrive one by one from the directory, the
 * pending ones from a sorted list; a segment is decoded when the merge reaches its first time and
 * let go at its last, so memory holds only the segments that overlap at one time: one of them, as
 * a rule.  As long as nothing else begins, a whole run of rows is handed out at once.
 */
#include "postgres.h"

#include "tag_reader.h"

#include "lib/binaryheap.h"
#include "miscadmin.h"

/* A segment whose rows the merge has reached. */
typedef struct Source
{
	SegmentRef	ref;
	DecodedRows rows;
	uint32		next;			/* the first row not handed out */
	struct Source *next_free;
} Source;

struct TagReader
{
	Relation	rel;
	DirectoryCursor *cursor;
	Snapshot	snapshot;
	MemoryContext context;
	TagReaderCounts counts;

	/* the range being read */
	int64		from;
	int64		until;
	bool		want_values;

	/* segments not reached yet */
	PendingList pending;
	uint32		next_pending;
	StoredSegment compacted;	/* the next compacted one, pinned */
	bool		has_compacted;

	/* segments reached: a heap with the earliest row on top */
	binaryheap *active;
	Source	   *lent;			/* the source of the last run: still in use by the caller */
	Source	   *free;
};

static void find_first_compacted(TagReader *reader, text *tag);
static void reserve_heap(TagReader *reader);
static void step_compacted(TagReader *reader);
static void activate_reached(TagReader *reader);
static void activate_compacted(TagReader *reader);
static void activate_pending(TagReader *reader);
static void activate(TagReader *reader, StoredSegment *stored);
static bool next_first_time(const TagReader *reader, int64 *first_time);
static void return_lent(TagReader *reader);
static void skip_superseded(TagReader *reader, int64 time);
static void clear(TagReader *reader);
static int	compare_sources(Datum left, Datum right, void *arg);

static inline int64
source_time(const Source *source)
{
	return source->rows.time[source->next];
}

static inline Source *
top_source(const TagReader *reader)
{
	return (Source *) DatumGetPointer(binaryheap_first(reader->active));
}

TagReader *
tag_reader_begin(Relation rel, DirectoryCursor *cursor, Snapshot snapshot)
{
	TagReader  *reader = palloc0(sizeof(TagReader));

	reader->rel = rel;
	reader->cursor = cursor;
	reader->snapshot = snapshot;
	reader->context = CurrentMemoryContext;
	reader->active = binaryheap_allocate(16, compare_sources, NULL);
	return reader;
}

void
tag_reader_end(TagReader *reader)
{
	clear(reader);
	while (reader->free != NULL)
	{
		Source	   *source = reader->free;

		reader->free = source->next_free;
		decoded_rows_free(&source->rows);
		pfree(source);
	}
	if (reader->pending.refs != NULL)
		pfree(reader->pending.refs);
	binaryheap_free(reader->active);
	pfree(reader);
}

void
tag_reader_start(TagReader *reader, text *tag, int64 from, int64 until, bool want_values)
{
	MemoryContext caller = MemoryContextSwitchTo(reader->context);

	clear(reader);
	reader->from = from;
	reader->until = until;
	reader->want_values = want_values;
	pending_list_load(&reader->pending, reader->cursor, tag, from, until);
	find_first_compacted(reader, tag);
	reserve_heap(reader);
	MemoryContextSwitchTo(caller);
}

void
tag_reader_start_segments(TagReader *reader, const PendingList *segments)
{
	MemoryContext caller = MemoryContextSwitchTo(reader->context);

	clear(reader);
	reader->from = PG_INT64_MIN;
	reader->until = PG_INT64_MAX;
	reader->want_values = true;
	for (uint32 i = 0; i < segments->nrefs; i++)
		pending_list_add(&reader->pending, &segments->refs[i]);
	reserve_heap(reader);
	MemoryContextSwitchTo(caller);
}

bool
tag_reader_next(TagReader *reader, RowRun *run)
{
	MemoryContext caller = MemoryContextSwitchTo(reader->context);
	Source	   *source;
	int64		limit;
	bool		limited;
	uint32		end;

	return_lent(reader);
	activate_reached(reader);
	MemoryContextSwitchTo(caller);
	if (binaryheap_empty(reader->active))
		return false;

	source = (Source *) DatumGetPointer(binaryheap_remove_first(reader->active));
	limited = next_first_time(reader, &limit);
	if (!binaryheap_empty(reader->active))
	{
		int64		other = source_time(top_source(reader));

		limit = limited ? Min(limit, other) : other;
		limited = true;
	}

	if (limited && source_time(source) == limit)
	{
		/* several segments have a row of this time: the heap's order has put the latest first */
		end = source->next + 1;
		skip_superseded(reader, limit);
	}
	else if (limited && source->rows.time[source->rows.nrows - 1] >= limit)
	{
		uint32		low = source->next;
		uint32		high = source->rows.nrows - 1;

		/* the first row at or after the limit */
		while (low < high)
		{
			uint32		middle = low + (high - low) / 2;

			if (source->rows.time[middle] < limit)
				low = middle + 1;
			else
				high = middle;
		}
		end = low;
	}
	else
		end = source->rows.nrows;

	run->segment = &source->ref;
	run->rows = &source->rows;
	run->first = source->next;
	run->nrows = end - source->next;
	source->next = end;
	reader->lent = source;
	return true;
}

TagReaderCounts
tag_reader_counts(const TagReader *reader)
{
	return reader->counts;
}

/* The compacted segment that holds `from`, or else the first that begins after it. */
static void
find_first_compacted(TagReader *reader, text *tag)
{
	StoredSegment stored;

	directory_seek_back(reader->cursor, tag, reader->from);
	if (directory_next_back(reader->cursor, &stored))
	{
		if (stored.segment.header.last_time >= reader->from)
		{
			reader->compacted = stored;
			reader->has_compacted = true;
		}
		else
			store_release(&stored);
	}
	directory_seek_forward(reader->cursor, tag, reader->from, reader->until);
	if (!reader->has_compacted)
		step_compacted(reader);
}

/* One compacted segment at most is active beside the pending ones, or lent. */
static void
reserve_heap(TagReader *reader)
{
	int			most_active = reader->pending.nrefs + 2;

	if (most_active <= reader->active->bh_space)
		return;
	binaryheap_free(reader->active);
	reader->active = binaryheap_allocate(most_active * 2, compare_sources, NULL);
}

static void
step_compacted(TagReader *reader)
{
	reader->has_compacted = directory_next_forward(reader->cursor, &reader->compacted);
}

/* Decodes every segment that begins at or before the earliest active row. */
static void
activate_reached(TagReader *reader)
{
	int64		first_time;

	while (next_first_time(reader, &first_time))
	{
		if (!binaryheap_empty(reader->active) && source_time(top_source(reader)) < first_time)
			return;
		if (reader->has_compacted && reader->compacted.segment.header.first_time == first_time)
			activate_compacted(reader);
		else
			activate_pending(reader);
	}
}

static void
activate_compacted(TagReader *reader)
{
	activate(reader, &reader->compacted);
	store_release(&reader->compacted);
	step_compacted(reader);
}

static void
activate_pending(TagReader *reader)
{
	StoredSegment stored;
	pending_fetch(reader->rel, reader->snapshot,
				  &reader->pending.refs[reader->next_pending++], &stored);
	activate(reader, &stored);
	store_release(&stored);
}

/* Decodes the wanted rows of a fetched segment, if there are any, and puts them on the heap. */
static void
activate(TagReader *reader, StoredSegment *stored)
{
	Source	   *source = reader->free;

	CHECK_FOR_INTERRUPTS();
	if (source != NULL)
		reader->free = source->next_free;
	else
		source = palloc0(sizeof(Source));

	store_open_rows(reader->rel, stored, true);
	source->ref = segment_ref(stored);
	source->next = 0;
	decoded_rows_load(&source->rows, &stored->segment, reader->from, reader->until,
					  reader->want_values);
	reader->counts.segments++;
	reader->counts.rows += source->rows.nrows;

	if (source->rows.nrows > 0)
		binaryheap_add(reader->active, PointerGetDatum(source));
	else
	{
		source->next_free = reader->free;
		reader->free = source;
	}
}

/* First time of the next segment not reached; false if there is none. */
static bool
next_first_time(const TagReader *reader, int64 *first_time)
{
	bool		has_pending = reader->next_pending < reader->pending.nrefs;

	if (has_pending)
		*first_time = reader->pending.refs[reader->next_pending].first_time;
	if (reader->has_compacted)
	{
		int64		compacted = reader->compacted.segment.header.first_time;

		*first_time = has_pending ? Min(*first_time, compacted) : compacted;
	}
	return has_pending || reader->has_compacted;
}

/* The caller is done with the last run. */
static void
return_lent(TagReader *reader)
{
	Source	   *source = reader->lent;

	if (source == NULL)
		return;
	reader->lent = NULL;
	if (source->next < source->rows.nrows)
		binaryheap_add(reader->active, PointerGetDatum(source));
	else
	{
		source->next_free = reader->free;
		reader->free = source;
	}
}

/* Passes over the rows of this time in all active segments. */
static void
skip_superseded(TagReader *reader, int64 time)
{
	while (!binaryheap_empty(reader->active) && source_time(top_source(reader)) == time)
	{
		Source	   *source = top_source(reader);

		source->next++;
		if (source->next < source->rows.nrows)
			binaryheap_replace_first(reader->active, PointerGetDatum(source));
		else
		{
			binaryheap_remove_first(reader->active);
			source->next_free = reader->free;
			reader->free = source;
		}
	}
}

/* Lets go of everything, to start anew. */
static void
clear(TagReader *reader)
{
	if (reader->has_compacted)
		store_release(&reader->compacted);
	reader->has_compacted = false;
	reader->next_pending = 0;
	reader->pending.nrefs = 0;
	if (reader->lent != NULL)
	{
		reader->lent->next = reader->lent->rows.nrows;
		return_lent(reader);
	}
	while (!binaryheap_empty(reader->active))
	{
		Source	   *source = (Source *) DatumGetPointer(binaryheap_remove_first(reader->active));

		source->next_free = reader->free;
		reader->free = source;
	}
}

/* binaryheap puts the greatest on top: the earliest time, and of equal times the latest load. */
static int
compare_sources(Datum left, Datum right, void *arg)
{
	const Source *a = (const Source *) DatumGetPointer(left);
	const Source *b = (const Source *) DatumGetPointer(right);

	if (source_time(a) != source_time(b))
		return source_time(a) < source_time(b) ? 1 : -1;
	return segment_ref_precedence(&a->ref, &b->ref);
}
