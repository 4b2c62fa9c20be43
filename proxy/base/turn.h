/*
 * turn.h
 *	  Fair turns: how long work may hold a loop, and which work goes on next.
 *
 * A loop serves many clients, so the work for one of them must not hold it for long.  Work for a
 * client gets a slice of a millisecond.  If it is not done then, it is queued as a task and goes on
 * in a later turn of the loop, after the slices of others.  All tasks together get a few
 * milliseconds in a turn, so that the loop soon looks for input again.
 *
 * There are two queues.  Tasks of the fresh queue have had no slice yet, because they came when the
 * turn's time was used up.  Tasks of the tired queue have had one.  Fresh tasks run first, so that
 * a short request does not wait for long ones.
 */
#ifndef HISTORIAND_TURN_H
#define HISTORIAND_TURN_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

typedef struct TurnTask
{
	ListLink link; /* in one of the queues */
	void (*run)(struct TurnTask *task);
} TurnTask;

typedef struct Turns
{
	uv_idle_t busy;		   /* runs while there are tasks: the loop must not sleep */
	uint64_t now_ns;	   /* when the clock was last read */
	uint64_t number;	   /* of the turn, counted from 1 */
	uint64_t end_ns;	   /* end of the turn's time; 0: it has not begun */
	uint64_t slice_end_ns; /* end of the current slice */
	List fresh;			   /* of TurnTask.link */
	List tired;			   /* of TurnTask.link */
	bool tired_ran;		   /* a tired task has run in this turn */
} Turns;

extern void turns_init(Turns *turns, uv_loop_t *loop);

/* Reads the clock. */
extern uint64_t turn_clock(Turns *turns);

/* Is this turn's time for requests used up? */
extern bool turn_over(Turns *turns);

/*
 * Begins a slice at the last reading of the clock and returns when it ends.  Later work for the
 * same client goes on in that slice with turn_slice_again().
 */
extern uint64_t turn_slice(Turns *turns);
extern void turn_slice_again(Turns *turns, uint64_t end_ns);

/* Reads the clock: is the slice used up? */
extern bool turn_slice_over(Turns *turns);

/*
 * Was the slice used up when the clock was last read?  That suffices after a request, because the
 * clock is read when a piece of its body is decoded, and when it is answered.
 */
extern bool turn_slice_was_over(const Turns *turns);

/* Queues the task, which then runs with a new slice.  Does nothing if it is queued already. */
extern void turn_queue_fresh(Turns *turns, TurnTask *task);
extern void turn_queue(Turns *turns, TurnTask *task);
extern void turn_unqueue(TurnTask *task);
extern bool turn_queued(const TurnTask *task);

/*
 * In each turn, after input was read, the loop calls turn_tasks_begin() once and then
 * turn_run_task() until it returns false.  Each call runs one task, unless none is left or the
 * turn's time is used up.
 */
extern void turn_tasks_begin(Turns *turns);
extern bool turn_run_task(Turns *turns);

#endif /* HISTORIAND_TURN_H */
