/*
 * row_place.h
 *	  The ctid of a row: where its segment is stored, and which of the segment's rows it is.
 *
 * PostgreSQL's DELETE, UPDATE and EvalPlanQual name rows by ctid, six bytes.  A row of a segment
 * has the place (block, item, row), which these bytes hold as one number.  So a ctid means the same
 * in every command, subtransaction and session, and nothing has to be remembered about it.  It
 * names the row for as long as a snapshot keeps the segment.
 *
 * The largest tables have more places than there are such numbers: rows beyond about 1.8 TB of one
 * table (or partition) have no ctid.
 */
#ifndef HISTORIAN_ROW_PLACE_H
#define HISTORIAN_ROW_PLACE_H

#include "postgres.h"

#include "access/htup_details.h"
#include "storage/itemptr.h"
#include "utils/rel.h"

#include "codec/codec.h"
#include "compat.h"

typedef struct RowPlace
{
	ItemPointerData segment;
	uint32		row;			/* within the segment, from 0 */
} RowPlace;

/* Raises the error for a row that has no valid ctid. */
pg_noreturn extern void row_place_report_none(Relation rel);

/* How many valid offsets a ctid can have with each block number. */
#define ROW_PLACE_OFFSETS PG_UINT16_MAX

/* Sets *ctid to that of a row of the segment, or to an invalid one if the row has none. */
static inline void
row_place_set(ItemPointer ctid, const ItemPointerData *segment, uint32 row)
{
	uint64		item = ItemPointerGetOffsetNumber(segment) - 1;
	uint64		place = (ItemPointerGetBlockNumber(segment) * (uint64) MaxHeapTuplesPerPage + item) *
		CODEC_MAX_ROWS + row;

	if (place / ROW_PLACE_OFFSETS > MaxBlockNumber)
		ItemPointerSetInvalid(ctid);
	else
		ItemPointerSet(ctid, place / ROW_PLACE_OFFSETS, place % ROW_PLACE_OFFSETS + 1);
}

/* The place that a valid ctid names.  The caller checks that the segment has that row. */
static inline RowPlace
row_place_get(const ItemPointerData *ctid)
{
	uint64		place = ItemPointerGetBlockNumber(ctid) * (uint64) ROW_PLACE_OFFSETS +
		ItemPointerGetOffsetNumber(ctid) - 1;
	uint64		item = place / CODEC_MAX_ROWS;
	RowPlace	result = {.row = place % CODEC_MAX_ROWS};

	ItemPointerSet(&result.segment, item / MaxHeapTuplesPerPage, item % MaxHeapTuplesPerPage + 1);
	return result;
}

#endif							/* HISTORIAN_ROW_PLACE_H */
