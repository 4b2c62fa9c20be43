/*
 * compaction_worker.c
 *	  Background compaction and retention: a launcher, and short-lived workers.
 *
 * Backends that write segments put their database into a queue (compaction_queue.h).  In each
 * round, once an interval, the launcher starts a worker for each database of the queue into which
 * many rows were loaded, or which has waited for some seconds, one after the other.  A worker
 * compacts the tables of its database, keeps its retention policies (retention.h) and ends.  The
 * first round after a start of the server takes all databases.  The launcher is connected to no
 * database, so that it does not keep any from being dropped.
 *
 * A worker never waits for a lock of a table.  It leaves a table that another session compacts for
 * the next round.  It merges only what was loaded before a horizon, and only once all loads have
 * ended that were running when the horizon was taken (compaction_horizon.h).  If loads overlap all
 * the time, some load is always running when a horizon is taken.  Therefore a horizon is kept for
 * the next rounds until those loads have ended.
 */
#include "postgres.h"

#include "table/compaction_worker.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "historian_table.h"
#include "priority.h"
#include "store/compaction_horizon.h"
#include "store/compaction_notes.h"
#include "store/compaction_queue.h"
#include "store/compaction_stat.h"
#include "store/directory.h"
#include "store/retention_queue.h"
#include "table/retention.h"
#include "write/compaction.h"
#include "write/noted_tags.h"
#include "write/relocation.h"

bool		historian_compaction = true;
int			historian_compaction_interval = 2;
int			historian_compaction_min_rows = 100000;
int			historian_compaction_nice = 10;

/*
 * Some seconds of work: the snapshot of a longer transaction would hold back VACUUM, and more would
 * be lost if the server stopped.
 */
#define MAX_ROWS_PER_TRANSACTION 2000000

/*
 * So often, and so long each time, a worker waits until the loads under way have ended, or no snapshot
 * sees any more what it has deleted.  A table that is loaded each second is being loaded for a good
 * part of the time, but seldom for long.  Where this was too short once, it does not wait again in
 * this round.
 */
#define MOST_WAITS 100
#define WAIT_MS 20

/* Of a worker, which lives for one round. */
static int	waits_left = MOST_WAITS;

#define MAX_MOVED_PER_TRANSACTION (64 * 1024 * 1024)

/* A worker's look at a table. */
typedef struct TableLook
{
	CompactionOptions options;
	RunMergeInParts parts;
	CompactionLook noted;
	bool		begun;
	text	   *after;			/* the last tag done; NULL at the beginning and at the end */
	bool		found;			/* there was something to look at */
	MemoryContext context;		/* for the members */
} TableLook;

static List *take_databases(void);
static List *all_databases(void);
static void run_worker(Oid database);
static List *historian_tables(void);
static void try_table(Oid relid, MemoryContext context);
static void compact_in_background(Oid relid);
static void forget_look(TableLook *look);
static bool wait_for_others(void);
static void reuse_emptied(Oid relid, EmptiedBlocks *emptied);
static bool compact_part(Oid relid, TableLook *look);
static void move_in_background(Oid relid, bool is_loaded);
static void leave_room(Oid relid, CompactionRoom room);
static bool move_part(Oid relid, bool is_loaded, Relocation *relocation);
static bool begin_look(Relation rel, TableLook *look);
static uint64 horizon_of_now(Relation rel);
static uint64 reached_horizon(Relation rel);
static void override_session_defaults(void);
static void on_exit_leave(int code, Datum arg);

void
compaction_worker_init(void)
{
	BackgroundWorker worker = {0};

	if (!process_shared_preload_libraries_in_progress)
		return;

	compaction_stat_init();
	compaction_notes_init();
	compaction_queue_init();
	retention_queue_init();

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 10;
	strlcpy(worker.bgw_library_name, "historian", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "historian_compaction_launcher_main",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "historian compaction launcher", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "historian compaction launcher", sizeof(worker.bgw_type));
	RegisterBackgroundWorker(&worker);
}

void
historian_compaction_launcher_main(Datum arg)
{
	MemoryContext round;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	override_session_defaults();
	before_shmem_exit(on_exit_leave, (Datum) 0);
	compaction_stat_launched();
	round = AllocSetContextCreate(TopMemoryContext, "historian round", ALLOCSET_DEFAULT_SIZES);

	for (;;)
	{
		MemoryContext caller;
		ListCell   *cell;

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 historian_compaction_interval * 1000L, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (!historian_compaction && !historian_retention)
			continue;

		caller = MemoryContextSwitchTo(round);
		compaction_stat_round_begin();
		foreach(cell, take_databases())
			run_worker(lfirst_oid(cell));
		compaction_stat_round_end();
		MemoryContextSwitchTo(caller);
		MemoryContextReset(round);
	}
}

void
historian_compaction_worker_main(Datum arg)
{
	MemoryContext context;
	List	   *tables;
	ListCell   *cell;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(arg), InvalidOid, 0);

	/* only now, because connecting applies the settings of the database and of the role */
	override_session_defaults();
	priority_lower(historian_compaction_nice);

	before_shmem_exit(on_exit_leave, (Datum) 0);
	compaction_stat_working(InvalidOid);

	context = AllocSetContextCreate(TopMemoryContext, "historian tables", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(context);
	StartTransactionCommand();
	MemoryContextSwitchTo(context);
	tables = historian_compaction ? historian_tables() : NIL;
	CommitTransactionCommand();

	foreach(cell, tables)
	{
		compaction_stat_working(lfirst_oid(cell));
		try_table(lfirst_oid(cell), context);
	}
	compaction_stat_working(InvalidOid);
	if (historian_retention)
		retention_keep();
}

/* Returns the databases for this round: those to compact, and those whose policies are due. */
static List *
take_databases(void)
{
	List	   *to_compact = NIL;
	List	   *due = NIL;
	int			longest_wait_ms = Min(5 * historian_compaction_interval, 10) * 1000;
	bool		named = !historian_compaction ||
		compaction_queue_take(&to_compact, (uint64) historian_compaction_min_rows, longest_wait_ms);

	/* takes from both queues, even if one of them asks for all databases */
	named &= !historian_retention || retention_queue_take(&due);
	return named ? list_concat_unique_oid(to_compact, due) : all_databases();
}

/* Returns all databases that allow connections, as a list in the current context. */
static List *
all_databases(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *databases = NIL;
	Relation	catalog;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	catalog = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(catalog, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext caller;

		if (!database->datallowconn)
			continue;
		caller = MemoryContextSwitchTo(context);
		databases = lappend_oid(databases, database->oid);
		MemoryContextSwitchTo(caller);
	}
	table_endscan(scan);
	table_close(catalog, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return databases;
}

/* Starts a worker and waits for its end.  If no slot is free, the next round tries again. */
static void
run_worker(Oid database)
{
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *handle;

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "historian", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "historian_compaction_worker_main",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "historian compaction worker", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "historian compaction worker", sizeof(worker.bgw_type));
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	worker.bgw_notify_pid = MyProcPid;

	if (RegisterDynamicBackgroundWorker(&worker, &handle))
		(void) WaitForBackgroundWorkerShutdown(handle);
	else
		compaction_queue_add(database, 0);
}

/* Returns the permanent and unlogged historian tables of this database, in the current context. */
static List *
historian_tables(void)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			access_method = get_table_am_oid("historian", true);
	List	   *tables = NIL;
	Relation	catalog;
	TableScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(access_method))
		return NIL;
	catalog = table_open(RelationRelationId, AccessShareLock);
	scan = table_beginscan_catalog(catalog, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_class relation = (Form_pg_class) GETSTRUCT(tuple);
		MemoryContext caller;

		/* other sessions' temporary tables are out of reach */
		if (relation->relam != access_method || relation->relpersistence == RELPERSISTENCE_TEMP)
			continue;
		caller = MemoryContextSwitchTo(context);
		tables = lappend_oid(tables, relation->oid);
		MemoryContextSwitchTo(caller);
	}
	table_endscan(scan);
	table_close(catalog, AccessShareLock);
	return tables;
}

/*
 * Compacts a table.  Logs an error instead of raising it, so that the other tables are compacted.
 * The table is tried again when a round comes to this database after another load.
 */
static void
try_table(Oid relid, MemoryContext context)
{
	PG_TRY();
	{
		compact_in_background(relid);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		HOLD_INTERRUPTS();
		EmitErrorReport();
		AbortCurrentTransaction();
		FlushErrorState();
		compaction_stat_failed(relid);
		RESUME_INTERRUPTS();
		MemoryContextSwitchTo(context);
	}
	PG_END_TRY();
}

/* Compacts a table in transactions of bounded size. */
static void
compact_in_background(Oid relid)
{
	TableLook	look = {
		.options.max_rows = MAX_ROWS_PER_TRANSACTION,
		.context = AllocSetContextCreate(CurrentMemoryContext, "historian look",
										 ALLOCSET_DEFAULT_SIZES),
	};
	EmptiedBlocks emptied = {.context = look.context};
	bool		done;

	look.options.emptied = &emptied;
	look.options.parts = &look.parts;
	look.parts.context = look.context;
	do
	{
		MemoryContext context = CurrentMemoryContext;

		CHECK_FOR_INTERRUPTS();
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		pgstat_report_activity(STATE_RUNNING, "historian: compaction");

		done = compact_part(relid, &look);
		PopActiveSnapshot();
		CommitTransactionCommand();
		MemoryContextSwitchTo(context);
		reuse_emptied(relid, &emptied);
		pgstat_report_stat(true);
		pgstat_report_activity(STATE_IDLE, NULL);
		if (!done)
			forget_look(&look);
		/* the next part of a merge uses the room of the one before */
		while (look.parts.under_way && emptied.nblocks > 0 && wait_for_others())
			reuse_emptied(relid, &emptied);
	} while (look.begun || (!done && wait_for_others()));
	if (!done)
	{
		compaction_stat_deferred(relid);
		compaction_queue_add(MyDatabaseId, 0);
	}

	/* loads under way may see what was deleted */
	while (emptied.nblocks > 0 && wait_for_others())
		reuse_emptied(relid, &emptied);
	MemoryContextDelete(look.context);
	move_in_background(relid, look.found);
}

/* Leaves a look that is not done; another one begins anew. */
static void
forget_look(TableLook *look)
{
	look->begun = false;
	look->after = NULL;
	look->parts.under_way = false;
}

/* Waits a little for other transactions to end, unless that was for too long already. */
static bool
wait_for_others(void)
{
	if (waits_left == 0)
		return false;
	waits_left--;
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, WAIT_MS,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	return true;
}

/* Makes the room that the last transaction has left ready for the next loads. */
static void
reuse_emptied(Oid relid, EmptiedBlocks *emptied)
{
	MemoryContext context = CurrentMemoryContext;
	Relation	rel;

	if (emptied->nblocks == 0)
		return;
	StartTransactionCommand();
	rel = ConditionalLockRelationOid(relid, RowExclusiveLock)
		? try_relation_open(relid, NoLock) : NULL;
	if (rel != NULL && historian_table_is(rel))
	{
		/* without a new snapshot PostgreSQL goes on to hold the deleted segments for visible */
		PushActiveSnapshot(GetTransactionSnapshot());
		emptied_blocks_reuse(emptied, rel);
		PopActiveSnapshot();
		if (emptied->nblocks == 0 && waits_left > 0)
			waits_left = MOST_WAITS;
	}
	else
		emptied->nblocks = 0;
	if (rel != NULL)
		relation_close(rel, NoLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
}

/*
 * Moves segments into the room that the last VACUUM has found, in transactions of bounded size.
 * is_loaded tells whether there were new segments to look at in this round.
 */
static void
move_in_background(Oid relid, bool is_loaded)
{
	CompactionRoom room = compaction_stat_get_room(relid);
	Relocation	relocation = {0};
	bool		more = room == COMPACTION_ROOM_NEW ||
		(room == COMPACTION_ROOM_LEFT && !is_loaded);

	if (room == COMPACTION_ROOM_LEFT && is_loaded)
		leave_room(relid, room);
	while (more)
	{
		MemoryContext context = CurrentMemoryContext;

		CHECK_FOR_INTERRUPTS();
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		pgstat_report_activity(STATE_RUNNING, "historian: relocation");
		more = move_part(relid, is_loaded, &relocation);
		PopActiveSnapshot();
		CommitTransactionCommand();
		MemoryContextSwitchTo(context);
		pgstat_report_stat(true);
		pgstat_report_activity(STATE_IDLE, NULL);
	}
}

/* Leaves what VACUUM has found to the next round. */
static void
leave_room(Oid relid, CompactionRoom room)
{
	compaction_stat_set_room(relid, room);
	compaction_queue_add(MyDatabaseId, 0);
}

/* Moves segments in one transaction, the first of which plans.  Returns whether more are left. */
static bool
move_part(Oid relid, bool is_loaded, Relocation *relocation)
{
	bool		planned = relocation->source > 0;
	Relation	rel;
	bool		more = false;

	if (!ConditionalLockRelationOid(relid, RowExclusiveLock))
	{
		leave_room(relid, COMPACTION_ROOM_NEW);
		return false;
	}
	rel = try_relation_open(relid, NoLock);
	if (rel == NULL)
		return false;
	if (!historian_table_is(rel) || !OidIsValid(directory_oid(rel)))
		compaction_stat_set_room(relid, COMPACTION_ROOM_NONE);
	else if (!directory_lock(rel, false))
		leave_room(relid, COMPACTION_ROOM_NEW);
	else
	{
		if (!planned)
		{
			if (is_loaded)
				leave_room(relid, COMPACTION_ROOM_LEFT);
			else
				compaction_stat_set_room(relid, COMPACTION_ROOM_NONE);
			planned = relocation_plan(rel, is_loaded ? RELOCATION_LEAST_LOADED : RELOCATION_LEAST,
									  relocation);
		}
		if (planned)
		{
			relocation_run(rel, relocation, MAX_MOVED_PER_TRANSACTION);
			more = !relocation->ended;
		}
	}
	relation_close(rel, NoLock);
	return more;
}

/*
 * Compacts the tags after look->after, in one transaction.  The first part begins the look.
 * Returns false if the table is to be tried again in the next round.
 */
static bool
compact_part(Oid relid, TableLook *look)
{
	CompactionCounts counts = {0};
	bool		done = true;
	Relation	rel;

	/* fails if another session holds, or waits for, a lock that conflicts */
	if (!ConditionalLockRelationOid(relid, RowExclusiveLock))
		return false;
	rel = try_relation_open(relid, NoLock);
	if (rel == NULL)
	{
		forget_look(look);
		return true;
	}

	if (!historian_table_is(rel) || !OidIsValid(directory_oid(rel)))
		forget_look(look);
	else if (look->begun || !compaction_notes_none(rel))
	{
		text	   *after = look->after;
		MemoryContext caller;

		look->found = true;
		if (look->parts.under_way)
			look->parts.later_horizon = horizon_of_now(rel);
		done = (look->begun || begin_look(rel, look)) &&
			compaction_run(rel, &look->options, &after, &counts);
		caller = MemoryContextSwitchTo(look->context);
		look->after = after != NULL ? DatumGetTextPCopy(PointerGetDatum(after)) : NULL;
		MemoryContextSwitchTo(caller);
		look->begun = done && (look->after != NULL || look->parts.under_way);
		if (done && !look->begun)
			compaction_notes_done(rel, &look->noted, look->options.horizon);
	}
	relation_close(rel, NoLock);
	return done;
}

/* Takes the horizon and the notes of a new look.  Returns false if the table must wait. */
static bool
begin_look(Relation rel, TableLook *look)
{
	MemoryContext caller;

	compaction_notes_start(rel);
	look->options.horizon = reached_horizon(rel);
	if (look->options.horizon == 0 || !directory_lock(rel, false))
		return false;
	caller = MemoryContextSwitchTo(look->context);
	look->noted = compaction_notes_take(rel);
	if (!look->noted.full)
		look->options.tags = noted_tags(rel, &look->noted, look->options.horizon,
										&look->options.ntags);
	MemoryContextSwitchTo(caller);
	return true;
}

/* Returns the horizon of now if it is reached, or 0. */
static uint64
horizon_of_now(Relation rel)
{
	CompactionHorizon now = compaction_horizon_take();

	return compaction_horizon_reached(rel, &now, false) ? now.sequence : 0;
}

/*
 * Returns the latest horizon that is reached, or 0: that of now, or else the one that an earlier
 * round has kept.  Unless that of now is reached, it is kept for the next rounds as soon as no other
 * one is waited for.
 */
static uint64
reached_horizon(Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	CompactionHorizon now = compaction_horizon_take();
	CompactionHorizon kept;
	bool		has_kept = compaction_stat_get_horizon(relid, &kept);

	if (compaction_horizon_reached(rel, &now, false))
		return now.sequence;
	if (has_kept && !compaction_horizon_reached(rel, &kept, false))
		return 0;
	compaction_stat_set_horizon(relid, &now);

	/* a round must look at what is left, even if nothing is loaded until then */
	compaction_queue_add(MyDatabaseId, 0);
	return has_kept ? kept.sequence : 0;
}

/*
 * Overrides settings that postgresql.conf, the database or the role has made for users' sessions,
 * as autovacuum's workers do.  Otherwise, for example,
 *
 * - SERIALIZABLE would make compaction and users' transactions fail because of each other,
 * - a read-only transaction could not compact,
 * - a timeout could end compaction,
 * - a damaged page could be taken for an empty one, and
 * - a commit that waits for an absent standby would make deletions of the table wait.
 *
 * Skips settings that this version of PostgreSQL does not have.
 */
static void
override_session_defaults(void)
{
	static const char *const overrides[][2] = {
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "false"},
		{"default_transaction_deferrable", "false"},
		{"statement_timeout", "0"},
		{"lock_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		{"transaction_timeout", "0"},
		{"zero_damaged_pages", "false"},
		{"ignore_checksum_failure", "false"},
		{"search_path", ""},
		{"role", "none"},
	};

	for (int i = 0; i < lengthof(overrides); i++)
	{
		if (GetConfigOption(overrides[i][0], true, false) != NULL)
			SetConfigOption(overrides[i][0], overrides[i][1], PGC_SUSET, PGC_S_OVERRIDE);
	}
	if (synchronous_commit > SYNCHRONOUS_COMMIT_LOCAL_FLUSH)
		SetConfigOption("synchronous_commit", "local", PGC_SUSET, PGC_S_OVERRIDE);
}

static void
on_exit_leave(int code, Datum arg)
{
	compaction_stat_leave();
}
