/*
 * placement.c
 *	  Full segments of a load that are compacted from the start.
 *
 * Compaction would only copy a full segment that comes after all that the tag has, and leave a hole
 * as large as the segment.  So a bulk load writes such segments as compacted ones itself.
 *
 * This keeps what compaction.c and the readers rely on:
 *
 * - Compacted segments of a tag are disjoint.  Only transactions that hold directory_lock() change
 *	 them, one after the other, so every snapshot sees what some of these have left, up to one of
 *	 them.  A placed segment comes after all compacted ones that the last of them has left.
 * - Of two rows with one tag and time, the compacted one is from the earlier load.  So no other
 *	 segment may have rows at or after the time of the first placed one.  A load that is under way
 *	 counts as earlier if it has already written such rows, and as later if it writes them after
 *	 this look, whatever their numbers are: neither is committed before the other begins.
 * - Summaries have no gaps (summary.h): the load writes those of the segments that it has placed.
 *	 It adds summaries at the tag's end and replaces none, so that a command can place segments of
 *	 one tag several times.
 * - All this must hold too for the present snapshot, which later commands may go on to use, with a
 *	 new command ID: those of a function in SQL, or of a REPEATABLE READ transaction.  It may not see
 *	 what others have compacted since.  So the end of the tag that is not summarized must be the same
 *	 for it.
 *
 * A load never waits for the lock, because it can always write pending segments instead.
 */
#include "postgres.h"

#include "write/placement.h"

#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "store/directory.h"
#include "store/segment_list.h"
#include "store/summary_edit.h"

struct Placement
{
	DirectoryCursor *now;		/* sees all that is not deleted, committed or not */
	DirectoryCursor *later;		/* sees what the next command does if it uses the present snapshot */
	SnapshotData dirty;			/* of now */
	Snapshot	snapshot;		/* of later */
	SegmentList others;
	SummaryEdit *summaries;
	SegmentSink *sink;
};

static bool is_after_all(Placement *placement, DirectoryCursor *cursor, text *tag, int64 time);
static bool same_end(Placement *placement, text *tag);
static bool step_together(Placement *placement, bool (*step) (DirectoryCursor *, StoredSegment *),
						  bool *same, int64 *last_time);

Placement *
placement_begin(Relation rel, CommandId cid, SegmentSink *sink)
{
	Placement  *placement;

	if (!ActiveSnapshotSet() || !OidIsValid(directory_oid(rel)) || !directory_lock(rel, false))
		return NULL;
	placement = palloc0(sizeof(Placement));
	InitDirtySnapshot(placement->dirty);
	placement->now = directory_begin(rel, &placement->dirty);
	PushCopiedSnapshot(GetActiveSnapshot());
	GetActiveSnapshot()->curcid = cid + 1;
	placement->snapshot = RegisterSnapshot(GetActiveSnapshot());
	PopActiveSnapshot();
	placement->later = directory_begin(rel, placement->snapshot);
	placement->summaries = summary_edit_begin(rel, cid);
	placement->sink = sink;
	segment_sink_note(sink, summary_edit_added(placement->summaries));
	return placement;
}

void
placement_end(Placement *placement)
{
	segment_sink_note(placement->sink, NULL);
	summary_edit_end(placement->summaries);
	directory_end(placement->now);
	directory_end(placement->later);
	UnregisterSnapshot(placement->snapshot);
	if (placement->others.refs != NULL)
		pfree(placement->others.refs);
	pfree(placement);
}

bool
placement_allows(Placement *placement, const SegmentHeader *header)
{
	text	   *tag = cstring_to_text_with_len(header->tag, header->tag_bytes);
	bool		allowed = is_after_all(placement, placement->now, tag, header->first_time) &&
		is_after_all(placement, placement->later, tag, header->first_time) &&
		same_end(placement, tag);

	pfree(tag);
	return allowed;
}

void
placement_finish_tag(Placement *placement, const SegmentHeader *header)
{
	text	   *tag = cstring_to_text_with_len(header->tag, header->tag_bytes);

	summary_edit_finish_tag(placement->summaries, tag, placement->sink);
	pfree(tag);
}

/* Do all segments of the tag that the cursor's snapshot sees end before a time? */
static bool
is_after_all(Placement *placement, DirectoryCursor *cursor, text *tag, int64 time)
{
	StoredSegment stored;
	bool		before = true;

	directory_seek_back(cursor, tag, PG_INT64_MAX);
	if (directory_next_back(cursor, &stored))
	{
		before = stored.segment.header.last_time < time;
		store_release(&stored);
	}
	if (!before)
		return false;
	segment_list_load(&placement->others, cursor, tag, time, PG_INT64_MAX);
	return placement->others.nrefs == 0;
}

/*
 * Do both snapshots see the same last summary of the tag, and the same compacted segments after it?
 */
static bool
same_end(Placement *placement, text *tag)
{
	text	   *key = directory_summary_tag(tag);
	int64		end = PG_INT64_MIN;
	bool		same = true;

	directory_seek_back(placement->now, key, PG_INT64_MAX);
	directory_seek_back(placement->later, key, PG_INT64_MAX);
	(void) step_together(placement, directory_next_back, &same, &end);
	pfree(key);

	directory_seek_forward(placement->now, tag, end, PG_INT64_MAX);
	directory_seek_forward(placement->later, tag, end, PG_INT64_MAX);
	while (same && step_together(placement, directory_next_forward, &same, &end))
		;
	return same;
}

/*
 * Steps on in both walks.  Sets *same to false if they do not come to the same segment, and
 * otherwise *last_time to that of the segment.  Returns false at the end of both.
 */
static bool
step_together(Placement *placement, bool (*step) (DirectoryCursor *, StoredSegment *),
			  bool *same, int64 *last_time)
{
	StoredSegment now;
	StoredSegment later;
	bool		has_now = step(placement->now, &now);
	bool		has_later = step(placement->later, &later);

	*same = has_now == has_later &&
		(!has_now || ItemPointerEquals(&now.tuple.t_self, &later.tuple.t_self));
	if (has_now)
	{
		*last_time = now.segment.header.last_time;
		store_release(&now);
	}
	if (has_later)
		store_release(&later);
	return has_now && has_later;
}
