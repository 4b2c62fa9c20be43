/*
 * time_expression.h
 *	  The expression historian.to_timestamptz(time) in queries.
 */
#ifndef HISTORIAN_TIME_EXPRESSION_H
#define HISTORIAN_TIME_EXPRESSION_H

#include "postgres.h"

#include "nodes/primnodes.h"

#include "columns.h"

/*
 * Returns the OID of a function of the schema historian with one argument, or InvalidOid where the
 * installed version of the extension does not have it.
 */
extern Oid	time_expression_function(const char *name, Oid argument);

/* Makes the expression for the table with range table index varno, or returns NULL. */
extern Expr *time_expression_make(Index varno, const HistorianColumns *columns);

/* Returns the time, if this is historian.to_timestamptz(time) of that table, or NULL. */
extern Var *time_expression_match(const Node *node, Index varno, const HistorianColumns *columns);

#endif							/* HISTORIAN_TIME_EXPRESSION_H */
