/*
 * summary.c
 *	  Summaries of whole segments, so that a read need not decode those that lie within a period.
 *
 * The numbers of a summary are, in this order, the number of rows; the last time, whose 64 bits are
 * stored as those of a double; and SUMMARY_NFACETS for each value summarized.
 */
#include "postgres.h"

#include "store/summary.h"

#include <math.h>

#include "port/pg_bitutils.h"

#include "store/reduction.h"

#define NUMBER_NROWS 0
#define NUMBER_LAST_TIME 1
#define NUMBER_VALUES 2

#define ALL_FACETS ((1 << SUMMARY_NFACETS) - 1)

static bool merge_into_last(RowBuffer *summaries, int64 first_time, const double *numbers,
							uint32 width);
static bool uniform_width(const CodecRows *rows, uint32 *width);
static bool summarize_value(double *facets, const double *values, const double *spans,
							uint32 nrows);
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
summary_add(RowBuffer *summaries, const CodecRows *rows)
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

		a[SUMMARY_SUM] += b[SUMMARY_SUM];
		a[SUMMARY_MIN] = b[SUMMARY_MIN] < a[SUMMARY_MIN] ? b[SUMMARY_MIN] : a[SUMMARY_MIN];
		a[SUMMARY_MAX] = b[SUMMARY_MAX] > a[SUMMARY_MAX] ? b[SUMMARY_MAX] : a[SUMMARY_MAX];
		a[SUMMARY_INTEGRAL] += a[SUMMARY_LAST] * held + b[SUMMARY_INTEGRAL];
		a[SUMMARY_LAST] = b[SUMMARY_LAST];
	}
	into[NUMBER_NROWS] += numbers[NUMBER_NROWS];
	into[NUMBER_LAST_TIME] = numbers[NUMBER_LAST_TIME];
	return true;
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

/* Sets a value's facets, or returns false if a value, its sum or its integral is not finite. */
static bool
summarize_value(double *facets, const double *values, const double *spans, uint32 nrows)
{
	DoubleSum	sum = double_sum(values, nrows);
	DoubleSum	integral = double_sum_products(values, spans, nrows - 1);
	double		min = values[0];
	double		max = values[0];

	/* the sum of values of which one is not finite is not finite either */
	if (!isfinite(double_sum_value(&sum)) || !isfinite(double_sum_value(&integral)))
		return false;
	for (uint32 i = 1; i < nrows; i++)
	{
		min = values[i] < min ? values[i] : min;
		max = values[i] > max ? values[i] : max;
	}
	facets[SUMMARY_SUM] = double_sum_value(&sum);
	facets[SUMMARY_MIN] = min;
	facets[SUMMARY_MAX] = max;
	facets[SUMMARY_FIRST] = values[0];
	facets[SUMMARY_LAST] = values[nrows - 1];
	facets[SUMMARY_INTEGRAL] = double_sum_value(&integral);
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

	if (nnumbers < NUMBER_VALUES || (nnumbers - NUMBER_VALUES) % SUMMARY_NFACETS != 0 ||
		codec_has_nulls(rows))
		return false;
	block->nsegments = n;
	end_value = Min(values.end, (nnumbers - NUMBER_VALUES) / SUMMARY_NFACETS);
	block->nvalues = end_value > values.first ? end_value - values.first : 0;
	reserve(block, wanted);

	codec_decode_times(rows, 0, n, block->first_time);
	codec_decode_column(rows, NUMBER_NROWS, 0, n, numbers);
	for (uint32 i = 0; i < n; i++)
	{
		if (!(numbers[i] >= 1 && numbers[i] <= CODEC_MAX_ROWS + SUMMARY_ROWS))
			return false;
		block->nrows[i] = (int64) numbers[i];
	}
	codec_decode_column(rows, NUMBER_LAST_TIME, 0, n, numbers);
	for (uint32 i = 0; i < n; i++)
	{
		uint32		width = codec_width_at(rows, i);

		block->last_time[i] = double_as_time(numbers[i]);
		if (width < NUMBER_VALUES || width > nnumbers ||
			(width - NUMBER_VALUES) % SUMMARY_NFACETS != 0 ||
			block->first_time[i] > block->last_time[i] ||
			(i > 0 && block->first_time[i] <= block->last_time[i - 1]))
			return false;
		block->width[i] = (width - NUMBER_VALUES) / SUMMARY_NFACETS;
	}
	if (block->last_time[n - 1] != segment->header.last_time)
		return false;
	for (int f = 0; f < SUMMARY_NFACETS; f++)
	{
		if (block->facet[f] == NULL)
			continue;
		for (uint32 v = 0; v < block->nvalues; v++)
			codec_decode_column(rows,
								NUMBER_VALUES + (values.first + v) * SUMMARY_NFACETS + f, 0, n,
								block->facet[f] + (Size) v * n);
	}
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
	for (uint32 v = 0; v < block->width[i]; v++)
	{
		for (int f = 0; f < SUMMARY_NFACETS; f++)
			numbers[NUMBER_VALUES + v * SUMMARY_NFACETS + f] =
				block->facet[f][(Size) v * block->nsegments + i];
	}
}

/* Makes room for nsegments and nvalues, and lays out the arrays. */
static void
reserve(SummaryBlock *block, int wanted)
{
	Size		n = block->nsegments;
	int			nfacets = pg_popcount32(wanted & ALL_FACETS);
	Size		bytes = n * (3 * sizeof(int64) + sizeof(uint32) + sizeof(double)) +
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
	next = (double *) (block->nrows + n);
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
