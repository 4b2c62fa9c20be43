-- Vacuums the table m until it has no file blocks, or until :deadline: while another session has an older snapshot, or
-- a lock, VACUUM gives nothing back.
VACUUM m;
SELECT pg_relation_size('m') > 0 AND clock_timestamp() < :'deadline' AS again \gset
\if :again
SELECT pg_sleep(0.5) \g /dev/null
\ir vacuum_until_empty.sql
\endif
