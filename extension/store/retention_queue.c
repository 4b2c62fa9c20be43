/*
 * retention_queue.c
 *	  When the background worker is to look after the retention policies of which database.
 *
 * A worker that has kept the policies of its database says when the next one is due.  So a database
 * without policies is visited only once, after the start of the server.  historian.set_retention()
 * has its database visited in the next round.
 */
#include "postgres.h"

#include "store/retention_queue.h"

#include "miscadmin.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"

#include "store/shared_memory.h"

/* Databases with policies; if there are more, all databases are visited when one is due. */
#define MAX_DATABASES 64

typedef struct DueDatabase
{
	Oid			database;
	TimestampTz due;
} DueDatabase;

typedef struct RetentionShared
{
	TimestampTz all_due;		/* when every database is to be visited */
	int			ndatabases;
	DueDatabase databases[MAX_DATABASES];
} RetentionShared;

static RetentionShared *shared = NULL;
static LWLock *lock;

static void attach(void *part, LWLock *part_lock, bool is_new);

void
retention_queue_init(void)
{
	if (process_shared_preload_libraries_in_progress)
		shared_memory_reserve("historian retention queue", sizeof(RetentionShared), attach);
}

void
retention_queue_add(Oid database, TimestampTz due)
{
	DueDatabase *entry = NULL;

	if (shared == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	for (int i = 0; i < shared->ndatabases && entry == NULL; i++)
	{
		if (shared->databases[i].database == database)
			entry = &shared->databases[i];
	}
	if (entry != NULL)
		entry->due = Min(entry->due, due);
	else if (shared->ndatabases < MAX_DATABASES)
		shared->databases[shared->ndatabases++] = (DueDatabase) {database, due};
	else
		shared->all_due = Min(shared->all_due, due);
	LWLockRelease(lock);
}

bool
retention_queue_take(List **databases)
{
	TimestampTz now = GetCurrentTimestamp();
	Oid			taken[MAX_DATABASES];
	int			ntaken = 0;
	int			nleft = 0;
	bool		all;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	all = shared->all_due <= now;
	for (int i = 0; i < shared->ndatabases; i++)
	{
		if (all || shared->databases[i].due <= now)
			taken[ntaken++] = shared->databases[i].database;
		else
			shared->databases[nleft++] = shared->databases[i];
	}
	shared->ndatabases = nleft;
	if (all)
		shared->all_due = DT_NOEND;
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
		shared->all_due = DT_NOBEGIN;
}
