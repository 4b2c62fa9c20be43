/*
 * compaction_stat.h
 *	  Counts what compaction has done since the server's start, by table, and what it does now.
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

/* What background compaction does now.  A time or process that does not exist is 0. */
typedef struct CompactionActivity
{
	TimestampTz since;			/* the time from which on the counters count */
	pid_t		launcher;
	int64		rounds;
	TimestampTz round_begin;
	TimestampTz round_end;
	pid_t		worker;
	Oid			worker_database;
	Oid			worker_table;
	TimestampTz worker_begin;	/* when it began with this table */
} CompactionActivity;

/* Reserves the shared memory, if shared_preload_libraries are being loaded. */
extern void compaction_stat_init(void);

/* Adds what a compaction of a table of this database has written, whether it commits or not. */
extern void compaction_stat_add(Oid relid, const CompactionCounts *counts);

/* Counts that the background worker has left a table to the next round, or has failed at it. */
extern void compaction_stat_deferred(Oid relid);
extern void compaction_stat_failed(Oid relid);

/*
 * The launcher reports that it has started, and that it begins or ends a round.  A worker reports
 * the table that it is at (InvalidOid: none yet).
 */
extern void compaction_stat_launched(void);
extern void compaction_stat_round_begin(void);
extern void compaction_stat_round_end(void);
extern void compaction_stat_working(Oid relid);

/* The launcher or a worker reports that it is about to end. */
extern void compaction_stat_leave(void);

/*
 * The horizon that a round leaves to the next one for a table.  get returns false if there is none:
 * it is lost when the server restarts, or if very many tables are compacted, which costs one more
 * round.
 */
extern bool compaction_stat_get_horizon(Oid relid, CompactionHorizon *horizon);
extern void compaction_stat_set_horizon(Oid relid, const CompactionHorizon *horizon);

/*
 * Has the background worker yet to look for segments of a table to move (relocation.c)?  VACUUM sets
 * it.  A table that is being loaded is looked at in part, and again when it is loaded no more.
 */
typedef enum CompactionRoom
{
	COMPACTION_ROOM_NONE,
	COMPACTION_ROOM_NEW,
	COMPACTION_ROOM_LEFT,		/* looked at while it was being loaded */
} CompactionRoom;

extern CompactionRoom compaction_stat_get_room(Oid relid);
extern void compaction_stat_set_room(Oid relid, CompactionRoom room);

/* Get the counters of a table, and the activity.  They return false without shared memory. */
extern bool compaction_stat_get(Oid relid, CompactionTableStat *stat);
extern bool compaction_stat_get_activity(CompactionActivity *activity);

#endif							/* HISTORIAN_COMPACTION_STAT_H */
