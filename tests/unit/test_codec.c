/*
 * test_codec.c
 *	  Blocks: whatever goes in comes out, bit for bit, and no bytes make a reader stray.
 *
 * Random tests print their seed; SEED=n repeats them, ROUNDS=n makes them longer.
 */
#include "codec_check.h"
#include "codec/codec_decimal.h"
#include "codec/codec_reader.h"
#include "codec_rows.h"
#include "tap.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define MOST_BYTES (CODEC_MAX_ROWS * 200)
#define SAME_BYTES UINT64_C(0xd99ef744242d6322)

static CodecEncoder *encoder;
static uint8_t block[MOST_BYTES];
static Random rng;
static uint64_t seed;

static uint32_t
rounds(uint32_t usual)
{
	const char *text = getenv("ROUNDS");

	return text == NULL ? usual : (uint32_t) strtoul(text, NULL, 10);
}

/* Encodes and compares; NULL if all is well. */
static const char *
round_trip(const CodecRows *rows, size_t *length)
{
	*length = codec_encode(encoder, rows, block, sizeof(block));
	if (*length == 0)
		return "codec_encode";
	return codec_check_block(rows, rows->nrows, block, *length);
}

/* The block's length. */
static size_t
round_trip_ok(OwnedRows *owned, const char *name)
{
	size_t length;
	const char *wrong = round_trip(&owned->rows, &length);

	ok(wrong == NULL, "%s (%zu bytes)%s%s", name, length, wrong ? ": wrong is " : "",
	   wrong ? wrong : "");
	owned_rows_free(owned);
	return length;
}

/* One column of the given doubles, which are given as bits. */
static size_t
column_ok(const char *name, const uint64_t *bits, uint32_t nrows)
{
	OwnedRows owned;

	owned_rows_init(&owned, nrows, 1, false, false, false);
	memcpy(owned.values, bits, nrows * sizeof(*bits));
	return round_trip_ok(&owned, name);
}

static uint64_t
bits_of(double value)
{
	return bits_of_double(value);
}

static void
test_doubles(void)
{
	const uint64_t nan_payloads[] = {UINT64_C(0x7ff8000000000000), UINT64_C(0xfff8000000000000),
									 UINT64_C(0x7ff0000000000001), UINT64_C(0x7ff7ffffffffffff),
									 UINT64_C(0xffffffffffffffff), UINT64_C(0x7ff8dead0000beef)};
	const uint64_t infinities[] = {bits_of(INFINITY), bits_of(-INFINITY), bits_of(1.5)};
	const uint64_t subnormals[] = {1,
								   2,
								   UINT64_C(0x000fffffffffffff),
								   UINT64_C(0x8000000000000001),
								   UINT64_C(0x800fffffffffffff),
								   UINT64_C(0x0010000000000000)};
	const uint64_t ends[] = {bits_of(1.7976931348623157e308), bits_of(-1.7976931348623157e308),
							 bits_of(2.2250738585072014e-308)};
	uint64_t zeros[64];
	uint64_t doubles[2000];
	static CodecReader reader;
	size_t length;

	column_ok("NaN payloads", nan_payloads, 6);
	column_ok("infinities", infinities, 3);
	column_ok("subnormals", subnormals, 6);
	column_ok("the largest doubles", ends, 3);

	/* a codec of another system decoded -0.0 as 0.0 */
	for (uint32_t i = 0; i < 64; i++)
		zeros[i] = bits_of(-0.0);
	column_ok("-0.0 alone", zeros, 1);
	column_ok("-0.0 throughout", zeros, 64);

	/* another one compared runs with ==, which merged zeros of both signs */
	for (uint32_t i = 0; i < 64; i++)
		zeros[i] = bits_of(i / 16 % 2 ? -0.0 : 0.0);
	column_ok("runs of 0.0 and -0.0", zeros, 64);
	for (uint32_t i = 0; i < 64; i++)
		zeros[i] = bits_of(i % 7 == 3 ? -0.0 : i * 0.25);
	column_ok("-0.0 among decimals", zeros, 64);

	/* no decimal of up to 15 digits is an exception: each is the double that strtod() makes */
	for (uint32_t digits = 0; digits <= 15; digits++)
	{
		char name[64];

		for (uint32_t i = 0; i < 2000; i++)
		{
			char text[40];

			snprintf(text, sizeof(text), "%" PRId64 "e-%u",
					 (int64_t) (random_bits(&rng) % UINT64_C(2000000000000)) - 1000000000000,
					 digits);
			doubles[i] = bits_of(strtod(text, NULL));
		}
		snprintf(name, sizeof(name), "decimals of %u digits after the point", digits);
		length = column_ok(name, doubles, 2000);
		ok(codec_open(&reader, block, length, 2000) == CODEC_OK &&
			   codec_rule_is_decimal(reader.column[0].rule),
		   "no exceptions among them");
	}
}

static void
test_times(void)
{
	static const char *name[TIME_COUNT] = {"regular times", "times of a Poisson process",
										   "any times", "times from end to end of int64"};
	OwnedRows owned;

	for (TimeKind kind = 0; kind < TIME_COUNT; kind++)
		for (uint32_t nrows = 1; nrows <= CODEC_MAX_ROWS; nrows *= 4)
		{
			owned_rows_init(&owned, nrows, 0, false, false, false);
			fill_times(&owned, kind, &rng);
			round_trip_ok(&owned, name[kind]);
		}

	/* the difference of the ends is not an int64, nor is 0 - INT64_MIN */
	owned_rows_init(&owned, 2, 0, false, false, false);
	owned.time[0] = INT64_MIN;
	owned.time[1] = INT64_MAX;
	round_trip_ok(&owned, "two times, the ends of int64");
	owned_rows_init(&owned, 3, 0, false, false, false);
	owned.time[0] = INT64_MIN;
	owned.time[1] = 0;
	owned.time[2] = INT64_MAX;
	round_trip_ok(&owned, "three times, the ends of int64 and 0");
	owned_rows_init(&owned, 1, 0, false, false, false);
	owned.time[0] = INT64_MIN;
	round_trip_ok(&owned, "one time, the least");
}

/* Every number of rows around the sizes at which something changes, of every kind of column. */
static void
test_row_counts(void)
{
	static const uint32_t counts[] = {1,   2,	3,	 4,	  5,   7,	 8,	   9,
									  15,  16,	17,	 18,  31,  32,	 33,   34,
									  47,  48,	49,	 50,  63,  64,	 65,   66,
									  80,  81,	96,	 97,  127, 128,	 129,  255,
									  256, 257, 511, 512, 513, 1000, 2047, CODEC_MAX_ROWS};

	for (ColumnKind kind = 0; kind < KIND_COUNT; kind++)
	{
		const char *wrong = NULL;
		uint32_t at = 0;

		for (size_t i = 0; i < sizeof(counts) / sizeof(*counts) && wrong == NULL; i++)
		{
			OwnedRows owned;
			size_t length;

			at = counts[i];
			owned_rows_init(&owned, at, 2, i % 2 == 0, false, false);
			fill_times(&owned, TIME_POISSON, &rng);
			fill_column(&owned, 0, kind, &rng);
			fill_column(&owned, 1, kind, &rng);
			wrong = round_trip(&owned.rows, &length);
			owned_rows_free(&owned);
		}
		ok(wrong == NULL, "columns of kind %u with any number of rows%s%s, %u rows", kind,
		   wrong ? ": wrong is " : "", wrong ? wrong : "", at);
	}
}

/* Ranges of blocks with coded differences, of which groups are decoded side by side. */
static void
test_coded_ranges(void)
{
	static CodecReader reader;
	static double part[1200];
	uint32_t wrong = 0;
	uint32_t coded = 0;
	OwnedRows owned;

	for (uint32_t nrows = 256; nrows <= 1200; nrows += 59)
	{
		size_t length;

		owned_rows_init(&owned, nrows, 1, false, false, false);
		fill_column(&owned, 0, KIND_PEAKED_WALK, &rng);
		length = codec_encode(encoder, &owned.rows, block, sizeof(block));
		wrong += codec_open(&reader, block, length, nrows) != CODEC_OK;
		coded += block[0] >> 4 == CODEC_BLOCK_VERSION_CODED;
		for (uint32_t round = 0; round < 500; round++)
		{
			uint32_t first = random_below(&rng, nrows);
			uint32_t count = 1 + random_below(&rng, nrows - first);

			codec_decode_column(&reader, 0, first, count, part);
			wrong += memcmp(part, owned.values + first, count * sizeof(double)) != 0;
		}
		owned_rows_free(&owned);
	}
	ok(wrong == 0 && coded > 10, "ranges of %u blocks with coded differences (SEED=%" PRIu64 ")",
	   coded, seed);
}

/* All ranges of a block, however they lie to groups and chunks. */
static void
test_ranges(void)
{
	static CodecReader reader;
	double part[80];
	uint32_t wrong = 0;
	OwnedRows owned;

	for (ColumnKind kind = 0; kind < KIND_COUNT; kind++)
	{
		size_t length;

		owned_rows_init(&owned, 80, 1, false, false, false);
		fill_column(&owned, 0, kind, &rng);
		length = codec_encode(encoder, &owned.rows, block, sizeof(block));
		if (codec_open(&reader, block, length, 80) != CODEC_OK)
			wrong++;
		for (uint32_t first = 0; first < 80; first++)
			for (uint32_t count = 1; first + count <= 80; count++)
			{
				codec_decode_column(&reader, 0, first, count, part);
				wrong += memcmp(part, owned.values + first, count * sizeof(double)) != 0;
			}
		owned_rows_free(&owned);
	}
	ok(wrong == 0, "every range of 80 rows decodes to itself");
	test_coded_ranges();

	/* no rows at all are a range too */
	owned_rows_init(&owned, 3, 1, false, false, false);
	codec_open(&reader, block, codec_encode(encoder, &owned.rows, block, sizeof(block)), 3);
	codec_decode_times(&reader, 0, 0, NULL);
	codec_decode_column(&reader, 0, 0, 0, NULL);
	codec_decode_nulls(&reader, 0, 0, 0, (uint8_t[]){0});
	ok(true, "a range of no rows decodes to nothing");
	owned.rows.nrows = CODEC_MAX_ROWS + 1;
	ok(codec_encode(encoder, &owned.rows, block, sizeof(block)) == 0, "too many rows do not fit");
	owned.rows.nrows = 0;
	ok(codec_encode(encoder, &owned.rows, block, sizeof(block)) == 0, "no rows make no block");
	owned_rows_free(&owned);
}

static void
test_shapes(void)
{
	OwnedRows owned;

	owned_rows_init(&owned, 1, 0, false, false, false);
	round_trip_ok(&owned, "one row, no values");

	owned_rows_init(&owned, 5, 0, false, true, false);
	owned.width[3] = CODEC_WIDTH_NULL;
	round_trip_ok(&owned, "empty arrays and a NULL one");

	owned_rows_init(&owned, 40, CODEC_MAX_VALUES, false, false, false);
	for (uint32_t v = 0; v < CODEC_MAX_VALUES; v++)
		fill_column(&owned, v, v % KIND_COUNT, &rng);
	round_trip_ok(&owned, "the most values");

	owned_rows_init(&owned, CODEC_MAX_ROWS, 3, true, false, false);
	for (uint32_t v = 0; v < 3; v++)
		fill_column(&owned, v, KIND_NOISE, &rng);
	round_trip_ok(&owned, "the most rows");

	owned_rows_init(&owned, 100, 30, false, true, false);
	for (uint32_t r = 0; r < 99; r++)
		owned.width[r] = (uint16_t) (r % 30);
	for (uint32_t v = 0; v < 30; v++)
		fill_column(&owned, v, KIND_DECIMAL_WALK, &rng);
	round_trip_ok(&owned, "ragged rows");

	owned_rows_init(&owned, 50, 2, false, false, true);
	for (uint32_t r = 0; r < 50; r++)
	{
		*owned_value(&owned, r, 0) = 1000;
		*owned_isnull(&owned, r, 1) = 1;
	}
	/* what stands in for a NULL must not be seen: a minimum of another system was its 0 */
	*owned_isnull(&owned, 17, 0) = 1;
	*owned_value(&owned, 17, 0) = -1e300;
	round_trip_ok(&owned, "NULL elements, and a column of nothing else");

	owned_rows_init(&owned, 9, 4, true, true, true);
	for (uint32_t r = 0; r < 8; r++)
		owned.width[r] = CODEC_WIDTH_NULL;
	*owned_isnull(&owned, 8, 3) = 1;
	round_trip_ok(&owned, "NULL arrays, and a NULL element in the last");
}

/* Small blocks share one header where their columns are of one kind. */
static void
test_shared_header(void)
{
	OwnedRows owned;

	owned_rows_init(&owned, 2, 3, false, false, false);
	for (uint32_t v = 0; v < 3; v++)
		*owned_value(&owned, 0, v) = -0.0;
	round_trip_ok(&owned, "bases of -1, which have no bits but their sign");

	/* whole numbers that are too large to be counted in millionths as well */
	owned_rows_init(&owned, 1, 20, false, false, false);
	for (uint32_t v = 0; v < 20; v++)
		*owned_value(&owned, 0, v) = v == 4 ? 0.000001 : 1e15 + 10 * v + 1;
	round_trip_ok(&owned, "decimals that cannot be scaled to each other");
	owned_rows_init(&owned, 4, 2, false, false, false);
	for (uint32_t r = 0; r < 4; r++)
	{
		*owned_value(&owned, r, 0) = 7000 + r;
		*owned_value(&owned, r, 1) = 0.123 + r;
	}
	round_trip_ok(&owned, "decimals that can");
}

static void
test_random(void)
{
	uint32_t count = rounds(20000);
	const char *wrong = NULL;
	uint32_t round = 0;
	uint32_t differing = 0;
	CodecEncoder *fresh = codec_encoder_new();
	uint8_t *again = malloc(MOST_BYTES);

	for (; round < count && wrong == NULL; round++)
	{
		OwnedRows owned;
		size_t length;

		random_rows(&owned, round % 20 == 0 ? CODEC_MAX_ROWS : 70, 12, &rng);
		wrong = round_trip(&owned.rows, &length);

		/* what was encoded before makes no difference */
		if (wrong == NULL && round % 10 == 0)
		{
			differing += codec_encode(fresh, &owned.rows, again, MOST_BYTES) != length ||
						 memcmp(again, block, length) != 0;
			codec_encoder_free(fresh);
			fresh = codec_encoder_new();
		}
		owned_rows_free(&owned);
	}
	ok(wrong == NULL, "%u random blocks%s%s (round %u, SEED=%" PRIu64 ")", count,
	   wrong ? ": wrong is " : "", wrong ? wrong : "", round, seed);
	ok(differing == 0, "the same rows give the same bytes (SEED=%" PRIu64 ")", seed);
	codec_encoder_free(fresh);
	free(again);
}

/*
 * The same bytes on every machine, whatever its vector units: a checksum (FNV-1a) of blocks of
 * every kind.  It changes when the encoder chooses otherwise, which it may, or the format does.
 */
static void
test_same_bytes(void)
{
	Random fixed = {1};
	uint64_t checksum = UINT64_C(0xcbf29ce484222325);

	for (ColumnKind kind = 0; kind < KIND_COUNT; kind++)
		for (uint32_t nrows = 1; nrows < 700; nrows += 1 + nrows / 2)
		{
			OwnedRows owned;
			size_t length;

			owned_rows_init(&owned, nrows, 3, false, false, false);
			fill_times(&owned, TIME_ANY, &fixed);
			for (uint32_t v = 0; v < 3; v++)
				fill_column(&owned, v, kind, &fixed);
			length = codec_encode(encoder, &owned.rows, block, sizeof(block));
			for (size_t i = 0; i < length; i++)
				checksum = (checksum ^ block[i]) * UINT64_C(0x100000001b3);
			owned_rows_free(&owned);
		}
	ok(checksum == SAME_BYTES, "the bytes are those of every machine (%016" PRIx64 ")", checksum);
}

/* Does an integer below 2^51 give the value back at this exponent? */
static bool
is_exact(double value, int exponent)
{
	double power = pow(10, abs(exponent));
	double number = nearbyint(exponent < 0 ? value / power : value * power);

	return fabs(number) < 2251799813685248.0 &&
		   bits_of(exponent < 0 ? number * power : number / power) == bits_of(value);
}

/* The smallest such exponent, which is negative only if the value itself is such an integer; 99: there is none. */
static int
least_exponent(double value)
{
	int exponent = is_exact(value, 0) ? -4 : 1;

	while (exponent <= 22 && !is_exact(value, exponent))
		exponent++;
	return exponent <= 22 ? exponent : 99;
}

/* A value alone, which is encoded without a plan, takes the bytes that the plan would give. */
static void
test_one_value(void)
{
	static const uint8_t not_null = 0;
	static const int64_t times[] = {0,
									1,
									-1,
									99999,
									100000,
									-1000000,
									1234500000,
									INT64_MAX,
									INT64_MIN,
									1000000000000000000,
									-1000000000000000000,
									700000000000000000};
	uint32_t count = rounds(200000);
	uint32_t differ = 0;
	uint32_t wrong = 0;
	uint32_t decimals = 0;

	for (uint32_t i = 0; i < count; i++)
	{
		uint64_t number;
		int exponent;
		double value;
		uint8_t planned[64];
		CodecRows rows = {
			.nrows = 1, .nvalues = 1, .values = &value, .row_stride = 1, .value_stride = 1};
		CodecRows with_flags;
		int64_t time = (int64_t) random_bits(&rng) >> random_below(&rng, 64);
		int64_t whole = (int64_t) random_bits(&rng) >> random_below(&rng, 64);
		size_t bytes;

		switch (random_below(&rng, 5))
		{
			case 0:
				value = bits_to_double(random_bits(&rng));
				break;
			case 1:
				value = (double) whole;
				break;
			case 2:
				value =
					nextafter((double) whole / pow(10, (double) random_below(&rng, 25)), INFINITY);
				break;
			default:
				value = (double) whole / pow(10, (double) random_below(&rng, 25));
				break;
		}
		if (!codec_decimal_of(value, &exponent, &number))
			exponent = 99;
		wrong += exponent != least_exponent(value);
		decimals += exponent != 99;
		if (i < 12)
			time = times[i];
		else if (i % 3 == 0)
			time = time / 100000 * 100000;
		rows.time = &time;
		with_flags = rows;
		with_flags.isnull = &not_null;
		bytes = codec_encode(encoder, &rows, block, sizeof(block));
		if (codec_encode(encoder, &with_flags, planned, sizeof(planned)) != bytes || bytes == 0 ||
			memcmp(block, planned, bytes) != 0 || codec_check_block(&rows, 1, block, bytes) != NULL)
			differ++;
	}
	ok(wrong == 0, "of %u values, %u of them decimals, %u have another exponent than the smallest",
	   count, decimals, wrong);
	ok(differ == 0, "of %u values alone, %u have other bytes than by a plan", count, differ);
}

/* Few rows of one value are encoded without a plan, to the bytes of one. */
static void
test_few_rows(void)
{
	static const uint8_t no_null[40 * 2];
	static uint8_t planned[MOST_BYTES];
	uint32_t count = rounds(200000);
	uint32_t differ = 0;

	for (uint32_t round = 0; round < count; round++)
	{
		uint32_t nrows = 1 + random_below(&rng, round % 2 == 0 ? 5 : 35);
		OwnedRows owned;
		CodecRows with_flags;
		size_t bytes;

		/* rows of two values, of which the first is taken */
		owned_rows_init(&owned, nrows, 2, false, false, false);
		fill_times(&owned, random_below(&rng, TIME_COUNT), &rng);
		fill_column(&owned, 0, random_below(&rng, KIND_COUNT), &rng);
		owned.rows.nvalues = 1;
		with_flags = owned.rows;
		with_flags.isnull = no_null;
		bytes = codec_encode(encoder, &owned.rows, block, sizeof(block));
		if (bytes == 0 || codec_encode(encoder, &with_flags, planned, sizeof(planned)) != bytes ||
			memcmp(block, planned, bytes) != 0 ||
			codec_check_block(&owned.rows, nrows, block, bytes) != NULL)
			differ++;
		owned_rows_free(&owned);
	}
	ok(differ == 0,
	   "of %u blocks of few rows of a value, %u have other bytes than by a plan (SEED=%" PRIu64 ")",
	   count, differ, seed);
}

static void
test_capacity(void)
{
	uint32_t count = rounds(4000);
	uint32_t wrong = 0;
	uint32_t overrun = 0;
	uint32_t untight = 0;

	for (uint32_t round = 0; round < count; round++)
	{
		OwnedRows owned;
		size_t capacity = 8 + random_below(&rng, 8100);
		uint32_t guess =
			random_below(&rng, 2) == 0 ? 0 : (uint32_t) random_below(&rng, 2 * CODEC_MAX_ROWS);
		uint32_t taken = 0;
		size_t length;
		size_t exact;

		random_rows(&owned, round % 5 == 0 ? CODEC_MAX_ROWS : 100, 12, &rng);
		memset(block, 0x5a, capacity + 64);
		length = codec_encode_fit(encoder, &owned.rows, block, capacity, &guess, &taken);
		for (uint32_t i = 0; i < 64; i++)
			overrun += block[capacity + i] != 0x5a;
		if (length > capacity ||
			(length > 0 && codec_check_block(&owned.rows, taken, block, length) != NULL))
			wrong++;

		/* exactly as many bytes as needed, and not with one less */
		exact = codec_encode(encoder, &owned.rows, block, sizeof(block));
		memset(block, 0x5a, exact + 64);
		if (codec_encode(encoder, &owned.rows, block, exact) != exact ||
			codec_encode(encoder, &owned.rows, block, exact - 1) != 0)
			untight++;
		for (uint32_t i = 0; i < 64; i++)
			overrun += block[exact + i] != 0x5a;
		owned_rows_free(&owned);
	}
	ok(wrong == 0, "what codec_encode_fit() takes comes back (SEED=%" PRIu64 ")", seed);
	ok(untight == 0, "codec_encode() needs exactly the bytes that it returns");
	ok(overrun == 0, "nothing is written beyond the block");
}

/* Compaction fills pages with this: each to 97% or more, and in few bytes, whatever the guess is. */
static void
test_fill(void)
{
	static const ColumnKind kinds[] = {KIND_DECIMAL_WALK, KIND_FULL_WALK, KIND_NOISE, KIND_FLOAT32,
									   KIND_DECIMALS};
	uint32_t taken;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
	{
		uint32_t guess = 0;
		OwnedRows owned;
		size_t length;

		owned_rows_init(&owned, CODEC_MAX_ROWS, 10, false, false, false);
		fill_times(&owned, TIME_POISSON, &rng);
		for (uint32_t v = 0; v < 10; v++)
			fill_column(&owned, v, kinds[i], &rng);
		for (uint32_t part = 0; part <= 6; part++)
		{
			uint32_t guessed = guess;

			length = codec_encode_fit(encoder, &owned.rows, block, 8090, &guess, &taken);
			ok(length >= 8090 * 97 / 100 && length <= 8090,
			   "columns of kind %u fill a page (%u rows guessed, %u taken, %zu bytes)", kinds[i],
			   guessed, taken, length);
			/* first the guess that was left there, then wrong ones */
			if (part > 0)
				guess = taken * part / 3;
		}
		owned_rows_free(&owned);
	}
}

static void
test_small_blocks(void)
{
	static const uint32_t most[] = {0, 36, 60, 80, 100};
	OwnedRows owned;
	size_t length;

	for (uint32_t nrows = 1; nrows <= 4; nrows++)
	{
		owned_rows_init(&owned, nrows, 10, false, false, false);
		for (uint32_t r = 0; r < nrows; r++)
		{
			owned.time[r] = INT64_C(1700000000123400000) + r * INT64_C(7300000);
			for (uint32_t v = 0; v < 10; v++)
				*owned_value(&owned, r, v) = (10000 + 7919 * v + 31 * r * v % 100) / 100.0;
		}
		length = codec_encode(encoder, &owned.rows, block, sizeof(block));
		ok(length <= most[nrows] && codec_check_block(&owned.rows, nrows, block, length) == NULL,
		   "%u rows of 10 values of two decimals take %zu bytes", nrows, length);
		owned_rows_free(&owned);
	}
}

/* A valid block of a random kind, of up to so many rows, and their number. */
static size_t
random_block(uint32_t most_rows, uint32_t *nrows)
{
	OwnedRows owned;
	size_t length;

	random_rows(&owned, most_rows, 12, &rng);
	*nrows = owned.rows.nrows;
	length = codec_encode(encoder, &owned.rows, block, sizeof(block));
	owned_rows_free(&owned);
	return length;
}

/* Reads bytes that end where their memory ends. */
static const char *
exercise(const uint8_t *bytes, size_t length, uint32_t nrows)
{
	uint8_t *copy = malloc(length + 1);
	const char *wrong;

	if (copy == NULL)
		return "out of memory";
	memcpy(copy + 1, bytes, length);
	wrong = codec_exercise_block(copy + 1, length, nrows);
	free(copy);
	return wrong;
}

/* Blocks with coded differences have a version of their own, and all others do not. */
static void
test_versions(void)
{
	static CodecReader reader;
	uint32_t accepted = 0;
	OwnedRows owned;
	size_t length;

	for (ColumnKind kind = KIND_DECIMAL_WALK; kind <= KIND_NARROW_WALK; kind += KIND_NARROW_WALK)
	{
		uint8_t version;

		owned_rows_init(&owned, 2000, 1, false, false, false);
		fill_column(&owned, 0, kind, &rng);
		length = codec_encode(encoder, &owned.rows, block, sizeof(block));
		version = block[0] >> 4;
		ok(version ==
				   (kind == KIND_NARROW_WALK ? CODEC_BLOCK_VERSION_CODED : CODEC_BLOCK_VERSION) &&
			   codec_open(&reader, block, length, 2000) == CODEC_OK,
		   "a block of version %u", version);
		for (unsigned head = 1 << 4; head < 4 << 4; head++)
		{
			if (head == (unsigned) version << 4)
				continue;
			block[0] = (uint8_t) head;
			accepted += codec_open(&reader, block, length, 2000) == CODEC_OK;
		}
		owned_rows_free(&owned);
	}
	ok(accepted == 0, "blocks of another version or other flags are corrupt");
}

static void
test_corruption(void)
{
	static CodecReader reader;
	uint32_t count = rounds(2000);
	uint32_t accepted = 0;
	const char *wrong = NULL;

	for (uint32_t round = 0; round < count && wrong == NULL; round++)
	{
		uint32_t nrows;
		size_t length = random_block(round % 4 ? 200 : 700, &nrows);

		for (size_t cut = 0; cut < length; cut += 1 + length / 50)
			accepted += codec_open(&reader, block, cut, nrows) == CODEC_OK;
		if (length > CODEC_BLOCK_MIN_BYTES)
			accepted += codec_open(&reader, block, length + 1, nrows) == CODEC_OK;

		for (uint32_t flips = 0; flips < 100 && wrong == NULL; flips++)
		{
			/* most of them where the headers are */
			size_t at =
				random_below(&rng, (uint32_t) (flips % 4 ? length < 60 ? length : 60 : length));
			uint8_t was = block[at];

			block[at] ^= (uint8_t) (1u << random_below(&rng, 8));
			if (flips % 10 == 0)
				block[at] = (uint8_t) random_bits(&rng);
			wrong = exercise(block, length, flips % 5 ? nrows : 1 + random_below(&rng, 300));
			if (flips % 3)
				block[at] = was;
		}
	}
	ok(accepted == 0, "blocks cut short or with a byte too many are corrupt (SEED=%" PRIu64 ")",
	   seed);
	ok(wrong == NULL, "corrupt blocks are read without straying%s%s (SEED=%" PRIu64 ")",
	   wrong ? ": wrong is " : "", wrong ? wrong : "", seed);

	test_versions();
	random_block(200, &(uint32_t){0});
	block[0] = (uint8_t) ((block[0] & 0x0f) | (CODEC_BLOCK_VERSION_CODED + 1) << 4);
	ok(codec_open(&reader, block, 100, 1) == CODEC_UNSUPPORTED, "a newer version is unsupported");
	memset(block, 0, 100);
	ok(codec_open(&reader, block, 100, 1) == CODEC_CORRUPT, "zeros are no block");
	memset(block, 0xff, 100);
	ok(codec_open(&reader, block, 100, 1) != CODEC_OK, "ones are no block");
	ok(codec_open(&reader, block, 0, 1) == CODEC_CORRUPT, "nothing is no block");
	ok(codec_open(&reader, block, 100, 0) == CODEC_CORRUPT, "no rows are no block");
	ok(codec_open(&reader, block, 100, CODEC_MAX_ROWS + 1) == CODEC_CORRUPT,
	   "too many rows are no block");
}

/* A block of two rows and one column of two decimals, whose stream has the given header. */
static CodecStatus
open_hand_made(const uint8_t *stream_header, size_t header_bytes, size_t data_bytes)
{
	static const uint8_t before[] = {
		0x10,	1,		 /* version 1; one value */
		0x00,			 /* first time: 0 */
		0x01,	1,		 /* scale: 1 */
		0x40,	0x40, 1, /* times: a line of step 1 */
		6 << 3,			 /* decimal, exponent 2; no base */
	};
	static CodecReader reader;
	size_t length = sizeof(before) + header_bytes + data_bytes;

	memset(block, 0, length);
	memcpy(block, before, sizeof(before));
	memcpy(block + sizeof(before), stream_header, header_bytes);
	return codec_open(&reader, block, length, 2);
}

/* Headers that no encoder writes, with data of the length that they ask for. */
static void
test_limits(void)
{
	ok(open_hand_made((uint8_t[]){0x08}, 1, 2) == CODEC_OK, "numbers of 8 bits");
	ok(open_hand_made((uint8_t[]){58}, 1, 15) == CODEC_CORRUPT, "numbers of 58 bits");
	ok(open_hand_made((uint8_t[]){63}, 1, 16) == CODEC_OK, "numbers of 64 bits");
	ok(open_hand_made((uint8_t[]){0x88, 2}, 2, 3) == CODEC_OK, "two runs");
	ok(open_hand_made((uint8_t[]){0x88, 3}, 2, 4) == CODEC_CORRUPT, "more runs than rows");
	ok(open_hand_made((uint8_t[]){0x88, 0}, 2, 0) == CODEC_CORRUPT, "no runs");
	ok(open_hand_made((uint8_t[]){0xc8, 0x80, 2}, 3, 258) == CODEC_OK,
	   "a dictionary of 256 entries");
	ok(open_hand_made((uint8_t[]){0xc8, 0x81, 2}, 3, 260) == CODEC_CORRUPT,
	   "a dictionary of 257 entries");
	ok(open_hand_made((uint8_t[]){0xc8, 0}, 2, 0) == CODEC_CORRUPT, "an empty dictionary");
	ok(open_hand_made(
		   (uint8_t[]){0xc8, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1}, 12,
		   258) == CODEC_CORRUPT,
	   "a varint without an end");
}

int
main(void)
{
	seed = random_seed();
	rng.state = seed;
	printf("# SEED=%" PRIu64 "\n", seed);
	encoder = codec_encoder_new();
	if (!ok(encoder != NULL, "an encoder"))
		return done_testing();

	test_doubles();
	test_times();
	test_row_counts();
	test_ranges();
	test_shapes();
	test_small_blocks();
	test_shared_header();
	test_random();
	test_same_bytes();
	test_one_value();
	test_few_rows();
	test_capacity();
	test_fill();
	test_corruption();
	test_limits();
	codec_encoder_free(encoder);
	return done_testing();
}
