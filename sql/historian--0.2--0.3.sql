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
