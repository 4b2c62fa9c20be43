/*
 * value_usage.c
 *	  Which values of the rows of a table a query uses.
 *
 * The whole query must be searched, because a scan returns the array, and values[k] is computed in
 * the node that needs it.
 */
#include "postgres.h"

#include "table/value_usage.h"

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"

typedef struct Usage
{
	Index		varno;
	Index		level;			/* depth of the subquery that is being walked */
	const HistorianColumns *columns;
	bool		whole;			/* the array is used in another way than values[k] */
	ValueRange	values;
} Usage;

static bool note_usage(Node *node, void *context);

ValueRange
value_usage(PlannerInfo *root, RelOptInfo *rel, const HistorianColumns *columns)
{
	Usage		usage = {
		.varno = rel->relid,
		.columns = columns,
		.values = {CODEC_MAX_VALUES, 0},
	};

	/*
	 * A command that changes rows writes all their values, and the query names a member of an
	 * inheritance tree by its parent.
	 */
	if (root->parse->commandType != CMD_SELECT || root->rowMarks != NIL ||
		rel->reloptkind != RELOPT_BASEREL)
		return values_all;
	(void) query_tree_walker(root->parse, note_usage, &usage, 0);
	(void) expression_tree_walker((Node *) root->processed_tlist, note_usage, &usage);
	if (usage.whole)
		return values_all;
	return usage.values.end > 0 ? usage.values : values_none;
}

bool
value_usage_match(const Node *node, Index varno, Index level, const HistorianColumns *columns,
				  int *value)
{
	const SubscriptingRef *subscript = (const SubscriptingRef *) node;
	const Var  *array;
	const Const *index;

	if (!IsA(node, SubscriptingRef) || subscript->refassgnexpr != NULL ||
		subscript->reflowerindexpr != NIL || list_length(subscript->refupperindexpr) != 1 ||
		subscript->refelemtype != FLOAT8OID || subscript->refrestype != FLOAT8OID)
		return false;
	array = (const Var *) subscript->refexpr;
	index = linitial(subscript->refupperindexpr);
	if (!IsA(array, Var) || array->varno != varno || array->varlevelsup != level ||
		array->varattno != columns->values || index == NULL || !IsA(index, Const) ||
		index->constisnull || index->consttype != INT4OID)
		return false;
	*value = DatumGetInt32(index->constvalue) - 1;
	return *value >= 0 && *value < CODEC_MAX_VALUES;
}

/* Walks expressions and queries.  Stops, and returns true, where the whole array is used. */
static bool
note_usage(Node *node, void *context)
{
	Usage	   *usage = context;
	int			value;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		bool		stopped;

		usage->level++;
		stopped = query_tree_walker((Query *) node, note_usage, context, 0);
		usage->level--;
		return stopped;
	}
	if (value_usage_match(node, usage->varno, usage->level, usage->columns, &value))
	{
		usage->values.first = Min(usage->values.first, value);
		usage->values.end = Max(usage->values.end, value + 1);
		return false;
	}
	if (IsA(node, Var))
	{
		const Var  *var = (const Var *) node;

		/* never reset, because value_usage() makes two walks */
		if (var->varno == usage->varno && var->varlevelsup == usage->level &&
			(var->varattno == usage->columns->values || var->varattno == InvalidAttrNumber))
			usage->whole = true;
		return usage->whole;
	}
	return expression_tree_walker(node, note_usage, context);
}
