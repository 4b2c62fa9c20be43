#!/usr/bin/python3
"""historian doctor: each finding is provoked, and told with its cure; check finds damage."""
import os
import re
import subprocess

from command import CONNINFO, HISTORIAN, ROOT, directory, done, e2e, free_port, historian, ok, path, same, sql, write

HISTORIAND = os.path.join(ROOT, "build", "historiand")


def doctor(*options, env=None, database=CONNINFO):
    return historian("doctor", *options, database=database, env=dict(os.environ, **(env or {})))


def finds(name, what, message, cure, *options, env=None, database=CONNINFO, alone=True):
    """One finding, of which what it is about, a part of the message and a part of the cure are known."""
    result = doctor(*options, env=env, database=database)
    found = re.findall(r"^FINDING  (\S+) +(.*)\n +cure: (.*)$", result.stdout, re.M)
    mine = [finding for finding in found if finding[0] == what and message in finding[1] and cure in finding[2]]
    ok(result.returncode == 1 and len(mine) == 1 and (len(found) == 1 or not alone), "finding: " + name, result.stdout + result.stderr)


def nothing():
    result = doctor("--min-free", "0")
    ok(result.returncode == 0 and "FINDING" not in result.stdout and "nothing was found\n" in result.stdout, "a server that is well", result.stdout)
    sql("DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN; GRANT SELECT, INSERT ON measurement TO plain")
    result = doctor("--min-free", "0", "-U", "plain")
    ok(result.returncode == 0 and "not seen" in result.stdout and "pg_monitor" in result.stdout, "what cannot be seen is told", result.stdout)
    same(doctor("x").returncode, 2, "a wrong command line")


def connecting():
    finds("no server at the port", "server", "Connection refused", "-p", "-h", "127.0.0.1", "-p", str(free_port()))
    finds("no socket", "server", "No such file", "-h", "-h", directory)
    finds("no such host", "server", "translate host name", "name service", "-h", "host.invalid")
    finds("no such database", "server", 'database "nothing" does not exist', "CREATE DATABASE", "-d", re.sub("dbname=\\S+", "dbname=nothing", CONNINFO))
    finds("no such role", "server", 'role "nobody7" does not exist', "CREATE ROLE", "-U", "nobody7")
    finds("no extension", "extension", "not in database postgres", "CREATE EXTENSION historian", "-d", re.sub("dbname=\\S+", "dbname=postgres", CONNINFO))


def versions():
    old = re.sub("dbname=\\S+", "dbname=old", CONNINFO)
    sql("DROP DATABASE IF EXISTS old")
    sql("CREATE DATABASE old")
    sql("CREATE EXTENSION historian VERSION '0.2'", old)
    sql("CREATE TABLE measurement (time bigint, tag text, values float8[]) USING historian", old)
    finds("an old extension", "extension", "has version 0.2", "ALTER EXTENSION historian UPDATE", "--min-free", "0", database=old, alone=False)
    sql("DROP DATABASE old")
    # PostgreSQL's own views stand behind others here: its files cannot be taken away while others use them.
    sql("CREATE SCHEMA fake")
    sql("CREATE VIEW fake.pg_available_extensions AS SELECT name, default_version FROM pg_catalog.pg_available_extensions WHERE name <> 'historian'")
    fake = {"PGOPTIONS": "-c search_path=fake,pg_catalog,public"}
    finds("no files of the extension", "extension", "no files", "install the package", "--min-free", "0", env=fake)
    sql("CREATE OR REPLACE VIEW fake.pg_available_extensions AS SELECT name, '9.9' AS default_version FROM pg_catalog.pg_available_extensions")
    sql("CREATE VIEW fake.pg_extension AS SELECT extname, '9.9' AS extversion FROM pg_catalog.pg_extension")
    finds("a program of another version", "extension", "version is 9.9", "one version", "--min-free", "0", env=fake)
    sql("DROP VIEW fake.pg_available_extensions, fake.pg_extension")

    sql("CREATE VIEW fake.pg_stat_activity AS SELECT * FROM pg_catalog.pg_stat_activity WHERE backend_type NOT LIKE '%launcher'")
    finds("no launcher", "worker", "does not run", "log", "--min-free", "0", env=fake)
    sql("DROP VIEW fake.pg_stat_activity")
    sql("CREATE VIEW fake.pg_replication_slots AS SELECT 'a' AS slot_name, true AS active, 'lost' AS wal_status, NULL::pg_lsn AS restart_lsn")
    finds("a slot that lost WAL", "slots", "slot a has lost", "build that standby anew", "--min-free", "0", env=fake)
    sql("CREATE OR REPLACE VIEW fake.pg_replication_slots AS SELECT 'a' AS slot_name, true AS active, 'reserved' AS wal_status, pg_current_wal_lsn() - 10000000::numeric AS restart_lsn")
    finds("a slot that is far behind", "slots", "slot a is 10.0 MB behind", "standby's log", "--max-lag", "1", "--min-free", "0", env=fake)
    sql("DROP VIEW fake.pg_replication_slots")
    sql("CREATE VIEW fake.pg_stat_replication AS SELECT 'async' AS sync_state, pg_current_wal_lsn() - 10000000::numeric AS replay_lsn")
    finds("a standby that is far behind", "standbys", "10.0 MB behind", "standby's log", "--max-lag", "1", "--min-free", "0", env=fake)
    sql("DROP SCHEMA fake CASCADE")


def tables():
    def found(name, message, cure):
        finds(name, "table", message, cure, "--min-free", "0", "-t", "odd")

    found("no table", 'there is no table "odd"', "CREATE TABLE")
    sql("CREATE VIEW odd AS SELECT 1")
    found("a view", "is not a table", "-t")
    sql("DROP VIEW odd; CREATE TABLE odd (time bigint, tag text, values float8[]) USING heap")
    found("a heap", "access method historian: odd", "SET ACCESS METHOD")
    sql("DROP TABLE odd; CREATE TABLE odd (time bigint, tag text, values float8[]) PARTITION BY RANGE (time)")
    found("a parent without partitions", "no partition", "PARTITION OF")
    sql("CREATE TABLE odd1 PARTITION OF odd FOR VALUES FROM (0) TO (9) USING historian; CREATE TABLE odd2 PARTITION OF odd DEFAULT USING heap")
    found("a partition that is a heap", "access method historian: odd2", "SET ACCESS METHOD")
    sql("ALTER TABLE odd2 SET ACCESS METHOD historian")
    ok("a parent of historian tables" in doctor("-t", "odd").stdout, "a parent of historian tables is well")
    sql("DROP TABLE odd; CREATE FOREIGN DATA WRAPPER far; CREATE SERVER far FOREIGN DATA WRAPPER far;"
        "CREATE TABLE odd (time bigint, tag text, value float8) PARTITION BY RANGE (time); CREATE FOREIGN TABLE odd1 PARTITION OF odd DEFAULT SERVER far")
    found("other columns", "other columns", "make it with")
    sql("DROP TABLE odd; DROP FOREIGN DATA WRAPPER far CASCADE")
    sql("REVOKE INSERT ON measurement FROM plain")
    finds("no privilege", "privileges", "may not load (INSERT)", "GRANT", "--min-free", "0", "-U", "plain")
    sql("REVOKE ALL ON measurement FROM plain; DROP ROLE plain")
    # it has run just now, so that the worker leaves it alone
    sql("BEGIN; SELECT historian.set_retention('measurement', interval '1 year');"
        "INSERT INTO historian.retention_run (relid, tag_prefix, last_run, rows_removed, bytes_removed, last_error) VALUES ('measurement', '', now(), 0, 0, 'no room')"
        " ON CONFLICT (relid, tag_prefix) DO UPDATE SET last_run = now(), last_error = 'no room'; COMMIT")
    finds("a retention that failed", "retention", "no room", "tries again", "--min-free", "0")
    sql("SELECT historian.set_retention('measurement', NULL)")


def around():
    finds("a full disk", "disk", "GB free", "retention", "--min-free", "100")
    sql("SELECT pg_create_physical_replication_slot('nobody', true)")
    finds("a slot that nobody reads", "slots", "nobody reads from slot nobody", "pg_drop_replication_slot", "--min-free", "0")
    sql("SELECT pg_drop_replication_slot('nobody')")
    # The clock of this program is put forward, and the server's version changed, by a library before libc.
    source = write("shim.c", """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *to)
{
	static int (*real)(clockid_t, struct timespec *);
	const char *shift = getenv("SHIFT_S");
	int result;

	if (real == NULL)
		real = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
	result = real(id, to);
	if (id == CLOCK_REALTIME && shift != NULL)
		to->tv_sec += atoi(shift);
	return result;
}
int PQserverVersion(const void *connection)
{
	(void) connection;
	return getenv("SERVER_VERSION") != NULL ? atoi(getenv("SERVER_VERSION")) : 150000;
}
time_t time(time_t *to)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (to != NULL)
		*to = now.tv_sec;
	return now.tv_sec;
}
""")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", path("shim.so"), source, "-ldl"], check=True)
    finds("another clock", "clock", "ahead of that of this machine", "time service", "--min-free", "0", env={"LD_PRELOAD": path("shim.so"), "SHIFT_S": "-60"})
    finds("an unsupported PostgreSQL", "server", "is not supported", "15, 17 or 18", "--min-free", "0",
          env={"LD_PRELOAD": path("shim.so"), "SERVER_VERSION": "140009"})


def server():
    port = free_port()
    url = "http://127.0.0.1:%d" % port
    finds("no historiand, over TLS", "historiand", "Connection refused", "start it", "--min-free", "0", "--url", url.replace("http:", "https:"))
    finds("no historiand", "historiand", "Connection refused", "start it", "--min-free", "0", "--url", url)
    for wrong in port + 65536, 0, "x", "":      # port + 65536 is the same port in 16 bits
        finds("the port \"%s\"" % wrong, "historiand", "the port is not a number from 1 to 65535", "--url", "--min-free", "0",
              "--url", "http://127.0.0.1:%s" % wrong)
    for options, run in ((("--table", "measurement"), served_well), (("--table", "not_there"), served_badly)):
        with subprocess.Popen([HISTORIAND, "--listen", "127.0.0.1:%d" % port, "--database", CONNINFO, *options], stderr=subprocess.DEVNULL) as process:
            try:
                run(url)
            finally:
                process.terminate()


def served_well(url):
    e2e.wait_until(lambda: "is ready" in doctor("--url", url).stdout, "historiand is ready")
    result = doctor("--min-free", "0", "--url", url)
    same(result.returncode, 0, "historiand that is well")
    finds("https:// to a port without TLS", "historiand", "the URL must begin with http://", "--ca-file", "--min-free", "0",
          "--url", url.replace("http:", "https:"))
    finds("another clock of historiand", "clock", "historiand's clock is", "time service", "--min-free", "0", "--url", url,
          env={"LD_PRELOAD": path("shim.so"), "SHIFT_S": "-60"}, alone=False)


def served_badly(url):
    e2e.wait_until(lambda: "not_there" in doctor("--url", url).stdout, "historiand has looked at its table")
    finds("historiand without its table", "historiand", "not_there", "mend", "--min-free", "0", "--url", url)


def own_cluster():
    """What needs another server: no preload, no compaction, a standby that is missing, damage."""
    env = dict(os.environ, DATADIR=path("data"))

    def cluster(*command):
        subprocess.run(["scripts/cluster", *command], cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL)

    def configure(text):
        with open(path("data/pgdata/postgresql.conf"), "a") as file:
            file.write(text)

    cluster("create")
    configure("shared_preload_libraries = ''\nfsync = off\nautovacuum = off\nshared_buffers = 32MB\n")
    cluster("start")
    conninfo = subprocess.run(["scripts/conninfo"], cwd=ROOT, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    try:
        finds("no preload", "preload", "nothing compacts", "shared_preload_libraries", "--min-free", "0", database=conninfo)
        sql("INSERT INTO measurement SELECT i, 'a', ARRAY[random(), random()] FROM generate_series(1, 20000) i", conninfo)
        finds("a backlog", "backlog", "20000 rows", "historian.compact", "--min-free", "0", database=conninfo, alone=False)
        # Damage: the table gets the directory of an empty one.
        sql("CREATE TABLE empty (LIKE measurement) USING historian; CHECKPOINT", conninfo)
        full, empty = (os.path.join(path("data/pgdata"), sql("SELECT pg_relation_filepath(indexrelid) FROM pg_index WHERE indrelid = '%s'::regclass" % name, conninfo))
                       for name in ("measurement", "empty"))
        cluster("stop")
        with open(empty, "rb") as pages, open(full, "r+b") as directory_of:
            directory_of.truncate(directory_of.write(pages.read()))
        configure("shared_preload_libraries = 'historian'\nhistorian.compaction = off\nsynchronous_standby_names = 'away'\n")
        subprocess.run(["scripts/cluster", "start"], cwd=ROOT, env=dict(env, PGOPTIONS="-c synchronous_commit=local"), check=True, stdout=subprocess.DEVNULL)
        finds("compaction is off", "worker", "historian.compaction is off", "RESET", "--min-free", "0", database=conninfo, alone=False)
        finds("a missing standby", "standbys", "none is connected", "start the standby", "--min-free", "0", database=conninfo, alone=False)
        sql("SET synchronous_commit = local; CREATE ROLE plain LOGIN", conninfo)
        result = historian("doctor", "-U", "plain", database=conninfo)
        ok("not seen standbys" in result.stdout and "FINDING  standbys" not in result.stdout, "who does not see standbys does not miss them", result.stdout)
        result = historian("check", database=conninfo)
        ok(result.returncode == 1 and "faults of measurement" in result.stdout and "tag a" in result.stdout and "not in the directory" in result.stdout, "check finds damage", result.stdout + result.stderr)
    finally:
        cluster("stop")


nothing()
connecting()
versions()
tables()
around()
server()
own_cluster()
done()
