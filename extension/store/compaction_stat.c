/*
 * compaction_stat.c
 *	  Counts what compaction has done since the server's start, by table, and what it does now.
 *
 * The counters are a fixed array in shared memory, under one lock that is held only for a search of
 * the array.  If more tables are compacted than it has room for, the one that was used the longest
 * ago is forgotten.  Without shared_preload_libraries there is no shared memory, and nothing is
 * counted.
 */
#include "postgres.h"

#include "store/compaction_stat.h"

#include "miscadmin.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"

#include "store/shared_memory.h"

/* The most tables that are remembered. */
#define MAX_TABLES 1024

typedef struct TableStat
{
	Oid			database;		/* InvalidOid: the slot is free */
	Oid			relid;
	CompactionTableStat stat;
	TimestampTz last_used;
	CompactionHorizon horizon;	/* left to the next round; none if its sequence is 0 */
	CompactionRoom room;
} TableStat;

typedef struct StatShared
{
	CompactionActivity activity;
	TableStat	tables[MAX_TABLES];
} StatShared;

static StatShared *shared = NULL;
static LWLock *lock;

static void attach(void *part, LWLock *part_lock, bool is_new);
static TableStat *find_table(Oid relid, bool create);

void
compaction_stat_init(void)
{
	if (process_shared_preload_libraries_in_progress)
		shared_memory_reserve("historian compaction statistics", sizeof(StatShared), attach);
}

void
compaction_stat_add(Oid relid, const CompactionCounts *counts)
{
	TableStat  *table;

	if (shared == NULL || counts->tags == 0)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	table = find_table(relid, true);
	table->stat.counts.tags += counts->tags;
	table->stat.counts.segments_merged += counts->segments_merged;
	table->stat.counts.segments_written += counts->segments_written;
	table->stat.counts.bytes_merged += counts->bytes_merged;
	table->stat.counts.bytes_written += counts->bytes_written;
	table->stat.counts.rows += counts->rows;
	table->stat.last_merge = table->last_used;
	LWLockRelease(lock);
}

void
compaction_stat_deferred(Oid relid)
{
	if (shared == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	find_table(relid, true)->stat.deferred++;
	LWLockRelease(lock);
}

void
compaction_stat_failed(Oid relid)
{
	if (shared == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	find_table(relid, true)->stat.failed++;
	LWLockRelease(lock);
}

void
compaction_stat_launched(void)
{
	if (shared == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	shared->activity.launcher = MyProcPid;
	LWLockRelease(lock);
}

void
compaction_stat_round_begin(void)
{
	if (shared == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	shared->activity.rounds++;
	shared->activity.round_begin = GetCurrentTimestamp();
	LWLockRelease(lock);
}

void
compaction_stat_round_end(void)
{
	if (shared == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	shared->activity.round_end = GetCurrentTimestamp();
	LWLockRelease(lock);
}

void
compaction_stat_working(Oid relid)
{
	if (shared == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	shared->activity.worker = MyProcPid;
	shared->activity.worker_database = MyDatabaseId;
	shared->activity.worker_table = relid;
	shared->activity.worker_begin = GetCurrentTimestamp();
	LWLockRelease(lock);
}

void
compaction_stat_leave(void)
{
	if (shared == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (shared->activity.launcher == MyProcPid)
		shared->activity.launcher = 0;
	if (shared->activity.worker == MyProcPid)
		shared->activity.worker = 0;
	LWLockRelease(lock);
}

bool
compaction_stat_get_horizon(Oid relid, CompactionHorizon *horizon)
{
	TableStat  *table;

	horizon->sequence = 0;
	if (shared == NULL)
		return false;
	LWLockAcquire(lock, LW_SHARED);
	table = find_table(relid, false);
	if (table != NULL)
		*horizon = table->horizon;
	LWLockRelease(lock);
	return horizon->sequence != 0;
}

void
compaction_stat_set_horizon(Oid relid, const CompactionHorizon *horizon)
{
	if (shared == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	find_table(relid, true)->horizon = *horizon;
	LWLockRelease(lock);
}

CompactionRoom
compaction_stat_get_room(Oid relid)
{
	CompactionRoom room = COMPACTION_ROOM_NONE;
	TableStat  *table;

	if (shared == NULL)
		return room;
	LWLockAcquire(lock, LW_SHARED);
	table = find_table(relid, false);
	if (table != NULL)
		room = table->room;
	LWLockRelease(lock);
	return room;
}

void
compaction_stat_set_room(Oid relid, CompactionRoom room)
{
	if (shared == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	find_table(relid, true)->room = room;
	LWLockRelease(lock);
}

bool
compaction_stat_get(Oid relid, CompactionTableStat *stat)
{
	TableStat  *table;

	if (shared == NULL)
		return false;
	memset(stat, 0, sizeof(*stat));
	LWLockAcquire(lock, LW_SHARED);
	table = find_table(relid, false);
	if (table != NULL)
		*stat = table->stat;
	LWLockRelease(lock);
	return true;
}

bool
compaction_stat_get_activity(CompactionActivity *activity)
{
	if (shared == NULL)
		return false;
	LWLockAcquire(lock, LW_SHARED);
	*activity = shared->activity;
	LWLockRelease(lock);
	return true;
}

static void
attach(void *part, LWLock *part_lock, bool is_new)
{
	shared = part;
	lock = part_lock;
	if (is_new)
		shared->activity.since = GetCurrentTimestamp();
}

/*
 * Returns the slot of a table of this database, or NULL.  With create, which needs the exclusive
 * lock, it takes a slot for a table that has none.
 */
static TableStat *
find_table(Oid relid, bool create)
{
	TableStat  *oldest = &shared->tables[0];
	TableStat  *table = NULL;

	for (int i = 0; i < MAX_TABLES && table == NULL; i++)
	{
		TableStat  *each = &shared->tables[i];

		if (each->database == MyDatabaseId && each->relid == relid)
			table = each;
		else if (each->last_used < oldest->last_used)
			oldest = each;
	}
	if (!create)
		return table;
	if (table == NULL)
	{
		table = oldest;
		memset(table, 0, sizeof(*table));
		table->database = MyDatabaseId;
		table->relid = relid;
	}
	table->last_used = GetCurrentTimestamp();
	return table;
}
