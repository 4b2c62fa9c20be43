/*
 * leaf_periods.h
 *	  Reads consecutive periods of a tag, of one table or of several.
 */
#ifndef HISTORIAN_LEAF_PERIODS_H
#define HISTORIAN_LEAF_PERIODS_H

#include "postgres.h"

#include "read/leaves.h"
#include "read/period_reader.h"

typedef struct LeafPeriods LeafPeriods;

/* These do what period_reader_begin(), period_reader_next() and period_reader_end() do. */
extern LeafPeriods *leaf_periods_begin(const Leaves *leaves, text *tag, int64 from,
									   const int64 *ends, uint32 nends, int facets,
									   ValueRange values);
extern bool leaf_periods_next(LeafPeriods *reader, PeriodPart *part);
extern void leaf_periods_end(LeafPeriods *reader);

/* The leaf of which the last part is, which was summarized; valid as long as the reader. */
extern const Leaf *leaf_periods_leaf(const LeafPeriods *reader);

#endif							/* HISTORIAN_LEAF_PERIODS_H */
