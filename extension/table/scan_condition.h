/*
 * scan_condition.h
 *	  The conditions on tag and time that a scan can check by itself.
 */
#ifndef HISTORIAN_SCAN_CONDITION_H
#define HISTORIAN_SCAN_CONDITION_H

#include "postgres.h"

#include "nodes/execnodes.h"

#include "columns.h"
#include "read/row_scan.h"

/* The kinds of conditions. */
typedef enum ConditionKind
{
	CONDITION_TAG_EQUAL,		/* tag = expression */
	CONDITION_TAG_ANY,			/* tag = ANY (array expression) */
	CONDITION_TAG_LIKE,			/* tag LIKE expression */
	CONDITION_TAG_PREFIX,		/* starts_with(tag, expression), tag ^@ expression */
	CONDITION_ROW_AFTER,		/* (tag COLLATE "C", time) > (expression, expression) */
	CONDITION_ROW_FROM,			/* the same with >= */
	CONDITION_TIME_BELOW,		/* time or to_timestamptz(time), < expression, and so on */
	CONDITION_TIME_AT_MOST,
	CONDITION_TIME_EQUAL,
	CONDITION_TIME_AT_LEAST,
	CONDITION_TIME_ABOVE,
} ConditionKind;

/*
 * Recognizes a condition that compares the tag, the time or to_timestamptz(time) of the relation
 * with range table index varno with an expression that does not depend on the relation's row.  Returns the condition with
 * the column on the left, or NULL.  The scan checks a recognized condition exactly, so that it
 * need not be checked again.
 */
extern Expr *scan_condition_match(Expr *clause, Index varno, const HistorianColumns *columns,
								  ConditionKind *kind);

/*
 * Recognizes a condition by which the scan reads less, although it does not check the condition
 * itself.  LIKE, ^@ and starts_with() restrict the tag by its first bytes; of constants, those that
 * leave all tags are not recognized.  A comparison of rows says after which row to begin.
 */
extern bool scan_condition_match_partly(Expr *clause, Index varno, const HistorianColumns *columns,
										ConditionKind *kind);

/* A condition prepared for execution. */
typedef struct ScanCondition
{
	ConditionKind kind;
	Oid			type;			/* of the value: text or text[], an integer's, or one that
								 * nanoseconds_is_comparable(), for to_timestamptz(time) */
	ExprState  *value;
	ExprState  *row_time;		/* of CONDITION_ROW_..., whose value is the tag */
	Oid			row_time_type;
} ScanCondition;

extern ScanCondition scan_condition_init(Expr *clause, ConditionKind kind, PlanState *parent);

/* The same in two steps: returns the expression that a condition compares with, and prepares it. */
extern Expr *scan_condition_value(Expr *clause);
extern ScanCondition scan_condition_init_value(Expr *value, ConditionKind kind,
											   PlanState *parent);

/*
 * Evaluates the conditions, and returns the filter for rows that meet all of them, allocated in the
 * current context.  If one of the values is NULL, no row does.
 */
extern RowScanFilter scan_condition_evaluate_all(const ScanCondition *conditions, int nconditions,
												 ExprContext *econtext);

#endif							/* HISTORIAN_SCAN_CONDITION_H */
