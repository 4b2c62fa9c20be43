/*
 * command_work.c
 *	  Work that a command gathers for a table, and that is done all at once when the command ends.
 *
 * Two kinds of work exist: rows to insert (writer.c), which is divisible, and rows to delete or
 * update (deletion.c), which is not.  Rules that this file keeps:
 *
 * - Work belongs to one kind, table, subtransaction and command.  Segments that it writes or
 *	 deletes carry exactly the IDs of that subtransaction and command, so that PostgreSQL's own
 *	 visibility rules hold.  The command counter is never advanced.
 * - Work is done when its command ends or, at the latest, when the command ends within which that one
 *	 ran; in either case before the AFTER triggers run.  Indivisible work comes first.  Divisible work
 *	 is also done when a later command reads the table, and at the latest before its subtransaction
 *	 commits or is prepared, because the commands of logical replication have no end that is visible
 *	 here.
 * - Divisible work of one table is done in the order in which it was gathered.
 * - A subscription applies each row as a command of its own.  Such commands share one piece of
 *	 divisible work, which has the ID of the last of them, or there would be as many pieces as rows.
 *	 A reader whose snapshot lies between these commands gets an error.
 * - WAL replay takes a tuple's xmin from the record, so only work of the current subtransaction can
 *	 be done.  A reader that would have to see other work gets an error.  Such a reader runs in the
 *	 middle of a command that deletes or updates, or in a subtransaction within a command that
 *	 inserts.
 * - Gathered work is in the memory of this process, so that no parallel worker sees it.  While
 *	 there is any, queries run without workers.
 * - When a subtransaction aborts, its work is dropped.  No work outlives its transaction.
 */
#include "postgres.h"

#include "command_work.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "replication/logicalworker.h"
#include "tcop/utility.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* Selects work of the current subtransaction. */
typedef struct WorkFilter
{
	bool		divisible;
	Oid			relid;			/* InvalidOid: of any table */
	CommandId	cid;			/* of this command and later ones */
} WorkFilter;

/* All work of the transaction, in the order in which it was begun. */
static CommandWork *works = NULL;
static Size works_bytes = 0;	/* the sum of their bytes */

static ExecutorStart_hook_type next_executor_start = NULL;
static ExecutorFinish_hook_type next_executor_finish = NULL;
static ProcessUtility_hook_type next_utility = NULL;

static void on_executor_start(QueryDesc *query, int flags);
static void on_executor_finish(QueryDesc *query);
static void finish_modifying_ctes(EState *estate);
static void on_utility(PlannedStmt *statement, const char *query, bool read_only_tree,
					   ProcessUtilityContext context, ParamListInfo params,
					   QueryEnvironment *environment, DestReceiver *receiver,
					   QueryCompletion *completion);
static void finish_command(CommandId cid);
static void finish_subtransaction(void);
static void before_command(Relation rel, CommandId cid);
static void do_matching(WorkFilter filter);
static void drop_work(SubTransactionId subid);
static void on_transaction(XactEvent event, void *arg);
static void on_subtransaction(SubXactEvent event, SubTransactionId subid,
							  SubTransactionId parent, void *arg);

void
command_work_init(void)
{
	next_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = on_executor_start;
	next_executor_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = on_executor_finish;
	next_utility = ProcessUtility_hook;
	ProcessUtility_hook = on_utility;
	RegisterXactCallback(on_transaction, NULL);
	RegisterSubXactCallback(on_subtransaction, NULL);
}

CommandWork *
command_work_find(const CommandWorkKind *kind, Oid relid, CommandId cid, Size size)
{
	SubTransactionId subid = GetCurrentSubTransactionId();
	CommandWork **link;
	CommandWork *former = NULL;
	MemoryContext context;
	CommandWork *work;

	for (link = &works; (work = *link) != NULL; link = &work->next)
	{
		if (work->kind != kind || work->relid != relid || work->subid != subid)
			continue;
		if (work->cid == cid)
			return work;
		former = work;
	}
	if (former != NULL && kind->divisible && former->cid < cid && IsLogicalWorker())
	{
		former->cid = cid;
		return former;
	}

	context = AllocSetContextCreate(TopTransactionContext, "historian command work",
									ALLOCSET_DEFAULT_SIZES);
	work = MemoryContextAllocZero(context, size);
	work->kind = kind;
	work->relid = relid;
	work->subid = subid;
	work->first_cid = cid;
	work->cid = cid;
	work->xid = GetCurrentTransactionId();
	work->context = context;
	*link = work;
	return work;
}

bool
command_work_is_alone(const CommandWork *work)
{
	return works == work && work->next == NULL;
}

bool
command_work_has_other(const CommandWork *work)
{
	for (const CommandWork *other = works; other != NULL; other = other->next)
	{
		if (other != work)
			return true;
	}
	return false;
}

void
command_work_write(Oid relid)
{
	do_matching((WorkFilter) {.relid = relid, .divisible = true, .cid = FirstCommandId});
}

void
command_work_count(CommandWork *work, Size bytes)
{
	works_bytes += bytes - work->bytes;
	work->bytes = bytes;
}

void
command_work_limit(Size limit)
{
	/* works_bytes is quick to compare, but includes outer subtransactions, whose work must wait */
	while (works_bytes > limit)
	{
		SubTransactionId subid = GetCurrentSubTransactionId();
		CommandWork *largest = NULL;
		Size		sum = 0;

		for (CommandWork *work = works; work != NULL; work = work->next)
		{
			if (work->subid != subid || !work->kind->divisible)
				continue;
			sum += work->bytes;
			if (largest == NULL || work->bytes > largest->bytes)
				largest = work;
		}
		if (sum <= limit)
			return;
		Assert(largest != NULL);
		command_work_write(largest->relid);
	}
}

void
command_work_before_read(Relation rel, Snapshot snapshot)
{
	before_command(rel, IsMVCCSnapshot(snapshot) ? snapshot->curcid : InvalidCommandId);
}

void
command_work_before_change(Relation rel)
{
	before_command(rel, InvalidCommandId);
}

/*
 * Does the work that commands before cid have gathered for the table, or raises an error.
 * InvalidCommandId, the greatest number, stands for the end of all commands.
 */
static void
before_command(Relation rel, CommandId cid)
{
	Oid			relid = RelationGetRelid(rel);
	bool		wanted = false;
	bool		between = false;

	/* a parallel worker has gathered nothing, and may not write */
	if (works == NULL || IsParallelWorker())
		return;
	for (CommandWork *work = works; work != NULL; work = work->next)
	{
		wanted |= work->relid == relid && work->first_cid < cid;
		between |= work->relid == relid && work->first_cid < cid && work->cid >= cid &&
			work->first_cid < work->cid;
	}
	if (!wanted)
		return;
	if (between)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_IN_USE),
				errmsg("cannot read historian table \"%s\" as it was between two rows of a subscription",
					   RelationGetRelationName(rel)),
				errdetail("The rows of a subscription's transaction are stored together."));

	command_work_write(relid);
	for (CommandWork *work = works; work != NULL; work = work->next)
	{
		if (work->relid == relid && work->cid < cid)
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_IN_USE),
					errmsg("historian table \"%s\" is being changed by a command that has not ended",
						   RelationGetRelationName(rel)),
					work->kind->divisible
					? errdetail("The rows that the command inserts cannot be read in a subtransaction within it.")
					: errdetail("The rows that the command deletes or updates are changed all at once when it ends."),
					work->kind->divisible
					? errhint("Read the table without EXCEPTION or SAVEPOINT in between, or after the command.")
					: errhint("Read the table before or after the command, for example in an AFTER ... FOR EACH STATEMENT trigger."));
	}
}

/*
 * Keeps a query without parallel workers while there is work.  The query may run within the command
 * that gathers the work, for example in a function that the command calls, and may read the table
 * in any node of its plan or in a function; so the whole query does without workers.  Its plan may
 * be cached for other executions, so it is copied before it is changed.
 */
static void
on_executor_start(QueryDesc *query, int flags)
{
	if (works != NULL && query->plannedstmt->parallelModeNeeded)
	{
		PlannedStmt *without_workers = palloc(sizeof(PlannedStmt));

		*without_workers = *query->plannedstmt;
		without_workers->parallelModeNeeded = false;
		query->plannedstmt = without_workers;
	}
	if (next_executor_start != NULL)
		next_executor_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
}

/*
 * Does a command's work when the command ends.  It ends only after those of its data-modifying CTEs
 * that the query has not read to their end.  standard_ExecutorFinish() would run these, and then
 * the AFTER triggers; the CTEs are run here, so that the triggers find the work done.
 */
static void
on_executor_finish(QueryDesc *query)
{
	if (query->operation != CMD_SELECT || query->plannedstmt->hasModifyingCTE)
	{
		finish_modifying_ctes(query->estate);
		finish_command(query->estate->es_output_cid);
	}
	if (next_executor_finish != NULL)
		next_executor_finish(query);
	else
		standard_ExecutorFinish(query);
}

/*
 * Runs data-modifying CTEs to their end, as ExecPostprocessPlan() in PostgreSQL's execMain.c does.
 * That will run after this and find that they return nothing more.
 */
static void
finish_modifying_ctes(EState *estate)
{
	MemoryContext caller = MemoryContextSwitchTo(estate->es_query_cxt);
	ListCell   *cell;

	estate->es_direction = ForwardScanDirection;
	foreach(cell, estate->es_auxmodifytables)
	{
		TupleTableSlot *slot;

		do
		{
			ResetPerTupleExprContext(estate);
			slot = ExecProcNode((PlanState *) lfirst(cell));
		} while (!TupIsNull(slot));
	}
	MemoryContextSwitchTo(caller);
}

/*
 * Does the work of COPY FROM when that ends.  COPY does not always call finish_bulk_insert(): not
 * where a trigger or a volatile default makes it insert row by row.
 */
static void
on_utility(PlannedStmt *statement, const char *query, bool read_only_tree,
		   ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
		   DestReceiver *receiver, QueryCompletion *completion)
{
	const CopyStmt *copy = (const CopyStmt *) statement->utilityStmt;
	CommandId	cid = GetCurrentCommandId(false);
	ProcessUtility_hook_type utility = next_utility != NULL ? next_utility
		: standard_ProcessUtility;

	utility(statement, query, read_only_tree, context, params, environment, receiver, completion);
	if (IsA(copy, CopyStmt) && copy->is_from)
		finish_command(cid);
}

/*
 * Does all work of a command, and of those within it, which have greater numbers and have ended.  A
 * trigger that takes the current number has a greater one, too, once a function within the command
 * has written: that of historian.bundle does.  An UPDATE's old rows are deleted before its new ones
 * are written.
 */
static void
finish_command(CommandId cid)
{
	do_matching((WorkFilter) {.cid = cid});
	do_matching((WorkFilter) {.cid = cid, .divisible = true});
}

/*
 * Does the work that is left when the current subtransaction ends.  Indivisible work cannot be
 * left, unless its command did not end in a way that this file sees.
 */
static void
finish_subtransaction(void)
{
	SubTransactionId subid = GetCurrentSubTransactionId();

	do_matching((WorkFilter) {.divisible = true, .cid = FirstCommandId});
	for (CommandWork *work = works; work != NULL; work = work->next)
	{
		if (work->subid == subid)
			elog(ERROR, "command %u has deleted rows of table %u and was never finished",
				 work->cid, work->relid);
	}
}

/* Does the current subtransaction's work that matches the filter, in order. */
static void
do_matching(WorkFilter filter)
{
	SubTransactionId subid;
	CommandWork **link = &works;

	if (works == NULL)
		return;
	subid = GetCurrentSubTransactionId();
	while (*link != NULL)
	{
		CommandWork *work = *link;
		MemoryContext caller;

		if (work->subid != subid || work->kind->divisible != filter.divisible ||
			(OidIsValid(filter.relid) && work->relid != filter.relid) ||
			work->cid < filter.cid)
		{
			link = &work->next;
			continue;
		}

		/*
		 * taken out of the list first, as an error aborts the subtransaction and so drops the work
		 */
		*link = work->next;
		works_bytes -= work->bytes;
		caller = MemoryContextSwitchTo(work->context);
		work->kind->work_do(work);
		MemoryContextSwitchTo(caller);
		MemoryContextDelete(work->context);
		/* work_do() may have changed the list */
		link = &works;
	}
}

/* Forgets the work of a subtransaction, or all work (InvalidSubTransactionId). */
static void
drop_work(SubTransactionId subid)
{
	CommandWork **link = &works;

	while (*link != NULL)
	{
		CommandWork *work = *link;

		if (subid != InvalidSubTransactionId && work->subid != subid)
		{
			link = &work->next;
			continue;
		}
		*link = work->next;
		works_bytes -= work->bytes;
		MemoryContextDelete(work->context);
	}
}

static void
on_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			finish_subtransaction();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			Assert(works == NULL);
			break;
		case XACT_EVENT_ABORT:
			drop_work(InvalidSubTransactionId);
			break;
		default:
			break;
	}
}

static void
on_subtransaction(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg)
{
	switch (event)
	{
		case SUBXACT_EVENT_PRE_COMMIT_SUB:
			finish_subtransaction();
			break;
		case SUBXACT_EVENT_ABORT_SUB:
			drop_work(subid);
			break;
		default:
			break;
	}
}
