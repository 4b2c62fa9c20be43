/*
 * kept_memory.c
 *	  Memory that stays with a backend that reads.
 *
 * A query of a tag takes and frees some 300 kB.  By default glibc gives the system back what exceeds
 * 128 kB, and the next query pays for new pages, which are dear on some virtual machines
 * (docs/adr/0059).  When a piece of memory is freed that had pages of its own, glibc takes its size for
 * a usual one: pieces of that size come from the heap then, and twice as much stays free at the heap's
 * end.  Other libraries do nothing.
 *
 * A backend that only loads must not do this: glibc lets the arrays of a load, which double again and
 * again, grow in place by moving their pages, unless they are in the heap.
 */
#include "postgres.h"

#include "read/kept_memory.h"

/* The memory that a query may well take. */
#define USUAL_BYTES (512 * 1024)

void
kept_memory_begin(void)
{
	static bool kept = false;

	if (kept)
		return;
	/* nothing is written to it, so it costs no page */
	pfree(palloc(USUAL_BYTES));
	kept = true;
}
