/*
 * compaction_queue.c
 *	  The databases that background compaction will look at.
 *
 * Sessions that write pending segments add their database, and the launcher takes it at the beginning of
 * a round, soon if many rows were added.  After a start of the server, the first round looks at every database.
 */
#include "postgres.h"

#include "store/compaction_queue.h"

#include "miscadmin.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"

#include "store/shared_memory.h"

/* Databases that can be added between two rounds; if more are active, all are looked at. */
#define MAX_DATABASES 64

typedef struct QueueEntry
{
	Oid			database;
	TimestampTz since;			/* when it was added after it was last taken */
	uint64		rows;			/* loaded from then on */
} QueueEntry;

typedef struct QueueShared
{
	bool		all;			/* look at every database */
	int			ndatabases;
	QueueEntry	databases[MAX_DATABASES];
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
compaction_queue_add(Oid database, uint64 rows)
{
	int			i = 0;

	if (shared == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	while (i < shared->ndatabases && shared->databases[i].database != database)
		i++;
	if (i == MAX_DATABASES)
		shared->all = true;
	else
	{
		if (i == shared->ndatabases)
			shared->databases[shared->ndatabases++] = (QueueEntry) {database, GetCurrentTimestamp()};
		shared->databases[i].rows += rows;
	}
	LWLockRelease(lock);
}

bool
compaction_queue_take(List **databases, uint64 min_rows, int longest_wait_ms)
{
	Oid			taken[MAX_DATABASES];
	int			ntaken = 0;
	int			nleft = 0;
	bool		all;
	TimestampTz now = GetCurrentTimestamp();

	LWLockAcquire(lock, LW_EXCLUSIVE);
	all = shared->all;
	for (int i = 0; i < shared->ndatabases; i++)
	{
		QueueEntry *entry = &shared->databases[i];

		if (all || entry->rows >= min_rows ||
			entry->since > now ||	/* the clock was set back */
			TimestampDifferenceExceeds(entry->since, now, longest_wait_ms))
			taken[ntaken++] = entry->database;
		else
			shared->databases[nleft++] = *entry;
	}
	shared->ndatabases = nleft;
	shared->all = false;
	LWLockRelease(lock);

	*databases = NIL;
	for (int i = 0; i < ntaken; i++)
		*databases = lappend_oid(*databases, taken[i]);
	return !all;
}

static void
attach(void *part, LWLock *part_lock, bool is_new)
{
	shared = part;
	lock = part_lock;
	if (is_new)
		shared->all = true;
}
