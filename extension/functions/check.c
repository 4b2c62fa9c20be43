/*
 * check.c
 *	  historian.check(): finds damaged segments, and errors of the directory and of summaries.
 *
 * It reads the whole file and the whole directory.  Of the segments that the snapshot sees
 *
 * - each must be intact: header, checksum, and rows that ascend within the header's times,
 * - each must be in the directory under its own key,
 * - the run of a shared one must have a root,
 * - those of one tag and kind (compacted, late, summaries) must not overlap, and
 * - summaries must describe the compacted segments in their range of time as these are.
 *
 * Each entry of the directory must point to a stored segment, if only to a dead one.
 *
 * Each error is one row of the result, and the check goes on after it.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "command_work.h"
#include "compat.h"
#include "historian_table.h"
#include "store/decoded_rows.h"
#include "store/directory.h"
#include "store/segment_list.h"
#include "store/summary.h"
#include "tag.h"

PG_FUNCTION_INFO_V1(historian_check);

#define CHECK_NCOLUMNS 6

/* An intact segment found in the file. */
typedef struct FoundSegment
{
	ItemPointerData place;		/* hash key */
	uint8		flags;
	bool		entered;		/* the directory has an entry for it */
	text	   *tag;			/* of a shared segment or a root: as in its header */
	int64		first_time;
	int64		last_time;
} FoundSegment;

typedef struct Check
{
	Relation	rel;
	bool		is_partition;	/* of the relation that was named */
	Snapshot	snapshot;
	ReturnSetInfo *result;
	HTAB	   *found;
	FoundSegment **roots;		/* of sorted runs, among found */
	uint32		nroots;
	DecodedRows rows;
	MemoryContext context;		/* for found and rows */
} Check;

/* The progress of a comparison of summaries with the segments that they describe. */
typedef struct SummaryProgress
{
	const SummaryBlock *block;
	uint32		next;			/* index of the present summary in block */
	RowBuffer	computed;		/* the summary of its segments so far */
	bool		damaged;		/* a segment cannot be read, and is reported elsewhere */
} SummaryProgress;

static void check_table(Relation rel, bool is_partition, ReturnSetInfo *result);
static void check_block(Check *check, BlockNumber block);
static void check_tuple(Check *check, Page page, HeapTuple tuple);
static const char *check_rows(Check *check, const Segment *segment);
static const char *check_shared(Check *check, const uint8 *bytes, Size length);
static void list_roots(Check *check);
static void check_runs(Check *check);
static bool has_root(Check *check, const FoundSegment *shared);
static void check_directory(Check *check);
static void report_lost(Check *check, DirectoryCursor *cursor, HTAB *suspects);
static void report_entry(Check *check, const DirectoryEntry *entry, const char *problem);
static HTAB *make_places(Check *check, Size entry_bytes);
static void check_disjoint(Check *check, uint8 kind);
static void check_summaries(Check *check);
static const char *check_summary(Check *check, DirectoryCursor *cursor,
								 const FoundSegment *found);
static bool totals_agree(const SummaryTotals *totals, const SummaryBlock *block);
static bool has_gap_behind(DirectoryCursor *cursor, const FoundSegment *summary);
static const char *check_summarized(Check *check, SummaryProgress *progress,
									StoredSegment *stored);
static SegmentHeader found_header(const FoundSegment *found);
static void report(Check *check, ItemPointer place, const SegmentHeader *header,
				   const char *problem);
static void report_found(Check *check, const FoundSegment *found, const char *problem);
static void put_problem(Check *check, Datum *values, bool *isnull, const char *problem);
static int	compare_found(const void *left, const void *right);

/*
 * historian.check(table regclass) returns setof (block bigint, item integer, tag text,
 * first_time bigint, last_time bigint, problem text)
 */
Datum
historian_check(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	List	   *tables = historian_table_open_leaves(relid, ACL_NO_RIGHTS, AccessShareLock, NULL, false);
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, tables)
		check_table(lfirst(cell), get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE,
					(ReturnSetInfo *) fcinfo->resultinfo);
	historian_table_close_leaves(tables);
	return (Datum) 0;
}

/* Checks one table.  If it is a partition of the relation named, each problem begins with its name. */
static void
check_table(Relation rel, bool is_partition, ReturnSetInfo *result)
{
	Check		check = {
		.rel = rel,
		.is_partition = is_partition,
		.result = result,
		.context = AllocSetContextCreate(CurrentMemoryContext, "historian check",
										 ALLOCSET_DEFAULT_SIZES),
	};
	MemoryContext caller = MemoryContextSwitchTo(check.context);
	BlockNumber nblocks;

	command_work_before_change(rel);
	check.snapshot = RegisterSnapshot(GetLatestSnapshot());
	check.found = make_places(&check, sizeof(FoundSegment));

	nblocks = RelationGetNumberOfBlocks(rel);
	for (BlockNumber block = 0; block < nblocks; block++)
		check_block(&check, block);
	check_directory(&check);
	list_roots(&check);
	check_runs(&check);
	check_disjoint(&check, SEGMENT_COMPACTED);
	check_disjoint(&check, SEGMENT_LATE);
	check_disjoint(&check, SEGMENT_SUMMARY);
	check_summaries(&check);

	UnregisterSnapshot(check.snapshot);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(check.context);
}

static void
check_block(Check *check, BlockNumber block)
{
	OffsetNumber next = FirstOffsetNumber;
	HeapTupleData tuple;
	Buffer		buffer;

	CHECK_FOR_INTERRUPTS();
	buffer = ReadBuffer(check->rel, block);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	while (store_next_tuple(check->rel, buffer, &next, &tuple))
	{
		if (tuple.t_data == NULL)
			report(check, &tuple.t_self, NULL, segment_status_text(SEGMENT_NOT_A_SEGMENT));
		else if (HeapTupleSatisfiesVisibility(&tuple, check->snapshot, buffer))
			check_tuple(check, BufferGetPage(buffer), &tuple);
	}
	UnlockReleaseBuffer(buffer);
}

/* Checks one segment by itself.  Adds it to those found, or reports it. */
static void
check_tuple(Check *check, Page page, HeapTuple tuple)
{
	const SegmentHeader *header;
	Segment		segment;
	SegmentStatus status;
	const uint8 *bytes;
	const char *problem;
	Size		length;
	FoundSegment *found;
	MemoryContext caller;

	bytes = store_segment_bytes(page, tuple, &length);
	status = segment_read_header(&segment.header, bytes, length);
	if (status != SEGMENT_OK)
	{
		report(check, &tuple->t_self, NULL, segment_status_text(status));
		return;
	}
	header = &segment.header;
	if (header->flags & SEGMENT_SHARED)
		problem = check_shared(check, bytes, length);
	else
	{
		status = segment_open(&segment, bytes, length, true);
		problem = status != SEGMENT_OK ? segment_status_text(status)
			: (header->flags & (SEGMENT_SUMMARY | SEGMENT_RUN_ROOT)) ? NULL
			: check_rows(check, &segment);
	}
	if (problem != NULL)
	{
		report(check, &tuple->t_self, header, problem);
		return;
	}

	caller = MemoryContextSwitchTo(check->context);
	found = hash_search(check->found, &tuple->t_self, HASH_ENTER, NULL);
	found->flags = header->flags;
	found->entered = false;
	found->tag = cstring_to_text_with_len(header->tag, header->tag_bytes);
	found->first_time = header->first_time;
	found->last_time = header->last_time;
	MemoryContextSwitchTo(caller);
}

/* Decodes all rows of a segment.  Returns what is wrong, or NULL. */
static const char *
check_rows(Check *check, const Segment *segment)
{
	MemoryContext caller = MemoryContextSwitchTo(check->context);
	bool		ascend = decoded_rows_load(&check->rows, segment, PG_INT64_MIN, PG_INT64_MAX,
										   values_all);

	MemoryContextSwitchTo(caller);
	return ascend ? NULL : segment_status_text(SEGMENT_BAD_TIMES);
}

/* Checks all entries of a shared segment.  Returns what is wrong, or NULL. */
static const char *
check_shared(Check *check, const uint8 *bytes, Size length)
{
	SharedReader reader;
	Segment		segment;
	SegmentStatus status = shared_reader_open(&reader, bytes, length, true);
	char		former[SEGMENT_MAX_TAG_BYTES];
	Size		former_bytes;

	if (status != SEGMENT_OK)
		return segment_status_text(status);
	former_bytes = reader.header.tag_bytes - SEGMENT_RUN_NUMBER_BYTES;
	memcpy(former, reader.header.tag + SEGMENT_RUN_NUMBER_BYTES, former_bytes);
	while (shared_reader_next(&reader))
	{
		int			order = tag_compare_bytes(former, former_bytes, reader.tag, reader.tag_bytes);
		const char *problem;

		/* the first tag may be the fence */
		if (order > 0 || (order == 0 && reader.first_row > 0))
			return "The tags do not ascend from the segment's fence.";
		former_bytes = reader.tag_bytes;
		memcpy(former, reader.tag, former_bytes);
		status = shared_reader_rows(&reader, &segment);
		if (status != SEGMENT_OK)
			return segment_status_text(status);
		problem = check_rows(check, &segment);
		if (problem != NULL)
			return problem;
	}
	return reader.status != SEGMENT_OK ? segment_status_text(reader.status)
		: reader.next_row != reader.header.nrows
		? "The tags have other rows than the header says." : NULL;
}

/* Reports shared segments whose run has no root, so that no reader finds them. */
static void
check_runs(Check *check)
{
	HASH_SEQ_STATUS status;
	FoundSegment *found;

	hash_seq_init(&status, check->found);
	while ((found = hash_seq_search(&status)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if ((found->flags & SEGMENT_SHARED) && !has_root(check, found))
			report_found(check, found, "The segment's run has no root that covers it.");
	}
}

static bool
has_root(Check *check, const FoundSegment *shared)
{
	for (uint32 i = 0; i < check->nroots; i++)
	{
		const FoundSegment *root = check->roots[i];

		if (memcmp(VARDATA(root->tag), VARDATA(shared->tag), SEGMENT_RUN_NUMBER_BYTES) == 0)
			return root->first_time <= shared->first_time &&
				root->last_time >= shared->last_time;
	}
	return false;
}

/* Lists the roots of runs that were found. */
static void
list_roots(Check *check)
{
	HASH_SEQ_STATUS status;
	FoundSegment *found;

	check->roots = palloc_extended((hash_get_num_entries(check->found) + 1) * sizeof(FoundSegment *),
								   MCXT_ALLOC_HUGE);
	hash_seq_init(&status, check->found);
	while ((found = hash_seq_search(&status)) != NULL)
	{
		if (found->flags & SEGMENT_RUN_ROOT)
			check->roots[check->nroots++] = found;
	}
}

/* Reports segments that are not in the directory, or under another key, and entries without one. */
static void
check_directory(Check *check)
{
	DirectoryCursor *cursor = directory_begin(check->rel, check->snapshot);
	HTAB	   *suspects = make_places(check, sizeof(ItemPointerData));
	DirectoryEntry entry;
	SegmentHeader header;
	HASH_SEQ_STATUS status;
	FoundSegment *found;

	directory_seek_entries(cursor);
	while (directory_next_entry(cursor, &entry))
	{
		CHECK_FOR_INTERRUPTS();
		found = hash_search(check->found, &entry.place, HASH_FIND, NULL);
		if (found == NULL)
		{
			/* otherwise it is damaged, or the snapshot does not see it */
			if (store_is_empty(check->rel, &entry.place))
				(void) hash_search(suspects, &entry.place, HASH_ENTER, NULL);
			continue;
		}
		header = found_header(found);
		if (!directory_entry_fits(&entry, &header))
			report_found(check, found, "The directory has the segment under another key.");
		found->entered = true;
	}
	report_lost(check, cursor, suspects);
	directory_end(cursor);

	hash_seq_init(&status, check->found);
	while ((found = hash_seq_search(&status)) != NULL)
	{
		if (!found->entered)
			report_found(check, found, "The segment is not in the directory.");
	}
}

/*
 * Reports the entries whose places were empty, if they are there when looked for again, and the
 * places are empty still: VACUUM removes entries before it makes places free, and the first walk
 * may have read an entry before that.
 */
static void
report_lost(Check *check, DirectoryCursor *cursor, HTAB *suspects)
{
	DirectoryEntry entry;

	if (hash_get_num_entries(suspects) == 0)
		return;
	directory_seek_entries(cursor);
	while (directory_next_entry(cursor, &entry))
	{
		CHECK_FOR_INTERRUPTS();
		if (hash_search(suspects, &entry.place, HASH_FIND, NULL) != NULL &&
			store_is_empty(check->rel, &entry.place))
			report_entry(check, &entry, "The directory has a segment there, which is lost.");
	}
}

static HTAB *
make_places(Check *check, Size entry_bytes)
{
	HASHCTL		control = {
		.keysize = sizeof(ItemPointerData),
		.entrysize = entry_bytes,
		.hcxt = check->context,
	};

	return hash_create("historian segments", 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Reports segments of one kind that overlap another of their tag. */
static void
check_disjoint(Check *check, uint8 kind)
{
	long		n = hash_get_num_entries(check->found);
	FoundSegment **order = palloc_extended(Max(n, 1) * sizeof(FoundSegment *), MCXT_ALLOC_HUGE);
	long		nfound = 0;
	HASH_SEQ_STATUS status;
	FoundSegment *found;

	hash_seq_init(&status, check->found);
	while ((found = hash_seq_search(&status)) != NULL)
	{
		if (found->flags & kind)
			order[nfound++] = found;
	}
	qsort(order, nfound, sizeof(FoundSegment *), compare_found);
	for (long i = 1; i < nfound; i++)
	{
		if (tag_compare(order[i - 1]->tag, order[i]->tag) == 0 &&
			order[i - 1]->last_time >= order[i]->first_time)
			report_found(check, order[i],
						 kind == SEGMENT_LATE ? "The segment overlaps another late one of its tag."
						 : kind == SEGMENT_SUMMARY ? "The summary overlaps another of its tag."
						 : "The segment overlaps another compacted one of its tag.");
	}
	pfree(order);
}

static void
check_summaries(Check *check)
{
	DirectoryCursor *cursor = directory_begin(check->rel, check->snapshot);
	HASH_SEQ_STATUS status;
	FoundSegment *found;

	hash_seq_init(&status, check->found);
	while ((found = hash_seq_search(&status)) != NULL)
	{
		const char *problem = found->flags & SEGMENT_SUMMARY
			? check_summary(check, cursor, found) : NULL;

		if (problem != NULL)
			report_found(check, found, problem);
	}
	directory_end(cursor);
}

/*
 * Compares a segment of summaries with the segments that they describe.  Returns what is wrong, or
 * NULL.
 */
static const char *
check_summary(Check *check, DirectoryCursor *cursor, const FoundSegment *found)
{
	ItemPointerData place = found->place;
	text	   *tag = found->tag;
	SummaryBlock block = {0};
	StoredSegment stored;
	const char *problem = NULL;
	SummaryTotals totals;

	CHECK_FOR_INTERRUPTS();
	if (!store_fetch(check->rel, check->snapshot, tag, &place, &stored, NULL))
		return "The summary has vanished.";
	store_open_rows(check->rel, &stored, false);
	if (!summary_block_load(&block, &stored.segment, ~0, values_all))
		problem = "The summary is malformed.";
	else if (summary_read_totals(&stored.segment.header, &totals) && !totals_agree(&totals, &block))
		problem = "The totals in the header differ from those of the summaries.";
	store_release(&stored);
	if (problem == NULL && (block.first_time[0] != found->first_time ||
							block.last_time[block.nsegments - 1] != found->last_time))
		problem = "The first or last time differs from the header's.";
	if (problem == NULL)
	{
		SummaryProgress progress = {.block = &block};

		/* first the segment that begins at the first time, then the others */
		directory_seek_back_within(cursor, tag, found->first_time, found->first_time);
		if (directory_next_back(cursor, &stored))
			problem = check_summarized(check, &progress, &stored);
		directory_seek_forward(cursor, tag, found->first_time, found->last_time);
		while (problem == NULL && directory_next_forward(cursor, &stored))
			problem = check_summarized(check, &progress, &stored);
		if (problem == NULL && !progress.damaged && progress.next != block.nsegments)
			problem = "The summary names segments that are not there.";
		if (problem == NULL && has_gap_behind(cursor, found))
			problem = "Segments between the summary and the next one have no summary.";
	}
	summary_block_free(&block);
	return problem;
}

/* Are the totals those of the block? */
static bool
totals_agree(const SummaryTotals *totals, const SummaryBlock *block)
{
	SummaryTotals sums = {0};

	for (uint32 i = 0; i < block->nsegments; i++)
	{
		sums.nrows += block->nrows[i];
		sums.nsegments += block->nstored[i];
		sums.block_bytes += block->block_bytes[i];
	}
	return sums.nrows == totals->nrows && sums.nsegments == totals->nsegments &&
		sums.block_bytes == totals->block_bytes;
}

/* Is there a segment between these summaries and the next ones of the tag? */
static bool
has_gap_behind(DirectoryCursor *cursor, const FoundSegment *summary)
{
	text	   *key = directory_summary_tag(summary->tag);
	StoredSegment stored;
	int64		next_summary;
	bool		has_next;

	directory_seek_forward(cursor, key, summary->first_time, PG_INT64_MAX);
	has_next = directory_next_forward(cursor, &stored);
	pfree(key);
	if (!has_next)
		return false;
	next_summary = stored.segment.header.first_time;
	store_release(&stored);
	return directory_any_between(cursor, summary->tag, summary->last_time, next_summary);
}

/*
 * Takes the next segment that the summaries should describe, and releases it.  After the last
 * segment of a summary, compares the summary with what the segments amount to.  Returns what is
 * wrong, or NULL.
 */
static const char *
check_summarized(Check *check, SummaryProgress *progress, StoredSegment *stored)
{
	const SummaryBlock *block = progress->block;
	const SegmentHeader *header = &stored->segment.header;
	uint32		i = progress->next;
	int64		last_time = header->last_time;
	Size		block_bytes;
	CodecRows	source;
	const uint8 *bytes;
	Size		length;

	bytes = store_segment_bytes(BufferGetPage(stored->buffer), &stored->tuple, &length);
	if (progress->damaged || segment_open(&stored->segment, bytes, length, true) != SEGMENT_OK)
	{
		progress->damaged = true;
		store_release(stored);
		return NULL;
	}
	if (i >= block->nsegments || last_time > block->last_time[i] ||
		(progress->computed.nrows == 0 && header->first_time != block->first_time[i]))
	{
		store_release(stored);
		return "The summary does not name the segments that are there.";
	}
	block_bytes = length - SEGMENT_HEADER_BYTES - header->tag_bytes;
	progress->damaged =
		!decoded_rows_load(&check->rows, &stored->segment, PG_INT64_MIN, PG_INT64_MAX, values_all);
	store_release(stored);
	if (progress->damaged)
		return NULL;
	source = decoded_rows_source(&check->rows);
	summary_add(&progress->computed, &source, block_bytes);
	if (last_time < block->last_time[i])
		return NULL;

	summary_merge_neighbours(&progress->computed);
	if (!summary_block_agrees(block, i, &progress->computed))
		return "The summary differs from what the rows amount to.";
	progress->computed.nrows = 0;
	progress->next++;
	return NULL;
}

/* Adds a row to the result.  header is NULL if the segment's header cannot be trusted. */
static void
report(Check *check, ItemPointer place, const SegmentHeader *header, const char *problem)
{
	Datum		values[CHECK_NCOLUMNS] = {0};
	bool		isnull[CHECK_NCOLUMNS] = {false, false, true, true, true, false};

	values[0] = Int64GetDatum(ItemPointerGetBlockNumber(place));
	values[1] = Int32GetDatum(ItemPointerGetOffsetNumber(place));
	if (header != NULL)
	{
		values[2] = CStringGetTextDatum(store_tag_text(header));
		values[3] = Int64GetDatum(header->first_time);
		values[4] = Int64GetDatum(header->last_time);
		isnull[2] = isnull[3] = isnull[4] = false;
	}
	put_problem(check, values, isnull, problem);
}

/* The same for an entry of the directory, which has no last time, and of a run no time at all. */
static void
report_entry(Check *check, const DirectoryEntry *entry, const char *problem)
{
	Datum		values[CHECK_NCOLUMNS] = {0};
	bool		isnull[CHECK_NCOLUMNS] = {false, false, true, true, true, false};
	SegmentHeader header = {.flags = 0};
	Size		bytes;

	header.tag = directory_entry_tag(entry, &bytes);
	header.tag_bytes = bytes;
	values[0] = Int64GetDatum(ItemPointerGetBlockNumberNoCheck(&entry->place));
	values[1] = Int32GetDatum(ItemPointerGetOffsetNumberNoCheck(&entry->place));
	if (bytes > 0)
	{
		values[2] = CStringGetTextDatum(store_tag_text(&header));
		isnull[2] = false;
	}
	if (entry->placed)
	{
		values[3] = Int64GetDatum(entry->first_time);
		isnull[3] = false;
	}
	put_problem(check, values, isnull, problem);
}

static void
put_problem(Check *check, Datum *values, bool *isnull, const char *problem)
{
	if (check->is_partition)
		problem = psprintf("partition \"%s\": %s", RelationGetRelationName(check->rel), problem);
	values[5] = CStringGetTextDatum(problem);
	tuplestore_putvalues(check->result->setResult, check->result->setDesc, values, isnull);
}

static SegmentHeader
found_header(const FoundSegment *found)
{
	return (SegmentHeader) {
		.flags = found->flags,
		.tag = VARDATA_ANY(found->tag),
		.tag_bytes = VARSIZE_ANY_EXHDR(found->tag),
		.first_time = found->first_time,
		.last_time = found->last_time,
	};
}

static void
report_found(Check *check, const FoundSegment *found, const char *problem)
{
	SegmentHeader header = found_header(found);

	report(check, (ItemPointer) &found->place, &header, problem);
}

static int
compare_found(const void *left, const void *right)
{
	const FoundSegment *a = *(FoundSegment *const *) left;
	const FoundSegment *b = *(FoundSegment *const *) right;
	int			order = tag_compare(a->tag, b->tag);

	if (order != 0)
		return order;
	return a->first_time < b->first_time ? -1 : a->first_time > b->first_time;
}
