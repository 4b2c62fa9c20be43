/*
 * relation_files.h
 *	  Work on the file of a historian table as a whole: copying, vacuuming, estimating its rows.
 */
#ifndef HISTORIAN_RELATION_FILES_H
#define HISTORIAN_RELATION_FILES_H

#include "postgres.h"

#include "utils/rel.h"

#include "compat.h"

/*
 * Copies every segment that a transaction may still see into the new table of VACUUM FULL or
 * CLUSTER, with its xmin and xmax.  The parameters are those of the relation_copy_for_cluster
 * callback.
 */
extern void relation_files_copy(Relation old_table, Relation new_table, Relation old_index,
								bool use_sort, TransactionId oldest_xmin,
								TransactionId *xid_cutoff, MultiXactId *multi_cutoff,
								double *num_tuples, double *tups_vacuumed,
								double *tups_recently_dead);

/*
 * Vacuums as the heap does, and then sets pg_class.reltuples to rows, as the heap counts segments.
 */
extern void relation_files_vacuum(Relation rel, HistorianVacuumParams params,
								  BufferAccessStrategy strategy);

/* Takes the pages from the file's length, and the rows from headers of segments on a few pages. */
extern void relation_files_estimate(Relation rel, int32 *attr_widths, BlockNumber *pages,
									double *tuples, double *allvisfrac);

#endif							/* HISTORIAN_RELATION_FILES_H */
