/*
 * replay_function.c
 *	  Waits until a standby has replayed a commit, and tells how old its data are.
 *
 * How old.  The data of a primary are never old.  Those of a standby are as the primary was
 *	- now, if all that the primary is known to have is replayed, and the primary is heard;
 *	- when the part of the WAL came that is being replayed, if the primary is heard;
 *	- at the last commit or abort that was replayed, at least.
 * The last one is all that is known while no connection to the primary is open, and before its first
 * message.  It is by the primary's clock, and so the only one for which the clocks must agree.  An idle
 * primary sends nothing; but a receiver that has heard nothing for half of wal_receiver_timeout asks it
 * for an answer.  So a primary that has vanished counts as heard for that long.
 *
 * A receiver sets both times of its last message to the same time when it starts, before it connects,
 * and they stay so until a message comes.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "replication/walreceiver.h"
#include "storage/latch.h"
#include "storage/spin.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

#include "compat.h"

/* Conditions of their own, of a class that no standard has: another server may answer instead. */
#define ERRCODE_COMMIT_NOT_REPLAYED MAKE_SQLSTATE('R', 'H', '0', '0', '1')
#define ERRCODE_LAG_TOO_LONG		MAKE_SQLSTATE('R', 'H', '0', '0', '2')
#define ERRCODE_COMMIT_UNKNOWN		MAKE_SQLSTATE('R', 'H', '0', '0', '3')

/* How long the answer of a primary may take that was asked for one. */
#define ANSWER_MS 1000

#define LONGEST_SLEEP_MS 10

/* A lag that is not known. */
#define LAG_UNKNOWN PG_INT64_MAX

PG_FUNCTION_INFO_V1(historian_await_commit);

static void sleep_ms(long ms);
static int64 standby_lag_ms(void);
static bool upstream_heard(XLogRecPtr *end);
static int64 ms_since(TimestampTz time);
pg_noreturn static void raise_not_replayed(XLogRecPtr commit);

/*
 * historian.await_commit(min_commit pg_lsn, max_lag_ms bigint, wait_ms bigint) returns bigint
 *
 * Returns the lag in milliseconds, or NULL if it is not known.  The caller's snapshot can keep
 * recovery from going on, so that a long wait would be in vain; the caller bounds it.
 */
Datum
historian_await_commit(PG_FUNCTION_ARGS)
{
	XLogRecPtr	commit = PG_ARGISNULL(0) ? InvalidXLogRecPtr : PG_GETARG_LSN(0);
	int64		max_lag_ms = PG_ARGISNULL(1) ? LAG_UNKNOWN : PG_GETARG_INT64(1);
	int64		wait_ms = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT64(2);
	TimestampTz begin = GetCurrentTimestamp();
	long		pause_ms = 1;

	if (max_lag_ms < 0 || wait_ms < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_lag_ms and wait_ms must not be negative")));
	while (RecoveryInProgress())
	{
		bool		has_commit = commit <= GetXLogReplayRecPtr(NULL);
		int64		lag_ms = standby_lag_ms();

		/* The transaction keeps the snapshot that it took before the wait. */
		if (commit != InvalidXLogRecPtr && IsolationUsesXactSnapshot())
			raise_not_replayed(commit);
		if (has_commit && lag_ms <= max_lag_ms)
		{
			if (lag_ms == LAG_UNKNOWN)
				PG_RETURN_NULL();
			PG_RETURN_INT64(lag_ms);
		}
		if (ms_since(begin) >= wait_ms)
		{
			if (!has_commit)
				raise_not_replayed(commit);
			if (lag_ms == LAG_UNKNOWN)
				ereport(ERROR,
						(errcode(ERRCODE_LAG_TOO_LONG),
						 errmsg("it is not known how far this standby is behind its primary")));
			ereport(ERROR,
					(errcode(ERRCODE_LAG_TOO_LONG),
					 errmsg("this standby is " INT64_FORMAT " ms behind its primary, more than "
							INT64_FORMAT, lag_ms, max_lag_ms)));
		}
		sleep_ms(pause_ms);
		pause_ms = Min(pause_ms * 2, LONGEST_SLEEP_MS);
	}
	if (commit > GetXLogInsertRecPtr())
		ereport(ERROR,
				(errcode(ERRCODE_COMMIT_UNKNOWN),
				 errmsg("this server has no commit as late as %X/%X", LSN_FORMAT_ARGS(commit)),
				 errdetail("Its WAL ends at %X/%X.", LSN_FORMAT_ARGS(GetXLogInsertRecPtr())),
				 errhint("The position may be of another cluster, or its commit was lost in a failover.")));
	PG_RETURN_INT64(0);
}

static void
sleep_ms(long ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* How old the data of this standby are at most; LAG_UNKNOWN: nobody can tell. */
static int64
standby_lag_ms(void)
{
	XLogRecPtr	end;
	TimestampTz since = GetLatestXTime();

	if (upstream_heard(&end))
	{
		if (GetXLogReplayRecPtr(NULL) >= end)
			return 0;
		/* The chunk is that of the WAL that has come; if it is replayed, more of it is on its way. */
		if (GetXLogReplayRecPtr(NULL) < GetWalRcvFlushRecPtr(NULL, NULL))
			since = Max(since, GetCurrentChunkReplayStartTime());
	}
	return since == 0 ? LAG_UNKNOWN : ms_since(since);
}

/* Does the primary, or the standby before this one, still answer?  Sets up to where it has WAL. */
static bool
upstream_heard(XLogRecPtr *end)
{
	TimestampTz sent;
	TimestampTz received;
	bool		connected;

	SpinLockAcquire(&WalRcv->mutex);
	connected = WalRcv->walRcvState == WALRCV_STREAMING && WalRcv->ready_to_display;
	*end = Max(WalRcv->flushedUpto, WalRcv->latestWalEnd);
	sent = WalRcv->lastMsgSendTime;
	received = WalRcv->lastMsgReceiptTime;
	SpinLockRelease(&WalRcv->mutex);

	return connected && sent != received &&
		(wal_receiver_timeout <= 0 || ms_since(received) <= wal_receiver_timeout / 2 + ANSWER_MS);
}

/* Not 0, for a time of another machine's clock, which may be ahead: the lag is not nothing. */
static int64
ms_since(TimestampTz time)
{
	return Max(TimestampDifferenceMilliseconds(time, GetCurrentTimestamp()), 1);
}

static void
raise_not_replayed(XLogRecPtr commit)
{
	ereport(ERROR,
			(errcode(ERRCODE_COMMIT_NOT_REPLAYED),
			 errmsg("this standby does not show the commit at %X/%X yet", LSN_FORMAT_ARGS(commit)),
			 errdetail("It has replayed up to %X/%X.", LSN_FORMAT_ARGS(GetXLogReplayRecPtr(NULL))),
			 errhint("Ask the primary.")));
}
