/*
 * leaves.h
 *	  The historian tables that a SQL function reads: one, or the leaves of a partitioned parent,
 *	  which may be foreign tables.
 *
 * Readers rely on it that all rows of one tag and time are in one leaf, where the later load's
 * stays.  Parents for which this is not certain are refused.
 */
#ifndef HISTORIAN_LEAVES_H
#define HISTORIAN_LEAVES_H

#include "postgres.h"

#include "catalog/pg_class.h"
#include "nodes/execnodes.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

#include "read/foreign_rows.h"
#include "store/directory.h"

typedef struct Leaf
{
	Relation	rel;
	DirectoryCursor *cursor;	/* of one walk at a time; leaves_again() gives another one */
	struct LeafTags *tags;		/* the tags that it may have, or NULL: any */
	const ForeignTag *foreign;	/* in a walk: what a foreign leaf has of the tag */
} Leaf;

/*
 * Is it read by SQL (foreign_rows.h), without a cursor?  So are foreign tables, and what policies of
 * row-level security must be applied to row by row.
 */
static inline bool
leaf_is_by_sql(const Leaf *leaf)
{
	return leaf->cursor == NULL;
}

typedef struct Leaves
{
	Snapshot	snapshot;
	uint32		nleaves;
	Leaf	   *leaves;
	struct TagPolicy *policy;	/* which tags the user may see, or NULL: all */
} Leaves;

/*
 * Opens a historian table, or the leaves of a partitioned parent, for reads under the active
 * snapshot, and does the work that earlier commands have gathered for them.  Raises an error if the
 * user may not SELECT from the relation named.  Like SELECT, it applies the policies of the relation
 * named to the rows, and checks neither the privileges nor the policies of leaves, but those on
 * foreign ones are checked when they are read.
 */
extern Leaves *leaves_open(Oid relid);

/* Closes the leaves, and keeps their locks.  Selections of them must not be used after that. */
extern void leaves_close(Leaves *leaves);

/*
 * Selects the leaves that may have a tag, as far as the partitions' bounds say: none, if the
 * policies hide it.
 */
extern Leaves *leaves_for_tag(const Leaves *leaves, text *tag);

/* Frees a selection; its leaves stay open. */
extern void leaves_free(Leaves *leaves);

/* Selects the leaves in which the snapshot sees rows of a tag; there may be none. */
extern Leaves *leaves_with_tag(const Leaves *leaves, text *tag);

/* Returns the same leaves with cursors of their own, for a walk beside another one. */
extern Leaves *leaves_again(const Leaves *leaves);
extern void leaves_again_end(Leaves *leaves);

/* Walks from tag to tag in byte order. */
typedef struct TagWalk
{
	const Leaves *leaves;
	text	  **next;			/* the next tag of each leaf, or NULL */
	text	   *tag;			/* returned last, one of next; or NULL */

	/* of each foreign leaf: all its tags, and how many of them the walk has met */
	ForeignTag **foreign;
	uint32	   *nforeign;
	uint32	   *foreign_met;
} TagWalk;

extern TagWalk *tag_walk_begin(const Leaves *leaves);

/*
 * Returns the next tag, palloc'd, or NULL at the end.  Selects the leaves that have segments of it,
 * of which the snapshot may see none.
 */
extern text *tag_walk_next(TagWalk *walk, Leaves **with_tag);

#endif							/* HISTORIAN_LEAVES_H */
