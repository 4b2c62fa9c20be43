/*
 * method_plot.c
 *	  The method that keeps the first, least, greatest and last row of each period.
 */
#include "postgres.h"

#include "read/method_plot.h"

#include "read/extremes.h"

/* Of samples, how many a period has: its first, least, greatest and last row. */
#define ROWS_PER_PERIOD 4

static void choose(void *argument, const PeriodExtremes *period);

/*
 * Puts the first, least, greatest and last row of each of samples / 4 periods, in order of time and
 * each once, without rows whose value is NULL or NaN.
 */
void
method_plot(const MethodCall *call)
{
	Window		window = window_by_samples(call->window->start, call->window->end,
										   call->window->samples / ROWS_PER_PERIOD);
	ChosenRows	chosen = {0};

	extremes_read(call, &window, false, &chosen, choose, &chosen);
	chosen_rows_put(&chosen, call);
}

/* Chooses the rows of a period. */
static void
choose(void *argument, const PeriodExtremes *period)
{
	ChosenRows *chosen = argument;
	int64		times[ROWS_PER_PERIOD] = {
		period->first_time,
		Min(period->least_time, period->greatest_time),
		Max(period->least_time, period->greatest_time),
		period->last_time,
	};

	for (int i = 0; i < lengthof(times); i++)
	{
		if (i == 0 || times[i] != times[i - 1])
			chosen_rows_add(chosen, times[i]);
	}
}
