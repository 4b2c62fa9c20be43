/*
 * window.h
 *	  A window of time that is cut into periods.
 *
 * Where a number of samples is given, period i of n is (t_{i-1}, t_i] with
 * t_i = start + floor(i * (end - start) / n).  It is computed in 128 bits, so that neither overflow
 * nor the drift of a rounded step moves it.  Where the length of a period is given, the last period
 * may be shorter.  t_0 is start, and t_n is end.
 */
#ifndef HISTORIAN_WINDOW_H
#define HISTORIAN_WINDOW_H

#include "postgres.h"

#include "compat.h"

/* The most samples of one call. */
#define WINDOW_MAX_SAMPLES 1000000

typedef struct Window
{
	int64		start;
	int64		end;
	int32		samples;
	const int64 *ends;			/* of all periods, or NULL: samples periods of equal length */
} Window;

/*
 * Make windows of what a user has given, or raise an error: by the number of samples, and by the
 * length of a period.  start is less than end.
 */
extern Window window_by_samples(int64 start, int64 end, int32 samples);
extern Window window_by_step(int64 start, int64 end, int64 step);

/* Makes a window of the ends of its periods, which ascend and stay in memory. */
extern Window window_by_ends(int64 start, const int64 *ends, int32 samples);

/* Raises the error for a step that makes more than WINDOW_MAX_SAMPLES. */
pg_noreturn extern void window_refuse_step(void);

/* The end of period i, from 1. */
static inline int64
window_time(const Window *window, int32 i)
{
	uint64		length = (uint64) window->end - (uint64) window->start;

	if (window->ends != NULL)
		return window->ends[i - 1];
	return (int64) ((uint64) window->start +
					(uint64) ((uint128) length * i / window->samples));
}

/* The ends of all periods, palloc'd. */
extern int64 *window_times(const Window *window);

#endif							/* HISTORIAN_WINDOW_H */
