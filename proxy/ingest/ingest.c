/*
 * ingest.c
 *	  The bounded buffer between the loops that accept messages and the writer that loads them.
 *
 * One mutex guards the batch that is being filled.  A thread holds it for some tens of nanoseconds
 * a message, and never waits for anything else meanwhile.  All threads fill one batch: that keeps
 * the order of arrival, and gives PostgreSQL long runs of each tag.
 *
 * Before messages are appended, the bound is checked by their size in the stage.  They may take some
 * times as much if all are of new tags, so that a stage of 256 KiB may exceed the bound by that much.
 *
 * Batches share a table of tags as long as most of them are used.  A new one is begun with a new
 * batch when they are not, or when the table takes a quarter of the memory.
 */
#include "ingest/ingest.h"

#include "base/assert.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/*
 * A batch that has reached this size is closed, and the next one begun: a transaction should not
 * take seconds, for which the requests that wait for the next one would wait too.
 */
#define BATCH_BYTES			 ((size_t) 64 << 20)
#define SMALLEST_BATCH_BYTES ((size_t) 1 << 20)

struct Ingest
{
	Budget *budget;
	size_t batch_bytes;
	size_t most_tag_bytes;
	void (*wake)(void *);
	void *wake_argument;
	atomic_size_t bytes;	  /* batches and reservations, which the budget counts too */
	_Atomic uint64_t settled; /* of ingest_note_settled(), as the next one */
	atomic_bool others;

	pthread_mutex_t lock; /* guards the rest */
	List closed;		  /* of IngestBatch.link, the oldest first */
	TagTable *tags;		  /* of the filling batch */
	IngestBatch *filling;
	size_t filling_bytes; /* as they were counted last */
	uint32_t last_ticket;
};

static IngestBatch *
new_batch(TagTable *tags, uint64_t generation)
{
	IngestBatch *batch = memory_new(sizeof(IngestBatch));

	batch->rows = batch_new(tags);
	batch->generation = generation;
	batch->slot_ms = 16;
	return batch;
}

Ingest *
ingest_new(Budget *budget, void (*wake)(void *), void *argument)
{
	Ingest *ingest = memory_new(sizeof(Ingest));

	ingest->budget = budget;
	ingest->batch_bytes = budget->limit / 8;
	if (ingest->batch_bytes > BATCH_BYTES)
		ingest->batch_bytes = BATCH_BYTES;
	if (ingest->batch_bytes < SMALLEST_BATCH_BYTES)
		ingest->batch_bytes = SMALLEST_BATCH_BYTES;
	ingest->wake = wake;
	ingest->wake_argument = argument;
	list_init(&ingest->closed);
	ingest->most_tag_bytes = budget->limit / 4;
	ingest->tags = tag_table_new(budget);
	ingest->filling = new_batch(ingest->tags, 1);
	pthread_mutex_init(&ingest->lock, NULL);
	return ingest;
}

/*
 * Counts arrivals in slots of time.  For a time after the last slot, it makes all slots twice as
 * wide.
 */
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

	list_append(&ingest->closed, &batch->link);
	if (tag_table_is_stale(ingest->tags, batch_rows(batch->rows)) ||
		tag_table_bytes(ingest->tags) > ingest->most_tag_bytes)
	{
		tag_table_release(ingest->tags);
		ingest->tags = tag_table_new(ingest->budget);
	}
	ingest->filling = new_batch(ingest->tags, batch->generation + 1);
	ingest->filling_bytes = 0;
}

/*
 * Counts what the filling batch has grown by.  It grows seldom, because it takes memory in blocks.
 */
static void
count_filling(Ingest *ingest)
{
	size_t bytes = batch_bytes(ingest->filling->rows);

	if (bytes == ingest->filling_bytes)
		return;
	ASSERT(bytes > ingest->filling_bytes);
	ingest_add(ingest, bytes - ingest->filling_bytes);
	ingest->filling_bytes = bytes;
}

bool
ingest_append(Ingest *ingest, const Stage *stage, bool promised, uint64_t now_ms,
			  StreamName *stream, IngestTicket *ticket)
{
	IngestBatch *batch;
	bool wake = false;
	bool room;

	pthread_mutex_lock(&ingest->lock);
	batch = ingest->filling;
	room = promised || budget_used(ingest->budget) + stage->length <= ingest->budget->limit;
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
		batch_add_stage(batch->rows, stage,
						(BatchSource){
							.ticket = ticket != NULL ? ticket->number : 0,
							.stream = stream->length > 0 ? stream : NULL,
						});
		if (stage->count > 0)
		{
			count_arrivals(batch, now_ms, stage->count);
			atomic_store(&stream->generation, batch->generation);
			atomic_fetch_add(&stream->accepted, stage->count);
		}
		count_filling(ingest);
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

IngestTicket
ingest_fence(Ingest *ingest)
{
	IngestBatch *batch;
	uint64_t generation;
	bool wake = false;

	pthread_mutex_lock(&ingest->lock);
	batch = ingest->filling;
	generation = batch->generation - 1;
	if (batch_rows(batch->rows) > 0)
	{
		generation++;
		wake = !batch->awaited;
		batch->awaited = true;
	}
	pthread_mutex_unlock(&ingest->lock);
	if (wake)
		ingest->wake(ingest->wake_argument);
	return (IngestTicket){.first_generation = generation, .generation = generation};
}

/* The order matters: whoever sees a batch settled also sees that some of its rows are set aside. */
void
ingest_note_settled(Ingest *ingest, uint64_t generation, bool others)
{
	atomic_store(&ingest->others, others);
	if (generation > 0)
		atomic_store(&ingest->settled, generation);
}

bool
ingest_is_settled(const Ingest *ingest, const StreamName *stream)
{
	return (stream == NULL || atomic_load(&stream->generation) <= atomic_load(&ingest->settled)) &&
		   !atomic_load(&ingest->others);
}

bool
ingest_reserve(Ingest *ingest, size_t bytes)
{
	if (budget_take(ingest->budget, bytes))
	{
		atomic_fetch_add_explicit(&ingest->bytes, bytes, memory_order_relaxed);
		return true;
	}
	ingest->wake(ingest->wake_argument);
	return false;
}

void
ingest_add(Ingest *ingest, size_t bytes)
{
	budget_add(ingest->budget, bytes);
	atomic_fetch_add_explicit(&ingest->bytes, bytes, memory_order_relaxed);
}

void
ingest_unreserve(Ingest *ingest, size_t bytes)
{
	size_t before;

	if (bytes == 0)
		return;
	before = atomic_fetch_sub_explicit(&ingest->bytes, bytes, memory_order_relaxed);
	ASSERT(before >= bytes);
	budget_return(ingest->budget, bytes);
}

/* The oldest closed batch, or NULL.  The caller holds the lock. */
static IngestBatch *
oldest_closed_locked(Ingest *ingest)
{
	ListLink *link = list_first(&ingest->closed);

	return link == NULL ? NULL : LIST_ITEM(link, IngestBatch, link);
}

IngestBatch *
ingest_take(Ingest *ingest)
{
	IngestBatch *batch;

	pthread_mutex_lock(&ingest->lock);
	if (list_empty(&ingest->closed) && batch_rows(ingest->filling->rows) > 0)
		close_filling(ingest);
	batch = oldest_closed_locked(ingest);
	if (batch != NULL)
		list_remove(&batch->link);
	pthread_mutex_unlock(&ingest->lock);
	return batch;
}

void
ingest_adopt(Ingest *ingest, const IngestBatch *batch)
{
	ingest_add(ingest, batch_bytes(batch->rows));
}

void
ingest_release(Ingest *ingest, IngestBatch *batch)
{
	ASSERT(!list_linked(&batch->link));
	ingest_unreserve(ingest, batch_bytes(batch->rows));
	batch_free(batch->rows);
	free(batch);
}

IngestOldest
ingest_oldest(Ingest *ingest)
{
	const IngestBatch *batch;
	IngestOldest oldest;

	pthread_mutex_lock(&ingest->lock);
	batch = oldest_closed_locked(ingest);
	oldest.closed = batch != NULL;
	if (batch == NULL)
		batch = ingest->filling;
	oldest.first_ms = batch->first_ms;
	oldest.awaited = batch->awaited;
	pthread_mutex_unlock(&ingest->lock);
	return oldest;
}

size_t
ingest_bytes(Ingest *ingest)
{
	return atomic_load_explicit(&ingest->bytes, memory_order_relaxed);
}

size_t
ingest_other_bytes(Ingest *ingest)
{
	size_t all = budget_used(ingest->budget);
	size_t bytes = ingest_bytes(ingest);

	return all > bytes ? all - bytes : 0; /* they are not read at one time */
}

bool
ingest_full(Ingest *ingest)
{
	return budget_full(ingest->budget);
}
