/*
 * priority.h
 *	  How much of the processor a process takes while others want it too.
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
 * Makes this process nicer than PostgreSQL started it, by 0 to 19 as in nice(1).  The system may refuse
 * to take back an earlier, larger number; that is left as it is.
 */
extern void priority_lower(int nice);

#endif
