/*
 * replay.h
 *	  Computes the values that a workload's most frequent tags had at any time since its start.
 *
 * It keeps counts and values at intervals and computes those between again, so that a day at 10,000
 * messages/s, for 100 tags, fits into about 300 MB.
 */
#ifndef REPLAY_H
#define REPLAY_H

#include <stdint.h>

#include "workload.h"

typedef struct Replay Replay;

/* Follows tags 0 .. tags - 1 of the workload, which must outlive the replay. */
extern Replay *replay_open(const Workload *workload, uint32_t tags);
extern void replay_close(Replay *replay);

/* Computes the first so many messages of the workload, unless that was done before. */
extern void replay_advance(Replay *replay, uint64_t messages);

/*
 * How many of the workload's first so many messages have that tag.  The messages must have been
 * computed.  Questions in ascending order are cheap.
 */
extern uint64_t replay_count(Replay *replay, uint32_t tag, uint64_t messages);

/* The values of message n (from 0) of the tag, in units; valid until the next call. */
extern const int64_t *replay_values(Replay *replay, uint32_t tag, uint64_t n);

#endif
