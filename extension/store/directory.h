/*
 * directory.h
 *	  The directory of a historian table: one internal btree that finds segments by tag and time.
 *
 * directory_key.h has the keys of all kinds of segments, and sorted_runs.h how shared segments are
 * found.
 *
 * The btree's predicate is the constant false, so that neither the planner nor the executor ever
 * uses it for rows.  VACUUM, REINDEX, TRUNCATE, pg_dump and replication treat it like any index.
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

#include "store/sorted_runs.h"
#include "store/store.h"

/* Creates the directory of a table that has none.  The caller's lock on rel keeps writers out. */
extern void directory_create(Relation rel);

/* Is this index shaped as a directory? */
extern bool directory_is(Relation index);

/*
 * Returns the OID of the directory that reads use, or InvalidOid if the table has none (yet).
 * While REINDEX CONCURRENTLY runs, a table may have two.
 */
extern Oid	directory_oid(Relation rel);

/* Returns the OID of a directory, other than index_oid, that reads may use, or InvalidOid. */
extern Oid	directory_beside(Relation rel, Oid index_oid);

/* Makes a new index the directory, and drops the former one. */
extern void directory_adopt(Relation rel, Oid index_oid);

/* Marks an index as a directory that is being built concurrently, beside the one in use. */
extern void directory_adopt_beside(Oid index_oid);

/* Drops the directory of a table that is no historian table any more. */
extern void directory_drop(Relation rel);

/* Opens the directory, or raises an error that says how to make one. */
extern Relation directory_open(Relation rel, LOCKMODE lockmode);

/*
 * Keeps other compactions and deletions of the table out until the transaction ends; loads and
 * reads go on.  Without wait, returns false if another transaction has the lock.
 */
extern bool directory_lock(Relation rel, bool wait);

/*
 * Enters stored segments in all directories of a table, including one that is being built
 * concurrently.  A table that is being rewritten has none yet; its segments are entered when its
 * directory is built.
 */
typedef struct DirectoryWriter DirectoryWriter;

extern DirectoryWriter *directory_writer_begin(Relation rel);
extern void directory_writer_enter(DirectoryWriter *writer, const SegmentHeader *header,
								   ItemPointer tid);
extern void directory_writer_end(DirectoryWriter *writer);

/*
 * Calls back for every stored segment that is not dead (SnapshotAny, for an index build), or that
 * the snapshot sees (for a check of the index).  Returns their number.
 */
extern double directory_build(Relation rel, Relation index, Snapshot snapshot,
							  IndexBuildCallback callback, void *callback_state);

/*
 * Enters what a concurrent build has missed: every segment that the snapshot sees and whose place
 * is not among the places in the index, which state->tuplesort returns in order.
 */
extern void directory_validate(Relation rel, Relation index, IndexInfo *info, Snapshot snapshot,
							   ValidateIndexState *state);

/*
 * A cursor in the directory.  A seek starts a walk and ends the former walk of its kind; walks of
 * different kinds go on side by side.  Each step returns the next segment that the snapshot sees,
 * pinned, which the caller releases with store_release().
 */
typedef struct DirectoryCursor DirectoryCursor;

extern DirectoryCursor *directory_begin(Relation rel, Snapshot snapshot);
extern void directory_end(DirectoryCursor *cursor);

/*
 * The pending segments and late runs of a tag, in no particular order, but for its rows in shared
 * segments.
 */
extern void directory_seek_pending(DirectoryCursor *cursor, text *tag);
extern bool directory_next_pending(DirectoryCursor *cursor, StoredSegment *stored);

/*
 * The compacted segments that begin at or before time, and not before not_before, the latest first.
 * A near bound is quicker, because the first step reads all entries of a btree page within bounds.
 */
extern void directory_seek_back(DirectoryCursor *cursor, text *tag, int64 time);
extern void directory_seek_back_within(DirectoryCursor *cursor, text *tag, int64 not_before,
									   int64 time);
extern bool directory_next_back(DirectoryCursor *cursor, StoredSegment *stored);

/* Ends that walk, so that the next one takes over its scan and need not open one. */
extern void directory_end_back(DirectoryCursor *cursor);

/* The compacted segments that begin after `after` and at or before `until`, in order. */
extern void directory_seek_forward(DirectoryCursor *cursor, text *tag, int64 after, int64 until);
extern bool directory_next_forward(DirectoryCursor *cursor, StoredSegment *stored);

/* The sorted runs that the cursor's snapshot sees; of the cursor. */
extern SortedRuns *directory_runs(DirectoryCursor *cursor);

/* Does a compacted segment begin after `after` and before `before`?  Uses the forward walk. */
extern bool directory_any_between(DirectoryCursor *cursor, text *tag, int64 after, int64 before);

/*
 * The tags by which the summaries and the late segments of a tag are keyed, palloc'd.  With these,
 * the walks above find them like compacted segments.
 */
extern text *directory_summary_tag(text *tag);
extern text *directory_late_tag(text *tag);

/*
 * The marks that transactions leave (serializable.c), as a pending walk, and a mark's header.
 */
extern void directory_seek_marks(DirectoryCursor *cursor);
extern SegmentHeader directory_mark_header(void);

/* Does the snapshot see a segment with rows of this tag?  Uses the pending and the back walk. */
extern bool directory_has_tag(DirectoryCursor *cursor, text *tag);

/* An entry of the directory; the segment that it points to may be invisible. */
typedef struct DirectoryEntry
{
	ItemPointerData place;
	text	   *tag;			/* as keyed, NULs included; valid until the next step */
	bool		placed;			/* keyed by first_time; otherwise by NULL */
	int64		first_time;
} DirectoryEntry;

/* A walk over all entries. */
extern void directory_seek_entries(DirectoryCursor *cursor);
extern bool directory_next_entry(DirectoryCursor *cursor, DirectoryEntry *entry);

/*
 * The user's tag in an entry, of a shared segment its fence, of roots and marks none (0 bytes).
 * Points into the entry's.
 */
extern const char *directory_entry_tag(const DirectoryEntry *entry, Size *bytes);

/* Does the entry have the key of a segment with this header? */
extern bool directory_entry_fits(const DirectoryEntry *entry, const SegmentHeader *header);

/*
 * Returns the first tag after the given one in byte order (NULL, or empty: the first of all), palloc'd,
 * or NULL if there is none.  The snapshot may see none of its segments.
 */
extern text *directory_next_tag(DirectoryCursor *cursor, text *tag);

/* The same of the tags that have segments of their own. */
extern text *directory_next_own_tag(DirectoryCursor *cursor, text *tag);

/*
 * For a reader that is done with a tag and seeks later ones in order, of which few have segments of
 * their own: finds the next that has some, so that seeking the tags before it costs no descent.  Where
 * most tags have some, this does nothing for most of them.
 */
extern void directory_look_ahead(DirectoryCursor *cursor, text *tag);

#endif							/* HISTORIAN_DIRECTORY_H */
