/*
 * interval_functions.c
 *	  historian.intervals(): the spans of time in which a condition on a value held.
 *
 * A value holds until the next one, so a span begins at the sample at which the condition comes true
 * and ends at the one at which it is true no more.  NULL and NaN change nothing.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "functions/time_arguments.h"
#include "nanoseconds.h"
#include "read/leaves.h"
#include "read/value_walk.h"

PG_FUNCTION_INFO_V1(historian_intervals);

/* The arguments of historian.intervals(). */
#define START 2
#define VALUE 4
#define OPERATOR 5
#define THRESHOLD 6
#define RELEASE 7
#define MIN_LENGTH 8

#define INTERVALS_NCOLUMNS 3

typedef enum Comparison
{
	GREATER,
	GREATER_EQUAL,
	LESS,
	LESS_EQUAL,
	EQUAL,
	NOT_EQUAL,
} Comparison;

static const char *const comparisons[] = {">", ">=", "<", "<=", "=", "<>"};

typedef struct Condition
{
	uint32		value;			/* from 0 */
	Comparison	comparison;
	double		threshold;		/* comes true here */
	double		release;		/* is true no more here */
	int64		min_length;		/* the shortest span, in nanoseconds */
} Condition;

/* The spans found so far. */
typedef struct Spans
{
	const Condition *condition;
	ReturnSetInfo *result;
	Oid			type;			/* of times */
	bool		active;
	int64		begin;			/* if active */
} Spans;

static Condition condition_of(FunctionCallInfo fcinfo);
static bool compare(const Condition *condition, double value, double with);
static void look_at(Spans *spans, int64 time, double value);
static void put_span(Spans *spans, int64 end, bool ended);
static Datum time_datum(int64 time, Oid type);

/*
 * historian.intervals(table regclass, tag text, start, "end", value integer, operator text,
 * threshold float8, release float8, min_length) returns setof (start_time, end_time, ended boolean)
 */
Datum
historian_intervals(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Condition	condition;
	Spans		spans = {.condition = &condition, .result = result};
	Leaves	   *leaves;
	text	   *tag;
	int64		from;
	int64		until;
	ValueWalk  *walk;
	int64		time;
	double		value;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i <= THRESHOLD; i++)
	{
		if (PG_ARGISNULL(i))
			return (Datum) 0;
	}
	condition = condition_of(fcinfo);
	if (!time_argument_range(fcinfo, START, false, &from, &until))
		return (Datum) 0;
	spans.type = TupleDescAttr(result->setDesc, 0)->atttypid;
	tag = PG_GETARG_TEXT_PP(1);
	leaves = leaves_open(PG_GETARG_OID(0));
	walk = value_walk_begin(leaves_for_tag(leaves, tag), tag, condition.value, from, until);
	while (value_walk_next(walk, &time, &value))
		look_at(&spans, time, value);
	value_walk_end(walk);
	if (spans.active)
		put_span(&spans, until == PG_INT64_MAX ? until : until + 1, false);
	leaves_close(leaves);
	return (Datum) 0;
}

/* Reads the condition, or raises an error if it makes no sense. */
static Condition
condition_of(FunctionCallInfo fcinfo)
{
	const char *name = text_to_cstring(PG_GETARG_TEXT_PP(OPERATOR));
	int32		value = PG_GETARG_INT32(VALUE);
	Condition	condition = {
		.value = value - 1,
		.comparison = lengthof(comparisons),
		.threshold = PG_GETARG_FLOAT8(THRESHOLD),
	};

	if (value < 1 || value > CODEC_MAX_VALUES)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("value (%d) must be from 1 to %d", value, CODEC_MAX_VALUES));
	for (int i = 0; i < lengthof(comparisons); i++)
	{
		if (strcmp(name, comparisons[i]) == 0)
			condition.comparison = i;
	}
	if (condition.comparison == lengthof(comparisons))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("operator \"%s\" is unknown", name),
				errhint("It is >, >=, <, <=, = or <>."));
	condition.release = PG_ARGISNULL(RELEASE) ? condition.threshold : PG_GETARG_FLOAT8(RELEASE);
	if (isnan(condition.threshold) || isnan(condition.release))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("threshold and release must be numbers"));
	if (condition.release != condition.threshold &&
		!(condition.comparison <= GREATER_EQUAL && condition.release < condition.threshold) &&
		!(condition.comparison >= LESS && condition.comparison <= LESS_EQUAL &&
		  condition.release > condition.threshold))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("release (%g) does not fit operator \"%s\" and threshold (%g)", condition.release,
					   name, condition.threshold),
				errhint("With > and >= it is less than the threshold, with < and <= it is greater; the others have none."));
	condition.min_length = PG_ARGISNULL(MIN_LENGTH) ? 0 : time_argument_length(fcinfo, MIN_LENGTH, "min_length");
	return condition;
}

static bool
compare(const Condition *condition, double value, double with)
{
	switch (condition->comparison)
	{
		case GREATER:
			return value > with;
		case GREATER_EQUAL:
			return value >= with;
		case LESS:
			return value < with;
		case LESS_EQUAL:
			return value <= with;
		case EQUAL:
			return value == with;
		case NOT_EQUAL:
			return value != with;
	}
	return false;
}

static void
look_at(Spans *spans, int64 time, double value)
{
	const Condition *condition = spans->condition;

	if (!spans->active && compare(condition, value, condition->threshold))
	{
		spans->active = true;
		spans->begin = time;
	}
	else if (spans->active && !compare(condition, value, condition->release))
	{
		put_span(spans, time, true);
		spans->active = false;
	}
}

/* Puts the present span, unless it is too short. */
static void
put_span(Spans *spans, int64 end, bool ended)
{
	bool		isnull[INTERVALS_NCOLUMNS] = {0};
	Datum		row[INTERVALS_NCOLUMNS] = {
		time_datum(spans->begin, spans->type),
		time_datum(end, spans->type),
		BoolGetDatum(ended),
	};

	if ((uint64) end - (uint64) spans->begin >= (uint64) spans->condition->min_length && end > spans->begin)
		tuplestore_putvalues(spans->result->setResult, spans->result->setDesc, row, isnull);
}

static Datum
time_datum(int64 time, Oid type)
{
	return type == TIMESTAMPTZOID ? TimestampTzGetDatum(nanoseconds_to_timestamptz(time))
		: Int64GetDatum(time);
}
