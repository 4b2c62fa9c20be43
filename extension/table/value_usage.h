/*
 * value_usage.h
 *	  Which values of the rows of a table a query uses.
 */
#ifndef HISTORIAN_VALUE_USAGE_H
#define HISTORIAN_VALUE_USAGE_H

#include "postgres.h"

#include "nodes/pathnodes.h"

#include "columns.h"
#include "store/decoded_rows.h"

/*
 * The range of the values that a query being planned uses as values[k] with constant k; all where
 * it uses the array otherwise.
 */
extern ValueRange value_usage(PlannerInfo *root, RelOptInfo *rel, const HistorianColumns *columns);

/* Is it values[k] of the relation, at this level of the query, with a constant k?  *value is k - 1. */
extern bool value_usage_match(const Node *node, Index varno, Index level,
							  const HistorianColumns *columns, int *value);

#endif							/* HISTORIAN_VALUE_USAGE_H */
