/*
 * run_ahead.c
 *	  The next segments of a sorted run, read ahead from the directory.
 *
 * An entry whose segment a snapshot sees stays where it is, as long as the snapshot is in use.  Another
 * entry may be gone when its turn comes, and its place may have a new segment, which the snapshot does
 * not see either.
 */
#include "postgres.h"

#include "store/run_ahead.h"

#include "utils/snapmgr.h"

/* So many entries are read at first; each time after that twice as many, and so many more. */
#define FIRST_WANTED 4

void
run_ahead_forget(RunAhead *ahead)
{
	ahead->nentries = 0;
	ahead->next = 0;
	ahead->wanted = 0;
}

void
run_ahead_free(RunAhead *ahead)
{
	if (ahead->entries != NULL)
		pfree(ahead->entries);
	ahead->entries = NULL;
	run_ahead_forget(ahead);
}

const RunAheadEntry *
run_ahead_next(RunAhead *ahead)
{
	return ahead->next < ahead->nentries ? &ahead->entries[ahead->next++] : NULL;
}

void
run_ahead_read(RunAhead *ahead, DirectoryWalk *walk, const DirectoryView *view)
{
	ItemPointer place;

	ahead->nentries = 0;
	ahead->next = 0;
	if (!IsMVCCSnapshot(view->snapshot))
		return;
	if (ahead->wanted > 0 && ahead->entries == NULL)
		ahead->entries = MemoryContextAlloc(view->context, RUN_AHEAD_MOST * sizeof(RunAheadEntry));
	while (ahead->nentries < ahead->wanted &&
		   (place = directory_walk_step(walk, view, ForwardScanDirection)) != NULL)
	{
		RunAheadEntry *entry = &ahead->entries[ahead->nentries++];

		entry->place = *place;
		directory_key_copy(&entry->key, directory_walk_key(walk));
	}
	/* a reader that looks into one segment and the next does not come so far */
	ahead->wanted = Min(RUN_AHEAD_MOST, 2 * ahead->wanted + FIRST_WANTED);
}
