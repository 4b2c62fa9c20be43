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
	{
		walk->scan = historian_index_beginscan(view->rel, view->directory, view->snapshot,
											   walk->nkeys);
		walk->scan->xs_want_itup = walk->want_key;
	}
	index_rescan(walk->scan, walk->keys, walk->nkeys, NULL, 0);
	MemoryContextSwitchTo(caller);
}

void
directory_walk_end(DirectoryWalk *walk)
{
	if (walk->scan != NULL)
		index_endscan(walk->scan);
	walk->scan = NULL;
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
directory_walk_pause(DirectoryWalk *walk, const DirectoryView *view)
{
	directory_walk_start(walk, view);
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
	directory_walk_end(&again);
	return found != NULL;
}

static void
add_key(DirectoryWalk *walk, int flags, AttrNumber column, StrategyNumber strategy, Oid collation,
		RegProcedure procedure)
{
	ScanKeyEntryInitialize(&walk->keys[walk->nkeys++], flags, column, strategy, InvalidOid,
						   collation, procedure, (Datum) 0);
}
