/*
 * extremes.h
 *	  The first, least, greatest and last row of each period, by one value.
 */
#ifndef HISTORIAN_EXTREMES_H
#define HISTORIAN_EXTREMES_H

#include "postgres.h"

#include "read/chosen_rows.h"
#include "read/method_call.h"

/* A period that has rows with the value.  Of rows with equal values the earliest is meant. */
typedef struct PeriodExtremes
{
	int64		first_time;
	int64		last_time;
	double		least;
	double		greatest;
	int64		least_time;
	int64		greatest_time;
} PeriodExtremes;

typedef void (*ExtremesCallback) (void *argument, const PeriodExtremes *period);

/*
 * Calls back for each period of the window, in order of time, of which the call's tag has rows with
 * the call's value, not NULL and not NaN, and with finite not infinite either.  Tells *chosen of
 * the rows that it has seen.  Segments that lie wholly in a period are read from their summaries.
 */
extern void extremes_read(const MethodCall *call, const Window *window, bool finite,
						  ChosenRows *chosen, ExtremesCallback callback, void *argument);

#endif							/* HISTORIAN_EXTREMES_H */
