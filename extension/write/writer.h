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

/* A row that the caller has checked: its tag has 1 .. SEGMENT_MAX_TAG_BYTES bytes. */
typedef struct WriterRow
{
	int64		time;
	const char *tag;
	uint32		tag_bytes;
	uint16		width;			/* 0 .. CODEC_MAX_VALUES; the array itself is not NULL */
	const double *values;		/* those that are not NULL */
	const bits8 *present;		/* a bit for each value, 0 for a NULL; NULL: no value is NULL */
} WriterRow;

/* The same for rows that have no slots. */
extern void writer_append_rows(Relation rel, const WriterRow *rows, int nrows, CommandId cid);

#endif							/* HISTORIAN_WRITER_H */
