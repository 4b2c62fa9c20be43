/*
 * time_arguments.c
 *	  Arguments of SQL functions that are times, lengths of time, or windows.
 *
 * Times are computed in 128 bits, because timestamptz has infinities and years that int64 does not
 * hold.  Ranges may end there; windows may not.
 */
#include "postgres.h"

#include "functions/time_arguments.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "nanoseconds.h"

static Oid	argument_type(FunctionCallInfo fcinfo, int argument);
static int128 time_of(FunctionCallInfo fcinfo, int argument);
static char *argument_text(FunctionCallInfo fcinfo, int argument);
static void check_order(FunctionCallInfo fcinfo, int first, bool may_be_equal);
static bool is_integer(const char *string);
static int128 timestamp_text_time(char *string);
static int64 cut_nanoseconds(char *string);
static Interval *interval_of(char *string);
static bool fixed_length(const Interval *interval, int64 *length);
static Window window_by_interval(int64 start, int64 end, const Interval *step);
static int64 add_interval(int64 time, const Interval *step, int32 times);

Window
time_argument_window(FunctionCallInfo fcinfo, int first)
{
	int64		start = time_argument_time(fcinfo, first);
	int64		end = time_argument_time(fcinfo, first + 1);
	int			argument = first + 2;
	char	   *string;

	check_order(fcinfo, first, false);
	switch (argument_type(fcinfo, argument))
	{
		case INT4OID:
			return window_by_samples(start, end, PG_GETARG_INT32(argument));
		case INTERVALOID:
			return window_by_interval(start, end, PG_GETARG_INTERVAL_P(argument));
		default:
			string = text_to_cstring(PG_GETARG_TEXT_PP(argument));
			if (is_integer(string))
				return window_by_samples(start, end, pg_strtoint32(string));
			return window_by_interval(start, end, interval_of(string));
	}
}

Window
time_argument_window_by_step(FunctionCallInfo fcinfo, int first, int step)
{
	int64		start = time_argument_time(fcinfo, first);
	int64		end = time_argument_time(fcinfo, first + 1);

	check_order(fcinfo, first, false);
	return window_by_step(start, end, time_argument_length(fcinfo, step, "step_ns"));
}

bool
time_argument_range(FunctionCallInfo fcinfo, int first, bool may_be_empty, int64 *from,
					int64 *until)
{
	int128		start = time_of(fcinfo, first);

	check_order(fcinfo, first, may_be_empty);
	*from = (int64) Max(start, PG_INT64_MIN);
	return start <= PG_INT64_MAX && time_argument_last_before(fcinfo, first + 1, until) &&
		*from <= *until;
}

bool
time_argument_last_before(FunctionCallInfo fcinfo, int argument, int64 *time)
{
	int128		last = time_of(fcinfo, argument) - 1;

	*time = (int64) Min(last, PG_INT64_MAX);
	return last >= PG_INT64_MIN;
}

int64
time_argument_time(FunctionCallInfo fcinfo, int argument)
{
	return nanoseconds_bounded(time_of(fcinfo, argument));
}

int64
time_argument_length(FunctionCallInfo fcinfo, int argument, const char *name)
{
	Oid			type = argument_type(fcinfo, argument);
	char	   *string = argument_text(fcinfo, argument);
	int64		length;

	if (type == INT8OID)
		length = PG_GETARG_INT64(argument);
	else if (type == TEXTOID && is_integer(string))
		length = DatumGetInt64(DirectFunctionCall1(int8in, CStringGetDatum(string)));
	else
	{
		const Interval *interval = type == INTERVALOID ? PG_GETARG_INTERVAL_P(argument)
			: interval_of(string);

		if (interval->month != 0)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("%s (%s) must not have months or years", name, string),
					errdetail("Their length depends on the date."),
					errhint("Give it in days."));
		if (!fixed_length(interval, &length))
			ereport(ERROR,
					errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
					errmsg("%s (%s) is out of range for nanoseconds", name, string));
	}
	if (length < 1)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s (%s) must be greater than zero", name, string));
	return length;
}

/* Returns the declared type of an argument. */
static Oid
argument_type(FunctionCallInfo fcinfo, int argument)
{
	Oid		   *types;
	int			ntypes;

	(void) get_func_signature(fcinfo->flinfo->fn_oid, &types, &ntypes);
	Assert(argument < ntypes);
	return types[argument];
}

/* Returns an argument in nanoseconds; the infinities and what is far away are beyond int64. */
static int128
time_of(FunctionCallInfo fcinfo, int argument)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	TimestampTz timestamp;
	char	   *string;

	switch (argument_type(fcinfo, argument))
	{
		case INT8OID:
			return PG_GETARG_INT64(argument);
		case TIMESTAMPTZOID:
			return nanoseconds_unbounded(PG_GETARG_TIMESTAMPTZ(argument));
		case INTERVALOID:
			timestamp = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval,
																TimestampTzGetDatum(now),
																PG_GETARG_DATUM(argument)));
			if (timestamp > now)
				ereport(ERROR,
						errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("interval (%s) must not be negative",
							   argument_text(fcinfo, argument)));
			return nanoseconds_unbounded(timestamp);
		default:
			string = text_to_cstring(PG_GETARG_TEXT_PP(argument));
			if (is_integer(string))
				return DatumGetInt64(DirectFunctionCall1(int8in, CStringGetDatum(string)));
			return timestamp_text_time(string);
	}
}

/* Returns an argument as a user wrote it, about. */
static char *
argument_text(FunctionCallInfo fcinfo, int argument)
{
	Oid			output;
	bool		is_varlena;

	getTypeOutputInfo(argument_type(fcinfo, argument), &output, &is_varlena);
	return OidOutputFunctionCall(output, PG_GETARG_DATUM(argument));
}

/* Raises an error unless argument first is before the next one, which is the end. */
static void
check_order(FunctionCallInfo fcinfo, int first, bool may_be_equal)
{
	int128		start = time_of(fcinfo, first);
	int128		end = time_of(fcinfo, first + 1);

	if (start > end || (start == end && !may_be_equal))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				may_be_equal
				? errmsg("start (%s) must not be greater than end (%s)",
						 argument_text(fcinfo, first), argument_text(fcinfo, first + 1))
				: errmsg("start (%s) must be less than end (%s)", argument_text(fcinfo, first),
						 argument_text(fcinfo, first + 1)));
}

/* Is this an integer, perhaps with a sign and spaces around? */
static bool
is_integer(const char *string)
{
	size_t		digits;

	string += strspn(string, " \t\n\r\f\v");
	if (*string == '-' || *string == '+')
		string++;
	digits = strspn(string, "0123456789");
	string += digits;
	return digits > 0 && string[strspn(string, " \t\n\r\f\v")] == '\0';
}

/*
 * Returns the time of what timestamptz takes, in nanoseconds.  timestamptz would round the digits
 * after those of microseconds.
 */
static int128
timestamp_text_time(char *string)
{
	int64		nanoseconds = cut_nanoseconds(string);
	Datum		timestamp = DirectFunctionCall3(timestamptz_in, CStringGetDatum(string),
												ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));

	return nanoseconds_unbounded(DatumGetTimestampTz(timestamp)) + nanoseconds;
}

/*
 * Takes the digits of a second that are less than microseconds out of a text, and returns them in
 * nanoseconds, rounded down.
 */
static int64
cut_nanoseconds(char *string)
{
	char	   *point = strchr(string, '.');
	size_t		digits;
	int64		nanoseconds = 0;

	/* only seconds are two digits after a colon */
	if (point == NULL || point - string < 3 || point[-3] != ':')
		return 0;
	digits = strspn(point + 1, "0123456789");
	if (digits <= 6)
		return 0;
	for (int i = 6; i < 9; i++)
		nanoseconds = nanoseconds * 10 + (i < digits ? point[1 + i] - '0' : 0);
	memmove(point + 7, point + 1 + digits, strlen(point + 1 + digits) + 1);
	return nanoseconds;
}

static Interval *
interval_of(char *string)
{
	return DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(string),
												 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/*
 * Computes the nanoseconds of an interval without months, with days of 24 hours.  Returns false if
 * int64 does not hold them.
 */
static bool
fixed_length(const Interval *interval, int64 *length)
{
	int128		usec = (int128) interval->day * USECS_PER_DAY + interval->time;

	*length = (int64) (usec * 1000);
	return usec * 1000 == *length;
}

/*
 * Returns the window whose periods are so long.  Days and months are those of the calendar, in the
 * time zone of the session: all periods count from the start, so that an end of the month stays
 * one.
 */
static Window
window_by_interval(int64 start, int64 end, const Interval *step)
{
	int64		length;
	int64		last = start;
	int64	   *ends;
	int32		n = 0;

	if (step->month == 0 && step->day == 0)
	{
		if (!fixed_length(step, &length))
			length = step->time > 0 ? PG_INT64_MAX : PG_INT64_MIN;
		return window_by_step(start, end, length);
	}
	ends = palloc_extended(sizeof(int64) * WINDOW_MAX_SAMPLES, MCXT_ALLOC_HUGE);
	while (last < end)
	{
		int64		next;

		if (n == WINDOW_MAX_SAMPLES)
			window_refuse_step();
		next = add_interval(start, step, n + 1);
		if (next <= last)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("step must be greater than zero"));
		last = Min(next, end);
		ends[n++] = last;
	}
	return window_by_ends(start, ends, n);
}

/* Returns the time that is so many times an interval later; PG_INT64_MAX if it is beyond that. */
static int64
add_interval(int64 time, const Interval *step, int32 times)
{
	TimestampTz timestamp = nanoseconds_to_timestamptz(time);
	int128		of_microsecond = time - nanoseconds_unbounded(timestamp);
	Interval	span;
	TimestampTz later;

	if (pg_mul_s32_overflow(step->month, times, &span.month) ||
		pg_mul_s32_overflow(step->day, times, &span.day) ||
		pg_mul_s64_overflow(step->time, times, &span.time))
		return PG_INT64_MAX;
	later = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
													TimestampTzGetDatum(timestamp),
													IntervalPGetDatum(&span)));
	return (int64) Max(Min(nanoseconds_unbounded(later) + of_microsecond, PG_INT64_MAX),
					   PG_INT64_MIN);
}
