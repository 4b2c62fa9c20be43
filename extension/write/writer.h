/*
 * writer.h
 *	  Rows on their way into a historian table: gathered by tag, written as segments.
 */
#ifndef HISTORIAN_WRITER_H
#define HISTORIAN_WRITER_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "utils/rel.h"

#include "columns.h"

/* historian.write_buffer in kilobytes: what a backend gathers before it writes, of all tables. */
extern int	historian_write_buffer;

/*
 * Takes rows that the command cid inserts into rel.  Raises an error for a row that cannot be
 * stored.  The rows are part of segments at the latest when the command ends.
 */
extern void writer_append(Relation rel, const HistorianColumns *columns, TupleTableSlot **slots,
						  int nslots, CommandId cid, int options);

#endif							/* HISTORIAN_WRITER_H */
