/*
 * time_functions.c
 *	  Converts nanoseconds since the Unix epoch to timestamptz and back.
 *
 * A timestamptz counts microseconds.  to_timestamptz() rounds down, which keeps the order of times.
 * to_ns() is exact, and raises an error for times that do not fit into 64 bits of nanoseconds.
 * first_ns() and so on find the times whose timestamptz compares so with a given one; the planner
 * uses them (table/timestamp_condition.c).
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"

#include "functions/time_arguments.h"
#include "nanoseconds.h"

PG_FUNCTION_INFO_V1(historian_to_ns);
PG_FUNCTION_INFO_V1(historian_time_ns);
PG_FUNCTION_INFO_V1(historian_to_timestamptz);
PG_FUNCTION_INFO_V1(historian_first_ns);
PG_FUNCTION_INFO_V1(historian_first_ns_after);
PG_FUNCTION_INFO_V1(historian_last_ns);
PG_FUNCTION_INFO_V1(historian_last_ns_before);

static TimestampTz bound_argument(FunctionCallInfo fcinfo);

/* historian.to_ns(timestamptz) returns bigint */
Datum
historian_to_ns(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(nanoseconds_from_timestamptz(PG_GETARG_TIMESTAMPTZ(0)));
}

/* historian.time_ns(text) returns bigint */
Datum
historian_time_ns(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(time_argument_time(fcinfo, 0));
}

/* historian.to_timestamptz(bigint) returns timestamptz */
Datum
historian_to_timestamptz(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(nanoseconds_to_timestamptz(PG_GETARG_INT64(0)));
}

/* historian.first_ns("any") returns bigint: the first time of which to_timestamptz() >= the argument */
Datum
historian_first_ns(PG_FUNCTION_ARGS)
{
	int64		time;

	if (!nanoseconds_first_at_least(bound_argument(fcinfo), &time))
		PG_RETURN_NULL();
	PG_RETURN_INT64(time);
}

/* historian.first_ns_after("any") returns bigint: the first with to_timestamptz() > the argument */
Datum
historian_first_ns_after(PG_FUNCTION_ARGS)
{
	int64		time;

	if (!nanoseconds_first_after(bound_argument(fcinfo), &time))
		PG_RETURN_NULL();
	PG_RETURN_INT64(time);
}

/* historian.last_ns("any") returns bigint: the last with to_timestamptz() <= the argument */
Datum
historian_last_ns(PG_FUNCTION_ARGS)
{
	int64		time;

	if (!nanoseconds_last_at_most(bound_argument(fcinfo), &time))
		PG_RETURN_NULL();
	PG_RETURN_INT64(time);
}

/* historian.last_ns_before("any") returns bigint: the last with to_timestamptz() < the argument */
Datum
historian_last_ns_before(PG_FUNCTION_ARGS)
{
	int64		time;

	if (!nanoseconds_last_before(bound_argument(fcinfo), &time))
		PG_RETURN_NULL();
	PG_RETURN_INT64(time);
}

/* Returns the argument as a timestamptz. */
static TimestampTz
bound_argument(FunctionCallInfo fcinfo)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 0);

	if (!nanoseconds_is_comparable(type))
		ereport(ERROR,
				errcode(ERRCODE_DATATYPE_MISMATCH),
				errmsg("argument must be a timestamptz, timestamp or date"));
	return nanoseconds_comparable(PG_GETARG_DATUM(0), type);
}
