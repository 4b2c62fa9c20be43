/*
 * compaction.c
 *	  Merging a table's pending segments into full, disjoint ones.
 *
 * For one tag: its pending segments, the compacted ones that they overlap, and the last compacted
 * one while it is not full, are read as one stream in order of time, each time once, and written
 * anew; then the old ones are deleted.  A tag's merge is within one transaction, so that every
 * snapshot sees either the old or the new.
 *
 * New segments never overlap a compacted one that stayed: where one lies between two rows of the
 * stream, the rows before it are written out first.
 *
 * The directory's lock keeps compactions and deletions of one table apart; no load or read waits
 * for it.
 */
#include "postgres.h"

#include "compaction.h"

#include "access/heapam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compaction_stat.h"
#include "compat.h"
#include "directory.h"
#include "pending.h"
#include "row_buffer.h"
#include "segment_sink.h"
#include "summary_edit.h"
#include "tag_reader.h"

/* A last segment with less than this is filled up by later rows. */
#define FULL_SEGMENT_BYTES (STORE_MAX_SEGMENT_BYTES * 9 / 10)

/* Rows gathered before segments are cut from them. */
#define STREAM_ROWS CODEC_MAX_ROWS

typedef struct Compaction
{
	Relation	rel;
	const CompactionOptions *options;
	Snapshot	snapshot;
	DirectoryCursor *cursor;
	TagReader  *reader;
	SegmentSink *sink;
	SummaryEdit *summaries;
	CommandId	cid;
	CompactionCounts *counts;

	/* the tag at hand */
	text	   *tag;
	PendingList sources;		/* what is merged */
	SegmentRef	last;			/* the last compacted segment */
	bool		has_last;
	RowBuffer	rows;
	uint64		sequence;		/* the greatest of the sources' */
} Compaction;

static bool choose_sources(Compaction *compaction);
static void add_overlapped(Compaction *compaction, PendingList *pending);
static void merge_tag(Compaction *compaction);
static void append_run(Compaction *compaction, const RowRun *run);
static void write_rows(Compaction *compaction, bool all);
static uint32 segment_rows_to_try(const Compaction *compaction, const RowBuffer *rows);
static void delete_sources(Compaction *compaction);

CompactionHorizon
compaction_horizon_take(void)
{
	CompactionHorizon horizon;

	/*
	 * The number first: who has none yet when it is taken gets a higher one, and whoever has one
	 * had its transaction ID before, which is lower than the next.
	 */
	horizon.sequence = segment_next_sequence();
	horizon.next_xid = ReadNextFullTransactionId();
	return horizon;
}

bool
compaction_horizon_reached(Relation rel, const CompactionHorizon *horizon, bool wait)
{
	TransactionId next_xid = XidFromFullTransactionId(horizon->next_xid);
	LOCKTAG		tag;
	VirtualTransactionId *writers;

	/* a transaction this old cannot be running, and its ID could not be compared */
	if (U64FromFullTransactionId(ReadNextFullTransactionId()) -
		U64FromFullTransactionId(horizon->next_xid) > INT32_MAX)
		return true;

	/* all who write hold RowExclusiveLock until they end */
	SET_LOCKTAG_RELATION(tag, MyDatabaseId, RelationGetRelid(rel));
	writers = GetLockConflicts(&tag, ShareLock, NULL);
	for (VirtualTransactionId *writer = writers; VirtualTransactionIdIsValid(*writer); writer++)
	{
		TransactionId xid = historian_loader_xid(*writer);

		if (TransactionIdIsValid(xid) && TransactionIdPrecedes(xid, next_xid) &&
			!VirtualXactLock(*writer, wait))
			return false;
	}
	return true;
}

bool
compact_table(Relation rel, const CompactionOptions *options, text **after,
			  CompactionCounts *counts)
{
	Compaction	compaction = {
		.rel = rel,
		.options = options,
		.counts = counts,
		.tag = *after,
	};
	CompactionCounts before = *counts;
	CompactionCounts done;
	MemoryContext context;
	MemoryContext caller;
	MemoryContext tag_context;

	/* held until the transaction ends: only then do others see what was merged */
	if (!directory_lock(rel, options->wait))
		return false;

	context = AllocSetContextCreate(CurrentMemoryContext, "historian compaction",
									ALLOCSET_DEFAULT_SIZES);
	tag_context = AllocSetContextCreate(context, "historian compaction tag",
										ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);

	compaction.snapshot = RegisterSnapshot(GetLatestSnapshot());
	compaction.cursor = directory_begin(rel, compaction.snapshot);
	compaction.reader = tag_reader_begin(rel, compaction.cursor, compaction.snapshot);
	compaction.cid = GetCurrentCommandId(true);

	while ((compaction.tag = directory_next_tag(compaction.cursor, compaction.tag)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(tag_context);
		if (choose_sources(&compaction))
			merge_tag(&compaction);
		memset(&compaction.sources, 0, sizeof(compaction.sources));
		memset(&compaction.rows, 0, sizeof(compaction.rows));
		MemoryContextSwitchTo(context);
		MemoryContextReset(tag_context);
		if (options->max_rows > 0 && counts->rows - before.rows >= options->max_rows)
			break;
	}

	if (compaction.sink != NULL)
	{
		counts->bytes_written += segment_sink_bytes(compaction.sink);
		summary_edit_end(compaction.summaries);
		segment_sink_end(compaction.sink);
	}
	done = (CompactionCounts) {
		.tags = counts->tags - before.tags,
		.segments_merged = counts->segments_merged - before.segments_merged,
		.segments_written = counts->segments_written - before.segments_written,
		.bytes_merged = counts->bytes_merged - before.bytes_merged,
		.bytes_written = counts->bytes_written - before.bytes_written,
		.rows = counts->rows - before.rows,
	};
	compaction_stat_add(RelationGetRelid(rel), &done);
	tag_reader_end(compaction.reader);
	directory_end(compaction.cursor);
	UnregisterSnapshot(compaction.snapshot);
	MemoryContextSwitchTo(caller);
	*after = compaction.tag ? DatumGetTextPCopy(PointerGetDatum(compaction.tag)) : NULL;
	MemoryContextDelete(context);
	CommandCounterIncrement();
	return true;
}

/* Lists what to merge of the tag; false where that is not worth it. */
static bool
choose_sources(Compaction *compaction)
{
	PendingList pending = {0};
	StoredSegment stored;
	Size		bytes = 0;
	bool		append = false;
	uint32		kept = 0;

	pending_list_load(&pending, compaction->cursor, compaction->tag, PG_INT64_MIN, PG_INT64_MAX);
	for (uint32 i = 0; i < pending.nrefs; i++)
	{
		if (pending.refs[i].sequence >= compaction->options->horizon)
			continue;
		bytes += pending.refs[i].bytes;
		pending.refs[kept++] = pending.refs[i];
	}
	pending.nrefs = kept;
	if (kept == 0 || (!compaction->options->everything && bytes < STORE_MAX_SEGMENT_BYTES))
		return false;

	directory_seek_back(compaction->cursor, compaction->tag, PG_INT64_MAX);
	compaction->has_last = directory_next_back(compaction->cursor, &stored);
	if (compaction->has_last)
	{
		compaction->last = segment_ref(&stored);
		store_release(&stored);
		append = pending.refs[kept - 1].first_time > compaction->last.last_time;
	}

	add_overlapped(compaction, &pending);
	if (append && compaction->last.bytes < FULL_SEGMENT_BYTES &&
		(compaction->sources.nrefs == 0 ||
		 !ItemPointerEquals(&compaction->sources.refs[compaction->sources.nrefs - 1].tid,
							&compaction->last.tid)))
		pending_list_add(&compaction->sources, &compaction->last);

	compaction->sequence = 0;
	for (uint32 i = 0; i < kept; i++)
		pending_list_add(&compaction->sources, &pending.refs[i]);
	for (uint32 i = 0; i < compaction->sources.nrefs; i++)
		compaction->sequence = Max(compaction->sequence, compaction->sources.refs[i].sequence);
	pending_list_sort(&compaction->sources);
	return true;
}

/* Adds the compacted segments that overlap a pending one, each once and in order of time. */
static void
add_overlapped(Compaction *compaction, PendingList *pending)
{
	PendingList *sources = &compaction->sources;
	StoredSegment stored;

	for (uint32 i = 0; i < pending->nrefs; i++)
	{
		const SegmentRef *ref = &pending->refs[i];
		int64		from = ref->first_time;

		if (!compaction->has_last || ref->first_time > compaction->last.last_time)
			break;				/* in order of first_time: nor do the others overlap any */
		if (sources->nrefs > 0)
			from = Max(from, sources->refs[sources->nrefs - 1].last_time);
		if (from > ref->last_time)
			continue;			/* within what the former ones overlapped */

		directory_seek_back(compaction->cursor, compaction->tag, ref->first_time);
		if (directory_next_back(compaction->cursor, &stored))
		{
			SegmentRef	found = segment_ref(&stored);

			store_release(&stored);
			if (found.last_time >= ref->first_time &&
				(sources->nrefs == 0 ||
				 found.first_time > sources->refs[sources->nrefs - 1].last_time))
				pending_list_add(sources, &found);
		}
		directory_seek_forward(compaction->cursor, compaction->tag, from, ref->last_time);
		while (directory_next_forward(compaction->cursor, &stored))
		{
			SegmentRef	found = segment_ref(&stored);

			store_release(&stored);
			pending_list_add(sources, &found);
		}
	}
}

static void
merge_tag(Compaction *compaction)
{
	RowRun		run;

	if (compaction->sink == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(GetMemoryChunkContext(compaction->cursor));

		compaction->sink = segment_sink_begin(compaction->rel, GetCurrentTransactionId(),
											  compaction->cid, 0);
		compaction->summaries = summary_edit_begin(compaction->rel, compaction->cid);
		segment_sink_note(compaction->sink, summary_edit_added(compaction->summaries));
		MemoryContextSwitchTo(caller);
	}
	tag_reader_start_segments(compaction->reader, &compaction->sources);
	while (tag_reader_next(compaction->reader, &run))
		append_run(compaction, &run);
	write_rows(compaction, true);
	delete_sources(compaction);
	summary_edit_finish_tag(compaction->summaries, compaction->tag, compaction->sink);
	compaction->counts->tags++;
	compaction->counts->segments_merged += compaction->sources.nrefs;
}

static void
append_run(Compaction *compaction, const RowRun *run)
{
	RowBuffer  *rows = &compaction->rows;
	const DecodedRows *decoded = run->rows;

	/* does a compacted segment that stays lie between the last row and this run? */
	if (rows->nrows > 0 && compaction->has_last &&
		rows->time[rows->nrows - 1] < compaction->last.first_time)
	{
		int64		after = rows->time[rows->nrows - 1];

		/* those among the sources would have put a row between */
		if (directory_any_between(compaction->cursor, compaction->tag, after,
								  decoded->time[run->first]))
			write_rows(compaction, true);
	}

	for (uint32 row = run->first; row < run->first + run->nrows; row++)
	{
		if (rows->nrows == STREAM_ROWS)
			write_rows(compaction, false);
		decoded_rows_append(decoded, row, rows);
	}
}

/* Cuts segments from the gathered rows: all of them, or as long as enough are left for two more. */
static void
write_rows(Compaction *compaction, bool all)
{
	RowBuffer  *rows = &compaction->rows;
	SegmentHeader header = {
		.flags = SEGMENT_COMPACTED,
		.sequence = compaction->sequence,
		.tag = VARDATA_ANY(compaction->tag),
		.tag_bytes = VARSIZE_ANY_EXHDR(compaction->tag),
	};
	uint32		taken = 0;

	while (rows->nrows > 0 && (all || rows->nrows >= 2 * taken))
	{
		CodecRows	source = row_buffer_rows(rows, 0);

		source.nrows = segment_rows_to_try(compaction, rows);
		taken = segment_sink_write_one(compaction->sink, &header, &source);
		row_buffer_shift(rows, taken);
		compaction->counts->segments_written++;
		compaction->counts->rows += taken;
	}
}

/*
 * How many rows to offer for the next segment.  Where late rows made a full segment a little too
 * large, two halves are better than a full one and a scrap; at the end of a tag's rows the scrap
 * grows by itself.
 */
static uint32
segment_rows_to_try(const Compaction *compaction, const RowBuffer *rows)
{
	uint32		full_rows = 0;

	if (!compaction->has_last || rows->time[rows->nrows - 1] > compaction->last.last_time)
		return rows->nrows;
	for (uint32 i = 0; i < compaction->sources.nrefs; i++)
	{
		if (compaction->sources.refs[i].bytes >= FULL_SEGMENT_BYTES)
			full_rows = Max(full_rows, compaction->sources.refs[i].nrows);
	}
	if (rows->nrows > full_rows && rows->nrows < full_rows + full_rows / 3)
		return (rows->nrows + 1) / 2;
	return rows->nrows;
}

static void
delete_sources(Compaction *compaction)
{
	for (uint32 i = 0; i < compaction->sources.nrefs; i++)
	{
		/* the directory's lock keeps others from deleting what a fresh snapshot sees */
		if (!store_delete(compaction->rel, &compaction->sources.refs[i].tid, compaction->cid))
			ereport(ERROR,
					errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					errmsg("could not compact historian table \"%s\" due to a concurrent change",
						   RelationGetRelationName(compaction->rel)));
		store_count_rows(compaction->rel, 0, compaction->sources.refs[i].nrows);
		compaction->counts->bytes_merged += compaction->sources.refs[i].bytes;
		summary_edit_removed(compaction->summaries, &compaction->sources.refs[i]);
	}
}
