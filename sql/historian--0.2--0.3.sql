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

GRANT SELECT ON historian.stat_tables, historian.stat_compaction, historian.stat_worker TO pg_monitor;

COMMENT ON FUNCTION historian.stat_get_table(regclass) IS
'What the view historian.stat_tables shows of a table; NULL for a table that is locked exclusively.';
COMMENT ON FUNCTION historian.stat_get_compaction(regclass) IS
'What the view historian.stat_compaction shows of a table; NULL where historian is not in shared_preload_libraries.';
COMMENT ON FUNCTION historian.stat_get_worker() IS
'What the view historian.stat_worker shows.';

-- The same views under their old names: privileges and other views that refer to them stay valid.
CREATE OR REPLACE VIEW historian.historian_stat_tables AS SELECT * FROM historian.stat_tables;
CREATE OR REPLACE VIEW historian.historian_stat_compaction AS SELECT * FROM historian.stat_compaction;
CREATE OR REPLACE VIEW historian.historian_stat_worker AS SELECT * FROM historian.stat_worker;

COMMENT ON VIEW historian.historian_stat_tables IS
'Deprecated: the old name of historian.stat_tables, which the next version will not have.';
COMMENT ON VIEW historian.historian_stat_compaction IS
'Deprecated: the old name of historian.stat_compaction, which the next version will not have.';
COMMENT ON VIEW historian.historian_stat_worker IS
'Deprecated: the old name of historian.stat_worker, which the next version will not have.';

-- The functions that change or check a table take a partitioned parent, too.
COMMENT ON FUNCTION historian.compact(regclass) IS
'Merges all pending segments of a historian table into full ones, and waits for the loads under way first. Loads and reads go on meanwhile. Returns the tags touched (of a partitioned parent those of each partition), the segments merged and written, and the rows in them. The table may be a partitioned parent of historian tables. Needs ownership of the table and READ COMMITTED.';
COMMENT ON FUNCTION historian.compact_due(regclass) IS
'Does once what the background worker does each historian.compaction_interval: merges the pending segments of the tags that have a page of them. For servers without background workers. Waits for the loads under way first. Returns what historian.compact() does. The table may be a partitioned parent of historian tables. Needs ownership of the table and READ COMMITTED.';
COMMENT ON FUNCTION historian.delete(regclass, text, bigint, bigint) IS
'Deletes the rows of a tag with start <= time < end (nanoseconds) and returns their number. Quicker than DELETE, as segments within the range are not read. The table may be a partitioned parent of historian tables. Needs DELETE on the table.';
COMMENT ON FUNCTION historian.drop_before(regclass, bigint) IS
'Deletes the rows of all tags with a time (nanoseconds) less than the given and returns their number. VACUUM makes the space free for use. historian.set_retention() has it done by the background worker. The table may be a partitioned parent of historian tables. Needs DELETE on the table.';
COMMENT ON FUNCTION historian.check(regclass) IS
'Reads every segment of a historian table and its directory. One row for each fault: where the segment is (block, item), its tag and times as far as they can be read, and what is wrong. No row: the table is intact. Of a partitioned parent it checks all partitions, and each problem begins with the name of one. Loads and reads go on meanwhile. Needs ownership of the table.';
