/*
 * foreign_rows.h
 *	  Reads foreign partitions and tables with policies, and deletes from foreign ones, by SQL.
 *
 * The user needs the privileges on the foreign table itself, as in a statement that names it.
 */
#ifndef HISTORIAN_FOREIGN_ROWS_H
#define HISTORIAN_FOREIGN_ROWS_H

#include "postgres.h"

#include "utils/rel.h"

#include "store/decoded_rows.h"

/* Rows of one tag, by a cursor. */
typedef struct ForeignRows ForeignRows;

/*
 * Begins to read the rows of a tag with from <= time <= until: from the first on or, backward, from
 * the last on.  A limit of more than zero ends them after so many.
 */
extern ForeignRows *foreign_rows_begin(Relation rel, text *tag, int64 from, int64 until,
									   bool backward, int64 limit);

/*
 * Reads the next rows, with all values.  They ascend in time; of a backward reader the last of them
 * comes first.  Returns false at the end.  Raises an error if two rows have the same time.
 */
extern bool foreign_rows_next(ForeignRows *reader, DecodedRows *rows);
extern void foreign_rows_end(ForeignRows *reader);

/* Has the table a row of this tag? */
extern bool foreign_rows_has_tag(Relation rel, text *tag);

/* Returns the width of the widest array of a tag at or before a time. */
extern uint32 foreign_rows_widest(Relation rel, text *tag, int64 until);

/* What a foreign table has of a tag. */
typedef struct ForeignTag
{
	text	   *tag;
	int64		first_time;
	int64		last_time;
	int64		rows;
} ForeignTag;

/* Returns all tags in byte order, or the one that is given, if it is there; palloc'd. */
extern ForeignTag *foreign_rows_tags(Relation rel, text *tag, uint32 *ntags);

/*
 * Deletes the rows of a tag (NULL: of every tag) with from <= time <= until, and returns their
 * number.
 */
extern int64 foreign_rows_delete(Relation rel, text *tag, int64 from, int64 until);

#endif							/* HISTORIAN_FOREIGN_ROWS_H */
