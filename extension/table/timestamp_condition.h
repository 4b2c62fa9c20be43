/*
 * timestamp_condition.h
 *	  Conditions on historian.to_timestamptz(time), made conditions on the time.
 */
#ifndef HISTORIAN_TIMESTAMP_CONDITION_H
#define HISTORIAN_TIMESTAMP_CONDITION_H

#include "postgres.h"

#include "nodes/pathnodes.h"

#include "columns.h"

/*
 * Replaces the conditions of a query that compare historian.to_timestamptz(time) of the relation
 * with range table index varno with a value that no row of the query changes.  The query's
 * expressions have been preprocessed, and its conditions have not been handed to its relations yet.
 */
extern void timestamp_condition_replace(PlannerInfo *root, Index varno,
										const HistorianColumns *columns);

#endif							/* HISTORIAN_TIMESTAMP_CONDITION_H */
