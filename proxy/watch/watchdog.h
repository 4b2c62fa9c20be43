/*
 * watchdog.h
 *	  Watches for tags that become stale, and for their return, and has each transition told once.
 *
 * It belongs to one loop; only that loop's thread may call its functions, but for those that say
 * otherwise.
 */
#ifndef HISTORIAND_WATCHDOG_H
#define HISTORIAND_WATCHDOG_H

#include "base/budget.h"
#include "base/config.h"
#include "base/memory.h"
#include "base/turn.h"

#include <uv.h>

typedef struct Watchdog Watchdog;

/*
 * Are messages held up, so that tags are silent for no fault of theirs?  If not, sets how old the
 * oldest message is that is accepted and not committed.
 */
typedef bool (*WatchdogHeld)(void *argument, uint64_t *behind_ms);

/*
 * Must be called before there are other threads.  Queries take their memory from the budget.  If an
 * action cannot be prepared, logs why and returns NULL.
 */
extern Watchdog *watchdog_new(uv_loop_t *loop, Turns *turns, const Config *config, Budget *budget,
							  WatchdogHeld held, void *argument);

/* Does what is due.  Must be called some times a second. */
extern void watchdog_tick(Watchdog *watchdog, uint64_t now_ms);

/*
 * From now on, nothing new is begun; what is told already is settled.  Any thread may call this and
 * the next one: is nothing told or settled any more?
 */
extern void watchdog_stop(Watchdog *watchdog);
extern bool watchdog_idle(const Watchdog *watchdog);

/* Appends its metrics, if it watches.  Any thread may call this. */
extern void watchdog_expose(const Watchdog *watchdog, Bytes *text);

#endif /* HISTORIAND_WATCHDOG_H */
