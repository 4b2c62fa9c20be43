-- The roles besides the superuser, who has no password and is reached from within the container only.
-- Changes nothing that is there but the passwords.  Variables: historiand, replicator, analyst.
SELECT format('CREATE ROLE %I', role) FROM unnest(ARRAY['historiand', 'replicator', 'analyst']) role
	WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) \gexec
ALTER ROLE historiand LOGIN PASSWORD :'historiand';
ALTER ROLE replicator LOGIN REPLICATION PASSWORD :'replicator';
ALTER ROLE analyst LOGIN PASSWORD :'analyst';

-- historiand loads and reads, by the group role of writers; pg_monitor shows it the standbys.
CALL historian.grant_writer('measurement');
CALL historian.grant_reader('measurement');
GRANT historian_writer, pg_monitor TO historiand;

-- Whoever looks, Grafana for one, reads everything and writes nothing.
GRANT pg_read_all_data TO analyst;
ALTER ROLE analyst SET default_transaction_read_only = on;
ALTER ROLE analyst SET statement_timeout = '30s';

-- A standby makes itself the synchronous one.
GRANT pg_monitor TO replicator;
GRANT ALTER SYSTEM ON PARAMETER synchronous_standby_names TO replicator;
GRANT EXECUTE ON FUNCTION pg_reload_conf() TO replicator;
