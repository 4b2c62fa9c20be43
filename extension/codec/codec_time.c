/*
 * codec_time.c
 *	  Times in nanoseconds, which are often multiples of a microsecond or a millisecond.
 *
 * The differences from the first time are divided by their greatest common divisor.  The quotients
 * ascend from 0 and are stored as a stream without a base.  First time and divisor are stored
 * without their trailing decimal zeros: in one byte, with the number of zeros in the upper 5 bits
 * and a length in the lower 3, and a signed number of that length.  A block of one row has neither
 * divisor nor stream.
 *
 * Differences are computed modulo 2^64, so that both ends of int64 fit into one block.
 */
#include "codec/codec_time.h"

#include "codec/codec.h"
#include "codec/codec_cpu.h"
#include "codec/codec_delta.h"
#include "codec/codec_for.h"
#include "codec/codec_stream.h"

#define MAX_ZEROS 18

static uint64_t
greatest_common_divisor(uint64_t a, uint64_t b)
{
	while (b != 0)
	{
		uint64_t	rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/*
 * A number by which many others are divided.  A multiplication by its inverse is faster than a division, and gives
 * the quotient where nothing remains (T. Granlund and P. L. Montgomery, 1994).
 */
typedef struct Divisor
{
	uint64_t	number;
	uint64_t	inverse;		/* of its odd factor, modulo 2^64 */
	uint64_t	most;			/* a greater quotient is of a number that is not divisible */
	unsigned	zeros;			/* binary ones, at its end */
} Divisor;

static Divisor
divisor_of(uint64_t number)
{
	Divisor		divisor = {.number = number, .most = UINT64_MAX / number};
	uint64_t	odd;

	divisor.zeros = (unsigned) __builtin_ctzll(number);
	odd = number >> divisor.zeros;
	/* an odd number is its own inverse modulo 8, and each step doubles how many bits are right */
	divisor.inverse = odd;
	for (int bits = 3; bits < 64; bits *= 2)
		divisor.inverse *= 2 - odd * divisor.inverse;
	return divisor;
}

/* The quotient; greater than divisor->most if something remains. */
static inline uint64_t
exact_quotient(uint64_t number, const Divisor *divisor)
{
	uint64_t	product = number * divisor->inverse;

	return product >> divisor->zeros | product << (-divisor->zeros & 63);
}

/* If a number has that many decimal zeros, strips it of them; returns how many these were. */
static inline unsigned
strip_zeros(int64_t *number, unsigned zeros, int64_t power)
{
	int64_t		quotient;

	/* it then has as many binary zeros, which are seen without a division */
	if ((*number & ((INT64_C(1) << zeros) - 1)) != 0)
		return 0;
	quotient = *number / power;
	if (quotient * power != *number)
		return 0;
	*number = quotient;
	return zeros;
}

/* Strips a number of its decimal zeros, at most 18, and returns how many these were. */
static unsigned
trailing_zeros(int64_t *number)
{
	unsigned	zeros;

	if (*number == 0)
		return 0;
	zeros = strip_zeros(number, 16, INT64_C(10000000000000000));
	zeros += strip_zeros(number, 8, 100000000);
	zeros += strip_zeros(number, 4, 10000);
	zeros += strip_zeros(number, 2, 100);
	return zeros + strip_zeros(number, 1, 10);
}

/* Takes CODEC_TIME_BYTES at most, all of which it may overwrite. */
static uint8_t *
put_decimal(uint8_t *dst, int64_t number)
{
	unsigned	zeros = trailing_zeros(&number);
	unsigned	code = bits_signed_code((uint64_t) number);

	*dst++ = (uint8_t) (zeros << 3 | code);
	return bits_put_signed_roomy(dst, (uint64_t) number, code);
}

static uint64_t
cursor_decimal(ByteCursor *cursor)
{
	static const uint64_t power_of_ten[MAX_ZEROS + 1] = {
		1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000,
		10000000000, 100000000000, 1000000000000, 10000000000000, 100000000000000,
		1000000000000000, 10000000000000000, 100000000000000000, 1000000000000000000
	};
	uint8_t		byte = cursor_byte(cursor);
	uint64_t	number = cursor_signed(cursor, bits_signed_length(byte & 7));

	if (byte >> 3 > MAX_ZEROS)
	{
		cursor->overrun = true;
		return 0;
	}
	return number * power_of_ten[byte >> 3];
}

bool
codec_times_parse(CodecTimes *times, ByteCursor *cursor, uint32_t nrows)
{
	times->first = (int64_t) cursor_decimal(cursor);
	times->scale = nrows > 1 ? cursor_decimal(cursor) : 1;
	return times->scale != 0 && codec_stream_parse(&times->units, cursor, nrows) &&
		(times->units.scheme == CODEC_FOR || times->units.scheme == CODEC_DELTA);
}

int64_t
codec_times_get(const CodecTimes *times, uint32_t row)
{
	return (int64_t) ((uint64_t) times->first +
					  codec_stream_get(&times->units, row) * times->scale);
}

int32_t
codec_times_find(const CodecTimes *times, int64_t time)
{
	uint64_t	units;
	uint32_t	low = 0;
	uint32_t	high = times->units.nrows;

	if (time < times->first)
		return -1;
	units = ((uint64_t) time - (uint64_t) times->first) / times->scale;
	if (times->units.scheme == CODEC_DELTA)
		return (int32_t) codec_delta_find(&times->units, units);

	while (high - low > 1)
	{
		uint32_t	middle = (low + high) / 2;

		if (codec_for_get(&times->units, middle) <= units)
			low = middle;
		else
			high = middle;
	}
	return (int32_t) low;
}

void
codec_times_decode(const CodecTimes *times, uint32_t first, uint32_t count, int64_t *dst)
{
	uint64_t   *units = (uint64_t *) dst;	/* C lets signed and unsigned alias each other */

	codec_stream_decode(&times->units, first, count, units);
	for (uint32_t i = 0; i < count; i++)
		dst[i] = (int64_t) ((uint64_t) times->first + units[i] * times->scale);
}

static void
plan_head(CodecTimes *times, uint32_t nrows)
{
	uint8_t    *end = put_decimal(times->head, times->first);

	if (nrows > 1)
		end = put_decimal(end, (int64_t) times->scale);
	times->head_bytes = (uint8_t) (end - times->head);
}

/* Sets numbers[nrows] to the differences from the first time, in units that it returns. */
static uint64_t
find_units(const int64_t *time, uint32_t nrows, uint64_t *numbers)
{
	uint64_t	scale = 0;
	uint32_t	steps = 0;		/* 1: all are the same */
	Divisor		divisor = {0};

	for (uint32_t i = 0; i < nrows; i++)
		numbers[i] = (uint64_t) time[i] - (uint64_t) time[0];
	for (uint32_t i = 1; i < nrows && scale != 1; i++)
	{
		uint64_t	step = numbers[i] - numbers[i - 1];

		if (step == scale)
			continue;
		steps++;
		if (scale != 0)
		{
			if (divisor.number != scale)
				divisor = divisor_of(scale);
			if (exact_quotient(step, &divisor) <= divisor.most)
				continue;
		}
		scale = greatest_common_divisor(step, scale);
	}
	if (scale > 1)
	{
		if (divisor.number != scale)
			divisor = divisor_of(scale);
		for (uint32_t i = 0; i < nrows; i++)
			numbers[i] = steps == 1 ? i : exact_quotient(numbers[i], &divisor);
	}
	return scale == 0 ? 1 : scale;
}

void
codec_times_plan(CodecTimes *times, const int64_t *time, uint32_t nrows, uint64_t *numbers)
{
	CodecStats	stats;

	if (nrows == 1)
	{
		*times = (CodecTimes) {.first = time[0], .scale = 1};
		codec_stream_plan_numbers(&times->units, &(uint64_t) {0}, 1, CODEC_FIXED_SCHEMES);
		plan_head(times, nrows);
		return;
	}
	times->first = time[0];
	times->scale = find_units(time, nrows, numbers);
	plan_head(times, nrows);
	if (numbers[nrows - 1] > INT64_MAX)
	{
		times->units = (CodecStream) {.scheme = CODEC_FOR, .width = 64, .nrows = nrows};
		return;
	}

	/* the stream has no base */
	codec_stream_measure(&stats, numbers, nrows);
	stats.anchor_range += stats.anchor_base;
	stats.anchor_base = 0;
	codec_stream_plan(&times->units, &stats, numbers, CODEC_FIXED_SCHEMES);
}

size_t
codec_times_header_bytes(const CodecTimes *times)
{
	return times->head_bytes + codec_stream_header_bytes(&times->units);
}

uint8_t *
codec_times_write_header(const CodecTimes *times, uint8_t *dst)
{
	memcpy(dst, times->head, times->head_bytes);
	return codec_stream_write_header(&times->units, dst + times->head_bytes);
}

uint8_t *
codec_times_put(const int64_t *time, uint32_t nrows, uint64_t *numbers, uint8_t *dst)
{
	dst = put_decimal(dst, time[0]);
	return nrows == 1 ? dst : put_decimal(dst, (int64_t) find_units(time, nrows, numbers));
}

static inline bool
ascend_kernel(const int64_t *time, uint32_t count)
{
	int64_t		wrong = 0;

	for (uint32_t i = 1; i < count; i++)
		wrong |= time[i - 1] >= time[i];
	return wrong == 0;
}

CODEC_AVX2 static bool
ascend_avx2(const int64_t *time, uint32_t count)
{
	return ascend_kernel(time, count);
}

bool
codec_times_ascend(const int64_t *time, uint32_t count)
{
	return codec_cpu_has_avx2() ? ascend_avx2(time, count) : ascend_kernel(time, count);
}
