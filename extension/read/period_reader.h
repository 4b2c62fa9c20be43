/*
 * period_reader.h
 *	  Reads consecutive periods of a tag, as rows or as summaries of whole segments.
 */
#ifndef HISTORIAN_PERIOD_READER_H
#define HISTORIAN_PERIOD_READER_H

#include "postgres.h"

#include "read/slice_reader.h"
#include "store/reduction.h"
#include "store/summary.h"

extern bool historian_enable_summaries;

/* Consecutive segments that lie wholly in one period and are summarized with the same width. */
typedef struct SummarySlice
{
	const SummaryBlock *block;
	uint32		first;
	uint32		nsegments;		/* at least 1 */
} SummarySlice;

/* Either rows or segments.  A period may have several parts, which ascend in time. */
typedef struct PeriodPart
{
	uint32		period;			/* ends[period - 1] < time <= ends[period] */
	bool		summarized;
	RowSlice	rows;			/* if not summarized */
	SummarySlice summaries;		/* if summarized */
} PeriodPart;

typedef struct PeriodReader PeriodReader;

/*
 * Instead of facets, a reader may want rows only, without summaries; only the times of rows and the
 * counts of summaries; or only the times and widths of rows and the widths of summaries.
 */
#define PERIOD_ROWS_ONLY (-1)
#define PERIOD_COUNTS_ONLY (-2)
#define PERIOD_WIDTHS_ONLY (-3)

/* Returns the facets of summaries that give those of a reduction. */
extern int	period_reader_facets(int facets);

/*
 * Reads from <= time <= the last of ends, which ascend.  ends, the cursor and the tag must outlive
 * the reader.  Summaries have the facets whose bits (1 << SummaryFacet) are in facets.  Of rows and
 * summaries, only the values in a range are decoded.
 */
extern PeriodReader *period_reader_begin(Relation rel, DirectoryCursor *cursor, Snapshot snapshot,
										 text *tag, int64 from, const int64 *ends, uint32 nends,
										 int facets, ValueRange values);
extern void period_reader_end(PeriodReader *reader);

/* The next part, or false at the end.  It is valid until the next call. */
extern bool period_reader_next(PeriodReader *reader, PeriodPart *part);

/* Adds decoded value v of the segments of a slice, which have count rows, to a reduction. */
extern void summary_slice_reduce(const SummarySlice *slice, uint32 v, int64 count, int facets,
								 Reduction *reduction);

/* A facet of decoded value v of each segment of a slice, or NULL if it was not asked for. */
static inline const double *
summary_slice_values(const SummarySlice *slice, SummaryFacet facet, uint32 v)
{
	const SummaryBlock *block = slice->block;

	return block->facet[facet] == NULL
		? NULL
		: block->facet[facet] + (Size) v * block->nsegments + slice->first;
}

/* The same of segment i of the slice alone, for a facet that was asked for. */
static inline double
summary_slice_value(const SummarySlice *slice, SummaryFacet facet, uint32 v, uint32 i)
{
	const double *values = summary_slice_values(slice, facet, v);

	Assert(values != NULL && i < slice->nsegments);
	return values[i];
}

#endif							/* HISTORIAN_PERIOD_READER_H */
