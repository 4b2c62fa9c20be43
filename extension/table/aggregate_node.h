/*
 * aggregate_node.h
 *	  HistorianAggregate: the plan node that answers aggregates without returning rows.
 */
#ifndef HISTORIAN_AGGREGATE_NODE_H
#define HISTORIAN_AGGREGATE_NODE_H

extern bool historian_enable_aggregate;

extern void aggregate_node_init(void);

#endif							/* HISTORIAN_AGGREGATE_NODE_H */
