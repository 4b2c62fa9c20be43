/*
 * bench_timing.c
 *	  Processor time and medians, for the benchmarks of the codec.
 */
#include "bench_timing.h"

#include <stdlib.h>
#include <time.h>

static int compare_doubles(const void *a, const void *b);

double
bench_now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double) now.tv_sec + 1e-9 * (double) now.tv_nsec;
}

double
bench_median(double *numbers, int count)
{
	qsort(numbers, count, sizeof(*numbers), compare_doubles);
	return numbers[count / 2];
}

static int
compare_doubles(const void *a, const void *b)
{
	double left = *(const double *) a;
	double right = *(const double *) b;

	return (left > right) - (left < right);
}
