/*
 * priority.c
 *	  How much processor time a process takes while other processes want it too.
 *
 * A session that reads waits for its answer, while a session that loads, or a worker that compacts,
 * has a second or more.  So loads (historian.nice) and compaction (historian.compaction_nice) can
 * give way to reads.  On a machine that is not busy this changes nothing.  Neither default is as
 * nice as possible, because a process that gives way may hold a lock that others wait for.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "miscadmin.h"

#include "priority.h"

int			historian_nice = 0;

/*
 * Every process reads the configuration file and the command line, the checkpointer included, so
 * the parameter is refused there; GUC_DISALLOW_IN_FILE itself only stops ALTER SYSTEM.
 *
 * A security-restricted operation, such as ANALYZE or an index build that calls a user's functions,
 * restores all parameters when it ends.  The system may not let this one be restored, so no
 * function may change it there.
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

/* PostgreSQL also calls this when it rolls back a transaction that has set the parameter. */
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
	 * Where Linux has autogroups (sched(7)), it shares the processor among sessions first, and
	 * each of PostgreSQL's processes is a session.  So the session's group gets the same number.
	 */
	group = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
	if (group >= 0)
	{
		int			length = snprintf(digits, sizeof(digits), "%d", nice);

		(void) !write(group, digits, length);
		close(group);
	}
}
