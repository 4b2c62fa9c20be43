/*
 * historian_table.c
 *	  Which tables are historian tables, and what a SQL function must check before it uses one.
 *
 * A table is known by the routine of its access method.  The access method is at the top of the
 * library, and files below it ask about tables too, so it leaves its routine here.
 */
#include "postgres.h"

#include "historian_table.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

static const TableAmRoutine *historian_routine = NULL;

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
historian_table_open(Oid relid, AclMode privileges, LOCKMODE lockmode)
{
	Relation	rel;

	historian_table_check_privileges(relid, privileges);
	rel = table_open(relid, lockmode);
	if (!historian_table_is(rel))
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("\"%s\" is not a historian table", RelationGetRelationName(rel)),
				errhint("Historian tables are created with CREATE TABLE ... USING historian."));
	return rel;
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
		rel = table_open(relid, lockmode);
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
				tables = lappend(tables, leaf);
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
			: errhint("Use ALTER TABLE ... SET ACCESS METHOD historian, or name a partition that is a historian table."));
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
