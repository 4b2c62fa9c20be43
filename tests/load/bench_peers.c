/*
 * bench_peers.c
 *	  What general compressors make of the same columns, beside the codec.
 */
#include "bench_peers.h"

#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "bench_timing.h"

#define RUNS 5

/* Returns the bytes written, or 0 on failure; capacity is enough. */
typedef size_t (*Convert)(void *dst, size_t capacity, const void *src, size_t length);

typedef struct Peer
{
	const char *name;
	int runs; /* of compression */
	Convert compress;
	Convert decompress;
} Peer;

static size_t zstd_1(void *dst, size_t capacity, const void *src, size_t length);
static size_t zstd_19(void *dst, size_t capacity, const void *src, size_t length);
static size_t zstd_decompress(void *dst, size_t capacity, const void *src, size_t length);
static size_t gzip_6(void *dst, size_t capacity, const void *src, size_t length);
static size_t gzip_decompress(void *dst, size_t capacity, const void *src, size_t length);
static size_t lz4(void *dst, size_t capacity, const void *src, size_t length);
static size_t lz4_decompress(void *dst, size_t capacity, const void *src, size_t length);
static size_t copy(void *dst, size_t capacity, const void *src, size_t length);

static const Peer peers[] = {
	{"zstd -19", 1, zstd_19, zstd_decompress},
	{"zstd -1", RUNS, zstd_1, zstd_decompress},
	{"gzip -6", 1, gzip_6, gzip_decompress},
	{"lz4", RUNS, lz4, lz4_decompress},
	{"memcpy", RUNS, copy, copy},
};

static void *
allocate(size_t length)
{
	void *memory = malloc(length);

	if (memory == NULL)
	{
		fprintf(stderr, "bench-codec: out of memory\n");
		exit(1);
	}
	return memory;
}

/* All columns, one after the other; the caller frees. */
static double *
columns_of(const BenchSeries *series, uint32_t nseries, uint32_t most_rows, size_t *nvalues)
{
	double *columns;
	double *to;

	*nvalues = 0;
	for (uint32_t i = 0; i < nseries; i++)
		*nvalues += (series[i].nrows < most_rows ? series[i].nrows : most_rows) * BENCH_COLUMNS;
	to = columns = allocate(*nvalues * sizeof(double));
	for (uint32_t v = 0; v < BENCH_COLUMNS; v++)
		for (uint32_t i = 0; i < nseries; i++)
			for (uint32_t r = 0; r < series[i].nrows && r < most_rows; r++)
				*to++ = series[i].values[r * BENCH_COLUMNS + v];
	return columns;
}

/* Runs it so often; returns the median of millions of values a second. */
static double
speed_of(Convert convert, int runs, void *dst, size_t capacity, const void *src, size_t length,
		 size_t nvalues, size_t *written)
{
	double speed[RUNS];

	for (int run = 0; run < runs; run++)
	{
		double start = bench_now_s();

		*written = convert(dst, capacity, src, length);
		speed[run] = 1e-6 * (double) nvalues / (bench_now_s() - start);
	}
	return bench_median(speed, runs);
}

size_t
bench_zstd_bytes(const BenchSeries *series, uint32_t nseries, uint32_t most_rows)
{
	size_t nvalues;
	double *columns = columns_of(series, nseries, most_rows, &nvalues);
	size_t length = nvalues * sizeof(double);
	size_t capacity = ZSTD_compressBound(length);
	void *bytes = allocate(capacity);
	size_t written = zstd_19(bytes, capacity, columns, length);

	free(bytes);
	free(columns);
	return written;
}

void
bench_peers(const BenchSeries *series, uint32_t nseries)
{
	size_t nvalues;
	double *columns = columns_of(series, nseries, UINT32_MAX, &nvalues);
	size_t length = nvalues * sizeof(double);
	size_t capacity = 2 * length + 1024;
	void *compressed = allocate(capacity);
	void *back = allocate(length);

	for (size_t i = 0; i < sizeof(peers) / sizeof(*peers); i++)
	{
		size_t bytes = 0;
		size_t restored = 0;
		double compress = speed_of(peers[i].compress, peers[i].runs, compressed, capacity, columns,
								   length, nvalues, &bytes);
		double decompress = speed_of(peers[i].decompress, RUNS, back, length, compressed, bytes,
									 nvalues, &restored);

		if (restored != length || memcmp(back, columns, length) != 0)
		{
			fprintf(stderr, "bench-codec: %s does not give back what it was given\n",
					peers[i].name);
			exit(1);
		}
		printf("  %-24s %9.2f %9.1f %9.0f\n", peers[i].name,
			   (double) bytes * BENCH_COLUMNS / (double) nvalues, compress, decompress);
		fflush(stdout);
	}
	free(back);
	free(compressed);
	free(columns);
}

static size_t
zstd_result(size_t result)
{
	return ZSTD_isError(result) ? 0 : result;
}

static size_t
zstd_1(void *dst, size_t capacity, const void *src, size_t length)
{
	return zstd_result(ZSTD_compress(dst, capacity, src, length, 1));
}

static size_t
zstd_19(void *dst, size_t capacity, const void *src, size_t length)
{
	return zstd_result(ZSTD_compress(dst, capacity, src, length, 19));
}

static size_t
zstd_decompress(void *dst, size_t capacity, const void *src, size_t length)
{
	return zstd_result(ZSTD_decompress(dst, capacity, src, length));
}

static size_t
gzip_6(void *dst, size_t capacity, const void *src, size_t length)
{
	uLongf written = capacity;

	return compress2(dst, &written, src, length, 6) == Z_OK ? written : 0;
}

static size_t
gzip_decompress(void *dst, size_t capacity, const void *src, size_t length)
{
	uLongf written = capacity;

	return uncompress(dst, &written, src, length) == Z_OK ? written : 0;
}

static size_t
lz4(void *dst, size_t capacity, const void *src, size_t length)
{
	return (size_t) LZ4_compress_default(src, dst, (int) length, (int) capacity);
}

static size_t
lz4_decompress(void *dst, size_t capacity, const void *src, size_t length)
{
	int written = LZ4_decompress_safe(src, dst, (int) length, (int) capacity);

	return written < 0 ? 0 : (size_t) written;
}

static size_t
copy(void *dst, size_t capacity, const void *src, size_t length)
{
	if (length > capacity)
		return 0;
	memcpy(dst, src, length);
	return length;
}
