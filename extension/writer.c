/*
 * writer.c
 *	  Rows on their way into a historian table: gathered by tag, written as segments.
 *
 * Rules that this file keeps:
 *
 * - A batch belongs to one table, subtransaction and command.  Its segments carry exactly that
 *	 command's xmin and cmin, so that PostgreSQL's own visibility rules hold; the command counter
 *	 is never touched.
 * - A batch is written when its command ends (ExecutorFinish, COPY's finish), when the table is
 *	 read or replaced, when it outgrows historian.write_buffer, and at the latest before its
 *	 subtransaction commits or is prepared.  WAL replay takes a segment's xmin from the record, so
 *	 only the current subtransaction's batches are ever written.
 * - When a subtransaction aborts, its batches are dropped.
 * - Within a batch, of rows with the same tag and time the later one stays.
 */
#include "postgres.h"

#include "writer.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "pgstat.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "segment_sink.h"

int			historian_write_buffer = 64 * 1024;

/* Rows of one tag, row-major, in order of arrival. */
typedef struct TagRows
{
	bool		ascending;		/* strictly, so far */
	uint32		nrows;
	uint32		capacity;		/* rows allocated */
	uint32		stride;			/* values allocated a row: the widest so far */
	int64	   *time;
	double	   *values;
	uint16	   *width;			/* NULL while every row is stride wide */
	uint8	   *isnull;			/* NULL while no element is NULL */
} TagRows;

typedef struct TagName
{
	const char *bytes;
	uint32		length;
	uint32		hash;
} TagName;

typedef struct TagEntry
{
	TagName		name;
	TagRows    *rows;
	char		status;			/* simplehash's */
} TagEntry;

static inline bool
same_tag(const TagName *a, const TagName *b)
{
	return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

#define SH_PREFIX tagtable
#define SH_ELEMENT_TYPE TagEntry
#define SH_KEY_TYPE TagName
#define SH_KEY name
#define SH_HASH_KEY(table, key) ((key).hash)
#define SH_EQUAL(table, a, b) same_tag(&(a), &(b))
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry) ((entry)->name.hash)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* What one command of one subtransaction has gathered for one table. */
typedef struct Batch
{
	struct Batch *next;
	Oid			relid;
	SubTransactionId subid;
	CommandId	cid;
	TransactionId xid;
	int			options;
	MemoryContext context;		/* of everything below and of this struct */
	tagtable_hash *tags;
	TagEntry    last;			/* rows often come grouped by tag */
	Size		bytes;
	uint64		nrows;
} Batch;

/* One decoded array datum. */
typedef struct RowValues
{
	uint16		width;			/* or CODEC_WIDTH_NULL */
	const double *dense;		/* width values, where no element is NULL */
	ArrayType  *array;			/* otherwise */
} RowValues;

/* A row's place in arrival order, for sorting. */
typedef struct RowOrder
{
	int64		time;
	uint32		row;
} RowOrder;

#define FIRST_CAPACITY 8

static Batch *batches = NULL;

static Batch *find_batch(Oid relid, CommandId cid, int options);
static TagRows *find_tag(Batch *batch, text *tag);
static RowValues read_values(Datum datum, bool isnull);
static void append_row(Batch *batch, TagRows *rows, int64 time, const RowValues *values);
static void store_values(TagRows *rows, uint32 row, const RowValues *values);
static void grow_capacity(Batch *batch, TagRows *rows);
static void widen(Batch *batch, TagRows *rows, uint32 stride);
static void mark_widths(Batch *batch, TagRows *rows);
static void mark_nulls(Batch *batch, TagRows *rows);
static void flush_batch(Batch *batch);
static void write_tag(SegmentSink *sink, const TagEntry *entry, uint64 sequence);
static TagRows *sort_rows(const TagRows *rows);
static int	compare_row_order(const void *left, const void *right);
static int	compare_tag_entries(const void *left, const void *right);
static void flush_matching(Oid relid);
static void drop_batches(SubTransactionId subid);
static void on_transaction(XactEvent event, void *arg);
static void on_subtransaction(SubXactEvent event, SubTransactionId subid,
							  SubTransactionId parent, void *arg);

void
writer_init(void)
{
	RegisterXactCallback(on_transaction, NULL);
	RegisterSubXactCallback(on_subtransaction, NULL);
}

void
writer_append(Relation rel, const HistorianColumns *columns, TupleTableSlot *slot, CommandId cid,
			  int options)
{
	Batch	   *batch;
	MemoryContext caller;
	RowValues	values;
	text	   *tag;
	int64		time;

	slot_getallattrs(slot);
	if (slot->tts_isnull[columns->time - 1] || slot->tts_isnull[columns->tag - 1])
	{
		AttrNumber	column = slot->tts_isnull[columns->time - 1] ? columns->time : columns->tag;

		ereport(ERROR,
				errcode(ERRCODE_NOT_NULL_VIOLATION),
				errmsg("null value in column \"%s\" of historian table \"%s\"",
					   NameStr(TupleDescAttr(RelationGetDescr(rel), column - 1)->attname),
					   RelationGetRelationName(rel)),
				errdetail("Every row of a historian table has a time and a tag."));
	}

	time = DatumGetInt64(slot->tts_values[columns->time - 1]);
	tag = DatumGetTextPP(slot->tts_values[columns->tag - 1]);
	values = read_values(slot->tts_values[columns->values - 1],
						 slot->tts_isnull[columns->values - 1]);

	batch = find_batch(RelationGetRelid(rel), cid, options);
	caller = MemoryContextSwitchTo(batch->context);
	append_row(batch, find_tag(batch, tag), time, &values);
	MemoryContextSwitchTo(caller);

	if (batch->bytes >= (Size) historian_write_buffer * 1024)
		flush_matching(RelationGetRelid(rel));
}

void
writer_flush_relation(Oid relid)
{
	flush_matching(relid);
}

void
writer_flush_all(void)
{
	flush_matching(InvalidOid);
}

/* The batch of this command, made where there is none yet. */
static Batch *
find_batch(Oid relid, CommandId cid, int options)
{
	SubTransactionId subid = GetCurrentSubTransactionId();
	MemoryContext context;
	Batch	   *batch;

	for (batch = batches; batch != NULL; batch = batch->next)
	{
		if (batch->relid == relid && batch->subid == subid && batch->cid == cid &&
			batch->options == options)
			return batch;
	}

	context = AllocSetContextCreate(TopTransactionContext, "historian batch",
									ALLOCSET_DEFAULT_SIZES);
	batch = MemoryContextAllocZero(context, sizeof(Batch));
	batch->context = context;
	batch->relid = relid;
	batch->subid = subid;
	batch->cid = cid;
	batch->xid = GetCurrentTransactionId();
	batch->options = options;
	batch->tags = tagtable_create(context, 64, NULL);
	batch->next = batches;
	batches = batch;
	return batch;
}

/* Called in the batch's context. */
static TagRows *
find_tag(Batch *batch, text *tag)
{
	TagName		name;
	TagEntry   *entry;
	char	   *copy;
	bool		found;

	name.bytes = VARDATA_ANY(tag);
	name.length = VARSIZE_ANY_EXHDR(tag);
	if (batch->last.rows != NULL && same_tag(&batch->last.name, &name))
		return batch->last.rows;

	if (name.length == 0 || name.length > SEGMENT_MAX_TAG_BYTES)
		ereport(ERROR,
				errcode(ERRCODE_STRING_DATA_LENGTH_MISMATCH),
				errmsg("tag of %u bytes", name.length),
				errdetail("A tag has 1 to %d bytes.", SEGMENT_MAX_TAG_BYTES));

	name.hash = hash_bytes((const unsigned char *) name.bytes, name.length);
	entry = tagtable_insert(batch->tags, name, &found);
	if (!found)
	{
		/* on failure of an allocation the transaction aborts and the batch goes with it */
		copy = palloc(name.length);
		memcpy(copy, name.bytes, name.length);
		entry->name.bytes = copy;
		entry->rows = palloc0(sizeof(TagRows));
		entry->rows->ascending = true;
		batch->bytes += sizeof(TagRows) + 2 * sizeof(TagEntry) + name.length;
	}
	batch->last = *entry;
	return entry->rows;
}

static RowValues
read_values(Datum datum, bool isnull)
{
	RowValues	values = {0};

	if (isnull)
	{
		values.width = CODEC_WIDTH_NULL;
		return values;
	}

	values.array = DatumGetArrayTypeP(datum);
	if (ARR_NDIM(values.array) == 0)
		return values;
	if (ARR_NDIM(values.array) > 1 || ARR_LBOUND(values.array)[0] != 1)
		ereport(ERROR,
				errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				errmsg("values must be a one-dimensional array with lower bound 1"));
	if (ARR_DIMS(values.array)[0] > CODEC_MAX_VALUES)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("row of %d values", ARR_DIMS(values.array)[0]),
				errdetail("A row of a historian table has at most %d values.", CODEC_MAX_VALUES),
				errhint("Spread the values over several tags."));

	values.width = ARR_DIMS(values.array)[0];
	if (!array_contains_nulls(values.array))
		values.dense = (const double *) ARR_DATA_PTR(values.array);
	return values;
}

/* Called in the batch's context. */
static void
append_row(Batch *batch, TagRows *rows, int64 time, const RowValues *values)
{
	uint32		width = values->width == CODEC_WIDTH_NULL ? 0 : values->width;
	uint32		row = rows->nrows;

	if (row == 0 && values->width != CODEC_WIDTH_NULL)
		rows->stride = width;
	if (width > rows->stride)
		widen(batch, rows, width);
	if (row > 0 && time <= rows->time[row - 1])
	{
		if (time == rows->time[row - 1])
			row--;				/* the later row wins at once */
		else
			rows->ascending = false;
	}
	if (row == rows->capacity)
		grow_capacity(batch, rows);
	if (values->width != rows->stride && rows->width == NULL)
		mark_widths(batch, rows);
	if (width > 0 && values->dense == NULL && rows->isnull == NULL)
		mark_nulls(batch, rows);

	rows->time[row] = time;
	store_values(rows, row, values);
	rows->nrows = row + 1;
	batch->nrows++;
}

static void
store_values(TagRows *rows, uint32 row, const RowValues *values)
{
	double	   *dst = rows->values + (Size) row * rows->stride;
	uint8	   *isnull = rows->isnull ? rows->isnull + (Size) row * rows->stride : NULL;
	uint32		width = values->width == CODEC_WIDTH_NULL ? 0 : values->width;

	if (rows->width != NULL)
		rows->width[row] = values->width;
	if (isnull != NULL)
		memset(isnull, 0, rows->stride);

	if (values->dense != NULL)
		memcpy(dst, values->dense, width * sizeof(double));
	else if (width > 0)
	{
		const double *src = (const double *) ARR_DATA_PTR(values->array);
		const bits8 *present = ARR_NULLBITMAP(values->array);

		for (uint32 v = 0; v < width; v++)
		{
			isnull[v] = !(present[v / 8] & (1 << (v % 8)));
			dst[v] = isnull[v] ? 0.0 : *src++;
		}
	}
	/* slots past the row's own width are never read back, but must be deterministic */
	for (uint32 v = width; v < rows->stride; v++)
		dst[v] = 0.0;
}

static void
grow_capacity(Batch *batch, TagRows *rows)
{
	uint32		capacity = rows->capacity == 0 ? FIRST_CAPACITY : rows->capacity * 2;
	Size		row_bytes = sizeof(int64) + rows->stride * sizeof(double);

	if (rows->capacity == 0)
	{
		rows->time = palloc(capacity * sizeof(int64));
		rows->values = palloc(Max(capacity * rows->stride, 1) * sizeof(double));
	}
	else
	{
		rows->time = repalloc_huge(rows->time, capacity * sizeof(int64));
		rows->values = repalloc_huge(rows->values,
									 Max((Size) capacity * rows->stride, 1) * sizeof(double));
	}
	if (rows->width != NULL)
		rows->width = repalloc_huge(rows->width, capacity * sizeof(uint16));
	if (rows->isnull != NULL)
		rows->isnull = repalloc_huge(rows->isnull, Max((Size) capacity * rows->stride, 1));
	batch->bytes += (capacity - rows->capacity) * row_bytes;
	rows->capacity = capacity;
}

/* Makes room for wider rows: the rows so far keep their widths. */
static void
widen(Batch *batch, TagRows *rows, uint32 stride)
{
	uint32		old = rows->stride;
	double	   *values;

	if (rows->capacity == 0)
	{
		rows->stride = stride;
		return;
	}

	if (rows->width == NULL)
		mark_widths(batch, rows);
	values = palloc_extended((Size) rows->capacity * stride * sizeof(double), MCXT_ALLOC_HUGE);
	for (uint32 row = 0; row < rows->nrows; row++)
	{
		memcpy(values + (Size) row * stride, rows->values + (Size) row * old, old * sizeof(double));
		memset(values + (Size) row * stride + old, 0, (stride - old) * sizeof(double));
	}
	pfree(rows->values);
	rows->values = values;

	if (rows->isnull != NULL)
	{
		uint8	   *isnull = palloc_extended((Size) rows->capacity * stride,
											 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

		for (uint32 row = 0; row < rows->nrows; row++)
			memcpy(isnull + (Size) row * stride, rows->isnull + (Size) row * old, old);
		pfree(rows->isnull);
		rows->isnull = isnull;
	}
	batch->bytes += (Size) rows->capacity * (stride - old) * sizeof(double);
	rows->stride = stride;
}

static void
mark_widths(Batch *batch, TagRows *rows)
{
	rows->width = palloc_extended(rows->capacity * sizeof(uint16), MCXT_ALLOC_HUGE);
	for (uint32 row = 0; row < rows->nrows; row++)
		rows->width[row] = rows->stride;
	batch->bytes += rows->capacity * sizeof(uint16);
}

static void
mark_nulls(Batch *batch, TagRows *rows)
{
	Size		size = (Size) rows->capacity * rows->stride;

	rows->isnull = palloc_extended(size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	batch->bytes += size;
}

/* Writes the current subtransaction's batches of one table, or of all (InvalidOid). */
static void
flush_matching(Oid relid)
{
	SubTransactionId subid;
	Batch	  **link = &batches;

	if (batches == NULL)
		return;

	subid = GetCurrentSubTransactionId();
	while (*link != NULL)
	{
		Batch	   *batch = *link;

		if (batch->subid != subid || (OidIsValid(relid) && batch->relid != relid))
		{
			link = &batch->next;
			continue;
		}
		/* out of the list first: an error in the middle aborts what it belongs to */
		*link = batch->next;
		flush_batch(batch);
		MemoryContextDelete(batch->context);
	}
}

static void
flush_batch(Batch *batch)
{
	MemoryContext caller = MemoryContextSwitchTo(batch->context);
	Relation	rel = table_open(batch->relid, RowExclusiveLock);
	SegmentSink *sink = segment_sink_begin(rel, batch->xid, batch->cid, batch->options);
	uint64		sequence = segment_next_sequence();
	TagEntry  **order = palloc(batch->tags->members * sizeof(TagEntry *));
	tagtable_iterator iterator;
	TagEntry   *entry;
	uint32		ntags = 0;

	/* in tag order: neighbours in the directory, and the same bytes for the same load */
	tagtable_start_iterate(batch->tags, &iterator);
	while ((entry = tagtable_iterate(batch->tags, &iterator)) != NULL)
		order[ntags++] = entry;
	qsort(order, ntags, sizeof(TagEntry *), compare_tag_entries);

	for (uint32 i = 0; i < ntags; i++)
		write_tag(sink, order[i], sequence);

	pgstat_count_heap_insert(rel, batch->nrows);
	segment_sink_end(sink);
	table_close(rel, NoLock);
	MemoryContextSwitchTo(caller);
}

static void
write_tag(SegmentSink *sink, const TagEntry *entry, uint64 sequence)
{
	const TagRows *rows = entry->rows->ascending ? entry->rows : sort_rows(entry->rows);
	SegmentHeader header = {
		.sequence = sequence,
		.tag = entry->name.bytes,
		.tag_bytes = entry->name.length,
	};
	CodecRows	source = {
		.nrows = rows->nrows,
		.nvalues = rows->stride,
		.time = rows->time,
		.values = rows->values,
		.row_stride = rows->stride,
		.value_stride = 1,
		.width = rows->width,
		.isnull = rows->isnull,
	};

	segment_sink_write(sink, &header, &source);
}

/* A copy in ascending order of time, the last of equal times only. */
static TagRows *
sort_rows(const TagRows *rows)
{
	RowOrder   *order = palloc_extended(rows->nrows * sizeof(RowOrder), MCXT_ALLOC_HUGE);
	TagRows    *sorted = palloc(sizeof(TagRows));
	uint32		stride = rows->stride;
	uint32		n = 0;

	for (uint32 row = 0; row < rows->nrows; row++)
		order[row] = (RowOrder) {.time = rows->time[row], .row = row};
	qsort(order, rows->nrows, sizeof(RowOrder), compare_row_order);
	for (uint32 row = 0; row < rows->nrows; row++)
	{
		if (row + 1 == rows->nrows || order[row].time != order[row + 1].time)
			order[n++] = order[row];
	}

	*sorted = *rows;
	sorted->nrows = n;
	sorted->time = palloc_extended(n * sizeof(int64), MCXT_ALLOC_HUGE);
	sorted->values = palloc_extended(Max((Size) n * stride, 1) * sizeof(double), MCXT_ALLOC_HUGE);
	if (rows->width != NULL)
		sorted->width = palloc_extended(n * sizeof(uint16), MCXT_ALLOC_HUGE);
	if (rows->isnull != NULL)
		sorted->isnull = palloc_extended((Size) n * stride, MCXT_ALLOC_HUGE);
	for (uint32 to = 0; to < n; to++)
	{
		uint32		from = order[to].row;

		sorted->time[to] = order[to].time;
		memcpy(sorted->values + (Size) to * stride, rows->values + (Size) from * stride,
			   stride * sizeof(double));
		if (rows->width != NULL)
			sorted->width[to] = rows->width[from];
		if (rows->isnull != NULL)
			memcpy(sorted->isnull + (Size) to * stride, rows->isnull + (Size) from * stride,
				   stride);
	}
	pfree(order);
	return sorted;
}

static int
compare_row_order(const void *left, const void *right)
{
	const RowOrder *a = left;
	const RowOrder *b = right;

	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return a->row < b->row ? -1 : 1;
}

static int
compare_tag_entries(const void *left, const void *right)
{
	const TagName *a = &(*(TagEntry *const *) left)->name;
	const TagName *b = &(*(TagEntry *const *) right)->name;
	int			order = memcmp(a->bytes, b->bytes, Min(a->length, b->length));

	if (order != 0)
		return order;
	return a->length < b->length ? -1 : a->length > b->length;
}

/* Forgets a subtransaction's batches (InvalidSubTransactionId: all). */
static void
drop_batches(SubTransactionId subid)
{
	Batch	  **link = &batches;

	while (*link != NULL)
	{
		Batch	   *batch = *link;

		if (subid != InvalidSubTransactionId && batch->subid != subid)
		{
			link = &batch->next;
			continue;
		}
		*link = batch->next;
		MemoryContextDelete(batch->context);
	}
}

static void
on_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			writer_flush_all();
			break;
		case XACT_EVENT_ABORT:
			drop_batches(InvalidSubTransactionId);
			break;
		default:
			break;
	}
}

static void
on_subtransaction(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg)
{
	switch (event)
	{
		case SUBXACT_EVENT_PRE_COMMIT_SUB:
			writer_flush_all();
			break;
		case SUBXACT_EVENT_ABORT_SUB:
			drop_batches(subid);
			break;
		default:
			break;
	}
}
