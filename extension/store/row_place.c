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
			errmsg("a row of historian table \"%s\" cannot be changed by itself",
				   RelationGetRelationName(rel)),
			errdetail("It is stored beyond the first 1.8 TB of the table."),
			errhint("Delete by tag and time with historian.delete(), or use partitions."));
}
