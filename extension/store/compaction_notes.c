/*
 * compaction_notes.c
 *	  Notes where pending segments were written since compaction last looked at a table.
 *
 * So a round of compaction costs nothing for what has not changed.  Writers note the blocks to
 * which they write pending segments; the next look at the table reads these blocks, and merges the
 * tags that it finds in them.
 *
 * The notes are only in shared memory, so they must not be trusted where they may be incomplete.  A
 * table has one of three states:
 *
 *	   unknown		The table is not listed, and nothing is noted.
 *	   collecting	All that is written after a position in the WAL (`since`) is noted.
 *	   complete		All is noted at which compaction has not looked.
 *
 * A look makes an unknown table a collecting one.  It looks at all tags unless the table was
 * complete.  When its transaction commits, the table becomes complete, if the look's horizon is not
 * before `since`: what the look could not see yet has been noted.  A look that fails or never ends
 * leaves the table collecting, so that the next look is a full one.
 *
 * After a start of the server, a crash or a promotion no table is listed.  If the notes do not fit,
 * or the table has another file (after a rewrite or TRUNCATE), the table becomes unknown.
 */
#include "postgres.h"

#include "store/compaction_notes.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/lwlock.h"
#include "utils/memutils.h"

#include "compat.h"
#include "store/shared_memory.h"

/* The most tables that are listed.  For another one, that used the longest ago is forgotten. */
#define MAX_TABLES 2048

/* The most runs of blocks that are noted, of all tables together; they take less than 1 MB. */
#define MAX_NOTES 65536

typedef struct ListedTable
{
	Oid			database;		/* InvalidOid: the slot is free */
	Oid			relid;
	HistorianFileId file;
	bool		complete;
	uint64		since;
	uint64		look;			/* the number of the last look, or 0 */
	uint64		last_used;
	uint32		nnotes;
} ListedTable;

typedef struct Note
{
	uint32		table;			/* slot */
	NotedBlocks blocks;
} Note;

typedef struct NotesShared
{
	uint64		clock;			/* counts looks and uses */
	int			ntables;		/* slots that were ever used */
	uint32		nnotes;
	ListedTable tables[MAX_TABLES];
	Note		notes[MAX_NOTES];
} NotesShared;

/* A look that ends well if the transaction commits. */
typedef struct DoneLook
{
	Oid			relid;
	uint64		number;
} DoneLook;

static NotesShared *shared = NULL;
static LWLock *lock;
static List *done_looks = NIL;	/* in TopTransactionContext */

static void attach(void *part, LWLock *part_lock, bool is_new);
static ListedTable *find_table(Oid relid);
static ListedTable *find_file(Relation rel);
static ListedTable *new_table(Relation rel);
static void forget_table(ListedTable *table);
static uint32 take_notes(ListedTable *table, NotedBlocks *blocks);
static void make_complete(const DoneLook *done);
static void on_transaction(XactEvent event, void *arg);
static void on_subtransaction(SubXactEvent event, SubTransactionId subid,
							  SubTransactionId parent, void *arg);

void
compaction_notes_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	shared_memory_reserve("historian compaction notes", sizeof(NotesShared), attach);
	RegisterXactCallback(on_transaction, NULL);
	RegisterSubXactCallback(on_subtransaction, NULL);
}

void
compaction_notes_add(Relation rel, const NotedBlocks *blocks, uint32 nblocks)
{
	ListedTable *table;

	if (shared == NULL || nblocks == 0)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	table = find_file(rel);
	for (uint32 i = 0; i < nblocks && table != NULL; i++)
	{
		Note	   *last = shared->nnotes > 0 ? &shared->notes[shared->nnotes - 1] : NULL;

		if (last != NULL && last->table == table - shared->tables &&
			blocks[i].first >= last->blocks.first && blocks[i].first <= last->blocks.last + 1)
			last->blocks.last = Max(last->blocks.last, blocks[i].last);
		else if (shared->nnotes < MAX_NOTES)
		{
			shared->notes[shared->nnotes++] = (Note) {
				.table = table - shared->tables,
				.blocks = blocks[i],
			};
			table->nnotes++;
		}
		else
		{
			forget_table(table);
			table = NULL;
		}
	}
	LWLockRelease(lock);
}

bool
compaction_notes_none(Relation rel)
{
	ListedTable *table;
	bool		none;

	if (shared == NULL)
		return false;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	table = find_file(rel);
	none = table != NULL && table->complete && table->nnotes == 0;
	LWLockRelease(lock);
	return none;
}

void
compaction_notes_start(Relation rel)
{
	if (shared == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (find_file(rel) == NULL)
	{
		ListedTable *table = new_table(rel);

		table->since = GetXLogInsertRecPtr();
	}
	LWLockRelease(lock);
}

CompactionLook
compaction_notes_take(Relation rel)
{
	CompactionLook look = {.full = true};
	ListedTable *table;
	uint32		room = 0;

	if (shared == NULL)
		return look;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	while ((table = find_file(rel)) != NULL && table->complete && table->nnotes > room)
	{
		/* room for some more than now, because others write meanwhile */
		room = table->nnotes + 64;
		LWLockRelease(lock);
		if (look.blocks != NULL)
			pfree(look.blocks);
		look.blocks = palloc_array(NotedBlocks, room);
		LWLockAcquire(lock, LW_EXCLUSIVE);
	}
	if (table != NULL)
	{
		if (table->complete)
		{
			look.full = false;
			look.nblocks = take_notes(table, look.blocks);
			table->since = GetXLogInsertRecPtr();
		}
		table->complete = false;
		table->look = ++shared->clock;
		look.number = table->look;
		look.since = table->since;
	}
	LWLockRelease(lock);
	return look;
}

void
compaction_notes_done(Relation rel, const CompactionLook *look, uint64 horizon)
{
	MemoryContext caller;
	DoneLook   *done;

	/* a look that is not full has noted again what it could not merge yet */
	if (look->number == 0 || (look->full && horizon < look->since))
		return;
	caller = MemoryContextSwitchTo(TopTransactionContext);
	done = palloc_object(DoneLook);
	done->relid = RelationGetRelid(rel);
	done->number = look->number;
	done_looks = lappend(done_looks, done);
	MemoryContextSwitchTo(caller);
}

static void
attach(void *part, LWLock *part_lock, bool is_new)
{
	shared = part;
	lock = part_lock;
}

static ListedTable *
find_table(Oid relid)
{
	for (int i = 0; i < shared->ntables; i++)
	{
		ListedTable *table = &shared->tables[i];

		if (table->relid == relid && table->database == MyDatabaseId)
			return table;
	}
	return NULL;
}

/*
 * Returns the table if it is listed with its present file, and forgets it if it has another file.
 */
static ListedTable *
find_file(Relation rel)
{
	ListedTable *table = find_table(RelationGetRelid(rel));

	if (table == NULL)
		return NULL;
	if (memcmp(&table->file, &historian_rel_file(rel), sizeof(HistorianFileId)) != 0)
	{
		forget_table(table);
		return NULL;
	}
	table->last_used = ++shared->clock;
	return table;
}

/* Lists a table, in a free slot or in that of the table that was used the longest ago. */
static ListedTable *
new_table(Relation rel)
{
	ListedTable *table = &shared->tables[0];

	for (int i = 1; i < shared->ntables && OidIsValid(table->database); i++)
	{
		ListedTable *each = &shared->tables[i];

		if (!OidIsValid(each->database) || each->last_used < table->last_used)
			table = each;
	}
	if (OidIsValid(table->database) && shared->ntables < MAX_TABLES)
		table = &shared->tables[shared->ntables];
	shared->ntables = Max(shared->ntables, table - shared->tables + 1);
	forget_table(table);
	table->database = MyDatabaseId;
	table->relid = RelationGetRelid(rel);
	table->file = historian_rel_file(rel);
	table->last_used = ++shared->clock;
	return table;
}

static void
forget_table(ListedTable *table)
{
	if (table->nnotes > 0)
		(void) take_notes(table, NULL);
	memset(table, 0, sizeof(*table));
}

/*
 * Removes the table's notes, into blocks if that is not NULL, and returns how many it has put
 * there.
 */
static uint32
take_notes(ListedTable *table, NotedBlocks *blocks)
{
	uint32		slot = table - shared->tables;
	uint32		kept = 0;
	uint32		taken = 0;

	for (uint32 i = 0; i < shared->nnotes; i++)
	{
		if (shared->notes[i].table != slot)
			shared->notes[kept++] = shared->notes[i];
		else if (blocks != NULL)
			blocks[taken++] = shared->notes[i].blocks;
	}
	shared->nnotes = kept;
	table->nnotes = 0;
	return taken;
}

/* Makes the table of a look complete, unless another look at it has begun since. */
static void
make_complete(const DoneLook *done)
{
	ListedTable *table;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	table = find_table(done->relid);
	if (table != NULL && table->look == done->number)
		table->complete = true;
	LWLockRelease(lock);
}

static void
on_transaction(XactEvent event, void *arg)
{
	ListCell   *cell;

	switch (event)
	{
		case XACT_EVENT_COMMIT:
			foreach(cell, done_looks)
				make_complete(lfirst(cell));
			done_looks = NIL;
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			done_looks = NIL;
			break;
		default:
			break;
	}
}

static void
on_subtransaction(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg)
{
	/* what the look has merged may have been done in this subtransaction */
	if (event == SUBXACT_EVENT_ABORT_SUB)
		done_looks = NIL;
}
