/*
 * window.c
 *	  A window of time that is cut into periods.
 */
#include "postgres.h"

#include "read/window.h"

/* The most samples of one call. */
#define MAX_SAMPLES 1000000

Window
window_check(int64 start, int64 end, int32 samples)
{
	if (start >= end)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("start (" INT64_FORMAT ") must be less than end (" INT64_FORMAT ")", start,
					   end));
	if (samples < 1 || samples > MAX_SAMPLES)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("number of samples must be between 1 and %d", MAX_SAMPLES));
	return (Window) {.start = start, .end = end, .samples = samples};
}

int64 *
window_times(const Window *window)
{
	int64	   *times = palloc_array(int64, window->samples);

	for (int32 i = 0; i < window->samples; i++)
		times[i] = window_time(window, i + 1);
	return times;
}
