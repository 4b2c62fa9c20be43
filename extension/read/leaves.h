/*
 * leaves.h
 *	  The historian tables that an SQL function reads: one, or the leaves of a partitioned parent.
 *
 * The rows of one tag and time lie in one leaf only: parents of which this is not certain are refused.
 */
#ifndef HISTORIAN_LEAVES_H
#define HISTORIAN_LEAVES_H

#include "postgres.h"

#include "nodes/execnodes.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

#include "store/directory.h"

typedef struct Leaf
{
	Relation	rel;
	DirectoryCursor *cursor;
	struct LeafTags *tags;		/* which it may hold, or NULL: any */
} Leaf;

typedef struct Leaves
{
	Snapshot	snapshot;
	uint32		nleaves;
	Leaf	   *leaves;
} Leaves;

/*
 * Opens a historian table, or the leaves of a partitioned parent, that the user may SELECT from, for
 * the active snapshot, and writes what this command has gathered for them.  Raises an error where
 * row-level security is in force, which a function cannot apply.  As SELECT does, looks at the
 * privileges and the policies of what was named alone.
 */
extern Leaves *leaves_open(Oid relid);

/* Closes them and keeps their locks.  Those chosen of them are then closed too. */
extern void leaves_close(Leaves *leaves);

/* Those that may hold a tag, as far as the partitions' bounds tell; of a single table, itself. */
extern Leaves *leaves_for_tag(const Leaves *leaves, text *tag);

/* Frees such a choice; its leaves stay open. */
extern void leaves_free(Leaves *leaves);

/* Those in which the snapshot sees rows of a tag, which may be none. */
extern Leaves *leaves_with_tag(const Leaves *leaves, text *tag);

/* The same once more with cursors of their own, for a walk beside another one. */
extern Leaves *leaves_again(const Leaves *leaves);
extern void leaves_again_end(Leaves *leaves);

/* Walks from tag to tag in byte order. */
typedef struct TagWalk
{
	const Leaves *leaves;
	text	  **next;			/* of each leaf */
} TagWalk;

extern TagWalk *tag_walk_begin(const Leaves *leaves);

/*
 * The next tag, palloc'd, and the leaves that have segments of it, which may all be invisible to the
 * snapshot; or NULL at the end.
 */
extern text *tag_walk_next(TagWalk *walk, Leaves **with_tag);

#endif							/* HISTORIAN_LEAVES_H */
