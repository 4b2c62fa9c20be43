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
 * Rows in shared segments are taken out first.  Most other segments are copied as they are, because
 * segment_sink.c leaves room for a longer tag.  Where there is too little for it, compacted segments are
 * decoded, together with those that share a segment of summaries with them and with the neighbours to
 * which the same happens: else each would become a full one and a scrap, and need another summary.
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
	SegmentList compacted;
	SegmentList summaries;
	SegmentList others;

	/* decoded rows that are not written, and the summaries of the written ones before them */
	RowBuffer	rows;
	RowBuffer	new_summaries;
	uint32		enough;			/* rows to fill a segment */
} Renaming;

/*
 * Compacted segments that are all copied or all decoded: those that a segment of summaries describes,
 * or those between two such that none describes.
 */
typedef struct Unit
{
	uint32		first;			/* in the list */
	uint32		end;
	const SegmentRef *summary;	/* or NULL */
	uint32		nsummaries;		/* of this unit and those before it */
} Unit;

static bool begin_renaming(Renaming *renaming);
static void end_renaming(Renaming *renaming);
static void list_segments(Renaming *renaming);
static void list_compacted(Renaming *renaming, SegmentList *list, text *key);
static void check_unused(const Renaming *renaming);
static bool has_rows_now(Relation rel, text *tag);
static void check_none_newer(Renaming *renaming);
static int64 count_rows(const Renaming *renaming);
static void rename_compacted(Renaming *renaming);
static bool next_unit(const Renaming *renaming, Unit *unit);
static bool unit_has_room(const Renaming *renaming, const Unit *unit);
static bool has_room(const Renaming *renaming, const SegmentRef *ref);
static void rename_segment(Renaming *renaming, const SegmentRef *ref);
static void decode_segment(Renaming *renaming, const SegmentRef *ref);
static void write_decoded(Renaming *renaming);
static SegmentHeader compacted_header(const Renaming *renaming);
static SegmentHeader new_header(const Renaming *renaming, const SegmentHeader *header);
static bool write_copy(Renaming *renaming, const StoredSegment *stored,
					   const SegmentHeader *header);
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
	Renaming	renaming = {.rel = rel, .tag = tag, .new_tag = new_tag, .enough = CODEC_MAX_ROWS};
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
	if (renaming.compacted.nrefs + renaming.others.nrefs > 0)
	{
		change_log_rename(changes, tag, new_tag);
		serializable_note_write(rel, GetCurrentTransactionId(), renaming.cid);
		renaming.sink = segment_sink_begin(rel, GetCurrentTransactionId(), renaming.cid, 0);
		rename_compacted(&renaming);
		for (uint32 i = 0; i < renaming.others.nrefs; i++)
			rename_segment(&renaming, &renaming.others.refs[i]);
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
	for (uint32 i = 0; i < renaming->others.nrefs; i++)
	{
		if (renaming->others.refs[i].shared)
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
	segment_list_load(&renaming->others, renaming->cursor, renaming->tag, PG_INT64_MIN, PG_INT64_MAX);
	list_compacted(renaming, &renaming->compacted, renaming->tag);
	list_compacted(renaming, &renaming->summaries, directory_summary_tag(renaming->tag));
}

/* Lists the segments that are keyed as compacted ones, by first_time. */
static void
list_compacted(Renaming *renaming, SegmentList *list, text *key)
{
	StoredSegment stored;

	list->nrefs = 0;
	directory_seek_back(renaming->cursor, key, PG_INT64_MAX);
	while (directory_next_back(renaming->cursor, &stored))
	{
		SegmentRef	ref = segment_ref(&stored);

		CHECK_FOR_INTERRUPTS();
		store_release(&stored);
		segment_list_add(list, &ref);
	}
	segment_list_sort(list);
}

/*
 * Raises an error if the new tag has rows.  Its compacted segments must not be joined by others, which
 * may overlap them, so what was committed since an older snapshot counts too.
 */
static void
check_unused(const Renaming *renaming)
{
	if (directory_has_tag(renaming->cursor, renaming->new_tag) ||
		(IsolationUsesXactSnapshot() && has_rows_now(renaming->rel, renaming->new_tag)))
		rename_refuse_used(renaming->rel, renaming->new_tag);
}

/* Does the latest snapshot see rows of a tag? */
static bool
has_rows_now(Relation rel, text *tag)
{
	Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
	DirectoryCursor *cursor = directory_begin(rel, latest);
	bool		found = directory_has_tag(cursor, tag);

	directory_end(cursor);
	UnregisterSnapshot(latest);
	return found;
}

void
rename_begin_update(Relation rel, text *new_tag)
{
	/* first the lock that a deletion takes first */
	change_log_end(change_log_begin(rel));
	(void) directory_lock(rel, true);
	if (has_rows_now(rel, new_tag))
		rename_refuse_used(rel, new_tag);
}

/*
 * Raises an error if others have committed rows of the tag since the transaction's snapshot.  They
 * keep the tag, but whoever applies the published changes in the order of commits would rename them.
 */
static void
check_none_newer(Renaming *renaming)
{
	DirectoryCursor *cursor = renaming->cursor;
	uint32		nseen = renaming->compacted.nrefs + renaming->others.nrefs;
	uint32		nlatest;
	Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());

	renaming->cursor = directory_begin(renaming->rel, latest);
	list_segments(renaming);
	nlatest = renaming->compacted.nrefs + renaming->others.nrefs;
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
	TagReader  *reader;
	RowRun		run;
	int64		count = 0;

	if (renaming->others.nrefs == 0)
	{
		/* compacted segments are disjoint */
		for (uint32 i = 0; i < renaming->compacted.nrefs; i++)
			count += renaming->compacted.refs[i].nrows;
		return count;
	}
	reader = tag_reader_begin(renaming->rel, renaming->cursor, GetActiveSnapshot());
	tag_reader_start(reader, renaming->tag, PG_INT64_MIN, PG_INT64_MAX, false);
	while (tag_reader_next(reader, &run))
	{
		CHECK_FOR_INTERRUPTS();
		count += run.nrows;
	}
	tag_reader_end(reader);
	return count;
}

/* Renames the compacted segments, and then their summaries, so that summaries share pages. */
static void
rename_compacted(Renaming *renaming)
{
	Unit		unit = {0};

	segment_sink_note(renaming->sink, &renaming->new_summaries);
	while (next_unit(renaming, &unit))
	{
		bool		copied = unit_has_room(renaming, &unit);

		if (copied)
			write_decoded(renaming);
		for (uint32 i = unit.first; i < unit.end; i++)
		{
			if (copied)
				rename_segment(renaming, &renaming->compacted.refs[i]);
			else
				decode_segment(renaming, &renaming->compacted.refs[i]);
		}
	}
	write_decoded(renaming);
	segment_sink_note(renaming->sink, NULL);
	unit = (Unit) {0};
	while (next_unit(renaming, &unit))
	{
		if (unit.summary == NULL)
			continue;
		if (unit_has_room(renaming, &unit))
			rename_segment(renaming, unit.summary);
		else
			delete_segment(renaming, unit.summary);
	}
}

/* Steps to the unit after one, in the order of time; at first all members are 0. */
static bool
next_unit(const Renaming *renaming, Unit *unit)
{
	const SegmentList *list = &renaming->compacted;
	const SegmentRef *summary = unit->nsummaries < renaming->summaries.nrefs
		? &renaming->summaries.refs[unit->nsummaries] : NULL;

	unit->first = unit->end;
	unit->summary = NULL;
	while (unit->end < list->nrefs &&
		   (summary == NULL || list->refs[unit->end].first_time < summary->first_time))
		unit->end++;
	if (unit->end == unit->first && summary != NULL)
	{
		while (unit->end < list->nrefs && list->refs[unit->end].first_time <= summary->last_time)
			unit->end++;
		unit->summary = summary;
		unit->nsummaries++;
	}
	return unit->end > unit->first || unit->summary != NULL;
}

/* Have all segments of a unit, and their summaries, room for the new tag? */
static bool
unit_has_room(const Renaming *renaming, const Unit *unit)
{
	for (uint32 i = unit->first; i < unit->end; i++)
	{
		if (!has_room(renaming, &renaming->compacted.refs[i]))
			return false;
	}
	return unit->summary == NULL || has_room(renaming, unit->summary);
}

static bool
has_room(const Renaming *renaming, const SegmentRef *ref)
{
	return ref->bytes - VARSIZE_ANY_EXHDR(renaming->tag) + VARSIZE_ANY_EXHDR(renaming->new_tag) <=
		STORE_MAX_SEGMENT_BYTES;
}

/* Renames a segment; one without room for the new tag, which is no compacted one, becomes several. */
static void
rename_segment(Renaming *renaming, const SegmentRef *ref)
{
	StoredSegment stored;
	SegmentHeader header;

	CHECK_FOR_INTERRUPTS();
	fetch(renaming, ref, &stored);
	header = new_header(renaming, &stored.segment.header);
	if (!write_copy(renaming, &stored, &header))
	{
		RowBuffer	rows = {0};
		CodecRows	source;

		Assert((ref->flags & (SEGMENT_COMPACTED | SEGMENT_SUMMARY)) == 0);
		append_rows(renaming, &stored, &rows);
		source = row_buffer_rows(&rows, 0);
		segment_sink_write(renaming->sink, &header, &source);
		row_buffer_free(&rows);
	}
	store_release(&stored);
	delete_segment(renaming, ref);
}

/* Takes the rows of a compacted segment, and writes what fills segments. */
static void
decode_segment(Renaming *renaming, const SegmentRef *ref)
{
	SegmentHeader header = compacted_header(renaming);
	StoredSegment stored;

	CHECK_FOR_INTERRUPTS();
	fetch(renaming, ref, &stored);
	append_rows(renaming, &stored, &renaming->rows);
	store_release(&stored);
	delete_segment(renaming, ref);
	while (renaming->rows.nrows >= renaming->enough)
	{
		CodecRows	source = row_buffer_rows(&renaming->rows, 0);
		uint32		taken = segment_sink_write_one(renaming->sink, &header, &source);

		row_buffer_shift(&renaming->rows, taken);
		renaming->enough = Min(taken + taken / 2 + 1, CODEC_MAX_ROWS);
	}
}

/* Writes what is left of the decoded rows, and the summaries of all of them. */
static void
write_decoded(Renaming *renaming)
{
	SegmentHeader header = compacted_header(renaming);

	if (renaming->rows.nrows > 0)
	{
		CodecRows	source = row_buffer_rows(&renaming->rows, 0);

		segment_sink_write(renaming->sink, &header, &source);
		row_buffer_empty(&renaming->rows);
	}
	if (renaming->new_summaries.nrows > 0)
	{
		segment_sink_write_summaries(renaming->sink, renaming->new_tag, &renaming->new_summaries);
		row_buffer_empty(&renaming->new_summaries);
	}
}

static SegmentHeader
compacted_header(const Renaming *renaming)
{
	return (SegmentHeader) {
		.flags = SEGMENT_COMPACTED,
		.tag = VARDATA_ANY(renaming->new_tag),
		.tag_bytes = VARSIZE_ANY_EXHDR(renaming->new_tag),
	};
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
