/*
 * writer.c
 *	  Gathers the rows that a command inserts by tag, and writes them as pending segments.
 *
 * The rows are written when the command ends (command_work.c), or sooner when they take more memory
 * than historian.write_buffer.  Where many tags have few rows, those of all these tags share
 * segments (store/sorted_runs.h).  All rows written at one time have one number in load order.  Of
 * rows with the same tag and time the last one inserted is kept.
 *
 * A bulk load writes full segments as compacted ones where it may (placement.c).  In the middle of
 * its command, the rows that do not fill a segment wait for more, as far as memory allows.
 */
#include "postgres.h"

#include "write/writer.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "pgstat.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "command_work.h"
#include "store/compaction_queue.h"
#include "store/load_order.h"
#include "store/row_buffer.h"
#include "store/run_writer.h"
#include "store/segment_sink.h"
#include "store/serializable.h"
#include "tag_order.h"
#include "write/placement.h"

int			historian_write_buffer = 64 * 1024;
int			historian_min_shared_tags = 512;

/* A tag has few rows in a batch if they are no more than this, not compressed. */
#define FEW_ROWS_BYTES 512

/* The memory of a batch without rows: its contexts and its hash table. */
#define EMPTY_BATCH_BYTES (24 * 1024)

/* A load whose rows take at least this part of the limit on memory is a bulk load. */
#define BULK_PART 4

/* So many rows are appended together; see append_group(). */
#define GROUP_ROWS 16

/*
 * So many bytes of a tag are kept in its entry of the hash table, so that few comparisons of tags
 * need other memory.
 */
#define PREFIX_BYTES 16

typedef struct TagName
{
	const char *bytes;
	uint32		length;
	uint32		hash;
	char		prefix[PREFIX_BYTES];	/* padded with zeros */
} TagName;

typedef struct TagEntry
{
	TagName		name;
	RowBuffer  *rows;
	char		status;			/* of simplehash.h */
} TagEntry;

static inline bool
same_tag(const TagName *a, const TagName *b)
{
	return a->length == b->length && memcmp(a->prefix, b->prefix, PREFIX_BYTES) == 0 &&
		(a->length <= PREFIX_BYTES ||
		 memcmp(a->bytes + PREFIX_BYTES, b->bytes + PREFIX_BYTES, a->length - PREFIX_BYTES) == 0);
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

/* A tag and its rows.  The entries of the hash table move when it grows; these stay. */
typedef struct TagRows
{
	RowBuffer	rows;
	uint32		kept;			/* the last rows, which write_batch() has not written */
	uint32		tag_bytes;
	char		tag[FLEXIBLE_ARRAY_MEMBER];
} TagRows;

/* The rows that one command has gathered for one table. */
typedef struct Batch
{
	CommandWork work;
	MemoryContext incoming;		/* for the detoasted values of a group of rows */
	int			options;		/* TABLE_INSERT_*, the same for the whole command */
	tagtable_hash *tags;
	TagRows   **met;			/* the tags in the order in which they came */
	uint32		nmet;
	uint32		met_capacity;
	Size		bytes;			/* allocated */
	Size		used;			/* the part of them that rows not written yet take */
	Size		full;			/* used at the last write_full(), or 0 before the first */
	uint64		nrows;			/* not written yet */

	/* for write_batch() */
	bool		goes_on;		/* it may leave rows for the next time */
	Size		kept;			/* the bytes of these rows */
	uint32		fill_rows;		/* the fewest rows that have filled a segment, or 0 */
} Batch;

/* The values of a row, as an array datum has them. */
typedef struct RowValues
{
	uint16		width;			/* number of elements, or CODEC_WIDTH_NULL */
	const double *dense;		/* [width]; NULL if an element is NULL, or there is none */
	ArrayType  *array;			/* NULL if the array is NULL */
} RowValues;

/* A row as it comes in; it points into its slot. */
typedef struct IncomingRow
{
	int64		time;
	TagName		tag;
	RowValues	values;
	RowBuffer  *rows;			/* the rows of its tag */
} IncomingRow;

static int	append_group(Batch *batch, IncomingRow *row, int nrows);
static void read_row(Relation rel, const HistorianColumns *columns, TupleTableSlot *slot,
					 IncomingRow *row, const TagName *previous);
static Batch *find_batch(Oid relid, CommandId cid, int options);
static RowBuffer *find_tag(Batch *batch, const TagName *name);
static void add_met(Batch *batch, TagRows *tag);
static TagName read_tag(text *tag, const TagName *previous);
static RowValues read_values(Datum datum, bool isnull);
static void append_row(RowBuffer *rows, int64 time, const RowValues *values);
static void write_full(Batch *batch);
static void write_batch(CommandWork *work);
static bool keep_rows(Batch *batch, TagRows *tag, uint32 nrows);
static bool has_few_rows(const RowBuffer *rows);
static void write_tag(SegmentSink *sink, RunWriter *run, Batch *batch, TagRows *tag,
					  uint64 sequence, Placement *placement);

static const CommandWorkKind writing = {
	.work_do = write_batch,
	.divisible = true,
};

static inline Size
write_limit(void)
{
	return (Size) historian_write_buffer * 1024;
}

/*
 * Returns how many bytes the batch may allocate before it is written.  A batch that was written
 * before has kept its memory, about as much as the limit.  So it may allocate a quarter more, until
 * it uses as much of it as before.
 */
static size_t
bytes_allowed(const Batch *batch)
{
	return batch->full > 0 ? write_limit() + write_limit() / 4 : write_limit();
}

void
writer_append(Relation rel, const HistorianColumns *columns, TupleTableSlot **slots, int nslots,
			  CommandId cid, int options)
{
	IncomingRow row[GROUP_ROWS];

	for (int first = 0, appended; first < nslots; first += appended)
	{
		int			nrows = Min(GROUP_ROWS, nslots - first);
		Batch	   *batch = find_batch(RelationGetRelid(rel), cid, options);
		MemoryContext caller = MemoryContextSwitchTo(batch->incoming);

		/* not in the caller's context, where detoasted values might stay until its query ends */
		for (int i = 0; i < nrows; i++)
			read_row(rel, columns, slots[first + i], &row[i], i > 0 ? &row[i - 1].tag : NULL);

		MemoryContextSwitchTo(batch->work.context);
		appended = append_group(batch, row, nrows);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(batch->incoming);

		if (appended < nrows)
			command_work_write(batch->work.relid);
		else if (batch->bytes >= bytes_allowed(batch) ||
				 (batch->full > 0 && batch->used >= batch->full))
			write_full(batch);
		else
		{
			command_work_count(&batch->work, batch->bytes);
			if (!command_work_is_alone(&batch->work))
				command_work_limit(write_limit());
		}
	}
}

/* Fetches the memory to which a tag's next row goes: it has been used too long ago to be cached. */
static inline void
prefetch_tail(const RowBuffer *rows)
{
	const char *values = (const char *) (rows->values + (Size) rows->nrows * rows->stride);

	__builtin_prefetch(rows->time + rows->nrows, 1);
	__builtin_prefetch(values, 1);
	__builtin_prefetch(values + 64, 1);
}

/*
 * Appends a group of rows to the batch, in whose context it is called.
 *
 * Neighbouring rows often have different tags, and a batch is larger than the processor's caches.
 * So each step is done for all rows of the group, and prefetches the memory that the next step
 * needs.
 *
 * Returns how many rows it has appended.  It appends fewer than nrows if the batch must be written
 * before the next row: when that is wider than all rows of its tag, each of them takes more memory.
 */
static int
append_group(Batch *batch, IncomingRow *row, int nrows)
{
	for (int i = 0; i < nrows; i++)
		__builtin_prefetch(&batch->tags->data[row[i].tag.hash & batch->tags->sizemask]);
	for (int i = 0; i < nrows; i++)
	{
		/* historiand sends the rows of a tag together */
		if (i > 0 && same_tag(&row[i].tag, &row[i - 1].tag))
			row[i].rows = row[i - 1].rows;
		else
			row[i].rows = find_tag(batch, &row[i].tag);
		__builtin_prefetch(row[i].rows, 1);
	}
	for (int i = 0; i < nrows; i++)
		prefetch_tail(row[i].rows);
	for (int i = 0; i < nrows; i++)
	{
		Size		widening = row_buffer_widening(row[i].rows, row[i].values.width);

		if (widening > 0 && batch->bytes + widening > write_limit())
			return i;
		batch->nrows++;
		batch->bytes -= row[i].rows->bytes;
		append_row(row[i].rows, row[i].time, &row[i].values);
		batch->bytes += row[i].rows->bytes;
		batch->used += sizeof(int64) + row[i].rows->stride * sizeof(double);
	}
	return nrows;
}

/*
 * Takes a row from its slot.  previous is the tag of the row before, or NULL.  Called in the
 * context of incoming rows.
 */
static void
read_row(Relation rel, const HistorianColumns *columns, TupleTableSlot *slot, IncomingRow *row,
		 const TagName *previous)
{
	slot_getallattrs(slot);
	if (slot->tts_isnull[columns->time - 1] || slot->tts_isnull[columns->tag - 1])
	{
		AttrNumber	column = slot->tts_isnull[columns->time - 1] ? columns->time : columns->tag;

		ereport(ERROR,
				errcode(ERRCODE_NOT_NULL_VIOLATION),
				errmsg("null value in column \"%s\" of historian table \"%s\" is not allowed",
					   NameStr(TupleDescAttr(RelationGetDescr(rel), column - 1)->attname),
					   RelationGetRelationName(rel)),
				errdetail("Every row of a historian table has a time and a tag."));
	}

	row->time = DatumGetInt64(slot->tts_values[columns->time - 1]);
	row->tag = read_tag(DatumGetTextPP(slot->tts_values[columns->tag - 1]), previous);
	row->values = read_values(slot->tts_values[columns->values - 1],
							  slot->tts_isnull[columns->values - 1]);
}

/* Returns the command's batch for a table; makes an empty one if there is none. */
static Batch *
find_batch(Oid relid, CommandId cid, int options)
{
	Batch	   *batch = (Batch *) command_work_find(&writing, relid, cid, sizeof(Batch));

	if (batch->tags == NULL)
	{
		batch->tags = tagtable_create(batch->work.context, 64, NULL);
		batch->incoming = AllocSetContextCreate(batch->work.context, "historian incoming rows",
												ALLOCSET_DEFAULT_SIZES);
		batch->options = options;
		batch->bytes = EMPTY_BATCH_BYTES;
	}
	return batch;
}

/*
 * Returns the buffer for a tag's rows.  Called in the batch's context, where it makes new entries.
 */
static RowBuffer *
find_tag(Batch *batch, const TagName *name)
{
	TagEntry   *entry;
	TagRows    *tag;
	bool		found;

	entry = tagtable_insert(batch->tags, *name, &found);
	if (!found)
	{
		/* if an allocation fails, the entry stays half made; but the batch is dropped on abort */
		tag = palloc(offsetof(TagRows, tag) + name->length);
		memset(&tag->rows, 0, sizeof(tag->rows));
		tag->kept = 0;
		tag->tag_bytes = name->length;
		memcpy(tag->tag, name->bytes, name->length);
		entry->name.bytes = tag->tag;
		entry->rows = &tag->rows;
		add_met(batch, tag);
		batch->bytes += sizeof(TagRows) + 2 * sizeof(TagEntry) + 2 * sizeof(TagRows *) +
			name->length;
	}
	return entry->rows;
}

static void
add_met(Batch *batch, TagRows *tag)
{
	if (batch->nmet == batch->met_capacity)
	{
		batch->met_capacity = Max(64, batch->met_capacity * 2);
		batch->met = batch->met == NULL
			? palloc_array(TagRows *, batch->met_capacity)
			: repalloc_huge(batch->met, batch->met_capacity * sizeof(TagRows *));
	}
	batch->met[batch->nmet++] = tag;
}

/*
 * Checks a tag and hashes it.  previous is the tag of the row before, or NULL: it is often the
 * same, and its hash is then used again.
 */
static TagName
read_tag(text *tag, const TagName *previous)
{
	TagName		name = {.bytes = VARDATA_ANY(tag), .length = VARSIZE_ANY_EXHDR(tag)};

	if (name.length == 0 || name.length > SEGMENT_MAX_TAG_BYTES)
		ereport(ERROR,
				errcode(ERRCODE_STRING_DATA_LENGTH_MISMATCH),
				errmsg("tag length of %u bytes is out of range", name.length),
				errdetail("A tag has 1 to %d bytes.", SEGMENT_MAX_TAG_BYTES));
	memcpy(name.prefix, name.bytes, Min(name.length, PREFIX_BYTES));
	if (previous != NULL && same_tag(&name, previous))
		name.hash = previous->hash;
	else
		name.hash = hash_bytes((const unsigned char *) name.bytes, name.length);
	return name;
}

/* Checks an array of values, and detoasts it. */
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
				errmsg("number of values (%d) exceeds the maximum allowed (%d)",
					   ARR_DIMS(values.array)[0], CODEC_MAX_VALUES),
				errhint("Spread the values over several tags."));

	values.width = ARR_DIMS(values.array)[0];
	if (!array_contains_nulls(values.array))
		values.dense = (const double *) ARR_DATA_PTR(values.array);
	return values;
}

/* Called in the batch's context. */
static void
append_row(RowBuffer *rows, int64 time, const RowValues *values)
{
	bool		nulls = values->array != NULL && values->dense == NULL && values->width > 0;
	RowSlot		slot = row_buffer_add(rows, time, values->width, nulls);

	if (values->dense != NULL)
		memcpy(slot.values, values->dense, values->width * sizeof(double));
	else if (nulls)
	{
		const double *src = (const double *) ARR_DATA_PTR(values->array);
		const bits8 *present = ARR_NULLBITMAP(values->array);

		Assert(present != NULL);
		for (uint32 v = 0; v < values->width; v++)
		{
			slot.isnull[v] = !(present[v / 8] & (1 << (v % 8)));
			slot.values[v] = slot.isnull[v] ? 0.0 : *src++;
		}
	}
}

/*
 * Writes a full batch in the middle of a command.  Keeps its memory for the command's next rows,
 * because to allocate it anew costs more than to fill it.  But if the batch has grown so far beyond
 * its limit that the next rows must have had other tags, or other work of the transaction needs
 * memory too, frees it.
 */
static void
write_full(Batch *batch)
{
	MemoryContext scratch;
	MemoryContext caller;

	if (!command_work_is_alone(&batch->work) || batch->bytes >= write_limit() + write_limit() / 4)
	{
		command_work_write(batch->work.relid);
		return;
	}

	/*
	 * Rows that are left make other tags' rows take memory than before.  So the next rows may use
	 * less of it.
	 */
	if (batch->full == 0)
		batch->full = Max(batch->used - batch->used / 4, 1);
	batch->goes_on = true;
	batch->kept = 0;
	scratch = AllocSetContextCreate(batch->work.context, "historian write", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(scratch);
	write_batch(&batch->work);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);

	batch->goes_on = false;
	batch->used = batch->kept;
	batch->nrows = 0;
	for (uint32 i = 0; i < batch->nmet; i++)
	{
		TagRows    *tag = batch->met[i];
		RowBuffer  *rows = &tag->rows;

		batch->bytes -= rows->bytes;
		if (tag->kept > 0)
			row_buffer_shift(rows, rows->nrows - tag->kept);
		else
			row_buffer_empty(rows);
		batch->bytes += rows->bytes;
		batch->nrows += tag->kept;
		tag->kept = 0;
	}
	command_work_count(&batch->work, batch->bytes);
}

/*
 * Writes the batch's rows as segments, without removing them from the batch.  If the batch goes on,
 * leaves some tags' last rows, and sets their number in the entry.  Allocates in the current memory
 * context.
 */
static void
write_batch(CommandWork *work)
{
	Batch	   *batch = (Batch *) work;
	Relation	rel = table_open(work->relid, RowExclusiveLock);
	SegmentSink *sink;
	RunWriter  *run = NULL;
	uint64		sequence = load_order_next();
	TagOrderItem *order = palloc_extended(batch->nmet * sizeof(TagOrderItem), MCXT_ALLOC_HUGE);
	uint32		ntags = 0;
	uint32		nfew = 0;
	uint64		nrows = batch->nrows;
	Placement  *placement = NULL;

	serializable_note_write(rel, work->xid, work->cid);
	sink = segment_sink_begin(rel, work->xid, work->cid, batch->options);
	if ((batch->full > 0 || batch->used >= write_limit() / BULK_PART) &&
		!command_work_has_other(work))
		placement = placement_begin(rel, work->cid, sink);

	/*
	 * in order of tags: they are neighbours in the directory, and a load always gives the same
	 * bytes
	 */
	for (uint32 i = 0; i < batch->nmet; i++)
	{
		TagRows    *tag = batch->met[i];

		if (tag->rows.nrows == 0)
			continue;
		order[ntags++] = (TagOrderItem) {
			.bytes = tag->tag,
			.length = tag->tag_bytes,
			.owner = tag,
		};
		nfew += has_few_rows(&tag->rows);
	}
	tag_order(order, ntags);
	if (nfew >= (uint32) historian_min_shared_tags)
		run = run_writer_begin(sink, sequence, sequence, 0);
	for (uint32 i = 0; i < ntags; i++)
	{
		TagRows    *tag = order[i].owner;

		write_tag(sink, run, batch, tag, sequence, placement);
		nrows -= tag->kept;
	}
	if (run != NULL)
		(void) run_writer_end(run);

	pgstat_count_heap_insert(rel, nrows);
	compaction_queue_add(MyDatabaseId);
	if (placement != NULL)
		placement_end(placement);
	segment_sink_end(sink);
	table_close(rel, NoLock);
}

/*
 * Keeps the last rows of a tag, which do not fill a segment, for the next time if the batch goes
 * on.  Keeps at most half of the batch, or it would be written again and again.
 */
static bool
keep_rows(Batch *batch, TagRows *tag, uint32 nrows)
{
	Size		bytes = nrows * (sizeof(int64) + tag->rows.stride * sizeof(double));

	if (!batch->goes_on || batch->kept + bytes > batch->used / 2)
		return false;
	batch->kept += bytes;
	tag->kept = nrows;
	return true;
}

static bool
has_few_rows(const RowBuffer *rows)
{
	return rows->nrows * (sizeof(int64) + rows->stride * sizeof(double)) <= FEW_ROWS_BYTES;
}

/*
 * Orders the rows of one tag by time, and writes them: to the run (unless it is NULL) if they are
 * few, or else as segments of their own.  With a placement (else NULL), writes full segments as
 * compacted ones if it allows that.
 */
static void
write_tag(SegmentSink *sink, RunWriter *run, Batch *batch, TagRows *tag, uint64 sequence,
		  Placement *placement)
{
	SegmentHeader header = {
		.sequence = sequence,
		.tag = tag->tag,
		.tag_bytes = tag->tag_bytes,
	};
	bool		placed = false;
	MemoryContext caller;
	uint32		taken;

	caller = MemoryContextSwitchTo(batch->work.context);
	row_buffer_sort(&tag->rows);
	MemoryContextSwitchTo(caller);
	/* a guess, which saves most of the encoding below whose result would not be written */
	if (placement != NULL && tag->rows.nrows < batch->fill_rows / 2 &&
		keep_rows(batch, tag, tag->rows.nrows))
		return;
	if (run != NULL && has_few_rows(&tag->rows))
	{
		CodecRows	rows = row_buffer_rows(&tag->rows, 0);

		if (run_writer_add(run, header.tag, header.tag_bytes, &rows, STORE_MAX_SEGMENT_BYTES))
			return;
	}
	for (uint32 done = 0; done < tag->rows.nrows; done += taken)
	{
		CodecRows	rows = row_buffer_rows(&tag->rows, done);
		bool		full;

		taken = segment_sink_build(sink, &header, &rows);
		full = taken < rows.nrows;
		if (full)
			batch->fill_rows = batch->fill_rows == 0 ? taken : Min(batch->fill_rows, taken);
		else if (placement != NULL && keep_rows(batch, tag, rows.nrows))
			break;
		if (done == 0 && full && placement != NULL && placement_allows(placement, &header))
			placed = true;
		header.flags = placed && full ? SEGMENT_COMPACTED : 0;
		header.sequence = placed && full ? 0 : sequence;
		segment_sink_write_built(sink, &header, &rows);
	}
	if (placed)
		placement_finish_tag(placement, &header);
}
