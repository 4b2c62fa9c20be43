/*
 * compaction_stat.c
 *	  What compaction has done since the server's start, by table, and what it does now.
 *
 * A fixed array in shared memory, under one lock that is held for some array steps.  Where more
 * tables are compacted than it has room for, the one that was so the longest ago is forgotten.
 * Without shared_preload_libraries there is none of it: the functions do and return nothing.
 */
#include "postgres.h"

#include "store/compaction_stat.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "table/compaction_worker.h"

PG_FUNCTION_INFO_V1(historian_stat_get_compaction);
PG_FUNCTION_INFO_V1(historian_stat_get_worker);

/* Tables that are remembered. */
#define MAX_TABLES 1024

#define LOCK_NAME "historian compaction statistics"

typedef struct TableStat
{
	Oid			database;		/* InvalidOid: the slot is free */
	Oid			relid;
	CompactionCounts counts;
	int64		deferred;
	int64		failed;
	TimestampTz last_merge;		/* 0: never */
	TimestampTz last_used;
	CompactionHorizon horizon;	/* left to the next round; its sequence is 0 where there is none */
} TableStat;

typedef struct StatShared
{
	LWLock	   *lock;
	TimestampTz since;
	pid_t		launcher;
	int64		rounds;
	TimestampTz round_begin;
	TimestampTz round_end;
	pid_t		worker;
	Oid			worker_database;
	Oid			worker_table;
	TimestampTz worker_begin;	/* at this table */
	TableStat	tables[MAX_TABLES];
} StatShared;

static StatShared *shared = NULL;
static shmem_request_hook_type next_shmem_request = NULL;
static shmem_startup_hook_type next_shmem_startup = NULL;

static void on_shmem_request(void);
static void on_shmem_startup(void);
static TableStat *find_table(Oid relid, bool create);
static Datum time_or_null(TimestampTz time, bool *isnull);

void
compaction_stat_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	next_shmem_request = shmem_request_hook;
	shmem_request_hook = on_shmem_request;
	next_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = on_shmem_startup;
}

void
compaction_stat_add(Oid relid, const CompactionCounts *counts)
{
	TableStat  *table;

	if (shared == NULL || counts->tags == 0)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	table = find_table(relid, true);
	table->counts.tags += counts->tags;
	table->counts.segments_merged += counts->segments_merged;
	table->counts.segments_written += counts->segments_written;
	table->counts.bytes_merged += counts->bytes_merged;
	table->counts.bytes_written += counts->bytes_written;
	table->counts.rows += counts->rows;
	table->last_merge = table->last_used;
	LWLockRelease(shared->lock);
}

void
compaction_stat_deferred(Oid relid)
{
	if (shared == NULL)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	find_table(relid, true)->deferred++;
	LWLockRelease(shared->lock);
}

void
compaction_stat_failed(Oid relid)
{
	if (shared == NULL)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	find_table(relid, true)->failed++;
	LWLockRelease(shared->lock);
}

void
compaction_stat_launched(void)
{
	if (shared == NULL)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->launcher = MyProcPid;
	LWLockRelease(shared->lock);
}

void
compaction_stat_round_begin(void)
{
	if (shared == NULL)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->rounds++;
	shared->round_begin = GetCurrentTimestamp();
	LWLockRelease(shared->lock);
}

void
compaction_stat_round_end(void)
{
	if (shared == NULL)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->round_end = GetCurrentTimestamp();
	LWLockRelease(shared->lock);
}

void
compaction_stat_working(Oid relid)
{
	if (shared == NULL)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->worker = MyProcPid;
	shared->worker_database = MyDatabaseId;
	shared->worker_table = relid;
	shared->worker_begin = GetCurrentTimestamp();
	LWLockRelease(shared->lock);
}

void
compaction_stat_leave(void)
{
	if (shared == NULL)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (shared->launcher == MyProcPid)
		shared->launcher = 0;
	if (shared->worker == MyProcPid)
		shared->worker = 0;
	LWLockRelease(shared->lock);
}

bool
compaction_stat_get_horizon(Oid relid, CompactionHorizon *horizon)
{
	TableStat  *table;

	horizon->sequence = 0;
	if (shared == NULL)
		return false;
	LWLockAcquire(shared->lock, LW_SHARED);
	table = find_table(relid, false);
	if (table != NULL)
		*horizon = table->horizon;
	LWLockRelease(shared->lock);
	return horizon->sequence != 0;
}

void
compaction_stat_set_horizon(Oid relid, const CompactionHorizon *horizon)
{
	if (shared == NULL)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	find_table(relid, true)->horizon = *horizon;
	LWLockRelease(shared->lock);
}

/*
 * historian.stat_get_compaction(table regclass) returns record: the counters of a table.  All NULL
 * without shared memory, zeros for a table that was not compacted since the server's start.
 */
Datum
historian_stat_get_compaction(PG_FUNCTION_ARGS)
{
	TableStat	found = {0};
	TableStat  *table;
	TupleDesc	desc;
	Datum		values[9];
	bool		isnull[9] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (shared == NULL)
		PG_RETURN_NULL();

	LWLockAcquire(shared->lock, LW_SHARED);
	table = find_table(PG_GETARG_OID(0), false);
	if (table != NULL)
		found = *table;
	LWLockRelease(shared->lock);

	values[0] = Int64GetDatum(found.counts.tags);
	values[1] = Int64GetDatum(found.counts.segments_merged);
	values[2] = Int64GetDatum(found.counts.segments_written);
	values[3] = Int64GetDatum(found.counts.bytes_merged);
	values[4] = Int64GetDatum(found.counts.bytes_written);
	values[5] = Int64GetDatum(found.counts.rows);
	values[6] = Int64GetDatum(found.deferred);
	values[7] = Int64GetDatum(found.failed);
	values[8] = time_or_null(found.last_merge, &isnull[8]);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, isnull)));
}

/* historian.stat_get_worker() returns record: one row, also without shared memory */
Datum
historian_stat_get_worker(PG_FUNCTION_ARGS)
{
	StatShared	now = {0};
	TupleDesc	desc;
	Datum		values[11] = {0};
	bool		isnull[11];

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	memset(isnull, true, sizeof(isnull));
	values[0] = BoolGetDatum(shared != NULL);
	values[1] = BoolGetDatum(shared != NULL && historian_compaction);
	isnull[0] = isnull[1] = false;
	if (shared == NULL)
		PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, isnull)));

	LWLockAcquire(shared->lock, LW_SHARED);
	memcpy(&now, shared, offsetof(StatShared, tables));
	LWLockRelease(shared->lock);

	values[2] = time_or_null(now.since, &isnull[2]);
	values[3] = Int32GetDatum(now.launcher);
	isnull[3] = now.launcher == 0;
	values[4] = Int64GetDatum(now.rounds);
	isnull[4] = false;
	values[5] = time_or_null(now.round_begin, &isnull[5]);
	values[6] = time_or_null(now.round_end, &isnull[6]);
	if (now.worker != 0)
	{
		values[7] = Int32GetDatum(now.worker);
		values[8] = ObjectIdGetDatum(now.worker_database);
		values[9] = ObjectIdGetDatum(now.worker_table);
		isnull[7] = isnull[8] = false;
		isnull[9] = !OidIsValid(now.worker_table);
		values[10] = time_or_null(now.worker_begin, &isnull[10]);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, isnull)));
}

static void
on_shmem_request(void)
{
	if (next_shmem_request != NULL)
		next_shmem_request();
	RequestAddinShmemSpace(MAXALIGN(sizeof(StatShared)));
	RequestNamedLWLockTranche(LOCK_NAME, 1);
}

static void
on_shmem_startup(void)
{
	bool		found;

	if (next_shmem_startup != NULL)
		next_shmem_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("historian compaction statistics", sizeof(StatShared), &found);
	if (!found)
	{
		memset(shared, 0, sizeof(*shared));
		shared->lock = &GetNamedLWLockTranche(LOCK_NAME)->lock;
		shared->since = GetCurrentTimestamp();
	}
	LWLockRelease(AddinShmemInitLock);
}

/* This database's table; with create, under the exclusive lock, in a new slot where it has none. */
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

static Datum
time_or_null(TimestampTz time, bool *isnull)
{
	*isnull = time == 0;
	return TimestampTzGetDatum(time);
}
