/*
 * time_expression.c
 *	  The expression historian.to_timestamptz(time) in queries.
 *
 * The expression never decreases while the time increases, so it can be compared and ordered by
 * means of the time.
 */
#include "postgres.h"

#include "table/time_expression.h"

#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "compat.h"

Oid
time_expression_function(const char *name, Oid argument)
{
	Oid			schema = get_namespace_oid("historian", true);

	if (!OidIsValid(schema))
		return InvalidOid;
	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
						   PointerGetDatum(buildoidvector(&argument, 1)),
						   ObjectIdGetDatum(schema));
}

Expr *
time_expression_make(Index varno, const HistorianColumns *columns)
{
	Oid			function = time_expression_function("to_timestamptz", INT8OID);
	Var		   *time = makeVar(varno, columns->time, INT8OID, -1, InvalidOid, 0);

	if (!OidIsValid(function))
		return NULL;
	return (Expr *) makeFuncExpr(function, TIMESTAMPTZOID, list_make1(time), InvalidOid,
								 InvalidOid, COERCE_EXPLICIT_CALL);
}

/* Subqueries that are pulled up below GROUPING SETS bring placeholders. */
Var *
time_expression_match(const Node *node, Index varno, const HistorianColumns *columns)
{
	const FuncExpr *call = (const FuncExpr *) historian_without_placeholder(node);
	Var		   *time;

	if (!IsA(call, FuncExpr) || call->funcresulttype != TIMESTAMPTZOID ||
		list_length(call->args) != 1)
		return NULL;
	time = linitial(call->args);
	if (IsA(time, Var) && time->varno == varno && time->varattno == columns->time &&
		time->varlevelsup == 0 &&
		call->funcid == time_expression_function("to_timestamptz", INT8OID))
		return time;
	return NULL;
}
