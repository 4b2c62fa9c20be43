/*
 * compaction_stat.h
 *	  What compaction has done since the server's start, by table, and what it does now.
 */
#ifndef HISTORIAN_COMPACTION_STAT_H
#define HISTORIAN_COMPACTION_STAT_H

#include "postgres.h"

#include "write/compaction.h"

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

#endif							/* HISTORIAN_COMPACTION_STAT_H */
