/*
 * shrink_function.c
 *	  historian.shrink(): compacts a table and makes its file small, in several transactions.
 *
 * What a transaction deletes is free for others only after its commit, so a function, which is part
 * of one transaction, at best writes all segments anew beside the old ones (historian.compact()).
 * This is a procedure.  It commits after each step:
 *
 *	1. merges all pending segments, in transactions of bounded size
 *	2. vacuums, so that the room of the old segments is free
 *	3. moves segments from the end of the file there, in transactions of bounded size
 *	4. vacuums, which cuts the end off
 *
 * Each step opens the table anew and leaves it valid.  If a step fails, those before it stay.
 * Before it vacuums it waits a little for readers whose snapshots see the old segments.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "commands/vacuum.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/latch.h"
#include "storage/procarray.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "command_work.h"
#include "compat.h"
#include "historian_table.h"
#include "store/compaction_notes.h"
#include "store/directory.h"
#include "write/compaction.h"
#include "write/relocation.h"

PG_FUNCTION_INFO_V1(historian_shrink);

/* What one transaction merges or moves: some seconds of work. */
#define MAX_ROWS_PER_TRANSACTION 2000000
#define MAX_MOVED_PER_TRANSACTION (64 * 1024 * 1024)

/* So long it waits for readers; an autovacuum that samples a table takes some seconds. */
#define MOST_WAIT_MS 30000

/* How long it sleeps between two looks at them. */
#define WAIT_STEP_MS 50

/* A table whose file is being made small. */
typedef struct Shrinking
{
	Oid			relid;
	CompactionOptions options;
	text	   *after;			/* the last tag compacted; NULL at the beginning and at the end */
	EmptiedBlocks emptied;
	Relocation	relocation;
	TransactionId deleted_by;	/* the last transaction that has deleted segments, or invalid */
	TimestampTz waiting_since;	/* for readers that began before its end */
	MemoryContext context;		/* for the members */
} Shrinking;

/* One step, in a transaction of its own.  Returns whether it is to be done again. */
typedef bool (*ShrinkStep) (Relation rel, Shrinking *shrinking);

static List *list_tables(Oid relid, MemoryContext context);
static void shrink_table(Oid relid, MemoryContext context);
static void free_room(Shrinking *shrinking);
static void run_steps(Shrinking *shrinking, LOCKMODE lockmode, ShrinkStep step);
static bool compact_part(Relation rel, Shrinking *shrinking);
static bool reuse_emptied(Relation rel, Shrinking *shrinking);
static bool move_part(Relation rel, Shrinking *shrinking);
static bool wait_for_readers(Relation rel, Shrinking *shrinking);
static bool vacuum_table(Relation rel, Shrinking *shrinking);

/* historian.shrink(table regclass), a procedure */
Datum
historian_shrink(PG_FUNCTION_ARGS)
{
	const char *name = "historian.shrink()";
	const		CallContext *call = (const CallContext *) fcinfo->context;
	MemoryContext context;
	List	   *tables;
	ListCell   *cell;

	if (call == NULL || !IsA(call, CallContext) || call->atomic)
		ereport(ERROR,
				errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				errmsg("%s cannot run inside a transaction block", name),
				errdetail("It commits after each of its steps."),
				errhint("Use CALL outside of transaction blocks and functions, or historian.compact()."));
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("table must not be null"));
	historian_table_check_may_write(name);
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("%s needs the isolation level READ COMMITTED", name),
				errdetail("Compaction merges rows that were committed after the transaction's snapshot was taken."));

	SPI_connect_ext(SPI_OPT_NONATOMIC);
	context = AllocSetContextCreate(CurrentMemoryContext, "historian shrink", ALLOCSET_DEFAULT_SIZES);
	tables = list_tables(PG_GETARG_OID(0), context);
	SPI_commit();
	foreach(cell, tables)
		shrink_table(lfirst_oid(cell), context);
	SPI_finish();
	PG_RETURN_VOID();
}

/* Returns the OIDs of the table, or of a parent's leaves, in the context. */
static List *
list_tables(Oid relid, MemoryContext context)
{
	List	   *tables = historian_table_open_leaves(relid, ACL_NO_RIGHTS, RowExclusiveLock, NULL, false);
	MemoryContext caller = MemoryContextSwitchTo(context);
	List	   *oids = NIL;
	ListCell   *cell;

	foreach(cell, tables)
		oids = lappend_oid(oids, RelationGetRelid((Relation) lfirst(cell)));
	MemoryContextSwitchTo(caller);
	historian_table_close_leaves(tables);
	return oids;
}

static void
shrink_table(Oid relid, MemoryContext context)
{
	Shrinking	shrinking = {
		.relid = relid,
		.options = {.everything = true, .wait = true, .max_rows = MAX_ROWS_PER_TRANSACTION},
		.context = AllocSetContextCreate(context, "historian table to shrink", ALLOCSET_DEFAULT_SIZES),
	};

	shrinking.emptied.context = shrinking.context;
	shrinking.options.emptied = &shrinking.emptied;
	do
	{
		run_steps(&shrinking, RowExclusiveLock, compact_part);
		run_steps(&shrinking, RowExclusiveLock, reuse_emptied);
	} while (shrinking.after != NULL);
	free_room(&shrinking);
	run_steps(&shrinking, RowExclusiveLock, move_part);
	if (shrinking.relocation.ended)
		free_room(&shrinking);
	MemoryContextDelete(shrinking.context);
}

static void
free_room(Shrinking *shrinking)
{
	shrinking->waiting_since = GetCurrentTimestamp();
	run_steps(shrinking, AccessShareLock, wait_for_readers);
	run_steps(shrinking, ShareUpdateExclusiveLock, vacuum_table);
}

/* Makes a step, in one transaction after the other.  Passes over a table that was dropped since. */
static void
run_steps(Shrinking *shrinking, LOCKMODE lockmode, ShrinkStep step)
{
	bool		again;

	do
	{
		Relation	rel;

		CHECK_FOR_INTERRUPTS();
		again = false;
		PushActiveSnapshot(GetTransactionSnapshot());
		rel = try_relation_open(shrinking->relid, lockmode);
		if (rel != NULL && historian_table_is(rel))
		{
			again = step(rel, shrinking);
			if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
				shrinking->deleted_by = GetTopTransactionIdIfAny();
		}
		else
			shrinking->after = NULL;
		if (rel != NULL)
			relation_close(rel, NoLock);
		PopActiveSnapshot();
		SPI_commit();
	} while (again);
}

static bool
compact_part(Relation rel, Shrinking *shrinking)
{
	CompactionCounts counts = {0};
	text	   *after = shrinking->after;
	MemoryContext caller;

	command_work_before_change(rel);
	if (after == NULL)
	{
		CompactionHorizon horizon;

		compaction_notes_start(rel);
		horizon = compaction_horizon_take();
		compaction_horizon_reached(rel, &horizon, true);
		shrinking->options.horizon = horizon.sequence;
	}
	(void) compaction_run(rel, &shrinking->options, &after, &counts);
	caller = MemoryContextSwitchTo(shrinking->context);
	shrinking->after = after != NULL ? DatumGetTextPCopy(PointerGetDatum(after)) : NULL;
	MemoryContextSwitchTo(caller);
	return false;
}

static bool
reuse_emptied(Relation rel, Shrinking *shrinking)
{
	emptied_blocks_reuse(&shrinking->emptied, rel);
	return false;
}

static bool
move_part(Relation rel, Shrinking *shrinking)
{
	Relocation *relocation = &shrinking->relocation;

	command_work_before_change(rel);
	(void) directory_lock(rel, true);
	if (relocation->source == 0 && !relocation_plan(rel, RELOCATION_LEAST, relocation))
		return false;
	relocation_run(rel, relocation, MAX_MOVED_PER_TRANSACTION);
	return !relocation->ended;
}

/* Waits until nobody sees what was deleted, but not for ever. */
static bool
wait_for_readers(Relation rel, Shrinking *shrinking)
{
	if (!TransactionIdIsValid(shrinking->deleted_by) ||
		TransactionIdPrecedes(shrinking->deleted_by, GetOldestNonRemovableTransactionId(rel)))
		return false;
	if (TimestampDifferenceExceeds(shrinking->waiting_since, GetCurrentTimestamp(), MOST_WAIT_MS))
	{
		ereport(WARNING,
				errmsg("historian.shrink() cannot make historian table \"%s\" as small as it could be",
					   RelationGetRelationName(rel)),
				errdetail("A transaction that began earlier is still open, and may read what was merged."),
				errhint("Call it again after that transaction has ended."));
		return false;
	}
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, WAIT_STEP_MS,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	return true;
}

/* Vacuums as the command VACUUM does, which no procedure can run. */
static bool
vacuum_table(Relation rel, Shrinking *shrinking)
{
	VacuumParams params = {
		.options = VACOPT_VACUUM,
		.freeze_min_age = -1,
		.freeze_table_age = -1,
		.multixact_freeze_min_age = -1,
		.multixact_freeze_table_age = -1,
		.log_min_duration = -1,
		.index_cleanup = VACOPTVALUE_ENABLED,
		.truncate = VACOPTVALUE_ENABLED,
		.nworkers = -1,
	};

	table_relation_vacuum(rel, &params, GetAccessStrategy(BAS_VACUUM));
	return false;
}
