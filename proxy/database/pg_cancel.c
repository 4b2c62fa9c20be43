/*
 * pg_cancel.c
 *	  Asking PostgreSQL to end queries, from threads of their own.
 *
 * All loops share one queue and the threads that empty it.  A thread is started when there is work
 * for it, and stays.  A cancellation belongs to the threads until it is in the list "over" of its
 * canceller, and then to the canceller's loop.  The lock guards both lists and
 * PgCancellation.abandoned.
 */
#include "database/pg_cancel.h"

#include "base/list.h"
#include "base/log.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#define MAX_THREADS 2

struct PgCancellation
{
	ListLink link; /* in waiting, or in the canceller's over */
	PgCanceller *canceller;
	PGcancel *cancel; /* NULL where there is no connection */
	void (*done)(void *);
	void *argument;
	bool abandoned;
};

struct PgCanceller
{
	uv_async_t wake;
	List over; /* of PgCancellation.link */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static List waiting = {.head = {&waiting.head, &waiting.head}};
static int threads;
static int idle_threads;

static void *cancel_all(void *argument);
static void on_wake(uv_async_t *wake);

PgCanceller *
pg_canceller_new(uv_loop_t *loop)
{
	PgCanceller *canceller = memory_new(sizeof(PgCanceller));

	list_init(&canceller->over);
	uv_async_init(loop, &canceller->wake, on_wake);
	canceller->wake.data = canceller;
	return canceller;
}

/* If no thread can be started, the cancellation waits for one that is busy. */
static void
start_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, cancel_all, NULL) != 0)
		return;
	pthread_detach(thread);
	threads++;
}

PgCancellation *
pg_cancel(PgCanceller *canceller, PGconn *pq, void (*done)(void *), void *argument)
{
	PgCancellation *cancellation = memory_new(sizeof(PgCancellation));

	cancellation->canceller = canceller;
	cancellation->cancel = PQgetCancel(pq);
	cancellation->done = done;
	cancellation->argument = argument;
	pthread_mutex_lock(&lock);
	list_append(&waiting, &cancellation->link);
	if (idle_threads == 0 && threads < MAX_THREADS)
		start_thread();
	pthread_cond_signal(&work);
	pthread_mutex_unlock(&lock);
	return cancellation;
}

void
pg_cancellation_abandon(PgCancellation *cancellation)
{
	pthread_mutex_lock(&lock);
	cancellation->abandoned = true;
	pthread_mutex_unlock(&lock);
}

/* The threads: cancels one query after the other, without end. */
static void *
cancel_all(void *argument)
{
	(void) argument;
	pthread_mutex_lock(&lock);
	for (;;)
	{
		ListLink *link;
		PgCancellation *cancellation;
		char reason[256];
		bool wanted;

		idle_threads++;
		while ((link = list_take_first(&waiting)) == NULL)
			pthread_cond_wait(&work, &lock);
		idle_threads--;
		cancellation = LIST_ITEM(link, PgCancellation, link);
		/* If the connection was given up meanwhile, PostgreSQL ends its query itself. */
		wanted = cancellation->cancel != NULL && !cancellation->abandoned;
		pthread_mutex_unlock(&lock);
		if (wanted && !PQcancel(cancellation->cancel, reason, sizeof(reason)))
			log_warning("cannot cancel a query: %s", reason);
		pthread_mutex_lock(&lock);
		list_append(&cancellation->canceller->over, &cancellation->link);
		uv_async_send(&cancellation->canceller->wake);
	}
	return NULL;
}

/* Tells the loop about its cancellations that are over. */
static void
on_wake(uv_async_t *wake)
{
	PgCanceller *canceller = wake->data;

	for (;;)
	{
		ListLink *link;
		PgCancellation *cancellation;

		pthread_mutex_lock(&lock);
		link = list_take_first(&canceller->over);
		pthread_mutex_unlock(&lock);
		if (link == NULL)
			return;
		cancellation = LIST_ITEM(link, PgCancellation, link);
		/* No lock is needed: only this loop's thread abandons its cancellations. */
		if (!cancellation->abandoned)
			cancellation->done(cancellation->argument);
		PQfreeCancel(cancellation->cancel);
		free(cancellation);
	}
}
