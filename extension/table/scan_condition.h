/*
 * scan_condition.h
 *	  The conditions on tag and time that a scan can do by itself.
 */
#ifndef HISTORIAN_SCAN_CONDITION_H
#define HISTORIAN_SCAN_CONDITION_H

#include "postgres.h"

#include "nodes/execnodes.h"

#include "columns.h"
#include "read/row_scan.h"

/* What a condition bounds. */
typedef enum ConditionKind
{
	CONDITION_TAG_EQUAL,		/* tag = expression */
	CONDITION_TAG_ANY,			/* tag = ANY (array expression) */
	CONDITION_TIME_BELOW,		/* time < expression, and so on */
	CONDITION_TIME_AT_MOST,
	CONDITION_TIME_EQUAL,
	CONDITION_TIME_AT_LEAST,
	CONDITION_TIME_ABOVE,
} ConditionKind;

/*
 * Recognizes a condition on tag or time of the relation with range table index varno, whose other
 * side does not depend on the relation's row.  Returns it with the column on the left, or NULL.
 * A recognized condition is done exactly: it need not be checked again.
 */
extern Expr *scan_condition_match(Expr *clause, Index varno, const HistorianColumns *columns,
								  ConditionKind *kind);

/* A condition prepared for execution. */
typedef struct ScanCondition
{
	ConditionKind kind;
	Oid			type;			/* of the value: int2, int4, int8, text or text[] */
	ExprState  *value;
} ScanCondition;

extern ScanCondition scan_condition_init(Expr *clause, ConditionKind kind, PlanState *parent);

/* The same in two steps: the side that does not depend on the row, and that prepared. */
extern Expr *scan_condition_value(Expr *clause);
extern ScanCondition scan_condition_init_value(Expr *value, ConditionKind kind,
											   PlanState *parent);

/*
 * Evaluates the conditions into a filter, whose memory is of the current context.  A NULL lets
 * nothing pass.
 */
extern RowScanFilter scan_conditions_evaluate(const ScanCondition *conditions, int nconditions,
											  ExprContext *econtext);

#endif							/* HISTORIAN_SCAN_CONDITION_H */
