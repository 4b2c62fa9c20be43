/*
 * bench_peers.h
 *	  What general compressors make of the same columns, beside the codec.
 *
 * They get all columns of all series in one buffer, one column after the other, as raw doubles:
 * the easiest form for them.  They are spared the times.
 */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include <stddef.h>
#include <stdint.h>

#include "bench_data.h"

/* Bytes that zstd -19 makes of the columns of the first rows of each series. */
extern size_t bench_zstd_bytes(const BenchSeries *series, uint32_t nseries, uint32_t most_rows);

/* Prints a line a compressor: bytes a message, and millions of values a second both ways. */
extern void bench_peers(const BenchSeries *series, uint32_t nseries);

#endif /* BENCH_PEERS_H */
