/*
 * latency.c
 *	  Durations, kept one by one, and their percentiles.
 */
#include "latency.h"

#include <math.h>
#include <stdlib.h>

static int
compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *) left;
	uint64_t b = *(const uint64_t *) right;

	return (a > b) - (a < b);
}

void
latency_add(Latency *latency, uint64_t ns)
{
	if (latency->count == latency->allocated)
	{
		latency->allocated = latency->allocated == 0 ? 1024 : latency->allocated * 2;
		latency->ns = realloc(latency->ns, latency->allocated * sizeof(*latency->ns));
		if (latency->ns == NULL)
			abort();
	}
	latency->ns[latency->count++] = ns;
	latency->sorted = 0;
}

double
latency_percentile_ms(Latency *latency, double percent)
{
	double rank = ceil((double) latency->count * percent / 100);

	if (latency->count == 0)
		return 0;
	if (!latency->sorted)
		qsort(latency->ns, latency->count, sizeof(*latency->ns), compare);
	latency->sorted = 1;
	return (double) latency->ns[rank < 1 ? 0 : (size_t) rank - 1] / 1e6;
}

void
latency_free(Latency *latency)
{
	free(latency->ns);
	*latency = (Latency){0};
}
