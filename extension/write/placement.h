/*
 * placement.h
 *	  Full segments of a load that are compacted from the start.
 */
#ifndef HISTORIAN_PLACEMENT_H
#define HISTORIAN_PLACEMENT_H

#include "postgres.h"

#include "utils/rel.h"

#include "store/segment_sink.h"

typedef struct Placement Placement;

/*
 * Begins to place segments that command cid writes to the sink.  Returns NULL if this load may not:
 * another transaction compacts, deletes or places, or the table is under rewrite.  Otherwise these
 * are kept out until the transaction ends.  The command must not delete rows of the table.
 */
extern Placement *placement_begin(Relation rel, CommandId cid, SegmentSink *sink);
extern void placement_end(Placement *placement);

/*
 * May full segments of a load be written as compacted ones?  header is that of the first of them;
 * the load has no earlier rows of the tag.
 */
extern bool placement_allows(Placement *placement, const SegmentHeader *header);

/* Call after the last placed segment of a tag, if any was written: writes their summaries. */
extern void placement_finish_tag(Placement *placement, const SegmentHeader *header);

#endif							/* HISTORIAN_PLACEMENT_H */
