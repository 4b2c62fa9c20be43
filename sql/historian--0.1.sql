-- historian 0.1
\echo Use "CREATE EXTENSION historian" to load this file. \quit

-- the functions check the privileges on the table that they are given
GRANT USAGE ON SCHEMA historian TO PUBLIC;

CREATE FUNCTION historian.handler(internal) RETURNS table_am_handler
LANGUAGE C AS 'MODULE_PATHNAME', 'historian_handler';

COMMENT ON FUNCTION historian.handler(internal) IS
'Handler of the table access method "historian". Not to be called.';

CREATE ACCESS METHOD historian TYPE TABLE HANDLER historian.handler;

COMMENT ON ACCESS METHOD historian IS
'Compressed per-tag time series: CREATE TABLE m (time bigint, tag text, values float8[]) USING historian.';

CREATE FUNCTION historian.to_ns(timestamptz) RETURNS bigint
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_to_ns';

COMMENT ON FUNCTION historian.to_ns(timestamptz) IS
'Nanoseconds since 1970-01-01 00:00:00 UTC. Error outside of 1677-09-21 .. 2262-04-11.';

CREATE FUNCTION historian.to_timestamptz(bigint) RETURNS timestamptz
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'historian_to_timestamptz';

COMMENT ON FUNCTION historian.to_timestamptz(bigint) IS
'The timestamptz of nanoseconds since 1970-01-01 00:00:00 UTC, rounded down to microseconds.';

CREATE FUNCTION historian.downsample(
    "table" regclass, tag text, start bigint, "end" bigint,
    samples integer DEFAULT 1000, method text DEFAULT 'last',
    OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_downsample';

COMMENT ON FUNCTION historian.downsample(regclass, text, bigint, bigint, integer, text) IS
'Samples of one tag over a window. Sample i of 1..samples stands at start + floor(i * (end - start) / samples) and tells about the period from the one before (exclusive) to there (inclusive); times are nanoseconds since the Unix epoch. Method last: the values of the last row at or before that time, however old (period-end, carry-in), NULL before the first row. Others: first, interpolated, min, max, range, average, time_average, sum, count, stddev, delta, element by element; plot and lttb return at most so many stored rows instead. No rows for a tag that has none. Needs SELECT on the table.';

CREATE FUNCTION historian.downsample_many(
    "table" regclass, tags text[], start bigint, "end" bigint,
    samples integer DEFAULT 1000, method text DEFAULT 'last',
    OUT tag text, OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 10000 COST 10000
AS 'MODULE_PATHNAME', 'historian_downsample_many';

COMMENT ON FUNCTION historian.downsample_many(regclass, text[], bigint, bigint, integer, text) IS
'The samples of historian.downsample() for several tags, tag by tag in byte order, each tag once; tags that have no row are left out. Needs SELECT on the table.';

CREATE FUNCTION historian.moving_average(
    "table" regclass, tag text, start bigint, "end" bigint, samples integer, "window" bigint,
    OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 1000 COST 1000
AS 'MODULE_PATHNAME', 'historian_moving_average';

COMMENT ON FUNCTION historian.moving_average(regclass, text, bigint, bigint, integer, bigint) IS
'Samples of one tag that stand where those of historian.downsample() do, each the unweighted mean, element by element, of the rows with sample time - window < time <= sample time. Needs SELECT on the table.';

CREATE FUNCTION historian.raw(
    "table" regclass, tag text, start bigint, "end" bigint,
    OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 10000 COST 1000
AS 'MODULE_PATHNAME', 'historian_raw';

COMMENT ON FUNCTION historian.raw(regclass, text, bigint, bigint) IS
'The rows of one tag with start <= time < end (nanoseconds), in order of time: those that historian.delete() deletes. Needs SELECT on the table.';

CREATE FUNCTION historian.latest(
    "table" regclass,
    OUT tag text, OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 10000 COST 100000
AS 'MODULE_PATHNAME', 'historian_latest';

COMMENT ON FUNCTION historian.latest(regclass) IS
'The last row of each tag, in byte order of the tags. Needs SELECT on the table.';

CREATE FUNCTION historian.latest(
    "table" regclass, tags text[],
    OUT tag text, OUT "time" bigint, OUT "values" float8[])
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 10 COST 100
AS 'MODULE_PATHNAME', 'historian_latest';

COMMENT ON FUNCTION historian.latest(regclass, text[]) IS
'The last row of each of some tags, in byte order of the tags, each once; tags that have no row are left out. Needs SELECT on the table.';

CREATE FUNCTION historian.tags(
    "table" regclass,
    OUT tag text, OUT first_time bigint, OUT last_time bigint, OUT samples bigint)
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 10000 COST 100000
AS 'MODULE_PATHNAME', 'historian_tags';

COMMENT ON FUNCTION historian.tags(regclass) IS
'The tags of a table in byte order, with the times (nanoseconds) of their first and last row and their exact number of rows. Reads segment headers, and times only where segments overlap. Needs SELECT on the table.';

CREATE FUNCTION historian.compact(
    "table" regclass,
    OUT tags bigint, OUT segments_merged bigint, OUT segments_written bigint, OUT "rows" bigint)
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'historian_compact';

COMMENT ON FUNCTION historian.compact(regclass) IS
'Merges all pending segments of a historian table into full ones, and waits for the loads under way first. Loads and reads go on meanwhile. Returns the tags touched, the segments merged and written, and the rows in them. Needs ownership of the table and READ COMMITTED.';

CREATE FUNCTION historian.delete("table" regclass, tag text, start bigint, "end" bigint)
RETURNS bigint
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'historian_delete';

COMMENT ON FUNCTION historian.delete(regclass, text, bigint, bigint) IS
'Deletes the rows of a tag with start <= time < end (nanoseconds) and returns their number. Quicker than DELETE, as segments within the range are not read. Needs DELETE on the table.';

CREATE FUNCTION historian.drop_before("table" regclass, "time" bigint)
RETURNS bigint
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'historian_drop_before';

COMMENT ON FUNCTION historian.drop_before(regclass, bigint) IS
'Deletes the rows of all tags with a time (nanoseconds) less than the given and returns their number: retention. VACUUM makes the space free for use. Needs DELETE on the table.';

CREATE FUNCTION historian.check(
    "table" regclass,
    OUT block bigint, OUT item integer, OUT tag text, OUT first_time bigint, OUT last_time bigint,
    OUT problem text)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 10 COST 100000
AS 'MODULE_PATHNAME', 'historian_check';

COMMENT ON FUNCTION historian.check(regclass) IS
'Reads every segment of a historian table and its directory. One row for each fault: where the segment is (block, item), its tag and times as far as they can be read, and what is wrong. No row: the table is intact. Loads and reads go on meanwhile. Needs ownership of the table.';
