/*
 * summary_edit.h
 *	  Keeps the summaries of a tag true while its compacted segments are replaced.
 *
 * Compaction and deletion hold the directory's lock while they replace compacted segments.  They
 * report each segment that they delete or write here, one tag after the other.  At the end of each
 * tag its summaries are brought up to date, in the same command.
 */
#ifndef HISTORIAN_SUMMARY_EDIT_H
#define HISTORIAN_SUMMARY_EDIT_H

#include "postgres.h"

#include "store/segment_list.h"
#include "store/segment_sink.h"

typedef struct SummaryEdit SummaryEdit;

/* Allocates in the current context. */
extern SummaryEdit *summary_edit_begin(Relation rel, CommandId cid);
extern void summary_edit_end(SummaryEdit *edit);

/* Reports a segment of the current tag that has been deleted; only compacted ones matter. */
extern void summary_edit_removed(SummaryEdit *edit, const SegmentRef *ref);

/* The buffer for the summaries of the current tag's segments written: see segment_sink_note(). */
extern RowBuffer *summary_edit_added(SummaryEdit *edit);

/* Brings the current tag's summaries up to date, and begins the next tag. */
extern void summary_edit_finish_tag(SummaryEdit *edit, text *tag, SegmentSink *sink);

/* Has any segment of the current tag been removed or added? */
extern bool summary_edit_is_needed(const SummaryEdit *edit);

#endif							/* HISTORIAN_SUMMARY_EDIT_H */
