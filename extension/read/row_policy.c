/*
 * row_policy.c
 *	  Row-level security in functions: the policies that SELECT would apply for the current user.
 *
 * PostgreSQL says which they are, combined as for SELECT (get_row_security_policies()).  Conditions
 * on the tag alone hold for all rows of a tag or for none, so that they are evaluated once a tag,
 * and segments and summaries are read as without policies.  A condition with a subquery, a volatile
 * function or another column is left to the executor.
 *
 * As in SELECT, a condition runs with the privileges of the current user, and NULL hides the row.
 */
#include "postgres.h"

#include "read/row_policy.h"

#include "access/sysattr.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rowsecurity.h"
#include "utils/rls.h"

#include "columns.h"
#include "compat.h"

struct TagPolicy
{
	ExprState  *conditions;
	ExprContext *context;
	TupleTableSlot *row;		/* has a tag and nothing else */
	AttrNumber	tag;
};

static List *conditions_on(Relation rel, bool *has_subqueries);
static bool look_at_tag_alone(List *conditions, AttrNumber tag);
static TagPolicy *tag_policy(Relation rel, AttrNumber tag, List *conditions);

RowPolicyKind
row_policy_find(Relation rel, TagPolicy **policy)
{
	AttrNumber	tag;
	List	   *conditions;
	bool		has_subqueries;

	*policy = NULL;
	if (check_enable_rls(RelationGetRelid(rel), InvalidOid, false) != RLS_ENABLED)
		return ROW_POLICY_NONE;
	tag = columns_of(rel).tag;
	conditions = conditions_on(rel, &has_subqueries);
	if (has_subqueries || !look_at_tag_alone(conditions, tag) ||
		contain_volatile_functions((Node *) conditions))
		return ROW_POLICY_OF_ROWS;
	*policy = tag_policy(rel, tag, conditions);
	return ROW_POLICY_OF_TAGS;
}

/* Returns the conditions that all hold for each row that SELECT would return. */
static List *
conditions_on(Relation rel, bool *has_subqueries)
{
	Query	   *query = makeNode(Query);
	RangeTblEntry *entry = makeNode(RangeTblEntry);
	List	   *conditions;
	List	   *checks;
	bool		has_policies;

	query->commandType = CMD_SELECT;
	entry->rtekind = RTE_RELATION;
	entry->relid = RelationGetRelid(rel);
	entry->relkind = rel->rd_rel->relkind;
	entry->rellockmode = AccessShareLock;
	historian_require_select(query, entry);
	query->rtable = list_make1(entry);
	get_row_security_policies(query, entry, 1, &conditions, &checks, &has_policies,
							  has_subqueries);
	return conditions;
}

static bool
look_at_tag_alone(List *conditions, AttrNumber tag)
{
	Bitmapset  *used = NULL;
	bool		alone;

	pull_varattnos((Node *) conditions, 1, &used);
	alone = bms_is_subset(used, bms_make_singleton(tag - FirstLowInvalidHeapAttributeNumber));
	bms_free(used);
	return alone;
}

static TagPolicy *
tag_policy(Relation rel, AttrNumber tag, List *conditions)
{
	TagPolicy  *policy = palloc_object(TagPolicy);
	Expr	   *all = expression_planner(make_ands_explicit(conditions));

	policy->tag = tag;
	policy->context = CreateStandaloneExprContext();
	policy->conditions = ExecInitQual(make_ands_implicit(all), NULL);
	policy->row = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);
	policy->context->ecxt_scantuple = policy->row;
	return policy;
}

bool
row_policy_shows(TagPolicy *policy, text *tag)
{
	TupleTableSlot *row;

	if (policy == NULL)
		return true;
	row = policy->row;
	ResetExprContext(policy->context);
	ExecClearTuple(row);
	memset(row->tts_isnull, true, row->tts_tupleDescriptor->natts * sizeof(bool));
	row->tts_isnull[policy->tag - 1] = false;
	row->tts_values[policy->tag - 1] = PointerGetDatum(tag);
	ExecStoreVirtualTuple(row);
	return ExecQual(policy->conditions, policy->context);
}

void
row_policy_end(TagPolicy *policy)
{
	if (policy == NULL)
		return;
	ExecDropSingleTupleTableSlot(policy->row);
	FreeExprContext(policy->context, true);
	pfree(policy);
}
