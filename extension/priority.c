/*
 * priority.c
 *	  How much of the processor a process takes while others want it too.
 *
 * Who reads waits for the answer; who loads or merges has a second or more.  So these may say that
 * they can wait, and on a machine that is not busy nothing changes.  By default they are not as nice as
 * can be: who has given way may hold a lock that others wait for.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "miscadmin.h"

#include "priority.h"

int			historian_nice = 0;

/*
 * GUC_DISALLOW_IN_FILE keeps only ALTER SYSTEM from setting it for everybody, checkpointer included.
 * And what others' functions do while a table is analyzed or an index built is undone at its end;
 * this the system would not take back.
 */
bool
priority_check(int *nice, void **extra, GucSource source)
{
	if (source == PGC_S_FILE || source == PGC_S_ARGV)
	{
		GUC_check_errmsg("parameter \"historian.nice\" cannot be set for the whole server");
		return false;
	}
	if (*nice != historian_nice && InSecurityRestrictedOperation())
	{
		GUC_check_errmsg("cannot set parameter \"historian.nice\" within security-restricted operation");
		return false;
	}
	return true;
}

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
	char		digits[16];
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
		int			length = snprintf(digits, sizeof(digits), "%d", nice);

		(void) !write(group, digits, length);
		close(group);
	}
}
