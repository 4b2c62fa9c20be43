/*
 * writer.h
 *	  Gathers the rows that a command inserts by tag, and writes them as pending segments.
 */
#ifndef HISTORIAN_WRITER_H
#define HISTORIAN_WRITER_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "utils/rel.h"

#include "columns.h"
#include "write/bundle.h"

/* historian.write_buffer: so many kilobytes of rows a backend gathers before it writes them. */
extern int	historian_write_buffer;

/* Setting: from how many tags with few rows on a load lets these share segments. */
extern int	historian_min_shared_tags;

/*
 * Takes rows that the command cid inserts into rel; options are TABLE_INSERT_*.  Raises an error
 * for a row that a historian table cannot have.  The rows are written when the command ends or
 * earlier.
 */
extern void writer_append(Relation rel, const HistorianColumns *columns, TupleTableSlot **slots,
						  int nslots, CommandId cid, int options);

/* The same for rows of a bundle, whose entries it has checked. */
extern void writer_append_entries(Relation rel, const BundleEntry *entries, uint32 nentries,
								  CommandId cid);

#endif							/* HISTORIAN_WRITER_H */
