/*
 * bench_workload.h
 *	  The workload of the storage benchmarks: historian-producer's with --seed 1, 10,000 messages a
 *	  second among 10,000 tags, 10 values of two decimals.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include "workload.h"

#define BENCH_VALUES 10
#define BENCH_TAGS	 10000

static const WorkloadOptions bench_workload = {
	.start_ns = INT64_C(1700000000000000000),
	.seed = 1,
	.rate = 10000,
	.tags = BENCH_TAGS,
	.values = BENCH_VALUES,
	.decimals = 2,
};

#endif
