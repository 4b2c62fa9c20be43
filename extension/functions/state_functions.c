/*
 * state_functions.c
 *	  historian.state_duration() and transitions(): values that are states.
 *
 * A state holds until the next value.  NULL and NaN change nothing.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "functions/time_arguments.h"
#include "nanoseconds.h"
#include "read/leaves.h"
#include "read/value_walk.h"
#include "store/segment.h"

PG_FUNCTION_INFO_V1(historian_state_duration);
PG_FUNCTION_INFO_V1(historian_transitions);

/* The arguments of both functions. */
#define START 2
#define VALUE 4

#define STATES_NCOLUMNS 4
#define TRANSITIONS_NCOLUMNS 3

/* More values than this are measurements. */
#define MAX_STATES 100000

#define NANOSECONDS_PER_MICROSECOND 1000

typedef struct State
{
	uint64		bits;			/* of the value: the key */
	double		value;
	uint64		duration_ns;
	int64		count;			/* how often it began */
} State;

typedef struct States
{
	HTAB	   *table;
	int			value;			/* from 1, for errors */
	State	   *current;
	int64		since;
} States;

static bool read_arguments(FunctionCallInfo fcinfo, int64 *from, int64 *until);
static void begin_state(States *states, int64 time, double value);
static void end_state(States *states, int64 time);
static State **sorted_states(const States *states);
static int	compare_states(const void *left, const void *right);
static void put_states(const States *states, uint64 window_ns, ReturnSetInfo *result);
static Datum duration_datum(uint64 duration_ns, Oid type);

/*
 * historian.state_duration(table regclass, tag text, start, "end", value integer) returns setof
 * (state float8, duration, share float8, count bigint)
 */
Datum
historian_state_duration(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	MemoryContext caller;
	States		states = {.value = PG_GETARG_INT32(VALUE)};
	HASHCTL		control = {.keysize = sizeof(uint64), .entrysize = sizeof(State)};
	Leaves	   *leaves;
	text	   *tag = PG_GETARG_TEXT_PP(1);
	int64		from;
	int64		until;
	int64		end;
	ValueWalk  *walk;
	int64		time;
	double		value;

	InitMaterializedSRF(fcinfo, 0);
	if (!read_arguments(fcinfo, &from, &until))
		return (Datum) 0;
	context = AllocSetContextCreate(CurrentMemoryContext, "historian states", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);
	control.hcxt = context;
	states.table = hash_create("historian states", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	leaves = leaves_open(PG_GETARG_OID(0));
	walk = value_walk_begin(leaves_for_tag(leaves, tag), tag, states.value - 1, from, until);
	while (value_walk_next(walk, &time, &value))
	{
		if (states.current != NULL && states.current->value == value)
			continue;
		end_state(&states, time);
		begin_state(&states, time, value);
	}
	value_walk_end(walk);
	end = until == PG_INT64_MAX ? until : until + 1;
	end_state(&states, end);
	leaves_close(leaves);
	put_states(&states, (uint64) end - (uint64) from, (ReturnSetInfo *) fcinfo->resultinfo);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return (Datum) 0;
}

/*
 * historian.transitions(table regclass, tag text, start, "end", value integer) returns setof (time,
 * former float8, state float8)
 */
Datum
historian_transitions(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	text	   *tag = PG_GETARG_TEXT_PP(1);
	Leaves	   *leaves;
	bool		known = false;
	double		former = 0;
	Oid			type;
	int64		from;
	int64		until;
	ValueWalk  *walk;
	int64		time;
	double		value;

	InitMaterializedSRF(fcinfo, 0);
	if (!read_arguments(fcinfo, &from, &until))
		return (Datum) 0;
	type = TupleDescAttr(result->setDesc, 0)->atttypid;
	leaves = leaves_open(PG_GETARG_OID(0));
	walk = value_walk_begin(leaves_for_tag(leaves, tag), tag, PG_GETARG_INT32(VALUE) - 1, from, until);
	while (value_walk_next(walk, &time, &value))
	{
		if (known && value != former)
		{
			bool		isnull[TRANSITIONS_NCOLUMNS] = {0};
			Datum		row[TRANSITIONS_NCOLUMNS] = {
				type == TIMESTAMPTZOID ? TimestampTzGetDatum(nanoseconds_to_timestamptz(time))
				: Int64GetDatum(time),
				Float8GetDatum(former),
				Float8GetDatum(value),
			};

			tuplestore_putvalues(result->setResult, result->setDesc, row, isnull);
		}
		known = true;
		former = value;
	}
	value_walk_end(walk);
	leaves_close(leaves);
	return (Datum) 0;
}

/* Checks the value, and reads the range.  Returns false if that has no time. */
static bool
read_arguments(FunctionCallInfo fcinfo, int64 *from, int64 *until)
{
	int32		value = PG_GETARG_INT32(VALUE);

	if (value < 1 || value > CODEC_MAX_VALUES)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("value (%d) must be from 1 to %d", value, CODEC_MAX_VALUES));
	return time_argument_range(fcinfo, START, false, from, until);
}

static void
begin_state(States *states, int64 time, double value)
{
	uint64		bits;
	bool		found;

	value += 0.0;				/* -0 becomes 0 */
	memcpy(&bits, &value, sizeof(bits));
	states->current = hash_search(states->table, &bits, HASH_ENTER, &found);
	if (!found)
	{
		states->current->value = value;
		states->current->duration_ns = 0;
		states->current->count = 0;
		if (hash_get_num_entries(states->table) > MAX_STATES)
			ereport(ERROR,
					errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					errmsg("value %d has more than %d states", states->value, MAX_STATES),
					errhint("Of measurements, historian.intervals() tells when a condition held."));
	}
	states->current->count++;
	states->since = time;
}

static void
end_state(States *states, int64 time)
{
	if (states->current != NULL)
		states->current->duration_ns += (uint64) time - (uint64) states->since;
}

static State **
sorted_states(const States *states)
{
	State	  **sorted = palloc_array(State *, Max(hash_get_num_entries(states->table), 1));
	HASH_SEQ_STATUS walk;
	State	   *state;
	long		n = 0;

	hash_seq_init(&walk, states->table);
	while ((state = hash_seq_search(&walk)) != NULL)
		sorted[n++] = state;
	qsort(sorted, n, sizeof(State *), compare_states);
	return sorted;
}

static int
compare_states(const void *left, const void *right)
{
	double		a = (*(State *const *) left)->value;
	double		b = (*(State *const *) right)->value;

	return a < b ? -1 : a > b;
}

static void
put_states(const States *states, uint64 window_ns, ReturnSetInfo *result)
{
	long		n = hash_get_num_entries(states->table);
	State	  **sorted = sorted_states(states);
	Oid			type = TupleDescAttr(result->setDesc, 1)->atttypid;

	for (long i = 0; i < n; i++)
	{
		const State *state = sorted[i];
		bool		isnull[STATES_NCOLUMNS] = {0};
		Datum		row[STATES_NCOLUMNS] = {
			Float8GetDatum(state->value),
			duration_datum(state->duration_ns, type),
			Float8GetDatum((double) state->duration_ns / (double) window_ns),
			Int64GetDatum(state->count),
		};

		tuplestore_putvalues(result->setResult, result->setDesc, row, isnull);
	}
}

static Datum
duration_datum(uint64 duration_ns, Oid type)
{
	Interval   *interval;

	if (type != INTERVALOID)
	{
		if (duration_ns > PG_INT64_MAX)
			ereport(ERROR,
					errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					errmsg("duration is out of range"),
					errhint("A bigint holds 292 years of nanoseconds: give a shorter window."));
		return Int64GetDatum((int64) duration_ns);
	}
	interval = palloc0_object(Interval);
	interval->time = duration_ns / NANOSECONDS_PER_MICROSECOND;
	return IntervalPGetDatum(interval);
}
