/*
 * telling.h
 *	  A transition of a tag that is to be told, by a webhook or a command.
 */
#ifndef HISTORIAND_TELLING_H
#define HISTORIAND_TELLING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TELLING_WHY_BYTES 256

typedef struct Telling
{
	char *body; /* JSON */
	bool tried;
	bool told;
} Telling;

/* Some of them, as a worker thread gets them. */
typedef struct Tellings
{
	Telling *items;
	int count;
	uint64_t timeout_ms;		 /* for each */
	uint64_t begin_until_ms;	 /* none is begun after this time of uv_hrtime() */
	const atomic_bool *stopping; /* nor while this is set */
	char why[TELLING_WHY_BYTES]; /* what went wrong last; "": nothing */
} Tellings;

/*
 * Tells them, and sets tried and told of each.  Blocks.  teller is a Webhook or a Command; only one
 * thread at a time may use it.
 */
typedef void (*TellFunction)(void *teller, Tellings *tellings);

/* May the next one begin? */
extern bool telling_may_begin(const Tellings *tellings);

#endif /* HISTORIAND_TELLING_H */
