/*
 * ingest.h
 *	  The bounded buffer between the loops that accept messages and the writer that loads them.
 *
 * Any thread appends messages; one thread takes batches of them.  The bound is a budget, in which
 * other modules may count memory too.  Messages stay counted until ingest_release() says that they
 * are loaded, spooled or rejected for good.
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
	bool awaited;		 /* a request waits for its commit */
	bool damaged;		 /* not all of it could be read from the spool */
	uint64_t lost;		 /* messages that could not, as far as is known */

	/*
	 * For the lag histogram: how many messages arrived in each slot_ms after first_ms.  If an
	 * earlier process received them, first_ms is 0, and earlier_ms is about when it got the first
	 * one, which may be before this machine's start.
	 */
	uint64_t first_ms;
	int64_t earlier_ms;
	uint64_t slot_ms;
	uint64_t arrivals[ARRIVAL_SLOTS];
} IngestBatch;

/* The batches that have a request's messages.  All are loaded once the last of these batches is. */
typedef struct IngestTicket
{
	uint32_t number;		   /* 0: it has no messages yet, or is one of ingest_fence() */
	uint64_t first_generation; /* of the batch with its first messages */
	uint64_t generation;	   /* of the batch with its last messages */
} IngestTicket;

/*
 * wake(argument) is called from any thread when the writer should not wait for its timer: a request
 * waits for a commit, a batch has reached its size, or the buffer is full.
 */
extern Ingest *ingest_new(Budget *budget, void (*wake)(void *), void *argument);

/*
 * Appends all messages of the stage; or, if the buffer has no room, appends none and returns
 * false.  With promised, for which the caller has reserved room, it appends them in any case.  A
 * ticket, which may be NULL, says that a request waits for the commit.  The messages are of the stream.
 */
extern bool ingest_append(Ingest *ingest, const Stage *stage, bool promised, uint64_t now_ms,
						  StreamName *stream, IngestTicket *ticket);

/*
 * Returns a ticket of all messages that were appended before, whoever sent them.  They are loaded
 * soon, as those of a request that waits for their commit.
 */
extern IngestTicket ingest_fence(Ingest *ingest);

/*
 * Notes that every batch up to this generation is loaded, rejected or lost; 0: that is known already.
 * With others there are further messages that no batch of the buffer has any more: set aside, or
 * of an earlier process.
 */
extern void ingest_note_settled(Ingest *ingest, uint64_t generation, bool others);

/*
 * Is every message of the stream that was accepted before the call loaded, rejected or lost?  NULL is a
 * stream of which none was accepted.
 */
extern bool ingest_is_settled(const Ingest *ingest, const StreamName *stream);

/*
 * Counts messages that are still arriving.  ingest_reserve() counts nothing if that exceeds the
 * bound.
 */
extern bool ingest_reserve(Ingest *ingest, size_t bytes);
extern void ingest_add(Ingest *ingest, size_t bytes);
extern void ingest_unreserve(Ingest *ingest, size_t bytes);

/*
 * Returns the oldest batch, which gets no more messages, and which the caller then owns and closes; NULL
 * if there are none.
 */
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

/* Frees a batch that was taken or adopted, and stops counting its memory. */
extern void ingest_release(Ingest *ingest, IngestBatch *batch);

/* The state of the oldest batch, closed or not. */
typedef struct IngestOldest
{
	uint64_t first_ms; /* its first arrival; 0: there are no messages */
	bool closed;	   /* it has reached its size */
	bool awaited;	   /* a request waits for its commit */
} IngestOldest;

extern IngestOldest ingest_oldest(Ingest *ingest);

extern size_t ingest_bytes(Ingest *ingest); /* without what other modules count in the budget */
extern size_t ingest_other_bytes(Ingest *ingest);
extern bool ingest_full(Ingest *ingest); /* is the budget used up? */

#endif /* HISTORIAND_INGEST_H */
