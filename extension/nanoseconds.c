/*
 * nanoseconds.c
 *	  Times as nanoseconds since the Unix epoch and as timestamptz.
 */
#include "postgres.h"

#include "nanoseconds.h"

#include "catalog/pg_type.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#define NS_PER_USEC 1000

/* The Unix epoch, in microseconds of a timestamptz. */
#define UNIX_EPOCH_USEC \
	((UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE) * (int64) SECS_PER_DAY * USECS_PER_SEC)

static bool first_from(int128 bound, int64 *time);
static bool last_until(int128 bound, int64 *time);

TimestampTz
nanoseconds_to_timestamptz(int64 time)
{
	int64		usec = time / NS_PER_USEC;

	if (time % NS_PER_USEC < 0)
		usec--;
	return usec + UNIX_EPOCH_USEC;
}

int64
nanoseconds_from_timestamptz(TimestampTz timestamp)
{
	return nanoseconds_bounded(nanoseconds_unbounded(timestamp));
}

/* The infinities need no care: as numbers of microseconds they are beyond all times. */
int128
nanoseconds_unbounded(TimestampTz timestamp)
{
	return ((int128) timestamp - UNIX_EPOCH_USEC) * NS_PER_USEC;
}

int64
nanoseconds_bounded(int128 time)
{
	if (time < PG_INT64_MIN || time > PG_INT64_MAX)
		ereport(ERROR,
				errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				errmsg("timestamp out of range for nanoseconds"),
				errdetail("Nanoseconds in a bigint represent times from 1677-09-21 to 2262-04-11."));
	return (int64) time;
}

bool
nanoseconds_first_at_least(TimestampTz timestamp, int64 *time)
{
	return first_from(nanoseconds_unbounded(timestamp), time);
}

bool
nanoseconds_first_after(TimestampTz timestamp, int64 *time)
{
	return first_from(nanoseconds_unbounded(timestamp) + NS_PER_USEC, time);
}

bool
nanoseconds_last_at_most(TimestampTz timestamp, int64 *time)
{
	return last_until(nanoseconds_unbounded(timestamp) + NS_PER_USEC - 1, time);
}

bool
nanoseconds_last_before(TimestampTz timestamp, int64 *time)
{
	return last_until(nanoseconds_unbounded(timestamp) - 1, time);
}

/* Finds the first time that is not below the bound. */
static bool
first_from(int128 bound, int64 *time)
{
	*time = (int64) Max(bound, PG_INT64_MIN);
	return bound <= PG_INT64_MAX;
}

/* Finds the last time that is not above the bound. */
static bool
last_until(int128 bound, int64 *time)
{
	*time = (int64) Min(bound, PG_INT64_MAX);
	return bound >= PG_INT64_MIN;
}

bool
nanoseconds_is_comparable(Oid type)
{
	return type == TIMESTAMPTZOID || type == TIMESTAMPOID || type == DATEOID;
}

/* As timestamptz_cmp_timestamp() and timestamptz_cmp_date() do. */
TimestampTz
nanoseconds_comparable(Datum value, Oid type)
{
	int			overflow;

	switch (type)
	{
		case TIMESTAMPTZOID:
			return DatumGetTimestampTz(value);
		case TIMESTAMPOID:
			return timestamp2timestamptz_opt_overflow(DatumGetTimestamp(value), &overflow);
		case DATEOID:
			return date2timestamptz_opt_overflow(DatumGetDateADT(value), &overflow);
		default:
			elog(ERROR, "unexpected type of a time: %u", type);
	}
}
