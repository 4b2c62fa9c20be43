/*
 * bench_codec.c
 *	  Measures the codec: bytes a message, encoding, decoding, and access to one value.
 *
 *	bench-codec [FILE.ndjson[.gz]]
 *
 * Rows are encoded as compaction does: as many as fit into a page's payload, block after block.
 * A message's bytes are those of its block, its time included, which zstd is spared; "with page"
 * counts a whole page for each block.  Every block is decoded and compared before anything is
 * timed.  Each time is the median of several runs.
 */
#include "bench_data.h"
#include "codec_reader.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES 8192
#define BLOCK_BYTES 8090		/* of a page's bytes, those that a block may have */
#define SERIES_ROWS 200000
#define RUNS 7
#define ACCESSES 100000
#define ZSTD_ROWS 20000			/* it takes its time */

typedef struct Block
{
	uint8_t    *bytes;
	size_t		length;
	uint32_t	nrows;
} Block;

typedef struct Blocks
{
	Block	   *block;
	uint32_t	count;
	uint64_t	nrows;
	uint64_t	bytes;
} Blocks;

static CodecEncoder *encoder;
static volatile double sink;	/* keeps what is measured from being optimised away */

/* Processor time, so that other programs do not count. */
static double
now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double) now.tv_sec + 1e-9 * (double) now.tv_nsec;
}

static void
fail(const char *what)
{
	fprintf(stderr, "bench-codec: %s\n", what);
	exit(1);
}

static int
compare_doubles(const void *a, const void *b)
{
	double		left = *(const double *) a;
	double		right = *(const double *) b;

	return (left > right) - (left < right);
}

static double
median(double *numbers, int count)
{
	qsort(numbers, count, sizeof(*numbers), compare_doubles);
	return numbers[count / 2];
}

static CodecRows
rows_from(const BenchSeries *series, uint32_t first, uint32_t most)
{
	uint32_t	left = series->nrows - first;

	return (CodecRows) {
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
	bool		isnull;

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
			double		one = codec_value_at(&reader, r, v, &isnull);

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
	Block		block;

	for (uint32_t first = 0; first < series->nrows; first += block.nrows)
	{
		CodecRows	rows = rows_from(series, first, most);

		block.length = codec_encode_fit(encoder, &rows, buffer, BLOCK_BYTES, &block.nrows);
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
	double		speed[RUNS];

	for (int run = 0; run < RUNS; run++)
	{
		double		start = now_s();
		uint32_t	taken;

		for (uint32_t first = 0; first < series->nrows; first += taken)
		{
			CodecRows	rows = rows_from(series, first, most);

			if (codec_encode_fit(encoder, &rows, buffer, BLOCK_BYTES, &taken) == 0)
				fail("cannot encode");
		}
		speed[run] = 1e-6 * series->nrows * BENCH_COLUMNS / (now_s() - start);
	}
	return median(speed, RUNS);
}

/* The same, of rows that are known to fit. */
static double
encode_known_speed(const BenchSeries *series, const Blocks *blocks)
{
	static uint8_t buffer[BLOCK_BYTES];
	double		speed[RUNS];

	for (int run = 0; run < RUNS; run++)
	{
		double		start = now_s();
		uint32_t	first = 0;

		for (uint32_t i = 0; i < blocks->count; first += blocks->block[i++].nrows)
		{
			CodecRows	rows = rows_from(series, first, blocks->block[i].nrows);

			if (codec_encode(encoder, &rows, buffer, BLOCK_BYTES) == 0)
				fail("cannot encode");
		}
		speed[run] = 1e-6 * series->nrows * BENCH_COLUMNS / (now_s() - start);
	}
	return median(speed, RUNS);
}

static double
decode_speed(const Blocks *blocks)
{
	static CodecReader reader;
	static double column[CODEC_MAX_ROWS];
	double		speed[RUNS];

	for (int run = 0; run < RUNS; run++)
	{
		double		start = now_s();

		for (uint32_t i = 0; i < blocks->count; i++)
		{
			const Block *block = &blocks->block[i];

			codec_open(&reader, block->bytes, block->length, block->nrows);
			for (uint32_t v = 0; v < BENCH_COLUMNS; v++)
				codec_decode_column(&reader, v, 0, block->nrows, column);
			sink = column[block->nrows - 1];
		}
		speed[run] = 1e-6 * blocks->nrows * BENCH_COLUMNS / (now_s() - start);
	}
	return median(speed, RUNS);
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
	int64_t		span = series->time[block->nrows - 1] - series->time[0] + 1;
	double		open[RUNS];
	double		value[RUNS];
	bool		isnull;

	for (int i = 0; i < 4096; i++)
		wanted[i] = series->time[0] + (int64_t) ((double) rand() / RAND_MAX * (double) span);
	for (int run = 0; run < RUNS; run++)
	{
		double		start = now_s();
		double		sum = 0;

		for (int i = 0; i < ACCESSES; i++)
			sum += codec_open(&reader, block->bytes, block->length, block->nrows);
		open[run] = (now_s() - start) * 1e9 / ACCESSES;
		start = now_s();
		for (int i = 0; i < ACCESSES; i++)
		{
			int32_t		row = codec_find(&reader, wanted[i % 4096]);

			sum += codec_value_at(&reader, (uint32_t) (row < 0 ? 0 : row), i % BENCH_COLUMNS,
								  &isnull);
		}
		value[run] = (now_s() - start) * 1e9 / ACCESSES;
		sink = sum;
	}
	*open_ns = median(open, RUNS);
	*value_ns = median(value, RUNS);
}

/* Bytes a message if every block has a page of its own. */
static double
with_page(const Blocks *blocks)
{
	return (double) blocks->count * PAGE_BYTES / (double) blocks->nrows;
}

static long zstd_bytes(const BenchSeries *series, uint32_t nseries);

static void
bench(const char *name, BenchGenerator generate, double unit)
{
	BenchSeries series;
	Blocks		blocks = {0};
	char		entropy[16] = "-";
	char		ratio[16] = "-";
	BenchSeries start;
	double		open_ns;
	double		value_ns;
	double		bytes;

	generate(&series, SERIES_ROWS);
	encode_series(&blocks, &series, CODEC_MAX_ROWS);
	bytes = with_page(&blocks);
	if (unit > 0)
	{
		double		bound = bench_entropy_bits(&series, unit) / 8;

		snprintf(entropy, sizeof(entropy), "%.2f", bound);
		snprintf(ratio, sizeof(ratio), "%.2f", bytes / bound);
	}
	start = series;
	start.nrows = ZSTD_ROWS;
	access_times(&series, &blocks, &open_ns, &value_ns);
	printf("%-22s %6.0f %7.2f %7.2f %7s %6s %7.2f %7.0f %7.0f %7.0f %6.0f %6.0f\n", name,
		   (double) blocks.nrows / blocks.count, (double) blocks.bytes / (double) blocks.nrows,
		   bytes, entropy, ratio, (double) zstd_bytes(&start, 1) / ZSTD_ROWS,
		   encode_known_speed(&series, &blocks),
		   encode_speed(&series, CODEC_MAX_ROWS), decode_speed(&blocks), open_ns, value_ns);
	fflush(stdout);
	blocks_free(&blocks);
	bench_series_free(&series);
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
		Blocks		blocks = {0};

		encode_series(&blocks, &series, most);
		printf("  %u rows: %.1f", most, (double) blocks.bytes / (double) blocks.nrows);
		blocks_free(&blocks);
	}
	printf("\n");
	bench_series_free(&series);
}

/* What zstd -19 makes of all columns, one after the other, as doubles; 0 if there is no zstd. */
static long
zstd_bytes(const BenchSeries *series, uint32_t nseries)
{
	char		path[] = "/tmp/bench-codec-XXXXXX";
	char		command[128];
	int			descriptor = mkstemp(path);
	FILE	   *file = descriptor < 0 ? NULL : fdopen(descriptor, "wb");
	FILE	   *pipe;
	long		bytes = 0;

	if (file == NULL)
		return 0;
	for (uint32_t v = 0; v < BENCH_COLUMNS; v++)
		for (uint32_t i = 0; i < nseries; i++)
			for (uint32_t r = 0; r < series[i].nrows; r++)
				fwrite(&series[i].values[r * BENCH_COLUMNS + v], sizeof(double), 1, file);
	fclose(file);
	snprintf(command, sizeof(command), "zstd -19 -q -c %s | wc -c", path);
	pipe = popen(command, "r");
	if (pipe == NULL || fscanf(pipe, "%ld", &bytes) != 1)
		bytes = 0;
	if (pipe != NULL)
		pclose(pipe);
	unlink(path);
	return bytes;
}

static void
bench_recorded(const char *path)
{
	uint32_t	nseries;
	BenchSeries *series = bench_read_ndjson(path, &nseries);
	Blocks		blocks = {0};
	long		zstd;

	if (nseries == 0)
		fail("cannot read the recorded messages");
	for (uint32_t i = 0; i < nseries; i++)
		encode_series(&blocks, &series[i], CODEC_MAX_ROWS);
	zstd = zstd_bytes(series, nseries);
	printf("\n%s: %u tags, %lu messages, bytes a message:\n", path, nseries,
		   (unsigned long) blocks.nrows);
	printf("  codec, times included   %.2f\n", (double) blocks.bytes / (double) blocks.nrows);
	if (zstd > 0)
		printf("  zstd -19, values only   %.2f\n", (double) zstd / (double) blocks.nrows);
	printf("  decode                  %.0f million values/s\n", decode_speed(&blocks));
	blocks_free(&blocks);
	for (uint32_t i = 0; i < nseries; i++)
		bench_series_free(&series[i]);
	free(series);
}

int
main(int argc, char **argv)
{
	encoder = codec_encoder_new();
	if (encoder == NULL)
		fail("out of memory");

	printf("%u rows of %d values; sizes in bytes a message, speeds in million values/s\n\n",
		   SERIES_ROWS, BENCH_COLUMNS);
	printf("%-22s %6s %7s %7s %7s %6s %7s %7s %7s %7s %6s %6s\n", "", "rows/", "", "with",
		   "entropy", "", "zstd", "", "encode", "", "open", "find +");
	printf("%-22s %6s %7s %7s %7s %6s %7s %7s %7s %7s %6s %6s\n", "series", "block", "bytes",
		   "page", "bound", "ratio", "-19", "encode", "to fit", "decode", "ns", "value");
	bench("workload, two decimals", bench_decimal_walk, 0.01);
	bench("17 digits", bench_full_precision_walk, 0);
	bench("single precision", bench_float32, 0);
	bench("noise around zero", bench_noise, 0);
	bench("states", bench_states, 0.5);
	bench_small();
	if (argc > 1)
		bench_recorded(argv[1]);
	codec_encoder_free(encoder);
	return 0;
}
