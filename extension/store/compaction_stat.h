/*
 * compaction_stat.h
 *	  What compaction has done since the server's start, by table, and what it does now.
 */
#ifndef HISTORIAN_COMPACTION_STAT_H
#define HISTORIAN_COMPACTION_STAT_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "store/compaction_horizon.h"

typedef struct CompactionCounts
{
	int64		tags;
	int64		segments_merged;
	int64		segments_written;
	int64		bytes_merged;
	int64		bytes_written;
	int64		rows;
} CompactionCounts;

/* What compaction has done with a table since the server's start. */
typedef struct CompactionTableStat
{
	CompactionCounts counts;
	int64		deferred;
	int64		failed;
	TimestampTz last_merge;		/* 0: never */
} CompactionTableStat;

/* What background compaction does now.  A time or process that is not there is 0. */
typedef struct CompactionActivity
{
	TimestampTz since;			/* of the counters */
	pid_t		launcher;
	int64		rounds;
	TimestampTz round_begin;
	TimestampTz round_end;
	pid_t		worker;
	Oid			worker_database;
	Oid			worker_table;
	TimestampTz worker_begin;	/* at this table */
} CompactionActivity;

/* Reserves the shared memory; does something only in a library of shared_preload_libraries. */
extern void compaction_stat_init(void);

/* Adds what a compaction of this database's table has done, committed or not: it was written. */
extern void compaction_stat_add(Oid relid, const CompactionCounts *counts);

/* The background worker left the table for the next round, or failed at it. */
extern void compaction_stat_deferred(Oid relid);
extern void compaction_stat_failed(Oid relid);

/* The launcher has started, begins and ends a round; a worker is at a table (InvalidOid: at none yet). */
extern void compaction_stat_launched(void);
extern void compaction_stat_round_begin(void);
extern void compaction_stat_round_end(void);
extern void compaction_stat_working(Oid relid);

/* A process of these is about to end. */
extern void compaction_stat_leave(void);

/*
 * The horizon that a round has left to the next one for a table; false where there is none.  Lost
 * at a restart of the server, or where very many tables are compacted: then one more round passes.
 */
extern bool compaction_stat_get_horizon(Oid relid, CompactionHorizon *horizon);
extern void compaction_stat_set_horizon(Oid relid, const CompactionHorizon *horizon);

/* The counters of a table, and the activity; false where there is no shared memory. */
extern bool compaction_stat_get(Oid relid, CompactionTableStat *stat);
extern bool compaction_stat_get_activity(CompactionActivity *activity);

#endif							/* HISTORIAN_COMPACTION_STAT_H */
