/*
 * backoff.c
 *	  How long to wait before something that failed is tried again.
 */
#include "base/backoff.h"

#include "base/assert.h"

#include <uv.h>

/* A number that servers do not share: the clock's nanoseconds, spread over all bits. */
static uint64_t
arbitrary(const Backoff *backoff)
{
	uint64_t number = uv_hrtime() ^ (uint64_t) (uintptr_t) backoff;

	number = (number ^ (number >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	number = (number ^ (number >> 27)) * UINT64_C(0x94D049BB133111EB);
	return number ^ (number >> 31);
}

uint64_t
backoff_next_ms(Backoff *backoff)
{
	ASSERT(backoff->first_ms > 0 && backoff->first_ms <= backoff->largest_ms);
	backoff->wait_ms = backoff->wait_ms == 0 ? backoff->first_ms : backoff->wait_ms * 2;
	if (backoff->wait_ms > backoff->largest_ms)
		backoff->wait_ms = backoff->largest_ms;
	return backoff->wait_ms - arbitrary(backoff) % (backoff->wait_ms / 4 + 1);
}
