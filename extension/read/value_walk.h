/*
 * value_walk.h
 *	  One value of the rows of a tag, from time to time, beginning with what held before.
 *
 * A value holds until the next one.  NULL and NaN are passed over.
 */
#ifndef HISTORIAN_VALUE_WALK_H
#define HISTORIAN_VALUE_WALK_H

#include "postgres.h"

#include "read/leaves.h"

typedef struct ValueWalk ValueWalk;

/*
 * Walks over value v (from 0) of the rows with from <= time <= until.  If the last row before has
 * one, it comes first, with the time `from`.  The leaves and the tag must outlive the walk; memory is
 * of the current context.
 */
extern ValueWalk *value_walk_begin(const Leaves *leaves, text *tag, uint32 v, int64 from,
								   int64 until);
extern void value_walk_end(ValueWalk *walk);

/* The next value, or false at the end. */
extern bool value_walk_next(ValueWalk *walk, int64 *time, double *value);

#endif							/* HISTORIAN_VALUE_WALK_H */
