/*
 * segment_sink.h
 *	  Writes segments: into the table's file, into its directory, and their summaries.
 */
#ifndef HISTORIAN_SEGMENT_SINK_H
#define HISTORIAN_SEGMENT_SINK_H

#include "postgres.h"

#include "utils/rel.h"

#include "store/change_log.h"
#include "store/row_buffer.h"
#include "store/shared_segment.h"
#include "store/sorted_runs.h"
#include "store/store.h"

typedef struct SegmentSink SegmentSink;

/*
 * Opens a sink for the command cid of the current subtransaction, whose ID is xid.  A table under
 * rewrite has no directory yet; its segments are entered when the directory is built.
 */
extern SegmentSink *segment_sink_begin(Relation rel, TransactionId xid, CommandId cid, int options);
extern void segment_sink_end(SegmentSink *sink);

/*
 * Writes rows of one tag, any number of them and ascending in time, as full segments and a last one
 * that need not be full.  header has the tag, flags and sequence; the other members are
 * overwritten.
 */
extern void segment_sink_write(SegmentSink *sink, SegmentHeader *header, const CodecRows *rows);

/* Writes one segment of as many of the first rows as it holds, and returns their number. */
extern uint32 segment_sink_write_one(SegmentSink *sink, SegmentHeader *header,
									 const CodecRows *rows);

/*
 * The same in two steps, so that the caller knows how many rows the segment holds before it decides
 * on flags and sequence.  The sink keeps the segment that was built last; it need not be written.
 * header and rows must still be the same, but for these two members, when it is written.  guess is
 * that of codec_encode_fit().
 */
extern uint32 segment_sink_build(SegmentSink *sink, SegmentHeader *header, const CodecRows *rows,
								 uint32 *guess);
extern void segment_sink_write_built(SegmentSink *sink, const SegmentHeader *header,
									 const CodecRows *rows);

/*
 * Writes a copy of a stored segment to the page that the caller has pinned, if it has room; takes
 * over the pin.  With InvalidBuffer it goes where other segments would.
 */
extern void segment_sink_copy(SegmentSink *sink, const SegmentHeader *header, const uint8 *bytes,
							  Size length, Buffer page);

/* The bytes that a segment can have to be written to the page that the sink tries first; 0: none. */
extern Size segment_sink_room(const SegmentSink *sink);

/* The bytes of the segments written so far. */
extern uint64 segment_sink_bytes(const SegmentSink *sink);

/*
 * Sets the buffer to which the sink adds the summary of each compacted segment that it writes from
 * now on; with NULL it adds none.
 */
extern void segment_sink_note(SegmentSink *sink, RowBuffer *summaries);

/*
 * Writes the summaries of consecutive segments of a tag, in as many segments of summaries as they
 * need.  Merges neighbours in the buffer first.
 */
extern void segment_sink_write_summaries(SegmentSink *sink, text *tag, RowBuffer *summaries);

/*
 * Logs the rows of each segment that the sink writes from now on as inserted ones; log may be NULL.
 * Without this call nothing is logged: most writers only move rows.
 */
extern void segment_sink_publish(SegmentSink *sink, ChangeLog *log);

/* Writes the shared segment of a builder, which it finishes; and the root of a run. */
extern void segment_sink_write_shared(SegmentSink *sink, SharedBuilder *builder);
extern void segment_sink_write_root(SegmentSink *sink, const SortedRun *run);

/* The backend's encoder.  Its scratch memory is worth keeping, and only one is used at a time. */
extern CodecEncoder *segment_sink_encoder(void);

/*
 * Writes and deletes a mark, which tells others that this transaction has written (serializable.c).
 */
extern void segment_sink_write_mark(SegmentSink *sink);

#endif							/* HISTORIAN_SEGMENT_SINK_H */
