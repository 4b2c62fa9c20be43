/*
 * historian_table.c
 *	  Which tables are historian tables, and what a SQL function must check before it uses one.
 *
 * A table is known by the routine of its access method.  The access method is at the top of the
 * library, and files below it ask about tables too, so it leaves its routine here.
 */
#include "postgres.h"

#include "historian_table.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

static const TableAmRoutine *historian_routine = NULL;

pg_noreturn static void refuse_other(Relation rel);
static const char *hint_for(Relation rel);
static Oid	table_of_view(const Query *query, Oid view);
static Oid	table_of_relation(Oid relid);
static bool columns_fit(Relation rel);
static char *typed_name(Oid relid);

void
historian_table_set_routine(const TableAmRoutine *routine)
{
	historian_routine = routine;
}

bool
historian_table_is(Relation rel)
{
	/* only one access method has this routine */
	return rel->rd_tableam != NULL && rel->rd_tableam == historian_routine;
}

void
historian_table_check_privileges(Oid relid, AclMode privileges)
{
	AclResult	access = ACLCHECK_OK;

	if (privileges != ACL_NO_RIGHTS)
		access = pg_class_aclcheck(relid, GetUserId(), privileges);
	else if (!historian_is_owner(relid))
		access = ACLCHECK_NOT_OWNER;
	if (access != ACLCHECK_OK)
		aclcheck_error(access, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
}

void
historian_table_check_policies(Relation rel, const char *command)
{
	if (check_enable_rls(RelationGetRelid(rel), InvalidOid, false) == RLS_ENABLED)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("row-level security is in force on historian table \"%s\"",
					   RelationGetRelationName(rel)),
				errhint("Use %s instead of this function, because it applies the policies.", command));
}

Relation
historian_table_open_any(Oid relid, LOCKMODE lockmode)
{
	Relation	rel = try_relation_open(relid, lockmode);

	if (rel == NULL)
		historian_table_report_missing(relid);
	relation_close(rel, NoLock);
	return table_open(relid, NoLock);
}

void
historian_table_report_missing(Oid relid)
{
	ereport(ERROR,
			errcode(ERRCODE_UNDEFINED_TABLE),
			errmsg("relation with OID %u does not exist", relid));
}

Relation
historian_table_open(Oid relid, AclMode privileges, LOCKMODE lockmode)
{
	Relation	rel;

	historian_table_check_privileges(relid, privileges);
	rel = historian_table_open_any(relid, lockmode);
	if (!historian_table_is(rel))
		refuse_other(rel);
	historian_table_check_readable(rel);
	return rel;
}

bool
historian_table_is_readable(Relation rel)
{
	return RelationIsPermanent(rel) || !RecoveryInProgress();
}

void
historian_table_check_readable(Relation rel)
{
	if (!historian_table_is_readable(rel))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot read unlogged table \"%s\" during recovery", RelationGetRelationName(rel)),
				errhint("Ask the primary."));
}

List *
historian_table_open_leaves(Oid relid, AclMode privileges, LOCKMODE lockmode, const char *command,
							bool with_foreign)
{
	List	   *tables = NIL;
	Relation	rel;

	if (get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
	{
		rel = historian_table_open(relid, privileges, lockmode);
		if (command != NULL)
			historian_table_check_policies(rel, command);
		tables = list_make1(rel);
	}
	else
	{
		List	   *oids;
		ListCell   *cell;

		historian_table_check_privileges(relid, privileges);
		rel = historian_table_open_any(relid, lockmode);
		if (command != NULL)
			historian_table_check_policies(rel, command);
		oids = find_all_inheritors(relid, lockmode, NULL);
		foreach(cell, oids)
		{
			Relation	leaf = table_open(lfirst_oid(cell), NoLock);

			if (leaf->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
				table_close(leaf, NoLock);
			else if (historian_table_is(leaf) ||
					 (with_foreign && leaf->rd_rel->relkind == RELKIND_FOREIGN_TABLE))
			{
				historian_table_check_readable(leaf);
				tables = lappend(tables, leaf);
			}
			else
				historian_table_refuse_leaf(leaf, RelationGetRelationName(rel));
		}
		table_close(rel, NoLock);
	}
	return tables;
}

void
historian_table_close_leaves(List *tables)
{
	ListCell   *cell;

	foreach(cell, tables)
		table_close(lfirst(cell), NoLock);
	list_free(tables);
}

void
historian_table_refuse_leaf(Relation leaf, const char *parent_name)
{
	bool		foreign = leaf->rd_rel->relkind == RELKIND_FOREIGN_TABLE;

	ereport(ERROR,
			errcode(ERRCODE_WRONG_OBJECT_TYPE),
			errmsg("partition \"%s\" of \"%s\" is not a historian table",
				   RelationGetRelationName(leaf), parent_name),
			foreign ? errhint("Call the function on the server that has the partition.")
			: errhint("Use ALTER TABLE %s SET ACCESS METHOD historian, or name a partition that is a historian table.",
					  typed_name(RelationGetRelid(leaf))));
}

void
historian_table_check_may_write(const char *function)
{
	PreventCommandDuringRecovery(function);
	PreventCommandIfReadOnly(function);
	PreventCommandIfParallelMode(function);
}

void
historian_table_refuse_index(const char *table_name)
{
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("historian tables do not support indexes or unique constraints"),
			errdetail("Table \"%s\" is a historian table.", table_name),
			errhint("Conditions on tag and time are quick without an index; of rows with the same tag and time the later one stays."));
}

void
historian_table_refuse_row_trigger(const char *table_name)
{
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("historian tables do not support AFTER ... FOR EACH ROW triggers or foreign keys"),
			errdetail("Table \"%s\" is a historian table.", table_name),
			errhint("Use a BEFORE trigger, or an AFTER ... FOR EACH STATEMENT trigger with a transition table."));
}

/* Raises the error for a relation that is no historian table, with what to name or to do instead. */
static void
refuse_other(Relation rel)
{
	ereport(ERROR,
			errcode(ERRCODE_WRONG_OBJECT_TYPE),
			errmsg("\"%s\" is not a historian table", RelationGetRelationName(rel)),
			errhint("%s", hint_for(rel)));
}

static const char *
hint_for(Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	Oid			table;

	switch (rel->rd_rel->relkind)
	{
		case RELKIND_VIEW:
			table = table_of_relation(relid);
			if (OidIsValid(table))
				return psprintf("Name the table that the view reads: %s.",
								quote_literal_cstr(typed_name(table)));
			break;
		case RELKIND_RELATION:
			if (columns_fit(rel))
				return psprintf("ALTER TABLE %s SET ACCESS METHOD historian makes it one.",
								typed_name(relid));
			break;
		case RELKIND_FOREIGN_TABLE:
			return "Call the function on the server that has the table, or for a partitioned table that has the foreign table as a partition.";
		default:
			break;
	}
	return "Historian tables are created with CREATE TABLE ... USING historian.";
}

/* Returns a historian table, or a partitioned one, that a view's query reads, or InvalidOid. */
static Oid
table_of_view(const Query *query, Oid view)
{
	ListCell   *cell;

	foreach(cell, query->rtable)
	{
		const RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);
		Oid			table = InvalidOid;

		if (entry->rtekind == RTE_SUBQUERY && entry->subquery != NULL)
			table = table_of_view(entry->subquery, view);
		else if (entry->rtekind == RTE_RELATION && entry->relid != view)
			table = table_of_relation(entry->relid);
		if (OidIsValid(table))
			return table;
	}
	return InvalidOid;
}

/* The same for what a query may read: a table is itself. */
static Oid
table_of_relation(Oid relid)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	Oid			table = InvalidOid;

	check_stack_depth();
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE || historian_table_is(rel))
		table = relid;
	else if (rel->rd_rel->relkind == RELKIND_VIEW)
		table = table_of_view(get_view_query(rel), relid);
	relation_close(rel, NoLock);
	return table;
}

/* Has a table the columns that a historian table needs, and no other? */
static bool
columns_fit(Relation rel)
{
	TupleDesc	columns = RelationGetDescr(rel);
	int			fit[3] = {0, 0, 0};
	int			others = 0;

	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, i);

		if (column->attisdropped || column->atttypid == INT8OID)
			fit[0] += !column->attisdropped;
		else if (column->atttypid == TEXTOID)
			fit[1]++;
		else if (column->atttypid == FLOAT8ARRAYOID)
			fit[2]++;
		else
			others++;
	}
	return fit[0] == 1 && fit[1] == 1 && fit[2] == 1 && others == 0;
}

/* The name of a relation as the user can type it: with its schema and quotes where these are needed. */
static char *
typed_name(Oid relid)
{
	return DatumGetCString(DirectFunctionCall1(regclassout, ObjectIdGetDatum(relid)));
}
