/*
 * summary.h
 *	  What whole segments amount to, so that a period need not decode those that lie in it.
 *
 * A summary is a row that tells of a compacted segment, or of consecutive ones with few rows each:
 * how many rows there are, when they end and, for each value of a row, the facets below.  The
 * summary's time is the first time.  Summaries that follow each other are stored as a segment of
 * their own (SEGMENT_SUMMARY), compressed like samples; docs/format.md gives the order of the numbers.
 *
 * Stored summaries hold for every snapshot that sees them: those of a tag name all compacted
 * segments between the first and the last that they name, for whoever replaces one of them replaces
 * its summary too, in the same command (summary_edit.h).  Older and newer segments may have none.
 * Summaries say nothing of pending segments.
 */
#ifndef HISTORIAN_SUMMARY_H
#define HISTORIAN_SUMMARY_H

#include "postgres.h"

#include "store/row_buffer.h"
#include "store/segment.h"

/* What is known of each value.  Numbers are those of the format. */
typedef enum SummaryFacet
{
	SUMMARY_SUM,
	SUMMARY_MIN,
	SUMMARY_MAX,
	SUMMARY_FIRST,
	SUMMARY_LAST,
	SUMMARY_INTEGRAL,			/* over time in ns, each value until the next row of the segment */
} SummaryFacet;

#define SUMMARY_NFACETS 6

/* Segments are summarized so many at a time; as many summaries are stored together at the most. */
#define SUMMARY_SEGMENTS 32

/* Segments share a summary up to so many rows; a period's end may cut them all. */
#define SUMMARY_ROWS 1024

/*
 * Only these many values of a row are summarized.  A segment of wider rows, of rows that differ in
 * width, or with a NULL or a number that is not finite has a summary without values.
 */
#define SUMMARY_MAX_VALUES 64

/* Adds the summary of a segment of these rows. */
extern void summary_add(RowBuffer *summaries, const CodecRows *rows);

/*
 * Makes one summary of neighbours that have few rows; nothing may lie between them.  Both have
 * values, of one width, or neither has.
 */
extern void summary_merge_neighbours(RowBuffer *summaries);

/* When the segments end that the rows of a buffer tell of: [nrows], palloc'd. */
extern int64 *summary_last_times(const RowBuffer *summaries);

/* Summaries decoded: those of one stored segment.  "Segment" means what one of them tells of. */
typedef struct SummaryBlock
{
	uint32		nsegments;
	uint32		nvalues;		/* of the segment with the widest rows */
	int64	   *first_time;		/* [nsegments] */
	int64	   *last_time;		/* [nsegments] */
	int64	   *nrows;			/* [nsegments] */
	uint32	   *width;			/* [nsegments]: values summarized; 0: none */

	/* value v of segment i at facet[f][v * nsegments + i]; NULL where not wanted */
	double	   *facet[SUMMARY_NFACETS];

	/* what is allocated */
	char	   *memory;
	Size		memory_bytes;
} SummaryBlock;

/*
 * Decodes an opened segment of summaries, of the facets only those whose bit (1 << facet) is in
 * wanted.  Zero the block to start; its memory is of the context current at the first call.
 * Returns false where the rows are no summaries.
 */
extern bool summary_block_load(SummaryBlock *block, const Segment *segment, int wanted);
extern void summary_block_free(SummaryBlock *block);

/* Adds summary i of a block that has all facets to a buffer. */
extern void summary_block_append(const SummaryBlock *block, uint32 i, RowBuffer *summaries);

#endif							/* HISTORIAN_SUMMARY_H */
