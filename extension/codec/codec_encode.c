/*
 * codec_encode.c
 *	  Encodes a block: plans every stream, adds up the exact size, and then writes.
 *
 * A plan is made column by column and kept in the encoder: rules, schemes, and the integers of all
 * columns.  So the size is known before a byte is written, and a plan that is too large costs no
 * writing.  codec_reader.c describes the layout.
 */
#include "codec/codec.h"

#include <stdlib.h>

#include "codec/codec_column.h"
#include "codec/codec_decimal.h"
#include "codec/codec_delta.h"
#include "codec/codec_few.h"
#include "codec/codec_for.h"
#include "codec/codec_reader.h"
#include "codec/codec_real.h"
#include "codec/codec_stream.h"

/* Above this many rows no shared header is tried, because headers are a small part of the block. */
#define SHARED_MAX_ROWS 128

/* The most rows that codec_encode_fit() plans first, to learn how many bytes a row takes. */
#define FIT_SAMPLE_ROWS 128

/*
 * It may leave 1 / FIT_MARGIN of the capacity, or a row, empty; and how many plans it makes for
 * that.
 */
#define FIT_MARGIN 128
#define FIT_MAX_PLANS 6

/* So many columns of a block are gathered at once. */
#define GATHERED_COLUMNS 8

/* A guess of the bytes of a column's header. */
#define FIT_COLUMN_HEADER_BYTES 6

/* The bytes of a shared header of one row: the rule, and the width of the bases. */
#define RAW_HEADER_BYTES 2

typedef struct BlockSize
{
	size_t		header;
	size_t		data;
} BlockSize;

typedef struct ColumnPlan
{
	CodecColumn values;
	CodecColumn nulls;
	CodecStats	stats;			/* of the numbers as they are under a shared header */
} ColumnPlan;

struct CodecEncoder
{
	ColumnPlan	column[CODEC_MAX_VALUES];
	CodecTimes	times;
	CodecColumn widths;
	CodecColumn shared;
	uint8_t		shared_base_width;
	uint8_t		flags;
	uint32_t	nrows;
	uint32_t	nvalues;
	BlockSize	size;

	uint64_t	time_numbers[CODEC_MAX_ROWS];
	uint64_t	width_numbers[CODEC_MAX_ROWS];
	uint64_t	null_numbers[CODEC_MAX_ROWS];
	uint64_t	spare[CODEC_MAX_ROWS];
	double		values[GATHERED_COLUMNS * CODEC_MAX_ROWS];	/* of columns gathered together, each
															 * nrows of them */

	uint64_t   *numbers;		/* column v's begin at v * nrows */
	size_t		numbers_capacity;
};

CodecEncoder *
codec_encoder_new(void)
{
	return calloc(1, sizeof(CodecEncoder));
}

void
codec_encoder_free(CodecEncoder *encoder)
{
	if (encoder == NULL)
		return;
	free(encoder->numbers);
	free(encoder);
}

static inline uint16_t
row_width(const CodecRows *rows, uint32_t row)
{
	return rows->width == NULL ? (uint16_t) rows->nvalues : rows->width[row];
}

static inline bool
element_is_null(const CodecRows *rows, uint32_t row, uint32_t v)
{
	return rows->isnull != NULL &&
		rows->isnull[row * rows->row_stride + v * rows->value_stride] != 0;
}

static inline bool
element_is_absent(const CodecRows *rows, uint32_t row, uint32_t v)
{
	uint16_t	width = row_width(rows, row);

	return width == CODEC_WIDTH_NULL || width <= v || element_is_null(rows, row, v);
}

/*
 * Sets values[nrows] to column v.  An absent element repeats the one before, or the first present
 * one if there is none before, so that it takes next to nothing.
 */
static void
gather_values(const CodecEncoder *encoder, const CodecRows *rows, uint32_t v, double *values)
{
	const double *source = rows->values + v * rows->value_stride;
	double		filler = 0.0;

	if (!(encoder->flags & (CODEC_BLOCK_RAGGED | CODEC_BLOCK_NULLS)))
	{
		for (uint32_t r = 0; r < encoder->nrows; r++)
			values[r] = source[r * rows->row_stride];
		return;
	}

	for (uint32_t r = 0; r < encoder->nrows; r++)
		if (!element_is_absent(rows, r, v))
		{
			filler = source[r * rows->row_stride];
			break;
		}
	for (uint32_t r = 0; r < encoder->nrows; r++)
	{
		if (!element_is_absent(rows, r, v))
			filler = source[r * rows->row_stride];
		values[r] = filler;
	}
}

/*
 * Sets values[count * nrows] to that many columns, whose values lie next to each other in each row.
 * One pass over the rows, which do not fit into the cache next to the core, takes less time than one
 * for each column.  The count is a constant where this is called, so that its loop is unrolled.
 */
static inline __attribute__((always_inline))
void
gather_neighbours(const double *source, size_t stride, uint32_t nrows, uint32_t count, double *values)
{
	for (uint32_t r = 0; r < nrows; r++, source += stride)
		for (uint32_t v = 0; v < count; v++)
			values[(size_t) v * nrows + r] = source[v];
}

/*
 * Gathers column v and as many of the next ones as can be gathered with it.  Returns how many columns
 * are in values[], each of nrows values.
 */
static uint32_t
gather_columns(const CodecEncoder *encoder, const CodecRows *rows, uint32_t v, double *values)
{
	const double *source = rows->values + v;
	uint32_t	left = encoder->nvalues - v;

	if (encoder->flags & (CODEC_BLOCK_RAGGED | CODEC_BLOCK_NULLS) || rows->value_stride != 1 || left == 1)
	{
		gather_values(encoder, rows, v, values);
		return 1;
	}
	if (left >= GATHERED_COLUMNS)
	{
		gather_neighbours(source, rows->row_stride, encoder->nrows, GATHERED_COLUMNS, values);
		return GATHERED_COLUMNS;
	}
	if (left >= 4)
	{
		gather_neighbours(source, rows->row_stride, encoder->nrows, 4, values);
		return 4;
	}
	gather_neighbours(source, rows->row_stride, encoder->nrows, 2, values);
	return 2;
}

/*
 * Sets numbers[nrows] to the NULL flags of column v.  The flag of an element for which the row is
 * too narrow repeats the one before.
 */
static void
gather_nulls(const CodecEncoder *encoder, const CodecRows *rows, uint32_t v, uint64_t *numbers)
{
	uint64_t	filler = 0;

	for (uint32_t r = 0; r < encoder->nrows; r++)
	{
		uint16_t	width = row_width(rows, r);

		if (width != CODEC_WIDTH_NULL && width > v)
			filler = element_is_null(rows, r, v);
		numbers[r] = filler;
	}
}

static void
add_column(BlockSize *size, const CodecColumn *column)
{
	size->header += codec_column_header_bytes(column);
	size->data += codec_column_data_bytes(column);
}

static void
plan_integers(CodecColumn *column, const uint64_t *numbers, uint32_t nrows)
{
	memset(column, 0, sizeof(*column));
	column->rule = CODEC_RULE_INTEGER;
	codec_stream_plan_numbers(&column->ints, numbers, nrows, CODEC_ALL_SCHEMES);
}

/* Returns the flags for rows that are ragged, and that have NULL elements. */
static uint8_t
block_flags(const CodecRows *rows, uint32_t nrows, uint32_t nvalues)
{
	uint8_t		flags = 0;

	for (uint32_t r = 0; rows->width != NULL && r < nrows; r++)
		if (rows->width[r] != nvalues)
			flags |= CODEC_BLOCK_RAGGED;
	for (uint32_t v = 0; rows->isnull != NULL && v < nvalues; v++)
		for (uint32_t r = 0; r < nrows && !(flags & CODEC_BLOCK_NULLS); r++)
		{
			uint16_t	width = row_width(rows, r);

			if (width != CODEC_WIDTH_NULL && width > v && element_is_null(rows, r, v))
				flags |= CODEC_BLOCK_NULLS;
		}
	return flags;
}

/* The width of the widest of the first nrows rows. */
static uint32_t
widest_row(const CodecRows *rows, uint32_t nrows)
{
	uint32_t	widest = 0;

	if (rows->width == NULL)
		return rows->nvalues;
	for (uint32_t r = 0; r < nrows; r++)
		if (rows->width[r] != CODEC_WIDTH_NULL && rows->width[r] > widest)
			widest = rows->width[r];
	return widest;
}

/*
 * Sets *rule to the one that all columns can have: their common rule or, of decimals, that of most
 * digits.  Returns false if there is none.
 */
static bool
shared_rule(const CodecEncoder *encoder, uint8_t *rule)
{
	*rule = encoder->column[0].values.rule;
	for (uint32_t v = 1; v < encoder->nvalues; v++)
	{
		uint8_t		other = encoder->column[v].values.rule;

		if (other == *rule)
			continue;
		if (!codec_rule_is_decimal(other) || !codec_rule_is_decimal(*rule))
			return false;
		*rule = other > *rule ? other : *rule;
	}
	return codec_rule_is_decimal(*rule) || *rule == CODEC_RULE_FLOAT32 ||
		*rule == CODEC_RULE_BITS;
}

/*
 * Measures the numbers of column v under the shared rule.  Decimals of fewer digits are scaled up,
 * which changes no value, because n * 10 / 10^(e + 1) rounds as n / 10^e does.  Returns false if
 * they grow too large.
 */
static bool
measure_scaled(CodecEncoder *encoder, uint32_t v, uint8_t rule, CodecStats *stats)
{
	uint64_t   *numbers = encoder->numbers + (size_t) v * encoder->nrows;
	int64_t		limit = CODEC_DECIMAL_LIMIT;
	int64_t		power = 1;

	for (uint8_t have = encoder->column[v].values.rule; have < rule; have++)
	{
		power *= 10;
		if (power >= limit)
			return false;
	}
	codec_stream_measure(stats, numbers, encoder->nrows);
	if (power == 1)
		return true;
	limit /= power;
	if ((int64_t) stats->base <= -limit || (int64_t) (stats->base + stats->range) >= limit)
		return false;
	for (uint32_t r = 0; r < encoder->nrows; r++)
		encoder->spare[r] = numbers[r] * (uint64_t) power;
	codec_stream_measure(stats, encoder->spare, encoder->nrows);
	return true;
}

/* Widens all so that it covers one column more. */
static void
merge_stats(CodecStats *all, const CodecStats *stats)
{
	all->line = all->line && stats->line && stats->least_step == all->least_step;
	if (stats->range > all->range)
		all->range = stats->range;
	if (stats->anchor_range > all->anchor_range)
		all->anchor_range = stats->anchor_range;
	if (stats->least_step < all->least_step)
		all->least_step = stats->least_step;
	if (stats->greatest_step > all->greatest_step)
		all->greatest_step = stats->greatest_step;
}

/* The base that a column has under the shared header. */
static uint64_t
shared_base(const CodecStream *shared, const CodecStats *stats)
{
	return shared->scheme == CODEC_FOR ? stats->base : codec_delta_base(shared, stats);
}

/* Plans a shared header, and sets its size.  Returns false if the columns cannot share one. */
static bool
plan_shared(CodecEncoder *encoder, BlockSize *size)
{
	CodecColumn *shared = &encoder->shared;
	CodecStream delta;
	CodecStats	all;
	uint64_t	widest = 0;
	uint8_t		rule;

	if (encoder->nvalues == 0 || !shared_rule(encoder, &rule))
		return false;
	for (uint32_t v = 0; v < encoder->nvalues; v++)
	{
		CodecStats *stats = &encoder->column[v].stats;

		if (!measure_scaled(encoder, v, rule, stats))
			return false;
		if (v == 0)
			all = *stats;
		else
			merge_stats(&all, stats);
	}

	memset(shared, 0, sizeof(*shared));
	shared->rule = rule;
	codec_for_plan(&shared->ints, &all);
	if (encoder->nrows > 1)
	{
		codec_delta_plan(&delta, &all);
		if (codec_stream_header_bytes(&delta) + encoder->nvalues * codec_stream_data_bytes(&delta) <
			codec_stream_header_bytes(&shared->ints) +
			encoder->nvalues * codec_stream_data_bytes(&shared->ints))
			shared->ints = delta;
	}

	/* the bases have one bit more than the widest magnitude, for the sign */
	for (uint32_t v = 0; v < encoder->nvalues; v++)
	{
		int64_t		base = (int64_t) shared_base(&shared->ints, &encoder->column[v].stats);

		widest |= (uint64_t) (base < 0 ? ~base : base) << 1 | (base < 0);
	}
	encoder->shared_base_width = (uint8_t) bits_packed_width(widest);
	size->header = 2 + codec_stream_header_bytes(&shared->ints) +
		bits_packed_bytes(encoder->nvalues, encoder->shared_base_width);
	size->data = encoder->nvalues * codec_stream_data_bytes(&shared->ints) +
		codec_shared_null_bytes(encoder->flags, encoder->nvalues, encoder->nrows);
	return true;
}

/*
 * Gives all columns the rule of bits, which fits any double, so that they can share a header.  A
 * row then takes 8 bytes for each value and nothing more, however different its values are.
 */
static void
plan_bits(CodecEncoder *encoder, const CodecRows *rows)
{
	for (uint32_t v = 0; v < encoder->nvalues; v++)
	{
		gather_values(encoder, rows, v, encoder->values);
		codec_real_plan_bits(&encoder->column[v].values, encoder->values, encoder->nrows,
							 encoder->numbers + (size_t) v * encoder->nrows);
	}
}

/* Applies the shared header that has been planned: to the numbers and bases of all columns. */
static void
apply_shared(CodecEncoder *encoder)
{
	for (uint32_t v = 0; v < encoder->nvalues; v++)
	{
		ColumnPlan *column = &encoder->column[v];
		uint64_t   *numbers = encoder->numbers + (size_t) v * encoder->nrows;

		for (; column->values.rule < encoder->shared.rule; column->values.rule++)
			for (uint32_t r = 0; r < encoder->nrows; r++)
				numbers[r] *= 10;
		column->values.ints = encoder->shared.ints;
		column->values.ints.base = shared_base(&encoder->shared.ints, &column->stats);
	}
	encoder->flags |= CODEC_BLOCK_SHARED;
}

/* Makes room for count numbers, or returns false if memory is short. */
static bool
reserve_numbers(CodecEncoder *encoder, size_t count)
{
	uint64_t   *numbers;

	if (count <= encoder->numbers_capacity)
		return true;
	numbers = realloc(encoder->numbers, count * sizeof(*numbers));
	if (numbers == NULL)
		return false;
	encoder->numbers = numbers;
	encoder->numbers_capacity = count;
	return true;
}

/* Plans each column with a header of its own, and adds their sizes to *size. */
static void
plan_columns(CodecEncoder *encoder, const CodecRows *rows, BlockSize *size)
{
	const double *values = encoder->values;
	uint32_t	gathered = 0;	/* columns from values on */

	for (uint32_t v = 0; v < encoder->nvalues; v++, gathered--, values += encoder->nrows)
	{
		ColumnPlan *column = &encoder->column[v];

		if (gathered == 0)
		{
			gathered = gather_columns(encoder, rows, v, encoder->values);
			values = encoder->values;
		}
		codec_column_plan(&column->values, values, encoder->nrows,
						  encoder->numbers + (size_t) v * encoder->nrows, encoder->spare);
		add_column(size, &column->values);
		if (encoder->flags & CODEC_BLOCK_NULLS)
		{
			gather_nulls(encoder, rows, v, encoder->null_numbers);
			plan_integers(&column->nulls, encoder->null_numbers, encoder->nrows);
			add_column(size, &column->nulls);
		}
	}
}

/*
 * Returns the bytes that the columns of one row take under a shared header as bits (plan_bits()).
 * Several rows need no such bound, because codec_encode_fit() can take them one by one.
 */
static size_t
raw_bytes(const CodecEncoder *encoder)
{
	if (encoder->nrows > 1 || encoder->nvalues == 0)
		return SIZE_MAX;
	return RAW_HEADER_BYTES + 8 * (size_t) encoder->nvalues +
		codec_shared_null_bytes(encoder->flags, encoder->nvalues, 1);
}

/*
 * Plans a block of the first nrows rows.  Returns its bytes, or 0 if there are too many rows or
 * values for a block, or memory is short.
 */
static size_t
plan_block(CodecEncoder *encoder, const CodecRows *rows, uint32_t nrows)
{
	BlockSize	size = {0, 0};
	BlockSize	shared = {0, 0};
	size_t		bytes;

	if (nrows == 0 || nrows > CODEC_MAX_ROWS || rows->nvalues > CODEC_MAX_VALUES ||
		!reserve_numbers(encoder, (size_t) rows->nvalues * nrows))
		return 0;
	encoder->nrows = nrows;
	encoder->nvalues = widest_row(rows, nrows);
	encoder->flags = block_flags(rows, nrows, encoder->nvalues);

	plan_columns(encoder, rows, &size);
	/* a single column takes no more under a header of its own, unless it has a second one of nulls */
	if (nrows <= SHARED_MAX_ROWS &&
		(encoder->nvalues > 1 || encoder->flags & CODEC_BLOCK_NULLS) &&
		plan_shared(encoder, &shared) && shared.header + shared.data < size.header + size.data)
	{
		apply_shared(encoder);
		size = shared;
	}
	if (size.header + size.data > raw_bytes(encoder))
	{
		plan_bits(encoder, rows);
		plan_shared(encoder, &size);
		apply_shared(encoder);
	}

	codec_times_plan(&encoder->times, rows->time, nrows, encoder->time_numbers);
	size.header += 1 + bits_varint_bytes(encoder->nvalues) +
		codec_times_header_bytes(&encoder->times);
	size.data += codec_stream_data_bytes(&encoder->times.units);
	if (encoder->flags & CODEC_BLOCK_RAGGED)
	{
		for (uint32_t r = 0; r < nrows; r++)
			encoder->width_numbers[r] = rows->width[r];
		plan_integers(&encoder->widths, encoder->width_numbers, nrows);
		add_column(&size, &encoder->widths);
	}
	encoder->size = size;
	bytes = size.header + size.data;
	return bytes < CODEC_BLOCK_MIN_BYTES ? CODEC_BLOCK_MIN_BYTES : bytes;
}

/* Has any column coded differences? */
static bool
has_codes(const CodecEncoder *encoder)
{
	for (uint32_t v = 0; v < encoder->nvalues; v++)
		if (encoder->column[v].values.ints.scheme == CODEC_HUFFMAN)
			return true;
	return false;
}

/* Writes all headers, and returns their end. */
static uint8_t *
write_headers(const CodecEncoder *encoder, uint8_t *dst)
{
	*dst++ = (uint8_t) (codec_block_version(encoder->flags, has_codes(encoder)) << 4 |
						encoder->flags);
	dst = bits_put_varint(dst, encoder->nvalues);
	dst = codec_times_write_header(&encoder->times, dst);
	if (encoder->flags & CODEC_BLOCK_RAGGED)
		dst = codec_column_write_header(&encoder->widths, dst, false);
	if (encoder->flags & CODEC_BLOCK_SHARED)
	{
		dst = codec_column_write_header(&encoder->shared, dst, true);
		*dst++ = encoder->shared_base_width;
		return dst;
	}
	for (uint32_t v = 0; v < encoder->nvalues; v++)
	{
		if (encoder->flags & CODEC_BLOCK_NULLS)
			dst = codec_column_write_header(&encoder->column[v].nulls, dst, false);
		dst = codec_column_write_header(&encoder->column[v].values, dst, false);
	}
	return dst;
}

/* Writes the NULL flags under a shared header: column after column, one bit each. */
static uint8_t *
write_null_bits(CodecEncoder *encoder, const CodecRows *rows, uint8_t *dst)
{
	size_t		bytes = codec_shared_null_bytes(encoder->flags, encoder->nvalues, encoder->nrows);
	size_t		bit = 0;

	memset(dst, 0, bytes);
	for (uint32_t v = 0; v < encoder->nvalues; v++)
	{
		gather_nulls(encoder, rows, v, encoder->null_numbers);
		for (uint32_t r = 0; r < encoder->nrows; r++, bit++)
			dst[bit / 8] |= (uint8_t) (encoder->null_numbers[r] << (bit % 8));
	}
	return dst + bytes;
}

/* Writes the data of all streams, and returns its end. */
static uint8_t *
write_data(CodecEncoder *encoder, const CodecRows *rows, uint8_t *dst)
{
	dst = codec_stream_write_data(&encoder->times.units, encoder->time_numbers, dst);
	if (encoder->flags & CODEC_BLOCK_RAGGED)
		dst = codec_stream_write_data(&encoder->widths.ints, encoder->width_numbers, dst);
	if (encoder->flags & CODEC_BLOCK_SHARED)
	{
		uint64_t	bases[CODEC_MAX_VALUES];

		for (uint32_t v = 0; v < encoder->nvalues; v++)
			bases[v] = encoder->column[v].values.ints.base;
		dst = bits_pack(dst, encoder->shared_base_width, bases, encoder->nvalues);
		if (encoder->flags & CODEC_BLOCK_NULLS)
			dst = write_null_bits(encoder, rows, dst);
	}
	for (uint32_t v = 0; v < encoder->nvalues; v++)
	{
		const CodecColumn *column = &encoder->column[v].values;

		if ((encoder->flags & CODEC_BLOCK_NULLS) && !(encoder->flags & CODEC_BLOCK_SHARED))
		{
			gather_nulls(encoder, rows, v, encoder->null_numbers);
			dst = codec_stream_write_data(&encoder->column[v].nulls.ints,
										  encoder->null_numbers, dst);
		}
		if (column->rule == CODEC_RULE_PATCHED || column->rule == CODEC_RULE_SPLIT)
			gather_values(encoder, rows, v, encoder->values);
		dst = codec_column_write_data(column, encoder->values,
									  encoder->numbers + (size_t) v * encoder->nrows, dst);
	}
	return dst;
}

/* Writes the planned block, which zeros fill up to the given length. */
static void
write_block(CodecEncoder *encoder, const CodecRows *rows, uint8_t *dst, size_t bytes)
{
	uint8_t    *end = write_data(encoder, rows, write_headers(encoder, dst));

	memset(end, 0, bytes - (size_t) (end - dst));
}

size_t
codec_encode(CodecEncoder *encoder, const CodecRows *rows, uint8_t *dst, size_t capacity)
{
	size_t		bytes = codec_few_encode(rows, dst, capacity);

	if (bytes > 0)
		return bytes;
	bytes = plan_block(encoder, rows, rows->nrows);
	if (bytes == 0 || bytes > capacity)
		return 0;
	write_block(encoder, rows, dst, bytes);
	return bytes;
}

/*
 * The rows of a first plan: the caller's guess if it is of more than a sample, or else a sample, or
 * fewer if not as many would fit at one byte for each value.
 */
static uint32_t
first_guess(const CodecRows *rows, size_t capacity, uint32_t guess)
{
	size_t		nrows = rows->nvalues == 0 ? FIT_SAMPLE_ROWS : 1 + capacity / rows->nvalues;

	if (nrows > FIT_SAMPLE_ROWS)
		nrows = guess > FIT_SAMPLE_ROWS ? guess : FIT_SAMPLE_ROWS;
	return nrows < rows->nrows ? (uint32_t) nrows : rows->nrows;
}

/*
 * Guesses from the plan how many rows fit into the bytes: data grows with rows, headers do not.
 */
static uint32_t
extrapolate_rows(const CodecEncoder *encoder, size_t bytes)
{
	size_t		header = encoder->size.header;
	size_t		rows;

	/* the columns of a full block have headers of their own */
	if (encoder->flags & CODEC_BLOCK_SHARED)
		header += (size_t) encoder->nvalues * FIT_COLUMN_HEADER_BYTES;
	if (bytes <= header)
		return 0;
	if (encoder->size.data == 0)
		return CODEC_MAX_ROWS;
	rows = (bytes - header) * encoder->nrows / encoder->size.data;
	return rows < CODEC_MAX_ROWS ? (uint32_t) rows : CODEC_MAX_ROWS;
}

/* Makes plans of ever better guesses, and writes the last one.  The size of each plan is exact. */
size_t
codec_encode_fit(CodecEncoder *encoder, const CodecRows *rows, uint8_t *dst, size_t capacity,
				 uint32_t *guess, uint32_t *nrows_taken)
{
	uint32_t	fits = 0;		/* the most rows known to fit */
	uint32_t	too_many = rows->nrows + 1; /* the fewest known not to fit */
	uint32_t	nrows = first_guess(rows, capacity, guess != NULL ? *guess : 0);
	size_t		margin = capacity / FIT_MARGIN;
	bool		guessed = nrows > FIT_SAMPLE_ROWS;
	size_t		spared = guessed ? margin / 2 : margin;
	size_t		bytes = 0;

	for (int plans = 1; too_many - fits > 1; plans++)
	{
		bytes = plan_block(encoder, rows, nrows);
		if (bytes == 0)
			return 0;
		if (bytes <= capacity)
		{
			size_t		row_bytes = bytes / nrows;

			fits = nrows;
			/* another plan of all rows for a hundredth more of them is not worth its time */
			if (capacity - bytes <= (row_bytes > margin ? row_bytes : margin) ||
				(guessed && plans == 1 && capacity - bytes <= 2 * margin) ||
				plans >= FIT_MAX_PLANS)
				break;
		}
		else
			too_many = nrows;

		/*
		 * Numbers of more rows are wider, so what follows from a sample aims a little short, and
		 * what follows from a guess less so.
		 */
		nrows = extrapolate_rows(encoder, capacity - spared);
		spared = 0;
		if (nrows >= too_many && too_many > rows->nrows)
			nrows = rows->nrows;
		else if (nrows <= fits || nrows >= too_many)
			nrows = fits + (too_many - fits) / 2;
	}
	if (fits == 0)
		return 0;
	if (encoder->nrows != fits)
		bytes = plan_block(encoder, rows, fits);
	write_block(encoder, rows, dst, bytes);
	if (guess != NULL && fits < rows->nrows)
		*guess = extrapolate_rows(encoder, capacity - margin / 2);
	*nrows_taken = fits;
	return bytes;
}
