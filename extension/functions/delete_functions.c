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
#include "functions/audit.h"
#include "functions/time_arguments.h"
#include "historian_table.h"
#include "read/foreign_rows.h"
#include "store/serializable.h"
#include "write/deletion.h"

PG_FUNCTION_INFO_V1(historian_delete);
PG_FUNCTION_INFO_V1(historian_drop_before);

static int64 delete_range(const char *action, Oid relid, text *tag, bool any, int64 from, int64 until);

/* historian.delete(table regclass, tag text, start, "end") returns bigint */
Datum
historian_delete(PG_FUNCTION_ARGS)
{
	int64		from;
	int64		until;
	bool		any;

	historian_table_check_may_write("historian.delete()");
	any = time_argument_range(fcinfo, 2, true, &from, &until);
	PG_RETURN_INT64(delete_range("delete", PG_GETARG_OID(0), PG_GETARG_TEXT_PP(1), any, from,
								 until));
}

/* historian.drop_before(table regclass, time or interval) returns bigint */
Datum
historian_drop_before(PG_FUNCTION_ARGS)
{
	int64		until;
	bool		any;

	historian_table_check_may_write("historian.drop_before()");
	any = time_argument_last_before(fcinfo, 1, &until);
	PG_RETURN_INT64(delete_range("drop before", PG_GETARG_OID(0), NULL, any, PG_INT64_MIN, until));
}

/*
 * Deletes rows of a historian table, or of all leaves of a parent, that the user may DELETE from:
 * those of a tag (NULL: of every tag) with from <= time <= until; none unless any.  Returns their
 * number, and records the action if there were any.
 */
static int64
delete_range(const char *action, Oid relid, text *tag, bool any, int64 from, int64 until)
{
	List	   *tables = historian_table_open_leaves(relid, ACL_DELETE, RowExclusiveLock, "DELETE",
													 true);
	AuditEntry	entry = {
		.action = action,
		.relid = relid,
		.tag = tag,
		.has_range = true,
		.from = from,
		.until = until,
	};
	int64		count = 0;
	ListCell   *cell;

	foreach(cell, tables)
	{
		Relation	rel = lfirst(cell);

		if (rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
		{
			if (any)
				count += foreign_rows_delete(rel, tag, from, until);
			continue;
		}
		command_work_before_change(rel);

		/* the functions read too: their result depends on the rows that are there */
		serializable_note_read(rel, GetActiveSnapshot());
		if (any)
			count += deletion_delete_range(rel, tag, from, until);
	}
	entry.rows = count;
	if (count > 0)
		audit_record(&entry);
	historian_table_close_leaves(tables);
	return count;
}
