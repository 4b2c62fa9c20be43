-- historian 0.2 to 0.3; also run by CREATE EXTENSION, after the scripts before
\echo Use "ALTER EXTENSION historian UPDATE TO '0.3'" to load this file. \quit

-- Which table they read is known only when they run, and a parallel worker cannot read a temporary one.
ALTER FUNCTION historian.downsample(regclass, text, bigint, bigint, integer, text) PARALLEL RESTRICTED;
ALTER FUNCTION historian.downsample_many(regclass, text[], bigint, bigint, integer, text) PARALLEL RESTRICTED;
ALTER FUNCTION historian.moving_average(regclass, text, bigint, bigint, integer, bigint) PARALLEL RESTRICTED;
ALTER FUNCTION historian.raw(regclass, text, bigint, bigint) PARALLEL RESTRICTED;
ALTER FUNCTION historian.latest(regclass) PARALLEL RESTRICTED;
ALTER FUNCTION historian.latest(regclass, text[]) PARALLEL RESTRICTED;
ALTER FUNCTION historian.tags(regclass) PARALLEL RESTRICTED;
ALTER FUNCTION historian.stat_get_table(regclass) PARALLEL RESTRICTED;

-- The functions that read a table take a partitioned parent, too.
COMMENT ON FUNCTION historian.downsample(regclass, text, bigint, bigint, integer, text) IS
'Samples of one tag over a window. The time of sample i of 1..samples is start + floor(i * (end - start) / samples); its period reaches from the time of the sample before (exclusive) to its own (inclusive). Times are nanoseconds since 1970-01-01 UTC. The method last gives the values of the last row at or before that time, however old, and NULL before the first row. The other methods compute each element by itself: last_known (as last, but passing over NULL), first, interpolated, min, max, range, average, time_average, sum, count, stddev, delta, increase and rate (of a counter, over its resets, and as increase(65536) over a modulus), and percentile(95) or another percentage. plot, lttb and minmaxlttb return stored rows instead, at most as many as samples, which they choose by the first value of a row, or by the one that the variants with the argument value name. A tag without rows gives no samples. There are variants with times as timestamptz, and with an interval as step in the place of the number of samples. The table may be a partitioned parent of historian tables. Needs SELECT on the table.';
COMMENT ON FUNCTION historian.downsample_many(regclass, text[], bigint, bigint, integer, text) IS
'The samples of historian.downsample() for several tags, tag by tag in byte order, each tag once. Tags without rows are left out. The table may be a partitioned parent of historian tables. Needs SELECT on the table.';
COMMENT ON FUNCTION historian.moving_average(regclass, text, bigint, bigint, integer, bigint) IS
'Samples of one tag at the times of those of historian.downsample(). Each is the unweighted mean, element by element, of the rows with sample time - window < time <= sample time. The table may be a partitioned parent of historian tables. Needs SELECT on the table.';
COMMENT ON FUNCTION historian.raw(regclass, text, bigint, bigint) IS
'The rows of one tag with start <= time < end (nanoseconds), in order of time. historian.delete() deletes the same rows. The table may be a partitioned parent of historian tables. Needs SELECT on the table.';
COMMENT ON FUNCTION historian.latest(regclass) IS
'The last row of each tag, in byte order of the tags. The table may be a partitioned parent of historian tables. Needs SELECT on the table.';
COMMENT ON FUNCTION historian.latest(regclass, text[]) IS
'The last row of each of the given tags, in byte order of the tags, each tag once. Tags without rows are left out. The table may be a partitioned parent of historian tables. Needs SELECT on the table.';
COMMENT ON FUNCTION historian.tags(regclass) IS
'The tags of a table in byte order, with the times (nanoseconds) of their first and last row and their exact number of rows. Reads segment headers, and times only where segments overlap. The table may be a partitioned parent of historian tables. Needs SELECT on the table.';

-- The planner turns conditions on historian.to_timestamptz(time) into conditions on time. It tells nothing of its
-- argument but by its result, so that policies and security barriers need not be checked before it.
ALTER FUNCTION historian.to_timestamptz(bigint) LEAKPROOF;

CREATE FUNCTION historian.first_ns("any") RETURNS bigint
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_first_ns';

COMMENT ON FUNCTION historian.first_ns("any") IS
'The first time (nanoseconds) that historian.to_timestamptz() makes not less than the given timestamptz, timestamp or date; NULL if there is none. In plans it stands for a condition on historian.to_timestamptz(time).';

CREATE FUNCTION historian.first_ns_after("any") RETURNS bigint
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_first_ns_after';

COMMENT ON FUNCTION historian.first_ns_after("any") IS
'The first time (nanoseconds) that historian.to_timestamptz() makes greater than the given timestamptz, timestamp or date; NULL if there is none. In plans it stands for a condition on historian.to_timestamptz(time).';

CREATE FUNCTION historian.last_ns("any") RETURNS bigint
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_last_ns';

COMMENT ON FUNCTION historian.last_ns("any") IS
'The last time (nanoseconds) that historian.to_timestamptz() makes not greater than the given timestamptz, timestamp or date; NULL if there is none. In plans it stands for a condition on historian.to_timestamptz(time).';

CREATE FUNCTION historian.last_ns_before("any") RETURNS bigint
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_last_ns_before';

COMMENT ON FUNCTION historian.last_ns_before("any") IS
'The last time (nanoseconds) that historian.to_timestamptz() makes less than the given timestamptz, timestamp or date; NULL if there is none. In plans it stands for a condition on historian.to_timestamptz(time).';

-- The value of a row that the methods plot, lttb and minmaxlttb look at. The functions of 0.2 stay as they are, because views may
-- depend on them; one with a default beside them would make calls ambiguous. NULL, the default of the others, is the first
-- value: so these are not strict, and return no rows if another argument is NULL.
CREATE FUNCTION historian.downsample(
    "table" regclass, tag text, start bigint, "end" bigint,
    samples integer, method text, value integer,
    OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_downsample';

COMMENT ON FUNCTION historian.downsample(regclass, text, bigint, bigint, integer, text, integer) IS
'As historian.downsample(regclass, text, bigint, bigint, integer, text). The methods plot, lttb and minmaxlttb choose rows by this value, counted from 1; other methods take none (NULL). It is an error if the window has rows, but none that has this value.';

CREATE FUNCTION historian.downsample_many(
    "table" regclass, tags text[], start bigint, "end" bigint,
    samples integer, method text, value integer,
    OUT tag text, OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10000 COST 10000
AS 'MODULE_PATHNAME', 'historian_downsample_many';

COMMENT ON FUNCTION historian.downsample_many(regclass, text[], bigint, bigint, integer, text, integer) IS
'As historian.downsample_many(regclass, text[], bigint, bigint, integer, text). The methods plot, lttb and minmaxlttb choose rows by this value, counted from 1; other methods take none (NULL). Tags whose rows do not have this value have no samples.';

-- Times as timestamptz, and lengths as interval. A literal or a parameter without a type could be either of these or a
-- bigint; of several candidates PostgreSQL takes the one with text for it, which reads both. So every function that has
-- variants has one with text, and that returns bigint as all functions of 0.2 did (ADR 0020).
CREATE FUNCTION historian.downsample(
    "table" regclass, tag text, start bigint, "end" bigint,
    step interval, method text DEFAULT 'last', value integer DEFAULT NULL,
    OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_downsample';

COMMENT ON FUNCTION historian.downsample(regclass, text, bigint, bigint, interval, text, integer) IS
'As historian.downsample(regclass, text, bigint, bigint, integer, text), but the window is cut into periods of one step each, which count from its start; the last one is shorter if need be. Days and months are counted by the calendar in the time zone of the session.';

CREATE FUNCTION historian.downsample(
    "table" regclass, tag text, start bigint, "end" bigint,
    samples_or_step text, method text DEFAULT 'last', value integer DEFAULT NULL,
    OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_downsample';

COMMENT ON FUNCTION historian.downsample(regclass, text, bigint, bigint, text, text, integer) IS
'As historian.downsample(regclass, text, bigint, bigint, integer, text), but samples_or_step is a number of samples, or an interval as step.';

CREATE FUNCTION historian.downsample(
    "table" regclass, tag text, start timestamptz, "end" timestamptz,
    samples integer DEFAULT 1000, method text DEFAULT 'last', value integer DEFAULT NULL,
    OUT "time" timestamptz, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_downsample';

COMMENT ON FUNCTION historian.downsample(regclass, text, timestamptz, timestamptz, integer, text, integer) IS
'As historian.downsample(regclass, text, bigint, bigint, integer, text), with times as timestamptz, which come back so, rounded down to microseconds.';

CREATE FUNCTION historian.downsample(
    "table" regclass, tag text, start timestamptz, "end" timestamptz,
    step interval, method text DEFAULT 'last', value integer DEFAULT NULL,
    OUT "time" timestamptz, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_downsample';

COMMENT ON FUNCTION historian.downsample(regclass, text, timestamptz, timestamptz, interval, text, integer) IS
'As historian.downsample(regclass, text, bigint, bigint, integer, text), with times as timestamptz, which come back so, rounded down to microseconds; the window is cut into periods of one step each, which count from its start; the last one is shorter if need be. Days and months are counted by the calendar in the time zone of the session.';

CREATE FUNCTION historian.downsample(
    "table" regclass, tag text, start timestamptz, "end" timestamptz,
    samples_or_step text, method text DEFAULT 'last', value integer DEFAULT NULL,
    OUT "time" timestamptz, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_downsample';

COMMENT ON FUNCTION historian.downsample(regclass, text, timestamptz, timestamptz, text, text, integer) IS
'As historian.downsample(regclass, text, bigint, bigint, integer, text), with times as timestamptz, which come back so, rounded down to microseconds; samples_or_step is a number of samples, or an interval as step.';

CREATE FUNCTION historian.downsample(
    "table" regclass, tag text, start text, "end" text,
    samples integer DEFAULT 1000, method text DEFAULT 'last', value integer DEFAULT NULL,
    OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_downsample';

COMMENT ON FUNCTION historian.downsample(regclass, text, text, text, integer, text, integer) IS
'As historian.downsample(regclass, text, bigint, bigint, integer, text) for literals and parameters without a type: each time is an integer in nanoseconds, or what timestamptz takes. The times come back in nanoseconds.';

CREATE FUNCTION historian.downsample(
    "table" regclass, tag text, start text, "end" text,
    step interval, method text DEFAULT 'last', value integer DEFAULT NULL,
    OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_downsample';

COMMENT ON FUNCTION historian.downsample(regclass, text, text, text, interval, text, integer) IS
'As historian.downsample(regclass, text, bigint, bigint, integer, text) for literals and parameters without a type: each time is an integer in nanoseconds, or what timestamptz takes. The times come back in nanoseconds; the window is cut into periods of one step each, which count from its start; the last one is shorter if need be. Days and months are counted by the calendar in the time zone of the session.';

CREATE FUNCTION historian.downsample(
    "table" regclass, tag text, start text, "end" text,
    samples_or_step text, method text DEFAULT 'last', value integer DEFAULT NULL,
    OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_downsample';

COMMENT ON FUNCTION historian.downsample(regclass, text, text, text, text, text, integer) IS
'As historian.downsample(regclass, text, bigint, bigint, integer, text) for literals and parameters without a type: each time is an integer in nanoseconds, or what timestamptz takes. The times come back in nanoseconds; samples_or_step is a number of samples, or an interval as step.';

CREATE FUNCTION historian.downsample(
    "table" regclass, tag text, start bigint, "end" bigint,
    method text, step_ns bigint, value integer DEFAULT NULL,
    OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_downsample_by_step';

COMMENT ON FUNCTION historian.downsample(regclass, text, bigint, bigint, text, bigint, integer) IS
'As historian.downsample(regclass, text, bigint, bigint, integer, text), but the window is cut into periods of step_ns nanoseconds, which count from its start; the last one is shorter if need be.';

CREATE FUNCTION historian.downsample_many(
    "table" regclass, tags text[], start bigint, "end" bigint,
    step interval, method text DEFAULT 'last', value integer DEFAULT NULL,
    OUT tag text, OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10000 COST 10000
AS 'MODULE_PATHNAME', 'historian_downsample_many';

COMMENT ON FUNCTION historian.downsample_many(regclass, text[], bigint, bigint, interval, text, integer) IS
'As historian.downsample_many(regclass, text[], bigint, bigint, integer, text), but the window is cut into periods of one step each, which count from its start; the last one is shorter if need be. Days and months are counted by the calendar in the time zone of the session.';

CREATE FUNCTION historian.downsample_many(
    "table" regclass, tags text[], start bigint, "end" bigint,
    samples_or_step text, method text DEFAULT 'last', value integer DEFAULT NULL,
    OUT tag text, OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10000 COST 10000
AS 'MODULE_PATHNAME', 'historian_downsample_many';

COMMENT ON FUNCTION historian.downsample_many(regclass, text[], bigint, bigint, text, text, integer) IS
'As historian.downsample_many(regclass, text[], bigint, bigint, integer, text), but samples_or_step is a number of samples, or an interval as step.';

CREATE FUNCTION historian.downsample_many(
    "table" regclass, tags text[], start timestamptz, "end" timestamptz,
    samples integer DEFAULT 1000, method text DEFAULT 'last', value integer DEFAULT NULL,
    OUT tag text, OUT "time" timestamptz, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10000 COST 10000
AS 'MODULE_PATHNAME', 'historian_downsample_many';

COMMENT ON FUNCTION historian.downsample_many(regclass, text[], timestamptz, timestamptz, integer, text, integer) IS
'As historian.downsample_many(regclass, text[], bigint, bigint, integer, text), with times as timestamptz, which come back so, rounded down to microseconds.';

CREATE FUNCTION historian.downsample_many(
    "table" regclass, tags text[], start timestamptz, "end" timestamptz,
    step interval, method text DEFAULT 'last', value integer DEFAULT NULL,
    OUT tag text, OUT "time" timestamptz, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10000 COST 10000
AS 'MODULE_PATHNAME', 'historian_downsample_many';

COMMENT ON FUNCTION historian.downsample_many(regclass, text[], timestamptz, timestamptz, interval, text, integer) IS
'As historian.downsample_many(regclass, text[], bigint, bigint, integer, text), with times as timestamptz, which come back so, rounded down to microseconds; the window is cut into periods of one step each, which count from its start; the last one is shorter if need be. Days and months are counted by the calendar in the time zone of the session.';

CREATE FUNCTION historian.downsample_many(
    "table" regclass, tags text[], start timestamptz, "end" timestamptz,
    samples_or_step text, method text DEFAULT 'last', value integer DEFAULT NULL,
    OUT tag text, OUT "time" timestamptz, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10000 COST 10000
AS 'MODULE_PATHNAME', 'historian_downsample_many';

COMMENT ON FUNCTION historian.downsample_many(regclass, text[], timestamptz, timestamptz, text, text, integer) IS
'As historian.downsample_many(regclass, text[], bigint, bigint, integer, text), with times as timestamptz, which come back so, rounded down to microseconds; samples_or_step is a number of samples, or an interval as step.';

CREATE FUNCTION historian.downsample_many(
    "table" regclass, tags text[], start text, "end" text,
    samples integer DEFAULT 1000, method text DEFAULT 'last', value integer DEFAULT NULL,
    OUT tag text, OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10000 COST 10000
AS 'MODULE_PATHNAME', 'historian_downsample_many';

COMMENT ON FUNCTION historian.downsample_many(regclass, text[], text, text, integer, text, integer) IS
'As historian.downsample_many(regclass, text[], bigint, bigint, integer, text) for literals and parameters without a type: each time is an integer in nanoseconds, or what timestamptz takes. The times come back in nanoseconds.';

CREATE FUNCTION historian.downsample_many(
    "table" regclass, tags text[], start text, "end" text,
    step interval, method text DEFAULT 'last', value integer DEFAULT NULL,
    OUT tag text, OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10000 COST 10000
AS 'MODULE_PATHNAME', 'historian_downsample_many';

COMMENT ON FUNCTION historian.downsample_many(regclass, text[], text, text, interval, text, integer) IS
'As historian.downsample_many(regclass, text[], bigint, bigint, integer, text) for literals and parameters without a type: each time is an integer in nanoseconds, or what timestamptz takes. The times come back in nanoseconds; the window is cut into periods of one step each, which count from its start; the last one is shorter if need be. Days and months are counted by the calendar in the time zone of the session.';

CREATE FUNCTION historian.downsample_many(
    "table" regclass, tags text[], start text, "end" text,
    samples_or_step text, method text DEFAULT 'last', value integer DEFAULT NULL,
    OUT tag text, OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10000 COST 10000
AS 'MODULE_PATHNAME', 'historian_downsample_many';

COMMENT ON FUNCTION historian.downsample_many(regclass, text[], text, text, text, text, integer) IS
'As historian.downsample_many(regclass, text[], bigint, bigint, integer, text) for literals and parameters without a type: each time is an integer in nanoseconds, or what timestamptz takes. The times come back in nanoseconds; samples_or_step is a number of samples, or an interval as step.';

CREATE FUNCTION historian.downsample_many(
    "table" regclass, tags text[], start bigint, "end" bigint,
    method text, step_ns bigint, value integer DEFAULT NULL,
    OUT tag text, OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10000 COST 10000
AS 'MODULE_PATHNAME', 'historian_downsample_many_by_step';

COMMENT ON FUNCTION historian.downsample_many(regclass, text[], bigint, bigint, text, bigint, integer) IS
'As historian.downsample_many(regclass, text[], bigint, bigint, integer, text), but the window is cut into periods of step_ns nanoseconds, which count from its start; the last one is shorter if need be.';

CREATE FUNCTION historian.moving_average(
    "table" regclass, tag text, start bigint, "end" bigint,
    samples integer, "window" interval,
    OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_moving_average';

COMMENT ON FUNCTION historian.moving_average(regclass, text, bigint, bigint, integer, interval) IS
'As historian.moving_average(regclass, text, bigint, bigint, integer, bigint), but the window is an interval without months; its days have 24 hours.';

CREATE FUNCTION historian.moving_average(
    "table" regclass, tag text, start bigint, "end" bigint,
    samples integer, "window" text,
    OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_moving_average';

COMMENT ON FUNCTION historian.moving_average(regclass, text, bigint, bigint, integer, text) IS
'As historian.moving_average(regclass, text, bigint, bigint, integer, bigint), but the window is an integer in nanoseconds, or an interval without months.';

CREATE FUNCTION historian.moving_average(
    "table" regclass, tag text, start timestamptz, "end" timestamptz,
    samples integer, "window" bigint,
    OUT "time" timestamptz, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_moving_average';

COMMENT ON FUNCTION historian.moving_average(regclass, text, timestamptz, timestamptz, integer, bigint) IS
'As historian.moving_average(regclass, text, bigint, bigint, integer, bigint), with times as timestamptz, which come back so, rounded down to microseconds.';

CREATE FUNCTION historian.moving_average(
    "table" regclass, tag text, start timestamptz, "end" timestamptz,
    samples integer, "window" interval,
    OUT "time" timestamptz, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_moving_average';

COMMENT ON FUNCTION historian.moving_average(regclass, text, timestamptz, timestamptz, integer, interval) IS
'As historian.moving_average(regclass, text, bigint, bigint, integer, bigint), with times as timestamptz, which come back so, rounded down to microseconds; the window is an interval without months; its days have 24 hours.';

CREATE FUNCTION historian.moving_average(
    "table" regclass, tag text, start timestamptz, "end" timestamptz,
    samples integer, "window" text,
    OUT "time" timestamptz, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_moving_average';

COMMENT ON FUNCTION historian.moving_average(regclass, text, timestamptz, timestamptz, integer, text) IS
'As historian.moving_average(regclass, text, bigint, bigint, integer, bigint), with times as timestamptz, which come back so, rounded down to microseconds; the window is an integer in nanoseconds, or an interval without months.';

CREATE FUNCTION historian.moving_average(
    "table" regclass, tag text, start text, "end" text,
    samples integer, "window" bigint,
    OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_moving_average';

COMMENT ON FUNCTION historian.moving_average(regclass, text, text, text, integer, bigint) IS
'As historian.moving_average(regclass, text, bigint, bigint, integer, bigint) for literals and parameters without a type: each time is an integer in nanoseconds, or what timestamptz takes. The times come back in nanoseconds.';

CREATE FUNCTION historian.moving_average(
    "table" regclass, tag text, start text, "end" text,
    samples integer, "window" interval,
    OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_moving_average';

COMMENT ON FUNCTION historian.moving_average(regclass, text, text, text, integer, interval) IS
'As historian.moving_average(regclass, text, bigint, bigint, integer, bigint) for literals and parameters without a type: each time is an integer in nanoseconds, or what timestamptz takes. The times come back in nanoseconds; the window is an interval without months; its days have 24 hours.';

CREATE FUNCTION historian.moving_average(
    "table" regclass, tag text, start text, "end" text,
    samples integer, "window" text,
    OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_moving_average';

COMMENT ON FUNCTION historian.moving_average(regclass, text, text, text, integer, text) IS
'As historian.moving_average(regclass, text, bigint, bigint, integer, bigint) for literals and parameters without a type: each time is an integer in nanoseconds, or what timestamptz takes. The times come back in nanoseconds; the window is an integer in nanoseconds, or an interval without months.';

CREATE FUNCTION historian.raw(
    "table" regclass, tag text, start timestamptz, "end" timestamptz,
    OUT "time" timestamptz, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 10000 COST 1000
AS 'MODULE_PATHNAME', 'historian_raw';

COMMENT ON FUNCTION historian.raw(regclass, text, timestamptz, timestamptz) IS
'As historian.raw(regclass, text, bigint, bigint), with times as timestamptz, which come back so, rounded down to microseconds. They may be infinite.';

CREATE FUNCTION historian.raw(
    "table" regclass, tag text, start text, "end" text,
    OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 10000 COST 1000
AS 'MODULE_PATHNAME', 'historian_raw';

COMMENT ON FUNCTION historian.raw(regclass, text, text, text) IS
'As historian.raw(regclass, text, bigint, bigint) for literals and parameters without a type: each time is an integer in nanoseconds, or what timestamptz takes. The times come back in nanoseconds. They may be infinite.';

CREATE FUNCTION historian.delete(
    "table" regclass, tag text, start timestamptz, "end" timestamptz)
RETURNS bigint
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'historian_delete';

COMMENT ON FUNCTION historian.delete(regclass, text, timestamptz, timestamptz) IS
'As historian.delete(regclass, text, bigint, bigint), with times as timestamptz. They may be infinite.';

CREATE FUNCTION historian.delete(
    "table" regclass, tag text, start text, "end" text)
RETURNS bigint
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'historian_delete';

COMMENT ON FUNCTION historian.delete(regclass, text, text, text) IS
'As historian.delete(regclass, text, bigint, bigint), for literals and parameters without a type: each time is an integer in nanoseconds, or what timestamptz takes. They may be infinite.';

CREATE FUNCTION historian.drop_before(
    "table" regclass, "time" timestamptz)
RETURNS bigint
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'historian_drop_before';

COMMENT ON FUNCTION historian.drop_before(regclass, timestamptz) IS
'As historian.drop_before(regclass, bigint), with a time as timestamptz. It may be infinite.';

CREATE FUNCTION historian.drop_before(
    "table" regclass, "time" text)
RETURNS bigint
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'historian_drop_before';

COMMENT ON FUNCTION historian.drop_before(regclass, text) IS
'As historian.drop_before(regclass, bigint), for literals and parameters without a type: the time is an integer in nanoseconds, or what timestamptz takes. An interval is not taken: give it its type.';

CREATE FUNCTION historian.drop_before(
    "table" regclass, older_than interval)
RETURNS bigint
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'historian_drop_before';

COMMENT ON FUNCTION historian.drop_before(regclass, interval) IS
'As historian.drop_before(regclass, bigint), for rows that are older than an interval, as of the begin of the transaction.';

-- The views have names like those of the functions, and of PostgreSQL's own: stat_*. The old names stay for one version.
CREATE VIEW historian.stat_tables AS
SELECT c.oid AS relid, n.nspname AS schemaname, c.relname, s.*
FROM pg_class c
     JOIN pg_am a ON a.oid = c.relam AND a.amname = 'historian'
     JOIN pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL historian.stat_get_table(c.oid) AS s
WHERE c.relkind IN ('r', 'm');

COMMENT ON VIEW historian.stat_tables IS
'The historian tables of this database: total_bytes is all that a table occupies (pg_total_relation_size); compacted_segments, _bytes and _rows are estimated from 128 of its pages, exact up to 1 MB; pending_segments, _bytes, _rows and the pending_tags that have some are counted: what compaction has yet to merge; late_segments, _bytes and _rows, estimated, hold rows that came late and wait for others of about their time. NULL while a table is locked exclusively. For members of pg_monitor.';

CREATE VIEW historian.stat_compaction AS
SELECT c.oid AS relid, n.nspname AS schemaname, c.relname, s.*
FROM pg_class c
     JOIN pg_am a ON a.oid = c.relam AND a.amname = 'historian'
     JOIN pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL historian.stat_get_compaction(c.oid) AS s
WHERE c.relkind IN ('r', 'm');

COMMENT ON VIEW historian.stat_compaction IS
'What compaction, in the background and by historian.compact(), has done to each historian table of this database since the start of the server: merges (of a tag), segments and bytes merged and written, rows written, how often the background worker left the table for its next round (deferred: others were compacting, deleting, altering or still loading) or met an error (failed), and the time of the last merge. NULL where historian is not in shared_preload_libraries; see stat_worker. For members of pg_monitor.';

CREATE VIEW historian.stat_worker AS
SELECT s.preloaded, s.enabled, s.counting_since, s.launcher_pid, s.rounds, s.round_begin,
    s.round_end, s.worker_pid, d.datname AS worker_database, s.worker_table, s.worker_since
FROM historian.stat_get_worker() AS s LEFT JOIN pg_database d ON d.oid = s.worker_database;

COMMENT ON VIEW historian.stat_worker IS
'Background compaction of the whole server, one row: whether historian is in shared_preload_libraries and historian.compaction is on; since when it counts; the launcher, its rounds, the begin of the last one and the end of the last that has ended; the worker at work, its database, the OID of its table there and since when it is at it. For members of pg_monitor.';

CREATE FUNCTION historian.stat_get_runs(
    "table" regclass, OUT level integer, OUT segments bigint, OUT bytes bigint, OUT "rows" bigint,
    OUT first_time bigint, OUT last_time bigint)
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'historian_stat_get_runs';

COMMENT ON FUNCTION historian.stat_get_runs(regclass) IS
'What the view historian.stat_runs shows of a table; no row for a table that is locked exclusively, or an unlogged one on a standby.';

CREATE VIEW historian.stat_runs AS
SELECT c.oid AS relid, n.nspname AS schemaname, c.relname, s.*
FROM pg_class c
     JOIN pg_am a ON a.oid = c.relam AND a.amname = 'historian'
     JOIN pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL historian.stat_get_runs(c.oid) AS s
WHERE c.relkind IN ('r', 'm');

COMMENT ON VIEW historian.stat_runs IS
'The sorted runs of the historian tables of this database, in which many tags of few rows share segments. A load writes a run of level 0. Four or more of these, or two of 100,000 rows together, are merged with the earlier runs that have at most six times the rows, so that a healthy table has some five runs besides the loads of the last rounds. Their segments and rows are among the pending ones of stat_tables. For members of pg_monitor.';
COMMENT ON COLUMN historian.stat_runs.relid IS 'the table';
COMMENT ON COLUMN historian.stat_runs.schemaname IS 'the schema of the table';
COMMENT ON COLUMN historian.stat_runs.relname IS 'the name of the table';
COMMENT ON COLUMN historian.stat_runs.level IS '0: a load has written the run; else that of the first run that was merged to it, or one more than the highest level of the others, whichever is higher';
COMMENT ON COLUMN historian.stat_runs.segments IS 'segments of the run';
COMMENT ON COLUMN historian.stat_runs.bytes IS 'bytes of these segments';
COMMENT ON COLUMN historian.stat_runs.rows IS 'rows in these segments';
COMMENT ON COLUMN historian.stat_runs.first_time IS 'the least time of the rows that the run had when it was written, in nanoseconds';
COMMENT ON COLUMN historian.stat_runs.last_time IS 'the greatest time of these rows, in nanoseconds';

REVOKE ALL ON FUNCTION historian.stat_get_runs(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION historian.stat_get_runs(regclass) TO pg_monitor;
GRANT SELECT ON historian.stat_tables, historian.stat_runs, historian.stat_compaction, historian.stat_worker TO pg_monitor;

COMMENT ON FUNCTION historian.stat_get_table(regclass) IS
'What the view historian.stat_tables shows of a table; NULL for a table that is locked exclusively, or an unlogged one on a standby.';
COMMENT ON FUNCTION historian.stat_get_compaction(regclass) IS
'What the view historian.stat_compaction shows of a table; NULL where historian is not in shared_preload_libraries.';
COMMENT ON FUNCTION historian.stat_get_worker() IS
'What the view historian.stat_worker shows.';

COMMENT ON COLUMN historian.stat_tables.relid IS 'the table';
COMMENT ON COLUMN historian.stat_tables.schemaname IS 'the schema of the table';
COMMENT ON COLUMN historian.stat_tables.relname IS 'the name of the table';
COMMENT ON COLUMN historian.stat_tables.total_bytes IS 'bytes of the table and its directory, as pg_total_relation_size() has them';
COMMENT ON COLUMN historian.stat_tables.compacted_segments IS 'compacted segments, estimated from 128 pages';
COMMENT ON COLUMN historian.stat_tables.compacted_bytes IS 'bytes of compacted segments, estimated';
COMMENT ON COLUMN historian.stat_tables.compacted_rows IS 'rows in compacted segments, estimated';
COMMENT ON COLUMN historian.stat_tables.pending_segments IS 'segments that wait for compaction';
COMMENT ON COLUMN historian.stat_tables.pending_bytes IS 'bytes of these segments';
COMMENT ON COLUMN historian.stat_tables.pending_rows IS 'rows in these segments';
COMMENT ON COLUMN historian.stat_tables.pending_tags IS 'tags with such segments';
COMMENT ON COLUMN historian.stat_tables.late_segments IS 'segments of rows that came late and wait for others of about their time, estimated';
COMMENT ON COLUMN historian.stat_tables.late_bytes IS 'bytes of these segments, estimated';
COMMENT ON COLUMN historian.stat_tables.late_rows IS 'rows in these segments, estimated';
COMMENT ON COLUMN historian.stat_compaction.relid IS 'the table';
COMMENT ON COLUMN historian.stat_compaction.schemaname IS 'the schema of the table';
COMMENT ON COLUMN historian.stat_compaction.relname IS 'the name of the table';
COMMENT ON COLUMN historian.stat_compaction.merges IS 'merges of a tag since the start of the server';
COMMENT ON COLUMN historian.stat_compaction.segments_merged IS 'segments that these merges have read';
COMMENT ON COLUMN historian.stat_compaction.segments_written IS 'segments that they have written';
COMMENT ON COLUMN historian.stat_compaction.bytes_merged IS 'bytes of the segments read';
COMMENT ON COLUMN historian.stat_compaction.bytes_written IS 'bytes of the segments written';
COMMENT ON COLUMN historian.stat_compaction.rows_written IS 'rows of the segments written';
COMMENT ON COLUMN historian.stat_compaction.deferred IS 'how often the background worker left the table for its next round';
COMMENT ON COLUMN historian.stat_compaction.failed IS 'how often it met an error';
COMMENT ON COLUMN historian.stat_compaction.last_merge IS 'when a merge was committed last';
COMMENT ON COLUMN historian.stat_worker.preloaded IS 'is historian in shared_preload_libraries?';
COMMENT ON COLUMN historian.stat_worker.enabled IS 'is compaction in the background on?';
COMMENT ON COLUMN historian.stat_worker.counting_since IS 'when the counters began, which is the start of the server';
COMMENT ON COLUMN historian.stat_worker.launcher_pid IS 'the process that starts workers';
COMMENT ON COLUMN historian.stat_worker.rounds IS 'rounds since the start of the server';
COMMENT ON COLUMN historian.stat_worker.round_begin IS 'when the last round began';
COMMENT ON COLUMN historian.stat_worker.round_end IS 'when the last round that ended has ended';
COMMENT ON COLUMN historian.stat_worker.worker_pid IS 'the worker at work; NULL: there is none';
COMMENT ON COLUMN historian.stat_worker.worker_database IS 'the database that it is in';
COMMENT ON COLUMN historian.stat_worker.worker_table IS 'the OID of the table that it works on, in that database';
COMMENT ON COLUMN historian.stat_worker.worker_since IS 'when it was started';

-- The same views under their old names: privileges and other views that refer to them stay valid.
CREATE OR REPLACE VIEW historian.historian_stat_tables AS SELECT * FROM historian.stat_tables;
CREATE OR REPLACE VIEW historian.historian_stat_compaction AS SELECT * FROM historian.stat_compaction;
CREATE OR REPLACE VIEW historian.historian_stat_worker AS SELECT * FROM historian.stat_worker;
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN SELECT 'historian_' || k.relname AS view, a.attname, pg_catalog.col_description(a.attrelid, a.attnum) AS text
        FROM pg_catalog.pg_class k JOIN pg_catalog.pg_attribute a ON a.attrelid = k.oid AND a.attnum > 0
        WHERE k.oid IN ('historian.stat_tables'::regclass, 'historian.stat_compaction'::regclass, 'historian.stat_worker'::regclass)
    LOOP
        EXECUTE pg_catalog.format('COMMENT ON COLUMN historian.%I.%I IS %L', c.view, c.attname, c.text);
    END LOOP;
END $$;

COMMENT ON VIEW historian.historian_stat_tables IS
'Deprecated: the old name of historian.stat_tables, which the next version will not have.';
COMMENT ON VIEW historian.historian_stat_compaction IS
'Deprecated: the old name of historian.stat_compaction, which the next version will not have.';
COMMENT ON VIEW historian.historian_stat_worker IS
'Deprecated: the old name of historian.stat_worker, which the next version will not have.';

-- The functions that change or check a table take a partitioned parent, too.
COMMENT ON FUNCTION historian.compact(regclass) IS
'Merges all pending segments of a historian table into full ones, and waits for the loads under way first. Tags that have few rows go on to share segments. Then moves segments from the end of the file to pages that VACUUM has found empty, if a tenth of the file becomes free, which the next VACUUM gives back. Loads and reads go on meanwhile. Returns the tags touched (of a partitioned parent those of each partition), the segments merged and written, and the rows in them, without those moved. The table may be a partitioned parent of historian tables. Needs ownership of the table and READ COMMITTED.';
COMMENT ON FUNCTION historian.compact_due(regclass) IS
'Does once what the background worker does each historian.compaction_interval: merges the pending segments of the tags that have a page of them, and those that many tags share. For servers without background workers. Waits for the loads under way first. Returns what historian.compact() does. The table may be a partitioned parent of historian tables. Needs ownership of the table and READ COMMITTED.';
COMMENT ON FUNCTION historian.delete(regclass, text, bigint, bigint) IS
'Deletes the rows of a tag with start <= time < end (nanoseconds) and returns their number. Quicker than DELETE, as segments within the range are not read. The table may be a partitioned parent of historian tables. Needs DELETE on the table.';
COMMENT ON FUNCTION historian.drop_before(regclass, bigint) IS
'Deletes the rows of all tags with a time (nanoseconds) less than the given and returns their number. VACUUM makes the space free for use. historian.set_retention() has it done by the background worker. The table may be a partitioned parent of historian tables. Needs DELETE on the table.';
COMMENT ON FUNCTION historian.check(regclass) IS
'Reads every segment of a historian table and its directory. One row for each fault: where the segment is (block, item), its tag and times as far as they can be read, and what is wrong. No row: the table is intact. Of a partitioned parent it checks all partitions, and each problem begins with the name of one. Loads and reads go on meanwhile. Needs ownership of the table.';

-- What a tag and its values are called (ADR 0021).  Policies and a trigger apply the privileges on the table that the
-- tag is of, so that whoever reads or writes it needs no other grant.
CREATE TABLE historian.tag (
    relid regclass NOT NULL,
    tag text COLLATE "C" NOT NULL,
    description text,
    interpolation text,
    max_silence interval,
    names text[],
    units text[],
    low float8[],
    high float8[],
    learned text[],
    PRIMARY KEY (relid, tag)
);

COMMENT ON TABLE historian.tag IS
'What is known of a tag of a table: a description, and for element k of its values a name, a unit, a low and a high limit at place k of the arrays. Those who may SELECT from the table see its rows, those who may INSERT into it change them. Rows are kept when samples are deleted, and go with the table.';
COMMENT ON COLUMN historian.tag.relid IS 'the table, or the partitioned parent that is read';
COMMENT ON COLUMN historian.tag.tag IS 'the tag, which need not have samples';
COMMENT ON COLUMN historian.tag.description IS 'what the tag is, for people';
COMMENT ON COLUMN historian.tag.interpolation IS 'step: a value holds until the next one; linear: values between two samples lie on a line; NULL: not known';
COMMENT ON COLUMN historian.tag.max_silence IS 'how long the tag may be without a new sample; NULL: not known';
COMMENT ON COLUMN historian.tag.names IS 'the names of the values, each once: element k is of values[k], NULL for a value without one';
COMMENT ON COLUMN historian.tag.units IS 'the units of the values, such as °C: element k is of values[k]';
COMMENT ON COLUMN historian.tag.low IS 'the least values that are normal, in their units: element k is of values[k]';
COMMENT ON COLUMN historian.tag.high IS 'the greatest values that are normal, in their units: element k is of values[k]';
COMMENT ON COLUMN historian.tag.learned IS 'the fields of POST /write: the field at place k is value k, for good; names are taken from here unless somebody set others';

SELECT pg_catalog.pg_extension_config_dump('historian.tag',
    'WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = relid)');

ALTER TABLE historian.tag ENABLE ROW LEVEL SECURITY;
CREATE POLICY as_the_table ON historian.tag
    USING (has_any_column_privilege(relid, 'SELECT') OR has_table_privilege(relid, 'INSERT'))
    WITH CHECK (has_table_privilege(relid, 'INSERT'));
COMMENT ON POLICY as_the_table ON historian.tag IS
'Rows are seen by those who may SELECT from the table that they are about, and changed by those who may INSERT into it.';
GRANT SELECT, INSERT, UPDATE, DELETE ON historian.tag TO PUBLIC;

-- Rows come by COPY by the hundred thousand, so that what most of them need is expressions, not queries.
CREATE FUNCTION historian.check_tag() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kind record;
    wrong text;
    every_name text;
    place integer;
BEGIN
    -- NULL where the table is gone, whose rows the event trigger deletes
    IF TG_OP <> 'INSERT' AND NOT has_table_privilege(OLD.relid, 'INSERT')
        OR TG_OP <> 'DELETE' AND NOT has_table_privilege(NEW.relid, 'INSERT') THEN
        RAISE EXCEPTION 'permission denied for tags of table %', CASE TG_OP WHEN 'INSERT' THEN NEW.relid ELSE OLD.relid END
            USING ERRCODE = 'insufficient_privilege',
                HINT = 'Those who may INSERT into a table may describe its tags.';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;

    IF TG_OP = 'INSERT' OR NEW.relid <> OLD.relid THEN
        SELECT c.relkind, c.relpersistence, c.relname INTO kind FROM pg_class c WHERE c.oid = NEW.relid;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'relation with OID % does not exist', NEW.relid::oid USING ERRCODE = 'undefined_table';
        ELSIF kind.relkind NOT IN ('r', 'p', 'f', 'm', 'v') THEN
            RAISE EXCEPTION '"%" is not a table', kind.relname USING ERRCODE = 'wrong_object_type';
        ELSIF kind.relpersistence = 't' THEN
            RAISE EXCEPTION 'tags of temporary table "%" cannot be described', kind.relname
                USING ERRCODE = 'feature_not_supported',
                    DETAIL = 'Rows of historian.tag are permanent.';
        END IF;
    END IF;

    IF octet_length(NEW.tag) NOT BETWEEN 1 AND 256 THEN
        RAISE EXCEPTION 'tag length of % bytes is out of range', octet_length(NEW.tag)
            USING ERRCODE = 'string_data_length_mismatch', DETAIL = 'A tag has 1 to 256 bytes.';
    ELSIF NEW.interpolation NOT IN ('step', 'linear') THEN
        RAISE EXCEPTION 'interpolation "%" of tag "%" is unknown', NEW.interpolation, NEW.tag
            USING ERRCODE = 'check_violation', TABLE = 'tag', SCHEMA = 'historian', COLUMN = 'interpolation',
                HINT = 'It is step, linear or NULL.';
    ELSIF NEW.max_silence <= interval '0' THEN
        RAISE EXCEPTION 'max_silence of tag "%" must be longer than nothing', NEW.tag
            USING ERRCODE = 'check_violation', TABLE = 'tag', SCHEMA = 'historian', COLUMN = 'max_silence';
    END IF;

    wrong := CASE
        WHEN array_ndims(NEW.names) > 1 OR array_lower(NEW.names, 1) <> 1 THEN 'names'
        WHEN array_ndims(NEW.units) > 1 OR array_lower(NEW.units, 1) <> 1 THEN 'units'
        WHEN array_ndims(NEW.low) > 1 OR array_lower(NEW.low, 1) <> 1 THEN 'low'
        WHEN array_ndims(NEW.high) > 1 OR array_lower(NEW.high, 1) <> 1 THEN 'high'
        WHEN array_ndims(NEW.learned) > 1 OR array_lower(NEW.learned, 1) <> 1 THEN 'learned' END;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION '% of tag "%" must be a one-dimensional array with lower bound 1', wrong, NEW.tag
            USING ERRCODE = 'check_violation', TABLE = 'tag', SCHEMA = 'historian', COLUMN = wrong;
    ELSIF greatest(cardinality(NEW.names), cardinality(NEW.units), cardinality(NEW.low), cardinality(NEW.high),
        cardinality(NEW.learned)) > 1000 THEN
        RAISE EXCEPTION 'tag "%" has % names, units or limits, but a row has at most 1000 values', NEW.tag,
            greatest(cardinality(NEW.names), cardinality(NEW.units), cardinality(NEW.low), cardinality(NEW.high), cardinality(NEW.learned))
            USING ERRCODE = 'check_violation', TABLE = 'tag', SCHEMA = 'historian';
    END IF;

    every_name := array_to_string(NEW.names, '');
    IF every_name ~ '[\x01-\x1f\x7f-\x9f]' OR '' = ANY (NEW.names) OR octet_length(every_name) > 256 THEN
        SELECT n.place INTO place FROM unnest(NEW.names) WITH ORDINALITY AS n(name, place)
            WHERE octet_length(n.name) NOT BETWEEN 1 AND 256 OR n.name ~ '[\x01-\x1f\x7f-\x9f]' LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'the name of value % of tag "%" must have 1 to 256 bytes and no control character', place, NEW.tag
                USING ERRCODE = 'check_violation', TABLE = 'tag', SCHEMA = 'historian', COLUMN = 'names',
                    HINT = 'NULL stands for a value without a name.';
        END IF;
    END IF;
    IF cardinality(NEW.names) > 1 THEN
        SELECT n.name INTO wrong FROM unnest(NEW.names) AS n(name)
            WHERE n.name IS NOT NULL GROUP BY n.name HAVING count(*) > 1 LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'tag "%" has two values with the name "%"', NEW.tag, wrong
                USING ERRCODE = 'check_violation', TABLE = 'tag', SCHEMA = 'historian', COLUMN = 'names';
        END IF;
    END IF;
    IF NEW.low IS NOT NULL OR NEW.high IS NOT NULL THEN
        SELECT l.place INTO place FROM unnest(NEW.low, NEW.high) WITH ORDINALITY AS l(low, high, place)
            WHERE l.low >= l.high OR l.low IN ('-Infinity', 'Infinity', 'NaN') OR l.high IN ('-Infinity', 'Infinity', 'NaN')
            LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'the limits of value % of tag "%" must be finite, and low less than high', place, NEW.tag
                USING ERRCODE = 'check_violation', TABLE = 'tag', SCHEMA = 'historian',
                    HINT = 'NULL stands for a value without a limit.';
        END IF;
    END IF;
    RETURN NEW;
END $$;

COMMENT ON FUNCTION historian.check_tag() IS
'The trigger of historian.tag: checks the privilege on the table that the tag is of, and what a row says.';

CREATE TRIGGER check_tag BEFORE INSERT OR UPDATE OR DELETE ON historian.tag
    FOR EACH ROW EXECUTE FUNCTION historian.check_tag();
COMMENT ON TRIGGER check_tag ON historian.tag IS 'Checks rows with errors that say what is wrong.';

-- An OID may be given to another table later, so that nothing may stay that is known of the tags of a dropped one.
CREATE FUNCTION historian.forget_tags() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM historian.tag t USING pg_event_trigger_dropped_objects() d
    WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND NOT d.is_temporary AND t.relid = d.objid;
END $$;

COMMENT ON FUNCTION historian.forget_tags() IS
'The event trigger that deletes the rows of historian.tag about tables that are dropped.';

CREATE EVENT TRIGGER historian_forget_tags ON sql_drop EXECUTE FUNCTION historian.forget_tags();
ALTER EVENT TRIGGER historian_forget_tags ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER historian_forget_tags IS
'Deletes the rows of historian.tag about tables that are dropped.';

CREATE VIEW historian.tag_value WITH (security_invoker = true) AS
SELECT t.relid, t.tag, v.element::integer AS element, v.name, v.unit, v.low, v.high
FROM historian.tag t
     CROSS JOIN LATERAL unnest(t.names, t.units, t.low, t.high) WITH ORDINALITY AS v(name, unit, low, high, element);

COMMENT ON VIEW historian.tag_value IS
'historian.tag with a row for each value: element is its place in values, from 1.';
GRANT SELECT ON historian.tag_value TO PUBLIC;
COMMENT ON COLUMN historian.tag_value.relid IS 'the table';
COMMENT ON COLUMN historian.tag_value.tag IS 'the tag';
COMMENT ON COLUMN historian.tag_value.element IS 'the place in values, from 1';
COMMENT ON COLUMN historian.tag_value.name IS 'the name of the value; NULL: it has none';
COMMENT ON COLUMN historian.tag_value.unit IS 'the unit of the value';
COMMENT ON COLUMN historian.tag_value.low IS 'the least value that is normal, in this unit';
COMMENT ON COLUMN historian.tag_value.high IS 'the greatest value that is normal, in this unit';

CREATE FUNCTION historian.tag_stat(
    "table" regclass, tag text,
    OUT first_time bigint, OUT last_time bigint, OUT samples bigint, OUT bytes bigint)
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100
AS 'MODULE_PATHNAME', 'historian_tag_stat';

COMMENT ON FUNCTION historian.tag_stat(regclass, text) IS
'The times (nanoseconds) of the first and last row of a tag, the exact number of its rows, and the bytes of the segments that hold them; NULL, NULL, 0 and 0 if it has none. The table may be a partitioned parent of historian tables. Needs SELECT on the table.';

CREATE FUNCTION historian.set_tag("table" regclass, tag text, metadata jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    unknown text;
    described historian.tag;
BEGIN
    IF jsonb_typeof(metadata) <> 'object' THEN
        RAISE EXCEPTION 'metadata must be a JSON object' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT k INTO unknown FROM jsonb_object_keys(metadata) k WHERE k NOT IN
        ('description', 'interpolation', 'max_silence', 'names', 'units', 'low', 'high',
         'tag', 'first', 'last', 'samples', 'bytes', 'segments', 'learned') LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'member "%" is unknown', unknown
            USING ERRCODE = 'invalid_parameter_value',
                HINT = 'Members are description, interpolation, max_silence, names, units, low and high.';
    ELSIF metadata ->> 'tag' <> set_tag.tag THEN
        RAISE EXCEPTION 'member "tag" names another tag' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    described := jsonb_populate_record(NULL::historian.tag,
        metadata - '{tag,first,last,samples,bytes,segments,learned}'::text[]);
    INSERT INTO historian.tag (relid, tag, description, interpolation, max_silence, names, units, low, high)
    VALUES ("table", set_tag.tag, described.description, described.interpolation, described.max_silence,
        described.names, described.units, described.low, described.high)
    ON CONFLICT ON CONSTRAINT tag_pkey DO UPDATE SET description = excluded.description,
        interpolation = excluded.interpolation, max_silence = excluded.max_silence, names = excluded.names,
        units = excluded.units, low = excluded.low, high = excluded.high;
END $$;

COMMENT ON FUNCTION historian.set_tag(regclass, text, jsonb) IS
'Replaces what historian.tag says of a tag by the members description, interpolation, max_silence, names, units, low and high of a JSON object; those that are missing become NULL. Ignores the other members of the answer of GET /tags/{tag}. Needs INSERT on the table.';

-- Servers that learn the same series at once write in the order of the tags, so that they wait for each other but do
-- not deadlock. What the row has when it is locked decides: fields are only added to it. The answer is read after that,
-- by a statement of its own, so that it has what others have added meanwhile.
CREATE FUNCTION historian.learn_names("table" regclass, series jsonb) RETURNS TABLE (tag text, fields text[])
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO historian.tag AS t (relid, tag, names, learned)
    SELECT $1, told.tag, told.names[:1000], told.names[:1000]
    FROM (SELECT s.tag COLLATE "C" AS tag, array_agg(DISTINCT f.name COLLATE "C" ORDER BY f.name COLLATE "C") AS names
          FROM jsonb_to_recordset($2) AS s(tag text, names jsonb)
              CROSS JOIN LATERAL jsonb_array_elements_text(s.names) AS f(name)
          GROUP BY 1) AS told
        LEFT JOIN historian.tag k ON k.relid = $1 AND k.tag = told.tag
    WHERE (told.names <@ k.learned) IS NOT TRUE
    ORDER BY told.tag
    ON CONFLICT ON CONSTRAINT tag_pkey DO UPDATE SET (learned, names) = (
        SELECT a.fields, CASE WHEN t.names = t.learned OR t.names IS NULL AND t.learned IS NULL THEN a.fields ELSE t.names END
        FROM (SELECT known.fields || ARRAY(
                  SELECT f.name FROM unnest(excluded.learned) WITH ORDINALITY AS f(name, place)
                  WHERE array_position(known.fields, f.name) IS NULL ORDER BY f.place)
              FROM (SELECT coalesce(t.learned, CASE WHEN t.names && excluded.learned THEN t.names ELSE '{}' END)) AS known(fields)
             ) AS a(fields))
    WHERE (excluded.learned <@ t.learned) IS NOT TRUE
        AND cardinality(coalesce(t.learned, t.names, '{}')) + (SELECT count(*) FROM unnest(excluded.learned) AS f(name)
            WHERE array_position(coalesce(t.learned, t.names), f.name) IS NULL) <= 1000;
    RETURN QUERY SELECT t.tag, t.learned FROM historian.tag t
        WHERE t.relid = $1 AND t.learned IS NOT NULL
            AND t.tag IN (SELECT s.tag FROM jsonb_to_recordset($2) AS s(tag text));
END $$;

COMMENT ON FUNCTION historian.learn_names(regclass, jsonb) IS
'For POST /write of historiand. Takes an array of {"tag":.., "names":[..]}, the names of fields of series, and returns the places that they have in the values of their series: the field at place k of fields is value k. Fields without a place get the next ones, in byte order of their names, which are kept as learned; a field never changes its place. If a series has none yet, those of its names that somebody has set are the places of the fields, if one of them is a field. names follow learned unless somebody has set them. Needs INSERT and SELECT on the table.';

CREATE FUNCTION historian.value_columns(names text[], count integer) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    used text[] := names[1:count] || '{time,tag}'::text[];
    columns text[] := '{}';
    name text;
BEGIN
    FOR i IN 1 .. count LOOP
        name := names[i];
        IF name IS NULL OR name IN ('time', 'tag') THEN
            name := coalesce(name, 'value') || '_' || i;
            WHILE name = ANY (used) LOOP
                name := name || '_' || i;
            END LOOP;
            used := used || name;
        END IF;
        columns := columns || name;
    END LOOP;
    RETURN columns;
END $$;

COMMENT ON FUNCTION historian.value_columns(text[], integer) IS
'Names of columns for the first count values with the given names. A value without a name is value_3, where 3 is its place; one that is called time or tag is time_3 or tag_3; if another value has such a name, _3 is appended once more.';

-- Everything is looked up as PostgreSQL's own, because the search_path of whoever makes a view may have operators of strangers.
CREATE FUNCTION historian.make_view(view text, tag text, source regclass, source_name text, schema name) RETURNS regclass
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    several boolean := strpos(tag, '%') > 0;
    pattern text := replace(replace(tag, '\', '\\'), '_', '\_');
    parts text[];
    view_name text;
    qualified_name text;
    from_table record;
    named record;
    columns text[];
    made regclass;
BEGIN
    IF view IS NULL OR tag IS NULL THEN
        RAISE EXCEPTION 'view and tag must not be NULL' USING ERRCODE = 'null_value_not_allowed';
    ELSIF source IS NULL THEN
        RAISE EXCEPTION 'relation "measurement" does not exist'
            USING ERRCODE = 'undefined_table', HINT = 'Name the table as the third argument.';
    END IF;
    BEGIN
        parts := parse_ident(view);
    EXCEPTION WHEN invalid_parameter_value THEN
        RAISE EXCEPTION 'view name % is not a name of SQL', quote_literal(view) USING ERRCODE = 'invalid_parameter_value',
            HINT = format('Quote it as in a statement: %L. A schema before it is quoted by itself.', quote_ident(view));
    END;
    IF cardinality(parts) > 2 THEN
        RAISE EXCEPTION 'view name "%" has more parts than schema and name', view USING ERRCODE = 'invalid_name';
    END IF;
    view_name := (SELECT string_agg(quote_ident(p.part), '.') FROM unnest(parts) AS p(part));
    qualified_name := CASE WHEN cardinality(parts) = 2 THEN view_name
        WHEN (SELECT c.relpersistence FROM pg_class c WHERE c.oid = source) = 't' THEN 'pg_temp.' || view_name
        ELSE quote_ident(schema) || '.' || view_name END;
    IF qualified_name IS NULL THEN
        RAISE EXCEPTION 'no schema has been selected to create in' USING ERRCODE = 'invalid_schema_name';
    END IF;

    SELECT format('%I.%I', n.nspname, c.relname) AS name,
        (SELECT count(*) = 3 AND count(DISTINCT a.atttypid) = 3 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
            AND NOT a.attisdropped AND a.atttypid IN ('int8'::regtype, 'text'::regtype, 'float8[]'::regtype)) AS fits,
        (SELECT min(a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.atttypid = 'int8'::regtype) AS at,
        (SELECT min(a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.atttypid = 'text'::regtype) AS tag,
        (SELECT min(a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.atttypid = 'float8[]'::regtype) AS "values"
        INTO from_table FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = source;
    IF from_table.fits IS NOT TRUE THEN
        RAISE EXCEPTION '% must have one bigint, one text and one double precision[] column', source_name
            USING ERRCODE = 'wrong_object_type', HINT = coalesce((
                SELECT format('Name the table that the view reads: %L.', min(d.refobjid::regclass::text))
                FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
                    AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> source
                WHERE w.ev_class = source HAVING count(*) > 0), 'Historian tables have these three columns and no other.');
    END IF;

    SELECT count(*) AS tags, min(t.names) AS names, max(t.names) AS other_names,
        min(t.description) AS description,
        (array_agg(t.tag ORDER BY t.names, t.tag))[1] AS first_tag, (array_agg(t.tag ORDER BY t.names DESC, t.tag))[1] AS other_tag,
        CASE WHEN min(t.units) IS NOT DISTINCT FROM max(t.units) THEN min(t.units) END AS units
        INTO named FROM historian.tag t
        WHERE t.relid = source AND cardinality(t.names) > 0
            AND CASE WHEN several THEN t.tag LIKE pattern ELSE t.tag = make_view.tag END;
    IF named.tags = 0 THEN
        RAISE EXCEPTION 'no tag % of table % has names for its values', CASE WHEN several THEN 'like ' ELSE '' END || quote_literal(tag), source_name
            USING ERRCODE = 'undefined_object', HINT = 'Set names in historian.tag, or by PUT /tags/{tag}.';
    ELSIF named.names <> named.other_names THEN
        RAISE EXCEPTION 'tags like % have different names for their values', quote_literal(tag)
            USING ERRCODE = 'object_not_in_prerequisite_state',
                DETAIL = format('Tag "%s" has %s, tag "%s" has %s.', named.first_tag, named.names, named.other_tag, named.other_names),
                HINT = 'Make a view for each kind of tag, or give all of them the same names.';
    END IF;

    columns := historian.value_columns(named.names, cardinality(named.names));
    FOR i IN 1 .. cardinality(columns) LOOP
        IF octet_length(columns[i]) > current_setting('max_identifier_length')::integer THEN
            RAISE EXCEPTION 'the name of value % is too long for a column: "%"', i, columns[i]
                USING ERRCODE = 'name_too_long',
                    DETAIL = format('A column''s name has at most %s bytes.', current_setting('max_identifier_length'));
        END IF;
    END LOOP;
    BEGIN
        EXECUTE format('CREATE OR REPLACE VIEW %s AS SELECT historian.to_timestamptz(%I) AS "time"%s%s FROM %s WHERE %I %s',
            qualified_name, from_table.at, CASE WHEN several THEN format(', %I AS tag', from_table.tag) END,
            (SELECT string_agg(format(', %I[%s] AS %I', from_table."values", c.place, c.name), '' ORDER BY c.place)
                FROM unnest(columns) WITH ORDINALITY AS c(name, place)),
            from_table.name, from_table.tag,
            CASE WHEN several THEN format('LIKE %L', pattern) ELSE format('= %L', tag) END);
    EXCEPTION WHEN invalid_table_definition THEN
        RAISE EXCEPTION USING MESSAGE = SQLERRM, ERRCODE = 'invalid_table_definition',
            DETAIL = format('View %s exists with other columns.', view_name),
            HINT = format('Drop it first: DROP VIEW %s.', view_name);
    WHEN wrong_object_type THEN
        RAISE EXCEPTION USING MESSAGE = SQLERRM, ERRCODE = 'wrong_object_type',
            HINT = 'Give the view another name, or drop what has it.';
    END;

    made := qualified_name::regclass;
    EXECUTE format('COMMENT ON VIEW %s IS %L', made, CASE WHEN several THEN format('tags like %L of %s', tag, from_table.name)
        ELSE coalesce(named.description, format('tag %L of %s', tag, from_table.name)) END);
    FOR i IN 1 .. cardinality(columns) LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', made, columns[i], named.units[i]);
    END LOOP;
    RETURN made;
END $$;

COMMENT ON FUNCTION historian.make_view(text, text, regclass, text, name) IS
'For historian.create_view(), which finds the table, and the schema for a view without one, by the search_path of its caller. source_name is how the caller sees the table.';

CREATE FUNCTION historian.create_view(view text, tag text, "table" regclass DEFAULT NULL) RETURNS regclass
LANGUAGE sql VOLATILE AS $$
    SELECT historian.make_view($1, $2, t.source, t.source::pg_catalog.text, pg_catalog.current_schema())
    FROM (SELECT coalesce($3, pg_catalog.to_regclass('measurement')) AS source) AS t
$$;

COMMENT ON FUNCTION historian.create_view(text, text, regclass) IS
'Makes or replaces a view with a row for each row of a tag: time as timestamptz, and a column for each value, which is named as historian.tag says (historian.value_columns() has the rule for missing names) and has the unit as its comment. If the tag has %, which stands for any characters, the view has all such tags, also those that come later, and a column tag. All tags with names must then have the same ones. The table is measurement unless given. An existing view is replaced if it has these columns, in this order, at its beginning. Needs what CREATE VIEW needs.';
-- Retention: the policies, which are dumped, and what the background worker has done by them.
CREATE TABLE historian.retention (
    relid regclass NOT NULL,
    tag_prefix text NOT NULL DEFAULT '',
    keep interval NOT NULL CHECK (keep > interval '0' AND date_part('year', keep) >= 0 AND date_part('month', keep) >= 0
        AND date_part('day', keep) >= 0 AND date_part('hour', keep) >= 0 AND date_part('minute', keep) >= 0
        AND date_part('second', keep) >= 0),
    PRIMARY KEY (relid, tag_prefix)) USING heap;
CREATE TABLE historian.retention_run (
    relid regclass NOT NULL,
    tag_prefix text NOT NULL,
    last_run timestamptz,
    cutoff bigint,
    rows_removed bigint NOT NULL,
    bytes_removed bigint NOT NULL,
    last_error text,
    PRIMARY KEY (relid, tag_prefix),
    FOREIGN KEY (relid, tag_prefix) REFERENCES historian.retention ON DELETE CASCADE) USING heap;

COMMENT ON TABLE historian.retention IS
'The retention policies that historian.set_retention() has made: rows of the relation whose tags have the prefix are kept for so long.';
COMMENT ON TABLE historian.retention_run IS
'What the background worker has done by the policies of historian.retention; historian.stat_retention shows it.';
COMMENT ON COLUMN historian.retention.relid IS 'the table, or the partitioned parent';
COMMENT ON COLUMN historian.retention.tag_prefix IS 'what the tags begin with; empty: all tags';
COMMENT ON COLUMN historian.retention.keep IS 'for how long rows are kept, counted back from the clock or from the newest row';
COMMENT ON COLUMN historian.retention_run.relid IS 'the table';
COMMENT ON COLUMN historian.retention_run.tag_prefix IS 'the prefix of the policy';
COMMENT ON COLUMN historian.retention_run.last_run IS 'when the policy was kept last; NULL: not since it was made or changed';
COMMENT ON COLUMN historian.retention_run.cutoff IS 'the time (nanoseconds) before which that run has removed the rows';
COMMENT ON COLUMN historian.retention_run.rows_removed IS 'rows removed since the policy was made';
COMMENT ON COLUMN historian.retention_run.bytes_removed IS 'bytes of segments removed, less those written anew';
COMMENT ON COLUMN historian.retention_run.last_error IS 'the error of the last run; NULL: it had none';

-- a policy of a table that is gone would name another one after a restore
SELECT pg_catalog.pg_extension_config_dump('historian.retention', 'WHERE relid IN (SELECT oid FROM pg_catalog.pg_class)');

-- The owner of a table dumps and restores its policies. For all else there is historian.set_retention().
ALTER TABLE historian.retention ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_owner ON historian.retention
    USING (EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = relid AND pg_catalog.pg_has_role(c.relowner, 'USAGE')));
COMMENT ON POLICY of_the_owner ON historian.retention IS
'Rows are seen, and inserted when a dump is restored, by those who own the table that they are about.';
GRANT SELECT, INSERT ON historian.retention TO PUBLIC;

-- An OID may be given to another table later, which must not get the policies of a dropped one.
CREATE FUNCTION historian.forget_retention() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM historian.retention p USING pg_event_trigger_dropped_objects() d
    WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND NOT d.is_temporary AND p.relid = d.objid;
END $$;

COMMENT ON FUNCTION historian.forget_retention() IS
'The event trigger that deletes the retention policies of tables that are dropped.';

CREATE EVENT TRIGGER historian_forget_retention ON sql_drop EXECUTE FUNCTION historian.forget_retention();
ALTER EVENT TRIGGER historian_forget_retention ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER historian_forget_retention IS
'Deletes the retention policies of tables that are dropped.';

CREATE FUNCTION historian.set_retention("table" regclass, keep interval, tag_prefix text DEFAULT '')
RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'historian_set_retention';

COMMENT ON FUNCTION historian.set_retention(regclass, interval, text) IS
'Has the background worker remove the rows that are older than an interval, of all tags or of those with a prefix; NULL removes the policy. Of several prefixes the longest that a tag has decides. The age is counted back from the clock or, if that is earlier, from the newest row of the table. The table may be a partitioned parent; partitions with policies of their own keep those alone. See historian.stat_retention. Needs ownership of the table.';

CREATE VIEW historian.stat_retention AS
SELECT p.relid, n.nspname AS schemaname, c.relname, p.tag_prefix, p.keep, r.last_run,
    historian.to_timestamptz(r.cutoff) AS cutoff, coalesce(r.rows_removed, 0) AS rows_removed,
    coalesce(r.bytes_removed, 0) AS bytes_removed, r.last_error
FROM historian.retention p
     JOIN pg_class c ON c.oid = p.relid
     JOIN pg_namespace n ON n.oid = c.relnamespace
     LEFT JOIN historian.retention_run r ON r.relid = p.relid AND r.tag_prefix = p.tag_prefix
WHERE pg_has_role(c.relowner, 'USAGE') OR pg_has_role('pg_monitor', 'USAGE');

COMMENT ON VIEW historian.stat_retention IS
'The retention policies of this database (historian.set_retention()), and what the background worker has done by them: last_run, the cutoff before which that run has removed the rows, rows_removed and bytes_removed since the policy was made, and last_error of the last run, NULL if there was none. Shows owners their own tables, and members of pg_monitor all.';

COMMENT ON COLUMN historian.stat_retention.relid IS 'the table, or the partitioned parent';
COMMENT ON COLUMN historian.stat_retention.schemaname IS 'the schema of the table';
COMMENT ON COLUMN historian.stat_retention.relname IS 'the name of the table';
COMMENT ON COLUMN historian.stat_retention.tag_prefix IS 'what the tags begin with; empty: all tags';
COMMENT ON COLUMN historian.stat_retention.keep IS 'for how long rows are kept';
COMMENT ON COLUMN historian.stat_retention.last_run IS 'when the policy was kept last; NULL: not since it was made or changed';
COMMENT ON COLUMN historian.stat_retention.cutoff IS 'the time before which the last run has removed the rows; NULL: the policy has not been kept yet, the table had no rows, or the interval reaches back beyond 1677, the first time that a bigint has';
COMMENT ON COLUMN historian.stat_retention.rows_removed IS 'rows removed since the policy was made';
COMMENT ON COLUMN historian.stat_retention.bytes_removed IS 'bytes of segments removed since then, less those written anew';
COMMENT ON COLUMN historian.stat_retention.last_error IS 'the error of the last run; NULL: it had none';

GRANT SELECT ON historian.stat_retention TO PUBLIC;

-- How far imports have come (ADR 0029). The program historian writes it in the transactions that load the rows.
CREATE TABLE historian.import_progress (
    relid regclass NOT NULL,
    source text COLLATE "C" NOT NULL,
    options text NOT NULL,
    head text NOT NULL,
    bytes bigint NOT NULL DEFAULT 0,
    lines bigint NOT NULL DEFAULT 0,
    rows bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    rejects_bytes bigint NOT NULL DEFAULT 0,
    started timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    finished timestamptz,
    PRIMARY KEY (relid, source)) USING heap;

COMMENT ON TABLE historian.import_progress IS
'How far each import by the command historian import has come: a row for a table and a source, such as the path of a file. It is written in the transactions that load the rows, so that an import that was ended goes on where its committed rows end. Those who may INSERT into the table see and change its rows. A row may be deleted; its source is then imported from the begin.';
COMMENT ON COLUMN historian.import_progress.relid IS 'the table that the source is loaded into';
COMMENT ON COLUMN historian.import_progress.source IS 'the path of the file, or the name that --name gives';
COMMENT ON COLUMN historian.import_progress.options IS 'the options that decide how the source is read';
COMMENT ON COLUMN historian.import_progress.head IS 'the number of first bytes of the file and their hash, by which it is known again';
COMMENT ON COLUMN historian.import_progress.bytes IS 'how much of the source is imported, counted after decompression';
COMMENT ON COLUMN historian.import_progress.lines IS 'the line at which the import goes on, from 1';
COMMENT ON COLUMN historian.import_progress.rows IS 'the rows that were loaded';
COMMENT ON COLUMN historian.import_progress.rejected IS 'the records that were rejected';
COMMENT ON COLUMN historian.import_progress.rejects_bytes IS 'the length of the file of rejects';
COMMENT ON COLUMN historian.import_progress.started IS 'when the import began';
COMMENT ON COLUMN historian.import_progress.updated IS 'when rows were committed last';
COMMENT ON COLUMN historian.import_progress.finished IS 'when the end of the source was reached; NULL: it was not';

-- Those of a table that is gone would be those of another one after a restore.
SELECT pg_catalog.pg_extension_config_dump('historian.import_progress',
    'WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = relid)');

ALTER TABLE historian.import_progress ENABLE ROW LEVEL SECURITY;
CREATE POLICY as_the_table ON historian.import_progress USING (has_table_privilege(relid, 'INSERT'));
COMMENT ON POLICY as_the_table ON historian.import_progress IS
'Rows are seen and changed by those who may INSERT into the table that they are about.';
GRANT SELECT, INSERT, UPDATE, DELETE ON historian.import_progress TO PUBLIC;

CREATE FUNCTION historian.forget_imports() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM historian.import_progress p USING pg_event_trigger_dropped_objects() d
    WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND NOT d.is_temporary AND p.relid = d.objid;
END $$;

COMMENT ON FUNCTION historian.forget_imports() IS
'The event trigger that deletes the rows of historian.import_progress about tables that are dropped.';

CREATE EVENT TRIGGER historian_forget_imports ON sql_drop EXECUTE FUNCTION historian.forget_imports();
ALTER EVENT TRIGGER historian_forget_imports ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER historian_forget_imports IS
'Deletes the rows of historian.import_progress about tables that are dropped.';

-- A procedure, because a transaction cannot use the room that it frees itself.
CREATE PROCEDURE historian.shrink("table" regclass)
LANGUAGE C
AS 'MODULE_PATHNAME', 'historian_shrink';

COMMENT ON PROCEDURE historian.shrink(regclass) IS
'Compacts a historian table as historian.compact() does, frees the room of what was merged, moves segments from the end of the file there, and gives the end back: what VACUUM FULL does, without a copy of the table and without locking it for long. Loads and reads go on meanwhile. Commits after each step, so it cannot run inside a transaction block. The table may be a partitioned parent of historian tables. Needs ownership of the table and READ COMMITTED.';

-- Who changed what is stored (ADR 0038). Nobody may write it but the functions of the extension.
CREATE TABLE historian.audit (
    "time" timestamptz NOT NULL DEFAULT clock_timestamp(),
    session_user_name name NOT NULL,
    user_name name NOT NULL,
    actor text,
    application_name text DEFAULT current_setting('application_name'),
    client_address inet DEFAULT inet_client_addr(),
    action text NOT NULL,
    relid regclass,
    table_name text NOT NULL,
    tag text,
    first_time bigint,
    last_time bigint,
    rows bigint,
    detail text) USING heap;

COMMENT ON TABLE historian.audit IS
'Who deleted rows by historian.delete() or historian.drop_before(), replaced samples by historian.replace(), renamed tags, changed or deleted rows of historian.tag, or set retention: a row for each command and table, in its transaction. Those who may SELECT from the table that it is about see it. DELETE, UPDATE, TRUNCATE and DROP in SQL are not here: log them by PostgreSQL (log_statement, pgaudit).';
COMMENT ON COLUMN historian.audit."time" IS 'when';
COMMENT ON COLUMN historian.audit.session_user_name IS 'the role that has connected';
COMMENT ON COLUMN historian.audit.user_name IS 'the role whose privileges held, after SET ROLE or in a SECURITY DEFINER function';
COMMENT ON COLUMN historian.audit.actor IS 'historian.actor: in whose name a client says that it acts, such as the name of a token of historiand';
COMMENT ON COLUMN historian.audit.application_name IS 'what the client says of itself';
COMMENT ON COLUMN historian.audit.client_address IS 'the address of the client; NULL: a Unix socket';
COMMENT ON COLUMN historian.audit.action IS 'delete, drop before, replace, rename, set metadata, delete metadata, set retention, or what a caller of historian.audit_note() says';
COMMENT ON COLUMN historian.audit.relid IS 'the table; NULL: it was dropped since';
COMMENT ON COLUMN historian.audit.table_name IS 'the name of the table at that time';
COMMENT ON COLUMN historian.audit.tag IS 'the tag, or of retention the prefix; NULL: several tags';
COMMENT ON COLUMN historian.audit.first_time IS 'the first time, in nanoseconds, that the action was about';
COMMENT ON COLUMN historian.audit.last_time IS 'the last time';
COMMENT ON COLUMN historian.audit.rows IS 'how many rows were deleted, or the metadata of how many tags was changed';
COMMENT ON COLUMN historian.audit.detail IS 'more about it, such as the interval of retention';

-- Whoever may insert it when the dump is restored sees all of it; other roles dump none of it.
SELECT pg_catalog.pg_extension_config_dump('historian.audit',
    'WHERE pg_catalog.pg_has_role(''pg_read_all_data'', ''USAGE'')');
-- It has no key, because a restore writes rows of its own before the old ones come back. Where it is replicated, rows are
-- found by all that they have.
ALTER TABLE historian.audit REPLICA IDENTITY FULL;
ALTER TABLE historian.audit ENABLE ROW LEVEL SECURITY;
CREATE POLICY as_the_table ON historian.audit FOR SELECT
    USING (has_any_column_privilege(relid, 'SELECT') OR pg_has_role('pg_read_all_data', 'USAGE'));
COMMENT ON POLICY as_the_table ON historian.audit IS
'Rows are seen by those who may SELECT from the table that they are about; those of a table that is gone by members of pg_read_all_data.';
GRANT SELECT ON historian.audit TO PUBLIC;

CREATE FUNCTION historian.audit_note(
    action text, "table" regclass, tag text DEFAULT NULL, first_time bigint DEFAULT NULL, last_time bigint DEFAULT NULL,
    rows bigint DEFAULT NULL, detail text DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'historian_audit_note';

COMMENT ON FUNCTION historian.audit_note(text, regclass, text, bigint, bigint, bigint, text) IS
'Adds a row to historian.audit in the name of the caller, for what a function of yours has done. Needs INSERT, UPDATE or DELETE on the table.';

-- A row for each command and table: COPY describes tags by the hundred thousand. What POST /write learns is no change.
CREATE FUNCTION historian.audit_tag() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed record;
BEGIN
    IF TG_OP = 'DELETE' THEN
        -- the rows of a table that was dropped are deleted after it
        FOR changed IN SELECT o.relid, min(o.tag) AS tag, count(*) FROM old_rows o JOIN pg_class c ON c.oid = o.relid GROUP BY o.relid LOOP
            PERFORM historian.audit_note('delete metadata', changed.relid, CASE WHEN changed.count = 1 THEN changed.tag END,
                rows => changed.count);
        END LOOP;
    ELSIF TG_OP = 'INSERT' THEN
        FOR changed IN SELECT n.relid, min(n.tag) AS tag, count(*) FROM new_rows n
            WHERE num_nonnulls(n.description, n.interpolation, n.max_silence, nullif(n.names, n.learned), n.units, n.low, n.high) > 0
            GROUP BY n.relid LOOP
            PERFORM historian.audit_note('set metadata', changed.relid, CASE WHEN changed.count = 1 THEN changed.tag END,
                rows => changed.count);
        END LOOP;
    ELSE
        FOR changed IN SELECT c.relid, min(c.tag) AS tag, count(*) FROM (
                SELECT n.relid, n.tag, n.description, n.interpolation, n.max_silence, nullif(n.names, n.learned), n.units, n.low, n.high FROM new_rows n
                EXCEPT
                SELECT o.relid, o.tag, o.description, o.interpolation, o.max_silence, nullif(o.names, o.learned), o.units, o.low, o.high FROM old_rows o) c
            GROUP BY c.relid LOOP
            PERFORM historian.audit_note('set metadata', changed.relid, CASE WHEN changed.count = 1 THEN changed.tag END,
                rows => changed.count);
        END LOOP;
    END IF;
    RETURN NULL;
END $$;

COMMENT ON FUNCTION historian.audit_tag() IS 'The triggers that record changes of historian.tag in historian.audit.';

CREATE TRIGGER audit_insert AFTER INSERT ON historian.tag REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION historian.audit_tag();
CREATE TRIGGER audit_update AFTER UPDATE ON historian.tag REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION historian.audit_tag();
CREATE TRIGGER audit_delete AFTER DELETE ON historian.tag REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION historian.audit_tag();
COMMENT ON TRIGGER audit_insert ON historian.tag IS 'Records new rows in historian.audit.';
COMMENT ON TRIGGER audit_update ON historian.tag IS 'Records changed rows in historian.audit.';
COMMENT ON TRIGGER audit_delete ON historian.tag IS 'Records deleted rows in historian.audit.';

CREATE FUNCTION historian.keep_audit() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE historian.audit a SET relid = NULL FROM pg_event_trigger_dropped_objects() d
    WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND NOT d.is_temporary AND a.relid = d.objid;
END $$;

COMMENT ON FUNCTION historian.keep_audit() IS
'The event trigger that keeps the rows of historian.audit about tables that are dropped, without the table.';

CREATE EVENT TRIGGER historian_keep_audit ON sql_drop EXECUTE FUNCTION historian.keep_audit();
ALTER EVENT TRIGGER historian_keep_audit ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER historian_keep_audit IS
'Keeps the rows of historian.audit about tables that are dropped, without the table.';

-- The least that a reader and a writer need (docs/security.md#roles). The roles are the cluster's, so that they are made
-- by a call and not by CREATE EXTENSION.
CREATE PROCEDURE historian.grant_reader("table" regclass, role name DEFAULT 'historian_reader')
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', role);
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I',
        (SELECT nspname FROM pg_namespace n JOIN pg_class c ON n.oid = c.relnamespace WHERE c.oid = "table"), role);
    EXECUTE format('GRANT SELECT ON %s TO %I', "table", role);
    -- GRANT only warns where the caller may not
    IF NOT has_table_privilege(role, "table", 'SELECT') THEN
        RAISE EXCEPTION 'privileges on table % were not granted', "table" USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$;

COMMENT ON PROCEDURE historian.grant_reader(regclass, name) IS
'Gives a role what it takes to read a table by SQL and by historiand: USAGE on its schema and SELECT on the table. A role that is not there is made, without LOGIN: GRANT historian_reader TO alice. Needs what GRANT and CREATE ROLE need.';

CREATE PROCEDURE historian.grant_writer("table" regclass, role name DEFAULT 'historian_writer')
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    CALL historian.grant_reader("table", role);
    EXECUTE format('GRANT INSERT ON %s TO %I', "table", role);
    IF NOT has_table_privilege(role, "table", 'INSERT') THEN
        RAISE EXCEPTION 'privileges on table % were not granted', "table" USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$;

COMMENT ON PROCEDURE historian.grant_writer(regclass, name) IS
'Gives a role what historiand takes to load and read a table: what historian.grant_reader() gives, and INSERT on the table. It can neither change nor delete rows, but a later row of the same tag and time replaces an earlier one.';

-- Rows in columns, by which historiand loads (ADR 0030).
CREATE FUNCTION historian.bundle_hindrance("table" regclass) RETURNS text
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'historian_bundle_hindrance';

COMMENT ON FUNCTION historian.bundle_hindrance(regclass) IS
'Why the table takes no rows by historian.bundle, so that COPY into the table itself must be used; NULL if it takes them.';

CREATE FUNCTION historian.insert_bundle() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'historian_insert_bundle';
REVOKE EXECUTE ON FUNCTION historian.insert_bundle() FROM PUBLIC;

COMMENT ON FUNCTION historian.insert_bundle() IS
'The trigger of the view historian.bundle. Not to be called.';

CREATE VIEW historian.bundle ("table", "rows") AS SELECT NULL::regclass, NULL::bytea WHERE false;
GRANT INSERT ON historian.bundle TO PUBLIC;

COMMENT ON VIEW historian.bundle IS
'COPY into this view stores many rows of a historian table for each of its own: "rows" has them in columns. historiand loads so. The format may change with each version. Needs INSERT on the table.';

COMMENT ON COLUMN historian.bundle."table" IS 'the historian table';
COMMENT ON COLUMN historian.bundle."rows" IS 'rows of it, in the format of a bundle';

CREATE TRIGGER insert_bundle INSTEAD OF INSERT ON historian.bundle
FOR EACH ROW EXECUTE FUNCTION historian.insert_bundle();

COMMENT ON TRIGGER insert_bundle ON historian.bundle IS
'Stores the rows of a bundle.';

-- Archive operations (ADR 0041).
CREATE FUNCTION historian.rename_samples("table" regclass, tag text, new_tag text) RETURNS bigint
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'historian_rename_samples';

COMMENT ON FUNCTION historian.rename_samples(regclass, text, text) IS
'For historian.rename(): gives the samples of a tag another tag and returns their number, or NULL if the table is partitioned by the tag, or has foreign partitions, CHECK constraints, generated columns or triggers, so that an UPDATE must do it. Needs SELECT and UPDATE on the table.';

-- has_any_column_privilege() asks for the caller in a view; in a SECURITY DEFINER function it would for the definer
CREATE VIEW historian.own_retention WITH (security_barrier) AS
SELECT p.relid, p.tag_prefix, p.keep FROM historian.retention p WHERE has_any_column_privilege(p.relid, 'SELECT');

COMMENT ON VIEW historian.own_retention IS
'For historian.rename(): the retention policies of the tables that the caller may read.';
COMMENT ON COLUMN historian.own_retention.relid IS 'the table, or the partitioned parent';
COMMENT ON COLUMN historian.own_retention.tag_prefix IS 'what the tags begin with; empty: all tags';
COMMENT ON COLUMN historian.own_retention.keep IS 'for how long rows are kept';
GRANT SELECT ON historian.own_retention TO PUBLIC;

CREATE FUNCTION historian.rename("table" regclass, tag text, new_tag text) RETURNS bigint
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    renamed bigint;
    described boolean := false;
    own_keep interval;
    tag_column name;
    by_bytes text;
BEGIN
    IF tag = new_tag THEN
        RAISE EXCEPTION 'new tag "%" is the same', new_tag USING ERRCODE = 'invalid_parameter_value';
    END IF;
    renamed := historian.rename_samples("table", tag, new_tag);
    IF renamed IS NULL THEN
        -- a nondeterministic collation would take different tags for the same
        SELECT a.attname, CASE WHEN c.collisdeterministic THEN '' ELSE 'COLLATE "C"' END INTO tag_column, by_bytes
            FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation
            WHERE a.attrelid = "table" AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = 'text'::regtype;
        EXECUTE format('UPDATE %1$s SET %2$I = $2 WHERE %2$I %3$s = $1', "table", tag_column, by_bytes) USING tag, new_tag;
        GET DIAGNOSTICS renamed = ROW_COUNT;
    END IF;

    IF EXISTS (SELECT FROM historian.tag t WHERE t.relid = "table" AND t.tag = rename.tag) THEN
        IF EXISTS (SELECT FROM historian.tag t WHERE t.relid = "table" AND t.tag = new_tag) THEN
            RAISE EXCEPTION 'tag "%" of table % has metadata already', new_tag, "table"
                USING ERRCODE = 'duplicate_object', HINT = 'Delete one of both rows of historian.tag first.';
        END IF;
        UPDATE historian.tag t SET tag = new_tag WHERE t.relid = "table" AND t.tag = rename.tag;
        described := true;
    END IF;
    UPDATE historian.annotation a SET tag = new_tag WHERE a.relid = "table" AND a.tag = rename.tag;
    described := described OR FOUND;
    DELETE FROM historian.stale_state s WHERE s.relid = "table" AND s.tag = new_tag;
    UPDATE historian.stale_state s SET tag = new_tag WHERE s.relid = "table" AND s.tag = rename.tag;
    -- its next transition is told after those that wait, which keep the name that it had
    UPDATE historian.stale_event e SET tag = new_tag WHERE e.relid = "table" AND e.tag = rename.tag;

    -- a tag that has a policy to itself must not fall under the shorter one of others
    own_keep := (SELECT p.keep FROM historian.own_retention p WHERE p.relid = "table" AND p.tag_prefix = tag);
    IF own_keep IS NOT NULL
        AND NOT EXISTS (SELECT FROM historian.own_retention p WHERE p.relid = "table" AND p.tag_prefix = new_tag) THEN
        PERFORM historian.set_retention("table", own_keep, new_tag);
    END IF;
    IF renamed > 0 OR described THEN
        PERFORM historian.audit_note('rename', "table", tag, rows => renamed, detail => 'to ' || new_tag);
    END IF;
    RETURN renamed;
END $$;

COMMENT ON FUNCTION historian.rename(regclass, text, text) IS
'Renames a tag: its samples, its row of historian.tag, its rows of historian.annotation, and (also, for it alone, while the former one stays) a retention policy whose prefix is the whole tag. Returns the number of samples. The new tag must have neither samples nor metadata. Segments are copied without decoding them if the new tag has at most 64 bytes; of those for which a longer one leaves no room, and of those that version 0.2 has written, the samples are decoded. Loads that commit later stay under the former tag. The table may be a partitioned parent of historian tables; if it is partitioned by the tag, or has CHECK constraints or triggers, this is an UPDATE. Needs SELECT and UPDATE on the table, INSERT if the tag has metadata or annotations, and ownership if it has a policy of its own.';

CREATE FUNCTION historian.time_ns("time" text) RETURNS bigint
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_time_ns';

COMMENT ON FUNCTION historian.time_ns(text) IS
'The time in nanoseconds that a text means where a function takes one: an integer in nanoseconds, or what timestamptz takes, with nine digits of a second.';

-- times are as many as the values' first dimension; the values of one sample are the second one
CREATE FUNCTION historian.replace("table" regclass, tag text, start bigint, "end" bigint, times bigint[], "values" float8[])
RETURNS bigint
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    width integer := CASE array_ndims("values") WHEN 1 THEN 1 ELSE array_length("values", 2) END;
    wrong bigint;
BEGIN
    IF array_ndims(times) > 1 OR array_ndims("values") > 2
        OR cardinality(times) <> coalesce(array_length("values", 1), 0) THEN
        RAISE EXCEPTION 'there are % times, but values for % samples', cardinality(times), coalesce(array_length("values", 1), 0)
            USING ERRCODE = 'array_subscript_error',
                HINT = 'values has one dimension (a value for each time), or two: the values of sample i are values[i][1], values[i][2] and so on.';
    ELSIF array_position(times, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'times must not be NULL' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    SELECT t INTO wrong FROM unnest(times) t WHERE t < start OR t >= "end" LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'time % is not within the range that is replaced', wrong
            USING ERRCODE = 'invalid_parameter_value', DETAIL = format('Times are at least %s and less than %s.', start, "end");
    END IF;

    -- keeps other replacements and deletions of the table away until the transaction ends
    PERFORM historian.delete("table", tag, start, "end");
    EXECUTE historian.insert_statement("table",
        'SELECT t.time, $1, v.elements FROM unnest($2) WITH ORDINALITY AS t(time, row)
             JOIN (SELECT (u.place - 1) / $4 + 1 AS row, array_agg(u.value ORDER BY u.place) AS elements
                   FROM unnest($3) WITH ORDINALITY AS u(value, place) GROUP BY 1) AS v USING (row)
         ORDER BY row')
        USING tag, times, "values", width;
    PERFORM historian.audit_note('replace', "table", tag, start, "end" - 1, (SELECT count(DISTINCT t) FROM unnest(times) t));
    RETURN (SELECT count(DISTINCT t) FROM unnest(times) t);
END $$;

COMMENT ON FUNCTION historian.replace(regclass, text, bigint, bigint, bigint[], float8[]) IS
'Replaces the samples of a tag with start <= time < end (nanoseconds) by those given, in one transaction: what was there goes, what is given comes. So a second call changes nothing. times has the times of the samples, within the range; values has a value for each of them, or in two dimensions the values of each: array_agg(time), array_agg(values) of a query are such arrays. Of one time the last sample stays. Returns the number of samples. Other replacements and deletions of the table wait until the transaction ends. The table may be a partitioned parent of historian tables. Needs DELETE and INSERT on the table.';

CREATE FUNCTION historian.insert_statement("table" regclass, query text) RETURNS text
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('INSERT INTO %s (%I, %I, %I) %s', $1,
        min(a.attname) FILTER (WHERE a.atttypid = 'int8'::regtype),
        min(a.attname) FILTER (WHERE a.atttypid = 'text'::regtype),
        min(a.attname) FILTER (WHERE a.atttypid = 'float8[]'::regtype), $2)
    FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
$$;

COMMENT ON FUNCTION historian.insert_statement(regclass, text) IS
'For historian.replace(): the text of the INSERT of a query for time, tag and values into a table, whatever its columns are called.';

CREATE FUNCTION historian.replace("table" regclass, tag text, start bigint, "end" bigint, samples jsonb)
RETURNS bigint
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wrong jsonb;
    times bigint[];
BEGIN
    IF jsonb_typeof(samples) <> 'array' THEN
        RAISE EXCEPTION 'samples must be a JSON array' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT s INTO wrong FROM jsonb_array_elements(samples) s
        WHERE jsonb_typeof(s) <> 'object' OR coalesce(jsonb_typeof(s -> 'time'), '') NOT IN ('number', 'string')
            OR coalesce(jsonb_typeof(s -> 'values'), '') NOT IN ('array', 'null') LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'sample % must have the members time and values', wrong
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Such as {"time": 1767225600000000000, "values": [20.5, null]}.';
    END IF;
    times := ARRAY(SELECT historian.time_ns(s ->> 'time') FROM jsonb_array_elements(samples) WITH ORDINALITY AS e(s, place) ORDER BY place);
    SELECT to_jsonb(t) INTO wrong FROM unnest(times) t WHERE t < start OR t >= "end" LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'time % is not within the range that is replaced', wrong
            USING ERRCODE = 'invalid_parameter_value', DETAIL = format('Times are at least %s and less than %s.', start, "end");
    END IF;

    PERFORM historian.delete("table", tag, start, "end");
    EXECUTE historian.insert_statement("table",
        'SELECT t.time, $1, CASE jsonb_typeof(e.sample -> ''values'') WHEN ''array''
                 THEN translate((e.sample -> ''values'')::text, ''[]'', ''{}'')::float8[] END
         FROM unnest($2) WITH ORDINALITY AS t(time, row) JOIN jsonb_array_elements($3) WITH ORDINALITY AS e(sample, row) USING (row)
         ORDER BY row')
        USING tag, times, samples;
    PERFORM historian.audit_note('replace', "table", tag, start, "end" - 1, (SELECT count(DISTINCT t) FROM unnest(times) t));
    RETURN (SELECT count(DISTINCT t) FROM unnest(times) t);
END $$;

COMMENT ON FUNCTION historian.replace(regclass, text, bigint, bigint, jsonb) IS
'As historian.replace(regclass, text, bigint, bigint, bigint[], float8[]), with the samples as a JSON array of {"time": .., "values": [..]}, which may have different numbers of values, or null for values. A time is an integer in nanoseconds or a string that timestamptz takes.';

CREATE FUNCTION historian.replace("table" regclass, tag text, start timestamptz, "end" timestamptz, times timestamptz[], "values" float8[])
RETURNS bigint
LANGUAGE sql VOLATILE STRICT AS $$
    SELECT historian.replace($1, $2, historian.to_ns($3), historian.to_ns($4),
        ARRAY(SELECT historian.to_ns(t.time) FROM pg_catalog.unnest($5) WITH ORDINALITY AS t("time", place) ORDER BY t.place), $6)
$$;

COMMENT ON FUNCTION historian.replace(regclass, text, timestamptz, timestamptz, timestamptz[], float8[]) IS
'As historian.replace(regclass, text, bigint, bigint, bigint[], float8[]), with times as timestamptz.';

CREATE FUNCTION historian.replace("table" regclass, tag text, start timestamptz, "end" timestamptz, samples jsonb)
RETURNS bigint
LANGUAGE sql VOLATILE STRICT AS $$
    SELECT historian.replace($1, $2, historian.to_ns($3), historian.to_ns($4), $5)
$$;

COMMENT ON FUNCTION historian.replace(regclass, text, timestamptz, timestamptz, jsonb) IS
'As historian.replace(regclass, text, bigint, bigint, jsonb), with times as timestamptz.';

CREATE FUNCTION historian.replace("table" regclass, tag text, start text, "end" text, times text[], "values" float8[])
RETURNS bigint
LANGUAGE sql VOLATILE STRICT AS $$
    SELECT historian.replace($1, $2, historian.time_ns($3), historian.time_ns($4),
        ARRAY(SELECT historian.time_ns(t.time) FROM pg_catalog.unnest($5) WITH ORDINALITY AS t("time", place) ORDER BY t.place), $6)
$$;

COMMENT ON FUNCTION historian.replace(regclass, text, text, text, text[], float8[]) IS
'As historian.replace(regclass, text, bigint, bigint, bigint[], float8[]), for literals and parameters without a type: each time is an integer in nanoseconds, or what timestamptz takes.';

CREATE FUNCTION historian.replace("table" regclass, tag text, start text, "end" text, samples jsonb)
RETURNS bigint
LANGUAGE sql VOLATILE STRICT AS $$
    SELECT historian.replace($1, $2, historian.time_ns($3), historian.time_ns($4), $5)
$$;

COMMENT ON FUNCTION historian.replace(regclass, text, text, text, jsonb) IS
'As historian.replace(regclass, text, bigint, bigint, jsonb), for literals and parameters without a type: each time is an integer in nanoseconds, or what timestamptz takes.';

CREATE FUNCTION historian.tag_info(
    "table" regclass, tag text,
    OUT first_time bigint, OUT last_time bigint, OUT samples bigint, OUT segments bigint, OUT bytes bigint,
    OUT width integer, OUT compression float8)
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100
AS 'MODULE_PATHNAME', 'historian_tag_info';

COMMENT ON FUNCTION historian.tag_info(regclass, text) IS
'How a tag is stored: the times (nanoseconds) of its first and last sample, the exact number of samples, the segments that hold them and their bytes, the values of a sample (of the widest near the last one), and how many times more 8 bytes for each time and value would be. Decodes nothing but times where segments overlap. A tag without samples has NULL and 0. The table may be a partitioned parent of historian tables; the bytes of foreign partitions are not known. Needs SELECT on the table.';

CREATE FUNCTION historian.segments(
    "table" regclass, tag text, reverse boolean DEFAULT false,
    OUT first_time bigint, OUT last_time bigint, OUT samples bigint, OUT segments bigint, OUT bytes bigint)
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_segments';

COMMENT ON FUNCTION historian.segments(regclass, text, boolean) IS
'The ranges of time (first_time to last_time, both inclusive, in nanoseconds) in which the samples of a tag are stored, in order, or with reverse the last one first. Ranges do not overlap, and each sample is in one: a segment is one, and so are segments that overlap. samples is exact; bytes are those of the segments. To read a tag segment by segment, read range by range. The table may be a partitioned parent of historian tables; of a foreign partition all samples are one range. Needs SELECT on the table.';

CREATE FUNCTION historian.segments(
    "table" regclass, tag text, start bigint, "end" bigint, reverse boolean DEFAULT false,
    OUT first_time bigint, OUT last_time bigint, OUT samples bigint, OUT segments bigint, OUT bytes bigint)
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_segments_within';

COMMENT ON FUNCTION historian.segments(regclass, text, bigint, bigint, boolean) IS
'As historian.segments(regclass, text, boolean), but only those ranges, as a whole, that have a time with start <= time < end (nanoseconds).';

CREATE FUNCTION historian.segments(
    "table" regclass, tag text, start timestamptz, "end" timestamptz, reverse boolean DEFAULT false,
    OUT first_time timestamptz, OUT last_time timestamptz, OUT samples bigint, OUT segments bigint, OUT bytes bigint)
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_segments_within';

COMMENT ON FUNCTION historian.segments(regclass, text, timestamptz, timestamptz, boolean) IS
'As historian.segments(regclass, text, boolean), but only those ranges, as a whole, that meet start <= time < end, with times as timestamptz, rounded down to microseconds.';

CREATE FUNCTION historian.segments(
    "table" regclass, tag text, start text, "end" text, reverse boolean DEFAULT false,
    OUT first_time bigint, OUT last_time bigint, OUT samples bigint, OUT segments bigint, OUT bytes bigint)
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_segments_within';

COMMENT ON FUNCTION historian.segments(regclass, text, text, text, boolean) IS
'As historian.segments(regclass, text, boolean), but only those ranges, as a whole, that meet start <= time < end, for literals and parameters without a type.';

-- Functions that historians have (ADR 0042).
CREATE FUNCTION historian.at(
    "table" regclass, tags text[], times bigint[],
    OUT tag text, OUT "time" bigint, OUT "values" float8[], OUT sample_time bigint)
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_at';

CREATE FUNCTION historian.at(
    "table" regclass, tags text[], times timestamptz[],
    OUT tag text, OUT "time" timestamptz, OUT "values" float8[], OUT sample_time timestamptz)
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_at';

COMMENT ON FUNCTION historian.at(regclass, text[], bigint[]) IS
'For each of the given tags (in byte order, each once) and each of the times (nanoseconds, ascending, each once) the values of the last sample at or before that time, however old, and the time of that sample; NULL before the first one. Tags without samples are left out. OPC UA calls it ReadAtTime, for stepped values. The table may be a partitioned parent of historian tables. Needs SELECT on the table.';
COMMENT ON FUNCTION historian.at(regclass, text[], timestamptz[]) IS
'As historian.at(regclass, text[], bigint[]), with times as timestamptz, which come back so, rounded down to microseconds.';

CREATE FUNCTION historian.at(
    "table" regclass, tags text[], times text,
    OUT tag text, OUT "time" bigint, OUT "values" float8[], OUT sample_time bigint)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED ROWS 1000 COST 1000 AS $$
    SELECT * FROM historian.at($1, $2, ARRAY(SELECT historian.time_ns(t) FROM pg_catalog.unnest($3::pg_catalog.text[]) AS t))
$$;

COMMENT ON FUNCTION historian.at(regclass, text[], text) IS
'As historian.at(regclass, text[], bigint[]), for literals and parameters without a type: an array, such as {2026-01-01,1767225600000000000}, of times that are integers in nanoseconds, or what timestamptz takes.';

CREATE FUNCTION historian.intervals(
    "table" regclass, tag text, start bigint, "end" bigint,
    value integer, operator text, threshold float8, release float8 DEFAULT NULL, min_length bigint DEFAULT NULL,
    OUT start_time bigint, OUT end_time bigint, OUT ended boolean)
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 100 COST 1000
AS 'MODULE_PATHNAME', 'historian_intervals';

COMMENT ON FUNCTION historian.intervals(regclass, text, bigint, bigint, integer, text, float8, float8, bigint) IS
'The spans of time from start to end (nanoseconds) in which a condition held on a value of a tag, counted from 1: event frames. A value holds until the next one; NULL and NaN are passed over; the last sample before start counts. A span begins when the value is >, >=, <, <=, = or <> (operator) the threshold, and ends when that is no longer so for release, which is the threshold unless given: hysteresis. Spans shorter than min_length are left out. ended is false if the condition still held at the end. The table may be a partitioned parent of historian tables. Needs SELECT on the table.';

CREATE FUNCTION historian.intervals(
    "table" regclass, tag text, start timestamptz, "end" timestamptz,
    value integer, operator text, threshold float8, release float8 DEFAULT NULL, min_length interval DEFAULT NULL,
    OUT start_time timestamptz, OUT end_time timestamptz, OUT ended boolean)
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 100 COST 1000
AS 'MODULE_PATHNAME', 'historian_intervals';

COMMENT ON FUNCTION historian.intervals(regclass, text, timestamptz, timestamptz, integer, text, float8, float8, interval) IS
'As historian.intervals(regclass, text, bigint, bigint, integer, text, float8, float8, bigint), with times as timestamptz, which come back so, rounded down to microseconds, and min_length as an interval without months.';

CREATE FUNCTION historian.intervals(
    "table" regclass, tag text, start text, "end" text,
    value integer, operator text, threshold float8, release float8 DEFAULT NULL, min_length interval DEFAULT NULL,
    OUT start_time bigint, OUT end_time bigint, OUT ended boolean)
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 100 COST 1000
AS 'MODULE_PATHNAME', 'historian_intervals';

COMMENT ON FUNCTION historian.intervals(regclass, text, text, text, integer, text, float8, float8, interval) IS
'As historian.intervals(regclass, text, bigint, bigint, integer, text, float8, float8, bigint), for literals and parameters without a type: each time is an integer in nanoseconds, or what timestamptz takes; min_length is an interval without months.';

-- States, summaries and extremes (ADR 0046).
CREATE FUNCTION historian.state_duration(
    "table" regclass, tag text, start bigint, "end" bigint, value integer DEFAULT 1,
    OUT state float8, OUT duration bigint, OUT share float8, OUT count bigint)
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 100 COST 1000
AS 'MODULE_PATHNAME', 'historian_state_duration';

COMMENT ON FUNCTION historian.state_duration(regclass, text, bigint, bigint, integer) IS
'How long each state held from start to end (nanoseconds): for each number that a value of a tag had (value counts from 1) the time that it held, in nanoseconds, its share of the window, and how often it began to hold or held at the start. A state holds until another value comes; NULL and NaN change nothing; the last sample before start counts. Time before the first known state is in none, so that shares may add up to less than 1. A value with more than 100,000 states is an error. OPC UA calls it DurationInStateZero and DurationInStateNonZero, for two states. The table may be a partitioned parent of historian tables. Needs SELECT on the table.';

CREATE FUNCTION historian.state_duration(
    "table" regclass, tag text, start timestamptz, "end" timestamptz, value integer DEFAULT 1,
    OUT state float8, OUT duration interval, OUT share float8, OUT count bigint)
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 100 COST 1000
AS 'MODULE_PATHNAME', 'historian_state_duration';

COMMENT ON FUNCTION historian.state_duration(regclass, text, timestamptz, timestamptz, integer) IS
'As historian.state_duration(regclass, text, bigint, bigint, integer), with times as timestamptz, and the duration as an interval, rounded down to microseconds.';

CREATE FUNCTION historian.state_duration(
    "table" regclass, tag text, start text, "end" text, value integer DEFAULT 1,
    OUT state float8, OUT duration bigint, OUT share float8, OUT count bigint)
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 100 COST 1000
AS 'MODULE_PATHNAME', 'historian_state_duration';

COMMENT ON FUNCTION historian.state_duration(regclass, text, text, text, integer) IS
'As historian.state_duration(regclass, text, bigint, bigint, integer), for literals and parameters without a type: each time is an integer in nanoseconds, or what timestamptz takes.';

CREATE FUNCTION historian.transitions(
    "table" regclass, tag text, start bigint, "end" bigint, value integer DEFAULT 1,
    OUT "time" bigint, OUT former float8, OUT state float8)
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_transitions';

COMMENT ON FUNCTION historian.transitions(regclass, text, bigint, bigint, integer) IS
'The changes of a value of a tag (counted from 1) with start <= time < end (nanoseconds): when, from which number and to which. NULL and NaN change nothing; the last sample before start tells the state before; the first state ever known is no change. OPC UA counts them as NumberOfTransitions. The table may be a partitioned parent of historian tables. Needs SELECT on the table.';

CREATE FUNCTION historian.transitions(
    "table" regclass, tag text, start timestamptz, "end" timestamptz, value integer DEFAULT 1,
    OUT "time" timestamptz, OUT former float8, OUT state float8)
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_transitions';

COMMENT ON FUNCTION historian.transitions(regclass, text, timestamptz, timestamptz, integer) IS
'As historian.transitions(regclass, text, bigint, bigint, integer), with times as timestamptz, which come back so, rounded down to microseconds.';

CREATE FUNCTION historian.transitions(
    "table" regclass, tag text, start text, "end" text, value integer DEFAULT 1,
    OUT "time" bigint, OUT former float8, OUT state float8)
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_transitions';

COMMENT ON FUNCTION historian.transitions(regclass, text, text, text, integer) IS
'As historian.transitions(regclass, text, bigint, bigint, integer), for literals and parameters without a type: each time is an integer in nanoseconds, or what timestamptz takes.';

CREATE FUNCTION historian.summary(
    "table" regclass, tag text, start bigint, "end" bigint, fractions float8[] DEFAULT '{0.01,0.05,0.25,0.5,0.75,0.95,0.99}', detail boolean DEFAULT true,
    OUT value integer, OUT count bigint, OUT min float8, OUT max float8, OUT mean float8, OUT stddev float8,
    OUT quantiles float8[], OUT approx_distinct bigint)
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 10 COST 1000
AS 'MODULE_PATHNAME', 'historian_summary';

COMMENT ON FUNCTION historian.summary(regclass, text, bigint, bigint, double precision[], boolean) IS
'What the samples of a tag with start <= time < end (nanoseconds) amount to, with a row for each of their values (counted from 1): how many are not NULL, the least and the greatest (NaN is the greatest, as in ORDER BY), the mean, the standard deviation of a sample, quantiles for fractions from 0 to 1, and about how many are different. Up to 4,096 values a quantile is that of percentile_cont(); of more, its rank is off by at most 0.4 % of their number. The standard error of approx_distinct, which is exact up to 1,024 different values, is 0.41 %. With detail => false the last two are NULL, and stored summaries answer for whole segments. The table may be a partitioned parent of historian tables. Needs SELECT on the table.';

CREATE FUNCTION historian.summary(
    "table" regclass, tag text, start timestamptz, "end" timestamptz, fractions float8[] DEFAULT '{0.01,0.05,0.25,0.5,0.75,0.95,0.99}', detail boolean DEFAULT true,
    OUT value integer, OUT count bigint, OUT min float8, OUT max float8, OUT mean float8, OUT stddev float8,
    OUT quantiles float8[], OUT approx_distinct bigint)
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 10 COST 1000
AS 'MODULE_PATHNAME', 'historian_summary';

COMMENT ON FUNCTION historian.summary(regclass, text, timestamptz, timestamptz, double precision[], boolean) IS
'As historian.summary(regclass, text, bigint, bigint, double precision[], boolean), with times as timestamptz.';

CREATE FUNCTION historian.summary(
    "table" regclass, tag text, start text, "end" text, fractions float8[] DEFAULT '{0.01,0.05,0.25,0.5,0.75,0.95,0.99}', detail boolean DEFAULT true,
    OUT value integer, OUT count bigint, OUT min float8, OUT max float8, OUT mean float8, OUT stddev float8,
    OUT quantiles float8[], OUT approx_distinct bigint)
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 10 COST 1000
AS 'MODULE_PATHNAME', 'historian_summary';

COMMENT ON FUNCTION historian.summary(regclass, text, text, text, double precision[], boolean) IS
'As historian.summary(regclass, text, bigint, bigint, double precision[], boolean), for literals and parameters without a type: each time is an integer in nanoseconds, or what timestamptz takes.';

CREATE FUNCTION historian.time_of_min(
    "table" regclass, tag text, start bigint, "end" bigint, value integer DEFAULT 1,
    OUT "time" bigint, OUT min float8)
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 1000
AS 'MODULE_PATHNAME', 'historian_time_of_min';

COMMENT ON FUNCTION historian.time_of_min(regclass, text, bigint, bigint, integer) IS
'The least value of a tag (value counts from 1) with start <= time < end (nanoseconds) and the time of its sample, of several the first; NULL if there is none. NULL and NaN are passed over. OPC UA calls it MinimumActualTime. The table may be a partitioned parent of historian tables. Needs SELECT on the table.';

CREATE FUNCTION historian.time_of_min(
    "table" regclass, tag text, start timestamptz, "end" timestamptz, value integer DEFAULT 1,
    OUT "time" timestamptz, OUT min float8)
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 1000
AS 'MODULE_PATHNAME', 'historian_time_of_min';

COMMENT ON FUNCTION historian.time_of_min(regclass, text, timestamptz, timestamptz, integer) IS
'As historian.time_of_min(regclass, text, bigint, bigint, integer), with times as timestamptz, which come back so, rounded down to microseconds.';

CREATE FUNCTION historian.time_of_min(
    "table" regclass, tag text, start text, "end" text, value integer DEFAULT 1,
    OUT "time" bigint, OUT min float8)
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 1000
AS 'MODULE_PATHNAME', 'historian_time_of_min';

COMMENT ON FUNCTION historian.time_of_min(regclass, text, text, text, integer) IS
'As historian.time_of_min(regclass, text, bigint, bigint, integer), for literals and parameters without a type: each time is an integer in nanoseconds, or what timestamptz takes.';

CREATE FUNCTION historian.time_of_max(
    "table" regclass, tag text, start bigint, "end" bigint, value integer DEFAULT 1,
    OUT "time" bigint, OUT max float8)
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 1000
AS 'MODULE_PATHNAME', 'historian_time_of_max';

COMMENT ON FUNCTION historian.time_of_max(regclass, text, bigint, bigint, integer) IS
'The greatest value of a tag (value counts from 1) with start <= time < end (nanoseconds) and the time of its sample, of several the first; NULL if there is none. NULL and NaN are passed over. OPC UA calls it MaximumActualTime. The table may be a partitioned parent of historian tables. Needs SELECT on the table.';

CREATE FUNCTION historian.time_of_max(
    "table" regclass, tag text, start timestamptz, "end" timestamptz, value integer DEFAULT 1,
    OUT "time" timestamptz, OUT max float8)
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 1000
AS 'MODULE_PATHNAME', 'historian_time_of_max';

COMMENT ON FUNCTION historian.time_of_max(regclass, text, timestamptz, timestamptz, integer) IS
'As historian.time_of_max(regclass, text, bigint, bigint, integer), with times as timestamptz, which come back so, rounded down to microseconds.';

CREATE FUNCTION historian.time_of_max(
    "table" regclass, tag text, start text, "end" text, value integer DEFAULT 1,
    OUT "time" bigint, OUT max float8)
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 1000
AS 'MODULE_PATHNAME', 'historian_time_of_max';

COMMENT ON FUNCTION historian.time_of_max(regclass, text, text, text, integer) IS
'As historian.time_of_max(regclass, text, bigint, bigint, integer), for literals and parameters without a type: each time is an integer in nanoseconds, or what timestamptz takes.';

CREATE FUNCTION historian.approx_tags(
    "table" regclass, start bigint, "end" bigint)
RETURNS bigint
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 10000
AS 'MODULE_PATHNAME', 'historian_approx_tags';

COMMENT ON FUNCTION historian.approx_tags(regclass, bigint, bigint) IS
'How many tags have a sample with start <= time < end (nanoseconds). At present the answer is exact: the last sample of each tag before the end tells it. The table may be a partitioned parent of historian tables. Needs SELECT on the table.';

CREATE FUNCTION historian.approx_tags(
    "table" regclass, start timestamptz, "end" timestamptz)
RETURNS bigint
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 10000
AS 'MODULE_PATHNAME', 'historian_approx_tags';

COMMENT ON FUNCTION historian.approx_tags(regclass, timestamptz, timestamptz) IS
'As historian.approx_tags(regclass, bigint, bigint), with times as timestamptz.';

CREATE FUNCTION historian.approx_tags(
    "table" regclass, start text, "end" text)
RETURNS bigint
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 10000
AS 'MODULE_PATHNAME', 'historian_approx_tags';

COMMENT ON FUNCTION historian.approx_tags(regclass, text, text) IS
'As historian.approx_tags(regclass, bigint, bigint), for literals and parameters without a type: each time is an integer in nanoseconds, or what timestamptz takes.';

-- What people say of a time of a tag (ADR 0047), with the privileges of the table that it is of.
CREATE TABLE historian.annotation (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    relid regclass NOT NULL,
    tag text COLLATE "C" NOT NULL,
    start_time bigint NOT NULL,
    end_time bigint,
    value integer,
    kind text,
    text text NOT NULL,
    author text NOT NULL DEFAULT coalesce(nullif(current_setting('historian.actor', true), ''), current_user),
    written timestamptz NOT NULL DEFAULT clock_timestamp()
) USING heap;
CREATE INDEX annotation_tag ON historian.annotation (relid, tag, start_time);
COMMENT ON INDEX historian.annotation_tag IS 'Finds the annotations of a tag in order of time.';

COMMENT ON TABLE historian.annotation IS
'What people say of a time, or a span of time, of a tag: the cause of a stop, a sensor that was changed. Those who may SELECT from the table see its rows, those who may INSERT into it write, change and delete them. Rows are kept when samples are deleted, follow a tag that historian.rename() renames, and go with the table. OPC UA has annotations of a time, PI of an event.';
COMMENT ON COLUMN historian.annotation.id IS 'what names the annotation; a random one unless given';
COMMENT ON COLUMN historian.annotation.relid IS 'the table, or the partitioned parent that is read';
COMMENT ON COLUMN historian.annotation.tag IS 'the tag, which need not have samples';
COMMENT ON COLUMN historian.annotation.start_time IS 'the time, or the beginning of the span, in nanoseconds';
COMMENT ON COLUMN historian.annotation.end_time IS 'the end of the span, which does not belong to it, in nanoseconds; NULL: it is about one time';
COMMENT ON COLUMN historian.annotation.value IS 'the value that it is about, counted from 1; NULL: all';
COMMENT ON COLUMN historian.annotation.kind IS 'a word by which you sort annotations, such as maintenance; NULL: none';
COMMENT ON COLUMN historian.annotation.text IS 'what is said';
COMMENT ON COLUMN historian.annotation.author IS 'who says it: historian.actor where a client has set it, or the role';
COMMENT ON COLUMN historian.annotation.written IS 'when it was written or last changed';

SELECT pg_catalog.pg_extension_config_dump('historian.annotation',
    'WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = relid)');

ALTER TABLE historian.annotation ENABLE ROW LEVEL SECURITY;
CREATE POLICY as_the_table ON historian.annotation
    USING (has_any_column_privilege(relid, 'SELECT') OR has_table_privilege(relid, 'INSERT'))
    WITH CHECK (has_table_privilege(relid, 'INSERT'));
COMMENT ON POLICY as_the_table ON historian.annotation IS
'Rows are seen by those who may SELECT from the table that they are about, and changed by those who may INSERT into it.';
GRANT SELECT, INSERT, UPDATE, DELETE ON historian.annotation TO PUBLIC;

CREATE FUNCTION historian.check_annotation() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kind record;
BEGIN
    -- NULL where the table is gone, whose rows the event trigger deletes
    IF TG_OP <> 'INSERT' AND NOT has_table_privilege(OLD.relid, 'INSERT')
        OR TG_OP <> 'DELETE' AND NOT has_table_privilege(NEW.relid, 'INSERT') THEN
        RAISE EXCEPTION 'permission denied for annotations of table %', CASE TG_OP WHEN 'INSERT' THEN NEW.relid ELSE OLD.relid END
            USING ERRCODE = 'insufficient_privilege',
                HINT = 'Those who may INSERT into a table may annotate its tags.';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;

    IF TG_OP = 'INSERT' OR NEW.relid <> OLD.relid THEN
        SELECT c.relkind, c.relpersistence, c.relname INTO kind FROM pg_class c WHERE c.oid = NEW.relid;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'relation with OID % does not exist', NEW.relid::oid USING ERRCODE = 'undefined_table';
        ELSIF kind.relkind NOT IN ('r', 'p', 'f', 'm', 'v') THEN
            RAISE EXCEPTION '"%" is not a table', kind.relname USING ERRCODE = 'wrong_object_type';
        ELSIF kind.relpersistence = 't' THEN
            RAISE EXCEPTION 'tags of temporary table "%" cannot be annotated', kind.relname
                USING ERRCODE = 'feature_not_supported', DETAIL = 'Rows of historian.annotation are permanent.';
        END IF;
    END IF;
    IF octet_length(NEW.tag) NOT BETWEEN 1 AND 256 THEN
        RAISE EXCEPTION 'tag length of % bytes is out of range', octet_length(NEW.tag)
            USING ERRCODE = 'string_data_length_mismatch', DETAIL = 'A tag has 1 to 256 bytes.';
    ELSIF NEW.end_time <= NEW.start_time THEN
        RAISE EXCEPTION 'end_time % of the annotation must be after its start_time %', NEW.end_time, NEW.start_time
            USING ERRCODE = 'check_violation', TABLE = 'annotation', SCHEMA = 'historian', COLUMN = 'end_time',
                HINT = 'NULL stands for an annotation of one time.';
    ELSIF NEW.value NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'value (%) must be from 1 to 1000', NEW.value
            USING ERRCODE = 'check_violation', TABLE = 'annotation', SCHEMA = 'historian', COLUMN = 'value';
    ELSIF NEW.text = '' THEN
        RAISE EXCEPTION 'the text of an annotation must not be empty'
            USING ERRCODE = 'check_violation', TABLE = 'annotation', SCHEMA = 'historian', COLUMN = 'text';
    END IF;
    IF TG_OP = 'UPDATE' AND (NEW.text, NEW.kind, NEW.value, NEW.start_time, NEW.end_time)
        IS DISTINCT FROM (OLD.text, OLD.kind, OLD.value, OLD.start_time, OLD.end_time) AND NEW.written = OLD.written THEN
        NEW.written := clock_timestamp();
    END IF;
    RETURN NEW;
END $$;

COMMENT ON FUNCTION historian.check_annotation() IS
'The trigger of historian.annotation: checks the privilege on the table that it is about, and what a row says, and notes when it was changed.';

CREATE TRIGGER check_annotation BEFORE INSERT OR UPDATE OR DELETE ON historian.annotation
    FOR EACH ROW EXECUTE FUNCTION historian.check_annotation();
COMMENT ON TRIGGER check_annotation ON historian.annotation IS 'Checks rows with errors that say what is wrong.';

CREATE FUNCTION historian.forget_annotations() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM historian.annotation a USING pg_event_trigger_dropped_objects() d
    WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND NOT d.is_temporary AND a.relid = d.objid;
END $$;

COMMENT ON FUNCTION historian.forget_annotations() IS
'The event trigger that deletes the rows of historian.annotation about tables that are dropped.';

CREATE EVENT TRIGGER historian_forget_annotations ON sql_drop EXECUTE FUNCTION historian.forget_annotations();
ALTER EVENT TRIGGER historian_forget_annotations ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER historian_forget_annotations IS
'Deletes the rows of historian.annotation about tables that are dropped.';

CREATE FUNCTION historian.load_mark() RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'historian_load_mark';

COMMENT ON FUNCTION historian.load_mark() IS
'Marks the current transaction in the WAL, for historian.load_fate(): a loader that loses the answer to its COMMIT can then find out what became of it, also after a crash or on the server that has taken over.';

CREATE FUNCTION historian.load_fate(mark text) RETURNS text
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'historian_load_fate';

COMMENT ON FUNCTION historian.load_fate(text) IS
'What became of the transaction that historian.load_mark() has marked: in progress, committed or aborted; aborted also where a crash or a failover has lost it. NULL if it cannot be told, because the WAL of that time has been removed.';

-- Reads of a standby

CREATE FUNCTION historian.await_commit(min_commit pg_lsn, max_lag_ms bigint DEFAULT NULL, wait_ms bigint DEFAULT 0)
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'historian_await_commit';

COMMENT ON FUNCTION historian.await_commit(pg_lsn, bigint, bigint) IS
'Makes sure that the next statement of a READ COMMITTED transaction sees the commit before a position of the WAL (pg_current_wal_flush_lsn() after it; NULL: any), also on a standby, and that the data of that are at most max_lag_ms old. Waits for that for wait_ms. Returns how old the data are at most in milliseconds: 0 on the primary; NULL where that is not known. The errors are RH001 (the standby has not replayed the commit), RH002 (the data are older than max_lag_ms) and RH003 (the server has no commit as late as that).';
-- How far streams of messages have come (ADR 0048). A row for each load that goes on at a time: a load takes one that nobody
-- has locked, so that loads of several servers do not wait for each other's commit.
CREATE TABLE historian.stream_progress (
    relid regclass NOT NULL,
    stream text COLLATE "C" NOT NULL,
    slot integer NOT NULL,
    messages bigint NOT NULL,
    last_commit timestamptz NOT NULL,
    PRIMARY KEY (relid, stream, slot)) USING heap WITH (fillfactor = 40);

COMMENT ON TABLE historian.stream_progress IS
'How many messages of each stream historiand has committed to a table. The rows of a stream add up: historian.progress() does that. They are changed in the transactions of the loads. Those who may INSERT into the table see and change its rows, and those who may SELECT from it see them. A stream that is deleted begins anew.';
COMMENT ON COLUMN historian.stream_progress.relid IS 'the table';
COMMENT ON COLUMN historian.stream_progress.stream IS 'the name that the producer gave with POST /save?stream=; empty: none';
COMMENT ON COLUMN historian.stream_progress.slot IS 'tells the rows of a stream apart; it means nothing';
COMMENT ON COLUMN historian.stream_progress.messages IS 'the messages that were committed';
COMMENT ON COLUMN historian.stream_progress.last_commit IS 'the clock of PostgreSQL right before the last commit';

SELECT pg_catalog.pg_extension_config_dump('historian.stream_progress',
    'WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = relid)');

ALTER TABLE historian.stream_progress ENABLE ROW LEVEL SECURITY;
CREATE POLICY as_the_table ON historian.stream_progress USING (has_any_column_privilege(relid, 'INSERT'));
CREATE POLICY as_a_reader ON historian.stream_progress FOR SELECT USING (has_any_column_privilege(relid, 'SELECT'));
COMMENT ON POLICY as_the_table ON historian.stream_progress IS
'Rows are seen and changed by those who may INSERT into the table that they are about.';
COMMENT ON POLICY as_a_reader ON historian.stream_progress IS
'Rows are seen by those who may SELECT from the table that they are about.';
GRANT SELECT, INSERT, UPDATE, DELETE ON historian.stream_progress TO PUBLIC;

CREATE FUNCTION historian.forget_progress() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM historian.stream_progress p USING pg_event_trigger_dropped_objects() d
    WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND NOT d.is_temporary AND p.relid = d.objid;
END $$;

COMMENT ON FUNCTION historian.forget_progress() IS
'The event trigger that deletes the rows of historian.stream_progress about tables that are dropped.';

CREATE EVENT TRIGGER historian_forget_progress ON sql_drop EXECUTE FUNCTION historian.forget_progress();
ALTER EVENT TRIGGER historian_forget_progress ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER historian_forget_progress IS
'Deletes the rows of historian.stream_progress about tables that are dropped.';

CREATE FUNCTION historian.note_progress("table" regclass, streams text[], counts bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    free integer;
    name text;
    count bigint;
BEGIN
    IF cardinality(streams) <> cardinality(counts) THEN
        RAISE EXCEPTION 'there are % streams, but % counts', cardinality(streams), cardinality(counts)
            USING ERRCODE = 'array_subscript_error';
    END IF;
    -- whatever the lower bounds are
    FOR name, count IN SELECT u.name, u.count FROM unnest(streams, counts) AS u(name, count) LOOP
        SELECT p.slot INTO free FROM historian.stream_progress p
            WHERE p.relid = "table" AND p.stream = name LIMIT 1 FOR UPDATE SKIP LOCKED;
        IF FOUND THEN
            UPDATE historian.stream_progress p SET messages = p.messages + count, last_commit = clock_timestamp()
                WHERE p.relid = "table" AND p.stream = name AND p.slot = free;
        ELSE
            -- others choose at the same moment
            INSERT INTO historian.stream_progress VALUES ("table", name, floor(random() * 2147483648)::integer, count, clock_timestamp());
        END IF;
    END LOOP;
END $$;

COMMENT ON FUNCTION historian.note_progress(regclass, text[], bigint[]) IS
'Counts messages of streams that the transaction has loaded into a table: counts[i] of streams[i]. historiand calls it in each load; a loader of yours may do so too, last before its COMMIT. Needs INSERT on the table.';

CREATE FUNCTION historian.progress("table" regclass, OUT stream text, OUT messages bigint, OUT last_commit timestamptz)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100 AS $$
    SELECT p.stream, pg_catalog.sum(p.messages)::bigint, pg_catalog.max(p.last_commit)
    FROM historian.stream_progress p WHERE p.relid OPERATOR(pg_catalog.=) $1 GROUP BY p.stream
$$;

COMMENT ON FUNCTION historian.progress(regclass) IS
'How many messages historiand has committed to a table, for each stream that producers have named with POST /save?stream=, and when the last ones. The stream with the empty name has the messages that came without one. Every message counts, also one that replaced another of its tag and time, and one that a client sent again; how many samples a tag has now tells historian.tags(). Needs SELECT or INSERT on the table.';

-- Tags that are silent (ADR 0050). last_times() is historian.tags() without what costs most of it, the counting.
CREATE FUNCTION historian.last_times("table" regclass, tags text[] DEFAULT NULL, OUT tag text, OUT last_time bigint)
RETURNS SETOF record
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10000 COST 10000
AS 'MODULE_PATHNAME', 'historian_last_times';

COMMENT ON FUNCTION historian.last_times(regclass, text[]) IS
'The time (nanoseconds) of the last row of each of the given tags, or of all (NULL), in byte order of the tags. Reads headers of segments, and decodes nothing. The table may be a partitioned parent of historian tables. Needs SELECT on the table.';

CREATE FUNCTION historian.watched_tags(
    "table" regclass, stale_after interval,
    OUT tag text, OUT last_time bigint, OUT allowed interval, OUT allowed_ns bigint)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED ROWS 10000 COST 10000 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    default_ns bigint := least(extract(epoch FROM stale_after) * 1000000000, 9000000000000000000)::bigint;
BEGIN
    IF default_ns <= 0 THEN
        RAISE EXCEPTION 'stale_after must be longer than nothing' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'NULL watches only tags with a max_silence of their own.';
    END IF;
    RETURN QUERY
        SELECT l.tag, l.last_time, coalesce(t.max_silence, stale_after),
            CASE WHEN t.max_silence IS NULL THEN default_ns
                ELSE least(extract(epoch FROM t.max_silence) * 1000000000, 9000000000000000000)::bigint END
        FROM historian.last_times("table", CASE WHEN stale_after IS NULL THEN
                ARRAY(SELECT o.tag FROM historian.tag o WHERE o.relid = "table" AND o.max_silence IS NOT NULL) END) l
            LEFT JOIN historian.tag t ON t.relid = "table" AND t.tag = l.tag;
END $$;

COMMENT ON FUNCTION historian.watched_tags(regclass, interval) IS
'For historian.stale(): the tags that have samples and may be silent for some time only, with that time (also in nanoseconds) and the time of the last row. It is max_silence in historian.tag, or else stale_after; if that is NULL, only tags with max_silence are returned. Needs SELECT on the table.';

CREATE FUNCTION historian.stale(
    "table" regclass, stale_after interval DEFAULT NULL,
    OUT tag text, OUT last_time bigint, OUT silent_for interval, OUT allowed interval)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED ROWS 1000 COST 10000 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_ns bigint := historian.to_ns(statement_timestamp());
BEGIN
    IF "table" IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT w.tag, w.last_time, make_interval(secs => ((now_ns - w.last_time::numeric) / 1000000000)::float8), w.allowed
        FROM historian.watched_tags("table", stale_after) w
        WHERE w.last_time < now_ns - w.allowed_ns
        ORDER BY w.tag COLLATE "C";
END $$;

COMMENT ON FUNCTION historian.stale(regclass, interval) IS
'The tags whose last sample is older than allowed, in byte order: the time (nanoseconds) of that sample, for how long the tag has been silent, and what is allowed, which is max_silence in historian.tag, or else stale_after. NULL: only tags with a max_silence are looked at. A tag without samples is not stale, nor is one with a sample in the future. The table may be a partitioned parent of historian tables. Needs SELECT on the table.';

-- What the watchdog of historiand knows: who is stale, and what is yet to be told of it.
CREATE TABLE historian.stale_state (
    relid regclass NOT NULL,
    tag text COLLATE "C" NOT NULL,
    since bigint NOT NULL,
    PRIMARY KEY (relid, tag)
) USING heap;

COMMENT ON TABLE historian.stale_state IS
'The tags that historiand has found to be stale, until they return. It outlasts restarts, so that no transition is told again. Those who may INSERT into the table see and change its rows; those who may SELECT from it see them, unless policies of row-level security concern them. It follows a tag that historian.rename() renames, if who renames may INSERT.';
COMMENT ON COLUMN historian.stale_state.relid IS 'the table, or the partitioned parent that is watched';
COMMENT ON COLUMN historian.stale_state.tag IS 'the tag';
COMMENT ON COLUMN historian.stale_state.since IS 'when it became stale, in nanoseconds: its last sample, and the time that it may be silent';

CREATE TABLE historian.stale_event (
    id uuid NOT NULL,
    action text NOT NULL,
    relid regclass NOT NULL,
    tag text COLLATE "C" NOT NULL,
    noted timestamptz NOT NULL,
    body text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    next_try timestamptz NOT NULL,
    PRIMARY KEY (id, action)
) USING heap;
CREATE INDEX stale_event_tag ON historian.stale_event (relid, tag, action, noted);
CREATE INDEX stale_event_noted ON historian.stale_event (relid, action, noted);
COMMENT ON INDEX historian.stale_event_tag IS 'Finds the earlier transitions of a tag.';
COMMENT ON INDEX historian.stale_event_noted IS 'Finds transitions in the order in which they are told.';

COMMENT ON TABLE historian.stale_event IS
'Transitions of tags that the webhook or the command of historiand has yet to tell, a row for each. A row goes when it is told, or after 7 days. Those who may INSERT into the table see and change its rows. It is not dumped: the copy of a database must not tell what the original tells.';
COMMENT ON COLUMN historian.stale_event.id IS 'names the transition, also where it is told twice';
COMMENT ON COLUMN historian.stale_event.action IS 'what has yet to tell it: webhook or command';
COMMENT ON COLUMN historian.stale_event.relid IS 'the table, or the partitioned parent that is watched';
COMMENT ON COLUMN historian.stale_event.tag IS 'the tag; its transitions are told in their order';
COMMENT ON COLUMN historian.stale_event.noted IS 'when the transition was found';
COMMENT ON COLUMN historian.stale_event.body IS 'what is told, as JSON';
COMMENT ON COLUMN historian.stale_event.attempts IS 'how often it was tried to tell it';
COMMENT ON COLUMN historian.stale_event.next_try IS 'not before this time; while a historiand tells it, until when it alone may';

SELECT pg_catalog.pg_extension_config_dump('historian.stale_state',
    'WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = relid)');

ALTER TABLE historian.stale_state ENABLE ROW LEVEL SECURITY;
CREATE POLICY as_the_table ON historian.stale_state USING (has_any_column_privilege(relid, 'INSERT'));
CREATE POLICY as_a_reader ON historian.stale_state FOR SELECT
    USING (has_any_column_privilege(relid, 'SELECT') AND NOT row_security_active(relid::oid));
COMMENT ON POLICY as_the_table ON historian.stale_state IS
'Rows are seen and changed by those who may INSERT into the table that they are about.';
COMMENT ON POLICY as_a_reader ON historian.stale_state IS
'Rows are seen by those who may SELECT from the table that they are about, whatever the tag.';
GRANT SELECT, INSERT, UPDATE, DELETE ON historian.stale_state TO PUBLIC;
ALTER TABLE historian.stale_event ENABLE ROW LEVEL SECURITY;
CREATE POLICY as_the_table ON historian.stale_event USING (has_any_column_privilege(relid, 'INSERT'));
COMMENT ON POLICY as_the_table ON historian.stale_event IS
'Rows are seen and changed by those who may INSERT into the table that they are about.';
GRANT SELECT, INSERT, UPDATE, DELETE ON historian.stale_event TO PUBLIC;

CREATE FUNCTION historian.forget_stale() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM historian.stale_state s USING pg_event_trigger_dropped_objects() d
    WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND NOT d.is_temporary AND s.relid = d.objid;
    DELETE FROM historian.stale_event e USING pg_event_trigger_dropped_objects() d
    WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND NOT d.is_temporary AND e.relid = d.objid;
END $$;

COMMENT ON FUNCTION historian.forget_stale() IS
'The event trigger that deletes the rows of historian.stale_state and stale_event about tables that are dropped.';

CREATE EVENT TRIGGER historian_forget_stale ON sql_drop EXECUTE FUNCTION historian.forget_stale();
ALTER EVENT TRIGGER historian_forget_stale ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER historian_forget_stale IS
'Deletes the rows of historian.stale_state and stale_event about tables that are dropped.';

-- One statement, and so one snapshot, finds the transitions and notes them. Of servers that look at the same time only one
-- inserts or deletes the row of a tag, and that one notes the event.
CREATE FUNCTION historian.note_stale(
    "table" regclass, stale_after interval, watched_for interval, behind interval, actions text[], channel text,
    OUT stale bigint, OUT went_stale bigint, OUT returned bigint, OUT untold bigint, OUT given_up bigint)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    most_events CONSTANT bigint := 100000;
    each CONSTANT bigint := greatest(cardinality(actions), 1);
    longest_grace_ns CONSTANT bigint := 3600000000000;
    at_time timestamptz := clock_timestamp();
    now_ns bigint := historian.to_ns(at_time);
    horizon_ns bigint := historian.to_ns(at_time - behind);
    watch_ns bigint := historian.to_ns(greatest(at_time - watched_for, pg_postmaster_start_time()));
    room bigint;
    event record;
BEGIN
    DELETE FROM historian.stale_event e WHERE e.relid = "table" AND e.noted < at_time - interval '7 days';
    GET DIAGNOSTICS given_up = ROW_COUNT;
    SELECT count(*) INTO untold FROM historian.stale_event e WHERE e.relid = "table";
    SELECT count(*) INTO stale FROM historian.stale_state s WHERE s.relid = "table";
    went_stale := 0;
    returned := 0;
    -- those for which there is no room stay as they are, and are noted later
    room := greatest((most_events - untold) / each, 0);

    FOR event IN
        WITH watched AS MATERIALIZED (SELECT * FROM historian.watched_tags("table", stale_after)),
        ending AS MATERIALIZED (
            SELECT s.tag, s.since, w.last_time, w.allowed
            FROM historian.stale_state s LEFT JOIN watched w ON w.tag = s.tag
            WHERE s.relid = "table" AND (w.tag IS NULL OR w.last_time >= now_ns - w.allowed_ns)
            -- what is forgotten takes no room
            ORDER BY w.tag IS NOT NULL, s.tag
            LIMIT room + (SELECT count(*) FROM historian.stale_state g
                WHERE g.relid = "table" AND NOT EXISTS (SELECT FROM watched v WHERE v.tag = g.tag))
            FOR UPDATE OF s SKIP LOCKED),
        ended AS (
            DELETE FROM historian.stale_state s USING ending e WHERE s.relid = "table" AND s.tag = e.tag
            RETURNING e.tag, e.since, e.last_time, e.allowed),
        began AS (
            INSERT INTO historian.stale_state (relid, tag, since)
            SELECT "table", w.tag, w.last_time + w.allowed_ns FROM watched w
            WHERE w.last_time < horizon_ns - w.allowed_ns
                AND watch_ns < horizon_ns - least(w.allowed_ns, longest_grace_ns)
                AND NOT EXISTS (SELECT FROM historian.stale_state s WHERE s.relid = "table" AND s.tag = w.tag)
            ORDER BY w.tag LIMIT greatest(room - (SELECT count(*) FROM ended WHERE last_time IS NOT NULL), 0)
            ON CONFLICT DO NOTHING
            RETURNING tag, since),
        forgotten AS (
            DELETE FROM historian.stale_event v USING ended e
            WHERE v.relid = "table" AND v.tag = e.tag AND e.last_time IS NULL)
        SELECT b.tag, 'stale' AS state, b.since, w.last_time, w.allowed FROM began b JOIN watched w ON w.tag = b.tag
        UNION ALL SELECT e.tag, CASE WHEN e.last_time IS NOT NULL THEN 'returned' END, e.since, e.last_time, e.allowed FROM ended e
    LOOP
        stale := stale + CASE event.state WHEN 'stale' THEN 1 ELSE -1 END;
        CONTINUE WHEN event.state IS NULL;
        IF event.state = 'stale' THEN
            went_stale := went_stale + 1;
        ELSE
            returned := returned + 1;
        END IF;
        DECLARE
            event_id uuid := gen_random_uuid();
            told text := json_build_object('id', event_id, 'table', "table"::text, 'tag', event.tag, 'state', event.state,
                'last', event.last_time, 'since', event.since,
                'silent_for', trim_scale(round((now_ns - event.last_time::numeric) / 1000000000, 3)) || 's',
                'allowed', trim_scale(extract(epoch FROM event.allowed)) || 's', 'at', now_ns);
        BEGIN
            IF channel IS NOT NULL THEN
                PERFORM pg_notify(channel, told);
            END IF;
            IF cardinality(actions) > 0 THEN
                INSERT INTO historian.stale_event (id, action, relid, tag, noted, body, next_try)
                SELECT event_id, a, "table", event.tag, at_time, told, at_time FROM unnest(actions) a;
                untold := untold + each;
            END IF;
        END;
    END LOOP;
END $$;

COMMENT ON FUNCTION historian.note_stale(regclass, interval, interval, interval, text[], text) IS
'For historiand: notes which tags have become stale and which have returned, each once, in historian.stale_state. Becoming stale counts only what is older than behind, because later samples may not be committed, and a tag is silent for at most as long as the watch has been unbroken, if that is less than an hour. Each transition is notified to the channel (NULL: none), and kept in historian.stale_event for the actions. Tags that have no samples any more, or are not watched, are forgotten. At most 100,000 transitions wait for an action, all of a table together; others are noted when there is room. Returns how many tags are stale, how many have become so and have returned, and how many transitions wait and were given up. Needs SELECT and INSERT on the table.';

CREATE FUNCTION historian.claim_stale("table" regclass, action text, most integer, OUT id uuid, OUT body text)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE STRICT ROWS 64 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
        WITH due AS MATERIALIZED (
            SELECT e.id FROM historian.stale_event e
            WHERE e.relid = "table" AND e.action = claim_stale.action AND e.next_try <= clock_timestamp()
                AND NOT EXISTS (SELECT FROM historian.stale_event o
                    WHERE o.relid = e.relid AND o.tag = e.tag AND o.action = e.action AND o.noted < e.noted)
            ORDER BY e.noted LIMIT most FOR UPDATE SKIP LOCKED)
        UPDATE historian.stale_event e SET attempts = e.attempts + 1, next_try = clock_timestamp() + interval '1 minute'
        FROM due d WHERE e.id = d.id AND e.action = claim_stale.action
        RETURNING e.id, e.body;
END $$;

COMMENT ON FUNCTION historian.claim_stale(regclass, text, integer) IS
'For historiand: takes transitions that an action is to tell, the oldest first, but of a tag only the first. The caller has a minute to tell them and to say so (historian.settle_stale); then others may. Needs INSERT on the table.';

CREATE FUNCTION historian.settle_stale("table" regclass, action text, ids uuid[], told boolean[], tried boolean[]) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM historian.stale_event e USING unnest(ids, told) AS s(id, told)
    WHERE e.relid = "table" AND e.action = settle_stale.action AND e.id = s.id AND s.told;
    UPDATE historian.stale_event e SET attempts = e.attempts - (NOT s.tried)::integer,
        next_try = clock_timestamp()
            + CASE WHEN s.tried THEN interval '1 s' * least(power(2, least(e.attempts, 10)) / 2, 300) ELSE interval '0' END
    FROM unnest(ids, told, tried) AS s(id, told, tried)
    WHERE e.relid = "table" AND e.action = settle_stale.action AND e.id = s.id AND NOT s.told;
END $$;

COMMENT ON FUNCTION historian.settle_stale(regclass, text, uuid[], boolean[], boolean[]) IS
'For historiand: says of transitions of historian.claim_stale() whether they are told, or whether that was tried. One that is told is removed; others are tried again after 1 s, 2 s, 4 s and so on up to 5 min, or at once if they were not tried. Needs INSERT on the table.';

-- Change data out (ADR 0054): which tables publish their changes, for logical decoding.
CREATE TABLE historian.published_table (
    relid regclass PRIMARY KEY,
    format text NOT NULL DEFAULT 'compact' CHECK (format IN ('compact', 'json'))) USING heap;

COMMENT ON TABLE historian.published_table IS
'The historian tables, and partitioned parents of some, whose changes are published as messages for logical decoding. Only historian.publish_changes() and a restore may write it: a row that is written otherwise takes effect in the midst of transactions, whose changes are then published in part. The privileges are for these two; owners of a table see and change its row.';
COMMENT ON COLUMN historian.published_table.relid IS 'the table or the partitioned parent';
COMMENT ON COLUMN historian.published_table.format IS 'compact: inserted rows are compressed in the WAL; json: they are JSON there, which costs the writer more';

-- a row about a table that is gone would name another one after a restore
SELECT pg_catalog.pg_extension_config_dump('historian.published_table',
    'WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = relid)');

ALTER TABLE historian.published_table ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_owner ON historian.published_table
    USING (EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = relid AND pg_catalog.pg_has_role(c.relowner, 'USAGE')));
COMMENT ON POLICY of_the_owner ON historian.published_table IS
'Rows are seen and changed by those who own the table that they are about.';
GRANT SELECT, INSERT, UPDATE, DELETE ON historian.published_table TO PUBLIC;

CREATE FUNCTION historian.forget_publication() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM historian.published_table p USING pg_event_trigger_dropped_objects() d
    WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND NOT d.is_temporary AND p.relid = d.objid;
END $$;

COMMENT ON FUNCTION historian.forget_publication() IS
'The event trigger that deletes the rows of historian.published_table about tables that are dropped.';

CREATE EVENT TRIGGER historian_forget_publication ON sql_drop EXECUTE FUNCTION historian.forget_publication();
ALTER EVENT TRIGGER historian_forget_publication ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER historian_forget_publication IS
'Deletes the rows of historian.published_table about tables that are dropped.';

CREATE FUNCTION historian.publish_changes("table" regclass, publish boolean DEFAULT true, format text DEFAULT 'compact')
RETURNS void
LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    class pg_class := (SELECT c FROM pg_class c WHERE c.oid = "table");
    other regclass;
BEGIN
    IF class IS NULL THEN
        RAISE EXCEPTION 'there is no table with OID %', "table"::oid USING ERRCODE = 'undefined_table';
    ELSIF NOT pg_has_role(class.relowner, 'USAGE') THEN
        RAISE EXCEPTION 'must be owner of table %', "table" USING ERRCODE = 'insufficient_privilege';
    ELSIF format NOT IN ('compact', 'json') THEN
        RAISE EXCEPTION 'format "%" is not known', format
            USING ERRCODE = 'invalid_parameter_value', HINT = 'There are the formats compact and json.';
    ELSIF class.relkind NOT IN ('r', 'p') THEN
        RAISE EXCEPTION '% is not a table', "table" USING ERRCODE = 'wrong_object_type';
    END IF;

    -- waits for all writers, so that each transaction publishes all of its changes or none
    EXECUTE pg_catalog.format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', "table");
    IF NOT publish THEN
        DELETE FROM historian.published_table p WHERE p.relid = "table";
        RETURN;
    END IF;
    SELECT c.oid INTO other FROM pg_class c
        WHERE (c.oid = "table" OR c.oid IN (SELECT t.relid FROM pg_partition_tree("table") t)) AND c.relkind <> 'p'
            AND (c.relpersistence <> 'p' OR c.relam <> (SELECT a.oid FROM pg_am a WHERE a.amname = 'historian')) LIMIT 1;
    IF other IS NOT NULL THEN
        RAISE EXCEPTION 'the changes of % cannot be published', other
            USING ERRCODE = 'wrong_object_type',
                DETAIL = 'Only historian tables publish changes, and not temporary or unlogged ones.',
                HINT = 'A foreign partition publishes on the server that has it: name the local partitions one by one here.';
    ELSIF current_setting('wal_level') <> 'logical' THEN
        RAISE EXCEPTION 'wal_level is %, which is not enough for logical decoding', current_setting('wal_level')
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Set wal_level = logical in postgresql.conf and restart PostgreSQL.';
    END IF;
    INSERT INTO historian.published_table AS p VALUES ("table", format)
        ON CONFLICT (relid) DO UPDATE SET format = excluded.format;
END $$;

COMMENT ON FUNCTION historian.publish_changes(regclass, boolean, text) IS
'Publishes every change of the rows of a historian table, or of all partitions of a parent, as messages in the WAL for logical decoding (or, with false, no more): docs/change-data.md describes them. The format compact stores inserted rows compressed, which the output plugin historian and historian.decode_changes() make JSON; the format json has JSON in the WAL, for other output plugins. Writers of a published table wait for each other from their first written row to their commit, so that the order of commits is the order of changes. Needs wal_level = logical and ownership of the table; waits for those who are writing to it.';

CREATE FUNCTION historian.decode_changes(message bytea) RETURNS SETOF json
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 1
AS 'MODULE_PATHNAME', 'historian_decode_changes';

COMMENT ON FUNCTION historian.decode_changes(bytea) IS
'The JSON objects of a message with the prefix historian.compact or historian.json, in which historian.publish_changes() publishes changes: for consumers of other output plugins, such as pgoutput with messages. It works in any database with the extension and the same encoding.';

CREATE FUNCTION historian.value_bytes("values" float8[], columns integer) RETURNS bytea
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_value_bytes';

COMMENT ON FUNCTION historian.value_bytes(float8[], integer) IS
'Values as bytes, for programs that read many rows: the 8 bytes of each column in network byte order, and, only if a value is NULL or missing, a bit for each column after them. It is 1 where the column has a value; the first column has the lowest bit of the first byte. A row with more values than columns is an error. COPY .. (FORMAT binary) is quicker with them than with the array.';
