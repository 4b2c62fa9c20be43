/*
 * row_places.h
 *	  The ctids that a scan for DELETE gives its rows.
 *
 * PostgreSQL's DELETE names rows by ctid.  A row of a segment has no place of six bytes of its
 * own, so the scan numbers the segments that it reads, and a ctid is that number and the row's in
 * the segment.  A row met twice, by a join's inner side say, has the same ctid.  It holds within the
 * command only.
 */
#ifndef HISTORIAN_ROW_PLACES_H
#define HISTORIAN_ROW_PLACES_H

#include "postgres.h"

#include "storage/itemptr.h"

/* What a ctid stands for. */
typedef struct RowPlace
{
	uint32		number;			/* the segment's, in order of reading */
	ItemPointerData segment;
	text	   *tag;
	uint32		row;			/* within the segment */
} RowPlace;

/* A scan for DELETE begins or ends; when none is left all numbers are forgotten. */
extern void row_places_begin(void);
extern void row_places_end(void);

/* The number of a table's segment; the same whenever and by whichever scan it is met. */
extern uint32 row_places_number(Oid relid, ItemPointer segment, text *tag);

static inline void
row_place_set(ItemPointer ctid, uint32 number, uint32 row)
{
	ItemPointerSet(ctid, number, row + 1);
}

/* Looks a ctid up.  Raises an error for one that no scan gave. */
extern RowPlace row_place_get(ItemPointer ctid);

#endif							/* HISTORIAN_ROW_PLACES_H */
