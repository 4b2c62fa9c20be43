/*
 * run_writer.h
 *	  Writes a sorted run: rows of many tags, in order of the tags, as shared segments and a root.
 */
#ifndef HISTORIAN_RUN_WRITER_H
#define HISTORIAN_RUN_WRITER_H

#include "postgres.h"

#include "store/segment_sink.h"

typedef struct RunWriter RunWriter;

/*
 * Begins a run.  number is one that load_order_next() has given for this run, or for the load that
 * writes it; sequence is the place of its rows in load order.
 */
extern RunWriter *run_writer_begin(SegmentSink *sink, uint64 number, uint64 sequence,
								   uint32 level);

/* Goes on with the run in another sink, which may be opened after the one before was ended. */
extern void run_writer_go_on(RunWriter *writer, SegmentSink *sink);

/*
 * Tells what the run will have at least when other transactions have gone on with it: its times and
 * the number of its rows.
 */
extern void run_writer_expect(RunWriter *writer, const SortedRun *run);

/*
 * Adds the rows of a tag, which comes after the one before.  Returns false, and adds nothing, if
 * they take more than most_bytes, or do not fit into a shared segment.
 */
extern bool run_writer_add(RunWriter *writer, const char *tag, Size tag_bytes,
						   const CodecRows *rows, Size most_bytes);

/*
 * Writes what is left and, with_root, the root, unless nothing was added.  Returns the segments
 * written.
 */
extern uint32 run_writer_end(RunWriter *writer, bool with_root);

#endif							/* HISTORIAN_RUN_WRITER_H */
