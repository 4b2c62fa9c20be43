/*
 * test_codec_stream.c
 *	  Packed arrays and streams of integers, each scheme by itself.
 */
#include "codec_rows.h"
#include "codec/codec_delta.h"
#include "codec/codec_dict.h"
#include "codec/codec_for.h"
#include "codec/codec_huffman.h"
#include "codec/codec_huffman_plan.h"
#include "codec/codec_runs.h"
#include "codec/codec_stream.h"
#include "tap.h"

#include <inttypes.h>
#include <stdlib.h>

#define MOST_ROWS 1000
#define KINDS	  6 /* of fill_numbers() */

static Random rng;
static uint64_t seed;
static uint64_t numbers[MOST_ROWS];
static uint64_t decoded[MOST_ROWS];

static const char *const scheme_name[] = {"frame of reference", "differences", "runs", "dictionary",
										  "coded differences"};

/* More bytes than any stream takes, so that coded differences are always worth it. */
#define MANY_BYTES ((size_t) 1 << 32)

/* Bytes of their own, so that a sanitizer sees a read beyond them. */
static uint8_t *
bytes_new(size_t length)
{
	uint8_t *bytes = calloc(length, 1);

	if (bytes == NULL)
		abort();
	return bytes;
}

/* Every width, at every offset that a number of it can have, up to the last byte. */
static void
test_packing(void)
{
	uint32_t wrong = 0;

	for (unsigned width = 0; width <= 64; width = width == BITS_MAX_PACKED ? 64 : width + 1)
		for (uint32_t count = 1; count <= 80; count++)
		{
			size_t length = bits_packed_bytes(count, width);
			size_t block = length < 8 ? 8 : length;
			uint8_t *bytes = bytes_new(block);
			const uint8_t *last = bytes + block - 8;

			for (uint32_t i = 0; i < count; i++)
				numbers[i] = random_bits(&rng);
			wrong += bits_pack(bytes, width, numbers, count) != bytes + length;
			for (uint32_t first = 0; first < count; first += 1 + first / 9)
			{
				bits_unpack(bytes, last, width, first, count - first, decoded);
				for (uint32_t i = first; i < count; i++)
				{
					wrong += decoded[i - first] != (numbers[i] & bits_mask(width));
					wrong += bits_get(bytes, last, width, i) != (numbers[i] & bits_mask(width));
				}
			}
			free(bytes);
		}
	ok(wrong == 0, "packed arrays of every width and up to 80 numbers (SEED=%" PRIu64 ")", seed);
}

/* Numbers of up to so many bits with every scheme's habits: near each other, repeated, few. */
static void
fill_numbers(uint32_t count, unsigned bits, unsigned kind)
{
	uint64_t number = random_bits(&rng);
	uint64_t step = random_bits(&rng) & bits_mask(bits);

	for (uint32_t i = 0; i < count; i++)
	{
		if (kind == 0)
			number = random_bits(&rng) & bits_mask(bits);
		else if (kind == 1)
			number += (random_bits(&rng) & bits_mask(bits)) - (bits_mask(bits) >> 1);
		else if (kind == 2)
			number += step;
		else if (kind == 3 && random_below(&rng, 20) == 0)
			number = random_bits(&rng);
		else if (kind == 4)
			number = step * random_below(&rng, 7);
		else if (kind == 5)
		{
			/* half of the steps take three bits less than the others, and so on */
			uint64_t draw = random_bits(&rng);
			unsigned less = draw == 0 ? 63 : (unsigned) __builtin_ctzll(draw);

			number += ((random_bits(&rng) & bits_mask(bits)) >> (less < 21 ? 3 * less : 63)) *
					  (draw >> 63 ? 1 : UINT64_MAX);
		}
		numbers[i] = number;
	}
}

static bool
plan(CodecStream *stream, unsigned scheme, uint32_t count)
{
	CodecStats stats;

	codec_stream_measure(&stats, numbers, count);
	switch (scheme)
	{
		case CODEC_DELTA:
			codec_delta_plan(stream, &stats);
			return count > 1;
		case CODEC_RUNS:
			codec_runs_plan(stream, &stats);
			return count > 1;
		case CODEC_DICT:
			return count > 1 && codec_dict_plan(stream, &stats, numbers, MANY_BYTES);
		case CODEC_HUFFMAN:
			return codec_huffman_plan(stream, &stats, numbers, MANY_BYTES);
		default:
			codec_for_plan(stream, &stats);
			return true;
	}
}

/* Writes the planned stream, parses its header, and reads it in every way. */
static bool
stream_is_right(const CodecStream *planned, uint32_t count)
{
	size_t header = codec_stream_header_bytes(planned);
	size_t data = codec_stream_data_bytes(planned);
	size_t length = header + data < 8 ? 8 : header + data;
	uint8_t *bytes = bytes_new(length);
	ByteCursor cursor = {.at = bytes, .end = bytes + length};
	CodecStream stream;
	bool right;

	right = codec_stream_write_header(planned, bytes) == bytes + header &&
			codec_stream_write_data(planned, numbers, bytes + header) == bytes + header + data &&
			codec_stream_parse(&stream, &cursor, count) && cursor.at == bytes + header;
	if (right)
	{
		stream.base = planned->base;
		stream.data = cursor.at;
		stream.last = bytes + length - 8;
		right = codec_stream_data_bytes(&stream) == data &&
				(stream.scheme != CODEC_HUFFMAN || codec_huffman_is_valid(&stream));
		codec_stream_decode(&stream, 0, count, decoded);
		right = right && memcmp(decoded, numbers, count * sizeof(*numbers)) == 0;
		for (uint32_t i = 0; i < count; i++)
			right = right && codec_stream_get(&stream, i) == numbers[i];
	}
	free(bytes);
	return right;
}

static void
test_schemes(void)
{
	for (unsigned scheme = CODEC_FOR; scheme <= CODEC_HUFFMAN; scheme++)
	{
		uint32_t planned = 0;
		uint32_t wrong = 0;

		for (unsigned bits = 0; bits <= 64; bits++)
			for (unsigned kind = 0; kind < KINDS; kind++)
				for (uint32_t count = 1; count <= MOST_ROWS; count += 1 + random_below(&rng, 90))
				{
					CodecStream stream;

					fill_numbers(count, bits, kind);
					if (!plan(&stream, scheme, count))
						continue;
					planned++;
					wrong += !stream_is_right(&stream, count);
				}
		ok(wrong == 0 && planned > 1000, "%s: %u streams of up to 64 bits (SEED=%" PRIu64 ")",
		   scheme_name[scheme], planned, seed);
	}
}

/* The chosen scheme is none that another one beats. */
static void
test_choice(void)
{
	uint32_t wrong = 0;

	for (uint32_t round = 0; round < 3000; round++)
	{
		uint32_t count = 1 + random_below(&rng, MOST_ROWS);
		CodecStats stats;
		CodecStream chosen;
		CodecStream other;

		fill_numbers(count, random_below(&rng, 65), random_below(&rng, KINDS));
		codec_stream_measure(&stats, numbers, count);
		codec_stream_plan(&chosen, &stats, numbers, CODEC_ALL_SCHEMES);
		wrong += !stream_is_right(&chosen, count);
		for (unsigned scheme = CODEC_FOR; scheme <= CODEC_DICT; scheme++)
			if (plan(&other, scheme, count))
				wrong += codec_stream_cost(&other) < codec_stream_cost(&chosen);
	}
	ok(wrong == 0, "the smallest scheme is chosen (SEED=%" PRIu64 ")", seed);
}

/* Differences are coded where a tenth of the bytes is saved, and only there. */
static void
test_worth(void)
{
	uint32_t coded = 0;
	uint32_t wrong = 0;
	CodecStream chosen;

	for (uint32_t round = 0; round < 3000; round++)
	{
		uint32_t count = 1 + random_below(&rng, MOST_ROWS);
		CodecStats stats;
		CodecStream other;

		fill_numbers(count, random_below(&rng, 65), random_below(&rng, 2) ? 5 : 1);
		codec_stream_measure(&stats, numbers, count);
		codec_stream_plan(&chosen, &stats, numbers, CODEC_VALUE_SCHEMES);
		codec_stream_plan(&other, &stats, numbers, CODEC_ALL_SCHEMES);
		wrong += !stream_is_right(&chosen, count);
		if (chosen.scheme != CODEC_HUFFMAN)
		{
			wrong += memcmp(&chosen, &other, sizeof(chosen)) != 0;
			continue;
		}
		coded++;
		wrong += count < 256 ||
				 codec_stream_data_bytes(&chosen) * 10 > codec_stream_data_bytes(&other) * 9 + 9;
	}
	ok(wrong == 0 && coded > 50,
	   "%u of 3000 streams are coded, all of them a tenth smaller "
	   "(SEED=%" PRIu64 ")",
	   coded, seed);

	/* 11 steps, all as likely: log2(11) = 3.46 bits, and 4 bits if they are packed */
	for (uint32_t i = 1; i < MOST_ROWS; i++)
		numbers[i] = numbers[i - 1] + random_below(&rng, 11);
	codec_stream_plan_numbers(&chosen, numbers, MOST_ROWS, CODEC_VALUE_SCHEMES);
	ok(chosen.scheme == CODEC_HUFFMAN && codec_stream_cost(&chosen) * 8 < MOST_ROWS * 3.46 * 1.15,
	   "steps of 11 sizes take %.2f bits each", codec_stream_cost(&chosen) * 8.0 / MOST_ROWS);
}

/* Parameters that no encoder writes.  Each of 256 rows takes a code of 1 bit: 1 or 2 upwards. */
static void
test_parameters(void)
{
	static const uint8_t right[] = {
		0,	  0,   2, /* classes of 1, no other differences; 2 classes */
		0x11,		  /* both codes have 1 bit */
		1,	  127,	  /* no bits of sizes; anchors' step of 1 byte */
		0,	  127,	  /* no bits of anchors; the least size */
	};
	static const struct
	{
		size_t at;
		uint8_t byte;
		const char *what;
	} wrong[] = {
		{0, 41, "classes of 2^41"},
		{1, 49, "other differences of 49 bits"},
		{2, 0, "no classes"},
		{2, 33, "33 classes"},
		{3, 0x10, "a code that is missing"},
		{3, 0x91, "a code of 9 bits"},
		{3, 0x21, "codes that do not cover all bytes"},
		{6, 58, "anchors of 58 bits"},
	};
	uint8_t bytes[sizeof(right) + 32] = {0};
	CodecStream stream = {
		.scheme = CODEC_HUFFMAN,
		.nrows = 256,
		.count = sizeof(bytes),
		.step = 1,
		.data = bytes,
		.last = bytes + sizeof(bytes) - 8,
	};

	memcpy(bytes, right, sizeof(right));
	ok(codec_huffman_is_valid(&stream) && codec_huffman_get(&stream, 127) == 127 &&
		   codec_huffman_get(&stream, 130) == 129,
	   "parameters by hand");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
	{
		bytes[wrong[i].at] = wrong[i].byte;
		ok(!codec_huffman_is_valid(&stream), "%s", wrong[i].what);
		bytes[wrong[i].at] = right[wrong[i].at];
	}
	memcpy(bytes + 7, (uint8_t[]){0x81, 0x80, 0x04}, 3);
	ok(!codec_huffman_is_valid(&stream), "groups of more than 2^16 bits");
	bytes[9] = 0x03;
	ok(codec_huffman_is_valid(&stream), "groups of less");
	stream.nrows = 1000;
	bytes[6] = 64;
	ok(!codec_huffman_is_valid(&stream), "more anchors than bytes");
	stream.count = 3;
	ok(!codec_huffman_is_valid(&stream), "parameters cut short");
}

int
main(void)
{
	CodecStream stream;

	seed = random_seed();
	rng.state = seed;
	printf("# SEED=%" PRIu64 "\n", seed);
	test_packing();
	test_schemes();
	test_choice();
	test_worth();
	test_parameters();

	for (uint32_t i = 0; i < 600; i++)
		numbers[i] = 5 + i * 7;
	plan(&stream, CODEC_DELTA, 600);
	ok(codec_stream_data_bytes(&stream) == 0, "a line takes no data");
	for (uint32_t i = 0; i < 600; i++)
		numbers[i] = i < 300 ? 3 : 9;
	plan(&stream, CODEC_RUNS, 600);
	ok(codec_stream_data_bytes(&stream) < 6, "two runs take %zu bytes",
	   codec_stream_data_bytes(&stream));
	return done_testing();
}
