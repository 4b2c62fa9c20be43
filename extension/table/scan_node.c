/*
 * scan_node.c
 *	  HistorianScan: the plan node that reads a historian table.
 *
 * The node checks the conditions on tag and time itself, even if they compare with a parameter or
 * with the outer side of a join.  It decodes only the values that the query uses, and returns the
 * rows in order of their tag's bytes, which is that of tag COLLATE "C", and of time.  It replaces all
 * other paths of the table, because a sequential scan reads the same rows and is not quicker.
 */
#include "postgres.h"

#include "table/scan_node.h"

#include "access/parallel.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/plancat.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/typcache.h"

#include "compat.h"
#include "historian_table.h"
#include "table/scan_condition.h"
#include "table/table_scan.h"
#include "table/time_expression.h"
#include "table/timestamp_condition.h"
#include "table/value_usage.h"

bool		historian_enable_scan = true;

/*
 * The cost of a row in cpu_tuple_cost: to decode it costs less than to fetch one from a heap page.
 */
#define ROW_COST_FACTOR 0.5

/* The pages that a lookup of a tag in the directory reads. */
#define LOOKUP_PAGES 4

typedef struct HistorianScanState
{
	CustomScanState css;
	ScanCondition *conditions;
	int			nconditions;
	ExprState  *recheck;		/* all conditions, for a row of EvalPlanQual */
	ValueRange	wanted;			/* the values to decode */
	bool		give_places;	/* a node above wants ctids */
	bool		backward;
	bool		filter_valid;	/* the scan has been started with the present conditions */
	MemoryContext filter_context;
	RowScan    *rows;			/* NULL until the first row is wanted */
	RowScanShared *shared;		/* in a parallel scan */
} HistorianScanState;

static get_relation_info_hook_type next_relation_info_hook = NULL;
static set_rel_pathlist_hook_type next_pathlist_hook = NULL;

static void on_get_relation_info(PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel);
static void on_set_rel_pathlist(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte);
static CustomPath *make_path(PlannerInfo *root, RelOptInfo *rel, const HistorianColumns *columns,
							 ParamPathInfo *param_info, int parallel_workers, List *order,
							 bool backward);
static List *order_of_time(PlannerInfo *root, RelOptInfo *rel, const HistorianColumns *columns,
						   bool as_timestamp, bool backward);
static List *order_by(PlannerInfo *root, RelOptInfo *rel, Expr *expression, bool backward);
static void add_ordered_path(PlannerInfo *root, RelOptInfo *rel, const HistorianColumns *columns,
							 ParamPathInfo *param_info, bool as_timestamp, bool backward);
static void add_tag_ordered_path(PlannerInfo *root, RelOptInfo *rel, Oid relid,
								 const HistorianColumns *columns, ParamPathInfo *param_info,
								 bool backward);
static bool reads_all_tags(const CustomPath *path);
static void refuse_ctid(PlannerInfo *root, RelOptInfo *rel, const char *table_name);
static void add_join_paths(PlannerInfo *root, RelOptInfo *rel, const HistorianColumns *columns);
static List *matching_restrictions(PlannerInfo *root, RelOptInfo *rel, List *restrictions,
								   const HistorianColumns *columns, bool *one_tag);
static List *partial_restrictions(RelOptInfo *rel, List *restrictions,
								  const HistorianColumns *columns);
static bool tag_member_matches(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec,
							   EquivalenceMember *em, void *arg);
static Plan *plan_path(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
					   List *clauses, List *custom_plans);
static Node *create_state(CustomScan *plan);
static void begin_scan(CustomScanState *css, EState *estate, int eflags);
static void check_columns_used(HistorianScanState *state, EState *estate);
static bool uses_column(const Bitmapset *used, AttrNumber column);
static TupleTableSlot *exec_scan(CustomScanState *css);
static void end_scan(CustomScanState *css);
static void rescan_scan(CustomScanState *css);
static void explain_scan(CustomScanState *css, List *ancestors, ExplainState *es);
static Size estimate_dsm(CustomScanState *css, ParallelContext *pcxt);
static void initialize_dsm(CustomScanState *css, ParallelContext *pcxt, void *coordinate);
static void reinitialize_dsm(CustomScanState *css, ParallelContext *pcxt, void *coordinate);
static void initialize_worker(CustomScanState *css, shm_toc *toc, void *coordinate);

static const CustomPathMethods path_methods = {
	.CustomName = "HistorianScan",
	.PlanCustomPath = plan_path,
};

static const CustomScanMethods plan_methods = {
	.CustomName = "HistorianScan",
	.CreateCustomScanState = create_state,
};

static const CustomExecMethods exec_methods = {
	.CustomName = "HistorianScan",
	.BeginCustomScan = begin_scan,
	.ExecCustomScan = exec_scan,
	.EndCustomScan = end_scan,
	.ReScanCustomScan = rescan_scan,
	.EstimateDSMCustomScan = estimate_dsm,
	.InitializeDSMCustomScan = initialize_dsm,
	.ReInitializeDSMCustomScan = reinitialize_dsm,
	.InitializeWorkerCustomScan = initialize_worker,
	.ExplainCustomScan = explain_scan,
};

void
scan_node_init(void)
{
	RegisterCustomScanMethods(&plan_methods);
	next_relation_info_hook = get_relation_info_hook;
	get_relation_info_hook = on_get_relation_info;
	next_pathlist_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = on_set_rel_pathlist;
}

/* Planning. */

/*
 * Hides the directory, the only index, from the planner.  Its predicate is the constant false.
 * That follows from conditions that contradict each other, so the planner would use it for those.
 *
 * Makes conditions on to_timestamptz(time) conditions on the time, before the planner hands them to
 * relations and chooses partitions.
 */
static void
on_get_relation_info(PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel)
{
	HistorianColumns columns;
	Relation	table;
	bool		ours;
	bool		may_have_ours;

	if (next_relation_info_hook != NULL)
		next_relation_info_hook(root, relid, inhparent, rel);
	table = table_open(relid, NoLock);
	ours = historian_table_is(table);
	if (ours)
		rel->indexlist = NIL;
	may_have_ours = ours || table->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	if (may_have_ours && rel->reloptkind == RELOPT_BASEREL &&
		columns_find(table, &columns))
		timestamp_condition_replace(root, rel->relid, &columns);
	table_close(table, NoLock);
}

/* Replaces the paths of a historian table by HistorianScan's. */
static void
on_set_rel_pathlist(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	HistorianColumns columns;
	ParamPathInfo *param_info;
	CustomPath *path;
	Relation	table;
	bool		ours;

	if (next_pathlist_hook != NULL)
		next_pathlist_hook(root, rel, rti, rte);
	/* for an inheritance parent (inh) this is called once more, for the parent's own rows */
	if (rte->rtekind != RTE_RELATION || rte->inh || rte->tablesample != NULL ||
		(rte->relkind != RELKIND_RELATION && rte->relkind != RELKIND_MATVIEW) ||
		!IS_SIMPLE_REL(rel) || rel->pathlist == NIL || IS_DUMMY_REL(rel))
		return;

	table = table_open(rte->relid, NoLock);
	ours = historian_table_is(table);
	if (ours)
	{
		refuse_ctid(root, rel, RelationGetRelationName(table));
		columns = columns_of(table);
	}
	table_close(table, NoLock);
	if (!ours || !historian_enable_scan)
		return;

	rel->pathlist = NIL;
	rel->partial_pathlist = NIL;
	param_info = get_baserel_parampathinfo(root, rel, rel->lateral_relids);
	path = make_path(root, rel, &columns, param_info, 0,
					 order_of_time(root, rel, &columns, false, false), false);
	add_path(rel, (Path *) path);
	add_ordered_path(root, rel, &columns, param_info, false, true);
	add_ordered_path(root, rel, &columns, param_info, true, false);
	add_ordered_path(root, rel, &columns, param_info, true, true);
	add_tag_ordered_path(root, rel, rte->relid, &columns, param_info, false);
	add_tag_ordered_path(root, rel, rte->relid, &columns, param_info, true);
	add_join_paths(root, rel, &columns);
	if (rel->consider_parallel && rel->lateral_relids == NULL)
	{
		int			workers = compute_parallel_worker(rel, rel->pages, -1,
													  max_parallel_workers_per_gather);

		path = make_path(root, rel, &columns, NULL, workers, NIL, false);
		if (workers > 0 && reads_all_tags(path))
			add_partial_path(rel, (Path *) path);
	}
}

/* Adds a path in order of time, if the rows have that order and it is of use to the query. */
static void
add_ordered_path(PlannerInfo *root, RelOptInfo *rel, const HistorianColumns *columns,
				 ParamPathInfo *param_info, bool as_timestamp, bool backward)
{
	List	   *order = order_of_time(root, rel, columns, as_timestamp, backward);
	CustomPath *path;

	if (order == NIL)
		return;
	path = make_path(root, rel, columns, param_info, 0, order, backward);
	if (path->path.pathkeys != NIL)
		add_path(rel, (Path *) path);
}

/*
 * Adds a path in order of tag COLLATE "C", and of the time or, backward, the reverse of it; if that
 * is of use to the query.
 */
static void
add_tag_ordered_path(PlannerInfo *root, RelOptInfo *rel, Oid relid,
					 const HistorianColumns *columns, ParamPathInfo *param_info, bool backward)
{
	Oid			type;
	int32		typmod;
	Oid			collation;
	Node	   *tag;
	List	   *order;
	List	   *time_order;
	CustomPath *path;

	get_atttypetypmodcoll(relid, columns->tag, &type, &typmod, &collation);
	tag = (Node *) makeVar(rel->relid, columns->tag, type, typmod, collation, 0);
	tag = applyRelabelType(tag, type, typmod, C_COLLATION_OID, COERCE_IMPLICIT_CAST, -1, false);
	order = order_by(root, rel, (Expr *) tag, false);
	time_order = order_of_time(root, rel, columns, false, backward);
	if (order == NIL || (backward && time_order == NIL))
		return;
	path = make_path(root, rel, columns, param_info, 0, NIL, backward);
	path->path.pathkeys = list_concat(order, time_order);
	add_path(rel, (Path *) path);
}

/*
 * Makes one path.  order is the order of the rows of one tag, as pathkeys; the path has it if it
 * reads no more than one.  Its custom_private is a list of four integers: whether it reads all
 * tags, which parallel workers can then share; whether it goes backward in time; and the range of
 * values that the query uses (first and end).
 */
static CustomPath *
make_path(PlannerInfo *root, RelOptInfo *rel, const HistorianColumns *columns,
		  ParamPathInfo *param_info, int parallel_workers, List *order, bool backward)
{
	CustomPath *path = makeNode(CustomPath);
	List	   *restrictions = list_copy(rel->baserestrictinfo);
	List	   *pushed;
	List	   *reduced;		/* these, and those that the scan uses besides */
	bool		one_tag;
	bool		all_tags = true;
	ListCell   *cell;
	Selectivity read;
	QualCost	qual_cost;
	double		rows;
	double		divisor = 1;
	ValueRange	values;

	if (param_info != NULL)
		restrictions = list_concat(restrictions, param_info->ppi_clauses);
	pushed = matching_restrictions(root, rel, restrictions, columns, &one_tag);
	reduced = list_concat(list_copy(pushed), partial_restrictions(rel, restrictions, columns));
	foreach(cell, pushed)
	{
		ConditionKind kind;

		scan_condition_match(lfirst_node(RestrictInfo, cell)->clause, rel->relid, columns, &kind);
		if (kind == CONDITION_TAG_EQUAL || kind == CONDITION_TAG_ANY)
			all_tags = false;
	}

	path->path.pathtype = T_CustomScan;
	path->path.parent = rel;
	path->path.pathtarget = rel->reltarget;
	path->path.param_info = param_info;
	path->path.parallel_aware = parallel_workers > 0;
	path->path.parallel_safe = rel->consider_parallel;
	path->path.parallel_workers = parallel_workers;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->methods = &path_methods;
	values = value_usage(root, rel, columns);
	path->custom_private = list_make4_int(all_tags, backward, values.first, values.end);
	if (one_tag)
		path->path.pathkeys = order;

	read = clauselist_selectivity(root, reduced, 0, JOIN_INNER, NULL);
	cost_qual_eval(&qual_cost, list_difference_ptr(restrictions, pushed), root);
	rows = clamp_row_est(rel->tuples * read);
	if (parallel_workers > 0)
		divisor = parallel_workers + (parallel_leader_participation ? 0.5 : 0);

	path->path.rows = param_info ? param_info->ppi_rows : rel->rows;
	path->path.rows = clamp_row_est(path->path.rows / divisor);
	path->path.startup_cost = rel->reltarget->cost.startup + qual_cost.startup +
		LOOKUP_PAGES * cpu_operator_cost * 10;
	path->path.total_cost = path->path.startup_cost + rel->pages * read * seq_page_cost +
		rows / divisor * (cpu_tuple_cost * ROW_COST_FACTOR + qual_cost.per_tuple) +
		path->path.rows * rel->reltarget->cost.per_tuple;
	return path;
}

/*
 * Returns the pathkeys of rows in order of time, or in the reverse order.  These rows have the order
 * of to_timestamptz(time), too.  A path has one list of pathkeys, so where the query can use both
 * orders, as_timestamp tells which of them comes first; where not, it makes NIL of them.
 */
static List *
order_of_time(PlannerInfo *root, RelOptInfo *rel, const HistorianColumns *columns,
			  bool as_timestamp, bool backward)
{
	Expr	   *time = (Expr *) makeVar(rel->relid, columns->time, INT8OID, -1, InvalidOid, 0);
	Expr	   *timestamp = time_expression_make(rel->relid, columns);
	List	   *by_time = order_by(root, rel, time, backward);
	List	   *by_timestamp = timestamp ? order_by(root, rel, timestamp, backward) : NIL;

	if (!as_timestamp)
		return list_concat(by_time, by_timestamp);
	return by_time == NIL || by_timestamp == NIL ? NIL : list_concat(by_timestamp, by_time);
}

/* Returns the pathkeys of rows in order of an expression, or NIL if that is of no use. */
static List *
order_by(PlannerInfo *root, RelOptInfo *rel, Expr *expression, bool backward)
{
	TypeCacheEntry *type = lookup_type_cache(exprType((Node *) expression),
											 TYPECACHE_LT_OPR | TYPECACHE_GT_OPR);
	List	   *pathkeys = historian_pathkeys(root, expression,
											  backward ? type->gt_opr : type->lt_opr, rel);

	/*
	 * If the time is equal to a constant, this is no order, and an Append would look in vain for a
	 * column to order by.
	 */
	if (pathkeys != NIL && linitial_node(PathKey, pathkeys)->pk_eclass->ec_has_const)
		return NIL;
	return pathkeys;
}

static bool
reads_all_tags(const CustomPath *path)
{
	return linitial_int(path->custom_private);
}

/*
 * Raises an error if the query uses ctid.  The planner itself uses it too, to name rows for DELETE,
 * UPDATE and row locks; that is allowed.
 */
static void
refuse_ctid(PlannerInfo *root, RelOptInfo *rel, const char *table_name)
{
	Bitmapset  *used = NULL;
	ListCell   *cell;

	foreach(cell, rel->baserestrictinfo)
		pull_varattnos((Node *) lfirst_node(RestrictInfo, cell)->clause, rel->relid, &used);
	if (root->parse->commandType == CMD_SELECT && root->rowMarks == NIL)
		pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &used);
	if (uses_column(used, SelfItemPointerAttributeNumber))
		table_scan_refuse_ctid(table_name);
}

/* Adds paths for nested loops whose outer side supplies the tag. */
static void
add_join_paths(PlannerInfo *root, RelOptInfo *rel, const HistorianColumns *columns)
{
	List	   *clauses = list_copy(rel->joininfo);
	List	   *outers = NIL;
	ListCell   *cell;

	if (rel->has_eclass_joins)
	{
		List	   *implied;

		implied = generate_implied_equalities_for_column(root, rel, tag_member_matches,
														 (void *) columns,
														 rel->lateral_referencers);
		clauses = list_concat(clauses, implied);
	}
	foreach(cell, clauses)
	{
		RestrictInfo *restriction = lfirst_node(RestrictInfo, cell);
		ConditionKind kind;
		Relids		outer;
		ListCell   *seen;
		bool		known = false;

		if (!join_clause_is_movable_to(restriction, rel) ||
			scan_condition_match(restriction->clause, rel->relid, columns, &kind) == NULL ||
			(kind != CONDITION_TAG_EQUAL && kind != CONDITION_TAG_ANY))
			continue;
		outer = bms_union(restriction->clause_relids, rel->lateral_relids);
		outer = bms_del_member(outer, rel->relid);
		if (bms_is_empty(outer))
			continue;
		foreach(seen, outers)
			known |= bms_equal(outer, (Relids) lfirst(seen));
		if (known)
			continue;
		outers = lappend(outers, outer);
		add_path(rel, (Path *) make_path(root, rel, columns,
										 get_baserel_parampathinfo(root, rel, outer), 0,
										 order_of_time(root, rel, columns, false, false), false));
	}
}

/*
 * Returns the restrictions that the scan checks itself.  *one_tag tells whether they leave at most
 * one tag.
 */
static List *
matching_restrictions(PlannerInfo *root, RelOptInfo *rel, List *restrictions,
					  const HistorianColumns *columns, bool *one_tag)
{
	List	   *matching = NIL;
	ListCell   *cell;

	*one_tag = false;
	foreach(cell, restrictions)
	{
		RestrictInfo *restriction = lfirst_node(RestrictInfo, cell);
		ConditionKind kind;

		if (restriction->pseudoconstant ||
			scan_condition_match(restriction->clause, rel->relid, columns, &kind) == NULL)
			continue;
		matching = lappend(matching, restriction);
		if (kind == CONDITION_TAG_EQUAL)
			*one_tag = true;
	}
	return matching;
}

/* Returns the restrictions by which the scan reads less, though it does not check them. */
static List *
partial_restrictions(RelOptInfo *rel, List *restrictions, const HistorianColumns *columns)
{
	List	   *matching = NIL;
	ListCell   *cell;

	foreach(cell, restrictions)
	{
		RestrictInfo *restriction = lfirst_node(RestrictInfo, cell);
		ConditionKind kind;

		if (!restriction->pseudoconstant &&
			scan_condition_match_partly(restriction->clause, rel->relid, columns, &kind))
			matching = lappend(matching, restriction);
	}
	return matching;
}

/* Is a member of an equivalence class the table's tag?  A callback; arg has the columns. */
static bool
tag_member_matches(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec, EquivalenceMember *em,
				   void *arg)
{
	const HistorianColumns *columns = arg;
	const Var  *var = (const Var *) em->em_expr;

	return IsA(var, Var) && var->varno == rel->relid && var->varattno == columns->tag;
}

/*
 * Makes the plan of a path.  custom_exprs of the plan has the conditions that the scan checks
 * itself, and those by which it only reads less.  The executor checks the latter too,
 * so that they are also in the plan's qual.  custom_private has two lists: the kinds of the
 * conditions in custom_exprs, and the custom_private of the path without its first member.
 */
static Plan *
plan_path(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist, List *clauses,
		  List *custom_plans)
{
	CustomScan *plan = makeNode(CustomScan);
	HistorianColumns columns;
	Relation	table = table_open(planner_rt_fetch(rel->relid, root)->relid, NoLock);
	List	   *pushed = NIL;
	List	   *kinds = NIL;
	List	   *rest = NIL;
	ListCell   *cell;

	columns = columns_of(table);
	table_close(table, NoLock);

	foreach(cell, extract_actual_clauses(clauses, false))
	{
		ConditionKind kind;
		Expr	   *clause = scan_condition_match(lfirst(cell), rel->relid, &columns, &kind);

		if (clause != NULL)
		{
			pushed = lappend(pushed, clause);
			kinds = lappend_int(kinds, kind);
		}
		else
		{
			rest = lappend(rest, lfirst(cell));
			if (scan_condition_match_partly(lfirst(cell), rel->relid, &columns, &kind))
			{
				pushed = lappend(pushed, lfirst(cell));
				kinds = lappend_int(kinds, kind);
			}
		}
	}

	plan->scan.plan.targetlist = tlist;
	plan->scan.plan.qual = rest;
	plan->scan.scanrelid = rel->relid;
	plan->flags = path->flags;
	plan->custom_exprs = pushed;
	plan->custom_private = list_make2(kinds, list_copy_tail(path->custom_private, 1));
	plan->methods = &plan_methods;
	return (Plan *) plan;
}

/* Execution. */

static Node *
create_state(CustomScan *plan)
{
	HistorianScanState *state =
		(HistorianScanState *) newNode(sizeof(HistorianScanState), T_CustomScanState);

	state->css.methods = &exec_methods;
	return (Node *) state;
}

static void
begin_scan(CustomScanState *css, EState *estate, int eflags)
{
	HistorianScanState *state = (HistorianScanState *) css;
	CustomScan *plan = (CustomScan *) css->ss.ps.plan;
	List	   *kinds = (List *) linitial(plan->custom_private);	/* lists of integers are no
																	 * List nodes */
	List	   *how = (List *) lsecond(plan->custom_private);
	ListCell   *clause;
	ListCell   *kind;

	state->conditions = palloc0(Max(list_length(plan->custom_exprs), 1) * sizeof(ScanCondition));
	forboth(clause, plan->custom_exprs, kind, kinds)
		state->conditions[state->nconditions++] =
			scan_condition_init(lfirst(clause), lfirst_int(kind), &css->ss.ps);
	state->recheck = ExecInitQual(plan->custom_exprs, &css->ss.ps);
	state->backward = linitial_int(how);
	state->wanted = (ValueRange) {.first = lsecond_int(how), .end = lthird_int(how)};
	check_columns_used(state, estate);
	state->filter_context = AllocSetContextCreate(estate->es_query_cxt, "historian filter",
												  ALLOCSET_SMALL_SIZES);
}

/*
 * Finds out whether the plan uses the values and the ctid, which DELETE and UPDATE need.  This
 * cannot be done earlier, because the planner sets the target list last.  Raises an error if the
 * query is to lock rows.
 */
static void
check_columns_used(HistorianScanState *state, EState *estate)
{
	Scan	   *plan = (Scan *) state->css.ss.ps.plan;
	Relation	rel = state->css.ss.ss_currentRelation;
	HistorianColumns columns = columns_of(rel);
	Bitmapset  *in_target = NULL;
	Bitmapset  *in_qual = NULL;
	ExecRowMark *rowmark = ExecFindRowMark(estate, plan->scanrelid, true);

	if (rowmark != NULL && RowMarkRequiresRowShareLock(rowmark->markType))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("rows cannot be locked in historian tables"),
				errdetail("Table \"%s\" is a historian table.", RelationGetRelationName(rel)),
				errhint("Lock the table with LOCK TABLE."));

	pull_varattnos((Node *) plan->plan.targetlist, plan->scanrelid, &in_target);
	pull_varattnos((Node *) plan->plan.qual, plan->scanrelid, &in_qual);
	state->give_places = uses_column(in_target, SelfItemPointerAttributeNumber);
	if (!uses_column(in_target, 0) && !uses_column(in_qual, 0) &&
		!uses_column(in_target, columns.values) && !uses_column(in_qual, columns.values))
		state->wanted = values_none;
}

/* Is the column (0: the whole row) in a set that pull_varattnos() has made? */
static bool
uses_column(const Bitmapset *used, AttrNumber column)
{
	return bms_is_member(column - FirstLowInvalidHeapAttributeNumber, used);
}

/* Returns the next row, for ExecScan().  The first call opens the table, and starts the scan. */
static TupleTableSlot *
next_row(ScanState *ss)
{
	HistorianScanState *state = (HistorianScanState *) ss;

	if (state->rows == NULL)
	{
		state->rows = row_scan_begin(ss->ss_currentRelation, ss->ps.state->es_snapshot,
									 state->wanted, state->shared);
		if (state->give_places)
			row_scan_give_places(state->rows);
	}
	if (!state->filter_valid)
	{
		MemoryContext caller;
		RowScanFilter filter;

		MemoryContextReset(state->filter_context);
		caller = MemoryContextSwitchTo(state->filter_context);
		filter = scan_condition_evaluate_all(state->conditions, state->nconditions,
											 ss->ps.ps_ExprContext);
		MemoryContextSwitchTo(caller);
		filter.backward = state->backward;
		row_scan_start(state->rows, &filter);
		state->filter_valid = true;
	}
	row_scan_next(state->rows, ss->ss_ScanTupleSlot);
	return ss->ss_ScanTupleSlot;
}

/*
 * Checks the conditions for a row that this scan has returned before.  EvalPlanQual joins it with
 * the new version of another table's row, which may differ in what the conditions compare with.
 */
static bool
recheck(ScanState *ss, TupleTableSlot *slot)
{
	HistorianScanState *state = (HistorianScanState *) ss;
	ExprContext *econtext = ss->ps.ps_ExprContext;

	econtext->ecxt_scantuple = slot;
	return ExecQualAndReset(state->recheck, econtext);
}

static TupleTableSlot *
exec_scan(CustomScanState *css)
{
	return ExecScan(&css->ss, next_row, recheck);
}

static void
end_scan(CustomScanState *css)
{
	HistorianScanState *state = (HistorianScanState *) css;

	if (state->rows != NULL)
		row_scan_end(state->rows);
	state->rows = NULL;
}

static void
rescan_scan(CustomScanState *css)
{
	HistorianScanState *state = (HistorianScanState *) css;

	state->filter_valid = false;
	ExecScanReScan(&css->ss);
}

/* Returns the subscripts of the values that are decoded, for EXPLAIN. */
static const char *
wanted_text(ValueRange wanted)
{
	if (wanted.first == values_all.first && wanted.end == values_all.end)
		return "all";
	if (wanted.end == wanted.first + 1)
		return psprintf("%u", wanted.end);
	return psprintf("%u to %u", wanted.first + 1, wanted.end);
}

static void
explain_scan(CustomScanState *css, List *ancestors, ExplainState *es)
{
	HistorianScanState *state = (HistorianScanState *) css;
	CustomScan *plan = (CustomScan *) css->ss.ps.plan;

	if (plan->custom_exprs != NIL)
	{
		List	   *context = set_deparse_context_plan(es->deparse_cxt, &plan->scan.plan, ancestors);
		bool		prefix = list_length(es->rtable) > 1 || es->verbose;

		ExplainPropertyText("Historian Cond",
							deparse_expression((Node *) make_ands_explicit(plan->custom_exprs),
											   context, prefix, false),
							es);
	}
	if (state->wanted.end > state->wanted.first)
		ExplainPropertyText("Values Decoded", wanted_text(state->wanted), es);
	if (state->backward)
		ExplainPropertyText("Scan Direction", "Backward", es);
	if (es->analyze && state->rows != NULL)
	{
		RowScanCounts counts = row_scan_counts(state->rows);

		ExplainPropertyUInteger("Tags Read", NULL, counts.tags, es);
		ExplainPropertyUInteger("Segments Decoded", NULL, counts.segments, es);
	}
}

static Size
estimate_dsm(CustomScanState *css, ParallelContext *pcxt)
{
	return sizeof(RowScanShared);
}

static void
initialize_dsm(CustomScanState *css, ParallelContext *pcxt, void *coordinate)
{
	HistorianScanState *state = (HistorianScanState *) css;

	row_scan_shared_init(coordinate);
	state->shared = coordinate;
}

static void
reinitialize_dsm(CustomScanState *css, ParallelContext *pcxt, void *coordinate)
{
	row_scan_shared_init(coordinate);
}

static void
initialize_worker(CustomScanState *css, shm_toc *toc, void *coordinate)
{
	((HistorianScanState *) css)->shared = coordinate;
}
