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

static Relation open_for_deletion(Oid relid);

/* historian.delete(table regclass, tag text, start bigint, "end" bigint) returns bigint */
Datum
historian_delete(PG_FUNCTION_ARGS)
{
	text	   *tag = PG_GETARG_TEXT_PP(1);
	int64		start = PG_GETARG_INT64(2);
	int64		end = PG_GETARG_INT64(3);
	int64		count = 0;
	Relation	rel;

	historian_table_check_may_write("historian.delete()");
	if (start > end)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("start (" INT64_FORMAT ") must not be greater than end (" INT64_FORMAT ")",
					   start, end));
	rel = open_for_deletion(PG_GETARG_OID(0));
	if (start < end)
		count = deletion_delete_range(rel, tag, start, end - 1);
	table_close(rel, NoLock);
	PG_RETURN_INT64(count);
}

/* historian.drop_before(table regclass, time bigint) returns bigint */
Datum
historian_drop_before(PG_FUNCTION_ARGS)
{
	int64		time = PG_GETARG_INT64(1);
	int64		count = 0;
	Relation	rel;

	historian_table_check_may_write("historian.drop_before()");
	rel = open_for_deletion(PG_GETARG_OID(0));
	if (time > PG_INT64_MIN)
		count = deletion_delete_range(rel, NULL, PG_INT64_MIN, time - 1);
	table_close(rel, NoLock);
	PG_RETURN_INT64(count);
}

/* Opens a historian table that the user may DELETE from. */
static Relation
open_for_deletion(Oid relid)
{
	Relation	rel = historian_table_open(relid, ACL_DELETE, RowExclusiveLock);

	historian_table_check_policies(rel, "DELETE");
	command_work_before_change(rel);

	/* the functions read too: their result depends on the rows that are there */
	serializable_note_read(rel, GetActiveSnapshot());
	return rel;
}
