/*
 * row_scan.h
 *	  Reads the rows of a historian table, tag by tag and in order of time.
 *
 * The sequential scan of the table access method and the HistorianScan plan node both use it.
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

/* The rows to read: of all tags or some, within a closed range of time. */
typedef struct RowScanFilter
{
	bool		all_tags;
	text	  **tags;			/* in byte order, each only once; detoasted */
	uint32		ntags;
	text	   *prefix;			/* if all_tags, only those that begin with it; not empty; or NULL */
	text	   *first_tag;		/* no tag before it is read; or NULL */
	int64		first_time;		/* of the first tag, no row before this time */
	int64		from;
	int64		until;
	bool		backward;		/* each tag's rows from the last to the first */
} RowScanFilter;

/* In shared memory: the tags that participants of a parallel scan have claimed to read. */
typedef struct RowScanShared
{
	slock_t		mutex;
	uint64		claims;			/* how many tags have been claimed */
	bool		exhausted;
	uint16		tag_bytes;		/* of the last tag claimed; 0: none yet */
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
 * Does the work that earlier commands of the transaction have gathered for the table, and begins a
 * scan under the snapshot.  Arrays have the values wanted, which keep their subscripts, and are
 * NULL if no values are wanted.  shared is NULL unless the scan is parallel.
 */
extern RowScan *row_scan_begin(Relation rel, Snapshot snapshot, ValueRange wanted,
							   RowScanShared *shared);

/*
 * Makes the scan give each row its ctid (row_place.h), for DELETE and UPDATE; call it before the
 * first row.
 */
extern void row_scan_give_places(RowScan *scan);

extern void row_scan_end(RowScan *scan);

/* Starts the scan, or starts it again.  The filter's memory must outlive it. */
extern void row_scan_start(RowScan *scan, const RowScanFilter *filter);

/* Stores the next row in a virtual slot, or clears the slot and returns false. */
extern bool row_scan_next(RowScan *scan, TupleTableSlot *slot);

extern RowScanCounts row_scan_counts(const RowScan *scan);
extern void row_scan_shared_init(RowScanShared *shared);

/* Claims all tags at once; returns false if another participant has done so. */
extern bool row_scan_shared_claim_all(RowScanShared *shared);

/* The filter for all rows. */
extern const RowScanFilter row_scan_everything;

#endif							/* HISTORIAN_ROW_SCAN_H */
