/*
 * window.h
 *	  A window of time that is cut into periods.
 *
 * Period i of n is (t_{i-1}, t_i] with t_i = start + floor(i * (end - start) / n).  It is computed
 * in 128 bits, so that neither overflow nor the drift of a rounded step moves it.  t_0 is start,
 * and t_n is end.
 */
#ifndef HISTORIAN_WINDOW_H
#define HISTORIAN_WINDOW_H

#include "postgres.h"

typedef struct Window
{
	int64		start;
	int64		end;
	int32		samples;
} Window;

/* Makes a window of what a user has given, or raises an error. */
extern Window window_check(int64 start, int64 end, int32 samples);

/* The end of period i, from 1. */
static inline int64
window_time(const Window *window, int32 i)
{
	uint64		length = (uint64) window->end - (uint64) window->start;
	uint64		offset = (uint64) ((uint128) length * i / window->samples);

	return (int64) ((uint64) window->start + offset);
}

/* The ends of all periods, palloc'd. */
extern int64 *window_times(const Window *window);

#endif							/* HISTORIAN_WINDOW_H */
