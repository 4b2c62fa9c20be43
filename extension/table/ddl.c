/*
 * ddl.c
 *	  Watches DDL: makes the directories of historian tables, and refuses what would break these.
 *
 * Most of this is done in an object access hook, which PostgreSQL calls for objects that it
 * creates, alters or drops.  The hook works even in the CREATE TABLE that loads the library by
 * naming the access method, when it is too late for a utility hook.  It is called before new
 * catalog rows are visible to ordinary lookups, so it reads them with SnapshotSelf.
 *
 * A utility hook handles two statements: a DROP INDEX of a directory is refused or, in a restore,
 * followed by a new directory, and the copy of a directory by CREATE TABLE (LIKE ... INCLUDING INDEXES) is left out.
 */
#include "postgres.h"

#include "table/ddl.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "columns.h"
#include "historian_table.h"
#include "store/directory.h"

static object_access_hook_type next_hook = NULL;
static ProcessUtility_hook_type next_utility_hook = NULL;

static void on_utility(PlannedStmt *statement, const char *query, bool read_only_tree,
					   ProcessUtilityContext context, ParamListInfo params,
					   QueryEnvironment *environment, DestReceiver *receiver,
					   QueryCompletion *completion);
static bool is_copied_directory(const Node *statement, ProcessUtilityContext context);
static List *tables_losing_index(const Node *statement);
static bool is_historian_by_catalog(Oid relid);
static bool is_restore(void);
static void refuse_drop(Oid relid, Oid index_oid, bool concurrent);
static void make_missing_directories(List *tables);

static void on_object_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id,
							 void *arg);
static void on_create_relation(Oid relid, bool is_internal);
static void on_create_index(Oid index_oid);
static void on_create_trigger(Oid trigger_oid);
static void check_publication(Oid index, AttrNumber key, Oid oid);
static void on_alter_relation(Oid relid);
static void on_alter_column(Oid relid, AttrNumber column);
static void refuse_columns_change(Oid relid, const char *message);
static bool is_historian_oid(Oid relid);
static HeapTuple fetch_self(Oid catalog, Oid index, AttrNumber key, Oid oid, Relation *rel,
							SysScanDesc *scan);
static void fetch_self_end(Relation rel, SysScanDesc scan);

void
ddl_init(void)
{
	next_hook = object_access_hook;
	object_access_hook = on_object_access;
	next_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = on_utility;
}

static void
on_utility(PlannedStmt *statement, const char *query, bool read_only_tree,
		   ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
		   DestReceiver *receiver, QueryCompletion *completion)
{
	List	   *losing;

	if (is_copied_directory(statement->utilityStmt, context))
		return;
	losing = tables_losing_index(statement->utilityStmt);
	if (next_utility_hook != NULL)
		next_utility_hook(statement, query, read_only_tree, context, params, environment,
						  receiver, completion);
	else
		standard_ProcessUtility(statement, query, read_only_tree, context, params, environment,
								receiver, completion);
	if (losing != NIL)
		make_missing_directories(losing);
}

/*
 * Raises an error for a DROP INDEX of a directory, without which reads would fail.  A restore may
 * drop it, because pg_dump --clean writes DROP INDEX before DROP TABLE.  Returns the tables whose
 * directories it drops; they get new ones at once.
 */
static List *
tables_losing_index(const Node *statement)
{
	const DropStmt *drop = (const DropStmt *) statement;
	List	   *tables = NIL;
	ListCell   *cell;

	if (!IsA(statement, DropStmt) || drop->removeType != OBJECT_INDEX)
		return NIL;
	foreach(cell, drop->objects)
	{
		RangeVar   *name = makeRangeVarFromNameList(lfirst_node(List, cell));
		Oid			index = RangeVarGetRelid(name, NoLock, true);
		Oid			table = OidIsValid(index) && get_rel_relkind(index) == RELKIND_INDEX
			? IndexGetRelation(index, true) : InvalidOid;

		/* PostgreSQL itself refuses the index of another owner */
		if (!OidIsValid(table) || !is_historian_by_catalog(table) || !historian_is_owner(table))
			continue;
		if (drop->concurrent || !is_restore())
			refuse_drop(table, index, drop->concurrent);
		tables = list_append_unique_oid(tables, table);
	}
	return tables;
}

/*
 * Is this a session that restores a dump, or the script of an extension?  The scripts of pg_dump and
 * pg_restore begin by turning check_function_bodies off, so that they can create functions in any
 * order; PostgreSQL does the same for an extension's script.
 */
static bool
is_restore(void)
{
	return !check_function_bodies;
}

/* Is this a historian table?  Looks only into the catalogs, for a table that is not locked. */
static bool
is_historian_by_catalog(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			access_method = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		access_method = ((Form_pg_class) GETSTRUCT(tuple))->relam;
		ReleaseSysCache(tuple);
	}
	return OidIsValid(access_method) && access_method == get_table_am_oid("historian", true);
}

/*
 * Raises an error if the index is the only directory of a table.  Others are leftovers of a REINDEX
 * CONCURRENTLY that has failed, and may be dropped.
 */
static void
refuse_drop(Oid relid, Oid index_oid, bool concurrent)
{
	Relation	rel = table_open(relid, AccessShareLock);

	if (!OidIsValid(directory_beside(rel, index_oid)))
		ereport(ERROR,
				errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				errmsg("cannot drop index \"%s\"%s because historian table \"%s\" requires it",
					   get_rel_name(index_oid), concurrent ? " concurrently" : "",
					   RelationGetRelationName(rel)),
				errdetail("The index is the directory by which the rows of a tag are found."),
				errhint("Use REINDEX INDEX%s to build it anew, or DROP TABLE to drop the table with it.",
						concurrent ? " CONCURRENTLY" : ""));
	table_close(rel, AccessShareLock);
}

/* Makes directories for the tables that have lost theirs, unless the tables are gone too. */
static void
make_missing_directories(List *tables)
{
	ListCell   *cell;

	CommandCounterIncrement();
	foreach(cell, tables)
	{
		/* DROP INDEX holds ACCESS EXCLUSIVE on the table */
		Relation	rel = try_relation_open(lfirst_oid(cell), NoLock);

		if (rel == NULL)
			continue;
		if (historian_table_is(rel) && !OidIsValid(directory_oid(rel)))
		{
			directory_create(rel);
			ereport(NOTICE,
					errmsg("historian table \"%s\" has a new directory \"%s\"",
						   RelationGetRelationName(rel), get_rel_name(directory_oid(rel))));
		}
		relation_close(rel, NoLock);
	}
	list_free(tables);
}

/*
 * Is this the copy of a directory that CREATE TABLE (LIKE ... INCLUDING INDEXES) makes for a table
 * that is not a historian table?  Such an index on two columns, whose predicate is the constant
 * false, would be of no use.
 */
static bool
is_copied_directory(const Node *statement, ProcessUtilityContext context)
{
	const IndexStmt *index = (const IndexStmt *) statement;
	Oid			relid;

	if (context != PROCESS_UTILITY_SUBCOMMAND || !IsA(statement, IndexStmt) ||
		!index->transformed || index->unique || list_length(index->indexParams) != 2 ||
		index->whereClause == NULL || !IsA(index->whereClause, Const) ||
		((Const *) index->whereClause)->constisnull ||
		DatumGetBool(((Const *) index->whereClause)->constvalue))
		return false;
	relid = RangeVarGetRelid(index->relation, NoLock, true);
	return OidIsValid(relid) && !is_historian_oid(relid);
}

/* The object access hook.  For a column, sub_id is its number; for a whole relation it is 0. */
static void
on_object_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *arg)
{
	if (next_hook != NULL)
		next_hook(access, class_id, object_id, sub_id, arg);

	if (access == OAT_POST_CREATE)
	{
		ObjectAccessPostCreate *create = arg;
		bool		is_internal = create != NULL && create->is_internal;

		if (class_id == RelationRelationId && sub_id == 0)
			on_create_relation(object_id, is_internal);
		else if (class_id == RelationRelationId && is_historian_oid(object_id))
			refuse_columns_change(object_id, "cannot add a column to historian table \"%s\"");
		else if (class_id == TriggerRelationId)
			on_create_trigger(object_id);
		else if (class_id == PublicationRelRelationId)
			check_publication(PublicationRelObjectIndexId, Anum_pg_publication_rel_oid, object_id);
		else if (class_id == PublicationRelationId)
			check_publication(PublicationRelPrpubidIndexId, Anum_pg_publication_rel_prpubid,
							  object_id);
	}
	else if (access == OAT_POST_ALTER && class_id == RelationRelationId)
	{
		if (sub_id == 0)
			on_alter_relation(object_id);
		else
			on_alter_column(object_id, sub_id);
	}
	else if (access == OAT_DROP && class_id == RelationRelationId && sub_id != 0 &&
			 is_historian_oid(object_id))
		refuse_columns_change(object_id, "cannot drop a column of historian table \"%s\"");
}

/*
 * Makes the directory of a new table, and checks a new index.  Tables that are created internally
 * are the transient ones of rewrites; a rewrite builds the old table's directory anew.
 */
static void
on_create_relation(Oid relid, bool is_internal)
{
	Relation	catalog;
	SysScanDesc scan;
	HeapTuple	tuple = fetch_self(RelationRelationId, ClassOidIndexId, Anum_pg_class_oid, relid,
								   &catalog, &scan);
	char		kind = HeapTupleIsValid(tuple) ? ((Form_pg_class) GETSTRUCT(tuple))->relkind : 0;

	fetch_self_end(catalog, scan);
	if (kind == RELKIND_INDEX)
		on_create_index(relid);
	if (is_internal)
		return;
	/* pg_upgrade brings the directory along with the other indexes */
	if ((kind != RELKIND_RELATION && kind != RELKIND_MATVIEW) || IsBinaryUpgrade)
		return;

	CommandCounterIncrement();
	if (is_historian_oid(relid))
	{
		Relation	rel = table_open(relid, ShareLock);

		directory_create(rel);
		table_close(rel, NoLock);
	}
}

/* Raises an error for an index that is not a directory.  A new directory replaces the former. */
static void
on_create_index(Oid index_oid)
{
	Relation	catalog;
	SysScanDesc scan;
	HeapTuple	tuple = fetch_self(IndexRelationId, IndexRelidIndexId, Anum_pg_index_indexrelid,
								   index_oid, &catalog, &scan);
	Oid			table_oid = InvalidOid;
	bool		is_ready = false;

	if (HeapTupleIsValid(tuple))
	{
		table_oid = ((Form_pg_index) GETSTRUCT(tuple))->indrelid;
		is_ready = ((Form_pg_index) GETSTRUCT(tuple))->indisready;
	}
	fetch_self_end(catalog, scan);

	if (OidIsValid(table_oid) && is_historian_oid(table_oid))
	{
		Relation	rel = table_open(table_oid, NoLock);
		Relation	index;
		bool		is_directory;

		CommandCounterIncrement();
		index = RelationIdGetRelation(index_oid);
		is_directory = RelationIsValid(index) && directory_is(index);
		if (RelationIsValid(index))
			RelationClose(index);
		if (!is_directory)
			historian_table_refuse_index(RelationGetRelationName(rel));
		/* REINDEX CONCURRENTLY itself replaces the former directory when the new one is built */
		if (is_ready)
			directory_adopt(rel, index_oid);
		else
			directory_adopt_beside(index_oid);
		table_close(rel, NoLock);
	}
}

/* Raises an error for a trigger that historian tables do not support. */
static void
on_create_trigger(Oid trigger_oid)
{
	Relation	catalog;
	SysScanDesc scan;
	HeapTuple	tuple = fetch_self(TriggerRelationId, TriggerOidIndexId, Anum_pg_trigger_oid,
								   trigger_oid, &catalog, &scan);
	Oid			table_oid = InvalidOid;
	int16		type = 0;

	if (HeapTupleIsValid(tuple))
	{
		table_oid = ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid;
		type = ((Form_pg_trigger) GETSTRUCT(tuple))->tgtype;
	}
	fetch_self_end(catalog, scan);

	if (TRIGGER_FOR_ROW(type) && TRIGGER_FOR_AFTER(type) && is_historian_oid(table_oid))
		historian_table_refuse_row_trigger(get_rel_name(table_oid));
}

/*
 * Raises an error if a publication lists a historian table.  Looks at the row of pg_publication_rel
 * with this OID, or at all rows of the publication with this OID, as the index and its key say: the
 * hook is called for one or the other.
 */
static void
check_publication(Oid index, AttrNumber key, Oid oid)
{
	Relation	catalog;
	SysScanDesc scan;
	HeapTuple	tuple;

	for (tuple = fetch_self(PublicationRelRelationId, index, key, oid, &catalog, &scan);
		 HeapTupleIsValid(tuple); tuple = systable_getnext(scan))
	{
		Oid			table_oid = ((Form_pg_publication_rel) GETSTRUCT(tuple))->prrelid;

		if (is_historian_oid(table_oid))
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("historian tables cannot be published"),
					errdetail("The WAL of table \"%s\" has segments, not rows.",
							  get_rel_name(table_oid)),
					errhint("Use streaming replication."));
	}
	fetch_self_end(catalog, scan);
}

/* SET ACCESS METHOD makes or drops the directory. */
static void
on_alter_relation(Oid relid)
{
	char		kind = get_rel_relkind(relid);
	Relation	rel;

	if ((kind != RELKIND_RELATION && kind != RELKIND_MATVIEW) || IsBinaryUpgrade)
		return;
	rel = try_relation_open(relid, NoLock);
	if (rel == NULL)
		return;
	if (historian_table_is(rel))
	{
		const TriggerDesc *triggers = rel->trigdesc;

		/*
		 * Under a weaker lock others may be writing, and a new directory would lack what they
		 * write.  A table that has lost its directory gets one by CREATE INDEX.
		 */
		if (!OidIsValid(directory_oid(rel)) && CheckRelationLockedByMe(rel, ShareLock, true))
		{
			/* the table may have triggers from the time when it was not a historian table */
			if (triggers != NULL && (triggers->trig_insert_after_row ||
									 triggers->trig_update_after_row ||
									 triggers->trig_delete_after_row))
				historian_table_refuse_row_trigger(get_rel_name(relid));
			directory_create(rel);
		}
	}
	else if (rel->rd_rel->relhasindex)
		directory_drop(rel);
	relation_close(rel, NoLock);
}

/* Raises an error for a new type; name, statistics, default and NOT NULL may change. */
static void
on_alter_column(Oid relid, AttrNumber column)
{
	Relation	catalog;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			type = InvalidOid;

	if (column <= 0 || !is_historian_oid(relid))
		return;

	catalog = table_open(AttributeRelationId, AccessShareLock);
	ScanKeyInit(&keys[0], Anum_pg_attribute_attrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	ScanKeyInit(&keys[1], Anum_pg_attribute_attnum, BTEqualStrategyNumber, F_INT2EQ,
				Int16GetDatum(column));
	scan = systable_beginscan(catalog, AttributeRelidNumIndexId, true, SnapshotSelf, 2, keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		type = ((Form_pg_attribute) GETSTRUCT(tuple))->atttypid;
	fetch_self_end(catalog, scan);

	if (type != INT8OID && type != TEXTOID && type != FLOAT8ARRAYOID)
		refuse_columns_change(relid, "cannot change the type of a column of historian table \"%s\"");
}

/* Raises an error whose message has a %s for the table's name. */
static void
refuse_columns_change(Oid relid, const char *message)
{
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg(message, get_rel_name(relid)),
			errdetail("A historian table has exactly three columns: one bigint, one text and one double precision[]."),
			errhint("Keep other attributes of a tag in a table of their own and join on the tag."));
}

/* Is this a historian table?  For a table that the current command has locked. */
static bool
is_historian_oid(Oid relid)
{
	char		kind = get_rel_relkind(relid);
	Relation	rel;
	bool		result;

	if (kind != RELKIND_RELATION && kind != RELKIND_MATVIEW)
		return false;
	/* the command that changes the relation has locked it */
	rel = try_relation_open(relid, NoLock);
	if (rel == NULL)
		return false;
	result = historian_table_is(rel);
	relation_close(rel, NoLock);
	return result;
}

/*
 * Returns the first catalog row with this OID as its key, as the current command has left it, or
 * NULL. systable_getnext() returns further ones.  The caller calls fetch_self_end() at the end.
 */
static HeapTuple
fetch_self(Oid catalog, Oid index, AttrNumber key, Oid oid, Relation *rel, SysScanDesc *scan)
{
	ScanKeyData scankey;

	*rel = table_open(catalog, AccessShareLock);
	ScanKeyInit(&scankey, key, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(oid));
	*scan = systable_beginscan(*rel, index, true, SnapshotSelf, 1, &scankey);
	return systable_getnext(*scan);
}

static void
fetch_self_end(Relation rel, SysScanDesc scan)
{
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}
