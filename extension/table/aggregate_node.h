/*
 * aggregate_node.h
 *	  HistorianAggregate: the plan node that answers aggregates without returning rows.
 */
#ifndef HISTORIAN_AGGREGATE_NODE_H
#define HISTORIAN_AGGREGATE_NODE_H

/* historian.enable_aggregate: does the planner use this node? */
extern bool historian_enable_aggregate;

/* Installs the planner's hook and registers the node.  Called once, when the library is loaded. */
extern void aggregate_node_init(void);

#endif							/* HISTORIAN_AGGREGATE_NODE_H */
