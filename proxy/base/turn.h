/*
 * turn.h
 *	  Fair turns: how long work may hold a loop, and whose goes on next.
 *
 * A loop serves many clients, so nothing that one of them asks for may keep it for long.  Whoever works
 * for a client gets a slice of a millisecond.  What is not done then is queued, as a task, and goes on
 * in a later turn of the loop, after the others' slices; all tasks together get a few milliseconds a
 * turn, so that the loop soon looks for input again.
 *
 * There are two queues.  The fresh one has what came while the turn's time was used up, and has had no
 * slice yet; it goes before the tired one, with what has had some, so that a short request does not
 * wait for the long ones.
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
	uint64_t number;	   /* of the turn */
	uint64_t end_ns;	   /* of the turn's time; 0: it has not begun */
	uint64_t slice_end_ns; /* of the slice under way */
	List fresh;			   /* of TurnTask.link */
	List tired;
	bool tired_ran; /* one of them, in this turn */
} Turns;

extern void turns_init(Turns *turns, uv_loop_t *loop);

/* Reads the clock. */
extern uint64_t turn_clock(Turns *turns);

/* Is this turn's time for requests used up? */
extern bool turn_over(Turns *turns);

/*
 * Begins a slice with the last reading of the clock, and tells when it ends; more work for the same client
 * goes on in the same slice.
 */
extern uint64_t turn_slice(Turns *turns);
extern void turn_slice_again(Turns *turns, uint64_t end_ns);

/* Is the slice used up? */
extern bool turn_slice_over(Turns *turns);

/*
 * Was it when the clock was last read?  That is enough behind a request: each has the clock read where a
 * piece of its body was decoded, or where it is answered.
 */
extern bool turn_slice_was_over(const Turns *turns);

/* Has the task run soon, with a new slice; it may be queued already. */
extern void turn_queue_fresh(Turns *turns, TurnTask *task);
extern void turn_queue(Turns *turns, TurnTask *task);
extern void turn_unqueue(TurnTask *task);
extern bool turn_queued(const TurnTask *task);

/*
 * Once a turn, after input was read: begins the time of the tasks, then runs one after the other.
 * Returns false where that is enough for this turn; the next one may begin.
 */
extern void turn_tasks_begin(Turns *turns);
extern bool turn_run_task(Turns *turns);

#endif /* HISTORIAND_TURN_H */
