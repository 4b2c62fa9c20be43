/*
 * commit.h
 *	  Who waits for which commit, and what came of it.
 *
 * The writer publishes on a board; each loop has a queue of waiters and looks at the board when it
 * is woken.
 */
#ifndef HISTORIAND_COMMIT_H
#define HISTORIAND_COMMIT_H

#include "base/list.h"
#include "ingest/ingest.h"

typedef struct CommitBoard CommitBoard;

extern CommitBoard *commit_board_new(void);

/* A row that PostgreSQL refused for good.  To be called before its batch is published. */
extern void commit_reject(CommitBoard *board, uint32_t ticket, const char *sqlstate,
						  const char *message);

/* Messages of this generation are lost, nobody knows whose.  To be called before it is published. */
extern void commit_lose(CommitBoard *board, uint64_t generation);

/*
 * A row of a batch was set aside with the part of that number, and is dealt with when this is settled:
 * whoever has its ticket waits for that too.  To be called before the batch is published.
 */
extern void commit_delay(CommitBoard *board, uint32_t ticket, uint64_t part);

/* Every part up to this one has been dealt with. */
extern void commit_settle(CommitBoard *board, uint64_t part);

/* Every batch up to this generation has been dealt with, but for what was set aside. */
extern void commit_publish(CommitBoard *board, uint64_t generation);

typedef struct CommitOutcome
{
	enum
	{
		COMMIT_DONE,
		COMMIT_REJECTED, /* at least one row */
		COMMIT_LOST,	 /* rows of this batch are gone, perhaps some of this request */
		COMMIT_UNKNOWN,	 /* the wait was limited; it may still be committed */
	} state;
	char sqlstate[6]; /* of the first rejected row */
	char message[512];
	uint64_t rejected; /* rows */
} CommitOutcome;

typedef void (*CommitCallback)(void *argument, const CommitOutcome *outcome);

typedef struct CommitWaiter
{
	ListLink link;
	IngestTicket ticket;
	uint64_t deadline_ms;
	CommitCallback callback; /* NULL once it was called or cancelled */
	void *argument;
} CommitWaiter;

/* Belongs to one loop.  The lists are of CommitWaiter.link. */
typedef struct CommitQueue
{
	List waiting;	/* in the order of their batches */
	List delayed;	/* behind rows that were set aside */
	List unchecked; /* of those, the ones not looked at since a part was settled */
	uint64_t part;	/* that one */
} CommitQueue;

extern void commit_queue_init(CommitQueue *queue);

/* callback may be NULL: then only what is on the board for the ticket is cleared. */
extern CommitWaiter *commit_wait(CommitQueue *queue, const IngestTicket *ticket,
								 uint64_t deadline_ms, CommitCallback callback, void *argument);

/* Nobody wants to be called back any more; not to be called after the callback. */
extern void commit_wait_no_more(CommitWaiter *waiter);

/*
 * Calls back whoever can be told something, but not more than takes a few milliseconds: returns true
 * where there may be others, for another call.
 */
extern bool commit_queue_check(CommitQueue *queue, CommitBoard *board, uint64_t now_ms);

/* Tells everybody that the outcome is unknown: the server stops. */
extern void commit_queue_give_up(CommitQueue *queue);

#endif /* HISTORIAND_COMMIT_H */
