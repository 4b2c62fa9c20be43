/*
 * distinct_sketch.h
 *	  About how many different values there are, in bounded memory.
 *
 * PostgreSQL's HyperLogLog has the registers.  Their estimate is Ertl's ("New cardinality estimation
 * algorithms for HyperLogLog sketches", 2017), which needs no thresholds and has no bias where
 * PostgreSQL's goes from one formula to another; and it allows for the 32 bits of the hashes.  The
 * standard error is 0.41 %.
 *
 * Of up to 1,024 different values the number is exact, because they are kept: where two of a hundred values
 * share a register, which happens, the estimate would be off by more than that.
 */
#ifndef HISTORIAN_DISTINCT_SKETCH_H
#define HISTORIAN_DISTINCT_SKETCH_H

#include "postgres.h"

#include "lib/hyperloglog.h"

typedef struct DistinctSketch
{
	MemoryContext context;
	uint64	   *few;			/* the bits of the values, hashed, while they are few; NULL
								 * afterwards */
	uint32		nfew;
	uint64		last;			/* the bits of the value before, which is often the same */
	hyperLogLogState registers; /* once there are more */
} DistinctSketch;

/* Empties a new sketch, whose memory is of the current context. */
extern void distinct_sketch_init(DistinctSketch *sketch);

/* Adds values.  As in PostgreSQL, 0 and -0 are the same, and so are all NaN. */
extern void distinct_sketch_add(DistinctSketch *sketch, const double *values, uint32 nvalues);

extern double distinct_sketch_estimate(const DistinctSketch *sketch);

#endif							/* HISTORIAN_DISTINCT_SKETCH_H */
