/*
 * meter.h
 *	  Progress and rate of a long command, as one line on stderr that is written again and again.
 */
#ifndef HISTORIAN_METER_H
#define HISTORIAN_METER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Meter
{
	bool shown;
	bool terminal;
	int64_t begin_ns;
	int64_t next_ns;
	bool written; /* there is a line, which is to be cleared */
} Meter;

/* It is shown on a terminal, or anywhere with always. */
extern void meter_begin(Meter *meter, bool always);

/* Shows it once a second.  share of the work is done, from 0 to 1; -1: nobody knows. */
extern void meter_show(Meter *meter, uint64_t rows, uint64_t bytes, double share);

/* Takes the line away. */
extern void meter_end(Meter *meter);

/* How long it has been, in seconds, and not 0. */
extern double meter_seconds(const Meter *meter);

#endif /* HISTORIAN_METER_H */
