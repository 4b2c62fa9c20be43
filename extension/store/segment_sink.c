/*
 * segment_sink.c
 *	  Writes segments: into the table's file, into its directory, and their summaries.
 */
#include "postgres.h"

#include "store/segment_sink.h"

#include "access/hio.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"

#include "store/compaction_notes.h"
#include "store/directory.h"
#include "store/summary.h"

/*
 * A segment that has as many rows as there can be, and does not fit on the present page, takes fewer
 * if what is left of the page is this part of it, and has room for this part of the rows.
 */
#define CUT_PART 4

/*
 * A segment of a shorter tag leaves room for one of so many bytes, so that a rename can copy it
 * (rename.c).  Where a segment holds fewer rows than FEW_ROWS, a row more is worth more than that.
 */
#define TAG_ROOM 64
#define FEW_ROWS 8

/* The runs of blocks that are gathered before they are noted together. */
#define NOTES_AT_ONCE 64

struct SegmentSink
{
	Relation	rel;
	DirectoryWriter *directory;
	TransactionId xid;
	CommandId	cid;
	int			options;
	BulkInsertState bistate;
	uint64		bytes;			/* of the segments written */
	RowBuffer  *summaries;		/* of compacted segments written, or NULL */
	NotedBlocks pending[NOTES_AT_ONCE]; /* have pending segments, and are to be noted */
	uint32		npending;
	ChangeLog  *changes;		/* takes the rows that are written, or NULL */

	/* the segment that was built last */
	Size		built_length;
	uint8		built_flags;
	uint64		built_sequence;
	uint8		built[STORE_MAX_SEGMENT_BYTES];
};

static void build(SegmentSink *sink, SegmentHeader *header, const CodecRows *rows, Size capacity,
				  uint32 *guess);
static Size capacity_for_rename(const SegmentHeader *header);
static bool is_cut_short(const SegmentSink *sink, const SegmentHeader *header,
						 const CodecRows *rows);
static void cut_to_page(SegmentSink *sink, SegmentHeader *header, const CodecRows *rows);
static ItemPointerData write_bytes(SegmentSink *sink, const SegmentHeader *header,
								   const uint8 *bytes, Size length);
static void note_pending(SegmentSink *sink, BlockNumber block);

SegmentSink *
segment_sink_begin(Relation rel, TransactionId xid, CommandId cid, int options)
{
	SegmentSink *sink = palloc(sizeof(SegmentSink));

	memset(sink, 0, offsetof(SegmentSink, built));
	sink->rel = rel;
	sink->xid = xid;
	sink->cid = cid;
	sink->options = options;
	sink->bistate = GetBulkInsertState();
	sink->directory = directory_writer_begin(rel);
	return sink;
}

void
segment_sink_end(SegmentSink *sink)
{
	compaction_notes_add(sink->rel, sink->pending, sink->npending);
	FreeBulkInsertState(sink->bistate);
	directory_writer_end(sink->directory);
	pfree(sink);
}

void
segment_sink_write(SegmentSink *sink, SegmentHeader *header, const CodecRows *rows)
{
	CodecRows	rest = *rows;

	while (rest.nrows > 0)
	{
		uint32		taken = segment_sink_write_one(sink, header, &rest);

		rest.nrows -= taken;
		rest.time += taken;
		rest.values += taken * rest.row_stride;
		if (rest.width != NULL)
			rest.width += taken;
		if (rest.isnull != NULL)
			rest.isnull += taken * rest.row_stride;
	}
}

uint32
segment_sink_write_one(SegmentSink *sink, SegmentHeader *header, const CodecRows *rows)
{
	uint32		taken = segment_sink_build(sink, header, rows, NULL);

	segment_sink_write_built(sink, header, rows);
	return taken;
}

uint32
segment_sink_build(SegmentSink *sink, SegmentHeader *header, const CodecRows *rows, uint32 *guess)
{
	CodecRows	first = *rows;

	CHECK_FOR_INTERRUPTS();
	first.nrows = Min(first.nrows, CODEC_MAX_ROWS);
	build(sink, header, &first, capacity_for_rename(header), guess);
	if (is_cut_short(sink, header, &first))
		build(sink, header, &first, sizeof(sink->built), guess);
	if (sink->built_length == 0)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("row of tag \"%.*s\" at time " INT64_FORMAT " is too large for historian table \"%s\"",
					   (int) header->tag_bytes, header->tag, first.time[0],
					   RelationGetRelationName(sink->rel)),
				errdetail("The compressed row must fit into %zu bytes.",
						  (size_t) STORE_MAX_SEGMENT_BYTES),
				errhint("A row always fits if its tag and its values (8 bytes each, and one bit each if any is NULL) take at most %zu bytes.",
						(size_t) STORE_SURE_ROW_BYTES));
	if (header->nrows == CODEC_MAX_ROWS)
		cut_to_page(sink, header, &first);
	sink->built_flags = header->flags;
	sink->built_sequence = header->sequence;
	return header->nrows;
}

void
segment_sink_write_built(SegmentSink *sink, const SegmentHeader *header, const CodecRows *rows)
{
	CodecRows	first = *rows;

	if (header->flags != sink->built_flags || header->sequence != sink->built_sequence)
		segment_mark(sink->built, sink->built_length, header->flags, header->sequence);
	write_bytes(sink, header, sink->built, sink->built_length);
	if (sink->summaries != NULL && (header->flags & SEGMENT_COMPACTED))
	{
		first.nrows = header->nrows;
		summary_add(sink->summaries, &first,
					sink->built_length - SEGMENT_HEADER_BYTES - header->tag_bytes);
	}
}

void
segment_sink_copy(SegmentSink *sink, const SegmentHeader *header, const uint8 *bytes, Size length,
				  Buffer page)
{
	if (BufferIsValid(page))
	{
		/* the page that inserts try first */
		if (BufferIsValid(sink->bistate->current_buf))
			ReleaseBuffer(sink->bistate->current_buf);
		sink->bistate->current_buf = page;
	}
	write_bytes(sink, header, bytes, length);
}

void
segment_sink_note(SegmentSink *sink, RowBuffer *summaries)
{
	sink->summaries = summaries;
}

void
segment_sink_publish(SegmentSink *sink, ChangeLog *log)
{
	sink->changes = log;
}

void
segment_sink_write_summaries(SegmentSink *sink, text *tag, RowBuffer *summaries)
{
	uint8		bytes[STORE_MAX_SEGMENT_BYTES];
	int64	   *last_times;
	uint32		parts;
	SegmentHeader header = {
		.flags = SEGMENT_SUMMARY | SEGMENT_SUMMARY_TOTALS,
		.tag = VARDATA_ANY(tag),
		.tag_bytes = VARSIZE_ANY_EXHDR(tag),
	};

	summary_merge_neighbours(summaries);
	last_times = summary_last_times(summaries);

	/* parts of about the same size, so that none is a scrap */
	parts = (summaries->nrows + SUMMARY_SEGMENTS - 1) / SUMMARY_SEGMENTS;
	for (uint32 done = 0; done < summaries->nrows; done += header.nrows)
	{
		CodecRows	rows = row_buffer_rows(summaries, done);
		Size		length;

		rows.nrows = (rows.nrows + parts - 1) / parts;
		length = segment_build(segment_sink_encoder(), &header, &rows, last_times + done, bytes,
							   capacity_for_rename(&header), NULL);
		if (length == 0)
			length = segment_build(segment_sink_encoder(), &header, &rows, last_times + done,
								   bytes, sizeof(bytes), NULL);
		if (length == 0)
			elog(ERROR, "summary of a segment does not fit into a page");
		segment_mark(bytes, length, header.flags,
					 summary_pack_totals(summaries, done, header.nrows));
		write_bytes(sink, &header, bytes, length);
		parts = Max(parts, 2) - 1;
	}
	pfree(last_times);
}

void
segment_sink_write_mark(SegmentSink *sink)
{
	uint8		bytes[STORE_MAX_SEGMENT_BYTES];
	SegmentHeader header = directory_mark_header();
	int64		time = 0;
	CodecRows	row = {.nrows = 1, .time = &time};
	Size		length = segment_build(segment_sink_encoder(), &header, &row, NULL, bytes, sizeof(bytes),
									   NULL);
	ItemPointerData tid;

	if (length == 0)
		elog(ERROR, "mark does not fit into a page");
	tid = write_bytes(sink, &header, bytes, length);
	/* the next command deletes it, as no command can delete what it has inserted itself */
	if (!store_delete(sink->rel, &tid, sink->cid + 1))
		elog(ERROR, "mark was deleted by another transaction");
}

void
segment_sink_write_shared(SegmentSink *sink, SharedBuilder *builder)
{
	Size		length;

	CHECK_FOR_INTERRUPTS();
	length = shared_builder_finish(builder);
	write_bytes(sink, &builder->header, builder->bytes, length);
}

void
segment_sink_write_root(SegmentSink *sink, const SortedRun *run)
{
	uint8		bytes[STORE_MAX_SEGMENT_BYTES];
	char		number[SEGMENT_RUN_NUMBER_BYTES];
	double		values[SORTED_RUN_ROOT_VALUES] = {run->level, run->rows};
	SegmentHeader header = {
		.flags = SEGMENT_RUN_ROOT,
		.sequence = run->sequence,
		.tag = number,
		.tag_bytes = sizeof(number),
	};
	CodecRows	row = {
		.nrows = 1,
		.nvalues = SORTED_RUN_ROOT_VALUES,
		.time = &run->first_time,
		.values = values,
		.row_stride = SORTED_RUN_ROOT_VALUES,
		.value_stride = 1,
	};
	Size		length;

	segment_put_run_number(number, run->number);
	length = segment_build(segment_sink_encoder(), &header, &row, &run->last_time, bytes,
						   sizeof(bytes), NULL);
	if (length == 0)
		elog(ERROR, "root of a run does not fit into a page");
	write_bytes(sink, &header, bytes, length);
}

CodecEncoder *
segment_sink_encoder(void)
{
	static CodecEncoder *encoder = NULL;

	if (encoder == NULL)
	{
		encoder = codec_encoder_new();
		if (encoder == NULL)
			ereport(ERROR,
					errcode(ERRCODE_OUT_OF_MEMORY),
					errmsg("out of memory"));
	}
	return encoder;
}

Size
segment_sink_room(const SegmentSink *sink)
{
	return store_room(sink->bistate);
}

uint64
segment_sink_bytes(const SegmentSink *sink)
{
	return sink->bytes;
}

/* Builds a segment of the first rows, which has no length if there is no room for one. */
static void
build(SegmentSink *sink, SegmentHeader *header, const CodecRows *rows, Size capacity, uint32 *guess)
{
	sink->built_length = segment_build(segment_sink_encoder(), header, rows, NULL, sink->built,
									   capacity, guess);
}

/* The bytes that a segment can have so that a page has room for it under a tag of TAG_ROOM bytes. */
static Size
capacity_for_rename(const SegmentHeader *header)
{
	return STORE_MAX_SEGMENT_BYTES - (TAG_ROOM - Min(header->tag_bytes, TAG_ROOM));
}

/* Would the segment that was built have another row, which matters, if it left no room for a tag? */
static bool
is_cut_short(const SegmentSink *sink, const SegmentHeader *header, const CodecRows *rows)
{
	Size		block_bytes;

	if (sink->built_length == 0)
		return true;
	block_bytes = sink->built_length - SEGMENT_HEADER_BYTES - header->tag_bytes;
	return header->nrows < Min(rows->nrows, FEW_ROWS) &&
		block_bytes / header->nrows <= STORE_MAX_SEGMENT_BYTES - sink->built_length;
}

/*
 * Builds a segment of fewer rows if that fills the present page.  Without this, three segments of
 * two sevenths of a page would leave a seventh of it empty, on every page.
 */
static void
cut_to_page(SegmentSink *sink, SegmentHeader *header, const CodecRows *rows)
{
	Size		room = store_room(sink->bistate);

	if (room >= sink->built_length || room < sink->built_length / CUT_PART)
		return;
	build(sink, header, rows, room, NULL);

	/*
	 * what a segment takes for any number of rows, a long tag for one, may leave room for none or
	 * few
	 */
	if (sink->built_length == 0 || header->nrows < rows->nrows / CUT_PART)
		build(sink, header, rows, capacity_for_rename(header), NULL);
}

static ItemPointerData
write_bytes(SegmentSink *sink, const SegmentHeader *header, const uint8 *bytes, Size length)
{
	ItemPointerData tid;

	store_insert(sink->rel, bytes, length, sink->xid, sink->cid, sink->options, sink->bistate,
				 &tid);
	sink->bytes += length;
	if (!(header->flags & (SEGMENT_SUMMARY | SEGMENT_RUN_ROOT)))
		change_log_segment(sink->changes, bytes, length);
	directory_writer_enter(sink->directory, header, &tid);
	/* compaction looks for pending segments of one tag, and for runs */
	if (header->flags == 0 || (header->flags & SEGMENT_RUN_ROOT))
		note_pending(sink, ItemPointerGetBlockNumber(&tid));
	return tid;
}

/* Gathers the blocks of pending segments for compaction, as runs. */
static void
note_pending(SegmentSink *sink, BlockNumber block)
{
	NotedBlocks *last = sink->npending > 0 ? &sink->pending[sink->npending - 1] : NULL;

	if (last != NULL && block >= last->first && block <= last->last + 1)
	{
		last->last = Max(last->last, block);
		return;
	}
	if (sink->npending == NOTES_AT_ONCE)
	{
		compaction_notes_add(sink->rel, sink->pending, sink->npending);
		sink->npending = 0;
	}
	sink->pending[sink->npending++] = (NotedBlocks) {.first = block, .last = block};
}
