/*
 * bench_data.h
 *	  The series that the codec is measured on.
 */
#ifndef BENCH_DATA_H
#define BENCH_DATA_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_COLUMNS 10

/* One tag's messages, row by row. */
typedef struct BenchSeries
{
	uint32_t nrows;
	uint32_t capacity;
	int64_t *time;
	double *values; /* [nrows][BENCH_COLUMNS] */
} BenchSeries;

/* A made-up series of so many rows, the same in every run. */
typedef void (*BenchGenerator)(BenchSeries *series, uint32_t nrows);

/* The workload: a random walk of two decimals in steps of up to 1.00, 100 messages a second. */
extern void bench_decimal_walk(BenchSeries *series, uint32_t nrows);

/* The same with steps of all the digits that a double has, from 100 .. 1000 or 0 .. 100 on. */
extern void bench_walk_from_100(BenchSeries *series, uint32_t nrows);
extern void bench_walk_from_0(BenchSeries *series, uint32_t nrows);

/* Readings of single precision around a mean, as many instruments give them. */
extern void bench_float32(BenchSeries *series, uint32_t nrows);

/* Noise around zero in full precision: nothing to gain but sign and exponent. */
extern void bench_noise(BenchSeries *series, uint32_t nrows);

/* Set points and states: each holds for a hundred rows or so. */
extern void bench_states(BenchSeries *series, uint32_t nrows);

/* Reads messages as POST /save takes them, one a line, into a series a tag; NULL if it cannot. */
extern BenchSeries *bench_read_ndjson(const char *path, uint32_t *nseries);

extern void bench_series_free(BenchSeries *series);

/* Bits a row of the differences between rows, each column and the times by themselves. */
extern double bench_entropy_bits(const BenchSeries *series, double unit);

/*
 * Bits a row that the walks of full precision hold, knowing the row before.  A step is uniform over
 * 2^53 numbers from -1 to 1.  A value of 2^x .. 2^(x + 1) is a multiple of 2^(x - 52), of which the
 * steps reach 2 / 2^(x - 52), all as likely: 53 - x bits, and 53 for values below 2.  No lossless
 * code takes less on average.
 */
extern double bench_walk_bits(const BenchSeries *series);

#endif /* BENCH_DATA_H */
