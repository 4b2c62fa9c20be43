/*
 * leaves.c
 *	  The historian tables that a SQL function reads: one, or the leaves of a partitioned parent.
 *
 * A leaf's partition constraint says which tags it may have: those of its conditions that depend on
 * the tag alone are evaluated for each tag sought.  That serves partitions by hash, list and range,
 * nested ones and DEFAULT.
 *
 * Foreign leaves are read by SQL.  Heaps are refused: they may have several rows of one tag and time.
 *
 * Policies of row-level security (row_policy.h) that depend on the tag alone are evaluated for each
 * tag sought.  With others the relation named is the only leaf, and is read by SQL.
 *
 * All rows of one tag and time are in one leaf if no partition key depends on the values.
 */
#include "postgres.h"

#include "read/leaves.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/snapmgr.h"

#include "columns.h"
#include "command_work.h"
#include "historian_table.h"
#include "read/kept_memory.h"
#include "read/row_policy.h"
#include "store/serializable.h"
#include "tag.h"

/* The conditions of a leaf's partition constraint that depend on the tag alone. */
typedef struct LeafTags
{
	ExprState  *check;
	ExprContext *context;
	TupleTableSlot *row;		/* has a tag and nothing else */
	AttrNumber	tag;
} LeafTags;

static void leave_tag(TagWalk *walk);
static text *next_tag_of(TagWalk *walk, uint32 i, text *tag);
static Relation parent_open(Oid relid);
static void read_by_sql(Leaves *leaves, Oid relid);
static void open_partitions(Leaves *leaves, Relation parent);
static void add_leaf(Leaves *leaves, Relation rel);
static void check_key(Relation parent);
static LeafTags *leaf_tags(Relation leaf);
static bool looks_at_tag_alone(Node *condition, AttrNumber tag);
static bool calls_user_function(Node *node, void *context);
static bool is_user_function(Oid function, void *context);
static bool may_hold(const Leaf *leaf, text *tag);
static Leaves *none_of(const Leaves *leaves);

Leaves *
leaves_open(Oid relid)
{
	Leaves	   *leaves = palloc0_object(Leaves);
	bool		parent = get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE;
	RowPolicyKind policies;
	Relation	rel = parent
		? parent_open(relid)
		: historian_table_open(relid, ACL_SELECT, AccessShareLock);

	kept_memory_begin();
	policies = row_policy_find(rel, &leaves->policy);
	leaves->snapshot = GetActiveSnapshot();
	if (parent)
		open_partitions(leaves, rel);
	else
	{
		leaves->leaves = palloc0_object(Leaf);
		add_leaf(leaves, rel);
	}
	if (policies == ROW_POLICY_OF_ROWS)
		read_by_sql(leaves, relid);
	return leaves;
}

/* Puts the relation named in the place of its leaves, which are open as far as they had to be checked. */
static void
read_by_sql(Leaves *leaves, Oid relid)
{
	leaves_close(leaves);
	leaves->leaves = palloc0_object(Leaf);
	leaves->leaves[0].rel = table_open(relid, NoLock);
	leaves->nleaves = 1;
}

void
leaves_close(Leaves *leaves)
{
	for (uint32 i = 0; i < leaves->nleaves; i++)
	{
		LeafTags   *tags = leaves->leaves[i].tags;

		if (leaves->leaves[i].cursor != NULL)
			directory_end(leaves->leaves[i].cursor);
		table_close(leaves->leaves[i].rel, NoLock);
		if (tags != NULL)
		{
			ExecDropSingleTupleTableSlot(tags->row);
			FreeExprContext(tags->context, true);
		}
	}
	row_policy_end(leaves->policy);
	leaves->policy = NULL;
	leaves->nleaves = 0;
}

Leaves *
leaves_for_tag(const Leaves *leaves, text *tag)
{
	Leaves	   *found = none_of(leaves);

	if (!row_policy_shows(leaves->policy, tag))
		return found;
	for (uint32 i = 0; i < leaves->nleaves; i++)
	{
		if (may_hold(&leaves->leaves[i], tag))
			found->leaves[found->nleaves++] = leaves->leaves[i];
	}
	return found;
}

Leaves *
leaves_with_tag(const Leaves *leaves, text *tag)
{
	Leaves	   *found = none_of(leaves);

	if (!row_policy_shows(leaves->policy, tag))
		return found;
	for (uint32 i = 0; i < leaves->nleaves; i++)
	{
		const Leaf *leaf = &leaves->leaves[i];

		CHECK_FOR_INTERRUPTS();
		if (may_hold(leaf, tag) &&
			(leaf_is_by_sql(leaf) ? foreign_rows_has_tag(leaf->rel, tag)
			 : directory_has_tag(leaf->cursor, tag)))
			found->leaves[found->nleaves++] = *leaf;
	}
	return found;
}

Leaves *
leaves_again(const Leaves *leaves)
{
	Leaves	   *again = none_of(leaves);

	for (; again->nleaves < leaves->nleaves; again->nleaves++)
	{
		Leaf	   *leaf = &again->leaves[again->nleaves];

		*leaf = leaves->leaves[again->nleaves];
		if (leaf->cursor != NULL)
			leaf->cursor = directory_begin(leaf->rel, leaves->snapshot);
	}
	return again;
}

void
leaves_again_end(Leaves *leaves)
{
	for (uint32 i = 0; i < leaves->nleaves; i++)
	{
		if (leaves->leaves[i].cursor != NULL)
			directory_end(leaves->leaves[i].cursor);
	}
	leaves_free(leaves);
}

void
leaves_free(Leaves *leaves)
{
	pfree(leaves->leaves);
	pfree(leaves);
}

TagWalk *
tag_walk_begin(const Leaves *leaves)
{
	TagWalk    *walk = palloc_object(TagWalk);

	walk->leaves = leaves;
	walk->tag = NULL;
	walk->next = palloc_array(text *, leaves->nleaves);
	walk->foreign = palloc0_array(ForeignTag *, leaves->nleaves);
	walk->nforeign = palloc0_array(uint32, leaves->nleaves);
	walk->foreign_met = palloc0_array(uint32, leaves->nleaves);
	for (uint32 i = 0; i < leaves->nleaves; i++)
	{
		const Leaf *leaf = &leaves->leaves[i];

		if (leaf_is_by_sql(leaf))
			walk->foreign[i] = foreign_rows_tags(leaf->rel, NULL, &walk->nforeign[i]);
		walk->next[i] = next_tag_of(walk, i, NULL);
	}
	return walk;
}

/* Returns the next tag of a leaf, palloc'd, or NULL. */
static text *
next_tag_of(TagWalk *walk, uint32 i, text *tag)
{
	uint32		met = walk->foreign_met[i];

	if (!leaf_is_by_sql(&walk->leaves->leaves[i]))
		return directory_next_tag(walk->leaves->leaves[i].cursor, tag);
	if (met == walk->nforeign[i])
		return NULL;
	walk->foreign_met[i]++;
	return DatumGetTextPCopy(PointerGetDatum(walk->foreign[i][met].tag));
}

text *
tag_walk_next(TagWalk *walk, Leaves **with_tag)
{
	const Leaves *leaves = walk->leaves;
	text	   *tag;

	do
	{
		CHECK_FOR_INTERRUPTS();
		leave_tag(walk);
		tag = NULL;
		for (uint32 i = 0; i < leaves->nleaves; i++)
		{
			if (walk->next[i] != NULL && (tag == NULL || tag_compare(walk->next[i], tag) < 0))
				tag = walk->next[i];
		}
		walk->tag = tag;
	} while (tag != NULL && !row_policy_shows(leaves->policy, tag));
	if (tag == NULL)
		return NULL;

	*with_tag = none_of(leaves);
	for (uint32 i = 0; i < leaves->nleaves; i++)
	{
		if (walk->next[i] == NULL || tag_compare(walk->next[i], tag) != 0)
			continue;
		(*with_tag)->leaves[(*with_tag)->nleaves] = leaves->leaves[i];
		if (walk->foreign_met[i] > 0)
			(*with_tag)->leaves[(*with_tag)->nleaves].foreign =
				&walk->foreign[i][walk->foreign_met[i] - 1];
		(*with_tag)->nleaves++;
	}
	return DatumGetTextPCopy(PointerGetDatum(tag));
}

/*
 * Steps on from the tag returned last.  This comes before the next one is wanted, not before the
 * caller reads the tag: a cursor that is already at the next tag would have to go back.
 */
static void
leave_tag(TagWalk *walk)
{
	text	   *tag = walk->tag;

	for (uint32 i = 0; tag != NULL && i < walk->leaves->nleaves; i++)
	{
		text	   *former = walk->next[i];

		if (former == NULL || tag_compare(former, tag) != 0)
			continue;
		walk->next[i] = next_tag_of(walk, i, tag);
		if (former != tag)
			pfree(former);
	}
	if (tag != NULL)
		pfree(tag);
	walk->tag = NULL;
}

static Relation
parent_open(Oid relid)
{
	historian_table_check_privileges(relid, ACL_SELECT);
	return historian_table_open_any(relid, AccessShareLock);
}

/* Opens all leaves below a parent, and closes the parent. */
static void
open_partitions(Leaves *leaves, Relation parent)
{
	List	   *oids = find_all_inheritors(RelationGetRelid(parent), AccessShareLock, NULL);
	HistorianColumns columns;
	ListCell   *cell;

	leaves->leaves = palloc_array(Leaf, list_length(oids));
	foreach(cell, oids)
	{
		Relation	rel = table_open(lfirst_oid(cell), NoLock);

		if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		{
			check_key(rel);
			table_close(rel, NoLock);
			continue;
		}
		if (rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
			(void) columns_of(rel);
		else if (!historian_table_is(rel))
			historian_table_refuse_leaf(rel, RelationGetRelationName(parent));
		historian_table_check_readable(rel);
		add_leaf(leaves, rel);
		leaves->leaves[leaves->nleaves - 1].tags = leaf_tags(rel);
	}
	if (leaves->nleaves == 0 && !columns_find(parent, &columns))
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("\"%s\" has no partitions that are historian tables",
					   RelationGetRelationName(parent)),
				errhint("Create one with CREATE TABLE ... PARTITION OF ... USING historian."));
	table_close(parent, NoLock);
}

static void
add_leaf(Leaves *leaves, Relation rel)
{
	if (rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
	{
		leaves->leaves[leaves->nleaves++] = (Leaf) {.rel = rel};
		return;
	}
	command_work_before_read(rel, leaves->snapshot);
	serializable_note_read(rel, leaves->snapshot);
	leaves->leaves[leaves->nleaves++] = (Leaf) {
		.rel = rel,
		.cursor = directory_begin(rel, leaves->snapshot),
	};
}

/* Refuses a parent whose partition key depends on more than tag and time. */
static void
check_key(Relation parent)
{
	PartitionKey key = RelationGetPartitionKey(parent);
	TupleDesc	desc = RelationGetDescr(parent);
	Bitmapset  *used = NULL;
	int			column = -1;

	for (int i = 0; i < key->partnatts; i++)
	{
		if (key->partattrs[i] != 0)
			used = bms_add_member(used, key->partattrs[i] - FirstLowInvalidHeapAttributeNumber);
	}
	pull_varattnos((Node *) key->partexprs, 1, &used);
	while ((column = bms_next_member(used, column)) >= 0)
	{
		int			number = column + FirstLowInvalidHeapAttributeNumber;

		/* the whole row, or the values */
		if (number <= 0 || TupleDescAttr(desc, number - 1)->atttypid == FLOAT8ARRAYOID)
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("partition key of \"%s\" depends on values",
						   RelationGetRelationName(parent)),
					errdetail("Rows of the same tag and time may be in several partitions, so that none of them is the last one."),
					errhint("Partition by tag or time, or use SELECT, which returns all of these rows."));
	}
	bms_free(used);
}

/*
 * Makes the check of a leaf's tags.  It keeps only conditions that call none but PostgreSQL's own
 * functions, because a reader must not run functions that the owner of a table has put into its
 * partition key.
 */
static LeafTags *
leaf_tags(Relation leaf)
{
	AttrNumber	tag = columns_of(leaf).tag;
	List	   *conditions = NIL;
	LeafTags   *tags;
	ListCell   *cell;

	foreach(cell, RelationGetPartitionQual(leaf))
	{
		if (looks_at_tag_alone(lfirst(cell), tag) && !calls_user_function(lfirst(cell), NULL))
			conditions = lappend(conditions, lfirst(cell));
	}
	if (conditions == NIL)
		return NULL;
	tags = palloc_object(LeafTags);
	tags->tag = tag;
	tags->context = CreateStandaloneExprContext();
	tags->check = ExecInitExpr(expression_planner(make_ands_explicit(conditions)), NULL);
	tags->row = MakeSingleTupleTableSlot(RelationGetDescr(leaf), &TTSOpsVirtual);
	tags->context->ecxt_scantuple = tags->row;
	return tags;
}

static bool
looks_at_tag_alone(Node *condition, AttrNumber tag)
{
	Bitmapset  *used = NULL;
	bool		alone;

	pull_varattnos(condition, 1, &used);
	alone = bms_membership(used) == BMS_SINGLETON &&
		bms_is_member(tag - FirstLowInvalidHeapAttributeNumber, used);
	bms_free(used);
	return alone;
}

static bool
calls_user_function(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return check_functions_in_node(node, is_user_function, context) ||
		expression_tree_walker(node, calls_user_function, context);
}

static bool
is_user_function(Oid function, void *context)
{
	return function >= FirstUnpinnedObjectId;
}

/* May the leaf have rows of this tag? */
static bool
may_hold(const Leaf *leaf, text *tag)
{
	LeafTags   *tags = leaf->tags;

	if (tags == NULL)
		return true;
	ResetExprContext(tags->context);
	ExecClearTuple(tags->row);
	memset(tags->row->tts_isnull, true, tags->row->tts_tupleDescriptor->natts * sizeof(bool));
	tags->row->tts_isnull[tags->tag - 1] = false;
	tags->row->tts_values[tags->tag - 1] = PointerGetDatum(tag);
	ExecStoreVirtualTuple(tags->row);
	return ExecCheck(tags->check, tags->context);
}

/* Returns a selection of none of the leaves, with room for all. */
static Leaves *
none_of(const Leaves *leaves)
{
	Leaves	   *none = palloc0_object(Leaves);

	none->snapshot = leaves->snapshot;
	none->policy = leaves->policy;
	none->leaves = palloc_array(Leaf, leaves->nleaves);
	return none;
}
