/*
 * timestamp_condition.c
 *	  Conditions on historian.to_timestamptz(time), made conditions on the time.
 *
 * A scan could check both (scan_condition.h).  But only of conditions on the column itself can the
 * planner tell how many rows they leave and which partitions.  So to_timestamptz(time) >= x becomes
 * time >= first_ns(x), and likewise with the other operators; a constant bound is computed at once.
 *
 * Conditions that compare with another table's column stay as they are, so that a join can hash or
 * sort by them.
 */
#include "postgres.h"

#include "table/timestamp_condition.h"

#include "access/stratnum.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "nanoseconds.h"
#include "table/scan_condition.h"
#include "table/time_expression.h"

typedef struct Replacement
{
	Index		varno;
	const HistorianColumns *columns;
} Replacement;

/* A bound of the time that a bound of its timestamptz implies. */
typedef struct Bound
{
	StrategyNumber strategy;	/* of the time's comparison with the bound, which is inclusive */
	const char *function;		/* computes it in SQL */
	bool		(*find) (TimestampTz timestamp, int64 *time);
} Bound;

static const Bound at_least = {
	BTGreaterEqualStrategyNumber, "first_ns", nanoseconds_first_at_least
};
static const Bound after = {
	BTGreaterEqualStrategyNumber, "first_ns_after", nanoseconds_first_after
};
static const Bound at_most = {
	BTLessEqualStrategyNumber, "last_ns", nanoseconds_last_at_most
};
static const Bound before = {
	BTLessEqualStrategyNumber, "last_ns_before", nanoseconds_last_before
};

static void replace_in(const Replacement *replacement, Node *jointree);
static List *replace_conditions(const Replacement *replacement, List *conditions);
static List *replace_condition(const Replacement *replacement, Expr *condition);
static List *bounds_of(ConditionKind kind);
static Expr *bounded_time(const Bound *bound, Expr *time, Expr *value);

void
timestamp_condition_replace(PlannerInfo *root, Index varno, const HistorianColumns *columns)
{
	Replacement replacement = {.varno = varno, .columns = columns};

	/* CLUSTER and CREATE INDEX plan for a query that is empty */
	if (root->parse->jointree != NULL)
		replace_in(&replacement, (Node *) root->parse->jointree);
}

/* Replaces the conditions in a tree of joins. */
static void
replace_in(const Replacement *replacement, Node *jointree)
{
	if (IsA(jointree, FromExpr))
	{
		FromExpr   *from = (FromExpr *) jointree;
		ListCell   *cell;

		foreach(cell, from->fromlist)
			replace_in(replacement, lfirst(cell));
		from->quals = (Node *) replace_conditions(replacement, (List *) from->quals);
	}
	else if (IsA(jointree, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) jointree;

		replace_in(replacement, join->larg);
		replace_in(replacement, join->rarg);
		join->quals = (Node *) replace_conditions(replacement, (List *) join->quals);
	}
}

/* Returns the conditions, all of which a row has to meet, with replacements. */
static List *
replace_conditions(const Replacement *replacement, List *conditions)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, conditions)
	{
		List	   *replaced = replace_condition(replacement, lfirst(cell));

		if (replaced != NIL)
			result = list_concat(result, replaced);
		else
			result = lappend(result, lfirst(cell));
	}
	return result;
}

/* Returns what replaces a condition, or NIL if it stays. */
static List *
replace_condition(const Replacement *replacement, Expr *condition)
{
	ConditionKind kind;
	List	   *result = NIL;
	Expr	   *clause = scan_condition_match(condition, replacement->varno, replacement->columns,
											  &kind);
	Expr	   *value;
	Var		   *time;
	ListCell   *cell;

	if (clause == NULL)
		return NIL;
	value = scan_condition_value(clause);
	if (!nanoseconds_is_comparable(exprType((Node *) value)) ||
		contain_var_clause((Node *) value) || contain_subplans((Node *) value))
		return NIL;

	time = time_expression_match(linitial(((OpExpr *) clause)->args), replacement->varno,
								 replacement->columns);
	foreach(cell, bounds_of(kind))
	{
		Expr	   *bounded = bounded_time(lfirst(cell), (Expr *) time, value);

		if (bounded == NULL)
			return NIL;
		result = lappend(result, bounded);
	}
	return result;
}

static List *
bounds_of(ConditionKind kind)
{
	switch (kind)
	{
		case CONDITION_TIME_BELOW:
			return list_make1((void *) &before);
		case CONDITION_TIME_AT_MOST:
			return list_make1((void *) &at_most);
		case CONDITION_TIME_EQUAL:
			return list_make2((void *) &at_least, (void *) &at_most);
		case CONDITION_TIME_AT_LEAST:
			return list_make1((void *) &at_least);
		case CONDITION_TIME_ABOVE:
			return list_make1((void *) &after);
		default:
			elog(ERROR, "unrecognized condition on time: %d", (int) kind);
	}
}

/*
 * Returns the comparison of the time with a bound.  Returns NULL if the installed version of the
 * extension has no function for it.
 */
static Expr *
bounded_time(const Bound *bound, Expr *time, Expr *value)
{
	Oid			operator = get_opfamily_member(INTEGER_BTREE_FAM_OID, INT8OID, INT8OID,
											   bound->strategy);
	Expr	   *limit;
	OpExpr	   *comparison;

	if (IsA(value, Const) && exprType((Node *) value) == TIMESTAMPTZOID &&
		!((Const *) value)->constisnull)
	{
		int64		ns;

		if (!bound->find(DatumGetTimestampTz(((Const *) value)->constvalue), &ns))
			return (Expr *) makeBoolConst(false, false);
		limit = (Expr *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(ns), false,
								   FLOAT8PASSBYVAL);
	}
	else
	{
		Oid			function = time_expression_function(bound->function, ANYOID);

		if (!OidIsValid(function))
			return NULL;
		limit = (Expr *) makeFuncExpr(function, INT8OID, list_make1(copyObject(value)), InvalidOid,
									  InvalidOid, COERCE_EXPLICIT_CALL);
	}
	comparison = (OpExpr *) make_opclause(operator, BOOLOID, false, copyObject(time), limit,
										  InvalidOid, InvalidOid);
	set_opfuncid(comparison);
	return (Expr *) comparison;
}
