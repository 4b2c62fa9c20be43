/*
 * row_scan.h
 *	  The rows of a historian table, tag by tag and in order of time.
 *
 * What both the table access method's sequential scan and the HistorianScan plan node read with.
 */
#ifndef HISTORIAN_ROW_SCAN_H
#define HISTORIAN_ROW_SCAN_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "storage/s_lock.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

#include "read/tag_reader.h"

typedef struct RowScan RowScan;

/* Which rows: all tags or some, and a closed range of time. */
typedef struct RowScanFilter
{
	bool		all_tags;
	text	  **tags;			/* in byte order, each once; detoasted */
	uint32		ntags;
	int64		from;
	int64		until;
	bool		backward;		/* each tag's rows from the last to the first */
} RowScanFilter;

/* Where the participants of a parallel scan agree on who reads which tag; in shared memory. */
typedef struct RowScanShared
{
	slock_t		mutex;
	uint64		claims;			/* tags handed out so far */
	bool		exhausted;
	uint16		tag_bytes;		/* the last tag handed out; 0: none yet */
	char		tag[SEGMENT_MAX_TAG_BYTES];
} RowScanShared;

/* What a scan has done, for EXPLAIN. */
typedef struct RowScanCounts
{
	uint64		tags;
	uint64		segments;
	uint64		rows;
} RowScanCounts;

/*
 * Writes what this transaction has gathered for the table, then opens it under the snapshot.
 * Arrays have the values wanted, under their own subscripts; where none are wanted they come out
 * NULL.  shared may be NULL.
 */
extern RowScan *row_scan_begin(Relation rel, Snapshot snapshot, ValueRange wanted,
							   RowScanShared *shared);

/* Before the first row: gives every row a ctid (row_place.h), for DELETE and UPDATE. */
extern void row_scan_give_places(RowScan *scan);

extern void row_scan_end(RowScan *scan);

/* (Re)starts the scan.  The filter's memory must outlive it. */
extern void row_scan_start(RowScan *scan, const RowScanFilter *filter);

/* Stores the next row in a virtual slot, or clears the slot and returns false. */
extern bool row_scan_next(RowScan *scan, TupleTableSlot *slot);

extern RowScanCounts row_scan_counts(const RowScan *scan);
extern void row_scan_shared_init(RowScanShared *shared);

/* Claims all tags at once; false if somebody has claimed them. */
extern bool row_scan_shared_claim_all(RowScanShared *shared);

/* The filter that lets everything pass. */
extern const RowScanFilter row_scan_everything;

#endif							/* HISTORIAN_ROW_SCAN_H */
