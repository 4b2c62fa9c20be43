-- historian 0.1 to 0.2; also run by CREATE EXTENSION, after historian--0.1.sql
\echo Use "ALTER EXTENSION historian UPDATE TO '0.2'" to load this file. \quit

-- Monitoring. Like the pg_stat_ views these tell about all tables of the database; they are for the
-- members of pg_monitor, because counting what waits takes a descent in the directory for each tag.

CREATE FUNCTION historian.stat_get_table(
    "table" regclass,
    OUT total_bytes bigint,
    OUT compacted_segments bigint, OUT compacted_bytes bigint, OUT compacted_rows bigint,
    OUT pending_segments bigint, OUT pending_bytes bigint, OUT pending_rows bigint,
    OUT pending_tags bigint,
    OUT late_segments bigint, OUT late_bytes bigint, OUT late_rows bigint)
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10000
AS 'MODULE_PATHNAME', 'historian_stat_get_table';

COMMENT ON FUNCTION historian.stat_get_table(regclass) IS
'What the view historian.historian_stat_tables shows of a table; NULL for a table that is locked exclusively.';

CREATE FUNCTION historian.stat_get_compaction(
    "table" regclass,
    OUT merges bigint, OUT segments_merged bigint, OUT segments_written bigint,
    OUT bytes_merged bigint, OUT bytes_written bigint, OUT rows_written bigint,
    OUT deferred bigint, OUT failed bigint, OUT last_merge timestamptz)
LANGUAGE C VOLATILE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'historian_stat_get_compaction';

COMMENT ON FUNCTION historian.stat_get_compaction(regclass) IS
'What the view historian.historian_stat_compaction shows of a table; NULL where historian is not in shared_preload_libraries.';

CREATE FUNCTION historian.stat_get_worker(
    OUT preloaded boolean, OUT enabled boolean, OUT counting_since timestamptz,
    OUT launcher_pid integer, OUT rounds bigint,
    OUT round_begin timestamptz, OUT round_end timestamptz,
    OUT worker_pid integer, OUT worker_database oid, OUT worker_table oid,
    OUT worker_since timestamptz)
LANGUAGE C VOLATILE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'historian_stat_get_worker';

COMMENT ON FUNCTION historian.stat_get_worker() IS
'What the view historian.historian_stat_worker shows.';

CREATE VIEW historian.historian_stat_tables AS
SELECT c.oid AS relid, n.nspname AS schemaname, c.relname, s.*
FROM pg_class c
     JOIN pg_am a ON a.oid = c.relam AND a.amname = 'historian'
     JOIN pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL historian.stat_get_table(c.oid) AS s
WHERE c.relkind IN ('r', 'm');

COMMENT ON VIEW historian.historian_stat_tables IS
'The historian tables of this database: total_bytes is all that a table occupies (pg_total_relation_size); compacted_segments, _bytes and _rows are estimated from 128 of its pages, exact up to 1 MB; pending_segments, _bytes, _rows and the pending_tags that have some are counted: what compaction has yet to merge; late_segments, _bytes and _rows, estimated, hold rows that came late and wait for others of about their time. NULL while a table is locked exclusively. For members of pg_monitor.';

CREATE VIEW historian.historian_stat_compaction AS
SELECT c.oid AS relid, n.nspname AS schemaname, c.relname, s.*
FROM pg_class c
     JOIN pg_am a ON a.oid = c.relam AND a.amname = 'historian'
     JOIN pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL historian.stat_get_compaction(c.oid) AS s
WHERE c.relkind IN ('r', 'm');

COMMENT ON VIEW historian.historian_stat_compaction IS
'What compaction, in the background and by historian.compact(), has done to each historian table of this database since the start of the server: merges (of a tag), segments and bytes merged and written, rows written, how often the background worker left the table for its next round (deferred: others were compacting, deleting, altering or still loading) or met an error (failed), and the time of the last merge. NULL where historian is not in shared_preload_libraries; see historian_stat_worker. For members of pg_monitor.';

CREATE VIEW historian.historian_stat_worker AS
SELECT s.preloaded, s.enabled, s.counting_since, s.launcher_pid, s.rounds, s.round_begin,
    s.round_end, s.worker_pid, d.datname AS worker_database, s.worker_table, s.worker_since
FROM historian.stat_get_worker() AS s LEFT JOIN pg_database d ON d.oid = s.worker_database;

COMMENT ON VIEW historian.historian_stat_worker IS
'Background compaction of the whole server, one row: whether historian is in shared_preload_libraries and historian.compaction is on; since when it counts; the launcher, its rounds, the begin of the last one and the end of the last that has ended; the worker at work, its database, the OID of its table there and since when it is at it. For members of pg_monitor.';

REVOKE ALL ON FUNCTION historian.stat_get_table(regclass), historian.stat_get_compaction(regclass),
    historian.stat_get_worker() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION historian.stat_get_table(regclass),
    historian.stat_get_compaction(regclass), historian.stat_get_worker() TO pg_monitor;
GRANT SELECT ON historian.historian_stat_tables, historian.historian_stat_compaction,
    historian.historian_stat_worker TO pg_monitor;

CREATE FUNCTION historian.compact_due(
    "table" regclass,
    OUT tags bigint, OUT segments_merged bigint, OUT segments_written bigint, OUT "rows" bigint)
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'historian_compact_due';

COMMENT ON FUNCTION historian.compact_due(regclass) IS
'Does once what the background worker does each historian.compaction_interval: merges the pending segments of the tags that have a page of them. For servers without background workers. Waits for the loads under way first. Returns what historian.compact() does. Needs ownership of the table and READ COMMITTED.';
