/*
 * change_log.h
 *	  Publishes the changes of historian tables as messages in the WAL, for logical decoding.
 *
 * A change is logged by the command and subtransaction that makes it, so that logical decoding sends
 * it with its transaction, in the order of commits, and leaves out what was rolled back.
 *
 * A consumer knows no order but that of commits.  So the writers of a published table are one after
 * the other: the first change of a transaction waits until no other transaction has changes of the
 * table that are not committed yet, and keeps others waiting until it ends.
 */
#ifndef HISTORIAN_CHANGE_LOG_H
#define HISTORIAN_CHANGE_LOG_H

#include "postgres.h"

#include "utils/rel.h"


typedef struct ChangeLog ChangeLog;

/*
 * Makes the transaction the one that may change the table, if its changes are published.  Returns
 * false if another one may.  The caller holds RowExclusiveLock on the table.  Call it before the
 * snapshot is taken under which rows are deleted.
 */
extern bool change_log_try_lock(Relation rel);

/*
 * The same, but waits until the transaction may, and begins to log changes.  Returns NULL if those
 * of the table are not published; the functions below then do nothing.
 */
extern ChangeLog *change_log_begin(Relation rel);

/*
 * Call before a command's insertions are logged, and before its deletions.  A command does not delete
 * what itself, or a command within it, has inserted, but a consumer would if that was logged before.
 * So the second raises an error after such insertions.
 */
extern void change_log_inserts(const ChangeLog *log, CommandId cid);
extern void change_log_deletes(const ChangeLog *log, CommandId cid);

/* Logs what has not been logged yet. */
extern void change_log_end(ChangeLog *log);

/* The rows of a segment were inserted, and replace those of the same tags and times. */
extern void change_log_segment(ChangeLog *log, const uint8 *bytes, Size length);

/* Rows of a tag were deleted: those of some times, or all with first <= time <= last. */
extern void change_log_times(ChangeLog *log, const text *tag, const int64 *times, uint64 ntimes);
extern void change_log_range(ChangeLog *log, const text *tag, int64 first, int64 last);

/* All rows of a tag were given another one, which had none. */
extern void change_log_rename(ChangeLog *log, const text *tag, const text *new_tag);

/* All rows of a table were deleted; the caller holds AccessExclusiveLock. */
extern void change_log_truncate(Relation rel);

#endif							/* HISTORIAN_CHANGE_LOG_H */
