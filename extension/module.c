/*
 * module.c
 *	  The library's entry point: settings and hooks.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "command_work.h"
#include "functions/audit.h"
#include "priority.h"
#include "read/period_reader.h"
#include "table/aggregate_node.h"
#include "table/compaction_worker.h"
#include "table/ddl.h"
#include "table/retention.h"
#include "table/scan_node.h"
#include "write/writer.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

static void define_settings(void);

void
_PG_init(void)
{
	define_settings();
	command_work_init();
	ddl_init();
	scan_node_init();
	aggregate_node_init();
	compaction_worker_init();
}

static void
define_settings(void)
{
	DefineCustomIntVariable("historian.write_buffer",
							"Sets the memory in which a backend gathers rows, for all tables together, before it writes segments.",
							"Rows are also written when the command ends.",
							&historian_write_buffer,
							64 * 1024, 64, MAX_KILOBYTES,
							PGC_USERSET, GUC_UNIT_KB,
							NULL, NULL, NULL);
	DefineCustomIntVariable("historian.min_shared_tags",
							"Sets how many tags of a load must have few rows for their rows to share segments.",
							"Compaction brings the rows of a tag together when they have become many.",
							&historian_min_shared_tags,
							512, 1, INT_MAX,
							PGC_USERSET, 0,
							NULL, NULL, NULL);
	DefineCustomBoolVariable("historian.enable_scan",
							 "Enables the planner's use of HistorianScan, which reads only the tags and times asked for.",
							 NULL,
							 &historian_enable_scan,
							 true,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomBoolVariable("historian.enable_aggregate",
							 "Enables the planner's use of HistorianAggregate, which answers count, min, max, sum and avg without returning rows.",
							 NULL,
							 &historian_enable_aggregate,
							 true,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomBoolVariable("historian.enable_summaries",
							 "Enables the use of segment summaries in place of rows, by downsample() and HistorianAggregate.",
							 NULL,
							 &historian_enable_summaries,
							 true,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomBoolVariable("historian.compaction",
							 "Enables background compaction, which merges small segments into full ones.",
							 "It also needs historian in shared_preload_libraries.",
							 &historian_compaction,
							 true,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("historian.compaction_interval",
							"Sets the time between two rounds of background compaction.",
							NULL,
							&historian_compaction_interval,
							2, 1, 3600,
							PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);
	DefineCustomIntVariable("historian.compaction_min_rows",
							"Sets how many rows must be loaded for the next round of background compaction to look at a database.",
							"If there are fewer, it waits for five rounds, or ten seconds.",
							&historian_compaction_min_rows,
							100000, 0, INT_MAX,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("historian.compaction_nice",
							"Sets how much nicer background compaction is than PostgreSQL's other processes, as in nice(1).",
							NULL,
							&historian_compaction_nice,
							10, 0, 19,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);
	DefineCustomBoolVariable("historian.retention",
							 "Enables the removal of rows by the policies of historian.set_retention().",
							 "It also needs historian in shared_preload_libraries.",
							 &historian_retention,
							 true,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("historian.nice",
							"Sets how much nicer this session is than PostgreSQL's other processes, as in nice(1).",
							"It is meant for sessions that load while others read. The system may refuse to lower it again.",
							&historian_nice,
							0, 0, 19,
							PGC_USERSET, GUC_DISALLOW_IN_FILE,
							priority_check, priority_assign, NULL);
	DefineCustomStringVariable("historian.actor",
							   "Sets in whose name this session acts, for the audit trail.",
							   "historiand sets it to the name of a token. The users of PostgreSQL are recorded, too.",
							   &historian_actor,
							   "",
							   PGC_USERSET, 0,
							   NULL, NULL, NULL);
	MarkGUCPrefixReserved("historian");
}
