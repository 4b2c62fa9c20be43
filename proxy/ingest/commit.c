/*
 * commit.c
 *	  Requests that wait for the commit of their rows, and the outcomes of commits.
 *
 * Batches are loaded in order, and a loop's waiters are queued in the order of their batches, so
 * that one number, the last finished generation, answers most of them.
 *
 * Rejections are rare.  A tree keeps them by ticket until their waiter takes them.  So a waiter
 * that was answered at its deadline stays in the queue until its batch is finished; and if a client
 * leaves in the middle of a body, a waiter without a callback is queued.
 *
 * Rows that are set aside (set_aside.c) are loaded after later generations.  Another tree has their
 * tickets, each with the last part that has rows of it.  The waiters with these tickets move to a
 * list of their own until that part is settled.
 *
 * Generations with losses are kept in a list for ever: each of them is a damaged file of the spool.
 */
#include "ingest/commit.h"

#include "base/assert.h"
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

typedef struct Delay
{
	uint32_t ticket; /* first: what the tree compares */
	uint64_t part;
} Delay;

typedef struct Loss
{
	ListLink link;
	uint64_t generation;
} Loss;

struct CommitBoard
{
	_Atomic uint64_t generation;
	_Atomic uint64_t part;		/* the last settled one */
	_Atomic uint64_t last_part; /* that was begun */
	_Atomic uint64_t position;	/* of the WAL after the last commit */
	atomic_bool earlier;		/* of commit_note_earlier() */
	atomic_bool rejections_exist;
	atomic_bool delays_exist;
	atomic_bool losses_exist;
	pthread_mutex_t lock; /* guards the rest */
	void *rejections;	  /* a tree of tsearch(3): Rejection by ticket */
	void *delays;		  /* another tree: Delay by ticket */
	List losses;		  /* of Loss.link */
};

static void take_rejection(CommitBoard *board, uint32_t ticket, CommitOutcome *outcome);
static bool has_losses(CommitBoard *board, const IngestTicket *ticket);
static bool is_delayed(CommitBoard *board, uint32_t ticket);
static bool must_wait(CommitWaiter *waiter, CommitBoard *board);

CommitBoard *
commit_board_new(void)
{
	CommitBoard *board = memory_new(sizeof(CommitBoard));

	list_init(&board->losses);
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
	list_append(&board->losses, &loss->link);
	atomic_store(&board->losses_exist, true);
	pthread_mutex_unlock(&board->lock);
}

void
commit_delay(CommitBoard *board, uint32_t ticket, uint64_t part)
{
	Delay *delay;
	Delay **node;

	if (ticket == 0)
		return;
	pthread_mutex_lock(&board->lock);
	node = tfind(&ticket, &board->delays, by_ticket);
	if (node != NULL)
		delay = *node;
	else
	{
		delay = memory_new(sizeof(Delay));
		delay->ticket = ticket;
		if (tsearch(delay, &board->delays, by_ticket) == NULL)
			abort();
		atomic_store(&board->delays_exist, true);
	}
	delay->part = part;
	pthread_mutex_unlock(&board->lock);
}

void
commit_begin_part(CommitBoard *board, uint64_t part)
{
	atomic_store(&board->last_part, part);
}

void
commit_note_earlier(CommitBoard *board, bool earlier)
{
	atomic_store(&board->earlier, earlier);
}

void
commit_settle(CommitBoard *board, uint64_t part)
{
	atomic_store_explicit(&board->part, part, memory_order_release);
}

/*
 * The last one is kept, not the greatest: after a failover that has lost commits the positions begin
 * again at lower ones.
 */
void
commit_note_position(CommitBoard *board, uint64_t position)
{
	atomic_store_explicit(&board->position, position, memory_order_relaxed);
}

void
commit_publish(CommitBoard *board, uint64_t generation)
{
	atomic_store_explicit(&board->generation, generation, memory_order_release);
}

/* Callbacks in one call of commit_queue_check(); each makes an answer, and may write it. */
#define CALLS_AT_ONCE 256

static void
call_back(CommitWaiter *waiter, const CommitOutcome *outcome)
{
	CommitCallback callback = waiter->callback;

	waiter->callback = NULL;
	if (callback != NULL)
		callback(waiter->argument, outcome);
}

/* Calls the waiter back with the outcome of all its rows, and frees it. */
static void
finish(CommitWaiter *waiter, CommitBoard *board)
{
	CommitOutcome outcome = {
		.state = COMMIT_DONE,
		.position = atomic_load_explicit(&board->position, memory_order_relaxed),
	};

	ASSERT(waiter != NULL);
	if (atomic_load(&board->rejections_exist))
		take_rejection(board, waiter->ticket.number, &outcome);
	if (!waiter->for_all && atomic_load(&board->losses_exist) && has_losses(board, &waiter->ticket))
		outcome.state = COMMIT_LOST;
	call_back(waiter, &outcome);
	free(waiter);
}

static CommitWaiter *
take_first(List *list)
{
	ListLink *link = list_take_first(list);

	return link == NULL ? NULL : LIST_ITEM(link, CommitWaiter, link);
}

void
commit_queue_init(CommitQueue *queue)
{
	*queue = (CommitQueue){0};
	list_init(&queue->waiting);
	list_init(&queue->delayed);
	list_init(&queue->unchecked);
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
	list_append(&queue->waiting, &waiter->link);
	return waiter;
}

CommitWaiter *
commit_wait_for_all(CommitQueue *queue, const IngestTicket *ticket, uint64_t deadline_ms,
					CommitCallback callback, void *argument)
{
	CommitWaiter *waiter = commit_wait(queue, ticket, deadline_ms, callback, argument);

	waiter->for_all = true;
	return waiter;
}

void
commit_wait_no_more(CommitWaiter *waiter)
{
	waiter->callback = NULL;
}

/*
 * Tells the waiters whose deadline has come that the outcome is unknown.  Deadlines come in the
 * order of the list, unless --commit-timeout was changed.  Returns false if more have come than
 * *left allows.
 */
static bool
give_up_late(const List *list, uint64_t now_ms, int *left)
{
	const CommitOutcome unknown = {.state = COMMIT_UNKNOWN};

	for (ListLink *link = list_first(list); link != NULL; link = list_next(list, link))
	{
		CommitWaiter *waiter = LIST_ITEM(link, CommitWaiter, link);

		if (waiter->deadline_ms > now_ms)
			break;
		if (waiter->callback != NULL && (*left)-- == 0)
			return false;
		call_back(waiter, &unknown);
	}
	return true;
}

/*
 * Looks at each delayed waiter once after a part was settled; false if there are more than *left.
 */
static bool
check_delayed(CommitQueue *queue, CommitBoard *board, int *left)
{
	uint64_t part = atomic_load_explicit(&board->part, memory_order_acquire);
	ListLink *link;

	if (queue->part != part)
	{
		queue->part = part;
		while ((link = list_take_first(&queue->delayed)) != NULL)
			list_append(&queue->unchecked, link);
	}
	while (!list_empty(&queue->unchecked))
	{
		CommitWaiter *waiter;

		if ((*left)-- == 0)
			return false;
		waiter = take_first(&queue->unchecked);
		if (must_wait(waiter, board))
			list_append(&queue->delayed, &waiter->link);
		else
			finish(waiter, board);
	}
	return true;
}

/*
 * Is the batch of the first waiter finished, except for rows that were set aside?  A waiter for all may
 * have none, but wait for an earlier process's, before which no batch is finished.
 */
static bool
first_is_done(const CommitQueue *queue, const CommitBoard *board, uint64_t generation)
{
	ListLink *link = list_first(&queue->waiting);
	const CommitWaiter *waiter = link != NULL ? LIST_ITEM(link, CommitWaiter, link) : NULL;

	return waiter != NULL && waiter->ticket.generation <= generation &&
		   !(waiter->for_all && atomic_load(&board->earlier));
}

bool
commit_queue_check(CommitQueue *queue, CommitBoard *board, uint64_t now_ms)
{
	uint64_t done = atomic_load_explicit(&board->generation, memory_order_acquire);
	int left = CALLS_AT_ONCE;

	if (!check_delayed(queue, board, &left))
		return true;
	/* A callback may lead to new waiters; they join at the end. */
	while (first_is_done(queue, board, done))
	{
		CommitWaiter *waiter;

		if (left-- == 0)
			return true;
		waiter = take_first(&queue->waiting);
		if (must_wait(waiter, board))
			list_append(&queue->delayed, &waiter->link);
		else
			finish(waiter, board);
	}
	return !give_up_late(&queue->waiting, now_ms, &left) ||
		   !give_up_late(&queue->delayed, now_ms, &left);
}

static void
give_up(List *list)
{
	const CommitOutcome unknown = {.state = COMMIT_UNKNOWN};
	CommitWaiter *waiter;

	while ((waiter = take_first(list)) != NULL)
	{
		call_back(waiter, &unknown);
		free(waiter);
	}
}

void
commit_queue_give_up(CommitQueue *queue)
{
	give_up(&queue->unchecked);
	give_up(&queue->delayed);
	give_up(&queue->waiting);
}

/* Moves the rejection of a ticket, if there is one, from the board into the outcome. */
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
	for (ListLink *link = list_first(&board->losses); link != NULL && !found;
		 link = list_next(&board->losses, link))
	{
		const Loss *loss = LIST_ITEM(link, Loss, link);

		found =
			loss->generation >= ticket->first_generation && loss->generation <= ticket->generation;
	}
	pthread_mutex_unlock(&board->lock);
	return found;
}

/* Is a part with rows of this ticket still to be settled?  If not, clears the ticket's entry. */
static bool
is_delayed(CommitBoard *board, uint32_t ticket)
{
	uint64_t part = atomic_load_explicit(&board->part, memory_order_acquire);
	Delay **node;
	bool delayed = false;

	pthread_mutex_lock(&board->lock);
	node = tfind(&ticket, &board->delays, by_ticket);
	if (node != NULL && (*node)->part > part)
		delayed = true;
	else if (node != NULL)
	{
		Delay *delay = *node;

		tdelete(delay, &board->delays, by_ticket);
		free(delay);
		atomic_store(&board->delays_exist, board->delays != NULL);
	}
	pthread_mutex_unlock(&board->lock);
	return delayed;
}

/* Has the waiter rows that are set aside?  Its batch is finished. */
static bool
must_wait(CommitWaiter *waiter, CommitBoard *board)
{
	ASSERT(waiter != NULL);
	if (!waiter->for_all)
		return atomic_load(&board->delays_exist) && is_delayed(board, waiter->ticket.number);
	/* The parts with rows of its batches have begun by now; later ones do not concern it. */
	if (waiter->part == 0)
		waiter->part = atomic_load(&board->last_part);
	return waiter->part > atomic_load_explicit(&board->part, memory_order_acquire);
}
