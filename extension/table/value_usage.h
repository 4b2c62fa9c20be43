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
 * Returns the range of values that a query uses, if it uses the array only as values[k] with
 * constant k.  Otherwise returns the range of all values.  The query is being planned.
 */
extern ValueRange value_usage(PlannerInfo *root, RelOptInfo *rel, const HistorianColumns *columns);

/*
 * Is the node values[k] with a constant k, of the relation with range table index varno at this
 * level of the query?  Sets *value to k - 1.
 */
extern bool value_usage_match(const Node *node, Index varno, Index level,
							  const HistorianColumns *columns, int *value);

#endif							/* HISTORIAN_VALUE_USAGE_H */
