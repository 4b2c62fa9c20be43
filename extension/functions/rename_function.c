/*
 * rename_function.c
 *	  historian.rename_samples(), by which historian.rename() gives the samples of a tag another tag.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_inherits.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/snapmgr.h"

#include "columns.h"
#include "command_work.h"
#include "historian_table.h"
#include "read/leaves.h"
#include "store/segment.h"
#include "store/serializable.h"
#include "write/rename.h"

PG_FUNCTION_INFO_V1(historian_rename_samples);

static void check_tag(const text *tag);
static void check_unused(Oid relid, text *tag);
static bool is_bound_to_place(Oid relid, const List *tables);
static bool key_has_tag(Oid relid);
static bool has_rules(Relation rel);

/*
 * historian.rename_samples(table regclass, tag text, new_tag text) returns bigint
 *
 * Returns the number of rows, or NULL if only an UPDATE does what the table demands: moves rows to
 * other partitions, checks constraints or calls triggers.
 */
Datum
historian_rename_samples(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	text	   *tag = PG_GETARG_TEXT_PP(1);
	text	   *new_tag = PG_GETARG_TEXT_PP(2);
	List	   *tables;
	ListCell   *cell;
	int64		count = 0;
	bool		in_place;

	historian_table_check_may_write("historian.rename()");
	check_tag(tag);
	check_tag(new_tag);
	historian_table_check_privileges(relid, ACL_SELECT);
	tables = historian_table_open_leaves(relid, ACL_UPDATE, RowExclusiveLock, "UPDATE", true);
	check_unused(relid, new_tag);
	in_place = !is_bound_to_place(relid, tables);
	foreach(cell, tables)
	{
		Relation	rel = lfirst(cell);

		if (!in_place)
		{
			if (rel->rd_rel->relkind != RELKIND_FOREIGN_TABLE)
				rename_begin_update(rel, new_tag);
			continue;
		}
		command_work_before_change(rel);
		serializable_note_read(rel, GetActiveSnapshot());
		count += rename_rows(rel, tag, new_tag);
	}
	historian_table_close_leaves(tables);
	if (!in_place)
		PG_RETURN_NULL();
	PG_RETURN_INT64(count);
}

static void
check_tag(const text *tag)
{
	Size		length = VARSIZE_ANY_EXHDR(tag);

	if (length == 0 || length > SEGMENT_MAX_TAG_BYTES)
		ereport(ERROR,
				errcode(ERRCODE_STRING_DATA_LENGTH_MISMATCH),
				errmsg("tag length of %zu bytes is out of range", length),
				errdetail("A tag has 1 to %d bytes.", SEGMENT_MAX_TAG_BYTES));
}

/* Raises an error if a tag has rows in any leaf. */
static void
check_unused(Oid relid, text *tag)
{
	Leaves	   *leaves = leaves_open(relid);
	Leaves	   *found = leaves_with_tag(leaves, tag);

	if (found->nleaves > 0)
		rename_refuse_used(found->leaves[0].rel, tag);
	leaves_close(leaves);
}

/* Does the tag decide where a row is, or whether it may be there, or is somebody to be told? */
static bool
is_bound_to_place(Oid relid, const List *tables)
{
	List	   *parents = get_rel_relispartition(relid) ? get_partition_ancestors(relid) : NIL;
	ListCell   *cell;

	parents = list_concat(parents, find_all_inheritors(relid, NoLock, NULL));
	foreach(cell, parents)
	{
		if (key_has_tag(lfirst_oid(cell)))
			return true;
	}
	foreach(cell, tables)
	{
		if (has_rules(lfirst(cell)))
			return true;
	}
	return false;
}

/* Is a relation partitioned by the tag, among others? */
static bool
key_has_tag(Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	PartitionKey key = RelationGetPartitionKey(rel);
	bool		found = rel->trigdesc != NULL;

	if (key != NULL)
	{
		AttrNumber	tag = columns_of(rel).tag;
		Bitmapset  *used = NULL;

		for (int i = 0; i < key->partnatts; i++)
			found |= key->partattrs[i] == tag;
		pull_varattnos((Node *) key->partexprs, 1, &used);
		found |= bms_is_member(tag - FirstLowInvalidHeapAttributeNumber, used) ||
			bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, used);
	}
	table_close(rel, AccessShareLock);
	return found;
}

/* Has a table constraints or triggers that an UPDATE would heed?  Of foreign ones nothing is known. */
static bool
has_rules(Relation rel)
{
	const TupleConstr *constraints = RelationGetDescr(rel)->constr;

	return rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE || rel->trigdesc != NULL ||
		(constraints != NULL && (constraints->num_check > 0 || constraints->has_generated_stored));
}
