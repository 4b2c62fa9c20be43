/*
 * ingest.c
 *	  The bounded buffer between the loops that accept messages and the writer that loads them.
 *
 * One mutex guards the batch that is being filled; it is held for some tens of nanoseconds a
 * message, and nobody waits for anything while holding it.  One batch for all threads keeps the
 * order of arrival, and gives PostgreSQL long runs of each tag.
 *
 * The bound is checked before messages are taken, by the size that they have in their stage.  They may
 * take more here, so that one stage, of 256 KiB, may exceed the bound by ten times that.
 */
#include "ingest/ingest.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/*
 * A batch of this size is closed and the next one begun: one transaction should neither take
 * seconds nor hold up who waits for the next.
 */
#define BATCH_BYTES			 ((size_t) 64 << 20)
#define SMALLEST_BATCH_BYTES ((size_t) 1 << 20)

struct Ingest
{
	size_t max_bytes;
	size_t batch_bytes;
	void (*wake)(void *);
	void *wake_argument;
	atomic_size_t taken_bytes; /* closed batches and reservations */
	atomic_size_t held_bytes;

	pthread_mutex_t lock; /* guards the rest */
	IngestBatch *first_closed;
	IngestBatch *last_closed;
	IngestBatch *filling;
	uint32_t last_ticket;
	atomic_size_t filling_bytes; /* written under the lock */
};

static IngestBatch *
new_batch(uint64_t generation)
{
	IngestBatch *batch = memory_new(sizeof(IngestBatch));

	batch->rows = batch_new();
	batch->generation = generation;
	batch->slot_ms = 16;
	return batch;
}

Ingest *
ingest_new(size_t max_bytes, void (*wake)(void *), void *argument)
{
	Ingest *ingest = memory_new(sizeof(Ingest));

	ingest->max_bytes = max_bytes;
	ingest->batch_bytes = max_bytes / 8;
	if (ingest->batch_bytes > BATCH_BYTES)
		ingest->batch_bytes = BATCH_BYTES;
	if (ingest->batch_bytes < SMALLEST_BATCH_BYTES)
		ingest->batch_bytes = SMALLEST_BATCH_BYTES;
	ingest->wake = wake;
	ingest->wake_argument = argument;
	ingest->filling = new_batch(1);
	pthread_mutex_init(&ingest->lock, NULL);
	return ingest;
}

/* Counts arrivals in slots; when time runs past the last one, slots become twice as wide. */
static void
count_arrivals(IngestBatch *batch, uint64_t now_ms, uint32_t count)
{
	uint64_t slot;

	if (batch->first_ms == 0)
		batch->first_ms = now_ms;
	slot = now_ms > batch->first_ms ? (now_ms - batch->first_ms) / batch->slot_ms : 0;
	while (slot >= ARRIVAL_SLOTS)
	{
		for (int i = 0; i < ARRIVAL_SLOTS / 2; i++)
			batch->arrivals[i] = batch->arrivals[2 * i] + batch->arrivals[2 * i + 1];
		memset(batch->arrivals + ARRIVAL_SLOTS / 2, 0, sizeof(batch->arrivals) / 2);
		batch->slot_ms *= 2;
		slot /= 2;
	}
	batch->arrivals[slot] += count;
}

/* Ends the filling batch and begins the next one. */
static void
close_filling(Ingest *ingest)
{
	IngestBatch *batch = ingest->filling;

	if (ingest->last_closed == NULL)
		ingest->first_closed = batch;
	else
		ingest->last_closed->next = batch;
	ingest->last_closed = batch;
	ingest->filling = new_batch(batch->generation + 1);
	atomic_fetch_add(&ingest->taken_bytes, batch_bytes(batch->rows));
	atomic_store(&ingest->filling_bytes, 0);
}

static size_t
all_bytes(Ingest *ingest)
{
	return ingest_bytes(ingest) + ingest_held_bytes(ingest);
}

bool
ingest_append(Ingest *ingest, const Stage *stage, bool promised, uint64_t now_ms,
			  IngestTicket *ticket)
{
	const StagedMessage *message = (const StagedMessage *) stage->data;
	IngestBatch *batch;
	bool wake = false;
	bool room;

	pthread_mutex_lock(&ingest->lock);
	batch = ingest->filling;
	room = promised || all_bytes(ingest) + stage->length <= ingest->max_bytes;
	if (room)
	{
		if (ticket != NULL)
		{
			if (ticket->number == 0)
			{
				if (++ingest->last_ticket == 0)
					ingest->last_ticket = 1;
				ticket->number = ingest->last_ticket;
				ticket->first_generation = batch->generation;
			}
			ticket->generation = batch->generation;
			wake = !batch->awaited && stage->count > 0;
			batch->awaited |= wake;
		}
		for (uint32_t i = 0; i < stage->count; i++)
		{
			batch_add(batch->rows, message, ticket != NULL ? ticket->number : 0);
			message = staged_next(message);
		}
		if (stage->count > 0)
			count_arrivals(batch, now_ms, stage->count);
		atomic_store_explicit(&ingest->filling_bytes, batch_bytes(batch->rows),
							  memory_order_relaxed);
		if (batch_bytes(batch->rows) >= ingest->batch_bytes)
		{
			close_filling(ingest);
			wake = true;
		}
	}
	pthread_mutex_unlock(&ingest->lock);

	if (wake || !room)
		ingest->wake(ingest->wake_argument);
	return room;
}

bool
ingest_reserve(Ingest *ingest, size_t bytes)
{
	atomic_fetch_add(&ingest->taken_bytes, bytes);
	if (all_bytes(ingest) <= ingest->max_bytes)
		return true;
	ingest_unreserve(ingest, bytes);
	ingest->wake(ingest->wake_argument);
	return false;
}

void
ingest_add(Ingest *ingest, size_t bytes)
{
	atomic_fetch_add(&ingest->taken_bytes, bytes);
}

void
ingest_unreserve(Ingest *ingest, size_t bytes)
{
	atomic_fetch_sub(&ingest->taken_bytes, bytes);
}

void
ingest_hold(Ingest *ingest, size_t bytes)
{
	atomic_fetch_add_explicit(&ingest->held_bytes, bytes, memory_order_relaxed);
}

void
ingest_let_go(Ingest *ingest, size_t bytes)
{
	atomic_fetch_sub_explicit(&ingest->held_bytes, bytes, memory_order_relaxed);
}

size_t
ingest_held_bytes(Ingest *ingest)
{
	return atomic_load_explicit(&ingest->held_bytes, memory_order_relaxed);
}

IngestBatch *
ingest_take(Ingest *ingest)
{
	IngestBatch *batch;

	pthread_mutex_lock(&ingest->lock);
	if (ingest->first_closed == NULL && batch_rows(ingest->filling->rows) > 0)
		close_filling(ingest);
	batch = ingest->first_closed;
	if (batch != NULL)
	{
		ingest->first_closed = batch->next;
		batch->next = NULL;
		if (ingest->first_closed == NULL)
			ingest->last_closed = NULL;
	}
	pthread_mutex_unlock(&ingest->lock);
	return batch;
}

void
ingest_adopt(Ingest *ingest, const IngestBatch *batch)
{
	atomic_fetch_add(&ingest->taken_bytes, batch_bytes(batch->rows));
}

void
ingest_release(Ingest *ingest, IngestBatch *batch)
{
	ingest_unreserve(ingest, batch_bytes(batch->rows));
	batch_free(batch->rows);
	free(batch);
}

bool
ingest_awaited(Ingest *ingest)
{
	bool awaited;

	pthread_mutex_lock(&ingest->lock);
	awaited =
		ingest->first_closed != NULL ? ingest->first_closed->awaited : ingest->filling->awaited;
	pthread_mutex_unlock(&ingest->lock);
	return awaited;
}

bool
ingest_has_closed(Ingest *ingest)
{
	bool closed;

	pthread_mutex_lock(&ingest->lock);
	closed = ingest->first_closed != NULL;
	pthread_mutex_unlock(&ingest->lock);
	return closed;
}

uint64_t
ingest_oldest_ms(Ingest *ingest)
{
	uint64_t oldest;

	pthread_mutex_lock(&ingest->lock);
	oldest =
		ingest->first_closed != NULL ? ingest->first_closed->first_ms : ingest->filling->first_ms;
	pthread_mutex_unlock(&ingest->lock);
	return oldest;
}

size_t
ingest_bytes(Ingest *ingest)
{
	return atomic_load_explicit(&ingest->taken_bytes, memory_order_relaxed) +
		   atomic_load_explicit(&ingest->filling_bytes, memory_order_relaxed);
}

bool
ingest_full(Ingest *ingest)
{
	return all_bytes(ingest) >= ingest->max_bytes;
}
