/*
 * bench_codec.c
 *	  Measures the codec: bytes a message, encoding, decoding, and access to one value.
 *
 *	bench-codec [FILE.ndjson[.gz]]	(make bench BENCH=codec)
 *
 * Rows are encoded as compaction does: as many as fit into a page's payload, block after block.
 * A message's bytes are those of its block, its time included, which zstd is spared; "with page"
 * counts a whole page for each block.  Every block is decoded and compared before anything is
 * timed.  Each time is the median of several runs.
 */
#include "bench_data.h"
#include "bench_peers.h"
#include "bench_timing.h"
#include "codec/codec_reader.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES	8192
#define BLOCK_BYTES 8090 /* of a page's bytes, those that a block may have */
#define SERIES_ROWS 200000
#define RUNS		7
#define ACCESSES	100000
#define ZSTD_ROWS	20000 /* it takes its time */

typedef struct Block
{
	uint8_t *bytes;
	size_t length;
	uint32_t nrows;
} Block;

typedef struct Blocks
{
	Block *block;
	uint32_t count;
	uint64_t nrows;
	uint64_t bytes;
} Blocks;

/* Of a series: bytes a message, millions of values a second, nanoseconds. */
typedef struct Result
{
	double bytes;	   /* with the page's overhead */
	double bound;	   /* the fewest that are possible; 0 if not known */
	double encode;	   /* rows that are known to fit */
	double encode_fit; /* as many rows as fit, as compaction does */
	double decode;
	double open_ns;
	double value_ns;
} Result;

static CodecEncoder *encoder;
static volatile double sink; /* keeps what is measured from being optimised away */

static void
fail(const char *what)
{
	fprintf(stderr, "bench-codec: %s\n", what);
	exit(1);
}

static CodecRows
rows_from(const BenchSeries *series, uint32_t first, uint32_t most)
{
	uint32_t left = series->nrows - first;

	return (CodecRows){
		.nrows = left < most ? left : most,
		.nvalues = BENCH_COLUMNS,
		.time = series->time + first,
		.values = series->values + (size_t) first * BENCH_COLUMNS,
		.row_stride = BENCH_COLUMNS,
		.value_stride = 1,
	};
}

/* Compares a block with what was encoded, every way it can be read. */
static void
verify(const Block *block, const CodecRows *rows)
{
	static CodecReader reader;
	static int64_t time[CODEC_MAX_ROWS];
	static double column[CODEC_MAX_ROWS];
	bool isnull;

	if (codec_open(&reader, block->bytes, block->length, block->nrows) != CODEC_OK)
		fail("a block does not open");
	codec_decode_times(&reader, 0, block->nrows, time);
	if (memcmp(time, rows->time, block->nrows * sizeof(*time)) != 0)
		fail("times differ");
	for (uint32_t v = 0; v < BENCH_COLUMNS; v++)
	{
		codec_decode_column(&reader, v, 0, block->nrows, column);
		for (uint32_t r = 0; r < block->nrows; r++)
		{
			double one = codec_value_at(&reader, r, v, &isnull);

			if (memcmp(&column[r], &rows->values[r * BENCH_COLUMNS + v], sizeof(double)) != 0 ||
				memcmp(&one, &column[r], sizeof(double)) != 0)
				fail("values differ");
		}
	}
}

/* Encodes the series, most rows to a block at most; the blocks are added to those there are. */
static void
encode_series(Blocks *blocks, const BenchSeries *series, uint32_t most)
{
	static uint8_t buffer[BLOCK_BYTES];
	Block block;

	for (uint32_t first = 0; first < series->nrows; first += block.nrows)
	{
		CodecRows rows = rows_from(series, first, most);

		block.length = codec_encode_fit(encoder, &rows, buffer, BLOCK_BYTES, NULL, &block.nrows);
		block.bytes = malloc(block.length);
		blocks->block = realloc(blocks->block, (blocks->count + 1) * sizeof(block));
		if (block.length == 0 || block.bytes == NULL || blocks->block == NULL)
			fail("cannot encode");
		memcpy(block.bytes, buffer, block.length);
		verify(&block, &rows);
		blocks->block[blocks->count++] = block;
		blocks->nrows += block.nrows;
		blocks->bytes += block.length;
	}
}

static void
blocks_free(Blocks *blocks)
{
	for (uint32_t i = 0; i < blocks->count; i++)
		free(blocks->block[i].bytes);
	free(blocks->block);
}

/* Millions of values a second. */
static double
encode_speed(const BenchSeries *series, uint32_t most)
{
	static uint8_t buffer[BLOCK_BYTES];
	double speed[RUNS];

	for (int run = 0; run < RUNS; run++)
	{
		double start = bench_now_s();
		uint32_t taken;

		for (uint32_t first = 0; first < series->nrows; first += taken)
		{
			CodecRows rows = rows_from(series, first, most);

			if (codec_encode_fit(encoder, &rows, buffer, BLOCK_BYTES, NULL, &taken) == 0)
				fail("cannot encode");
		}
		speed[run] = 1e-6 * series->nrows * BENCH_COLUMNS / (bench_now_s() - start);
	}
	return bench_median(speed, RUNS);
}

/* The same, of rows that are known to fit. */
static double
encode_known_speed(const BenchSeries *series, const Blocks *blocks)
{
	static uint8_t buffer[BLOCK_BYTES];
	double speed[RUNS];

	for (int run = 0; run < RUNS; run++)
	{
		double start = bench_now_s();
		uint32_t first = 0;

		for (uint32_t i = 0; i < blocks->count; first += blocks->block[i++].nrows)
		{
			CodecRows rows = rows_from(series, first, blocks->block[i].nrows);

			if (codec_encode(encoder, &rows, buffer, BLOCK_BYTES) == 0)
				fail("cannot encode");
		}
		speed[run] = 1e-6 * series->nrows * BENCH_COLUMNS / (bench_now_s() - start);
	}
	return bench_median(speed, RUNS);
}

static double
decode_speed(const Blocks *blocks)
{
	static CodecReader reader;
	static double column[CODEC_MAX_ROWS];
	double speed[RUNS];

	for (int run = 0; run < RUNS; run++)
	{
		double start = bench_now_s();

		for (uint32_t i = 0; i < blocks->count; i++)
		{
			const Block *block = &blocks->block[i];

			codec_open(&reader, block->bytes, block->length, block->nrows);
			for (uint32_t v = 0; v < BENCH_COLUMNS; v++)
				codec_decode_column(&reader, v, 0, block->nrows, column);
			sink = column[block->nrows - 1];
		}
		speed[run] = 1e-6 * blocks->nrows * BENCH_COLUMNS / (bench_now_s() - start);
	}
	return bench_median(speed, RUNS);
}

/*
 * Nanoseconds to open a block, and those to find a time and read one value, at random places of
 * the series' first block, whose bytes are in the cache.
 */
static void
access_times(const BenchSeries *series, const Blocks *blocks, double *open_ns, double *value_ns)
{
	static CodecReader reader;
	static int64_t wanted[4096];
	const Block *block = &blocks->block[0];
	int64_t span = series->time[block->nrows - 1] - series->time[0] + 1;
	double open[RUNS];
	double value[RUNS];
	bool isnull;

	for (int i = 0; i < 4096; i++)
		wanted[i] = series->time[0] + (int64_t) ((double) rand() / RAND_MAX * (double) span);
	for (int run = 0; run < RUNS; run++)
	{
		double start = bench_now_s();
		double sum = 0;

		for (int i = 0; i < ACCESSES; i++)
			sum += codec_open(&reader, block->bytes, block->length, block->nrows);
		open[run] = (bench_now_s() - start) * 1e9 / ACCESSES;
		start = bench_now_s();
		for (int i = 0; i < ACCESSES; i++)
		{
			int32_t row = codec_find(&reader, wanted[i % 4096]);

			sum +=
				codec_value_at(&reader, (uint32_t) (row < 0 ? 0 : row), i % BENCH_COLUMNS, &isnull);
		}
		value[run] = (bench_now_s() - start) * 1e9 / ACCESSES;
		sink = sum;
	}
	*open_ns = bench_median(open, RUNS);
	*value_ns = bench_median(value, RUNS);
}

/* Bytes a message if every block has a page of its own. */
static double
with_page(const Blocks *blocks)
{
	return (double) blocks->count * PAGE_BYTES / (double) blocks->nrows;
}

/* What is known of the fewest bits that a series can take. */
typedef enum Bound
{
	BOUND_NONE,
	BOUND_HUNDREDTHS, /* entropy of order 0 of the differences, in units of 0.01 */
	BOUND_HALVES,	  /* the same, of 0.5 */
	BOUND_WALK,		  /* bench_walk_bits() */
} Bound;

static double
bound_bytes(const BenchSeries *series, Bound bound)
{
	switch (bound)
	{
		case BOUND_HUNDREDTHS:
			return bench_entropy_bits(series, 0.01) / 8;
		case BOUND_HALVES:
			return bench_entropy_bits(series, 0.5) / 8;
		case BOUND_WALK:
			return bench_walk_bits(series) / 8;
		case BOUND_NONE:
			break;
	}
	return 0;
}

/* Prints a line of the first table and returns its figures. */
static Result
bench(const char *name, BenchGenerator generate, Bound bound)
{
	BenchSeries series;
	Blocks blocks = {0};
	Result result;
	char bound_text[16] = "-";
	char ratio_text[16] = "-";
	size_t zstd;

	generate(&series, SERIES_ROWS);
	encode_series(&blocks, &series, CODEC_MAX_ROWS);
	result.bytes = with_page(&blocks);
	result.bound = bound_bytes(&series, bound);
	if (result.bound > 0)
	{
		snprintf(bound_text, sizeof(bound_text), "%.2f", result.bound);
		snprintf(ratio_text, sizeof(ratio_text), "%.2f", result.bytes / result.bound);
	}
	zstd = bench_zstd_bytes(&series, 1, ZSTD_ROWS);
	access_times(&series, &blocks, &result.open_ns, &result.value_ns);
	result.encode = encode_known_speed(&series, &blocks);
	result.encode_fit = encode_speed(&series, CODEC_MAX_ROWS);
	result.decode = decode_speed(&blocks);
	printf("%-22s %6.0f %7.2f %7.2f %7s %6s %7.2f %7.0f %7.0f %7.0f %6.0f %6.0f\n", name,
		   (double) blocks.nrows / blocks.count, (double) blocks.bytes / (double) blocks.nrows,
		   result.bytes, bound_text, ratio_text, (double) zstd / ZSTD_ROWS, result.encode,
		   result.encode_fit, result.decode, result.open_ns, result.value_ns);
	fflush(stdout);
	blocks_free(&blocks);
	bench_series_free(&series);
	return result;
}

/* Blocks of few rows, as the load once a second makes them. */
static void
bench_small(void)
{
	BenchSeries series;

	printf("\nworkload in small blocks, bytes a message without the page:\n ");
	bench_decimal_walk(&series, 16000);
	for (uint32_t most = 1; most <= 128; most *= 2)
	{
		Blocks blocks = {0};

		encode_series(&blocks, &series, most);
		printf("  %u rows: %.1f", most, (double) blocks.bytes / (double) blocks.nrows);
		blocks_free(&blocks);
	}
	printf("\n");
	bench_series_free(&series);
}

/* The table of the codec and general compressors on the same series. */
static void
print_peers(const char *name, const BenchSeries *series, uint32_t nseries, const Blocks *blocks,
			double encode)
{
	printf("\n%s, %lu messages\n", name, (unsigned long) blocks->nrows);
	printf("  %-24s %9s %9s %9s\n", "", "bytes", "encode", "decode");
	printf("  %-24s %9.2f ", "codec, with times", (double) blocks->bytes / (double) blocks->nrows);
	if (encode > 0)
		printf("%9.0f", encode);
	else
		printf("%9s", "-");
	printf(" %9.0f\n", decode_speed(blocks));
	bench_peers(series, nseries);
}

static void
bench_against_peers(const char *name, BenchGenerator generate)
{
	BenchSeries series;
	Blocks blocks = {0};

	generate(&series, SERIES_ROWS);
	encode_series(&blocks, &series, CODEC_MAX_ROWS);
	print_peers(name, &series, 1, &blocks, encode_speed(&series, CODEC_MAX_ROWS));
	blocks_free(&blocks);
	bench_series_free(&series);
}

/* The recorded messages; returns the codec's bytes as a share of zstd's. */
static double
bench_recorded(const char *path)
{
	uint32_t nseries;
	BenchSeries *series = bench_read_ndjson(path, &nseries);
	Blocks blocks = {0};
	double share;

	if (nseries == 0)
		fail("cannot read the recorded messages");
	for (uint32_t i = 0; i < nseries; i++)
		encode_series(&blocks, &series[i], CODEC_MAX_ROWS);
	share = (double) blocks.bytes / (double) bench_zstd_bytes(series, nseries, UINT32_MAX);
	print_peers(path, series, nseries, &blocks, 0);
	blocks_free(&blocks);
	for (uint32_t i = 0; i < nseries; i++)
		bench_series_free(&series[i]);
	free(series);
	return share;
}

static void
print_goal(const char *what, double figure, const char *relation, double goal, const char *unit)
{
	bool met = relation[0] == '>'	? figure >= goal
			   : relation[1] == '=' ? figure <= goal
									: figure < goal;

	printf("  %-44s %2s %7.6g %10.2f %-18s %s\n", what, relation, goal, figure, unit,
		   met ? "met" : "NOT MET");
}

int
main(int argc, char **argv)
{
	Result walk;
	Result full;
	Result full_low;
	double recorded = 0;

	encoder = codec_encoder_new();
	if (encoder == NULL)
		fail("out of memory");

	printf("%u rows of %d values; sizes in bytes a message, speeds in million values/s\n\n",
		   SERIES_ROWS, BENCH_COLUMNS);
	printf("%-22s %6s %7s %7s %7s %6s %7s %7s %7s %7s %6s %6s\n", "", "rows/", "", "with", "fewest",
		   "", "zstd", "", "encode", "", "open", "find +");
	printf("%-22s %6s %7s %7s %7s %6s %7s %7s %7s %7s %6s %6s\n", "series", "block", "bytes",
		   "page", "bytes", "ratio", "-19", "encode", "to fit", "decode", "ns", "value");
	walk = bench("workload, two decimals", bench_decimal_walk, BOUND_HUNDREDTHS);
	full = bench("17 digits, from 100 on", bench_walk_from_100, BOUND_WALK);
	full_low = bench("17 digits, from 0 on", bench_walk_from_0, BOUND_WALK);
	bench("single precision", bench_float32, BOUND_NONE);
	bench("noise around zero", bench_noise, BOUND_NONE);
	bench("states", bench_states, BOUND_HALVES);
	bench_small();

	printf(
		"\nBeside general compressors, which get all columns as raw doubles, one after the other,"
		"\nin one piece and without the times; sizes in bytes a message\n");
	bench_against_peers("workload, two decimals", bench_decimal_walk);
	bench_against_peers("17 digits, from 100 on", bench_walk_from_100);
	if (argc > 1)
		recorded = bench_recorded(argv[1]);

	printf("\n  %-44s %10s %10s\n", "It must show", "goal", "here");
	print_goal("decode, one core, decimals", walk.decode, ">=", 1000, "million values/s");
	print_goal("encode, one core, decimals, as many as fit", walk.encode_fit, ">=", 150,
			   "million values/s");
	print_goal("a value at a random time of a full block", walk.value_ns, "<=", 100, "ns");
	print_goal("decimals, page by page", walk.bytes, "<=", 13, "bytes a message");
	print_goal("the same / its entropy", walk.bytes / walk.bound, "<=", 1.25, "");
	print_goal("17 digits, from 100 .. 1000 on", full.bytes, "<=", 60, "bytes a message");
	print_goal("17 digits, from 0 .. 100 on", full_low.bytes, "<=", 60, "bytes a message");
	if (recorded > 0)
		print_goal("recorded / zstd -19 of its values", recorded, "<", 1, "");
	codec_encoder_free(encoder);
	return 0;
}
