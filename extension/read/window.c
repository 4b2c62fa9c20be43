/*
 * window.c
 *	  A window of time that is cut into periods.
 */
#include "postgres.h"

#include "read/window.h"

Window
window_by_samples(int64 start, int64 end, int32 samples)
{
	if (samples < 1 || samples > WINDOW_MAX_SAMPLES)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("number of samples must be between 1 and %d", WINDOW_MAX_SAMPLES));
	return (Window) {.start = start, .end = end, .samples = samples};
}

Window
window_by_step(int64 start, int64 end, int64 step)
{
	uint64		length = (uint64) end - (uint64) start;
	uint64		samples;
	int64	   *ends;

	if (step < 1)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("step must be greater than zero"));
	samples = (length - 1) / step + 1;
	if (samples > WINDOW_MAX_SAMPLES)
		window_refuse_step();
	ends = palloc_array(int64, samples);
	for (uint64 i = 0; i < samples - 1; i++)
		ends[i] = (int64) ((uint64) start + (i + 1) * step);
	ends[samples - 1] = end;
	return window_by_ends(start, ends, samples);
}

Window
window_by_ends(int64 start, const int64 *ends, int32 samples)
{
	return (Window) {.start = start, .end = ends[samples - 1], .samples = samples, .ends = ends};
}

void
window_refuse_step(void)
{
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("step is too short for the window"),
			errdetail("It makes more than %d samples.", WINDOW_MAX_SAMPLES));
}

int64 *
window_times(const Window *window)
{
	int64	   *times = palloc_array(int64, window->samples);

	for (int32 i = 0; i < window->samples; i++)
		times[i] = window_time(window, i + 1);
	return times;
}
