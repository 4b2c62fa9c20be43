/*
 * delete_functions.c
 *	  historian.delete() and historian.drop_before(): delete ranges of time.
 */
#include "postgres.h"

#include "access/table.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/snapmgr.h"

#include "command_work.h"
#include "historian_table.h"
#include "store/serializable.h"
#include "write/deletion.h"

PG_FUNCTION_INFO_V1(historian_delete);
PG_FUNCTION_INFO_V1(historian_drop_before);

static int64 delete_range(Oid relid, text *tag, int64 from, int64 until);

/* historian.delete(table regclass, tag text, start bigint, "end" bigint) returns bigint */
Datum
historian_delete(PG_FUNCTION_ARGS)
{
	text	   *tag = PG_GETARG_TEXT_PP(1);
	int64		start = PG_GETARG_INT64(2);
	int64		end = PG_GETARG_INT64(3);

	historian_table_check_may_write("historian.delete()");
	if (start > end)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("start (" INT64_FORMAT ") must not be greater than end (" INT64_FORMAT ")",
					   start, end));
	/* an empty range has no last time; any other empty one will do */
	PG_RETURN_INT64(start < end ? delete_range(PG_GETARG_OID(0), tag, start, end - 1)
					: delete_range(PG_GETARG_OID(0), tag, 1, 0));
}

/* historian.drop_before(table regclass, time bigint) returns bigint */
Datum
historian_drop_before(PG_FUNCTION_ARGS)
{
	int64		time = PG_GETARG_INT64(1);

	historian_table_check_may_write("historian.drop_before()");
	PG_RETURN_INT64(time > PG_INT64_MIN
					? delete_range(PG_GETARG_OID(0), NULL, PG_INT64_MIN, time - 1)
					: delete_range(PG_GETARG_OID(0), NULL, 1, 0));
}

/*
 * Deletes rows of a historian table, or of all leaves of a parent, that the user may DELETE from:
 * those of a tag (NULL: of every tag) with from <= time <= until.  Returns their number.
 */
static int64
delete_range(Oid relid, text *tag, int64 from, int64 until)
{
	List	   *tables = historian_table_open_leaves(relid, ACL_DELETE, RowExclusiveLock, "DELETE");
	int64		count = 0;
	ListCell   *cell;

	foreach(cell, tables)
	{
		Relation	rel = lfirst(cell);

		command_work_before_change(rel);

		/* the functions read too: their result depends on the rows that are there */
		serializable_note_read(rel, GetActiveSnapshot());
		count += deletion_delete_range(rel, tag, from, until);
	}
	historian_table_close_leaves(tables);
	return count;
}
