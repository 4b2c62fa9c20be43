/*
 * turn.c
 *	  Fair turns: how long work may hold a loop, and which work goes on next.
 */
#include "base/turn.h"

/*
 * A slice suffices for some thousand small requests, or several hundred kilobytes of messages, so
 * that changing between clients costs next to nothing.  In a turn, input and tasks each get
 * TURN_NS.
 */
#define SLICE_NS 1000000
#define TURN_NS	 4000000

static void on_busy(uv_idle_t *idle);

void
turns_init(Turns *turns, uv_loop_t *loop)
{
	uv_idle_init(loop, &turns->busy);
	list_init(&turns->fresh);
	list_init(&turns->tired);
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
queue(Turns *turns, List *list, TurnTask *task)
{
	if (list_linked(&task->link))
		return;
	list_append(list, &task->link);
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
	if (list_linked(&task->link))
		list_remove(&task->link);
}

bool
turn_queued(const TurnTask *task)
{
	return list_linked(&task->link);
}

void
turn_tasks_begin(Turns *turns)
{
	turns->number++;
	turns->tired_ran = false;
	if (!list_empty(&turns->fresh) || !list_empty(&turns->tired))
		turns->end_ns = turn_clock(turns) + TURN_NS;
}

bool
turn_run_task(Turns *turns)
{
	bool idle = list_empty(&turns->fresh) && list_empty(&turns->tired);
	bool over = !idle && turn_over(turns);
	bool tired = false;
	ListLink *link = over ? NULL : list_first(&turns->fresh);
	TurnTask *task;

	/* One tired task runs in every turn, even a full one: fresh tasks may come without end. */
	if (link == NULL && !(over && turns->tired_ran))
	{
		link = list_first(&turns->tired);
		tired = link != NULL;
	}
	if (link == NULL)
	{
		if (idle)
			uv_idle_stop(&turns->busy);
		turns->end_ns = 0;
		return false;
	}
	turns->tired_ran |= tired;
	list_remove(link);
	task = LIST_ITEM(link, TurnTask, link);
	turn_slice(turns);
	task->run(task);
	return true;
}

/* The idle handle has nothing to do; while it is active the loop does not sleep. */
static void
on_busy(uv_idle_t *idle)
{
	(void) idle;
}
