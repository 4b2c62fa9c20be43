/*
 * tag_reader.c
 *	  Reads the rows of one tag in order of time, each time only once.
 *
 * The reader merges the tag's segments.  Compacted segments come one by one from the directory,
 * pending and late ones from a sorted list.  A segment is decoded when the merge reaches it and
 * dropped at its end, so memory has only the segments that overlap at one time, usually one.  All
 * rows of a segment that come before the next segment begins are returned at once, as a run.
 *
 * The segments of several tables are merged in the same way: each table is a *strand* of its own.
 * The rows of a foreign table come in batches, which are merged like segments.
 *
 * All comparisons are of keys.  A key is the time or, if the reader goes backward, its complement,
 * which reverses the order of all int64 without overflow.
 */
#include "postgres.h"

#include "read/tag_reader.h"

#include "lib/binaryheap.h"
#include "miscadmin.h"

/* A segment whose rows the merge has reached. */
typedef struct Source
{
	SegmentRef	ref;
	DecodedRows rows;
	uint32		left;			/* rows not returned yet: the last ones or, backward, the first */
	struct Source *next_free;
} Source;

/* The segments of one table that the merge has not reached yet. */
typedef struct Strand
{
	Relation	rel;
	DirectoryCursor *cursor;
	SegmentList pending;
	uint32		next_pending;
	StoredSegment compacted;	/* the next compacted one, pinned */
	bool		has_compacted;

	/* of a foreign table, which has no segments: the next batch of its rows */
	bool		is_foreign;
	ForeignRows *foreign;
	DecodedRows batch;
	bool		has_batch;
} Strand;

struct TagReader
{
	Snapshot	snapshot;
	MemoryContext context;
	TagReaderCounts counts;

	/* what is being read */
	text	   *tag;
	int64		from;
	int64		until;
	bool		want_values;
	ValueRange	values;			/* the values to decode, if wanted */
	bool		backward;

	Strand	   *strands;
	uint32		nstrands;

	/* the segments reached: a heap with the row of the least key on top */
	binaryheap *active;
	Source	   *lent;			/* the source of the last run, which the caller still uses */
	Source	   *free;
};

static void start(TagReader *reader, text *tag, int64 from, int64 until, bool want_values,
				  bool backward);
static TagReader *begin_reader(Snapshot snapshot, uint32 nstrands);
static void find_first_compacted(TagReader *reader, Strand *strand, text *tag);
static void reserve_heap(TagReader *reader);
static void step_compacted(TagReader *reader, Strand *strand);
static void activate_reached(TagReader *reader);
static void activate_compacted(TagReader *reader, Strand *strand);
static void activate_pending(TagReader *reader, Strand *strand);
static void activate_batch(TagReader *reader, Strand *strand);
static Source *new_source(TagReader *reader);
static void activate(TagReader *reader, Relation rel, StoredSegment *stored);
static int64 compacted_key(const TagReader *reader, const Strand *strand);
static bool strand_key(const TagReader *reader, const Strand *strand, int64 *key);
static Strand *next_segment(const TagReader *reader, int64 *key);
static uint32 rows_before(const TagReader *reader, const Source *source, int64 limit);
static void put_back(TagReader *reader, Source *source);
static void return_lent(TagReader *reader);
static void skip_superseded(TagReader *reader, int64 key);
static void clear(TagReader *reader);
static int	compare_sources(Datum left, Datum right, void *arg);

static inline int64
key_of(const TagReader *reader, int64 time)
{
	return reader->backward ? ~time : time;
}

/* The source's next row. */
static inline uint32
source_row(const TagReader *reader, const Source *source)
{
	return reader->backward ? source->left - 1 : source->rows.nrows - source->left;
}

static inline int64
source_key(const TagReader *reader, const Source *source)
{
	return key_of(reader, source->rows.time[source_row(reader, source)]);
}

/* The key at which the merge meets a segment. */
static inline int64
segment_key(const TagReader *reader, int64 first_time, int64 last_time)
{
	return reader->backward ? ~last_time : first_time;
}

static inline Source *
top_source(const TagReader *reader)
{
	return (Source *) DatumGetPointer(binaryheap_first(reader->active));
}

TagReader *
tag_reader_begin(Relation rel, DirectoryCursor *cursor, Snapshot snapshot)
{
	TagReader  *reader = begin_reader(snapshot, 1);

	reader->strands[0].rel = rel;
	reader->strands[0].cursor = cursor;
	return reader;
}

TagReader *
tag_reader_begin_leaves(const Leaves *leaves)
{
	TagReader  *reader = begin_reader(leaves->snapshot, leaves->nleaves);

	for (uint32 i = 0; i < leaves->nleaves; i++)
	{
		reader->strands[i].rel = leaves->leaves[i].rel;
		reader->strands[i].cursor = leaves->leaves[i].cursor;
		reader->strands[i].is_foreign = leaf_is_by_sql(&leaves->leaves[i]);
	}
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
	for (uint32 i = 0; i < reader->nstrands; i++)
	{
		if (reader->strands[i].pending.refs != NULL)
			pfree(reader->strands[i].pending.refs);
		decoded_rows_free(&reader->strands[i].batch);
	}
	pfree(reader->strands);
	binaryheap_free(reader->active);
	pfree(reader);
}

void
tag_reader_restrict_values(TagReader *reader, ValueRange values)
{
	reader->values = values;
}

void
tag_reader_start(TagReader *reader, text *tag, int64 from, int64 until, bool want_values)
{
	start(reader, tag, from, until, want_values, false);
}

void
tag_reader_start_backward(TagReader *reader, text *tag, int64 from, int64 until, bool want_values)
{
	start(reader, tag, from, until, want_values, true);
}

void
tag_reader_start_part(TagReader *reader, text *tag, int64 from, int64 until,
					  const SegmentList *pending, bool after_segment, bool want_values)
{
	MemoryContext caller = MemoryContextSwitchTo(reader->context);
	Strand	   *strand = &reader->strands[0];

	Assert(reader->nstrands == 1);
	clear(reader);
	reader->tag = tag;
	reader->from = from;
	reader->until = until;
	reader->want_values = want_values;
	reader->backward = false;
	for (uint32 i = 0; i < pending->nrefs && pending->refs[i].first_time <= until; i++)
	{
		if (pending->refs[i].last_time >= from)
			segment_list_add(&strand->pending, &pending->refs[i]);
	}
	if (after_segment && from > PG_INT64_MIN)
	{
		directory_seek_forward(strand->cursor, tag, from - 1, until);
		step_compacted(reader, strand);
	}
	else
		find_first_compacted(reader, strand, tag);
	reserve_heap(reader);
	MemoryContextSwitchTo(caller);
}

void
tag_reader_start_segments(TagReader *reader, text *tag, const SegmentList *segments,
						  bool want_values)
{
	MemoryContext caller = MemoryContextSwitchTo(reader->context);

	Assert(reader->nstrands == 1);
	clear(reader);
	reader->tag = tag;
	reader->from = PG_INT64_MIN;
	reader->until = PG_INT64_MAX;
	reader->want_values = want_values;
	reader->backward = false;
	for (uint32 i = 0; i < segments->nrefs; i++)
		segment_list_add(&reader->strands[0].pending, &segments->refs[i]);
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
	uint32		taken;

	return_lent(reader);
	activate_reached(reader);
	MemoryContextSwitchTo(caller);
	if (binaryheap_empty(reader->active))
		return false;

	source = (Source *) DatumGetPointer(binaryheap_remove_first(reader->active));
	limited = next_segment(reader, &limit) != NULL;
	if (!binaryheap_empty(reader->active))
	{
		int64		other = source_key(reader, top_source(reader));

		limit = limited ? Min(limit, other) : other;
		limited = true;
	}

	if (limited && source_key(reader, source) == limit)
	{
		/*
		 * several segments have a row of this time, of which the heap puts the latest load's first
		 */
		taken = 1;
		skip_superseded(reader, limit);
	}
	else
		taken = limited ? rows_before(reader, source, limit) : source->left;

	run->segment = &source->ref;
	run->rows = &source->rows;
	run->first = reader->backward ? source->left - taken : source_row(reader, source);
	run->nrows = taken;
	source->left -= taken;
	reader->lent = source;
	return true;
}

TagReaderCounts
tag_reader_counts(const TagReader *reader)
{
	return reader->counts;
}

static TagReader *
begin_reader(Snapshot snapshot, uint32 nstrands)
{
	TagReader  *reader = palloc0(sizeof(TagReader));

	reader->strands = palloc0(sizeof(Strand) * nstrands);
	reader->nstrands = nstrands;
	reader->snapshot = snapshot;
	reader->context = CurrentMemoryContext;
	reader->values = values_all;
	reader->active = binaryheap_allocate(16, compare_sources, reader);
	return reader;
}

/* Starts to read a tag from all strands. */
static void
start(TagReader *reader, text *tag, int64 from, int64 until, bool want_values, bool backward)
{
	MemoryContext caller = MemoryContextSwitchTo(reader->context);

	clear(reader);
	reader->tag = tag;
	reader->from = from;
	reader->until = until;
	reader->want_values = want_values;
	reader->backward = backward;
	for (uint32 i = 0; i < reader->nstrands; i++)
	{
		Strand	   *strand = &reader->strands[i];

		if (strand->is_foreign)
		{
			strand->foreign = foreign_rows_begin(strand->rel, tag, from, until, backward, 0);
			strand->has_batch = foreign_rows_next(strand->foreign, &strand->batch);
			continue;
		}
		segment_list_load(&strand->pending, strand->cursor, tag, from, until);
		if (backward)
		{
			segment_list_sort_backward(&strand->pending);
			directory_seek_back(strand->cursor, tag, until);
			step_compacted(reader, strand);
		}
		else
			find_first_compacted(reader, strand, tag);
	}
	reserve_heap(reader);
	MemoryContextSwitchTo(caller);
}

/* How many of the source's rows come before a key?  At least one does. */
static uint32
rows_before(const TagReader *reader, const Source *source, int64 limit)
{
	uint32		start = source_row(reader, source);
	uint32		low = 1;
	uint32		high = source->left;

	while (low < high)
	{
		uint32		middle = low + (high - low + 1) / 2;
		uint32		row = reader->backward ? start - (middle - 1) : start + (middle - 1);

		if (key_of(reader, source->rows.time[row]) < limit)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* Finds the compacted segment that spans `from` or else the first one that begins after it. */
static void
find_first_compacted(TagReader *reader, Strand *strand, text *tag)
{
	StoredSegment stored;

	directory_seek_back(strand->cursor, tag, reader->from);
	if (directory_next_back(strand->cursor, &stored))
	{
		if (stored.segment.header.last_time >= reader->from)
		{
			strand->compacted = stored;
			strand->has_compacted = true;
		}
		else
			store_release(&stored);
	}
	directory_end_back(strand->cursor);
	directory_seek_forward(strand->cursor, tag, reader->from, reader->until);
	if (!strand->has_compacted)
		step_compacted(reader, strand);
}

/*
 * Makes room in the heap for all pending segments and, of each strand, two more: one compacted
 * segment is active beside them, or lent.
 */
static void
reserve_heap(TagReader *reader)
{
	int			most_active = 0;

	for (uint32 i = 0; i < reader->nstrands; i++)
		most_active += reader->strands[i].pending.nrefs + 2;
	if (most_active <= reader->active->bh_space)
		return;
	binaryheap_free(reader->active);
	reader->active = binaryheap_allocate(most_active * 2, compare_sources, reader);
}

/* Moves a strand to its next compacted segment that has rows to read, if any. */
static void
step_compacted(TagReader *reader, Strand *strand)
{
	strand->has_compacted = reader->backward
		? directory_next_back(strand->cursor, &strand->compacted)
		: directory_next_forward(strand->cursor, &strand->compacted);

	/* going backward, the directory finds segments by their beginning only */
	if (strand->has_compacted && strand->compacted.segment.header.last_time < reader->from)
	{
		store_release(&strand->compacted);
		strand->has_compacted = false;
	}
}

/* Decodes all segments that the merge meets at or before the next active row. */
static void
activate_reached(TagReader *reader)
{
	Strand	   *strand;
	int64		key;

	while ((strand = next_segment(reader, &key)) != NULL)
	{
		if (!binaryheap_empty(reader->active) && source_key(reader, top_source(reader)) < key)
			return;
		if (strand->is_foreign)
			activate_batch(reader, strand);
		else if (strand->has_compacted && compacted_key(reader, strand) == key)
			activate_compacted(reader, strand);
		else
			activate_pending(reader, strand);
	}
}

static void
activate_compacted(TagReader *reader, Strand *strand)
{
	activate(reader, strand->rel, &strand->compacted);
	store_release(&strand->compacted);
	step_compacted(reader, strand);
}

static void
activate_pending(TagReader *reader, Strand *strand)
{
	StoredSegment stored;

	segment_ref_look(strand->rel, reader->snapshot, strand->cursor, reader->tag,
					 &strand->pending.refs[strand->next_pending++], &stored);
	activate(reader, strand->rel, &stored);
	store_release(&stored);
}

/* Puts the batch of a foreign table on the heap, and reads the next one. */
static void
activate_batch(TagReader *reader, Strand *strand)
{
	Source	   *source = new_source(reader);
	DecodedRows former = source->rows;

	memset(&source->ref, 0, sizeof(source->ref));
	source->rows = strand->batch;
	source->left = source->rows.nrows;
	reader->counts.rows += source->rows.nrows;
	put_back(reader, source);

	strand->batch = former;
	strand->has_batch = foreign_rows_next(strand->foreign, &strand->batch);
}

/* Returns a source, whose memory may have served another. */
static Source *
new_source(TagReader *reader)
{
	Source	   *source = reader->free;

	if (source == NULL)
		return palloc0(sizeof(Source));
	reader->free = source->next_free;
	return source;
}

/* Decodes the wanted rows of a fetched segment, if there are any, and puts them on the heap. */
static void
activate(TagReader *reader, Relation rel, StoredSegment *stored)
{
	Source	   *source = new_source(reader);

	CHECK_FOR_INTERRUPTS();
	store_open_rows(rel, stored, true);
	source->ref = segment_ref(stored);
	if (!decoded_rows_load(&source->rows, &stored->segment, reader->from, reader->until,
						   reader->want_values ? reader->values : values_none))
		store_report(rel, &stored->tuple.t_self, &stored->segment.header, SEGMENT_BAD_TIMES);
	source->left = source->rows.nrows;
	reader->counts.segments++;
	reader->counts.rows += source->rows.nrows;

	put_back(reader, source);
}

static int64
compacted_key(const TagReader *reader, const Strand *strand)
{
	const SegmentHeader *header = &strand->compacted.segment.header;

	return segment_key(reader, header->first_time, header->last_time);
}

/* Sets *key to that of the strand's next segment; returns false if there is none. */
static bool
strand_key(const TagReader *reader, const Strand *strand, int64 *key)
{
	bool		has_pending = strand->next_pending < strand->pending.nrefs;

	if (strand->is_foreign)
	{
		if (strand->has_batch)
			*key = segment_key(reader, strand->batch.time[0],
							   strand->batch.time[strand->batch.nrows - 1]);
		return strand->has_batch;
	}
	if (has_pending)
	{
		const SegmentRef *ref = &strand->pending.refs[strand->next_pending];

		*key = segment_key(reader, ref->first_time, ref->last_time);
	}
	if (strand->has_compacted)
		*key = has_pending ? Min(*key, compacted_key(reader, strand)) : compacted_key(reader, strand);
	return has_pending || strand->has_compacted;
}

/* Returns the strand of the segment that the merge meets next, and its key, or NULL. */
static Strand *
next_segment(const TagReader *reader, int64 *key)
{
	Strand	   *next = NULL;

	for (uint32 i = 0; i < reader->nstrands; i++)
	{
		int64		other;

		if (strand_key(reader, &reader->strands[i], &other) && (next == NULL || other < *key))
		{
			next = &reader->strands[i];
			*key = other;
		}
	}
	return next;
}

/* Puts a source back on the heap or, if no rows are left of it, among the free ones. */
static void
put_back(TagReader *reader, Source *source)
{
	if (source->left > 0)
		binaryheap_add(reader->active, PointerGetDatum(source));
	else
	{
		source->next_free = reader->free;
		reader->free = source;
	}
}

/* Takes back the source of the last run, with which the caller is done. */
static void
return_lent(TagReader *reader)
{
	Source	   *source = reader->lent;

	reader->lent = NULL;
	if (source != NULL)
		put_back(reader, source);
}

/* Skips the rows of this key in all active segments. */
static void
skip_superseded(TagReader *reader, int64 key)
{
	while (!binaryheap_empty(reader->active) && source_key(reader, top_source(reader)) == key)
	{
		Source	   *source = (Source *) DatumGetPointer(binaryheap_remove_first(reader->active));

		source->left--;
		put_back(reader, source);
	}
}

/* Releases all segments, to start again. */
static void
clear(TagReader *reader)
{
	for (uint32 i = 0; i < reader->nstrands; i++)
	{
		Strand	   *strand = &reader->strands[i];

		if (strand->has_compacted)
			store_release(&strand->compacted);
		strand->has_compacted = false;
		strand->next_pending = 0;
		strand->pending.nrefs = 0;
		if (strand->foreign != NULL)
			foreign_rows_end(strand->foreign);
		strand->foreign = NULL;
		strand->has_batch = false;
	}
	if (reader->lent != NULL)
		reader->lent->left = 0;
	return_lent(reader);
	while (!binaryheap_empty(reader->active))
	{
		Source	   *source = (Source *) DatumGetPointer(binaryheap_remove_first(reader->active));

		source->left = 0;
		put_back(reader, source);
	}
}

/*
 * Orders the least key last, and of equal keys the latest load, as binaryheap puts the last on top.
 */
static int
compare_sources(Datum left, Datum right, void *arg)
{
	const TagReader *reader = arg;
	const Source *a = (const Source *) DatumGetPointer(left);
	const Source *b = (const Source *) DatumGetPointer(right);
	int64		a_key = source_key(reader, a);
	int64		b_key = source_key(reader, b);

	if (a_key != b_key)
		return a_key < b_key ? 1 : -1;
	return segment_ref_precedence(&a->ref, &b->ref);
}
