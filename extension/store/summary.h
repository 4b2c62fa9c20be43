/*
 * summary.h
 *	  Summaries of whole segments, so that a read need not decode those that lie within a period.
 *
 * A summary is a row that describes one compacted segment, or consecutive ones with few rows each:
 * the number of their rows, their last time and, for each value of a row, the facets below.  The
 * time of the summary itself is their first time.  Consecutive summaries are stored together as a
 * segment (SEGMENT_SUMMARY), compressed like samples; docs/format.md has the order of the numbers.
 *
 * The invariant: the summaries of a tag that a snapshot sees describe all compacted segments that
 * it sees between the first and the last that they describe.  It holds because the command that
 * replaces a segment also replaces its summary (summary_edit.h).  Segments before and after these
 * have no summary.  Pending and late segments never have one.
 */
#ifndef HISTORIAN_SUMMARY_H
#define HISTORIAN_SUMMARY_H

#include "postgres.h"

#include "store/row_buffer.h"
#include "store/segment.h"

/* The facets of a value over a segment's rows.  Their numbers are part of the format. */
typedef enum SummaryFacet
{
	SUMMARY_SUM,
	SUMMARY_MIN,
	SUMMARY_MAX,
	SUMMARY_FIRST,
	SUMMARY_LAST,
	SUMMARY_INTEGRAL,			/* over time in ns; a value holds until the segment's next row */
} SummaryFacet;

#define SUMMARY_NFACETS 6

/* How many segments are summarized at a time; also the most summaries that are stored together. */
#define SUMMARY_SEGMENTS 32

/* The most rows of segments that share a summary.  If a period ends in it, all are decoded. */
#define SUMMARY_ROWS 1024

/*
 * The widest rows whose values are summarized.  A segment of wider rows, of rows that differ in
 * width, or with a NULL or a number that is not finite has a summary without values.
 */
#define SUMMARY_MAX_VALUES 64

/* Adds the summary of a segment of these rows. */
extern void summary_add(RowBuffer *summaries, const CodecRows *rows);

/*
 * Merges neighbours in the buffer that have few rows together, if both have as many values.  No
 * segment may lie between those that neighbours describe.
 */
extern void summary_merge_neighbours(RowBuffer *summaries);

/* Returns the last time of each summary in a buffer: [nrows], palloc'd. */
extern int64 *summary_last_times(const RowBuffer *summaries);

/* The summaries of one stored segment, decoded.  "Segment" means here what a summary describes. */
typedef struct SummaryBlock
{
	uint32		nsegments;
	uint32		nvalues;		/* decoded, of the segment with the widest rows */
	int64	   *first_time;		/* [nsegments] */
	int64	   *last_time;		/* [nsegments] */
	int64	   *nrows;			/* [nsegments] */
	uint32	   *width;			/* [nsegments]: the values summarized, decoded or not; or 0 */

	/*
	 * decoded value v of segment i is at facet[f][v * nsegments + i]; NULL if facet f is not
	 * wanted
	 */
	double	   *facet[SUMMARY_NFACETS];

	/* all arrays are in this memory */
	char	   *memory;
	Size		memory_bytes;
} SummaryBlock;

/*
 * Decodes an opened segment of summaries, with the facets whose bit (1 << facet) is in wanted, of
 * the values in a range.  Zero the block to start; its memory is of the context current at the first call.  Returns false
 * if the rows are not summaries.
 */
extern bool summary_block_load(SummaryBlock *block, const Segment *segment, int wanted,
							   ValueRange values);
extern void summary_block_free(SummaryBlock *block);

/* Adds summary i of a block, which must have all facets of all values, to a buffer. */
extern void summary_block_append(const SummaryBlock *block, uint32 i, RowBuffer *summaries);

#endif							/* HISTORIAN_SUMMARY_H */
