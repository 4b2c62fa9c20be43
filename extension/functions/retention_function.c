/*
 * retention_function.c
 *	  historian.set_retention(): makes, changes and removes retention policies.
 *
 * The policies are rows of the table historian.retention, which users may not write.  The function
 * checks that the user owns the relation, and then writes as the owner of that table.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "functions/audit.h"
#include "historian_table.h"
#include "store/retention_queue.h"

PG_FUNCTION_INFO_V1(historian_set_retention);

/* Has the transaction changed policies, which the worker must look at after the commit? */
static bool changed = false;

static void check_relation(Oid relid);
static void check_interval(const Interval *keep);
static void write_policy(Oid relid, const Interval *keep, text *prefix);
static Oid	policies_owner(void);
static void note_change(void);
static void on_transaction_end(XactEvent event, void *arg);

/*
 * historian.set_retention(table regclass, keep interval, tag_prefix text) returns void
 *
 * keep NULL removes the policy.
 */
Datum
historian_set_retention(PG_FUNCTION_ARGS)
{
	AuditEntry	entry = {.action = "set retention", .rows = -1, .detail = "removed"};
	Oid			relid;
	const Interval *keep = PG_ARGISNULL(1) ? NULL : PG_GETARG_INTERVAL_P(1);
	text	   *prefix = PG_ARGISNULL(2) ? cstring_to_text("") : PG_GETARG_TEXT_PP(2);

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("table must not be null"));
	relid = PG_GETARG_OID(0);
	historian_table_check_may_write("historian.set_retention()");
	historian_table_check_privileges(relid, ACL_NO_RIGHTS);
	if (keep != NULL)
	{
		check_interval(keep);
		check_relation(relid);
	}
	else
		table_close(historian_table_open_any(relid, AccessShareLock), NoLock);
	/* '90' is meant as days, perhaps, and the rows would be gone by the time that somebody looks. */
	if (keep != NULL && keep->month == 0 && keep->day == 0 && keep->time < USECS_PER_HOUR)
		ereport(WARNING,
				errmsg("rows are kept for %s (hours:minutes:seconds) only",
					   DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(keep)))),
				errhint("An interval without a unit is seconds: give '90 days', not '90'."));
	if (keep != NULL && memchr(VARDATA_ANY(prefix), '%', VARSIZE_ANY_EXHDR(prefix)) != NULL)
		ereport(WARNING,
				errmsg("%% stands for itself in a tag prefix"),
				errdetail("The policy is for tags that begin with \"%s\".", text_to_cstring(prefix)),
				errhint("To have all tags that begin with \"boiler\", give 'boiler', not 'boiler%%'."));
	write_policy(relid, keep, prefix);
	entry.relid = relid;
	entry.tag = prefix;
	if (keep != NULL)
		entry.detail = DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(keep)));
	audit_record(&entry);
	note_change();
	PG_RETURN_VOID();
}

/* Raises an error unless the relation is a permanent historian table, or a parent of such tables. */
static void
check_relation(Oid relid)
{
	List	   *tables = historian_table_open_leaves(relid, ACL_NO_RIGHTS, AccessShareLock, NULL, false);
	ListCell   *cell;

	foreach(cell, tables)
	{
		Relation	rel = lfirst(cell);

		if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP ||
			rel->rd_rel->relkind == RELKIND_MATVIEW)
			ereport(ERROR,
					errcode(ERRCODE_WRONG_OBJECT_TYPE),
					errmsg("retention is for tables that are neither temporary nor materialized views"),
					errdetail("\"%s\" is one.", RelationGetRelationName(rel)));
	}
	historian_table_close_leaves(tables);
}

/* Raises an error unless the interval is greater than zero, and has no negative part. */
static void
check_interval(const Interval *keep)
{
	if (keep->month < 0 || keep->day < 0 || keep->time < 0 ||
		(keep->month == 0 && keep->day == 0 && keep->time == 0))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("retention (%s) must be greater than zero",
					   DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(keep)))),
				errhint("NULL removes a policy. No part of the interval may be negative."));
}

/* Inserts, changes or, without keep, deletes a policy.  A changed one begins anew, without limit. */
static void
write_policy(Oid relid, const Interval *keep, text *prefix)
{
	Oid			types[] = {OIDOID, TEXTOID, INTERVALOID};
	Datum		values[] = {
		ObjectIdGetDatum(relid),
		PointerGetDatum(prefix),
		keep != NULL ? IntervalPGetDatum(keep) : (Datum) 0,
	};
	Oid			user;
	int			context;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(policies_owner(), context | SECURITY_LOCAL_USERID_CHANGE);
	SPI_connect();
	if (keep == NULL)
		SPI_execute_with_args("DELETE FROM historian.retention"
							  " WHERE relid OPERATOR(pg_catalog.=) $1"
							  " AND tag_prefix OPERATOR(pg_catalog.=) $2",
							  2, types, values, NULL, false, 0);
	else
	{
		SPI_execute_with_args("INSERT INTO historian.retention (relid, tag_prefix, keep)"
							  " VALUES ($1, $2, $3)"
							  " ON CONFLICT (relid, tag_prefix) DO UPDATE SET keep = excluded.keep",
							  3, types, values, NULL, false, 0);
		SPI_execute_with_args("UPDATE historian.retention_run SET last_run = NULL, cutoff = NULL"
							  " WHERE relid OPERATOR(pg_catalog.=) $1"
							  " AND tag_prefix OPERATOR(pg_catalog.=) $2",
							  2, types, values, NULL, false, 0);
	}
	SPI_finish();
	SetUserIdAndSecContext(user, context);
}

/* Returns the owner of historian.retention. */
static Oid
policies_owner(void)
{
	Oid			relid = get_relname_relid("retention", get_namespace_oid("historian", false));
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("relation \"historian.retention\" does not exist"),
				errhint("Use ALTER EXTENSION historian UPDATE."));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* Has the worker look at the policies once the transaction has committed. */
static void
note_change(void)
{
	static bool registered = false;

	if (!registered)
		RegisterXactCallback(on_transaction_end, NULL);
	registered = true;
	changed = true;
}

static void
on_transaction_end(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_PREPARE && event != XACT_EVENT_ABORT)
		return;
	if (changed && event != XACT_EVENT_ABORT)
		retention_queue_add(MyDatabaseId, GetCurrentTimestamp());
	changed = false;
}
