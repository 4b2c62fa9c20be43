/*
 * time_functions.c
 *	  Converts nanoseconds since the Unix epoch to timestamptz and back.
 *
 * A timestamptz counts microseconds.  to_timestamptz() rounds down, which keeps the order of times.
 * to_ns() is exact, and raises an error for times that do not fit into 64 bits of nanoseconds.
 */
#include "postgres.h"

#include "common/int.h"
#include "fmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(historian_to_ns);
PG_FUNCTION_INFO_V1(historian_to_timestamptz);

#define NS_PER_USEC 1000

/* The Unix epoch, in microseconds of a timestamptz. */
#define UNIX_EPOCH_USEC \
	((UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE) * (int64) SECS_PER_DAY * USECS_PER_SEC)

/* historian.to_ns(timestamptz) returns bigint */
Datum
historian_to_ns(PG_FUNCTION_ARGS)
{
	TimestampTz timestamp = PG_GETARG_TIMESTAMPTZ(0);
	int64		usec;
	int64		ns;

	if (TIMESTAMP_NOT_FINITE(timestamp) ||
		pg_sub_s64_overflow(timestamp, UNIX_EPOCH_USEC, &usec) ||
		pg_mul_s64_overflow(usec, NS_PER_USEC, &ns))
		ereport(ERROR,
				errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				errmsg("timestamp out of range for nanoseconds"),
				errdetail("Nanoseconds in a bigint represent times from 1677-09-21 to 2262-04-11."));
	PG_RETURN_INT64(ns);
}

/* historian.to_timestamptz(bigint) returns timestamptz */
Datum
historian_to_timestamptz(PG_FUNCTION_ARGS)
{
	int64		ns = PG_GETARG_INT64(0);
	int64		usec = ns / NS_PER_USEC;

	if (ns % NS_PER_USEC < 0)
		usec--;
	PG_RETURN_TIMESTAMPTZ(usec + UNIX_EPOCH_USEC);
}
