/*
 * quantile_sketch.h
 *	  Quantiles of any number of values in bounded memory, with a bound on their error.
 *
 * The rank of a quantile is off by at most QUANTILE_SKETCH_ERROR of the number of values, whatever
 * these are and however they are ordered.  Up to QUANTILE_SKETCH_EXACT values it is exact.
 */
#ifndef HISTORIAN_QUANTILE_SKETCH_H
#define HISTORIAN_QUANTILE_SKETCH_H

#include "postgres.h"

/* The values that a level holds: a power of two. */
#define QUANTILE_SKETCH_EXACT 4096

/* Enough for 2^40 values. */
#define QUANTILE_SKETCH_LEVELS 30

/* Each level but the first adds at most 1 / (2 * QUANTILE_SKETCH_EXACT). */
#define QUANTILE_SKETCH_ERROR (QUANTILE_SKETCH_LEVELS / (2.0 * QUANTILE_SKETCH_EXACT))

typedef struct QuantileSketch QuantileSketch;

/* An empty sketch, whose memory is of the current context. */
extern QuantileSketch *quantile_sketch_make(void);

/* Empties a sketch, and keeps its memory. */
extern void quantile_sketch_clear(QuantileSketch *sketch);

/* Adds values.  NaN counts as greater than all others. */
extern void quantile_sketch_add(QuantileSketch *sketch, const double *values, uint32 nvalues);

/*
 * Sets results[i] to the value below which fractions[i] (0 to 1) of the values lie, by a line between
 * the two that are nearest, as percentile_cont() does.  Returns false if there are no values.
 */
extern bool quantile_sketch_read(QuantileSketch *sketch, const double *fractions, double *results,
								 uint32 nfractions);

#endif							/* HISTORIAN_QUANTILE_SKETCH_H */
