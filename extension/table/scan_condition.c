/*
 * scan_condition.c
 *	  The conditions on tag and time that a scan can check by itself.
 *
 * A scan compares tags by their bytes, so a condition on the tag must have a deterministic
 * collation.  A time may be compared with a value of any integer type, and to_timestamptz(time) with
 * a timestamptz, timestamp or date; the operators are recognized by their strategy numbers in the
 * btree families of integers and of these types.  A condition on to_timestamptz(time) is a range of
 * time, to the nanosecond.
 */
#include "postgres.h"

#include "table/scan_condition.h"

#include "access/stratnum.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "nanoseconds.h"
#include "table/time_expression.h"
#include "tag.h"

static bool is_column(const Node *node, Index varno, AttrNumber column);
static bool is_outside(Node *node, Index varno);
static bool match_row(const RowCompareExpr * comparison, Index varno,
					  const HistorianColumns *columns, ConditionKind *kind);
static bool match_operator(const OpExpr *clause, Index varno, const HistorianColumns *columns,
						   ConditionKind *kind);
static int64 integer_value(Datum value, Oid type);
static bool range_of_integer(ConditionKind kind, int64 value, int64 *from, int64 *until);
static bool range_of_timestamp(ConditionKind kind, TimestampTz value, int64 *from, int64 *until);
static void restrict_time(RowScanFilter *filter, const ScanCondition *condition, Datum value);
static void restrict_tags(RowScanFilter *filter, text **tags, uint32 ntags);
static text *fixed_prefix(ConditionKind kind, const text *value);
static void restrict_prefix(RowScanFilter *filter, text *prefix);
static void restrict_first(RowScanFilter *filter, const ScanCondition *condition, text *tag,
						   ExprContext *econtext);
static void keep_tags(RowScanFilter *filter);

Expr *
scan_condition_match(Expr *clause, Index varno, const HistorianColumns *columns,
					 ConditionKind *kind)
{
	if (IsA(clause, OpExpr) && list_length(((OpExpr *) clause)->args) == 2)
	{
		OpExpr	   *operation = (OpExpr *) clause;

		if (match_operator(operation, varno, columns, kind))
			return clause;
		if (OidIsValid(get_commutator(operation->opno)))
		{
			OpExpr	   *commuted = copyObject(operation);

			CommuteOpExpr(commuted);
			if (match_operator(commuted, varno, columns, kind))
				return (Expr *) commuted;
		}
	}
	else if (IsA(clause, ScalarArrayOpExpr))
	{
		ScalarArrayOpExpr *operation = (ScalarArrayOpExpr *) clause;

		*kind = CONDITION_TAG_ANY;
		if (operation->useOr && operation->opno == TextEqualOperator &&
			get_collation_isdeterministic(operation->inputcollid) &&
			is_column(linitial(operation->args), varno, columns->tag) &&
			exprType(lsecond(operation->args)) == TEXTARRAYOID &&
			is_outside(lsecond(operation->args), varno))
			return clause;
	}
	return NULL;
}

bool
scan_condition_match_partly(Expr *clause, Index varno, const HistorianColumns *columns,
							ConditionKind *kind)
{
	List	   *args;
	Oid			collation;
	Node	   *value;

	if (IsA(clause, OpExpr) && (((OpExpr *) clause)->opno == OID_TEXT_LIKE_OP ||
								((OpExpr *) clause)->opno == TextPrefixOperator))
	{
		args = ((OpExpr *) clause)->args;
		collation = ((OpExpr *) clause)->inputcollid;
		*kind = ((OpExpr *) clause)->opno == OID_TEXT_LIKE_OP ? CONDITION_TAG_LIKE
			: CONDITION_TAG_PREFIX;
	}
	else if (IsA(clause, FuncExpr) && ((FuncExpr *) clause)->funcid == F_STARTS_WITH)
	{
		args = ((FuncExpr *) clause)->args;
		collation = ((FuncExpr *) clause)->inputcollid;
		*kind = CONDITION_TAG_PREFIX;
	}
	else
		return IsA(clause, RowCompareExpr) &&
			match_row((RowCompareExpr *) clause, varno, columns, kind);
	value = lsecond(args);
	if (!is_column(linitial(args), varno, columns->tag) || exprType(value) != TEXTOID ||
		!is_outside(value, varno) || !OidIsValid(collation) ||
		!get_collation_isdeterministic(collation))
		return false;
	return !IsA(value, Const) || ((Const *) value)->constisnull ||
		VARSIZE_ANY_EXHDR(fixed_prefix(*kind, DatumGetTextPP(((Const *) value)->constvalue))) > 0;
}

ScanCondition
scan_condition_init(Expr *clause, ConditionKind kind, PlanState *parent)
{
	ScanCondition condition = scan_condition_init_value(scan_condition_value(clause), kind, parent);

	if (IsA(clause, RowCompareExpr))
	{
		Expr	   *time = lsecond(((RowCompareExpr *) clause)->rargs);

		condition.row_time = ExecInitExpr(time, parent);
		condition.row_time_type = exprType((Node *) time);
	}
	return condition;
}

Expr *
scan_condition_value(Expr *clause)
{
	if (IsA(clause, OpExpr))
		return lsecond(((OpExpr *) clause)->args);
	if (IsA(clause, FuncExpr))
		return lsecond(((FuncExpr *) clause)->args);
	if (IsA(clause, RowCompareExpr))
		return linitial(((RowCompareExpr *) clause)->rargs);
	return lsecond(castNode(ScalarArrayOpExpr, clause)->args);
}

ScanCondition
scan_condition_init_value(Expr *value, ConditionKind kind, PlanState *parent)
{
	return (ScanCondition) {
		.kind = kind,
		.type = exprType((Node *) value),
		.value = ExecInitExpr(value, parent),
	};
}

RowScanFilter
scan_condition_evaluate_all(const ScanCondition *conditions, int nconditions, ExprContext *econtext)
{
	RowScanFilter filter = row_scan_everything;

	for (int i = 0; i < nconditions; i++)
	{
		const ScanCondition *condition = &conditions[i];
		bool		isnull;
		Datum		value = ExecEvalExprSwitchContext(condition->value, econtext, &isnull);

		if (isnull)
		{
			filter.all_tags = false;
			filter.ntags = 0;
			return filter;
		}
		if (condition->kind == CONDITION_TAG_EQUAL)
		{
			text	  **tag = palloc(sizeof(text *));

			*tag = DatumGetTextPCopy(value);
			restrict_tags(&filter, tag, 1);
		}
		else if (condition->kind == CONDITION_TAG_ANY)
		{
			uint32		ntags;
			text	  **tags = tag_sort_distinct(DatumGetArrayTypePCopy(value), &ntags);

			restrict_tags(&filter, tags, ntags);
		}
		else if (condition->kind == CONDITION_TAG_LIKE || condition->kind == CONDITION_TAG_PREFIX)
			restrict_prefix(&filter, fixed_prefix(condition->kind, DatumGetTextPP(value)));
		else if (condition->kind == CONDITION_ROW_AFTER || condition->kind == CONDITION_ROW_FROM)
			restrict_first(&filter, condition, DatumGetTextPCopy(value), econtext);
		else
			restrict_time(&filter, condition, value);
	}
	if (!filter.all_tags)
		keep_tags(&filter);
	return filter;
}

static bool
is_column(const Node *node, Index varno, AttrNumber column)
{
	const Var  *var = (const Var *) node;

	return IsA(node, Var) && var->varno == varno && var->varattno == column &&
		var->varlevelsup == 0;
}

/* Can the expression be evaluated before the relation is read? */
static bool
is_outside(Node *node, Index varno)
{
	return !bms_is_member(varno, pull_varnos(NULL, node)) && !contain_volatile_functions(node);
}

/*
 * Is this (tag COLLATE "C", time) > (expression, expression), or with >=?  The scan reads rows in
 * this order, whatever collation the column has.
 */
static bool
match_row(const RowCompareExpr * comparison, Index varno, const HistorianColumns *columns,
		  ConditionKind *kind)
{
	int			strategy = historian_row_strategy(comparison);
	Node	   *tag = linitial(comparison->largs);
	Node	   *value = linitial(comparison->rargs);
	Node	   *time;

	if (list_length(comparison->largs) != 2 ||
		linitial_oid(comparison->opfamilies) != TEXT_BTREE_FAM_OID ||
		lsecond_oid(comparison->opfamilies) != INTEGER_BTREE_FAM_OID ||
		linitial_oid(comparison->inputcollids) != C_COLLATION_OID)
		return false;
	if (IsA(tag, RelabelType))
		tag = (Node *) ((RelabelType *) tag)->arg;
	time = lsecond(comparison->rargs);
	*kind = strategy == BTGreaterStrategyNumber ? CONDITION_ROW_AFTER : CONDITION_ROW_FROM;
	return (strategy == BTGreaterStrategyNumber || strategy == BTGreaterEqualStrategyNumber) &&
		is_column(tag, varno, columns->tag) &&
		is_column(lsecond(comparison->largs), varno, columns->time) &&
		exprType(value) == TEXTOID && is_outside(value, varno) && is_outside(time, varno);
}

/* Is this a condition of a known kind, with the column on the left? */
static bool
match_operator(const OpExpr *clause, Index varno, const HistorianColumns *columns,
			   ConditionKind *kind)
{
	Node	   *column = linitial(clause->args);
	Node	   *value = lsecond(clause->args);
	Oid			family;

	if (!is_outside(value, varno))
		return false;

	if (is_column(column, varno, columns->tag))
	{
		*kind = CONDITION_TAG_EQUAL;
		return clause->opno == TextEqualOperator && exprType(value) == TEXTOID &&
			get_collation_isdeterministic(clause->inputcollid);
	}
	if (is_column(column, varno, columns->time))
		family = INTEGER_BTREE_FAM_OID;
	else if (nanoseconds_is_comparable(exprType(value)) &&
			 time_expression_match(column, varno, columns) != NULL)
		family = lookup_type_cache(TIMESTAMPTZOID, TYPECACHE_BTREE_OPFAMILY)->btree_opf;
	else
		return false;

	switch (get_op_opfamily_strategy(clause->opno, family))
	{
		case BTLessStrategyNumber:
			*kind = CONDITION_TIME_BELOW;
			return true;
		case BTLessEqualStrategyNumber:
			*kind = CONDITION_TIME_AT_MOST;
			return true;
		case BTEqualStrategyNumber:
			*kind = CONDITION_TIME_EQUAL;
			return true;
		case BTGreaterEqualStrategyNumber:
			*kind = CONDITION_TIME_AT_LEAST;
			return true;
		case BTGreaterStrategyNumber:
			*kind = CONDITION_TIME_ABOVE;
			return true;
		default:
			return false;
	}
}

static int64
integer_value(Datum value, Oid type)
{
	switch (type)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		default:
			return DatumGetInt64(value);
	}
}

/* Narrows the filter's range of time.  A condition that no time meets leaves no tags. */
static void
restrict_time(RowScanFilter *filter, const ScanCondition *condition, Datum value)
{
	int64		from = PG_INT64_MIN;
	int64		until = PG_INT64_MAX;
	bool		possible;

	if (nanoseconds_is_comparable(condition->type))
		possible = range_of_timestamp(condition->kind,
									  nanoseconds_comparable(value, condition->type), &from,
									  &until);
	else
		possible = range_of_integer(condition->kind, integer_value(value, condition->type), &from,
									&until);
	if (!possible)
	{
		filter->all_tags = false;
		filter->ntags = 0;
	}
	filter->from = Max(filter->from, from);
	filter->until = Min(filter->until, until);
}

/*
 * Sets the bounds that a comparison of the time with an integer implies.  Returns false if no time
 * meets it.
 */
static bool
range_of_integer(ConditionKind kind, int64 value, int64 *from, int64 *until)
{
	switch (kind)
	{
		case CONDITION_TIME_BELOW:
			return !pg_sub_s64_overflow(value, 1, until);
		case CONDITION_TIME_AT_MOST:
			*until = value;
			return true;
		case CONDITION_TIME_EQUAL:
			*from = *until = value;
			return true;
		case CONDITION_TIME_AT_LEAST:
			*from = value;
			return true;
		case CONDITION_TIME_ABOVE:
			return !pg_add_s64_overflow(value, 1, from);
		default:
			elog(ERROR, "unrecognized condition on time: %d", (int) kind);
	}
}

/* The same for a comparison of to_timestamptz(time). */
static bool
range_of_timestamp(ConditionKind kind, TimestampTz value, int64 *from, int64 *until)
{
	switch (kind)
	{
		case CONDITION_TIME_BELOW:
			return nanoseconds_last_before(value, until);
		case CONDITION_TIME_AT_MOST:
			return nanoseconds_last_at_most(value, until);
		case CONDITION_TIME_EQUAL:
			return nanoseconds_first_at_least(value, from) &&
				nanoseconds_last_at_most(value, until);
		case CONDITION_TIME_AT_LEAST:
			return nanoseconds_first_at_least(value, from);
		case CONDITION_TIME_ABOVE:
			return nanoseconds_first_after(value, from);
		default:
			elog(ERROR, "unrecognized condition on time: %d", (int) kind);
	}
}

/* Keeps those of the filter's tags that are in the list too.  Both are in byte order. */
static void
restrict_tags(RowScanFilter *filter, text **tags, uint32 ntags)
{
	uint32		kept = 0;
	uint32		i = 0;
	uint32		j = 0;

	if (filter->all_tags)
	{
		filter->all_tags = false;
		filter->tags = tags;
		filter->ntags = ntags;
		return;
	}
	while (i < filter->ntags && j < ntags)
	{
		int			order = tag_compare(filter->tags[i], tags[j]);

		if (order == 0)
			filter->tags[kept++] = filter->tags[i];
		if (order <= 0)
			i++;
		if (order >= 0)
			j++;
	}
	filter->ntags = kept;
}

/*
 * Returns the bytes that all tags begin with which meet a condition.  In a pattern these end before
 * the first % or _ that has no backslash before it.  No byte of a character of several bytes is one
 * of these, in any encoding that a database may have.
 */
static text *
fixed_prefix(ConditionKind kind, const text *value)
{
	const char *from = VARDATA_ANY(value);
	const char *end = from + VARSIZE_ANY_EXHDR(value);
	text	   *prefix = palloc(VARHDRSZ + (end - from));
	char	   *to = VARDATA(prefix);

	for (; from < end; from++)
	{
		if (kind == CONDITION_TAG_LIKE && (*from == '%' || *from == '_'))
			break;
		if (kind == CONDITION_TAG_LIKE && *from == '\\' && ++from == end)
			break;				/* LIKE itself refuses this pattern */
		*to++ = *from;
	}
	SET_VARSIZE(prefix, to - (char *) prefix);
	return prefix;
}

/* Leaves the filter only tags that begin with the prefix, too. */
static void
restrict_prefix(RowScanFilter *filter, text *prefix)
{
	if (VARSIZE_ANY_EXHDR(prefix) == 0)
		return;
	if (VARSIZE_ANY_EXHDR(prefix) > SEGMENT_MAX_TAG_BYTES ||
		(filter->prefix != NULL && !tag_has_prefix(prefix, filter->prefix) &&
		 !tag_has_prefix(filter->prefix, prefix)))
	{
		filter->all_tags = false;
		filter->ntags = 0;
	}
	else if (filter->prefix == NULL || tag_has_prefix(prefix, filter->prefix))
		filter->prefix = prefix;
}

/* Leaves out the rows before the one that a comparison of rows names. */
static void
restrict_first(RowScanFilter *filter, const ScanCondition *condition, text *tag,
			   ExprContext *econtext)
{
	bool		isnull;
	Datum		value = ExecEvalExprSwitchContext(condition->row_time, econtext, &isnull);
	int64		time = PG_INT64_MIN;
	int			order;

	if (!isnull)
		time = integer_value(value, condition->row_time_type);
	if (!isnull && condition->kind == CONDITION_ROW_AFTER && time < PG_INT64_MAX)
		time++;
	if (VARSIZE_ANY_EXHDR(tag) == 0 || VARSIZE_ANY_EXHDR(tag) > SEGMENT_MAX_TAG_BYTES)
		return;					/* this is no tag; the condition itself is checked */
	order = filter->first_tag == NULL ? 1 : tag_compare(tag, filter->first_tag);
	if (order > 0 || (order == 0 && time > filter->first_time))
	{
		filter->first_tag = tag;
		filter->first_time = time;
	}
}

/* Leaves out the filter's tags that do not have its prefix, or are before its first tag. */
static void
keep_tags(RowScanFilter *filter)
{
	uint32		kept = 0;

	for (uint32 i = 0; i < filter->ntags; i++)
	{
		text	   *tag = filter->tags[i];

		if ((filter->prefix == NULL || tag_has_prefix(tag, filter->prefix)) &&
			(filter->first_tag == NULL || tag_compare(tag, filter->first_tag) >= 0))
			filter->tags[kept++] = tag;
	}
	filter->ntags = kept;
}
