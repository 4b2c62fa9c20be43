/*
 * segment_sink.h
 *	  Where segments are written: the table's fork and its directory together.
 */
#ifndef HISTORIAN_SEGMENT_SINK_H
#define HISTORIAN_SEGMENT_SINK_H

#include "postgres.h"

#include "utils/rel.h"

#include "store/row_buffer.h"
#include "store/store.h"

typedef struct SegmentSink SegmentSink;

/*
 * Opens a sink for the current subtransaction, whose ID is xid.  A table under rewrite has no
 * directory yet; its segments are entered when the directory is built.
 */
extern SegmentSink *segment_sink_begin(Relation rel, TransactionId xid, CommandId cid, int options);
extern void segment_sink_end(SegmentSink *sink);

/*
 * Writes rows of one tag, ascending in time and any number of them, as full segments and a last
 * one.  header gives tag, flags and sequence; its other members are overwritten.
 */
extern void segment_sink_write(SegmentSink *sink, SegmentHeader *header, const CodecRows *rows);

/* Writes one segment of as many of the first rows as it holds; returns how many those are. */
extern uint32 segment_sink_write_one(SegmentSink *sink, SegmentHeader *header,
									 const CodecRows *rows);

/* The bytes of the segments written so far. */
extern uint64 segment_sink_bytes(const SegmentSink *sink);

/*
 * From now on a row that tells of each compacted segment written goes to summaries; NULL: nowhere.
 */
extern void segment_sink_note(SegmentSink *sink, RowBuffer *summaries);

/*
 * Writes the summaries of consecutive segments of a tag, in as many segments of their own as they
 * need; merges neighbours in the buffer.
 */
extern void segment_sink_write_summaries(SegmentSink *sink, text *tag, RowBuffer *summaries);

/* Writes a mark, which tells that this transaction has written, and deletes it: see serializable.c. */
extern void segment_sink_write_mark(SegmentSink *sink);

#endif							/* HISTORIAN_SEGMENT_SINK_H */
