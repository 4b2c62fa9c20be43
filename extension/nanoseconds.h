/*
 * nanoseconds.h
 *	  Times as nanoseconds since the Unix epoch and as timestamptz.
 *
 * A historian table has nanoseconds, a timestamptz counts microseconds.  The timestamptz of a time
 * is rounded down, so each microsecond stands for a thousand times.  It has no more than that at
 * both ends of int64.
 */
#ifndef HISTORIAN_NANOSECONDS_H
#define HISTORIAN_NANOSECONDS_H

#include "postgres.h"

#include "datatype/timestamp.h"

/* Returns the timestamptz of a time, rounded down to microseconds. */
extern TimestampTz nanoseconds_to_timestamptz(int64 time);

/* Returns the time of a timestamptz exactly, or raises an error if int64 does not hold it. */
extern int64 nanoseconds_from_timestamptz(TimestampTz timestamp);

/*
 * Returns the first nanosecond of a timestamptz, or what would be it if it were not beyond int64, as
 * the infinities and years far away are.
 */
extern int128 nanoseconds_unbounded(TimestampTz timestamp);

/* Returns a number of nanoseconds, or raises the error of nanoseconds_from_timestamptz(). */
extern int64 nanoseconds_bounded(int128 time);

/*
 * Find the first and the last time whose timestamptz compares so with the given one, which may be
 * infinite or out of range.  Return false if there is no such time.
 */
extern bool nanoseconds_first_at_least(TimestampTz timestamp, int64 *time);
extern bool nanoseconds_first_after(TimestampTz timestamp, int64 *time);
extern bool nanoseconds_last_at_most(TimestampTz timestamp, int64 *time);
extern bool nanoseconds_last_before(TimestampTz timestamp, int64 *time);

/*
 * Returns the timestamptz that a value of type timestamptz, timestamp or date is in comparisons
 * with timestamptz.  This depends on the setting TimeZone.  What timestamptz does not hold becomes
 * infinite.
 */
extern TimestampTz nanoseconds_comparable(Datum value, Oid type);

/* Is this one of the types that nanoseconds_comparable() takes? */
extern bool nanoseconds_is_comparable(Oid type);

#endif							/* HISTORIAN_NANOSECONDS_H */
