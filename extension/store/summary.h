/*
 * summary.h
 *	  Summaries of whole segments, so that a read need not decode those that lie within a period.
 *
 * A summary is a row that describes one compacted segment, or consecutive ones with few rows each:
 * the number of their rows, their last time, their number and bytes and, for each value of a row, the
 * facets below.  The time of the summary itself is their first time.  Consecutive summaries are stored
 * together as a segment (SEGMENT_SUMMARY), compressed like samples; docs/format.md has the order of the
 * numbers.  What they amount to together is in the segment's header, so that it is found without decoding.
 *
 * Summaries that release 0.2 or an earlier one wrote (without SEGMENT_SUMMARY_TOTALS) have neither the
 * number and bytes of segments nor the last two facets.  They are replaced by complete ones when one of
 * their segments is.
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
	SUMMARY_DEVIATION,			/* the standard deviation of the rows, or SUMMARY_UNKNOWN */
	SUMMARY_REST,				/* the exact sum less SUMMARY_SUM, or 0 where the deviation is so
								 * large that this does not matter */
} SummaryFacet;

#define SUMMARY_NFACETS 8

/* Asks for the number and bytes of segments as well, beside the facets' bits. */
#define SUMMARY_WANT_STORED (1 << SUMMARY_NFACETS)

/* A deviation that is not known, or whose square is not in the range of doubles. */
#define SUMMARY_UNKNOWN (-1.0)

/* How many segments are summarized at a time; also the most summaries that are stored together. */
#define SUMMARY_SEGMENTS 32

/* The most rows of segments that share a summary.  If a period ends in it, all are decoded. */
#define SUMMARY_ROWS 1024

/*
 * The widest rows whose values are summarized.  A segment of wider rows, of rows that differ in
 * width, or with a NULL or a number that is not finite has a summary without values.
 */
#define SUMMARY_MAX_VALUES 64

/* What some summaries amount to together. */
typedef struct SummaryTotals
{
	int64		nrows;
	int64		nsegments;		/* compacted segments, each counted */
	int64		block_bytes;	/* of these, without their headers and tags */
} SummaryTotals;

/* Adds the summary of a segment of these rows, whose block has so many bytes. */
extern void summary_add(RowBuffer *summaries, const CodecRows *rows, Size block_bytes);

/* What n summaries of a buffer amount to, as it is stored in place of a sequence. */
extern uint64 summary_pack_totals(const RowBuffer *summaries, uint32 first, uint32 n);

/* Sets what the summaries of a segment amount to, or returns false if its header does not say. */
extern bool summary_read_totals(const SegmentHeader *header, SummaryTotals *totals);

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
	bool		complete;		/* has what SEGMENT_SUMMARY_TOTALS promises */
	uint32		nvalues;		/* decoded, of the segment with the widest rows */
	int64	   *first_time;		/* [nsegments] */
	int64	   *last_time;		/* [nsegments] */
	int64	   *nrows;			/* [nsegments] */
	int64	   *nstored;		/* [nsegments]: the stored segments described; 0 if not known or
								 * wanted */
	int64	   *block_bytes;	/* [nsegments]: of their blocks */
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
 * the values in a range; SUMMARY_WANT_STORED may be in wanted too.  Of summaries that are not
 * complete, deviations are SUMMARY_UNKNOWN and rests are 0.  Zero the block to start; its memory is of the context current at the first call.  Returns false
 * if the rows are not summaries.
 */
extern bool summary_block_load(SummaryBlock *block, const Segment *segment, int wanted,
							   ValueRange values);
extern void summary_block_free(SummaryBlock *block);

/*
 * Makes a block of one summary without values, of all that the segment's summaries describe, from what
 * its header says.  Returns false if that does not say it.
 */
extern bool summary_block_load_whole(SummaryBlock *block, const SegmentHeader *header);

/* Adds summary i of a complete block, which must have all facets of all values, to a buffer. */
extern void summary_block_append(const SummaryBlock *block, uint32 i, RowBuffer *summaries);

/*
 * Is summary i of a block, which must have all facets of all values, the only one in the buffer?  Sums may
 * differ in their last bits between machines.
 */
extern bool summary_block_agrees(const SummaryBlock *block, uint32 i, const RowBuffer *computed);

#endif							/* HISTORIAN_SUMMARY_H */
