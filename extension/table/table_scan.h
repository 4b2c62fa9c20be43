/*
 * table_scan.h
 *	  The scan callbacks of the table access method.
 */
#ifndef HISTORIAN_TABLE_SCAN_H
#define HISTORIAN_TABLE_SCAN_H

#include "postgres.h"

#include "access/tableam.h"

#include "compat.h"

extern TableScanDesc table_scan_begin(Relation rel, Snapshot snapshot, int nkeys,
									  struct ScanKeyData *keys, ParallelTableScanDesc parallel,
									  uint32 flags);
extern void table_scan_end(TableScanDesc scan);
extern void table_scan_rescan(TableScanDesc scan, struct ScanKeyData *keys, bool set_params,
							  bool allow_strat, bool allow_sync, bool allow_pagemode);
extern bool table_scan_next(TableScanDesc scan, ScanDirection direction, TupleTableSlot *slot);

/*
 * Claims the whole table for this participant of a parallel scan.  Returns false if another one has
 * claimed it; always true if the scan is not parallel.
 */
extern bool table_scan_claim_all(TableScanDesc scan);

extern Size table_scan_parallel_estimate(Relation rel);
extern Size table_scan_parallel_initialize(Relation rel, ParallelTableScanDesc parallel);
extern void table_scan_parallel_reinitialize(Relation rel, ParallelTableScanDesc parallel);

/* ANALYZE calls these for the blocks that it samples, and for the rows of each. */
#if HISTORIAN_ANALYZE_BY_STREAM
extern bool table_scan_analyze_block(TableScanDesc scan, ReadStream *stream);
#else
extern bool table_scan_analyze_block(TableScanDesc scan, BlockNumber block,
									 BufferAccessStrategy strategy);
#endif
extern bool table_scan_analyze_row(TableScanDesc scan, TransactionId oldest_xmin, double *live,
								   double *dead, TupleTableSlot *slot);

/* Raise the errors for a use of ctid and for TABLESAMPLE. */
pg_noreturn extern void table_scan_refuse_ctid(const char *table_name);
pg_noreturn extern void table_scan_refuse_sample(Relation rel);

#endif							/* HISTORIAN_TABLE_SCAN_H */
