/*
 * priority.c
 *	  How much of the processor a process takes while others want it too.
 *
 * Who reads waits for the answer; who loads or merges has a second or more.  So these may say that
 * they can wait, and on a machine that is not busy nothing changes.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "miscadmin.h"

#include "priority.h"

int			historian_nice = 0;

/* Also called where a transaction that has set it is rolled back. */
void
priority_assign(int nice, void *extra)
{
	if (IsUnderPostmaster && nice != historian_nice)
		priority_lower(nice);
}

void
priority_lower(int nice)
{
	static int	started_with;
	static bool known = false;
	char		text[16];
	int			group;

	if (!known)
		started_with = getpriority(PRIO_PROCESS, 0);
	known = true;
	(void) setpriority(PRIO_PROCESS, 0, started_with + nice);

	/*
	 * Linux on a desktop, or without systemd, shares the processor among sessions first (sched(7),
	 * autogroup), and each of PostgreSQL's processes is a session.
	 */
	group = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
	if (group >= 0)
	{
		int			length = snprintf(text, sizeof(text), "%d", nice);

		(void) !write(group, text, length);
		close(group);
	}
}
