/*
 * scan_node.h
 *	  HistorianScan: the plan node that reads a historian table.
 */
#ifndef HISTORIAN_SCAN_NODE_H
#define HISTORIAN_SCAN_NODE_H

#include "postgres.h"

/* historian.enable_scan: does the planner use this node? */
extern bool historian_enable_scan;

/* Installs the planner's hooks and registers the node.  Called once, when the library is loaded. */
extern void scan_node_init(void);

#endif							/* HISTORIAN_SCAN_NODE_H */
