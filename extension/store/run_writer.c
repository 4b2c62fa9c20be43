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

struct RunWriter
{
	SegmentSink *sink;
	SortedRun	run;
	uint32		nsegments;		/* written */
	SharedBuilder builder;		/* the present segment; one without a tag has not begun */
};

static bool add(RunWriter *writer, const char *tag, Size tag_bytes, const CodecRows *rows,
				Size most_bytes);
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
	writer->nsegments = 0;
	writer->builder.ntags = 0;
	return writer;
}

void
run_writer_go_on(RunWriter *writer, SegmentSink *sink)
{
	writer->sink = sink;
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
run_writer_end(RunWriter *writer)
{
	uint32		nsegments;

	if (writer->builder.ntags > 0)
		write_segment(writer);
	nsegments = writer->nsegments;
	if (nsegments > 0)
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
							 rows->time[0], SHARED_BYTES);
	return shared_builder_add(builder, segment_sink_encoder(), tag, tag_bytes, rows,
							  most_bytes);
}

static void
write_segment(RunWriter *writer)
{
	SharedBuilder *builder = &writer->builder;

	segment_sink_write_shared(writer->sink, builder);
	writer->run.first_time = Min(writer->run.first_time, builder->header.first_time);
	writer->run.last_time = Max(writer->run.last_time, builder->header.last_time);
	writer->nsegments++;
	builder->ntags = 0;
}
