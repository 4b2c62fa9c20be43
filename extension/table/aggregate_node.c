/*
 * aggregate_node.c
 *	  HistorianAggregate: the plan node that answers aggregates without returning rows.
 *
 * The planner may use it in place of an aggregate over a scan of one historian table, if
 *
 * - the scan can check all conditions itself (scan_condition.h),
 * - the rows are not grouped, or only by tag, and
 * - only count(*), count, min and max of the time or of to_timestamptz(time), and count, sum, avg,
 *	 min and max of values[k] with a constant k are computed.
 *
 * Whole segments are then answered from their summaries.
 */
#include "postgres.h"

#include "table/aggregate_node.h"

#include "access/table.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planner.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "utils/fmgroids.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/timestamp.h"

#include "columns.h"
#include "command_work.h"
#include "compat.h"
#include "historian_table.h"
#include "nanoseconds.h"
#include "read/kept_memory.h"
#include "read/tag_totals.h"
#include "store/serializable.h"
#include "table/scan_condition.h"
#include "table/time_expression.h"
#include "table/value_usage.h"

bool		historian_enable_aggregate = true;

/*
 * The cost, as a part of the cost of a scan that returns the rows.  It is an upper bound: so much
 * is needed if no segment has a summary.
 */
#define SCAN_COST_FACTOR 0.25

/* What a column of the result contains. */
typedef enum ResultKind
{
	RESULT_TAG,
	RESULT_COUNT,				/* of rows */
	RESULT_FIRST_TIME,
	RESULT_LAST_TIME,
	RESULT_FIRST_TIMESTAMP,		/* to_timestamptz() of the time */
	RESULT_LAST_TIMESTAMP,
	RESULT_VALUE_COUNT,
	RESULT_VALUE_SUM,
	RESULT_VALUE_AVG,
	RESULT_VALUE_MIN,
	RESULT_VALUE_MAX,
} ResultKind;

/* The lists in a path's and in a plan's custom_private. */
enum
{
	PRIVATE_RELATION,			/* the table's OID */
	PRIVATE_KINDS,				/* the ConditionKind of each condition */
	PRIVATE_RESULTS,			/* of each column of the result: ResultKind, number of the value */
	PRIVATE_VALUES,				/* path only: what each condition compares with */
	PRIVATE_EXPRESSIONS,		/* path only: the expression of each column of the result */
};

typedef struct HistorianAggregateState
{
	CustomScanState css;
	Relation	rel;
	ScanCondition *conditions;
	int			nconditions;
	uint32		nresults;
	ResultKind *kind;			/* [nresults] */
	uint32	   *slot;			/* [nresults]: index in totals.value */
	bool		by_tag;
	TagTotals	totals;
	RowScanFilter filter;
	MemoryContext filter_context;
	MemoryContext tag_context;

	/* progress */
	bool		started;
	bool		done;
	DirectoryCursor *cursor;
	text	   *tag;			/* if all tags are read: the last one; NULL: none yet */
	uint32		next_tag;		/* otherwise: index of the next one in filter.tags */
	uint64		tags_read;
} HistorianAggregateState;

static create_upper_paths_hook_type next_upper_paths_hook = NULL;

static void on_create_upper_paths(PlannerInfo *root, UpperRelationKind stage,
								  RelOptInfo *input_rel, RelOptInfo *output_rel, void *extra);
static bool match_conditions(RelOptInfo *rel, const HistorianColumns *columns, List **kinds,
							 List **values);
static bool match_results(PlannerInfo *root, RelOptInfo *input_rel, RelOptInfo *output_rel,
						  const HistorianColumns *columns, List **results, List **expressions);
static bool match_aggregate(const Aggref *aggref, Index varno, const HistorianColumns *columns,
							int *kind, int *value);
static bool is_column(const Node *node, Index varno, AttrNumber column);
static Plan *plan_path(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
					   List *clauses, List *custom_plans);
static Node *create_state(CustomScan *plan);
static void begin_aggregate(CustomScanState *css, EState *estate, int eflags);
static TupleTableSlot *exec_aggregate(CustomScanState *css);
static void end_aggregate(CustomScanState *css);
static void rescan_aggregate(CustomScanState *css);
static void explain_aggregate(CustomScanState *css, List *ancestors, ExplainState *es);
static const char *condition_text(const HistorianAggregateState *state, List *context);
static uint32 totals_slot(HistorianAggregateState *state, uint32 value);
static void start(HistorianAggregateState *state);
static text *next_tag(HistorianAggregateState *state);
static void add_tag(HistorianAggregateState *state, text *tag);
static void store_result(HistorianAggregateState *state, text *tag, TupleTableSlot *slot);

static const CustomPathMethods path_methods = {
	.CustomName = "HistorianAggregate",
	.PlanCustomPath = plan_path,
};

static const CustomScanMethods plan_methods = {
	.CustomName = "HistorianAggregate",
	.CreateCustomScanState = create_state,
};

static const CustomExecMethods exec_methods = {
	.CustomName = "HistorianAggregate",
	.BeginCustomScan = begin_aggregate,
	.ExecCustomScan = exec_aggregate,
	.EndCustomScan = end_aggregate,
	.ReScanCustomScan = rescan_aggregate,
	.ExplainCustomScan = explain_aggregate,
};

void
aggregate_node_init(void)
{
	RegisterCustomScanMethods(&plan_methods);
	next_upper_paths_hook = create_upper_paths_hook;
	create_upper_paths_hook = on_create_upper_paths;
}

/* Planning. */

/* Adds the node's path to those of an aggregate that it can answer. */
static void
on_create_upper_paths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel,
					  RelOptInfo *output_rel, void *extra)
{
	Query	   *parse = root->parse;
	RangeTblEntry *rte;
	HistorianColumns columns;
	CustomPath *path;
	Relation	table;
	List	   *kinds = NIL;
	List	   *values = NIL;
	List	   *results = NIL;
	List	   *expressions = NIL;
	bool		ours;

	if (next_upper_paths_hook != NULL)
		next_upper_paths_hook(root, stage, input_rel, output_rel, extra);
	if (stage != UPPERREL_GROUP_AGG || !historian_enable_aggregate ||
		input_rel->reloptkind != RELOPT_BASEREL || output_rel->pathlist == NIL ||
		parse->groupingSets != NIL || parse->havingQual != NULL ||
		root->hasHavingQual || list_length(parse->groupClause) > 1 || parse->hasTargetSRFs ||
		root->rowMarks != NIL || input_rel->lateral_relids != NULL || input_rel->joininfo != NIL)
		return;
	rte = planner_rt_fetch(input_rel->relid, root);
	if (rte->rtekind != RTE_RELATION || rte->inh || rte->tablesample != NULL ||
		(rte->relkind != RELKIND_RELATION && rte->relkind != RELKIND_MATVIEW))
		return;

	table = table_open(rte->relid, NoLock);
	ours = historian_table_is(table);
	if (ours)
	{
		columns = columns_of(table);
		ours = match_conditions(input_rel, &columns, &kinds, &values) &&
			match_results(root, input_rel, output_rel, &columns, &results, &expressions);
	}
	table_close(table, NoLock);
	if (!ours)
		return;

	path = makeNode(CustomPath);
	path->path.pathtype = T_CustomScan;
	path->path.parent = output_rel;
	path->path.pathtarget = root->upper_targets[UPPERREL_GROUP_AGG];
	path->path.rows = ((Path *) linitial(output_rel->pathlist))->rows;
	/* it reads what a scan reads, but returns no rows */
	path->path.startup_cost = input_rel->cheapest_total_path->total_cost * SCAN_COST_FACTOR;
	path->path.total_cost = path->path.startup_cost + path->path.rows * cpu_tuple_cost;
	path->methods = &path_methods;
	path->custom_private =
		list_make5(list_make1_oid(rte->relid), kinds, results, values, expressions);
	add_path(output_rel, (Path *) path);
}

/* Can a scan check all conditions itself?  Returns their kinds and what they compare with. */
static bool
match_conditions(RelOptInfo *rel, const HistorianColumns *columns, List **kinds, List **values)
{
	ListCell   *cell;

	foreach(cell, rel->baserestrictinfo)
	{
		RestrictInfo *restriction = lfirst_node(RestrictInfo, cell);
		ConditionKind kind;
		Expr	   *clause = restriction->pseudoconstant ? NULL
			: scan_condition_match(restriction->clause, rel->relid, columns, &kind);

		if (clause == NULL)
			return false;
		*kinds = lappend_int(*kinds, kind);
		*values = lappend(*values, scan_condition_value(clause));
	}
	return true;
}

/*
 * Does the query compute only the tag by which it groups and aggregates that are known here, or
 * expressions of these?  Returns what each column of the node's result is.
 */
static bool
match_results(PlannerInfo *root, RelOptInfo *input_rel, RelOptInfo *output_rel,
			  const HistorianColumns *columns, List **results, List **expressions)
{
	Query	   *parse = root->parse;
	PathTarget *target = root->upper_targets[UPPERREL_GROUP_AGG];
	int			flags = PVC_INCLUDE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS | PVC_INCLUDE_PLACEHOLDERS;
	List	   *used = pull_var_clause((Node *) target->exprs, flags);
	bool		has_aggregate = false;
	ListCell   *cell;

	if (parse->groupClause != NIL)
	{
		SortGroupClause *group = linitial_node(SortGroupClause, parse->groupClause);
		Node	   *expression = get_sortgroupclause_expr(group, root->processed_tlist);

		if (!is_column(expression, input_rel->relid, columns->tag) ||
			!get_collation_isdeterministic(exprCollation(expression)))
			return false;
		*results = list_make2_int(RESULT_TAG, 0);
		*expressions = list_make1(expression);
	}
	foreach(cell, used)
	{
		Node	   *node = lfirst(cell);
		int			kind = RESULT_TAG;
		int			value = 0;

		if (list_member(*expressions, node))
			has_aggregate |= IsA(node, Aggref);
		else if (IsA(node, Aggref) && match_aggregate((Aggref *) node, input_rel->relid, columns,
													  &kind, &value))
		{
			has_aggregate = true;
			*results = lappend_int(lappend_int(*results, kind), value);
			*expressions = lappend(*expressions, node);
		}
		else
			return false;
	}
	return has_aggregate;
}

/* Is this aggregate known here?  Returns its ResultKind, and the number of the value from 0. */
static bool
match_aggregate(const Aggref *aggref, Index varno, const HistorianColumns *columns, int *kind,
				int *value)
{
	Node	   *argument;

	if (aggref->aggfilter != NULL || aggref->aggdistinct != NIL || aggref->aggorder != NIL ||
		aggref->agglevelsup != 0 || aggref->aggsplit != AGGSPLIT_SIMPLE ||
		aggref->aggkind != AGGKIND_NORMAL)
		return false;
	if (aggref->aggfnoid == F_COUNT_)
	{
		*kind = RESULT_COUNT;
		return true;
	}
	if (list_length(aggref->args) != 1)
		return false;
	argument = (Node *) linitial_node(TargetEntry, aggref->args)->expr;

	switch (aggref->aggfnoid)
	{
		case F_COUNT_ANY:
			*kind = RESULT_COUNT;
			/* neither time nor tag is ever NULL */
			if (is_column(argument, varno, columns->time) ||
				is_column(argument, varno, columns->tag) ||
				time_expression_match(argument, varno, columns) != NULL)
				return true;
			*kind = RESULT_VALUE_COUNT;
			break;
		case F_MIN_INT8:
			*kind = RESULT_FIRST_TIME;
			return is_column(argument, varno, columns->time);
		case F_MAX_INT8:
			*kind = RESULT_LAST_TIME;
			return is_column(argument, varno, columns->time);
		case F_MIN_TIMESTAMPTZ:
			*kind = RESULT_FIRST_TIMESTAMP;
			return time_expression_match(argument, varno, columns) != NULL;
		case F_MAX_TIMESTAMPTZ:
			*kind = RESULT_LAST_TIMESTAMP;
			return time_expression_match(argument, varno, columns) != NULL;
		case F_SUM_FLOAT8:
			*kind = RESULT_VALUE_SUM;
			break;
		case F_AVG_FLOAT8:
			*kind = RESULT_VALUE_AVG;
			break;
		case F_MIN_FLOAT8:
			*kind = RESULT_VALUE_MIN;
			break;
		case F_MAX_FLOAT8:
			*kind = RESULT_VALUE_MAX;
			break;
		default:
			return false;
	}
	return value_usage_match(argument, varno, 0, columns, value);
}

static bool
is_column(const Node *node, Index varno, AttrNumber column)
{
	const Var  *var = (const Var *) node;

	return IsA(node, Var) && var->varno == varno && var->varattno == column &&
		var->varlevelsup == 0;
}

/*
 * Makes the plan of a path.  It reads its table itself, so it has no range table index (scanrelid).
 */
static Plan *
plan_path(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist, List *clauses,
		  List *custom_plans)
{
	CustomScan *plan = makeNode(CustomScan);
	List	   *columns = NIL;
	ListCell   *cell;

	foreach(cell, list_nth_node(List, path->custom_private, PRIVATE_EXPRESSIONS))
		columns = lappend(columns, makeTargetEntry(copyObject(lfirst(cell)),
												   list_length(columns) + 1, NULL, false));
	plan->scan.plan.targetlist = tlist;
	plan->scan.scanrelid = 0;
	plan->flags = path->flags;
	plan->custom_scan_tlist = columns;
	plan->custom_exprs = list_nth(path->custom_private, PRIVATE_VALUES);
	plan->custom_private = list_copy_head(path->custom_private, PRIVATE_VALUES);
	plan->methods = &plan_methods;
	return (Plan *) plan;
}

/* Execution. */

static Node *
create_state(CustomScan *plan)
{
	HistorianAggregateState *state =
		(HistorianAggregateState *) newNode(sizeof(HistorianAggregateState), T_CustomScanState);

	state->css.methods = &exec_methods;
	return (Node *) state;
}

static void
begin_aggregate(CustomScanState *css, EState *estate, int eflags)
{
	HistorianAggregateState *state = (HistorianAggregateState *) css;
	CustomScan *plan = (CustomScan *) css->ss.ps.plan;
	List	   *results = list_nth(plan->custom_private, PRIVATE_RESULTS);
	TagTotals  *totals = &state->totals;
	ListCell   *value;
	ListCell   *kind;

	/* the table is in the range table, so the executor has locked it */
	state->rel = table_open(linitial_oid(list_nth(plan->custom_private, PRIVATE_RELATION)),
							NoLock);
	state->conditions = palloc0(Max(list_length(plan->custom_exprs), 1) * sizeof(ScanCondition));
	forboth(value, plan->custom_exprs, kind, list_nth(plan->custom_private, PRIVATE_KINDS))
		state->conditions[state->nconditions++] =
			scan_condition_init_value(lfirst(value), lfirst_int(kind), &css->ss.ps);

	state->nresults = list_length(results) / 2;
	state->kind = palloc0_array(ResultKind, state->nresults);
	state->slot = palloc0_array(uint32, state->nresults);
	totals->value = palloc0_array(uint32, state->nresults);
	totals->reduced = palloc0_array(Reduction, state->nresults);
	for (uint32 i = 0; i < state->nresults; i++)
	{
		state->kind[i] = list_nth_int(results, 2 * i);
		if (state->kind[i] == RESULT_TAG)
			state->by_tag = true;
		if (state->kind[i] == RESULT_VALUE_SUM || state->kind[i] == RESULT_VALUE_AVG)
			totals->facets |= REDUCTION_SUM;
		if (state->kind[i] == RESULT_VALUE_MIN || state->kind[i] == RESULT_VALUE_MAX)
			totals->facets |= REDUCTION_EXTREMES;
		if (state->kind[i] >= RESULT_VALUE_COUNT)
			state->slot[i] = totals_slot(state, list_nth_int(results, 2 * i + 1));
	}
	state->filter_context = AllocSetContextCreate(estate->es_query_cxt, "historian filter",
												  ALLOCSET_SMALL_SIZES);
	state->tag_context = AllocSetContextCreate(estate->es_query_cxt, "historian totals",
											   ALLOCSET_DEFAULT_SIZES);
}

/* Returns the index of a value's totals, which all aggregates of that value share. */
static uint32
totals_slot(HistorianAggregateState *state, uint32 value)
{
	TagTotals  *totals = &state->totals;
	uint32	   *values = (uint32 *) totals->value;
	uint32		i = 0;

	while (i < totals->nvalues && values[i] != value)
		i++;
	if (i == totals->nvalues)
		values[totals->nvalues++] = value;
	return i;
}

/* Computes the next row of the result, or returns an empty slot. */
static TupleTableSlot *
next_result(ScanState *ss)
{
	HistorianAggregateState *state = (HistorianAggregateState *) ss;
	TupleTableSlot *slot = ss->ss_ScanTupleSlot;
	text	   *tag;

	ExecClearTuple(slot);
	if (!state->started)
		start(state);
	if (state->done)
		return slot;

	tag_totals_clear(&state->totals);
	while ((tag = next_tag(state)) != NULL)
	{
		add_tag(state, tag);
		if (state->by_tag && state->totals.count > 0)
		{
			store_result(state, tag, slot);
			return slot;
		}
	}
	state->done = true;
	if (!state->by_tag)
		store_result(state, NULL, slot);
	return slot;
}

/* Evaluates the conditions, and goes to before the first tag. */
static void
start(HistorianAggregateState *state)
{
	ScanState  *ss = &state->css.ss;
	Snapshot	snapshot = ss->ps.state->es_snapshot;
	MemoryContext caller;

	/* as row_scan_begin() does */
	kept_memory_begin();
	command_work_before_read(state->rel, snapshot);
	serializable_note_read(state->rel, snapshot);

	MemoryContextReset(state->filter_context);
	caller = MemoryContextSwitchTo(state->filter_context);
	state->filter = scan_condition_evaluate_all(state->conditions, state->nconditions,
												ss->ps.ps_ExprContext);
	state->tag = NULL;
	MemoryContextSwitchTo(ss->ps.state->es_query_cxt);
	if (state->cursor == NULL)
		state->cursor = directory_begin(state->rel, snapshot);
	MemoryContextSwitchTo(caller);
	state->next_tag = 0;
	state->done = false;
	state->started = true;
}

/* Returns the next tag to read, or NULL at the end.  The tag is valid until the next call. */
static text *
next_tag(HistorianAggregateState *state)
{
	const RowScanFilter *filter = &state->filter;
	text	   *former = state->tag;
	MemoryContext caller;

	CHECK_FOR_INTERRUPTS();
	if (filter->from > filter->until)
		return NULL;
	if (!filter->all_tags)
		return state->next_tag < filter->ntags ? filter->tags[state->next_tag++] : NULL;

	caller = MemoryContextSwitchTo(state->filter_context);
	state->tag = directory_next_tag(state->cursor, former);
	MemoryContextSwitchTo(caller);
	if (former != NULL)
		pfree(former);
	return state->tag;
}

static void
add_tag(HistorianAggregateState *state, text *tag)
{
	MemoryContext caller = MemoryContextSwitchTo(state->tag_context);

	tag_totals_add(&state->totals, state->rel, state->cursor,
				   state->css.ss.ps.state->es_snapshot, tag, state->filter.from,
				   state->filter.until);
	state->tags_read++;
	MemoryContextSwitchTo(caller);
	MemoryContextReset(state->tag_context);
}

/* Stores the totals as a row of the result.  tag is NULL unless rows are grouped by tag. */
static void
store_result(HistorianAggregateState *state, text *tag, TupleTableSlot *slot)
{
	const TagTotals *totals = &state->totals;

	for (uint32 i = 0; i < state->nresults; i++)
	{
		const Reduction *reduced = &totals->reduced[state->slot[i]];
		double		number = 0;
		bool		found = totals->count > 0;
		Datum		result = (Datum) 0;

		switch (state->kind[i])
		{
			case RESULT_TAG:
				result = PointerGetDatum(tag);
				break;
			case RESULT_COUNT:
				found = true;
				result = Int64GetDatum(totals->count);
				break;
			case RESULT_FIRST_TIME:
				result = Int64GetDatum(totals->first_time);
				break;
			case RESULT_LAST_TIME:
				result = Int64GetDatum(totals->last_time);
				break;
			case RESULT_FIRST_TIMESTAMP:
				result = TimestampTzGetDatum(nanoseconds_to_timestamptz(totals->first_time));
				break;
			case RESULT_LAST_TIMESTAMP:
				result = TimestampTzGetDatum(nanoseconds_to_timestamptz(totals->last_time));
				break;
			case RESULT_VALUE_COUNT:
				found = true;
				result = Int64GetDatum(reduced->count);
				break;
			case RESULT_VALUE_SUM:
				found = reduction_sum(reduced, &number);
				result = Float8GetDatum(number);
				break;
			case RESULT_VALUE_AVG:
				found = reduction_average(reduced, &number);
				result = Float8GetDatum(number);
				break;
			case RESULT_VALUE_MIN:
				found = reduction_min(reduced, &number);
				result = Float8GetDatum(number);
				break;
			case RESULT_VALUE_MAX:
				found = reduction_max(reduced, &number);
				result = Float8GetDatum(number);
				break;
		}
		slot->tts_values[i] = result;
		slot->tts_isnull[i] = !found;
	}
	ExecStoreVirtualTuple(slot);
}

/*
 * Returns the next row of the result.  Does not use ExecScan(), because this node may be part of a
 * subquery within an EvalPlanQual.  There ExecScan() would take a node without a scanrelid for a
 * join that was pushed down, and would return no new rows.
 */
static TupleTableSlot *
exec_aggregate(CustomScanState *css)
{
	ExprContext *econtext = css->ss.ps.ps_ExprContext;
	TupleTableSlot *slot;

	ResetExprContext(econtext);
	slot = next_result(&css->ss);
	if (TupIsNull(slot) || css->ss.ps.ps_ProjInfo == NULL)
		return slot;
	econtext->ecxt_scantuple = slot;
	return ExecProject(css->ss.ps.ps_ProjInfo);
}

static void
end_aggregate(CustomScanState *css)
{
	HistorianAggregateState *state = (HistorianAggregateState *) css;

	if (state->cursor != NULL)
		directory_end(state->cursor);
	table_close(state->rel, NoLock);
}

static void
rescan_aggregate(CustomScanState *css)
{
	((HistorianAggregateState *) css)->started = false;
	ExecClearTuple(css->ss.ss_ScanTupleSlot);
}

static void
explain_aggregate(CustomScanState *css, List *ancestors, ExplainState *es)
{
	HistorianAggregateState *state = (HistorianAggregateState *) css;
	CustomScan *plan = (CustomScan *) css->ss.ps.plan;

	ExplainPropertyText("Table", RelationGetRelationName(state->rel), es);
	if (plan->custom_exprs != NIL)
	{
		List	   *context = set_deparse_context_plan(es->deparse_cxt, &plan->scan.plan, ancestors);

		ExplainPropertyText("Historian Cond", condition_text(state, context), es);
	}
	if (es->analyze)
		ExplainPropertyUInteger("Tags Read", NULL, state->tags_read, es);
}

/*
 * Returns the conditions as EXPLAIN shows them.  They are put together here, because the plan has
 * only what the columns are compared with, not the columns.
 */
static const char *
condition_text(const HistorianAggregateState *state, List *context)
{
	static const char *const operators[] = {
		[CONDITION_TAG_EQUAL] = "=",
		[CONDITION_TAG_ANY] = "= ANY",
		[CONDITION_TIME_BELOW] = "<",
		[CONDITION_TIME_AT_MOST] = "<=",
		[CONDITION_TIME_EQUAL] = "=",
		[CONDITION_TIME_AT_LEAST] = ">=",
		[CONDITION_TIME_ABOVE] = ">",
	};
	List	   *values = ((CustomScan *) state->css.ss.ps.plan)->custom_exprs;
	HistorianColumns columns = columns_of(state->rel);
	StringInfoData all;

	initStringInfo(&all);
	for (int i = 0; i < state->nconditions; i++)
	{
		ConditionKind kind = state->conditions[i].kind;
		bool		on_tag = kind == CONDITION_TAG_EQUAL || kind == CONDITION_TAG_ANY;
		AttrNumber	column = on_tag ? columns.tag : columns.time;
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(state->rel), column - 1);
		const char *left = quote_identifier(NameStr(attribute->attname));

		if (nanoseconds_is_comparable(state->conditions[i].type))
			left = psprintf("historian.to_timestamptz(%s)", left);
		appendStringInfo(&all, kind == CONDITION_TAG_ANY ? "%s(%s %s (%s))" : "%s(%s %s %s)",
						 i > 0 ? " AND " : "", left, operators[kind],
						 deparse_expression(list_nth(values, i), context, false, false));
	}
	return state->nconditions > 1 ? psprintf("(%s)", all.data) : all.data;
}
