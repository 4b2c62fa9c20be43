/*
 * meter.c
 *	  Progress and rate of a long command, as one line on stderr that is written again and again.
 */
#include "meter.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

/* Steps of the clock do not matter to it. */
static int64_t
monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * SECOND_NS + now.tv_nsec;
}

void
meter_begin(Meter *meter, bool always)
{
	*meter = (Meter){.terminal = isatty(STDERR_FILENO)};
	meter->shown = always || meter->terminal;
	meter->begin_ns = monotonic_ns();
	meter->next_ns = meter->begin_ns + SECOND_NS;
}

double
meter_seconds(const Meter *meter)
{
	double seconds = (double) (monotonic_ns() - meter->begin_ns) / 1e9;

	return seconds > 1e-3 ? seconds : 1e-3;
}

void
meter_show(Meter *meter, uint64_t rows, uint64_t bytes, double share)
{
	int64_t now = monotonic_ns();
	double seconds = meter_seconds(meter);

	if (!meter->shown || now < meter->next_ns)
		return;
	meter->next_ns = now + SECOND_NS;
	fprintf(stderr, "%s%" PRIu64 " rows, %.0f rows/s, %.1f MB/s", meter->terminal ? "\r" : "", rows,
			(double) rows / seconds, (double) bytes / seconds / 1e6);
	if (share >= 0)
		fprintf(stderr, ", %.0f %%", share * 100);
	if (share > 0.001 && share < 1)
		fprintf(stderr, ", %.0f s left", seconds / share - seconds);
	fputs(meter->terminal ? "\033[K" : "\n", stderr);
	fflush(stderr);
	meter->written = true;
}

void
meter_end(Meter *meter)
{
	if (meter->terminal && meter->written)
		fputs("\r\033[K", stderr);
	meter->written = false;
}
