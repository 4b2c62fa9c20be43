/*
 * directory_walk.c
 *	  Index scans of a directory that are opened once and then used again.
 */
#include "postgres.h"

#include "store/directory_walk.h"

#include "catalog/pg_collation.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "compat.h"
#include "store/directory_key.h"

static IndexScanDesc take_idle(IdleScans *idle, int nkeys);
static void put_idle(DirectoryWalk *walk, const DirectoryView *view);
static bool is_entered(const DirectoryWalk *walk, const DirectoryView *view,
					   const ItemPointerData *place);
static void add_key(DirectoryWalk *walk, int flags, AttrNumber column, StrategyNumber strategy,
					Oid collation, RegProcedure procedure);

void
directory_walk_compare_tag(DirectoryWalk *walk, StrategyNumber strategy, RegProcedure procedure)
{
	add_key(walk, 0, KEY_TAG, strategy, C_COLLATION_OID, procedure);
}

void
directory_walk_compare_time(DirectoryWalk *walk, StrategyNumber strategy, RegProcedure procedure)
{
	add_key(walk, 0, KEY_TIME, strategy, InvalidOid, procedure);
}

void
directory_walk_null_time(DirectoryWalk *walk)
{
	add_key(walk, SK_ISNULL | SK_SEARCHNULL, KEY_TIME, InvalidStrategy, InvalidOid, InvalidOid);
}

void
directory_walk_start(DirectoryWalk *walk, const DirectoryView *view)
{
	MemoryContext caller = MemoryContextSwitchTo(view->context);

	walk->nothing = false;
	if (walk->scan == NULL)
		walk->scan = take_idle(view->idle, walk->nkeys);
	if (walk->scan == NULL)
		walk->scan = historian_index_beginscan(view->rel, view->directory, view->snapshot,
											   walk->nkeys);
	walk->scan->xs_want_itup = walk->want_key;
	index_rescan(walk->scan, walk->keys, walk->nkeys, NULL, 0);
	MemoryContextSwitchTo(caller);
}

/*
 * A walk that returns keys keeps a pin on a page of the index.  VACUUM would wait for the page for as long
 * as the walk's reader is busy with what it has found, so the scan leaves it here.
 */
void
directory_walk_end(DirectoryWalk *walk, const DirectoryView *view)
{
	MemoryContext caller;

	walk->nothing = true;
	if (walk->scan == NULL)
		return;
	caller = MemoryContextSwitchTo(view->context);
	/* the keys' values may be gone */
	index_rescan(walk->scan, NULL, walk->nkeys, NULL, 0);
	MemoryContextSwitchTo(caller);
	put_idle(walk, view);
}

void
directory_walk_close(IdleScans *idle)
{
	while (idle->nscans > 0)
		index_endscan(idle->scans[--idle->nscans]);
}

ItemPointer
directory_walk_step(DirectoryWalk *walk, const DirectoryView *view, ScanDirection direction)
{
	MemoryContext caller;
	ItemPointer tid;

	if (walk->nothing)
		return NULL;
	caller = MemoryContextSwitchTo(view->context);
	tid = index_getnext_tid(walk->scan, direction);
	MemoryContextSwitchTo(caller);
	if (tid == NULL)
	{
		walk->nothing = true;
		put_idle(walk, view);
	}
	return tid;
}

const text *
directory_walk_key(const DirectoryWalk *walk)
{
	bool		isnull;

	return DatumGetTextPP(index_getattr(walk->scan->xs_itup, KEY_TAG, walk->scan->xs_itupdesc,
										&isnull));
}

void
directory_walk_absent(DirectoryWalk *walk, const DirectoryView *view, const text *tag,
					  const ItemPointerData *place, StoreAbsence absence)
{
	ItemPointerData at = *place;

	/*
	 * The walk may have read the entry before VACUUM removed it, and then made the place free.  So
	 * look whether it is still there, and then whether the place has got a new segment.
	 */
	if (absence == STORE_EMPTY && is_entered(walk, view, &at) && store_is_empty(view->rel, &at))
		store_report_vanished(view->rel, tag, &at);
	if (absence == STORE_DEAD && !walk->scan->xactStartedInRecovery)
		walk->scan->kill_prior_tuple = true;
}

/* Does the directory have the entry of this place among those that the walk seeks? */
static bool
is_entered(const DirectoryWalk *walk, const DirectoryView *view, const ItemPointerData *place)
{
	DirectoryWalk again = *walk;
	ItemPointer found;

	again.scan = NULL;
	directory_walk_start(&again, view);
	do
	{
		CHECK_FOR_INTERRUPTS();
		found = directory_walk_step(&again, view, ForwardScanDirection);
	} while (found != NULL && !ItemPointerEquals(found, (ItemPointer) place));
	directory_walk_end(&again, view);
	return found != NULL;
}

/* An idle scan with so many keys, or NULL. */
static IndexScanDesc
take_idle(IdleScans *idle, int nkeys)
{
	for (int i = idle->nscans - 1; i >= 0; i--)
	{
		IndexScanDesc scan = idle->scans[i];

		if (scan->numberOfKeys == nkeys)
		{
			idle->scans[i] = idle->scans[--idle->nscans];
			return scan;
		}
	}
	return NULL;
}

static void
put_idle(DirectoryWalk *walk, const DirectoryView *view)
{
	if (view->idle->nscans < WALK_MAX_IDLE)
		view->idle->scans[view->idle->nscans++] = walk->scan;
	else
		index_endscan(walk->scan);
	walk->scan = NULL;
}

static void
add_key(DirectoryWalk *walk, int flags, AttrNumber column, StrategyNumber strategy, Oid collation,
		RegProcedure procedure)
{
	ScanKeyEntryInitialize(&walk->keys[walk->nkeys++], flags, column, strategy, InvalidOid,
						   collation, procedure, (Datum) 0);
}
