/*
 * change_log.c
 *	  Publishes the changes of historian tables as messages in the WAL, for logical decoding.
 *
 * The table historian.published_table says which tables and parents are published, and in which
 * form.  It is looked up for each write as it is now, whatever the transaction's snapshot is.  That
 * is safe because historian.publish_changes() takes a lock that waits for all writers.
 *
 * Messages have the prefix historian.json or historian.compact.  A message that has reached 256 KiB
 * takes no further changes, and what is added at once is smaller, so none has much more than
 * 512 KiB.
 */
#include "postgres.h"

#include "store/change_log.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "store/change_text.h"


/* The columns of historian.published_table. */
#define COLUMN_RELID 1
#define COLUMN_FORMAT 2

/* How a table is published. */
typedef struct Published
{
	Oid			published;		/* the table, or its parent */
	Oid			root;			/* the table, or its topmost parent */
	bool		compact;
} Published;

struct ChangeLog
{
	ChangeTable table;
	bool		compact;
	StringInfoData segments;	/* the compact form of what is not logged yet */
	ChangeText text;
};

/* The latest command of the present transaction whose insertions into a table were logged. */
typedef struct LoggedInsertion
{
	Oid			relid;
	CommandId	cid;
} LoggedInsertion;

static List *insertions;		/* of LoggedInsertion, in the memory of the transaction */
static TransactionId insertions_xid;	/* whose they are */

static LoggedInsertion *find_insertion(Oid relid);
static bool find_published(Relation rel, Published *how);
static bool find_mark(Relation marks, Oid relid, bool *compact);
static bool lock_order(const Published *how, bool wait);
static ChangeLog *begin_log(Relation rel, const Published *how);
static void log_segments(ChangeLog *log);
static void log_json(void *argument, const char *json, Size length);

bool
change_log_try_lock(Relation rel)
{
	Published	how;

	return !find_published(rel, &how) || lock_order(&how, false);
}

ChangeLog *
change_log_begin(Relation rel)
{
	Published	how;

	if (!find_published(rel, &how))
		return NULL;
	(void) lock_order(&how, true);
	return begin_log(rel, &how);
}

void
change_log_inserts(const ChangeLog *log, CommandId cid)
{
	LoggedInsertion *insertion;

	if (log == NULL)
		return;
	insertion = find_insertion(log->table.relid);
	if (insertion == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);

		insertion = palloc0(sizeof(LoggedInsertion));
		insertion->relid = log->table.relid;
		insertions = lappend(insertions, insertion);
		MemoryContextSwitchTo(caller);
	}
	insertion->cid = Max(insertion->cid, cid);
}

void
change_log_deletes(const ChangeLog *log, CommandId cid)
{
	LoggedInsertion *insertion;

	if (log == NULL)
		return;
	insertion = find_insertion(log->table.relid);
	if (insertion == NULL || insertion->cid < cid)
		return;
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("the command cannot delete rows of %s after it has written new ones",
				   quote_qualified_identifier(log->table.schema, log->table.table)),
			errdetail("The table publishes its changes, and its consumers would delete the new rows too."),
			errhint("Insert and delete by two commands.  Let historian.write_buffer hold all new rows of an UPDATE."));
}

/* Returns what is noted of a table, or NULL. */
static LoggedInsertion *
find_insertion(Oid relid)
{
	TransactionId xid = GetTopTransactionId();
	ListCell   *cell;

	if (insertions_xid != xid)
	{
		insertions_xid = xid;
		insertions = NIL;
	}
	foreach(cell, insertions)
	{
		LoggedInsertion *insertion = lfirst(cell);

		if (insertion->relid == relid)
			return insertion;
	}
	return NULL;
}

void
change_log_end(ChangeLog *log)
{
	if (log == NULL)
		return;
	log_segments(log);
	change_text_end(&log->text);
	pfree(log->segments.data);
	pfree(log);
}

void
change_log_segment(ChangeLog *log, const uint8 *bytes, Size length)
{
	if (log == NULL)
		return;
	if (!log->compact)
	{
		change_text_segment(&log->text, bytes, length);
		return;
	}
	if (log->segments.len == 0)
		change_text_compact_begin(&log->segments, &log->table);
	change_text_compact_add(&log->segments, bytes, length);
	if (log->segments.len >= CHANGE_TEXT_ENOUGH_BYTES)
		log_segments(log);
}

void
change_log_times(ChangeLog *log, const text *tag, const int64 *times, uint64 ntimes)
{
	if (log != NULL)
		change_text_times(&log->text, VARDATA_ANY(tag), VARSIZE_ANY_EXHDR(tag), times, ntimes);
}

void
change_log_range(ChangeLog *log, const text *tag, int64 first, int64 last)
{
	if (log != NULL)
		change_text_range(&log->text, VARDATA_ANY(tag), VARSIZE_ANY_EXHDR(tag), first, last);
}

void
change_log_rename(ChangeLog *log, const text *tag, const text *new_tag)
{
	if (log != NULL)
		change_text_rename(&log->text, VARDATA_ANY(tag), VARSIZE_ANY_EXHDR(tag),
						   VARDATA_ANY(new_tag), VARSIZE_ANY_EXHDR(new_tag));
}

void
change_log_truncate(Relation rel)
{
	Published	how;
	ChangeLog  *log;

	/* nobody else has changes of this table, and those of other partitions do not matter */
	if (!find_published(rel, &how))
		return;
	log = begin_log(rel, &how);
	change_text_truncate(&log->text);
	change_log_end(log);
}

/* Are the changes of the table published, by itself or by a parent?  The nearest decides how. */
static bool
find_published(Relation rel, Published *how)
{
	Oid			schema;
	Oid			marks_oid;
	Relation	marks;
	List	   *ancestors = NIL;
	ListCell   *cell;
	bool		found;

	/* a lower level has no slots, now or later, that would miss the changes */
	if (!XLogLogicalInfoActive() || rel->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
		return false;
	/* the extension's SQL objects may be older than the library */
	schema = get_namespace_oid("historian", true);
	marks_oid = OidIsValid(schema) ? get_relname_relid("published_table", schema) : InvalidOid;
	if (!OidIsValid(marks_oid))
		return false;

	how->published = how->root = RelationGetRelid(rel);
	marks = table_open(marks_oid, AccessShareLock);
	found = find_mark(marks, how->published, &how->compact);
	if (rel->rd_rel->relispartition)
		ancestors = get_partition_ancestors(RelationGetRelid(rel));
	foreach(cell, ancestors)
	{
		how->root = lfirst_oid(cell);
		if (found || !find_mark(marks, lfirst_oid(cell), &how->compact))
			continue;
		how->published = lfirst_oid(cell);
		found = true;
	}
	list_free(ancestors);
	table_close(marks, AccessShareLock);
	return found;
}

/* Looks for the row of a table or parent, and tells whether it asks for the compact form. */
static bool
find_mark(Relation marks, Oid relid, bool *compact)
{
	TupleTableSlot *slot = table_slot_create(marks, NULL);
	ScanKeyData key;
	TableScanDesc scan;
	bool		found;

	ScanKeyInit(&key, COLUMN_RELID, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = table_beginscan(marks, SnapshotSelf, 1, &key);
	found = table_scan_getnextslot(scan, ForwardScanDirection, slot);
	if (found)
	{
		bool		isnull;
		Datum		format = slot_getattr(slot, COLUMN_FORMAT, &isnull);

		*compact = !isnull && strcmp(TextDatumGetCString(format), "compact") == 0;
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return found;
}

/*
 * Takes the lock that its writers hold until they end.  It is one for all partitions of a parent, as
 * two loads may come to them in different orders.
 */
static bool
lock_order(const Published *how, bool wait)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, RelationRelationId, how->root, 0);
	return LockAcquire(&tag, ExclusiveLock, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

static ChangeLog *
begin_log(Relation rel, const Published *how)
{
	ChangeLog  *log = palloc0(sizeof(ChangeLog));

	log->compact = how->compact;
	log->table.relid = RelationGetRelid(rel);
	log->table.schema = get_namespace_name(RelationGetNamespace(rel));
	log->table.table = pstrdup(RelationGetRelationName(rel));
	if (how->published != log->table.relid)
	{
		log->table.parent_schema = get_namespace_name(get_rel_namespace(how->published));
		log->table.parent_table = get_rel_name(how->published);
	}
	initStringInfo(&log->segments);
	change_text_begin(&log->text, &log->table, log_json, NULL);
	return log;
}

static void
log_segments(ChangeLog *log)
{
	if (log->segments.len > 0)
		historian_log_message(CHANGE_TEXT_COMPACT, log->segments.data, log->segments.len, true);
	resetStringInfo(&log->segments);
}

static void
log_json(void *argument, const char *json, Size length)
{
	historian_log_message(CHANGE_TEXT_JSON, json, length, true);
}
