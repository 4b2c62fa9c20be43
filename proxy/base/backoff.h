/*
 * backoff.h
 *	  How long to wait before something that failed is tried again.
 *
 * Each wait in a row is about twice as long as the one before, up to a bound.  Each is shortened by
 * up to a quarter at random, so that servers that failed together do not try again together.
 */
#ifndef HISTORIAND_BACKOFF_H
#define HISTORIAND_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Backoff
{
	uint64_t first_ms;
	uint64_t largest_ms;
	uint64_t wait_ms; /* the last wait, before it was shortened; 0: nothing has failed */
} Backoff;

/* Notes a failure and returns how long to wait. */
extern uint64_t backoff_next_ms(Backoff *backoff);

/* Notes a success. */
static inline void
backoff_reset(Backoff *backoff)
{
	backoff->wait_ms = 0;
}

/* Has anything failed since the last success? */
static inline bool
backoff_failing(const Backoff *backoff)
{
	return backoff->wait_ms > 0;
}

#endif /* HISTORIAND_BACKOFF_H */
