/*
 * bench_timing.h
 *	  Processor time and medians, for the benchmarks of the codec.
 */
#ifndef BENCH_TIMING_H
#define BENCH_TIMING_H

/* This process's processor time in seconds, so that other programs do not count. */
extern double bench_now_s(void);

/* Sorts the numbers. */
extern double bench_median(double *numbers, int count);

#endif /* BENCH_TIMING_H */
