/*
 * priority.h
 *	  How much processor time a process takes while other processes want it too.
 */
#ifndef HISTORIAN_PRIORITY_H
#define HISTORIAN_PRIORITY_H

#include "utils/guc.h"

/* historian.nice */
extern int	historian_nice;

/* The setting's hooks. */
extern bool priority_check(int *nice, void **extra, GucSource source);
extern void priority_assign(int nice, void *extra);

/*
 * Makes this process nicer, as in nice(1), than it was when this was first called: by 0 to 19.  The
 * system may refuse to go below a number that was set before, which then stays in force.
 */
extern void priority_lower(int nice);

/*
 * Lets processes run that wait for a processor, and leaves it to them for most of the time if the work
 * can wait.  A nice process calls it each few microseconds, as long as it has much to do; most calls do
 * nothing.  It may hold locks of tables, but none of pages, for which loads and reads would wait.
 */
extern void priority_nap(bool can_wait);

#endif
