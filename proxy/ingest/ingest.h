/*
 * ingest.h
 *	  The bounded buffer between the loops that accept messages and the writer that loads them.
 *
 * Any thread appends; one thread takes.  The bound is a budget, against which others may count what
 * they hold.  What is appended stays counted until ingest_release() says that it is loaded (or
 * spooled, or rejected for good).
 */
#ifndef HISTORIAND_INGEST_H
#define HISTORIAND_INGEST_H

#include "base/budget.h"
#include "base/list.h"
#include "ingest/batch.h"
#include "ingest/stage.h"

#include <stdbool.h>

typedef struct Ingest Ingest;

#define ARRIVAL_SLOTS 64

/* A closed batch with what is known about it. */
typedef struct IngestBatch
{
	ListLink link; /* while it is closed and not taken yet */
	Batch *rows;
	uint64_t generation; /* batches are loaded in the order of this number */
	bool awaited;		 /* somebody waits for its commit */
	bool damaged;		 /* not all of it came back from the spool */
	uint64_t lost;		 /* so many of its messages did not, as far as is known */

	/* How many messages arrived in each slot_ms after first_ms; for the lag histogram. */
	uint64_t first_ms;	/* 0: an earlier process's, whose arrivals are not known */
	int64_t earlier_ms; /* that one's first, about; may be before this machine's start */
	uint64_t slot_ms;
	uint64_t arrivals[ARRIVAL_SLOTS];
} IngestBatch;

/* Where a request's messages are: loaded once the batch of that generation is. */
typedef struct IngestTicket
{
	uint32_t number;		   /* 0: not given yet */
	uint64_t first_generation; /* of the first messages appended with it */
	uint64_t generation;	   /* of the last ones */
} IngestTicket;

/*
 * wake(argument) is called from any thread when the writer should not wait for its timer: somebody
 * waits for a commit, a batch has reached its size, or the buffer is full.
 */
extern Ingest *ingest_new(Budget *budget, void (*wake)(void *), void *argument);

/*
 * Takes all messages of the stage or, where the buffer has no room, none and returns false; with
 * promised, the caller having reserved room for them, always all.  With a ticket the caller waits for
 * the commit.
 */
extern bool ingest_append(Ingest *ingest, const Stage *stage, bool promised, uint64_t now_ms,
						  IngestTicket *ticket);

/* Messages that are still arriving count too; false where there is no room. */
extern bool ingest_reserve(Ingest *ingest, size_t bytes);
extern void ingest_add(Ingest *ingest, size_t bytes); /* even so */
extern void ingest_unreserve(Ingest *ingest, size_t bytes);

/* The oldest batch, closed, or NULL where there is nothing.  The caller owns it. */
extern IngestBatch *ingest_take(Ingest *ingest);

/* How long ago the first message of a batch arrived. */
static inline uint64_t
ingest_age_ms(const IngestBatch *batch, uint64_t now_ms)
{
	int64_t since_ms = batch->first_ms != 0 ? (int64_t) batch->first_ms : batch->earlier_ms;

	return since_ms != 0 && (int64_t) now_ms > since_ms ? (uint64_t) ((int64_t) now_ms - since_ms)
														: 0;
}

/* Counts the memory of a batch that was made elsewhere, until ingest_release(). */
extern void ingest_adopt(Ingest *ingest, const IngestBatch *batch);

/* Frees a batch that was taken; its memory no longer counts. */
extern void ingest_release(Ingest *ingest, IngestBatch *batch);

/* What is known of the oldest batch, closed or not. */
typedef struct IngestOldest
{
	uint64_t first_ms; /* first arrival in it; 0: there is nothing */
	bool closed;	   /* it has reached its size */
	bool awaited;	   /* somebody waits for its commit */
} IngestOldest;

extern IngestOldest ingest_oldest(Ingest *ingest);

extern size_t ingest_bytes(Ingest *ingest); /* of messages alone */
extern bool ingest_full(Ingest *ingest);	/* is the budget used up? */

#endif /* HISTORIAND_INGEST_H */
