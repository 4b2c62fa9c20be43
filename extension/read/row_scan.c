/*
 * row_scan.c
 *	  Reads the rows of a historian table, tag by tag and in order of time.
 *
 * Several segments may have a row of one tag and time until they are compacted.  Only a scan in
 * this order finds out in bounded memory which of these rows stays.  So the participants of a
 * parallel scan claim tags, not blocks.
 */
#include "postgres.h"

#include "read/row_scan.h"

#include "miscadmin.h"
#include "storage/spin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "columns.h"
#include "command_work.h"
#include "read/kept_memory.h"
#include "store/row_place.h"
#include "store/serializable.h"
#include "tag.h"

const RowScanFilter row_scan_everything = {
	.all_tags = true,
	.from = PG_INT64_MIN,
	.until = PG_INT64_MAX,
};

/* The number of rows whose arrays are freed together. */
#define ROWS_PER_RESET 64

struct RowScan
{
	Relation	rel;
	HistorianColumns columns;
	DirectoryCursor *cursor;
	TagReader  *reader;
	RowScanShared *shared;
	bool		want_values;
	RowScanFilter filter;

	MemoryContext row_context;	/* the last rows' arrays */
	text	   *tag;			/* being read; NULL before the first */
	uint32		next_tag;		/* index in filter.tags */
	bool		give_places;
	bool		reading;		/* the reader has been started for tag */
	RowRun		run;
	uint32		next_row;		/* within the run */
	uint64		rows;
	uint64		tags;
};

static bool next_tag(RowScan *scan);
static int64 first_time_of_tag(const RowScan *scan);
static text *find_tag_after(RowScan *scan, text *tag);
static text *claim_tag(RowScan *scan);
static void store_row(RowScan *scan, TupleTableSlot *slot);

RowScan *
row_scan_begin(Relation rel, Snapshot snapshot, ValueRange wanted, RowScanShared *shared)
{
	RowScan    *scan = palloc0(sizeof(RowScan));

	kept_memory_begin();
	command_work_before_read(rel, snapshot);

	serializable_note_read(rel, snapshot);

	scan->rel = rel;
	scan->columns = columns_of(rel);
	scan->cursor = directory_begin(rel, snapshot);
	scan->reader = tag_reader_begin(rel, scan->cursor, snapshot);
	scan->shared = shared;
	scan->want_values = wanted.end > wanted.first;
	tag_reader_restrict_values(scan->reader, wanted);
	scan->row_context = AllocSetContextCreate(CurrentMemoryContext, "historian rows",
											  ALLOCSET_DEFAULT_SIZES);
	row_scan_start(scan, &row_scan_everything);
	return scan;
}

void
row_scan_give_places(RowScan *scan)
{
	scan->give_places = true;
}

void
row_scan_end(RowScan *scan)
{
	tag_reader_end(scan->reader);
	directory_end(scan->cursor);
	MemoryContextDelete(scan->row_context);
	pfree(scan);
}

void
row_scan_start(RowScan *scan, const RowScanFilter *filter)
{
	scan->filter = *filter;
	scan->tag = NULL;
	scan->next_tag = 0;
	scan->reading = false;
	scan->run.nrows = 0;
	scan->next_row = 0;
}

bool
row_scan_next(RowScan *scan, TupleTableSlot *slot)
{
	ExecClearTuple(slot);
	for (;;)
	{
		int64		from;

		if (scan->next_row < scan->run.nrows)
		{
			store_row(scan, slot);
			return true;
		}
		CHECK_FOR_INTERRUPTS();
		scan->next_row = 0;
		scan->run.nrows = 0;
		if (scan->reading && tag_reader_next(scan->reader, &scan->run))
			continue;
		scan->reading = false;
		if (!next_tag(scan))
			return false;
		from = first_time_of_tag(scan);
		if (from > scan->filter.until)
			continue;
		if (scan->filter.backward)
			tag_reader_start_backward(scan->reader, scan->tag, from, scan->filter.until,
									  scan->want_values);
		else
			tag_reader_start(scan->reader, scan->tag, from, scan->filter.until,
							 scan->want_values);
		scan->reading = true;
	}
}

RowScanCounts
row_scan_counts(const RowScan *scan)
{
	return (RowScanCounts) {
		.tags = scan->tags,
		.segments = tag_reader_counts(scan->reader).segments,
		.rows = scan->rows,
	};
}

void
row_scan_shared_init(RowScanShared *shared)
{
	memset(shared, 0, sizeof(*shared));
	SpinLockInit(&shared->mutex);
}

bool
row_scan_shared_claim_all(RowScanShared *shared)
{
	bool		claimed;

	SpinLockAcquire(&shared->mutex);
	claimed = !shared->exhausted;
	shared->exhausted = true;
	SpinLockRelease(&shared->mutex);
	return claimed;
}

/* Moves to the next tag to read. */
static bool
next_tag(RowScan *scan)
{
	if (scan->filter.from > scan->filter.until)
		return false;

	if (!scan->filter.all_tags)
	{
		Assert(scan->shared == NULL);
		if (scan->next_tag >= scan->filter.ntags)
			return false;
		scan->tag = scan->filter.tags[scan->next_tag++];
	}
	else
	{
		MemoryContext caller = MemoryContextSwitchTo(GetMemoryChunkContext(scan));
		text	   *former = scan->tag;

		scan->tag = scan->shared ? claim_tag(scan) : find_tag_after(scan, former);
		if (former != NULL)
			pfree(former);
		MemoryContextSwitchTo(caller);
		if (scan->tag == NULL)
			return false;
	}
	scan->tags++;
	return true;
}

/* From which time on the rows of the present tag are read. */
static int64
first_time_of_tag(const RowScan *scan)
{
	const RowScanFilter *filter = &scan->filter;

	if (filter->first_tag != NULL && tag_compare(scan->tag, filter->first_tag) == 0)
		return Max(filter->from, filter->first_time);
	return filter->from;
}

/*
 * Returns a text that precedes all tags with the prefix, and follows all tags that precede these:
 * the prefix with its last byte one less, and as many greatest bytes as fit a tag.
 */
static text *
before_prefix(const text *prefix)
{
	Size		bytes = VARSIZE_ANY_EXHDR(prefix);
	text	   *before = palloc(VARHDRSZ + SEGMENT_MAX_TAG_BYTES);

	SET_VARSIZE(before, VARHDRSZ + SEGMENT_MAX_TAG_BYTES);
	memset(VARDATA(before), 0xFF, SEGMENT_MAX_TAG_BYTES);
	memcpy(VARDATA(before), VARDATA_ANY(prefix), bytes);
	VARDATA(before)[bytes - 1]--;
	return before;
}

/* Returns the first tag of the filter after the given one, or with NULL the first of all; or NULL. */
static text *
find_tag_after(RowScan *scan, text *tag)
{
	const text *prefix = scan->filter.prefix;
	const text *begin = prefix;
	text	   *first;
	text	   *next;

	if (begin == NULL ||
		(scan->filter.first_tag != NULL && tag_compare(scan->filter.first_tag, begin) > 0))
		begin = scan->filter.first_tag;
	first = begin != NULL && tag == NULL ? before_prefix(begin) : NULL;
	next = directory_next_tag(scan->cursor, first != NULL ? first : tag);

	if (first != NULL)
		pfree(first);
	if (next == NULL || prefix == NULL || tag_has_prefix(next, prefix))
		return next;
	pfree(next);
	return NULL;
}

/*
 * Claims the tag after the last one claimed; returns NULL if there is none.  It searches the
 * directory without the lock.  If another participant has claimed a tag meanwhile, it searches
 * again after that.
 */
static text *
claim_tag(RowScan *scan)
{
	RowScanShared *shared = scan->shared;

	for (;;)
	{
		union
		{
			text		datum;
			char		bytes[VARHDRSZ + SEGMENT_MAX_TAG_BYTES];
		}			last;
		text	   *next;
		uint64		claims;
		uint16		tag_bytes;
		bool		exhausted;
		bool		claimed = false;

		SpinLockAcquire(&shared->mutex);
		claims = shared->claims;
		exhausted = shared->exhausted;
		tag_bytes = shared->tag_bytes;
		memcpy(VARDATA(&last.datum), shared->tag, tag_bytes);
		SpinLockRelease(&shared->mutex);
		if (exhausted)
			return NULL;

		SET_VARSIZE(&last.datum, VARHDRSZ + tag_bytes);
		next = find_tag_after(scan, tag_bytes > 0 ? &last.datum : NULL);

		SpinLockAcquire(&shared->mutex);
		if (shared->claims == claims && !shared->exhausted)
		{
			claimed = true;
			if (next == NULL)
				shared->exhausted = true;
			else
			{
				shared->claims++;
				shared->tag_bytes = VARSIZE_ANY_EXHDR(next);
				memcpy(shared->tag, VARDATA_ANY(next), shared->tag_bytes);
			}
		}
		SpinLockRelease(&shared->mutex);
		if (claimed)
			return next;
		if (next != NULL)
			pfree(next);
	}
}

/* Stores the scan's next row in a slot. */
static void
store_row(RowScan *scan, TupleTableSlot *slot)
{
	uint32		row = scan->filter.backward
		? scan->run.first + scan->run.nrows - 1 - scan->next_row
		: scan->run.first + scan->next_row;
	bool	   *values_null = &slot->tts_isnull[scan->columns.values - 1];

	/* the caller has cleared the slot of the last row, so nothing points to earlier arrays */
	if (scan->next_row % ROWS_PER_RESET == 0)
		MemoryContextReset(scan->row_context);
	scan->next_row++;
	scan->rows++;

	slot->tts_values[scan->columns.time - 1] = Int64GetDatum(scan->run.rows->time[row]);
	slot->tts_isnull[scan->columns.time - 1] = false;
	slot->tts_values[scan->columns.tag - 1] = PointerGetDatum(scan->tag);
	slot->tts_isnull[scan->columns.tag - 1] = false;
	if (scan->want_values)
	{
		MemoryContext caller = MemoryContextSwitchTo(scan->row_context);

		slot->tts_values[scan->columns.values - 1] =
			decoded_rows_array(scan->run.rows, row, values_null);
		MemoryContextSwitchTo(caller);
	}
	else
	{
		slot->tts_values[scan->columns.values - 1] = (Datum) 0;
		*values_null = true;
	}
	ExecStoreVirtualTuple(slot);
	slot->tts_tableOid = RelationGetRelid(scan->rel);
	if (scan->give_places)
		row_place_set(&slot->tts_tid, &scan->run.segment->tid, scan->run.rows->first_row + row);
}
