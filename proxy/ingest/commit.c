/*
 * commit.c
 *	  Who waits for which commit, and what came of it.
 *
 * Batches are loaded in order and a loop's waiters are queued in the order of their batches, so
 * one number, the last finished generation, answers most of them.  Rejected rows are rare: they
 * stand in a tree, by ticket, until their waiter has looked.  A waiter that was answered early
 * (time limit) stays in the queue until its batch is done, so that it clears the list too; and
 * where a client leaves in the middle of a body, a waiter without a callback is queued for that.
 *
 * Generations with losses stand in another list, for good: each one is a spool file that broke.
 */
#include "ingest/commit.h"

#include "base/memory.h"

#include <pthread.h>
#include <search.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct Rejection
{
	uint32_t ticket; /* first: what the tree compares */
	uint64_t rows;
	char sqlstate[6];
	char message[512];
} Rejection;

typedef struct Loss
{
	struct Loss *next;
	uint64_t generation;
} Loss;

struct CommitBoard
{
	_Atomic uint64_t generation;
	atomic_bool rejections_exist;
	atomic_bool losses_exist;
	pthread_mutex_t lock; /* guards what follows */
	void *rejections;	  /* a tree of tsearch(3), by ticket */
	Loss *losses;
};

static void take_rejection(CommitBoard *board, uint32_t ticket, CommitOutcome *outcome);
static bool has_losses(CommitBoard *board, const IngestTicket *ticket);

CommitBoard *
commit_board_new(void)
{
	CommitBoard *board = memory_new(sizeof(CommitBoard));

	pthread_mutex_init(&board->lock, NULL);
	return board;
}

static int
by_ticket(const void *a, const void *b)
{
	uint32_t first = *(const uint32_t *) a;
	uint32_t second = *(const uint32_t *) b;

	return (first > second) - (first < second);
}

void
commit_reject(CommitBoard *board, uint32_t ticket, const char *sqlstate, const char *message)
{
	Rejection *rejection = NULL;
	Rejection **node;

	if (ticket == 0)
		return;
	pthread_mutex_lock(&board->lock);
	node = tfind(&ticket, &board->rejections, by_ticket);
	if (node != NULL)
		rejection = *node;
	else
	{
		rejection = memory_new(sizeof(Rejection));
		rejection->ticket = ticket;
		snprintf(rejection->sqlstate, sizeof(rejection->sqlstate), "%s", sqlstate);
		snprintf(rejection->message, sizeof(rejection->message), "%s", message);
		if (tsearch(rejection, &board->rejections, by_ticket) == NULL)
			abort();
		atomic_store(&board->rejections_exist, true);
	}
	rejection->rows++;
	pthread_mutex_unlock(&board->lock);
}

void
commit_lose(CommitBoard *board, uint64_t generation)
{
	Loss *loss = memory_new(sizeof(Loss));

	loss->generation = generation;
	pthread_mutex_lock(&board->lock);
	loss->next = board->losses;
	board->losses = loss;
	atomic_store(&board->losses_exist, true);
	pthread_mutex_unlock(&board->lock);
}

void
commit_publish(CommitBoard *board, uint64_t generation)
{
	atomic_store_explicit(&board->generation, generation, memory_order_release);
}

void
commit_queue_init(CommitQueue *queue)
{
	list_init(&queue->waiters);
}

CommitWaiter *
commit_wait(CommitQueue *queue, const IngestTicket *ticket, uint64_t deadline_ms,
			CommitCallback callback, void *argument)
{
	CommitWaiter *waiter = memory_new(sizeof(CommitWaiter));

	waiter->ticket = *ticket;
	waiter->deadline_ms = deadline_ms;
	waiter->callback = callback;
	waiter->argument = argument;
	list_append(&queue->waiters, &waiter->link);
	return waiter;
}

void
commit_wait_no_more(CommitWaiter *waiter)
{
	waiter->callback = NULL;
}

/* Calls of commit_queue_check() end after so many; each is an answer and may be a write. */
#define CALLS_AT_ONCE 256

static void
call_back(CommitWaiter *waiter, const CommitOutcome *outcome)
{
	CommitCallback callback = waiter->callback;

	waiter->callback = NULL;
	if (callback != NULL)
		callback(waiter->argument, outcome);
}

static CommitWaiter *
first_waiter(const CommitQueue *queue)
{
	ListLink *link = list_first(&queue->waiters);

	return link == NULL ? NULL : LIST_ITEM(link, CommitWaiter, link);
}

bool
commit_queue_check(CommitQueue *queue, CommitBoard *board, uint64_t now_ms)
{
	uint64_t done = atomic_load_explicit(&board->generation, memory_order_acquire);
	const CommitOutcome unknown = {.state = COMMIT_UNKNOWN};
	CommitWaiter *waiter;
	int left = CALLS_AT_ONCE;

	/* A callback may lead to new waiters; they join at the end. */
	while ((waiter = first_waiter(queue)) != NULL && waiter->ticket.generation <= done)
	{
		CommitOutcome outcome = {.state = COMMIT_DONE};

		if (left-- == 0)
			return true;
		if (atomic_load(&board->rejections_exist))
			take_rejection(board, waiter->ticket.number, &outcome);
		if (atomic_load(&board->losses_exist) && has_losses(board, &waiter->ticket))
			outcome.state = COMMIT_LOST;
		list_remove(&waiter->link);
		call_back(waiter, &outcome);
		free(waiter);
	}
	/* Deadlines are all the same distance after a waiter's start: the first ones run out first. */
	for (ListLink *link = list_first(&queue->waiters); link != NULL;
		 link = list_next(&queue->waiters, link))
	{
		waiter = LIST_ITEM(link, CommitWaiter, link);
		if (waiter->deadline_ms > now_ms)
			break;
		if (waiter->callback != NULL && left-- == 0)
			return true;
		call_back(waiter, &unknown);
	}
	return false;
}

void
commit_queue_give_up(CommitQueue *queue)
{
	const CommitOutcome unknown = {.state = COMMIT_UNKNOWN};
	ListLink *link;

	while ((link = list_take_first(&queue->waiters)) != NULL)
	{
		CommitWaiter *waiter = LIST_ITEM(link, CommitWaiter, link);

		call_back(waiter, &unknown);
		free(waiter);
	}
}

static void
take_rejection(CommitBoard *board, uint32_t ticket, CommitOutcome *outcome)
{
	Rejection **node;

	pthread_mutex_lock(&board->lock);
	node = tfind(&ticket, &board->rejections, by_ticket);
	if (node != NULL)
	{
		Rejection *rejection = *node;

		outcome->state = COMMIT_REJECTED;
		outcome->rejected = rejection->rows;
		snprintf(outcome->sqlstate, sizeof(outcome->sqlstate), "%s", rejection->sqlstate);
		snprintf(outcome->message, sizeof(outcome->message), "%s", rejection->message);
		tdelete(rejection, &board->rejections, by_ticket);
		free(rejection);
	}
	atomic_store(&board->rejections_exist, board->rejections != NULL);
	pthread_mutex_unlock(&board->lock);
}

static bool
has_losses(CommitBoard *board, const IngestTicket *ticket)
{
	bool found = false;

	pthread_mutex_lock(&board->lock);
	for (const Loss *loss = board->losses; loss != NULL && !found; loss = loss->next)
		found =
			loss->generation >= ticket->first_generation && loss->generation <= ticket->generation;
	pthread_mutex_unlock(&board->lock);
	return found;
}
