/*
 * run_writer.c
 *	  Writes a sorted run: rows of many tags, in order of the tags, as shared segments and a root.
 */
#include "postgres.h"

#include "store/run_writer.h"

#include "store/shared_segment.h"
#include "store/sorted_runs.h"

/*
 * A page keeps a line pointer of each segment that was on it, four bytes, until VACUUM comes.  Some
 * room is left for these, so that a page can be used again many times before that.
 */
#define SHARED_BYTES (STORE_MAX_SEGMENT_BYTES - 64)

/*
 * A segment of the most rows may take less than half a page.  What is left of the page then gets a
 * segment of as many bytes, if it is this part of a page.
 */
#define LEAST_PART_OF_PAGE 8

struct RunWriter
{
	SegmentSink *sink;
	SortedRun	run;
	uint64		rows;			/* written */
	uint32		nsegments;		/* written */
	SharedBuilder builder;		/* the present segment; one without a tag has not begun */
};

static bool add(RunWriter *writer, const char *tag, Size tag_bytes, const CodecRows *rows,
				Size most_bytes);
static Size capacity(const RunWriter *writer);
static void write_segment(RunWriter *writer);

RunWriter *
run_writer_begin(SegmentSink *sink, uint64 number, uint64 sequence, uint32 level)
{
	RunWriter  *writer = palloc(sizeof(RunWriter));

	writer->sink = sink;
	writer->run = (SortedRun) {
		.number = number,
		.sequence = sequence,
		.level = level,
		.first_time = PG_INT64_MAX,
		.last_time = PG_INT64_MIN,
	};
	writer->rows = 0;
	writer->nsegments = 0;
	writer->builder.ntags = 0;
	return writer;
}

void
run_writer_go_on(RunWriter *writer, SegmentSink *sink)
{
	writer->sink = sink;
}

void
run_writer_expect(RunWriter *writer, const SortedRun *run)
{
	writer->run.first_time = Min(writer->run.first_time, run->first_time);
	writer->run.last_time = Max(writer->run.last_time, run->last_time);
	writer->run.rows = run->rows;
}

bool
run_writer_add(RunWriter *writer, const char *tag, Size tag_bytes, const CodecRows *rows,
			   Size most_bytes)
{
	if (add(writer, tag, tag_bytes, rows, most_bytes))
		return true;
	if (writer->builder.ntags == 0)
		return false;
	write_segment(writer);
	return add(writer, tag, tag_bytes, rows, most_bytes);
}

uint32
run_writer_end(RunWriter *writer, bool with_root)
{
	uint32		nsegments;

	if (writer->builder.ntags > 0)
		write_segment(writer);
	nsegments = writer->nsegments;
	writer->run.rows = Max(writer->run.rows, writer->rows);
	if (nsegments > 0 && with_root)
		segment_sink_write_root(writer->sink, &writer->run);
	pfree(writer);
	return nsegments;
}

/* Adds the rows to the present segment, or to a new one. */
static bool
add(RunWriter *writer, const char *tag, Size tag_bytes, const CodecRows *rows, Size most_bytes)
{
	SharedBuilder *builder = &writer->builder;

	if (builder->ntags == 0)
		shared_builder_begin(builder, writer->run.number, writer->run.sequence, tag, tag_bytes,
							 rows->time[0], capacity(writer));
	return shared_builder_add(builder, segment_sink_encoder(), tag, tag_bytes, rows,
							  most_bytes);
}

/* The bytes that the next segment may have. */
static Size
capacity(const RunWriter *writer)
{
	Size		room = segment_sink_room(writer->sink);

	return room >= BLCKSZ / LEAST_PART_OF_PAGE ? Min(room, SHARED_BYTES) : SHARED_BYTES;
}

static void
write_segment(RunWriter *writer)
{
	SharedBuilder *builder = &writer->builder;

	segment_sink_write_shared(writer->sink, builder);
	writer->run.first_time = Min(writer->run.first_time, builder->header.first_time);
	writer->run.last_time = Max(writer->run.last_time, builder->header.last_time);
	writer->rows += builder->header.nrows;
	writer->nsegments++;
	builder->ntags = 0;
}
