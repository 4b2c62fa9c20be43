/*
 * fuzz_codec_round_trip.c
 *	  Any rows: what is encoded comes back bit for bit, in full and as many as fit.
 *
 * Input: rows (2 bytes), values (1), flags (1), capacity (2), a seed (2), and then numbers of 8
 * bytes that go into the columns, one after the other, as often as it takes.  By the flags, rows
 * are ragged or have NULLs, and columns are made of the numbers' bits, of decimals that they are
 * scaled to, of sums of them, or of random columns.
 */
#include "codec_check.h"
#include "codec_rows.h"

#include <stdlib.h>
#include <string.h>

#define MOST_ROWS		  700
#define MOST_VALUES		  6
#define FLAG_RAGGED		  0x01
#define FLAG_NULLS		  0x02
#define FLAG_COLUMN_MAJOR 0x04

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Input
{
	const uint8_t *data;
	size_t size;
	size_t at;
} Input;

/* The next number; the numbers come again when they are used up. */
static uint64_t
next_number(Input *input)
{
	uint64_t number = 0;

	if (input->size < 8)
		return 0;
	if (input->at + 8 > input->size)
		input->at = input->at % 8 == 7 ? 0 : input->at % 8 + 1;
	if (input->at + 8 > input->size)
		input->at = 0;
	memcpy(&number, input->data + input->at, 8);
	input->at += 8;
	return number;
}

static void
fill_from_input(OwnedRows *owned, uint32_t v, unsigned kind, Input *input, Random *random)
{
	static const double scale[] = {1, 10, 100, 1e3, 1e6, 1e9, 1e15, 1e-3};
	uint64_t sum = 0;

	if (kind % 4 == 3)
	{
		fill_column(owned, v, random_below(random, KIND_COUNT), random);
		return;
	}
	for (uint32_t r = 0; r < owned->rows.nrows; r++)
	{
		uint64_t number = next_number(input);
		double value;

		/* steps of which some are much smaller than others */
		sum += (uint64_t) ((int64_t) (number % 1000 - 500) >> (number >> 60));
		if (kind % 4 == 0)
			memcpy(&value, &number, sizeof(value));
		else if (kind % 4 == 1)
			value = (double) ((int64_t) number >> 16) / scale[kind / 4 % 8];
		else
			value = (double) (int64_t) sum / scale[kind / 4 % 8];
		*owned_value(owned, r, v) = value;
	}
}

/* Times that ascend: each number is a gap, except what would pass the end of int64. */
static void
fill_times_from_input(OwnedRows *owned, Input *input)
{
	int64_t time = (int64_t) next_number(input);
	uint32_t nrows = 0;

	for (; nrows < owned->rows.nrows; nrows++)
	{
		uint64_t gap = next_number(input);

		owned->time[nrows] = time;
		gap = 1 + (gap >> (gap % 64));
		if (gap > (uint64_t) INT64_MAX - (uint64_t) time)
		{
			nrows++;
			break;
		}
		time = (int64_t) ((uint64_t) time + gap);
	}
	owned->rows.nrows = nrows;
}

static void
check(const OwnedRows *owned, size_t capacity)
{
	static CodecEncoder *encoder;
	static uint8_t block[MOST_ROWS * (MOST_VALUES + 2) * 40];
	uint32_t guess = (uint32_t) (capacity * 7 % MOST_ROWS);
	uint32_t taken = 0;
	size_t length;

	if (encoder == NULL)
		encoder = codec_encoder_new();
	if (encoder == NULL)
		return;
	length = codec_encode(encoder, &owned->rows, block, sizeof(block));
	if (length == 0 || codec_check_block(&owned->rows, owned->rows.nrows, block, length) != NULL)
		abort();
	length = codec_encode_fit(encoder, &owned->rows, block, capacity, &guess, &taken);
	if (length > capacity ||
		(length > 0 && codec_check_block(&owned->rows, taken, block, length) != NULL))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OwnedRows owned;
	Random random;
	Input input;
	uint32_t nrows;
	uint32_t nvalues;
	uint8_t flags;

	if (size < 8)
		return 0;
	input = (Input){.data = data + 8, .size = size - 8};
	nrows = 1 + (uint32_t) (data[0] | data[1] << 8) % MOST_ROWS;
	nvalues = data[2] % (MOST_VALUES + 1);
	flags = data[3];
	random.state = (uint64_t) (data[6] | data[7] << 8);

	owned_rows_init(&owned, nrows, nvalues, flags & FLAG_COLUMN_MAJOR, flags & FLAG_RAGGED,
					flags & FLAG_NULLS);
	fill_times_from_input(&owned, &input);
	for (uint32_t v = 0; v < nvalues; v++)
		fill_from_input(&owned, v, (flags >> 3) + v, &input, &random);
	for (uint32_t r = 0; r + 1 < owned.rows.nrows && owned.width != NULL; r++)
	{
		uint64_t number = next_number(&input);

		owned.width[r] =
			number % 5 == 0 ? CODEC_WIDTH_NULL : (uint16_t) (number / 5 % (nvalues + 1));
	}
	for (uint32_t i = 0; i < nrows * nvalues && owned.isnull != NULL; i++)
		owned.isnull[i] = next_number(&input) % 3 == 0;
	check(&owned, (size_t) (data[4] | data[5] << 8) % 8192);
	owned_rows_free(&owned);
	return 0;
}
