/*
 * latency.h
 *	  Durations, kept one by one, and their percentiles.
 */
#ifndef LATENCY_H
#define LATENCY_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed at first; latency_free() frees its memory. */
typedef struct Latency
{
	uint64_t *ns;
	size_t count;
	size_t allocated;
	int sorted;
} Latency;

extern void latency_add(Latency *latency, uint64_t ns);
/*
 * The smallest duration, in ms, that is at least as long as so many percent of all (nearest rank);
 * 0 if there are none.
 */
extern double latency_percentile_ms(Latency *latency, double percent);
extern void latency_free(Latency *latency);

#endif
