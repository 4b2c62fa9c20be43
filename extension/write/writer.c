/*
 * writer.c
 *	  Gathers the rows that a command inserts by tag, and writes them as pending segments.
 *
 * The rows are written when the command ends (command_work.c), or sooner when they take more memory
 * than historian.write_buffer.  Where many tags have few rows, those of all these tags share
 * segments (store/sorted_runs.h).  All rows written at one time have one number in load order.  Of
 * rows with the same tag and time the last one inserted is kept.
 *
 * Rows often come in the order of their tags: historiand sends them so, and so do dumps.  As long as
 * they do, a tag is complete when the next one comes.  So the tags with few rows, once there are
 * enough of them, go to a run in the middle of the command, a thousand tags at a time, while they
 * are in the processor's caches; and no table of all tags is made for them.  These tags are the
 * batch's *window*.  A tag with more rows leaves the window for the others.  With the first row that
 * is not in order the run ends, and its tags, if they come again, come in a later one.
 *
 * In a bundle the rows of a tag lie together already, in columns.  Once a command has a run, tags with
 * few rows go from the bundle straight to it.  A tag whose next entry is of the same tag does not, nor
 * does the last one, because more rows of it may be in the next bundle.
 *
 * A bulk load writes full segments as compacted ones where it may (placement.c).  In the middle of
 * its command, the rows that do not fill a segment wait for more, as far as memory allows.
 */
#include "postgres.h"

#include "write/writer.h"

#include "access/table.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "command_work.h"
#include "store/change_log.h"
#include "store/compaction_queue.h"
#include "store/load_order.h"
#include "store/row_buffer.h"
#include "store/run_writer.h"
#include "store/segment_sink.h"
#include "store/serializable.h"
#include "tag.h"
#include "tag_order.h"
#include "write/placement.h"
#include "write/tag_rows.h"

int			historian_write_buffer = 64 * 1024;
int			historian_min_shared_tags = 512;

/* The memory of a batch without rows: its contexts and its hash table. */
#define EMPTY_BATCH_BYTES (24 * 1024)

/* What a run in the making takes. */
#define RUN_WRITER_BYTES (72 * 1024)

/* A load whose rows take at least this part of the limit on memory is a bulk load. */
#define BULK_PART 4

/* So many tags of the window are written together, unless historian.min_shared_tags is larger. */
#define WINDOW_TAGS 1024

/*
 * Rows of a tag that are fewer than those of its segment before, by more than this part of them, are
 * taken not to fill one without a look.
 */
#define SURE_PART 16

/* So many rows are appended together; see append_group(). */
#define GROUP_ROWS 16

/* The most bytes of rows that are added at once, before the batch is looked at for its memory. */
#define MOST_ENTRY_BYTES (256 * 1024)

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
	TagRows    *rows;
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

typedef struct TagList
{
	TagRows   **tag;
	uint32		count;
	uint32		capacity;
} TagList;

/* The rows that one command has gathered for one table. */
typedef struct Batch
{
	CommandWork work;
	MemoryContext incoming;		/* for the detoasted values of a group of rows */
	int			options;		/* TABLE_INSERT_*, the same for the whole command */
	tagtable_hash *tags;		/* NULL if there are none; these entries move */
	TagRowsMemory memory;		/* of the tags */
	TagList		met;			/* the tags in the order in which they came */
	Size		bytes;			/* allocated */
	Size		used;			/* the part of them that rows not written yet take */
	Size		full;			/* used at the last write_full(), or 0 before the first */
	uint64		nrows;			/* not written yet */

	/* while the rows come in the order of their tags */
	bool		ordered;
	TagRows    *last;			/* the last row's, in the window or among the others; or NULL */
	const char *written;		/* where that is NULL: the tag that the run has last; or NULL */
	uint32		written_bytes;
	char		written_tag[SEGMENT_MAX_TAG_BYTES];
	TagRowsMemory window_memory;
	TagList		window;			/* tags with few rows, which are not in the table of tags */
	RunWriter  *run;			/* has the tags that were in the window before; or NULL */
	Size		streamed;		/* bytes of rows that have been written to the run */

	/* for write_batch() */
	bool		goes_on;		/* it may leave rows for the next time */
	Size		kept;			/* the bytes of these rows */
	uint32		fill_rows;		/* the fewest rows that have filled a segment, or 0 */
	uint32		guess;			/* how many rows fill the next one, or 0 */
} Batch;

/* The values of a row, as an array datum has them. */
typedef struct RowValues
{
	uint16		width;			/* number of elements, or CODEC_WIDTH_NULL */
	const double *values;		/* of the elements that are not NULL */
	const bits8 *present;		/* a bit for each element, 0 for a NULL; NULL: no element is NULL */
} RowValues;

/* A row as it comes in; it points into its slot. */
typedef struct IncomingRow
{
	int64		time;
	TagName		tag;
	RowValues	values;
	RowBuffer  *rows;			/* the rows of its tag */
} IncomingRow;

static void append_rows_of(Relation rel, const BundleEntry *entries, uint32 nentries, CommandId cid);
static uint32 append_to_run(Relation rel, const BundleEntry *entries, uint32 nentries,
							CommandId cid);
static int	append(Batch *batch, IncomingRow *row, int nrows);
static void check_memory(Batch *batch);
static int	append_in_order(Batch *batch, IncomingRow *row, int nrows);
static int	append_group(Batch *batch, IncomingRow *row, int nrows);
static bool append_row(Batch *batch, RowBuffer *rows, const IncomingRow *row);
static void read_row(Relation rel, const HistorianColumns *columns, TupleTableSlot *slot,
					 IncomingRow *row);
static Batch *find_batch(Oid relid, CommandId cid, int options);
static void make_tag_table(Batch *batch);
static TagRows *find_tag(Batch *batch, const TagName *name, uint32 nvalues);
static TagRows *new_tag(Batch *batch, TagRowsMemory *memory, TagList *list, const char *bytes,
						uint32 length, uint32 nvalues);
static void move_out(Batch *batch, TagRows *tag);
static void empty_window(Batch *batch);
static void end_order(Batch *batch);
static uint32 write_to_run(Batch *batch, const BundleEntry *entries, uint32 nentries, bool end);
static bool add_entry(Batch *batch, const BundleEntry *entry);
static bool add_many(Batch *batch, const BundleEntry *entry);
static void write_window(Batch *batch, SegmentSink *sink);
static void note_written(Batch *batch, const char *tag, uint32 tag_bytes);
static void end_run(Batch *batch);
static TagName tag_name(const char *bytes, uint32 length);
static void hash_tag(TagName *name);
static TagName read_tag(text *tag);
static RowValues read_values(Datum datum, bool isnull);
static void put_values(RowBuffer *rows, int64 time, const RowValues *values);
static void write_full(Batch *batch);
static void write_batch(CommandWork *work);
static uint32 list_tags(const TagList *list, TagOrderItem *order, uint32 *ntags);
static bool keep_rows(Batch *batch, TagRows *tag, uint32 nrows);
static void write_tag(SegmentSink *sink, RunWriter *run, Batch *batch, TagRows *tag,
					  uint64 sequence, Placement *placement);

static const CommandWorkKind writing = {
	.work_do = write_batch,
	.divisible = true,
};

static inline uint32
row_nvalues(const IncomingRow *row)
{
	return row->values.width == CODEC_WIDTH_NULL ? 0 : row->values.width;
}

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

/*
 * Compares a tag with that of the last row.  One that the run has already is less than that, because no
 * rows can be added to it.
 */
static inline int
compare_with_last(const Batch *batch, const char *tag, uint32 tag_bytes)
{
	if (batch->last != NULL)
		return tag_compare_bytes(tag, tag_bytes, batch->last->tag, batch->last->tag_bytes);
	if (batch->written == NULL)
		return 1;
	return tag_compare_bytes(tag, tag_bytes, batch->written, batch->written_bytes) > 0 ? 1 : -1;
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
			read_row(rel, columns, slots[first + i], &row[i]);
		MemoryContextSwitchTo(caller);
		appended = append(batch, row, nrows);
	}
}

void
writer_append_entries(Relation rel, const BundleEntry *entries, uint32 nentries, CommandId cid)
{
	uint32		done = 0;
	uint32		others = 1;

	while (done < nentries)
	{
		uint32		straight = append_to_run(rel, entries + done, nentries - done - 1, cid);

		/* what may not go straight to the run often comes in a row */
		done += straight;
		others = straight > 0 ? 1 : Min(2 * others, nentries - done);
		append_rows_of(rel, entries + done, others, cid);
		done += others;
	}
}

/* Appends the rows of entries one by one. */
static void
append_rows_of(Relation rel, const BundleEntry *entries, uint32 nentries, CommandId cid)
{
	IncomingRow row[GROUP_ROWS];
	uint32		entry = 0;
	uint32		next = 0;		/* row of the entry */
	int			nrows = 0;

	for (;;)
	{
		int			appended;

		for (; nrows < GROUP_ROWS && entry < nentries; nrows++)
		{
			const BundleEntry *from = &entries[entry];

			row[nrows].time = from->time[next];
			row[nrows].tag = tag_name(from->tag, from->tag_bytes);
			row[nrows].values = (RowValues) {
				from->width, from->values + (Size) next * from->width, from->present
			};
			if (++next == from->nrows)
			{
				entry++;
				next = 0;
			}
		}
		if (nrows == 0)
			return;
		CHECK_FOR_INTERRUPTS();
		appended = append(find_batch(RelationGetRelid(rel), cid, 0), row, nrows);
		nrows -= appended;
		memmove(row, row + appended, nrows * sizeof(IncomingRow));
	}
}

/*
 * Writes entries straight to the run of the command, as long as they may go there.  Returns how many
 * it has written; 0 if there is no run.
 */
static uint32
append_to_run(Relation rel, const BundleEntry *entries, uint32 nentries, CommandId cid)
{
	Batch	   *batch = find_batch(RelationGetRelid(rel), cid, 0);
	uint32		done;

	if (nentries == 0 || batch->run == NULL || !command_work_is_alone(&batch->work) ||
		compare_with_last(batch, entries[0].tag, entries[0].tag_bytes) <= 0)
		return 0;
	done = write_to_run(batch, entries, nentries, false);
	MemoryContextReset(batch->incoming);
	check_memory(batch);
	return done;
}

/*
 * Appends a group of rows to the batch, which it then writes if it has become too large.  Returns how many rows it has
 * appended, which is fewer than nrows if the batch was written before the next one.
 */
static int
append(Batch *batch, IncomingRow *row, int nrows)
{
	MemoryContext caller = MemoryContextSwitchTo(batch->work.context);
	int			appended = batch->ordered ? append_in_order(batch, row, nrows) : 0;

	if (!batch->ordered)
		appended += append_group(batch, row + appended, nrows - appended);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(batch->incoming);

	if (appended < nrows)
		command_work_write(batch->work.relid);
	else
		check_memory(batch);
	return appended;
}

static inline bool
is_full(const Batch *batch)
{
	return batch->bytes >= bytes_allowed(batch) ||
		(batch->full > 0 && batch->used >= batch->full);
}

/* Writes the batch, or other work of the transaction, if it has become too large. */
static void
check_memory(Batch *batch)
{
	if (is_full(batch))
	{
		write_full(batch);
		return;
	}
	command_work_count(&batch->work, batch->bytes);
	if (!command_work_is_alone(&batch->work))
		command_work_limit(write_limit());
}

/* Are the tag's rows in the window?  It is one of the batch's last tag. */
static inline bool
in_window(const Batch *batch, const TagRows *tag)
{
	return batch->window.count > 0 && batch->window.tag[batch->window.count - 1] == tag;
}

/*
 * Appends a group of rows as long as they come in the order of their tags.  Called in the batch's
 * context.
 *
 * Returns how many rows it has appended.  If it is fewer than nrows, the next row is not in order,
 * and the batch says so; or the batch must be written before it (append_row()).
 */
static int
append_in_order(Batch *batch, IncomingRow *row, int nrows)
{
	for (int i = 0; i < nrows; i++)
	{
		const TagName *name = &row[i].tag;
		TagRows    *tag = batch->last;
		int			order;

		/* most rows of the workload are of the tag before, and this compares it without a call */
		if (i > 0 && same_tag(name, &row[i - 1].tag))
			order = 0;
		else
			order = compare_with_last(batch, name->bytes, name->length);

		if (order < 0)
		{
			end_order(batch);
			return i;
		}
		if (order > 0)
		{
			/* an UPDATE's old rows are deleted before its new ones are written */
			if (batch->window.count >= (uint32) Max(WINDOW_TAGS, historian_min_shared_tags) &&
				command_work_is_alone(&batch->work))
				(void) write_to_run(batch, NULL, 0, false);
			tag = new_tag(batch, &batch->window_memory, &batch->window, name->bytes,
						  name->length, row_nvalues(&row[i]));
			batch->last = tag;
		}
		if (!append_row(batch, &tag->rows, &row[i]))
			return i;
		if (in_window(batch, tag) && !tag_rows_are_few(tag))
		{
			move_out(batch, tag);
			batch->window.count--;
		}
	}
	return nrows;
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
 * Returns how many rows it has appended.  If it is fewer than nrows, the batch must be written before
 * the next row (append_row()).
 */
static int
append_group(Batch *batch, IncomingRow *row, int nrows)
{
	if (batch->tags == NULL)
		make_tag_table(batch);
	for (int i = 0; i < nrows; i++)
	{
		/* dumps have the rows of a tag together */
		if (i > 0 && same_tag(&row[i].tag, &row[i - 1].tag))
			row[i].tag.hash = row[i - 1].tag.hash;
		else
			hash_tag(&row[i].tag);
		__builtin_prefetch(&batch->tags->data[row[i].tag.hash & batch->tags->sizemask]);
	}
	for (int i = 0; i < nrows; i++)
	{
		if (i > 0 && same_tag(&row[i].tag, &row[i - 1].tag))
			row[i].rows = row[i - 1].rows;
		else
			row[i].rows = &find_tag(batch, &row[i].tag, row_nvalues(&row[i]))->rows;
		__builtin_prefetch(row[i].rows, 1);
	}
	for (int i = 0; i < nrows; i++)
		prefetch_tail(row[i].rows);
	for (int i = 0; i < nrows; i++)
	{
		if (!append_row(batch, row[i].rows, &row[i]))
			return i;
	}
	return nrows;
}

/*
 * Appends a row to those of its tag.  Returns false, and appends nothing, if the batch must be
 * written before: when the row is wider than all rows of its tag, each of them takes more memory.
 */
static bool
append_row(Batch *batch, RowBuffer *rows, const IncomingRow *row)
{
	Size		widening = row_buffer_widening(rows, row->values.width);

	if (widening > 0 && batch->bytes + widening > write_limit())
		return false;
	batch->nrows++;
	batch->bytes -= rows->bytes;
	put_values(rows, row->time, &row->values);
	batch->bytes += rows->bytes;
	batch->used += tag_rows_bytes(1, rows->stride);
	return true;
}

/* Takes a row from its slot, without the hash of its tag.  Called in the context of incoming rows. */
static void
read_row(Relation rel, const HistorianColumns *columns, TupleTableSlot *slot, IncomingRow *row)
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
	row->tag = read_tag(DatumGetTextPP(slot->tts_values[columns->tag - 1]));
	row->values = read_values(slot->tts_values[columns->values - 1],
							  slot->tts_isnull[columns->values - 1]);
}

/* Returns the command's batch for a table; makes an empty one if there is none. */
static Batch *
find_batch(Oid relid, CommandId cid, int options)
{
	Batch	   *batch = (Batch *) command_work_find(&writing, relid, cid, sizeof(Batch));

	if (batch->incoming == NULL)
	{
		batch->incoming = AllocSetContextCreate(batch->work.context, "historian incoming rows",
												ALLOCSET_DEFAULT_SIZES);
		batch->options = options;
		batch->ordered = true;
		batch->bytes = EMPTY_BATCH_BYTES;
	}
	return batch;
}

static void
make_tag_table(Batch *batch)
{
	batch->tags = tagtable_create(batch->work.context, 64, NULL);
}

/*
 * Returns the tag in the table of tags; makes it, for rows of so many values, if it is not there.
 * Called in the batch's context.
 */
static TagRows *
find_tag(Batch *batch, const TagName *name, uint32 nvalues)
{
	TagEntry   *entry;
	bool		found;

	entry = tagtable_insert(batch->tags, *name, &found);
	if (!found)
	{
		/* if an allocation fails, the entry stays half made; but the batch is dropped on abort */
		entry->rows = new_tag(batch, &batch->memory, &batch->met, name->bytes, name->length,
							  nvalues);
		entry->name.bytes = entry->rows->tag;
		batch->bytes += 2 * sizeof(TagEntry);
	}
	return entry->rows;
}

/* Makes a tag at the end of a list.  Called in the batch's context. */
static TagRows *
new_tag(Batch *batch, TagRowsMemory *memory, TagList *list, const char *bytes, uint32 length,
		uint32 nvalues)
{
	TagRows    *tag;

	batch->bytes -= memory->bytes + list->capacity * sizeof(TagRows *);
	tag = tag_rows_new(memory, bytes, length, nvalues);
	if (list->count == list->capacity)
	{
		list->capacity = Max(64, list->capacity * 2);
		list->tag = list->tag == NULL
			? palloc_array(TagRows *, list->capacity)
			: repalloc_huge(list->tag, list->capacity * sizeof(TagRows *));
	}
	list->tag[list->count++] = tag;
	batch->bytes += memory->bytes + list->capacity * sizeof(TagRows *);
	return tag;
}

/* Moves a tag of the window, which the caller takes out of it, to the table of tags. */
static void
move_out(Batch *batch, TagRows *tag)
{
	MemoryContext caller = MemoryContextSwitchTo(batch->work.context);
	TagName		name = tag_name(tag->tag, tag->tag_bytes);
	TagRows    *moved;

	if (batch->tags == NULL)
		make_tag_table(batch);
	hash_tag(&name);
	/* rows that have memory of their own need none */
	moved = find_tag(batch, &name, tag->rows.lent ? tag->rows.stride : CODEC_MAX_VALUES);
	row_buffer_move(&moved->rows, &tag->rows);
	if (batch->last == tag)
		batch->last = moved;
	MemoryContextSwitchTo(caller);
}

/* Moves all tags of the window to the table of tags. */
static void
empty_window(Batch *batch)
{
	for (uint32 i = 0; i < batch->window.count; i++)
		move_out(batch, batch->window.tag[i]);
	batch->window.count = 0;
	tag_rows_forget(&batch->window_memory);
}

/* Goes on with rows in any order. */
static void
end_order(Batch *batch)
{
	batch->ordered = false;
	empty_window(batch);
	if (batch->run != NULL)
		(void) write_to_run(batch, NULL, 0, true);
}

/*
 * Writes all tags of the window, which are complete, to the run, and then entries as long as they may
 * go there; with end, ends the run.  There is one more entry after these.  Returns the number of those
 * that were written.
 */
static uint32
write_to_run(Batch *batch, const BundleEntry *entries, uint32 nentries, bool end)
{
	CommandWork *work = &batch->work;
	MemoryContext caller = MemoryContextSwitchTo(batch->incoming);
	Relation	rel = table_open(work->relid, RowExclusiveLock);
	ChangeLog  *changes = change_log_begin(rel);
	SegmentSink *sink;
	uint32		done = 0;

	change_log_inserts(changes, work->cid);
	if (batch->run == NULL)
		serializable_note_write(rel, work->xid, work->cid);
	sink = segment_sink_begin(rel, work->xid, work->cid, batch->options);
	segment_sink_publish(sink, changes);
	write_window(batch, sink);
	while (done < nentries && add_entry(batch, &entries[done]))
	{
		CHECK_FOR_INTERRUPTS();
		done++;
		if (is_full(batch))
			break;
	}
	if (batch->written != NULL)
		note_written(batch, batch->written, batch->written_bytes);
	if (end)
		end_run(batch);
	segment_sink_end(sink);
	change_log_end(changes);
	table_close(rel, NoLock);
	MemoryContextSwitchTo(caller);
	return done;
}

static inline bool
has_tag_of(const BundleEntry *entry, const BundleEntry *other)
{
	return entry->tag_bytes == other->tag_bytes &&
		memcmp(entry->tag, other->tag, entry->tag_bytes) == 0;
}

static bool
times_ascend(const BundleEntry *entry)
{
	for (uint32 i = 1; i < entry->nrows; i++)
	{
		if (entry->time[i] <= entry->time[i - 1])
			return false;
	}
	return true;
}

/*
 * Adds the rows of a tag to the run if they are few, or else to the table of tags.  Returns false, and
 * does nothing, if they must be appended one by one.  Looks at the entry after it too.
 */
static bool
add_entry(Batch *batch, const BundleEntry *entry)
{
	Size		bytes = tag_rows_bytes(entry->nrows, entry->width);
	CodecRows	rows = {
		.nrows = entry->nrows,
		.nvalues = entry->width,
		.time = entry->time,
		.values = entry->values,
		.row_stride = entry->width,
		.value_stride = 1,
	};

	if (compare_with_last(batch, entry->tag, entry->tag_bytes) <= 0 || entry->present != NULL ||
		has_tag_of(entry, entry + 1))
		return false;
	if (bytes > TAG_ROWS_FEW_BYTES)
		return bytes <= MOST_ENTRY_BYTES && add_many(batch, entry);
	if (!times_ascend(entry) ||
		!run_writer_add(batch->run, entry->tag, entry->tag_bytes, &rows, STORE_MAX_SEGMENT_BYTES))
		return false;
	batch->nrows += entry->nrows;
	batch->streamed += bytes;
	batch->last = NULL;
	batch->written = entry->tag;
	batch->written_bytes = entry->tag_bytes;
	return true;
}

/* Adds the rows of a tag to the table of tags.  Returns false, and adds nothing, if it has rows there. */
static bool
add_many(Batch *batch, const BundleEntry *entry)
{
	MemoryContext caller = MemoryContextSwitchTo(batch->work.context);
	IncomingRow row = {.tag = tag_name(entry->tag, entry->tag_bytes)};
	TagRows    *tag;
	bool		is_new;

	if (batch->tags == NULL)
		make_tag_table(batch);
	hash_tag(&row.tag);
	tag = find_tag(batch, &row.tag, CODEC_MAX_VALUES);
	is_new = tag->rows.nrows == 0;
	for (uint32 i = 0; is_new && i < entry->nrows; i++)
	{
		row.time = entry->time[i];
		row.values = (RowValues) {entry->width, entry->values + (Size) i * entry->width, NULL};
		(void) append_row(batch, &tag->rows, &row); /* rows of one width never widen */
	}
	if (is_new)
		batch->last = tag;
	MemoryContextSwitchTo(caller);
	return is_new;
}

/* Writes all tags of the window to the run, which it begins if there is none. */
static void
write_window(Batch *batch, SegmentSink *sink)
{
	MemoryContext caller = MemoryContextSwitchTo(batch->work.context);

	if (batch->run == NULL)
	{
		uint64		sequence = load_order_next();

		batch->run = run_writer_begin(sink, sequence, sequence, 0);
		batch->bytes += RUN_WRITER_BYTES;
	}
	else
		run_writer_go_on(batch->run, sink);
	for (uint32 i = 0; i < batch->window.count; i++)
	{
		TagRows    *tag = batch->window.tag[i];
		RowBuffer  *rows = &tag->rows;
		Size		bytes = tag_rows_bytes(rows->nrows, rows->stride);
		CodecRows	all;

		batch->bytes -= rows->bytes;
		row_buffer_sort(rows);
		all = row_buffer_rows(rows, 0);
		if (!run_writer_add(batch->run, tag->tag, tag->tag_bytes, &all, STORE_MAX_SEGMENT_BYTES))
		{
			/* times too far apart for a run */
			move_out(batch, tag);
			batch->bytes += rows->bytes;
			continue;
		}
		row_buffer_free(rows);
		batch->streamed += bytes;
		batch->used -= Min(batch->used, bytes);
		if (batch->last == tag)
		{
			batch->last = NULL;
			note_written(batch, tag->tag, tag->tag_bytes);
		}
	}
	batch->window.count = 0;
	tag_rows_forget(&batch->window_memory);
	MemoryContextSwitchTo(caller);
}

/* Notes the last tag of the run, and keeps a copy of it. */
static void
note_written(Batch *batch, const char *tag, uint32 tag_bytes)
{
	memmove(batch->written_tag, tag, tag_bytes);
	batch->written = batch->written_tag;
	batch->written_bytes = tag_bytes;
}

static void
end_run(Batch *batch)
{
	(void) run_writer_end(batch->run, true);
	batch->run = NULL;
	batch->bytes -= RUN_WRITER_BYTES;
}

static TagName
tag_name(const char *bytes, uint32 length)
{
	TagName		name = {.bytes = bytes, .length = length};

	memcpy(name.prefix, bytes, Min(length, PREFIX_BYTES));
	return name;
}

static void
hash_tag(TagName *name)
{
	name->hash = hash_bytes((const unsigned char *) name->bytes, name->length);
}

/* Checks a tag. */
static TagName
read_tag(text *tag)
{
	uint32		length = VARSIZE_ANY_EXHDR(tag);

	if (length == 0 || length > SEGMENT_MAX_TAG_BYTES)
		ereport(ERROR,
				errcode(ERRCODE_STRING_DATA_LENGTH_MISMATCH),
				errmsg("tag length of %u bytes is out of range", length),
				errdetail("A tag has 1 to %d bytes.", SEGMENT_MAX_TAG_BYTES));
	return tag_name(VARDATA_ANY(tag), length);
}

/* Checks an array of values, and detoasts it. */
static RowValues
read_values(Datum datum, bool isnull)
{
	RowValues	values = {0};
	ArrayType  *array;

	if (isnull)
	{
		values.width = CODEC_WIDTH_NULL;
		return values;
	}

	array = DatumGetArrayTypeP(datum);
	if (ARR_NDIM(array) == 0)
		return values;
	if (ARR_NDIM(array) > 1 || ARR_LBOUND(array)[0] != 1)
		ereport(ERROR,
				errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				errmsg("values must be a one-dimensional array with lower bound 1"));
	if (ARR_DIMS(array)[0] > CODEC_MAX_VALUES)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("number of values (%d) exceeds the maximum allowed (%d)",
					   ARR_DIMS(array)[0], CODEC_MAX_VALUES),
				errhint("Spread the values over several tags."));

	values.width = ARR_DIMS(array)[0];
	values.values = (const double *) ARR_DATA_PTR(array);
	if (array_contains_nulls(array))
		values.present = ARR_NULLBITMAP(array);
	return values;
}

/* Called in the batch's context. */
static void
put_values(RowBuffer *rows, int64 time, const RowValues *values)
{
	const double *next = values->values;
	uint32		width = values->width == CODEC_WIDTH_NULL ? 0 : values->width;
	RowSlot		slot = row_buffer_add(rows, time, values->width, values->present != NULL);

	if (values->present == NULL)
	{
		if (width > 0)
			memcpy(slot.values, values->values, width * sizeof(double));
		return;
	}
	for (uint32 v = 0; v < width; v++)
	{
		slot.isnull[v] = !(values->present[v / 8] & (1 << (v % 8)));
		slot.values[v] = slot.isnull[v] ? 0.0 : *next++;
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

	/* the window of a run stays; without one, its tags are as others */
	if (batch->run == NULL)
		empty_window(batch);

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
	for (uint32 i = 0; i < batch->met.count; i++)
	{
		TagRows    *tag = batch->met.tag[i];
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
	ChangeLog  *changes = change_log_begin(rel);
	SegmentSink *sink;
	RunWriter  *run = NULL;
	uint64		sequence = load_order_next();
	TagOrderItem *order;
	uint32		ntags = 0;
	uint32		nfew;
	uint64		nrows = batch->nrows;
	Placement  *placement = NULL;

	change_log_inserts(changes, work->cid);
	serializable_note_write(rel, work->xid, work->cid);
	sink = segment_sink_begin(rel, work->xid, work->cid, batch->options);
	segment_sink_publish(sink, changes);
	if (batch->run != NULL && !batch->goes_on)
	{
		write_window(batch, sink);
		end_run(batch);
	}
	if ((batch->full > 0 || batch->used + batch->streamed >= write_limit() / BULK_PART) &&
		!command_work_has_other(work))
		placement = placement_begin(rel, work->cid, sink);

	/*
	 * in order of tags: they are neighbours in the directory, and a load always gives the same
	 * bytes
	 */
	order = palloc_extended((batch->met.count + batch->window.count) * sizeof(TagOrderItem),
							MCXT_ALLOC_HUGE);
	nfew = list_tags(&batch->met, order, &ntags);
	if (batch->run == NULL)
		nfew += list_tags(&batch->window, order, &ntags);
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
		(void) run_writer_end(run, true);

	pgstat_count_heap_insert(rel, nrows);
	compaction_queue_add(MyDatabaseId, nrows);
	if (placement != NULL)
		placement_end(placement);
	segment_sink_end(sink);
	change_log_end(changes);
	table_close(rel, NoLock);
}

/* Appends the tags of a list that have rows to order.  Returns how many of them have few. */
static uint32
list_tags(const TagList *list, TagOrderItem *order, uint32 *ntags)
{
	uint32		nfew = 0;

	for (uint32 i = 0; i < list->count; i++)
	{
		TagRows    *tag = list->tag[i];

		if (tag->rows.nrows == 0)
			continue;
		order[(*ntags)++] = (TagOrderItem) {
			.bytes = tag->tag,
			.length = tag->tag_bytes,
			.owner = tag,
		};
		nfew += tag_rows_are_few(tag);
	}
	return nfew;
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
	uint32		filled = 0;		/* the rows that filled the tag's segment before, or 0 */
	uint32		taken;

	caller = MemoryContextSwitchTo(batch->work.context);
	row_buffer_sort(&tag->rows);
	MemoryContextSwitchTo(caller);
	/* a guess, which saves most of the encoding below whose result would not be written */
	if (placement != NULL && tag->rows.nrows < batch->fill_rows / 2 &&
		keep_rows(batch, tag, tag->rows.nrows))
		return;
	if (run != NULL && tag_rows_are_few(tag))
	{
		CodecRows	rows = row_buffer_rows(&tag->rows, 0);

		if (run_writer_add(run, header.tag, header.tag_bytes, &rows, STORE_MAX_SEGMENT_BYTES))
			return;
	}
	for (uint32 done = 0; done < tag->rows.nrows; done += taken)
	{
		CodecRows	rows = row_buffer_rows(&tag->rows, done);
		bool		full;

		/* the rows before tell more exactly */
		if (placement != NULL && filled > 0 && rows.nrows < filled - filled / SURE_PART &&
			keep_rows(batch, tag, rows.nrows))
			break;
		taken = segment_sink_build(sink, &header, &rows, &batch->guess);
		full = taken < rows.nrows;
		if (full)
		{
			filled = taken;
			batch->fill_rows = batch->fill_rows == 0 ? taken : Min(batch->fill_rows, taken);
		}
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
