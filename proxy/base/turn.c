/*
 * turn.c
 *	  Fair turns: how long work may hold a loop, and whose goes on next.
 */
#include "base/turn.h"

#include <stddef.h>

/*
 * A slice is some thousand small requests, or several hundred kilobytes of messages: long enough that
 * changing between clients costs nothing.  Input and tasks each get TURN_NS.
 */
#define SLICE_NS 1000000
#define TURN_NS	 4000000

static void on_busy(uv_idle_t *idle);

static void
init_ring(TurnTask *head)
{
	head->previous = head->next = head;
}

void
turns_init(Turns *turns, uv_loop_t *loop)
{
	uv_idle_init(loop, &turns->busy);
	init_ring(&turns->fresh);
	init_ring(&turns->tired);
}

uint64_t
turn_clock(Turns *turns)
{
	turns->now_ns = uv_hrtime();
	return turns->now_ns;
}

bool
turn_over(Turns *turns)
{
	uint64_t now_ns = turn_clock(turns);

	if (turns->end_ns == 0)
		turns->end_ns = now_ns + TURN_NS;
	return now_ns >= turns->end_ns;
}

uint64_t
turn_slice(Turns *turns)
{
	turns->slice_end_ns = turns->now_ns + SLICE_NS;
	return turns->slice_end_ns;
}

void
turn_slice_again(Turns *turns, uint64_t end_ns)
{
	turns->slice_end_ns = end_ns;
}

bool
turn_slice_over(Turns *turns)
{
	return turn_clock(turns) >= turns->slice_end_ns;
}

bool
turn_slice_was_over(const Turns *turns)
{
	return turns->now_ns >= turns->slice_end_ns;
}

static void
queue(Turns *turns, TurnTask *head, TurnTask *task)
{
	if (task->next != NULL)
		return;
	task->next = head;
	task->previous = head->previous;
	head->previous->next = task;
	head->previous = task;
	uv_idle_start(&turns->busy, on_busy);
}

void
turn_queue_fresh(Turns *turns, TurnTask *task)
{
	queue(turns, &turns->fresh, task);
}

void
turn_queue(Turns *turns, TurnTask *task)
{
	queue(turns, &turns->tired, task);
}

void
turn_unqueue(TurnTask *task)
{
	if (task->next == NULL)
		return;
	task->previous->next = task->next;
	task->next->previous = task->previous;
	task->previous = task->next = NULL;
}

bool
turn_queued(const TurnTask *task)
{
	return task->next != NULL;
}

static bool
empty(const TurnTask *head)
{
	return head->next == head;
}

void
turn_tasks_begin(Turns *turns)
{
	turns->number++;
	turns->tired_ran = false;
	if (!empty(&turns->fresh) || !empty(&turns->tired))
		turns->end_ns = turn_clock(turns) + TURN_NS;
}

bool
turn_run_task(Turns *turns)
{
	bool idle = empty(&turns->fresh) && empty(&turns->tired);
	bool over = !idle && turn_over(turns);
	TurnTask *task = NULL;

	if (!over && !empty(&turns->fresh))
		task = turns->fresh.next;
	/* One of these always: there may be fresh ones without end. */
	else if (!empty(&turns->tired) && !(over && turns->tired_ran))
		task = turns->tired.next;
	if (task == NULL)
	{
		if (idle)
			uv_idle_stop(&turns->busy);
		turns->end_ns = 0;
		return false;
	}
	turns->tired_ran |= task == turns->tired.next;
	turn_unqueue(task);
	turn_slice(turns);
	task->run(task);
	return true;
}

/* Its being there keeps the loop from sleeping. */
static void
on_busy(uv_idle_t *idle)
{
	(void) idle;
}
