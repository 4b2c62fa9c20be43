/*
 * summary_edit.h
 *	  Keeping the summaries of a tag true while its compacted segments are replaced.
 *
 * Whoever replaces compacted segments (compaction, deletion) holds the directory's lock and tells
 * of them here, one tag after the other; at the end of a tag the summaries are brought up to date
 * in the same command.
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

/* A segment of the tag at hand that has been deleted; pending ones do not matter. */
extern void summary_edit_removed(SummaryEdit *edit, const SegmentRef *ref);

/* Where the sink notes segments of the tag at hand that it writes. */
extern RowBuffer *summary_edit_added(SummaryEdit *edit);

/* Brings the tag's summaries up to date, and is ready for the next tag. */
extern void summary_edit_finish_tag(SummaryEdit *edit, text *tag, SegmentSink *sink);

/* Was anything removed or added for the tag at hand? */
extern bool summary_edit_is_needed(const SummaryEdit *edit);

#endif							/* HISTORIAN_SUMMARY_EDIT_H */
