/*
 * directory.h
 *	  The directory of a historian table: one internal btree that finds segments by tag and time.
 *
 * Its keys are (tag COLLATE "C", time): a compacted segment stands under its first time, a
 * pending one under NULL, which sorts after every time.  A late one stands under its first time and
 * a tag of its own.  Its predicate is the constant false, so
 * that neither the planner nor the executor ever uses it for rows; VACUUM, REINDEX, TRUNCATE,
 * pg_dump and replication treat it like any index.
 */
#ifndef HISTORIAN_DIRECTORY_H
#define HISTORIAN_DIRECTORY_H

#include "postgres.h"

#include "access/genam.h"
#include "catalog/index.h"
#include "nodes/execnodes.h"
#include "storage/itemptr.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

#include "store/store.h"

/* Creates the directory of a table that has none.  Needs a lock on rel that keeps writers out. */
extern void directory_create(Relation rel);

/* Is this index shaped as a directory? */
extern bool directory_is(Relation index);

/*
 * The OID of the directory that reads use, or InvalidOid where the table has none (yet).  While
 * REINDEX CONCURRENTLY builds another beside it there are two.
 */
extern Oid	directory_oid(Relation rel);

/* One that reads may use beside this one, or InvalidOid. */
extern Oid	directory_beside(Relation rel, Oid index_oid);

/* Makes a new index the directory, and drops the former one. */
extern void directory_adopt(Relation rel, Oid index_oid);

/* Takes a new index as ours that is being built beside the directory, concurrently. */
extern void directory_adopt_beside(Oid index_oid);

/* Drops the directory of a table that is no longer a historian table. */
extern void directory_drop(Relation rel);

/* Opens the directory, or raises an error that tells how to make one. */
extern Relation directory_open(Relation rel, LOCKMODE lockmode);

/*
 * Keeps other compactions and deletions of the table out until the transaction ends.  Without
 * wait, returns false where that is not possible at once.
 */
extern bool directory_lock(Relation rel, bool wait);

/*
 * Enters stored segments in the table's directories: in the one being built concurrently, too.  Of a
 * table that has none, because it is being rewritten, they are entered when it gets one.
 */
typedef struct DirectoryWriter DirectoryWriter;

extern DirectoryWriter *directory_writer_begin(Relation rel);
extern void directory_writer_enter(DirectoryWriter *writer, const SegmentHeader *header,
								   ItemPointer tid);
extern void directory_writer_end(DirectoryWriter *writer);

/*
 * Hands every stored segment that is not dead to an index build (snapshot SnapshotAny), or those
 * that a snapshot sees to an index check.  Returns their number.
 */
extern double directory_build(Relation rel, Relation index, Snapshot snapshot,
							  IndexBuildCallback callback, void *callback_state);

/*
 * Enters what a concurrent build has missed: every segment that the snapshot sees and whose place is
 * not among those of the index, which state has in order.
 */
extern void directory_validate(Relation rel, Relation index, IndexInfo *info, Snapshot snapshot,
							   ValidateIndexState *state);

/*
 * A cursor in the directory.  A seek starts a walk and replaces the last one of its kind; walks of
 * different kinds go on side by side.  Each step returns the next segment that the snapshot sees,
 * pinned: the caller releases it with store_release().
 */
typedef struct DirectoryCursor DirectoryCursor;

extern DirectoryCursor *directory_begin(Relation rel, Snapshot snapshot);
extern void directory_end(DirectoryCursor *cursor);

/* The pending segments of a tag, in no particular order. */
extern void directory_seek_pending(DirectoryCursor *cursor, text *tag);
extern bool directory_next_pending(DirectoryCursor *cursor, StoredSegment *stored);

/*
 * The compacted segments that begin at or before time, the latest first; of those, the ones that
 * begin at or after not_before.  A near bound is quicker: the btree reads all entries of a page
 * that are in bounds at the first step.
 */
extern void directory_seek_back(DirectoryCursor *cursor, text *tag, int64 time);
extern void directory_seek_back_within(DirectoryCursor *cursor, text *tag, int64 not_before,
									   int64 time);
extern bool directory_next_back(DirectoryCursor *cursor, StoredSegment *stored);

/* The compacted segments that begin after `after` and at or before `until`, in order. */
extern void directory_seek_forward(DirectoryCursor *cursor, text *tag, int64 after, int64 until);
extern bool directory_next_forward(DirectoryCursor *cursor, StoredSegment *stored);

/* Does a compacted segment begin after `after` and before `before`?  Uses the forward walk. */
extern bool directory_any_between(DirectoryCursor *cursor, text *tag, int64 after, int64 before);

/*
 * The summaries of a tag, and its late segments, stand in the directory like the compacted segments
 * of a tag of their own, which follows the tag and that no user can name: the name to seek them by,
 * palloc'd.
 */
extern text *directory_summary_tag(text *tag);
extern text *directory_late_tag(text *tag);

/*
 * The marks that transactions leave (serializable.c) stand before all tags, as pending segments of a
 * tag that no user can name and no walk from tag to tag comes to.
 */
extern void directory_seek_marks(DirectoryCursor *cursor);
extern SegmentHeader directory_mark_header(void);

/* Does the snapshot see any segment of this tag?  Uses the pending and the back walk. */
extern bool directory_has_tag(DirectoryCursor *cursor, text *tag);

/* Walk over all entries, also those of segments that nobody sees. */
typedef struct DirectoryEntry
{
	ItemPointerData place;
	text	   *tag;			/* or of its summaries or late segments; valid until the next step */
	bool		placed;			/* it stands there by its first time */
	int64		first_time;
} DirectoryEntry;

extern void directory_seek_entries(DirectoryCursor *cursor);
extern bool directory_next_entry(DirectoryCursor *cursor, DirectoryEntry *entry);

/* Is this the key that the segment of this header stands under? */
extern bool directory_entry_fits(const DirectoryEntry *entry, const SegmentHeader *header);

/*
 * The first tag after the given one in byte order (NULL: the first of all), palloc'd, or NULL.
 * Its segments may all be invisible to the snapshot.
 */
extern text *directory_next_tag(DirectoryCursor *cursor, text *tag);

#endif							/* HISTORIAN_DIRECTORY_H */
