/*
 * row_place.c
 *	  The ctid of a row: where its segment is stored, and which of the segment's rows it is.
 */
#include "postgres.h"

#include "store/row_place.h"

void
row_place_report_none(Relation rel)
{
	ereport(ERROR,
			errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			errmsg("row of historian table \"%s\" cannot be changed because it has no ctid",
				   RelationGetRelationName(rel)),
			errdetail("Rows that are stored beyond the first 1.8 TB of a table have no ctid."),
			errhint("Delete rows by tag and time with historian.delete(), or partition the table."));
}
