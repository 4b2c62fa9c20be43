/*
 * summary.c
 *	  Summaries of whole segments, so that a read need not decode those that lie within a period.
 *
 * The numbers of a summary are, in this order, the number of rows; the last time, whose 64 bits are
 * stored as those of a double; the number of segments and the bytes of their blocks; and
 * SUMMARY_NFACETS for each value summarized.  Summaries that are not complete have the first two, and
 * FORMER_NFACETS for each value.
 */
#include "postgres.h"

#include "store/summary.h"

#include <math.h>

#include "port/pg_bitutils.h"

#include "store/reduction.h"

#define NUMBER_NROWS 0
#define NUMBER_LAST_TIME 1
#define NUMBER_NSTORED 2
#define NUMBER_BLOCK_BYTES 3
#define NUMBER_VALUES 4

#define FORMER_NUMBER_VALUES 2
#define FORMER_NFACETS 6

#define ALL_FACETS ((1 << SUMMARY_NFACETS) - 1)

/*
 * The sequence of a segment of summaries: rows in the lowest bits, then segments, then bytes.  32
 * summaries have at most 131,072 rows; where segments share summaries, 32,768 segments, with a page each.
 */
#define TOTALS_ROWS_BITS 18
#define TOTALS_SEGMENTS_BITS 16
#define TOTALS_BYTES_BITS 30

/*
 * The mean is known well enough without the rest of the sum if the sum is at most so many times the
 * deviation of all rows: then an error of 2^-53 of the mean is one of 2^-44 of the deviation.
 */
#define REST_MATTERS 512

static bool merge_into_last(RowBuffer *summaries, int64 first_time, const double *numbers,
							uint32 width);
static double exact_rest(const double *facets, double nrows);
static double merged_deviation(const double *a, double arows, const double *b, double brows);
static bool uniform_width(const CodecRows *rows, uint32 *width);
static bool summarize_value(double *facets, const double *values, const double *spans,
							uint32 nrows);
static void put_deviation(double *facets, double nrows, double deviation, double rest);
static bool read_counts(SummaryBlock *block, const CodecReader *rows, int number, double most,
						int64 *counts);
static void reserve(SummaryBlock *block, int wanted);

static inline double
time_as_double(int64 time)
{
	double		bits;

	memcpy(&bits, &time, sizeof(bits));
	return bits;
}

static inline int64
double_as_time(double bits)
{
	int64		time;

	memcpy(&time, &bits, sizeof(time));
	return time;
}

void
summary_add(RowBuffer *summaries, const CodecRows *rows, Size block_bytes)
{
	double		numbers[NUMBER_VALUES + SUMMARY_MAX_VALUES * SUMMARY_NFACETS];
	double		spans[CODEC_MAX_ROWS];
	double		values[CODEC_MAX_ROWS];
	uint32		nnumbers = NUMBER_VALUES;
	uint32		width;
	RowSlot		slot;

	Assert(rows->nrows > 0 && rows->nrows <= CODEC_MAX_ROWS);
	numbers[NUMBER_NROWS] = rows->nrows;
	numbers[NUMBER_LAST_TIME] = time_as_double(rows->time[rows->nrows - 1]);
	numbers[NUMBER_NSTORED] = 1;
	numbers[NUMBER_BLOCK_BYTES] = (double) block_bytes;
	if (uniform_width(rows, &width) && width <= SUMMARY_MAX_VALUES)
	{
		for (uint32 row = 0; row + 1 < rows->nrows; row++)
			spans[row] = (double) ((uint64) rows->time[row + 1] - (uint64) rows->time[row]);
		for (uint32 v = 0; v < width; v++)
		{
			for (uint32 row = 0; row < rows->nrows; row++)
				values[row] = rows->values[row * rows->row_stride + v * rows->value_stride];
			if (!summarize_value(&numbers[nnumbers], values, spans, rows->nrows))
			{
				nnumbers = NUMBER_VALUES;
				break;
			}
			nnumbers += SUMMARY_NFACETS;
		}
	}

	slot = row_buffer_add(summaries, rows->time[0], nnumbers, false);
	memcpy(slot.values, numbers, nnumbers * sizeof(double));
}

uint64
summary_pack_totals(const RowBuffer *summaries, uint32 first, uint32 n)
{
	uint64		nrows = 0;
	uint64		nstored = 0;
	uint64		block_bytes = 0;

	for (uint32 row = first; row < first + n; row++)
	{
		const double *numbers = summaries->values + (Size) row * summaries->stride;

		nrows += (uint64) numbers[NUMBER_NROWS];
		nstored += (uint64) numbers[NUMBER_NSTORED];
		block_bytes += (uint64) numbers[NUMBER_BLOCK_BYTES];
	}
	Assert(nrows >> TOTALS_ROWS_BITS == 0 && nstored >> TOTALS_SEGMENTS_BITS == 0 &&
		   block_bytes >> TOTALS_BYTES_BITS == 0);
	return nrows | nstored << TOTALS_ROWS_BITS |
		block_bytes << (TOTALS_ROWS_BITS + TOTALS_SEGMENTS_BITS);
}

bool
summary_read_totals(const SegmentHeader *header, SummaryTotals *totals)
{
	uint64		packed = header->sequence;

	if (!(header->flags & SEGMENT_SUMMARY_TOTALS))
		return false;
	totals->nrows = (int64) (packed & ((UINT64CONST(1) << TOTALS_ROWS_BITS) - 1));
	packed >>= TOTALS_ROWS_BITS;
	totals->nsegments = (int64) (packed & ((UINT64CONST(1) << TOTALS_SEGMENTS_BITS) - 1));
	totals->block_bytes = (int64) (packed >> TOTALS_SEGMENTS_BITS);
	return true;
}

void
summary_merge_neighbours(RowBuffer *summaries)
{
	RowBuffer	merged = {0};

	for (uint32 row = 0; row < summaries->nrows; row++)
	{
		const double *numbers = summaries->values + (Size) row * summaries->stride;
		uint32		width = summaries->width ? summaries->width[row] : summaries->stride;

		if (merged.nrows == 0 || !merge_into_last(&merged, summaries->time[row], numbers, width))
			memcpy(row_buffer_add(&merged, summaries->time[row], width, false).values, numbers,
				   width * sizeof(double));
	}
	*summaries = merged;
}

/* Merges a summary into the last one of a buffer, or returns false if they must stay apart. */
static bool
merge_into_last(RowBuffer *summaries, int64 first_time, const double *numbers, uint32 width)
{
	uint32		last = summaries->nrows - 1;
	double	   *into = summaries->values + (Size) last * summaries->stride;
	double		held;

	if (into[NUMBER_NROWS] + numbers[NUMBER_NROWS] > SUMMARY_ROWS ||
		(summaries->width ? summaries->width[last] : summaries->stride) != width)
		return false;

	/* between the segments, the last value holds until the next segment begins */
	held = (double) ((uint64) first_time - (uint64) double_as_time(into[NUMBER_LAST_TIME]));
	for (uint32 n = NUMBER_VALUES; n < width; n += SUMMARY_NFACETS)
	{
		double	   *a = into + n;
		const double *b = numbers + n;

		if (!isfinite(a[SUMMARY_SUM] + b[SUMMARY_SUM]) ||
			!isfinite(a[SUMMARY_INTEGRAL] + b[SUMMARY_INTEGRAL] + a[SUMMARY_LAST] * held))
			return false;
	}
	for (uint32 n = NUMBER_VALUES; n < width; n += SUMMARY_NFACETS)
	{
		double	   *a = into + n;
		const double *b = numbers + n;
		double		rest = exact_rest(a, into[NUMBER_NROWS]) + exact_rest(b, numbers[NUMBER_NROWS]);
		double		deviation = merged_deviation(a, into[NUMBER_NROWS], b, numbers[NUMBER_NROWS]);
		double		error;

		a[SUMMARY_SUM] = reduction_two_sum(a[SUMMARY_SUM], b[SUMMARY_SUM], &error);
		put_deviation(a, into[NUMBER_NROWS] + numbers[NUMBER_NROWS], deviation, rest + error);
		a[SUMMARY_MIN] = b[SUMMARY_MIN] < a[SUMMARY_MIN] ? b[SUMMARY_MIN] : a[SUMMARY_MIN];
		a[SUMMARY_MAX] = b[SUMMARY_MAX] > a[SUMMARY_MAX] ? b[SUMMARY_MAX] : a[SUMMARY_MAX];
		a[SUMMARY_INTEGRAL] += a[SUMMARY_LAST] * held + b[SUMMARY_INTEGRAL];
		a[SUMMARY_LAST] = b[SUMMARY_LAST];
	}
	into[NUMBER_NROWS] += numbers[NUMBER_NROWS];
	into[NUMBER_LAST_TIME] = numbers[NUMBER_LAST_TIME];
	into[NUMBER_NSTORED] += numbers[NUMBER_NSTORED];
	into[NUMBER_BLOCK_BYTES] += numbers[NUMBER_BLOCK_BYTES];
	return true;
}

/* What the sum leaves out of the exact one, also where all values are the same, and it is not stored. */
static double
exact_rest(const double *facets, double nrows)
{
	return facets[SUMMARY_DEVIATION] == 0
		? fma(nrows, facets[SUMMARY_MIN], -facets[SUMMARY_SUM]) : facets[SUMMARY_REST];
}

/* The deviation of the rows of both. */
static double
merged_deviation(const double *a, double arows, const double *b, double brows)
{
	int64		counts[] = {(int64) arows, (int64) brows};
	double		sum[] = {a[SUMMARY_SUM], b[SUMMARY_SUM]};
	double		rest[] = {a[SUMMARY_REST], b[SUMMARY_REST]};
	double		min[] = {a[SUMMARY_MIN], b[SUMMARY_MIN]};
	double		deviation[] = {a[SUMMARY_DEVIATION], b[SUMMARY_DEVIATION]};
	ReducedParts parts = {
		.nparts = 2,
		.count = (int64) (arows + brows),
		.counts = counts,
		.sum = sum,
		.rest = rest,
		.min = min,
		.deviation = deviation,
	};
	Reduction	both;
	double		merged;

	if (a[SUMMARY_DEVIATION] == SUMMARY_UNKNOWN || b[SUMMARY_DEVIATION] == SUMMARY_UNKNOWN)
		return SUMMARY_UNKNOWN;
	reduction_init(&both);
	reduction_add_parts(&both, REDUCTION_SPREAD, &parts);
	if (!reduction_deviation(&both, &merged))
		return SUMMARY_UNKNOWN;
	/* 0 promises that all values are the same */
	return merged > 0 || (deviation[0] == 0 && deviation[1] == 0 && min[0] == min[1])
		? merged : SUMMARY_UNKNOWN;
}

/* Do all rows have the same number of values, and none that is NULL? */
static bool
uniform_width(const CodecRows *rows, uint32 *width)
{
	*width = rows->width != NULL ? rows->width[0] : rows->nvalues;
	if (*width == CODEC_WIDTH_NULL)
		return false;
	for (uint32 row = 1; rows->width != NULL && row < rows->nrows; row++)
	{
		if (rows->width[row] != *width)
			return false;
	}
	if (rows->isnull == NULL)
		return true;
	for (uint32 row = 0; row < rows->nrows; row++)
	{
		for (uint32 v = 0; v < *width; v++)
		{
			if (rows->isnull[row * rows->row_stride + v * rows->value_stride])
				return false;
		}
	}
	return true;
}

/*
 * Sets the deviation, and what the sum leaves out of the exact one if that matters: if the mean by the sum
 * alone might be wrong by some part of the deviation.
 */
static void
put_deviation(double *facets, double nrows, double deviation, double rest)
{
	bool		matters = deviation > 0 &&
		fabs(facets[SUMMARY_SUM]) > REST_MATTERS * nrows * deviation;

	facets[SUMMARY_DEVIATION] = deviation;
	facets[SUMMARY_REST] = matters ? rest : 0;
}

/* Sets a value's facets, or returns false if a value, its sum or its integral is not finite. */
static bool
summarize_value(double *facets, const double *values, const double *spans, uint32 nrows)
{
	DoubleSum	sum = double_sum(values, nrows);
	DoubleSum	integral = double_sum_products(values, spans, nrows - 1);
	double		deviation;

	/* the sum of values of which one is not finite is not finite either */
	if (!isfinite(double_sum_value(&sum)) || !isfinite(double_sum_value(&integral)))
		return false;
	facets[SUMMARY_SUM] = double_sum_value(&sum);
	reduction_extremes(values, nrows, &facets[SUMMARY_MIN], &facets[SUMMARY_MAX]);
	facets[SUMMARY_FIRST] = values[0];
	facets[SUMMARY_LAST] = values[nrows - 1];
	facets[SUMMARY_INTEGRAL] = double_sum_value(&integral);
	if (!reduction_deviation_about(values, nrows, double_sum_quotient(&sum, nrows), &deviation))
		deviation = SUMMARY_UNKNOWN;
	put_deviation(facets, nrows, deviation, double_sum_rest(&sum));
	return true;
}

int64 *
summary_last_times(const RowBuffer *summaries)
{
	int64	   *last_times = palloc(Max(summaries->nrows, 1) * sizeof(int64));

	for (uint32 row = 0; row < summaries->nrows; row++)
		last_times[row] =
			double_as_time(summaries->values[(Size) row * summaries->stride + NUMBER_LAST_TIME]);
	return last_times;
}

bool
summary_block_load(SummaryBlock *block, const Segment *segment, int wanted, ValueRange values)
{
	const CodecReader *rows = &segment->rows;
	uint32		n = segment->header.nrows;
	uint32		nnumbers = codec_nvalues(rows);
	double		numbers[CODEC_MAX_ROWS];
	uint32		end_value;
	uint32		nhead;
	int			nfacets;

	block->complete = (segment->header.flags & SEGMENT_SUMMARY_TOTALS) != 0;
	nhead = block->complete ? NUMBER_VALUES : FORMER_NUMBER_VALUES;
	nfacets = block->complete ? SUMMARY_NFACETS : FORMER_NFACETS;
	if (nnumbers < nhead || (nnumbers - nhead) % nfacets != 0 || codec_has_nulls(rows))
		return false;
	block->nsegments = n;
	end_value = Min(values.end, (nnumbers - nhead) / nfacets);
	block->nvalues = end_value > values.first ? end_value - values.first : 0;
	reserve(block, wanted);

	codec_decode_times(rows, 0, n, block->first_time);
	if (!read_counts(block, rows, NUMBER_NROWS, CODEC_MAX_ROWS + SUMMARY_ROWS, block->nrows))
		return false;
	memset(block->nstored, 0, n * sizeof(int64));
	memset(block->block_bytes, 0, n * sizeof(int64));
	if (block->complete && (wanted & SUMMARY_WANT_STORED) &&
		(!read_counts(block, rows, NUMBER_NSTORED, CODEC_MAX_ROWS, block->nstored) ||
		 !read_counts(block, rows, NUMBER_BLOCK_BYTES, (double) CODEC_MAX_ROWS * BLCKSZ,
					  block->block_bytes)))
		return false;
	codec_decode_column(rows, NUMBER_LAST_TIME, 0, n, numbers);
	for (uint32 i = 0; i < n; i++)
	{
		uint32		width = codec_width_at(rows, i);

		block->last_time[i] = double_as_time(numbers[i]);
		if (width < nhead || width > nnumbers || (width - nhead) % nfacets != 0 ||
			block->first_time[i] > block->last_time[i] ||
			(i > 0 && block->first_time[i] <= block->last_time[i - 1]))
			return false;
		block->width[i] = (width - nhead) / nfacets;
	}
	if (block->last_time[n - 1] != segment->header.last_time)
		return false;
	/* value by value, because the facets of a value are adjacent */
	for (uint32 v = 0; v < block->nvalues; v++)
	{
		for (int f = 0; f < nfacets; f++)
		{
			if (block->facet[f] != NULL)
				codec_decode_column(rows, nhead + (values.first + v) * nfacets + f, 0, n,
									block->facet[f] + (Size) v * n);
		}
	}
	for (int f = nfacets; f < SUMMARY_NFACETS; f++)
	{
		for (Size i = 0; block->facet[f] != NULL && i < (Size) block->nvalues * n; i++)
			block->facet[f][i] = f == SUMMARY_DEVIATION ? SUMMARY_UNKNOWN : 0;
	}
	return true;
}

/* Decodes numbers that count something, at least 1 and at most so many. */
static bool
read_counts(SummaryBlock *block, const CodecReader *rows, int number, double most, int64 *counts)
{
	double		numbers[CODEC_MAX_ROWS];

	codec_decode_column(rows, number, 0, block->nsegments, numbers);
	for (uint32 i = 0; i < block->nsegments; i++)
	{
		if (!(numbers[i] >= 1 && numbers[i] <= most))
			return false;
		counts[i] = (int64) numbers[i];
	}
	return true;
}

bool
summary_block_load_whole(SummaryBlock *block, const SegmentHeader *header)
{
	SummaryTotals totals;

	if (!summary_read_totals(header, &totals) || totals.nrows == 0)
		return false;
	block->complete = true;
	block->nsegments = 1;
	block->nvalues = 0;
	reserve(block, 0);
	block->first_time[0] = header->first_time;
	block->last_time[0] = header->last_time;
	block->nrows[0] = totals.nrows;
	block->nstored[0] = totals.nsegments;
	block->block_bytes[0] = totals.block_bytes;
	block->width[0] = 0;
	return true;
}

void
summary_block_free(SummaryBlock *block)
{
	if (block->memory != NULL)
		pfree(block->memory);
	memset(block, 0, sizeof(*block));
}

void
summary_block_append(const SummaryBlock *block, uint32 i, RowBuffer *summaries)
{
	uint32		width = NUMBER_VALUES + block->width[i] * SUMMARY_NFACETS;
	double	   *numbers = row_buffer_add(summaries, block->first_time[i], width, false).values;

	numbers[NUMBER_NROWS] = (double) block->nrows[i];
	numbers[NUMBER_LAST_TIME] = time_as_double(block->last_time[i]);
	numbers[NUMBER_NSTORED] = (double) block->nstored[i];
	numbers[NUMBER_BLOCK_BYTES] = (double) block->block_bytes[i];
	for (uint32 v = 0; v < block->width[i]; v++)
	{
		for (int f = 0; f < SUMMARY_NFACETS; f++)
			numbers[NUMBER_VALUES + v * SUMMARY_NFACETS + f] =
				block->facet[f][(Size) v * block->nsegments + i];
	}
}

bool
summary_block_agrees(const SummaryBlock *block, uint32 i, const RowBuffer *computed)
{
	const double *values = computed->values + NUMBER_VALUES;
	double		nrows = computed->nrows == 1 ? computed->values[NUMBER_NROWS] : 0;

	if (nrows != (double) block->nrows[i] ||
		computed->stride != NUMBER_VALUES + block->width[i] * SUMMARY_NFACETS ||
		double_as_time(computed->values[NUMBER_LAST_TIME]) != block->last_time[i])
		return false;
	if (block->complete &&
		(computed->values[NUMBER_NSTORED] != (double) block->nstored[i] ||
		 computed->values[NUMBER_BLOCK_BYTES] != (double) block->block_bytes[i]))
		return false;
	for (uint32 v = 0; v < block->width[i]; v++, values += SUMMARY_NFACETS)
	{
		for (int f = 0; f < (block->complete ? SUMMARY_NFACETS : FORMER_NFACETS); f++)
		{
			double		stored = block->facet[f][(Size) v * block->nsegments + i];
			double		scale = Max(fabs(stored), fabs(values[f]));

			/* a rest matters by what it is beside the deviations of all rows */
			if (f == SUMMARY_REST)
				scale = Max(scale, nrows * values[SUMMARY_DEVIATION]);
			if (memcmp(&stored, &values[f], sizeof(stored)) != 0 &&
				!(fabs(stored - values[f]) <= 1e-9 * scale))
				return false;
		}
	}
	return true;
}

/* Makes room for nsegments and nvalues, and lays out the arrays. */
static void
reserve(SummaryBlock *block, int wanted)
{
	Size		n = block->nsegments;
	int			nfacets = pg_popcount32(wanted & ALL_FACETS);
	Size		bytes = n * (5 * sizeof(int64) + sizeof(uint32) + sizeof(double)) +
		n * block->nvalues * nfacets * sizeof(double);
	double	   *next;

	if (bytes > block->memory_bytes)
	{
		block->memory = block->memory == NULL ? palloc(bytes) : repalloc(block->memory, bytes);
		block->memory_bytes = bytes;
	}
	block->first_time = (int64 *) block->memory;
	block->last_time = block->first_time + n;
	block->nrows = block->last_time + n;
	block->nstored = block->nrows + n;
	block->block_bytes = block->nstored + n;
	next = (double *) (block->block_bytes + n);
	for (int f = 0; f < SUMMARY_NFACETS; f++)
	{
		block->facet[f] = NULL;
		if (!(wanted & (1 << f)))
			continue;
		block->facet[f] = next;
		next += n * block->nvalues;
	}
	block->width = (uint32 *) next;
}
