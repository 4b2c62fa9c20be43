/*
 * command_work.c
 *	  What a command gathers for a table and does all at once when it ends.
 *
 * Rules that this file keeps:
 *
 * - Work belongs to one kind, table, subtransaction and command.  What it writes carries exactly
 *	 that command's xmin, xmax and command ID, so that PostgreSQL's own visibility rules hold; the
 *	 command counter is never touched.
 * - Work is done when its command ends (ExecutorFinish, COPY's finish), when the table is read or
 *	 replaced, and at the latest before its subtransaction commits or is prepared.  WAL replay takes
 *	 a tuple's xmin from the record, so only the current subtransaction's work is ever done.
 * - When a subtransaction aborts, its work is dropped.
 */
#include "postgres.h"

#include "command_work.h"

#include "access/xact.h"
#include "utils/memutils.h"

static CommandWork *works = NULL;

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
command_work_find(CommandWorkDo work_do, Oid relid, CommandId cid, Size size)
{
	SubTransactionId subid = GetCurrentSubTransactionId();
	MemoryContext context;
	CommandWork *work;

	for (work = works; work != NULL; work = work->next)
	{
		if (work->work_do == work_do && work->relid == relid && work->subid == subid &&
			work->cid == cid)
			return work;
	}

	context = AllocSetContextCreate(TopTransactionContext, "historian command work",
									ALLOCSET_DEFAULT_SIZES);
	work = MemoryContextAllocZero(context, size);
	work->work_do = work_do;
	work->relid = relid;
	work->subid = subid;
	work->cid = cid;
	work->xid = GetCurrentTransactionId();
	work->context = context;
	work->next = works;
	works = work;
	return work;
}

void
command_work_flush(Oid relid)
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

		if (work->subid != subid || (OidIsValid(relid) && work->relid != relid))
		{
			link = &work->next;
			continue;
		}
		/* out of the list first: an error in the middle aborts what the work belongs to */
		*link = work->next;
		caller = MemoryContextSwitchTo(work->context);
		work->work_do(work);
		MemoryContextSwitchTo(caller);
		MemoryContextDelete(work->context);
		/* doing it may have changed the list (it ran a scan, say) */
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
			command_work_flush(InvalidOid);
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
			command_work_flush(InvalidOid);
			break;
		case SUBXACT_EVENT_ABORT_SUB:
			drop_work(subid);
			break;
		default:
			break;
	}
}
