/*
 * compaction_queue.c
 *	  The databases that background compaction will look at in its next round.
 *
 * Sessions that write pending segments add their database, and the launcher takes all of them at
 * the beginning of a round.  After a start of the server, the first round looks at every database.
 */
#include "postgres.h"

#include "store/compaction_queue.h"

#include "miscadmin.h"
#include "storage/lwlock.h"

#include "store/shared_memory.h"

/* Databases that can be added between two rounds; if more are active, all are looked at. */
#define MAX_DATABASES 64

typedef struct QueueShared
{
	bool		all;			/* look at every database */
	int			ndatabases;
	Oid			databases[MAX_DATABASES];
} QueueShared;

static QueueShared *shared = NULL;
static LWLock *lock;

static void attach(void *part, LWLock *part_lock, bool is_new);

void
compaction_queue_init(void)
{
	if (process_shared_preload_libraries_in_progress)
		shared_memory_reserve("historian compaction queue", sizeof(QueueShared), attach);
}

void
compaction_queue_add(Oid database)
{
	bool		known = false;

	if (shared == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	for (int i = 0; i < shared->ndatabases && !known; i++)
		known = shared->databases[i] == database;
	if (!known)
	{
		if (shared->ndatabases < MAX_DATABASES)
			shared->databases[shared->ndatabases++] = database;
		else
			shared->all = true;
	}
	LWLockRelease(lock);
}

bool
compaction_queue_take(List **databases)
{
	QueueShared taken;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	taken = *shared;
	shared->ndatabases = 0;
	shared->all = false;
	LWLockRelease(lock);

	*databases = NIL;
	for (int i = 0; i < taken.ndatabases; i++)
		*databases = lappend_oid(*databases, taken.databases[i]);
	return !taken.all;
}

static void
attach(void *part, LWLock *part_lock, bool is_new)
{
	shared = part;
	lock = part_lock;
	if (is_new)
		shared->all = true;
}
