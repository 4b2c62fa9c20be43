/*
 * priority.c
 *	  How much processor time a process takes while other processes want it too.
 *
 * A session that reads waits for its answer, while a session that loads, or a worker that compacts,
 * has a second or more.  So loads (historian.nice) and compaction (historian.compaction_nice) can
 * give way to reads.  On a machine that is not busy this changes nothing.  Neither default is as
 * nice as possible, because a process that gives way may hold a lock that others wait for.
 *
 * A number alone does not help a process that wakes up while a nicer one runs: Linux lets that one go on
 * to the end of its slice, which is some milliseconds.  Loads wake up for each few rows, and got less
 * done beside a merge (docs/performance.md).  So a nice process that has much to do looks now and then
 * whether others wait, and naps if so: for as short as the system can, which lets them begin, or for
 * longer, which leaves them most of the processor.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "portability/instr_time.h"

#include "priority.h"

/* A nice process looks whether others wait after so much time, in microseconds. */
#define WORK_BETWEEN_NAPS 200

/* How long it naps, in microseconds.  With the long naps it still gets a sixth of a processor. */
#define SHORT_NAP 1
#define LONG_NAP 1000

/* Others may wait for the locks of a transaction, so it is longer by some two seconds at most. */
#define MOST_LONG_NAPS 2000

int			historian_nice = 0;

static bool is_nice = false;

static bool has_time(void);
static bool others_wait(void);

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
	is_nice = nice > 0;
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

void
priority_nap(bool can_wait)
{
	static instr_time rested;
	instr_time	worked;

	if (!is_nice)
		return;
	INSTR_TIME_SET_CURRENT(worked);
	INSTR_TIME_SUBTRACT(worked, rested);
	if (INSTR_TIME_GET_MICROSEC(worked) < WORK_BETWEEN_NAPS)
		return;
	if (others_wait())
		pg_usleep(can_wait && has_time() ? LONG_NAP : SHORT_NAP);
	INSTR_TIME_SET_CURRENT(rested);
}

/* May this transaction nap for long once more? */
static bool
has_time(void)
{
	static TransactionId transaction = InvalidTransactionId;
	static int	naps = 0;
	TransactionId current = GetTopTransactionIdIfAny();

	if (current != transaction)
		naps = 0;
	transaction = current;
	return naps++ < MOST_LONG_NAPS;
}

/*
 * Are there more processes that could run, this one included, than processors?  Linux counts them in
 * /proc/loadavg, "0.20 0.18 0.12 3/80 11206": the fourth number.  Where that
 * cannot be read, the answer is yes.
 */
static bool
others_wait(void)
{
	static int	file = -2;		/* not opened yet; -1: there is none */
	char		line[64];
	ssize_t		length;
	int			runnable;

	if (file == -2)
		file = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
	if (file == -1)
		return true;
	length = pread(file, line, sizeof(line) - 1, 0);
	line[Max(length, 0)] = '\0';
	return sscanf(line, "%*s %*s %*s %d/", &runnable) != 1 ||
		runnable > sysconf(_SC_NPROCESSORS_ONLN);
}
