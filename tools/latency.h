/*
 * latency.h
 *	  Durations, kept one by one, and their percentiles.
 */
#ifndef LATENCY_H
#define LATENCY_H

#include <stddef.h>
#include <stdint.h>

/* Starts as zeroes; latency_free ends it. */
typedef struct Latency
{
	uint64_t *ns;
	size_t count;
	size_t allocated;
	int sorted;
} Latency;

extern void latency_add(Latency *latency, uint64_t ns);
/* The smallest duration that is not under so many percent of all, in ms (nearest rank); 0 of none. */
extern double latency_percentile_ms(Latency *latency, double percent);
extern void latency_free(Latency *latency);

#endif
