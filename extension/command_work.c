/*
 * command_work.c
 *	  What a command gathers for a table and does all at once when it ends.
 *
 * Rules that this file keeps:
 *
 * - Work belongs to one kind, table, subtransaction and command.  What it writes carries exactly
 *	 that command's xmin, xmax and command ID, so that PostgreSQL's own visibility rules hold; the
 *	 command counter is never touched.
 * - Work is done when its command ends (ExecutorFinish, COPY's finish), where it is divisible also
 *	 when the table is read or replaced, and at the latest before its subtransaction commits or is
 *	 prepared.  WAL replay takes a tuple's xmin from the record, so only the current
 *	 subtransaction's work is ever done.
 * - When a subtransaction aborts, its work is dropped.
 */
#include "postgres.h"

#include "command_work.h"

#include "access/xact.h"
#include "utils/memutils.h"

/* Which of the current subtransaction's work to do. */
typedef struct WorkFilter
{
	bool		divisible;
	Oid			relid;			/* InvalidOid: of any table */
	bool		any_cid;
	CommandId	cid;
} WorkFilter;

static CommandWork *works = NULL;

static void finish_subtransaction(void);
static void do_matching(WorkFilter filter);
static void drop_work(SubTransactionId subid);
static void on_transaction(XactEvent event, void *arg);
static void on_subtransaction(SubXactEvent event, SubTransactionId subid,
							  SubTransactionId parent, void *arg);

void
command_work_init(void)
{
	RegisterXactCallback(on_transaction, NULL);
	RegisterSubXactCallback(on_subtransaction, NULL);
}

CommandWork *
command_work_find(const CommandWorkKind *kind, Oid relid, CommandId cid, Size size)
{
	SubTransactionId subid = GetCurrentSubTransactionId();
	MemoryContext context;
	CommandWork *work;

	for (work = works; work != NULL; work = work->next)
	{
		if (work->kind == kind && work->relid == relid && work->subid == subid &&
			work->cid == cid)
			return work;
	}

	context = AllocSetContextCreate(TopTransactionContext, "historian command work",
									ALLOCSET_DEFAULT_SIZES);
	work = MemoryContextAllocZero(context, size);
	work->kind = kind;
	work->relid = relid;
	work->subid = subid;
	work->cid = cid;
	work->xid = GetCurrentTransactionId();
	work->context = context;
	work->next = works;
	works = work;
	return work;
}

bool
command_work_is_alone(const CommandWork *work)
{
	return works == work && work->next == NULL;
}

void
command_work_flush(Oid relid)
{
	if (works != NULL)
		do_matching((WorkFilter) {.relid = relid, .divisible = true, .any_cid = true});
}

void
command_work_finish(CommandId cid)
{
	if (works == NULL)
		return;
	do_matching((WorkFilter) {.cid = cid});
	do_matching((WorkFilter) {.cid = cid, .divisible = true});
}

/* Does all that the current subtransaction has gathered: it ends. */
static void
finish_subtransaction(void)
{
	if (works == NULL)
		return;
	do_matching((WorkFilter) {.any_cid = true});
	do_matching((WorkFilter) {.any_cid = true, .divisible = true});
}

static void
do_matching(WorkFilter filter)
{
	SubTransactionId subid = GetCurrentSubTransactionId();
	CommandWork **link = &works;

	while (*link != NULL)
	{
		CommandWork *work = *link;
		MemoryContext caller;

		if (work->subid != subid || work->kind->divisible != filter.divisible ||
			(OidIsValid(filter.relid) && work->relid != filter.relid) ||
			(!filter.any_cid && work->cid != filter.cid))
		{
			link = &work->next;
			continue;
		}
		/* out of the list first: an error in the middle aborts what the work belongs to */
		*link = work->next;
		caller = MemoryContextSwitchTo(work->context);
		work->kind->work_do(work);
		MemoryContextSwitchTo(caller);
		MemoryContextDelete(work->context);
		/* doing it may have changed the list */
		link = &works;
	}
}

/* Forgets a subtransaction's work (InvalidSubTransactionId: all). */
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
