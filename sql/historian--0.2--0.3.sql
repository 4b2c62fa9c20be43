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
'Samples of one tag over a window. The time of sample i of 1..samples is start + floor(i * (end - start) / samples); its period reaches from the time of the sample before (exclusive) to its own (inclusive). Times are nanoseconds since 1970-01-01 UTC. The method last gives the values of the last row at or before that time, however old, and NULL before the first row. The other methods compute each element by itself: last_known (as last, but passing over NULL), first, interpolated, min, max, range, average, time_average, sum, count, stddev, delta. plot and lttb return stored rows instead, at most as many as samples. A tag without rows gives no samples. The table may be a partitioned parent of historian tables. Needs SELECT on the table.';
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
