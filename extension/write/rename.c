/*
 * rename.c
 *	  Gives the rows of a tag another tag.
 *
 * Each segment is written anew under the new tag and the former one is deleted, so that every
 * snapshot sees the rows under one tag.  A segment keeps its kind, its number and its rows, and the
 * new tag has no rows before; so the invariants of compaction.c and summary.h hold for it as they did
 * for the former tag.  directory_lock() keeps compactions, deletions and loads that write compacted
 * segments away until the transaction ends.
 *
 * Rows in shared segments are taken out first.  Most other segments are copied as they are.  Compacted
 * segments that a longer tag leaves no room on a page are decoded, all of the tag: else each would
 * become a full one and a scrap.
 */
#include "postgres.h"

#include "write/rename.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "read/tag_reader.h"
#include "store/change_log.h"
#include "store/decoded_rows.h"
#include "store/directory.h"
#include "store/segment_list.h"
#include "store/segment_sink.h"
#include "store/serializable.h"
#include "write/deletion.h"

/* How often loads may bring new rows in shared segments before the rename gives up. */
#define MAX_ATTEMPTS 100

typedef struct Renaming
{
	Relation	rel;
	CommandId	cid;
	DirectoryCursor *cursor;
	SegmentSink *sink;
	text	   *tag;
	text	   *new_tag;
	SegmentList segments;
	SegmentList summaries;
} Renaming;

static bool begin_renaming(Renaming *renaming);
static void end_renaming(Renaming *renaming);
static void list_segments(Renaming *renaming);
static void add_compacted(Renaming *renaming, SegmentList *list, text *key);
static void check_unused(const Renaming *renaming);
static void check_none_newer(Renaming *renaming);
static int64 count_rows(const Renaming *renaming);
static bool has_room(const Renaming *renaming, const SegmentList *segments, uint8 flags);
static void rename_segments(Renaming *renaming, const SegmentList *segments, uint8 flags);
static SegmentHeader new_header(const Renaming *renaming, const SegmentHeader *header);
static bool write_copy(Renaming *renaming, const StoredSegment *stored,
					   const SegmentHeader *header);
static void rewrite_compacted(Renaming *renaming);
static void append_rows(const Renaming *renaming, StoredSegment *stored, RowBuffer *rows);
static void fetch(const Renaming *renaming, const SegmentRef *ref, StoredSegment *stored);
static void delete_segment(const Renaming *renaming, const SegmentRef *ref);
pg_noreturn static void report_changed(Relation rel);

int64
rename_rows(Relation rel, text *tag, text *new_tag)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian rename",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Renaming	renaming = {.rel = rel, .tag = tag, .new_tag = new_tag};
	ChangeLog  *changes = change_log_begin(rel);
	int64		count;

	(void) directory_lock(rel, true);
	for (int attempt = 1; !begin_renaming(&renaming); attempt++)
	{
		CHECK_FOR_INTERRUPTS();
		end_renaming(&renaming);
		if (attempt == MAX_ATTEMPTS)
			ereport(ERROR,
					errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					errmsg("could not rename tag \"%s\" of table \"%s\" due to concurrent loads",
						   text_to_cstring(tag), RelationGetRelationName(rel)),
					errhint("The transaction might succeed if retried."));
		deletion_take_out(rel, &tag, 1, PG_UINT64_MAX);
	}
	check_unused(&renaming);
	count = count_rows(&renaming);
	if (changes != NULL && IsolationUsesXactSnapshot())
		check_none_newer(&renaming);
	if (renaming.segments.nrefs > 0)
	{
		change_log_rename(changes, tag, new_tag);
		serializable_note_write(rel, GetCurrentTransactionId(), renaming.cid);
		renaming.sink = segment_sink_begin(rel, GetCurrentTransactionId(), renaming.cid, 0);
		if (has_room(&renaming, &renaming.segments, SEGMENT_COMPACTED) &&
			has_room(&renaming, &renaming.summaries, SEGMENT_SUMMARY))
		{
			rename_segments(&renaming, &renaming.segments, SEGMENT_COMPACTED);
			rename_segments(&renaming, &renaming.summaries, SEGMENT_SUMMARY);
		}
		else
			rewrite_compacted(&renaming);
		rename_segments(&renaming, &renaming.segments, 0);
		segment_sink_end(renaming.sink);
	}
	end_renaming(&renaming);
	change_log_end(changes);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	CommandCounterIncrement();
	return count;
}

/*
 * Makes a snapshot the active one, and lists what it sees of the tag.  Returns false if some of it is
 * in shared segments.
 */
static bool
begin_renaming(Renaming *renaming)
{
	renaming->cid = GetCurrentCommandId(true);
	PushCopiedSnapshot(IsolationUsesXactSnapshot() ? GetTransactionSnapshot()
					   : GetLatestSnapshot());
	GetActiveSnapshot()->curcid = renaming->cid;
	renaming->cursor = directory_begin(renaming->rel, GetActiveSnapshot());
	list_segments(renaming);
	for (uint32 i = 0; i < renaming->segments.nrefs; i++)
	{
		if (renaming->segments.refs[i].shared)
			return false;
	}
	return true;
}

static void
end_renaming(Renaming *renaming)
{
	directory_end(renaming->cursor);
	PopActiveSnapshot();
}

/* Lists all segments of the tag before any is written, so that no walk meets a new one. */
static void
list_segments(Renaming *renaming)
{
	renaming->segments.nrefs = 0;
	renaming->summaries.nrefs = 0;
	segment_list_load(&renaming->segments, renaming->cursor, renaming->tag, PG_INT64_MIN,
					  PG_INT64_MAX);
	add_compacted(renaming, &renaming->segments, renaming->tag);
	segment_list_sort(&renaming->segments);
	add_compacted(renaming, &renaming->summaries, directory_summary_tag(renaming->tag));
}

/* Adds the segments that are keyed as compacted ones to a list. */
static void
add_compacted(Renaming *renaming, SegmentList *list, text *key)
{
	StoredSegment stored;

	directory_seek_back(renaming->cursor, key, PG_INT64_MAX);
	while (directory_next_back(renaming->cursor, &stored))
	{
		SegmentRef	ref = segment_ref(&stored);

		CHECK_FOR_INTERRUPTS();
		store_release(&stored);
		segment_list_add(list, &ref);
	}
}

/*
 * Raises an error if the new tag has rows.  Its compacted segments must not be joined by others, which
 * may overlap them, so what was committed since an older snapshot counts too.
 */
static void
check_unused(const Renaming *renaming)
{
	bool		used = directory_has_tag(renaming->cursor, renaming->new_tag);

	if (!used && IsolationUsesXactSnapshot())
	{
		Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
		DirectoryCursor *cursor = directory_begin(renaming->rel, latest);

		used = directory_has_tag(cursor, renaming->new_tag);
		directory_end(cursor);
		UnregisterSnapshot(latest);
	}
	if (used)
		rename_refuse_used(renaming->rel, renaming->new_tag);
}

/*
 * Raises an error if others have committed rows of the tag since the transaction's snapshot.  They
 * keep the tag, but whoever applies the published changes in the order of commits would rename them.
 */
static void
check_none_newer(Renaming *renaming)
{
	DirectoryCursor *cursor = renaming->cursor;
	uint32		nseen = renaming->segments.nrefs;
	uint32		nlatest;
	Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());

	renaming->cursor = directory_begin(renaming->rel, latest);
	list_segments(renaming);
	nlatest = renaming->segments.nrefs;
	directory_end(renaming->cursor);
	renaming->cursor = cursor;
	UnregisterSnapshot(latest);
	list_segments(renaming);
	if (nlatest != nseen)
		report_changed(renaming->rel);
}

void
rename_refuse_used(Relation rel, const text *tag)
{
	ereport(ERROR,
			errcode(ERRCODE_DUPLICATE_OBJECT),
			errmsg("tag \"%s\" of table \"%s\" has samples already", text_to_cstring(tag),
				   RelationGetRelationName(rel)),
			errhint("UPDATE of the tag merges samples; of two with one time the one that is moved stays."));
}

/* Counts the rows of the tag as a reader sees them. */
static int64
count_rows(const Renaming *renaming)
{
	TagReader  *reader = tag_reader_begin(renaming->rel, renaming->cursor, GetActiveSnapshot());
	RowRun		run;
	int64		count = 0;

	tag_reader_start(reader, renaming->tag, PG_INT64_MIN, PG_INT64_MAX, false);
	while (tag_reader_next(reader, &run))
	{
		CHECK_FOR_INTERRUPTS();
		count += run.nrows;
	}
	tag_reader_end(reader);
	return count;
}

/* Have all segments of a kind room for the new tag? */
static bool
has_room(const Renaming *renaming, const SegmentList *segments, uint8 flags)
{
	Size		former_bytes = VARSIZE_ANY_EXHDR(renaming->tag);
	Size		new_bytes = VARSIZE_ANY_EXHDR(renaming->new_tag);

	for (uint32 i = 0; i < segments->nrefs; i++)
	{
		if ((segments->refs[i].flags & flags) &&
			segments->refs[i].bytes - former_bytes + new_bytes > STORE_MAX_SEGMENT_BYTES)
			return false;
	}
	return true;
}

/*
 * Renames the segments of a list that are of one kind: compacted ones, summaries, or (0) the others,
 * of which each becomes several segments if it must.
 */
static void
rename_segments(Renaming *renaming, const SegmentList *segments, uint8 flags)
{
	for (uint32 i = 0; i < segments->nrefs; i++)
	{
		const SegmentRef *ref = &segments->refs[i];
		StoredSegment stored;
		SegmentHeader header;

		CHECK_FOR_INTERRUPTS();
		if ((ref->flags & (SEGMENT_COMPACTED | SEGMENT_SUMMARY)) != flags)
			continue;
		fetch(renaming, ref, &stored);
		header = new_header(renaming, &stored.segment.header);
		if (!write_copy(renaming, &stored, &header))
		{
			RowBuffer	rows = {0};
			CodecRows	source;

			Assert(flags == 0);
			append_rows(renaming, &stored, &rows);
			source = row_buffer_rows(&rows, 0);
			segment_sink_write(renaming->sink, &header, &source);
			row_buffer_free(&rows);
		}
		store_release(&stored);
		delete_segment(renaming, ref);
	}
}

/* The header of a segment under the new tag. */
static SegmentHeader
new_header(const Renaming *renaming, const SegmentHeader *header)
{
	SegmentHeader renamed = *header;

	renamed.tag = VARDATA_ANY(renaming->new_tag);
	renamed.tag_bytes = VARSIZE_ANY_EXHDR(renaming->new_tag);
	return renamed;
}

/*
 * Writes a copy of a segment under the tag of a header.  Returns false if that has no room on a page.
 * The copy gets a checksum that fits, so the one that is there must fit first.
 */
static bool
write_copy(Renaming *renaming, const StoredSegment *stored, const SegmentHeader *header)
{
	HeapTupleData tuple = stored->tuple;
	uint8		copy[STORE_MAX_SEGMENT_BYTES];
	Size		length;
	const uint8 *bytes = store_segment_bytes(BufferGetPage(stored->buffer), &tuple, &length);

	if (!segment_is_sealed(bytes, length))
		store_report(renaming->rel, &tuple.t_self, &stored->segment.header, SEGMENT_BAD_CHECKSUM);
	length = segment_build_renamed(header, bytes, length, copy, sizeof(copy));
	if (length == 0)
		return false;
	segment_sink_copy(renaming->sink, header, copy, length, InvalidBuffer);
	return true;
}

/* Writes all rows of the compacted segments, in order of time, and their summaries anew. */
static void
rewrite_compacted(Renaming *renaming)
{
	SegmentHeader header = {
		.flags = SEGMENT_COMPACTED,
		.tag = VARDATA_ANY(renaming->new_tag),
		.tag_bytes = VARSIZE_ANY_EXHDR(renaming->new_tag),
	};
	RowBuffer	rows = {0};
	RowBuffer	summaries = {0};
	uint32		enough = CODEC_MAX_ROWS;	/* to fill a segment */

	segment_sink_note(renaming->sink, &summaries);
	for (uint32 i = 0; i < renaming->segments.nrefs; i++)
	{
		const SegmentRef *ref = &renaming->segments.refs[i];
		StoredSegment stored;

		CHECK_FOR_INTERRUPTS();
		if (!(ref->flags & SEGMENT_COMPACTED))
			continue;
		fetch(renaming, ref, &stored);
		append_rows(renaming, &stored, &rows);
		store_release(&stored);
		delete_segment(renaming, ref);
		while (rows.nrows >= enough)
		{
			CodecRows	source = row_buffer_rows(&rows, 0);
			uint32		taken = segment_sink_write_one(renaming->sink, &header, &source);

			row_buffer_shift(&rows, taken);
			enough = Min(taken + taken / 2 + 1, CODEC_MAX_ROWS);
		}
	}
	if (rows.nrows > 0)
	{
		CodecRows	source = row_buffer_rows(&rows, 0);

		segment_sink_write(renaming->sink, &header, &source);
	}
	segment_sink_note(renaming->sink, NULL);
	if (summaries.nrows > 0)
		segment_sink_write_summaries(renaming->sink, renaming->new_tag, &summaries);
	for (uint32 i = 0; i < renaming->summaries.nrefs; i++)
		delete_segment(renaming, &renaming->summaries.refs[i]);
}

/* Adds all rows of a segment to a buffer. */
static void
append_rows(const Renaming *renaming, StoredSegment *stored, RowBuffer *rows)
{
	DecodedRows decoded = {0};

	store_open_rows(renaming->rel, stored, true);
	if (!decoded_rows_load(&decoded, &stored->segment, PG_INT64_MIN, PG_INT64_MAX, values_all))
		store_report(renaming->rel, &stored->tuple.t_self, &stored->segment.header,
					 SEGMENT_BAD_TIMES);
	for (uint32 row = 0; row < decoded.nrows; row++)
		decoded_rows_append(&decoded, row, rows);
	decoded_rows_free(&decoded);
}

static void
fetch(const Renaming *renaming, const SegmentRef *ref, StoredSegment *stored)
{
	/* without the tag, by which summaries are not keyed */
	segment_ref_fetch(renaming->rel, GetActiveSnapshot(), NULL, ref, stored);
}

static void
delete_segment(const Renaming *renaming, const SegmentRef *ref)
{
	ItemPointerData tid = ref->tid;

	/* under an older snapshot, a compaction or deletion that has ended may have been first */
	if (!store_delete(renaming->rel, &tid, renaming->cid))
		report_changed(renaming->rel);
	if (!(ref->flags & SEGMENT_SUMMARY))
		store_count_rows(renaming->rel, 0, ref->nrows);
}

static void
report_changed(Relation rel)
{
	ereport(ERROR,
			errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			errmsg("could not serialize access due to concurrent update"),
			errdetail("Rows of historian table \"%s\" were changed or moved since the transaction began.",
					  RelationGetRelationName(rel)),
			errhint("The transaction might succeed if retried."));
}
