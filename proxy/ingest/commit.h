/*
 * commit.h
 *	  Requests that wait for the commit of their rows, and the outcomes of commits.
 *
 * The writer publishes outcomes on a board.  Each loop has a queue of waiters, and compares it with
 * the board when it is woken.
 */
#ifndef HISTORIAND_COMMIT_H
#define HISTORIAND_COMMIT_H

#include "base/list.h"
#include "ingest/ingest.h"

typedef struct CommitBoard CommitBoard;

extern CommitBoard *commit_board_new(void);

/* PostgreSQL has refused a row for good.  To be called before the row's batch is published. */
extern void commit_reject(CommitBoard *board, uint32_t ticket, const char *sqlstate,
						  const char *message);

/*
 * Messages of a batch are lost; it is not known which.  To be called before the batch is published.
 */
extern void commit_lose(CommitBoard *board, uint64_t generation);

/*
 * A row was set aside with the part of that number (set_aside.h).  The waiter with the row's ticket
 * waits until the part is settled, too.  To be called before the row's batch is published.
 */
extern void commit_delay(CommitBoard *board, uint32_t ticket, uint64_t part);

/*
 * A part was begun, which may have rows of anybody.  To be called before the batch with its first rows
 * is published.
 */
extern void commit_begin_part(CommitBoard *board, uint64_t part);

/* Are there messages of an earlier process, which are loaded before all others? */
extern void commit_note_earlier(CommitBoard *board, bool earlier);

/* Every part up to this one has been loaded or rejected. */
extern void commit_settle(CommitBoard *board, uint64_t part);

/*
 * The WAL's position after the last commit; 0: not known.  To be called before what was committed is
 * settled or published.
 */
extern void commit_note_position(CommitBoard *board, uint64_t position);

/*
 * Every batch up to this generation has been loaded, rejected or lost, except rows that are set
 * aside.
 */
extern void commit_publish(CommitBoard *board, uint64_t generation);

typedef struct CommitOutcome
{
	enum
	{
		COMMIT_DONE,
		COMMIT_REJECTED, /* at least one row was rejected */
		COMMIT_LOST,	 /* rows of the request's batches are lost, perhaps some of its own */
		COMMIT_UNKNOWN,	 /* the waiter's deadline came first; the rows may still be committed */
	} state;
	char sqlstate[6]; /* of the first rejected row */
	char message[512];
	uint64_t rejected; /* rows */
	/*
	 * A position of the WAL that has the commit before it, and perhaps some later ones; 0: none is
	 * known.
	 */
	uint64_t position;
} CommitOutcome;

typedef void (*CommitCallback)(void *argument, const CommitOutcome *outcome);

typedef struct CommitWaiter
{
	ListLink link;
	IngestTicket ticket;
	bool for_all;  /* of commit_wait_for_all() */
	uint64_t part; /* its last part with rows from before; 0: not known yet, or none */
	uint64_t deadline_ms;
	CommitCallback callback; /* NULL after it was called or cancelled */
	void *argument;
} CommitWaiter;

/* The waiters of one loop.  The lists are of CommitWaiter.link. */
typedef struct CommitQueue
{
	List waiting;	/* for their batches, in the order of these */
	List delayed;	/* for rows that were set aside */
	List unchecked; /* for rows that were set aside, and that may be in a part settled since */
	uint64_t part;	/* the last settled part of which the queue knows */
} CommitQueue;

extern void commit_queue_init(CommitQueue *queue);

/*
 * Adds a waiter.  callback may be NULL: then only the board's entries for the ticket are cleared.
 */
extern CommitWaiter *commit_wait(CommitQueue *queue, const IngestTicket *ticket,
								 uint64_t deadline_ms, CommitCallback callback, void *argument);

/*
 * The same for a ticket of ingest_fence(): waits until the messages before it are loaded, rejected or
 * lost, those that are set aside and those of an earlier process too.  The outcome tells nothing of them.
 */
extern CommitWaiter *commit_wait_for_all(CommitQueue *queue, const IngestTicket *ticket,
										 uint64_t deadline_ms, CommitCallback callback,
										 void *argument);

/* Cancels the callback.  Must not be called after the callback. */
extern void commit_wait_no_more(CommitWaiter *waiter);

/*
 * Calls back the waiters whose outcome is known or whose deadline has come, for a few milliseconds
 * at most.  Returns true if there may be more of them: the caller calls again later.
 */
extern bool commit_queue_check(CommitQueue *queue, CommitBoard *board, uint64_t now_ms);

/* Tells all waiters that the outcome is unknown, because the server stops. */
extern void commit_queue_give_up(CommitQueue *queue);

#endif /* HISTORIAND_COMMIT_H */
