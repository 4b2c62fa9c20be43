#!/usr/bin/python3
"""Settings, start, health, metrics."""
import json
import os
import resource
import re
import shutil
import subprocess
import sys
import time

from historiand import (BINARY, CONNINFO, Server, Skip, count, insert, message, new_table, ndjson, request_bytes, run, sql,
                        temporary_directory, wait_for, NDJSON)

ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("HISTORIAND_")}


def check_config(*flags, **environment):
    return subprocess.run([BINARY, "--check-config", *flags], capture_output=True, text=True,
                          env=dict(ENVIRONMENT, **environment))


def test_help():
    """--help lists each setting with its environment name and default"""
    text = subprocess.run([BINARY, "--help"], capture_output=True, text=True).stdout
    done = subprocess.run([BINARY, "-h"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, text, ""), done
    for name in ("listen", "database", "table", "flush-interval", "threads", "max-buffered-bytes",
                 "spool-dir", "max-queries", "commit-delay", "dead-letter-file"):
        assert f"--{name}, HISTORIAND_{name.upper().replace('-', '_')} (default " in text, name


def test_precedence():
    """flags win over the environment, that over the file; a wrong value of the winner is named"""
    path = os.path.join(temporary_directory(), "config")
    with open(path, "w", encoding="utf-8") as file:
        file.write("# a comment\n\nflush-interval = bad-in-file\n")
    assert "config line 3: flush-interval" in check_config("--config", path).stderr
    done = check_config("--config", path, HISTORIAND_FLUSH_INTERVAL="bad-in-environment")
    assert "line 3" in done.stderr, done
    with open(path, "w", encoding="utf-8") as file:
        file.write("listen = 127.0.0.1:1\nmax-queries=3\n")
    table = new_table()
    server = subprocess.Popen(
        [BINARY, "--config=" + path, "--listen=127.0.0.1:0", "--database", CONNINFO],
        env=dict(ENVIRONMENT, HISTORIAND_LISTEN="127.0.0.1:2", HISTORIAND_TABLE=table),
        stderr=subprocess.PIPE, text=True)
    line = server.stderr.readline()
    server.terminate()
    assert "listening on http://127.0.0.1:" in line and not line.strip().endswith((":1", ":2"))
    assert server.wait(10) == 0


def test_wrong_settings():
    """a wrong setting is named at start, with exit code 2"""
    for flags, word in (
            (["--flush-interval", "1"], "--flush-interval"),
            (["--flush-interval", "0s"], "--flush-interval"),
            (["--threads", "4", "--max-queries", "3"], "max-queries"),
            (["--max-buffered-bytes", "lots"], "--max-buffered-bytes"),
            (["--max-buffered-bytes=99999999999999999999"], "--max-buffered-bytes"),
            (["--load-nice", "20"], "--load-nice"), (["--busy-poll", "1001"], "--busy-poll"),
            (["--threads", "0"], "--threads"), (["--threads", "-1"], "--threads"),
            (["--threads"], "--threads"), (["--listen", "localhost"], "listen"),
            (["--listen", "127.0.0.1:70000"], "listen"),
            (["--listen", "localhost:8080"], "listen"), (["--database", "garbage==="], "database"), (["--table", ""], "table"),
            (["--log-level", "loud"], "log-level"),
            (["--log-format", "xml"], "log-format"), (["--no-such-flag", "1"], "--no-such-flag"),
            (["stray"], "stray"), (["--config", "/no/such/file"], "/no/such/file")):
        done = check_config(*flags)
        assert done.returncode == 2 and word in done.stderr, (flags, done)
        assert "are valid" not in done.stdout, done
    done = check_config(HISTORIAND_THREADS="many")
    assert done.returncode == 2 and "HISTORIAND_THREADS" in done.stderr, done
    done = check_config("--database", CONNINFO, "--table", new_table(), "--listen", "127.0.0.1:0")
    assert done.returncode == 0 and "valid" in done.stdout, done


def test_port_in_use():
    """an address that is in use is a clear error, with several threads too, and on all addresses"""
    for threads in (1, 2):
        server = Server(threads=threads)
        for address in ("127.0.0.1", "0.0.0.0"):
            done = subprocess.run(
                [BINARY, "--listen", f"{address}:{server.port}", "--database", CONNINFO,
                 "--threads", "2", "--insecure", "--table", server.table], capture_output=True, text=True,
                timeout=10)
            assert done.returncode == 1 and "cannot listen on" in done.stderr, done
            assert "Address already in use" in done.stderr, done
        assert server.stop() == 0


def test_threads_share():
    """each of several threads gets connections"""
    server = Server(threads=3)
    clients = [server.connect() for _ in range(64)]
    for client in clients:
        assert client.request("GET", "/livez").status == 200
    counts = []     # of what each loop's epoll instance waits for
    for name in os.listdir(f"/proc/{server.process.pid}/fdinfo"):
        with open(f"/proc/{server.process.pid}/fdinfo/{name}", encoding="utf-8") as file:
            counts.append(file.read().count("tfd:"))
    assert sum(polled >= 8 for polled in counts) >= 3, sorted(counts)
    for client in clients:
        client.close()
    assert server.stop() == 0


def test_check_config_tries():
    """--check-config tries the address, the database and the table, with what is wrong by name"""
    table = new_table()
    for flags, word in (
            (["--database", "host=/nonexistent dbname=x"], "cannot connect to PostgreSQL"),
            (["--table", "no_such_table"], 'relation "no_such_table" does not exist'),
            # "schema no_such_schema" in the words of PostgreSQL 15, and "relation no_such_schema.t" in those of 17
            (["--table", "no_such_schema.t"], '"no_such_schema'),
            (["--table", new_table("heap", "time bigint, tag text")], 'no column "values"'),
            (["--table", new_table("heap", "time timestamptz, tag text, values float8[]")],
             "type timestamp with time zone, not bigint"),
            (["--table", new_table("heap", "time bigint, tag text, values float4[]")],
             "type real[], not double precision[]"),
            (["--listen", "192.0.2.1:80", "--insecure"], "listen")):
        done = check_config("--listen=127.0.0.1:0", "--database", CONNINFO, "--table", table, *flags)
        assert done.returncode == 1 and word in done.stderr, (flags, done)
        assert "valid" not in done.stdout + done.stderr, done
    server = Server(table)
    insert(table, [{"time": 1, "tag": "x", "values": [1]}])     # the tag that the check reads
    done = check_config("--listen", f"127.0.0.1:{server.port}", "--database", CONNINFO,
                        "--table", table)
    assert done.returncode == 0 and "is in use now" in done.stdout, done
    assert server.stop() == 0


def why_not_ready(server):
    answer = server.get("/readyz")
    return answer.json()["detail"] if answer.status == 503 and not server.ready() else None


def test_table_not_there():
    """readyz names what is wrong with the table, from the start and later, without a load"""
    table = new_table()
    server = Server(table + "_later", expect_ready=False)
    wait_for("the reason", lambda: "does not exist" in (why_not_ready(server) or ""))
    assert table + "_later" in why_not_ready(server)
    sql(f"ALTER TABLE {table} RENAME TO {table}_later")
    wait_for("ready", lambda: why_not_ready(server) is None)
    sql(f"ALTER TABLE {table}_later RENAME TO {table}")
    wait_for("the reason", lambda: "does not exist" in (why_not_ready(server) or ""))
    assert server.metric("historiand_loads_total") == 0
    assert server.stop() == 0


# what makes a table wrong, the reason and the cure that are told
WRONG_TABLES = (
    ("DROP TABLE {t}", 'relation "{t}" does not exist', "USING historian"),
    ("DROP TABLE {t}; CREATE VIEW {t} AS SELECT 1::bigint AS time, 'a' AS tag, '{{1}}'::float8[] AS values",
     "{t} is a view", "--table must name a historian table"),
    ("ALTER TABLE {t} RENAME TO {t}_read; CREATE VIEW {t} AS SELECT * FROM {t}_read",
     "{t} is a view", "--table must name a historian table, or a partitioned parent of such tables, such as {t}_read"),
    ("DROP TABLE {t}; CREATE TABLE {t} (time bigint, tag text, values float8[])",
     "table {t} is not a historian table", "ALTER TABLE {t} SET ACCESS METHOD historian"),
    ("DROP TABLE {t}; CREATE TABLE {t} (time bigint, tag text)", 'no column "values"', "values double precision[]"),
    ("DROP TABLE {t}; CREATE TABLE {t} (time bigint, tag text, values float8[]) PARTITION BY HASH (tag)",
     "partitioned table {t} has no partition", "PARTITION OF {t} ... USING historian"),
    ("DROP TABLE {t}; CREATE TABLE {t} (time bigint, tag text, values float8[]) PARTITION BY HASH (tag);"
     "CREATE TABLE {t}_a PARTITION OF {t} FOR VALUES WITH (MODULUS 1, REMAINDER 0) PARTITION BY RANGE (time);"
     "CREATE TABLE {t}_a_1 PARTITION OF {t}_a DEFAULT USING heap",
     "partition {t}_a_1 is not a historian table", "ALTER TABLE {t}_a_1 SET ACCESS METHOD historian"),
    ("ALTER TABLE {t} OWNER TO postgres; REVOKE ALL ON {t} FROM loader_{t}", "permission denied", "GRANT"))


def test_wrong_tables():
    """readyz and --check-config tell what is wrong with each table, and its cure; then all is well again"""
    if sql("SELECT count(*) FROM pg_am WHERE amname = 'historian'") == [["0"]]:
        raise Skip("needs the extension")
    for make, reason, cure in WRONG_TABLES:
        table = new_table()
        role = f"loader_{table}"
        sql(f"CREATE ROLE {role} LOGIN; GRANT ALL ON {table} TO {role}")
        conninfo = f"{CONNINFO} options='-c role={role}'"
        try:
            server = Server(table, conninfo=conninfo)
            sql(make.format(t=table))
            if "OWNER" not in make:
                sql(f"""DO $$ BEGIN IF to_regclass('{table}') IS NOT NULL THEN
                    GRANT ALL ON {table} TO {role}; END IF; END $$""")
            reason, cure = reason.format(t=table), cure.format(t=table)

            def told():
                answer = server.get("/readyz")
                return answer.status == 503 and reason in answer.json()["detail"] and answer.json()["detail"]
            assert cure in wait_for(f"the reason {reason}", told), (make, told())
            done = check_config("--listen=127.0.0.1:0", "--database", conninfo, "--table", table)
            assert done.returncode == 1 and reason in done.stderr and cure in done.stderr, (make, done)
            sql(f"""DO $$ BEGIN EXECUTE (SELECT format('DROP %s {table} CASCADE', CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END)
                FROM pg_class WHERE oid = to_regclass('{table}')); EXCEPTION WHEN null_value_not_allowed THEN NULL; END $$;
                CREATE TABLE {table} (time bigint, tag text, values float8[]) USING historian; GRANT ALL ON {table} TO {role}""")
            wait_for("ready", lambda: server.get("/readyz").status == 200)
            assert server.stop() == 0
        finally:
            sql(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_check_locks_no_partition():
    """the check of the table holds no lock on a partition while it waits for the parent: a DROP would be a deadlock"""
    table = new_table()
    sql(f"DROP TABLE {table}; CREATE TABLE {table} (time bigint, tag text, values float8[]) PARTITION BY HASH (tag);"
        f"CREATE TABLE {table}_a PARTITION OF {table} FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
    server = Server(table)
    # as DROP TABLE does it: first the parent, then, once the check waits for that, the partition
    sql(f"""BEGIN;
        LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE;
        DO $$ BEGIN
            FOR i IN 1..2000 LOOP
                EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE relation = '{table}'::regclass AND NOT granted);
                PERFORM pg_sleep(0.01);
                ASSERT i < 2000, 'nobody waits for the table';
            END LOOP;
        END $$;
        LOCK TABLE {table}_a IN ACCESS EXCLUSIVE MODE NOWAIT;
        COMMIT""")
    wait_for("ready", lambda: why_not_ready(server) is None)
    assert server.stop() == 0


def test_missing_partition():
    """rows wait for a partition; readyz tells the cause and the cure, and all of them come in the end"""
    if sql("SELECT count(*) FROM pg_am WHERE amname = 'historian'") == [["0"]]:
        raise Skip("needs the extension")
    table = new_table()
    sql(f"""DROP TABLE {table};
            CREATE TABLE {table} (time bigint, tag text, values float8[]) PARTITION BY RANGE (time);
            CREATE TABLE {table}_a PARTITION OF {table} FOR VALUES FROM (0) TO (1000) USING historian""")
    server = Server(table)
    rows = [message(10, "a", [1]), message(1500, "a", [2]), message(20, "b", [3])]
    assert server.save(rows).status == 202
    wait_for("the reason", lambda: "no partition of relation" in (why_not_ready(server) or ""))
    assert "(or DEFAULT) USING historian" in why_not_ready(server)
    assert "Partition key of the failing row contains (\"time\") = (1500)." in why_not_ready(server), why_not_ready(server)
    server.logged(r'does not take rows now.*contains \("time"\) = \(1500\)')
    assert server.save(message(30, "b", [4])).status == 202
    assert count(table) == 0
    sql(f"CREATE TABLE {table}_b PARTITION OF {table} FOR VALUES FROM (1000) TO (2000) USING historian")
    wait_for("the rows", lambda: count(table) == 4)
    wait_for("ready", lambda: server.get("/readyz").status == 200)
    assert server.stop() == 0


def test_refused_by_a_trigger():
    """what a trigger says of rows that it refuses, without naming a constraint, is in readyz with detail and hint, but not their values"""
    table = new_table()
    sql(f"""CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE EXCEPTION 'not now' USING DETAIL = 'Line 7 is down.', HINT = 'Call Eve.';
            END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_refuse()""")
    server = Server(table)
    assert server.save(message(10, "a", [1])).status == 202
    wait_for("the reason", lambda: "not now (SQLSTATE P0001); Line 7 is down.; Call Eve." in (why_not_ready(server) or ""))
    sql(f"""CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE not_null_violation USING MESSAGE = 'not that', DETAIL = 'Failing row contains (10, a, {{1}}).';
            END $$""")
    wait_for("the other reason", lambda: "not that (SQLSTATE 23502)" in (why_not_ready(server) or ""))
    assert "Failing row" not in why_not_ready(server), why_not_ready(server)
    sql(f"DROP TRIGGER refuse ON {table}")
    wait_for("the row", lambda: count(table) == 1)
    sql(f"DROP FUNCTION {table}_refuse()")
    assert server.stop() == 0


def test_partitioned_parent():
    """a partitioned parent is loaded, read and exported; one that cannot be read says so, and is no 500"""
    if sql("SELECT count(*) FROM pg_am WHERE amname = 'historian'") == [["0"]]:
        raise Skip("needs the extension")
    table = new_table("heap")
    sql(f"""DROP TABLE {table};
            CREATE TABLE {table} (time bigint, tag text, values float8[]) PARTITION BY RANGE (time);
            CREATE TABLE {table}_a PARTITION OF {table} FOR VALUES FROM (0) TO (1000) USING historian;
            CREATE TABLE {table}_b PARTITION OF {table} FOR VALUES FROM (1000) TO (2000)
                PARTITION BY HASH (tag);
            CREATE TABLE {table}_b0 PARTITION OF {table}_b FOR VALUES WITH (MODULUS 2, REMAINDER 0)
                USING historian;
            CREATE TABLE {table}_b1 PARTITION OF {table}_b FOR VALUES WITH (MODULUS 2, REMAINDER 1)
                USING historian""")
    server = Server(table)
    rows = [message(10, "a", [1]), message(1500, "a", [2]), message(1700, "b", [3])]
    assert server.save(rows, "?ack=committed").status == 204
    samples = [{"time": 1000, "values": [1]}, {"time": 2000, "values": [2]}]
    for path, expected in (
            ("/api?tag=a&start=0&end=2000&samples=2", samples),
            ("/api?tag=a&start=0&end=2000&samples=2&method=sum", samples),
            ("/api?tag=a&tag=b&start=0&end=1000&samples=1",
             [{"tagName": "a", "samples": [samples[0]]},
              {"tagName": "b", "samples": [{"time": 1000, "values": None}]}]),
            ("/tags", [{"tag": "a", "first": 10, "last": 1500, "samples": 2},
                       {"tag": "b", "first": 1700, "last": 1700, "samples": 1}]),
            ("/latest", [message(1500, "a", [2]), message(1700, "b", [3])]),
            ("/latest?tag=a", [message(1500, "a", [2])])):
        answer = server.get(path)
        assert answer.status == 200, (path, answer)
        found = answer.json()
        found = next(found[key] for key in ("samples", "series", "tags", "latest") if key in found)
        assert found == expected, (path, found)
    assert server.get("/api?tag=c&start=0&end=20").status == 404
    export = server.get("/export?tag=a").body.decode().splitlines()
    assert [json.loads(line) for line in export] == rows[:2]

    sql(f"CREATE TABLE {table}_c PARTITION OF {table} DEFAULT USING heap")
    for path in ("/api?tag=a&start=0&end=20&samples=2", "/api?tag=a&tag=b&start=0&end=20", "/tags",
                 "/latest", "/latest?tag=a"):
        answer = server.get(path)
        assert answer.status == 422 and table + "_c" in answer.json()["detail"], (path, answer)
        assert answer.json()["sqlstate"] == "42809", (path, answer)
    assert len(server.get("/export?tag=a").body.splitlines()) == 2
    sql(f"""DROP TABLE {table};
            CREATE TABLE {table} (time bigint, tag text, values float8[]) PARTITION BY HASH (values)""")
    answer = server.get("/tags")
    assert answer.status == 422 and answer.json()["sqlstate"] == "0A000", answer
    assert server.stop() == 0


def test_foreign_partition():
    """a parent with partitions on another server is loaded, read and exported as any other"""
    if sql("SELECT count(*) FROM pg_available_extensions WHERE name IN ('historian', 'postgres_fdw')") != [["2"]]:
        raise Skip("needs historian and postgres_fdw")
    table = new_table()
    options = dict(sql(f"""SELECT name, value FROM (VALUES ('dbname', current_database()::text),
        ('host', split_part(current_setting('unix_socket_directories'), ',', 1)), ('port', current_setting('port'))) v (name, value)"""))
    sql(f"""CREATE EXTENSION IF NOT EXISTS postgres_fdw;
            CREATE SERVER {table}_far FOREIGN DATA WRAPPER postgres_fdw
                OPTIONS (host '{options["host"]}', port '{options["port"]}', dbname '{options["dbname"]}');
            CREATE USER MAPPING FOR CURRENT_USER SERVER {table}_far;
            ALTER TABLE {table} RENAME TO {table}_there;
            CREATE TABLE {table} (time bigint, tag text, values float8[]) PARTITION BY RANGE (time);
            CREATE FOREIGN TABLE {table}_a PARTITION OF {table} FOR VALUES FROM (0) TO (1000)
                SERVER {table}_far OPTIONS (table_name '{table}_there');
            CREATE TABLE {table}_b PARTITION OF {table} FOR VALUES FROM (1000) TO (2000) USING historian""")
    try:
        server = Server(table)
        rows = [message(10, "a", [1]), message(1500, "a", [2]), message(700, "b", [3])]
        assert server.save(rows, "?ack=committed").status == 204
        assert count(table + "_there") == 2
        for path, expected in (
                ("/api?tag=a&start=0&end=1200&samples=2", [{"time": 600, "values": [1]}, {"time": 1200, "values": [1]}]),
                ("/tags", [{"tag": "a", "first": 10, "last": 1500, "samples": 2},
                           {"tag": "b", "first": 700, "last": 700, "samples": 1}]),
                ("/latest", [message(1500, "a", [2]), message(700, "b", [3])])):
            answer = server.get(path)
            assert answer.status == 200, (path, answer)
            found = answer.json()
            found = next(found[key] for key in ("samples", "tags", "latest") if key in found)
            assert found == expected, (path, found)
        export = server.get("/export?tag=a").body.decode().splitlines()
        assert [json.loads(line) for line in export] == rows[:2]
        assert server.get("/readyz").status == 200
        assert server.stop() == 0
    finally:
        sql(f"DROP TABLE {table}, {table}_there; DROP SERVER {table}_far CASCADE")


def test_table_wrong():
    """readyz names columns that are wrong and privileges that are lacking, as they come and go"""
    table = new_table("heap")
    server = Server(table)
    for change, back, word in (
            (f"ALTER TABLE {table} RENAME values TO v", f"ALTER TABLE {table} RENAME v TO values",
             "values"),
            (f"ALTER TABLE {table} ALTER values TYPE float4[]",
             f"ALTER TABLE {table} ALTER values TYPE float8[]", "real[]"),
            (f"ALTER TABLE {table} ADD more int NOT NULL", f"ALTER TABLE {table} DROP more",
             "more")):
        sql(change)
        wait_for(f"the reason of {change}", lambda: word in (why_not_ready(server) or ""))
        sql(back)
        wait_for("ready", lambda: why_not_ready(server) is None)
    assert server.stop() == 0
    table = new_table()
    role = f"loader_{table}"
    sql(f"CREATE ROLE {role} LOGIN")
    try:
        conninfo = f"{CONNINFO} options='-c role={role}'"
        server = Server(table, conninfo=conninfo, expect_ready=False)
        wait_for("the reason", lambda: "permission denied" in (why_not_ready(server) or ""))
        sql(f"GRANT INSERT ON {table} TO {role}")
        wait_for("ready", lambda: why_not_ready(server) is None)
        sql(f"REVOKE INSERT ON {table} FROM {role}")
        wait_for("the reason", lambda: "permission denied" in (why_not_ready(server) or ""))
        assert server.stop() == 0
    finally:
        sql(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_quoted_table():
    """a table in another schema and with an odd name works"""
    table = new_table()
    schema = f"Odd {table}"
    sql(f'CREATE SCHEMA "{schema}"; ALTER TABLE {table} SET SCHEMA "{schema}"')
    server = Server(table=f"{schema}.{table}")
    assert server.save(message(1, "a", [1]), "?ack=committed").status == 204
    assert server.get("/api?tag=a&start=0&end=1&samples=1").json()["samples"][0]["values"] == [1]
    assert server.stop() == 0
    sql(f'DROP SCHEMA "{schema}" CASCADE')


def test_health():
    """livez, its alias healthz, and readyz"""
    server = Server()
    for path in ("/livez", "/healthz", "/readyz"):
        assert server.get(path).status == 200, path
    assert server.stop() == 0


def test_metrics():
    """metrics count what happened and are well-formed"""
    server = Server()
    assert server.save(ndjson([message(i, "a", [1]) for i in range(100)]), "?ack=committed",
                       NDJSON).status == 204
    assert server.save(b"{}").status == 400
    assert server.get("/api?tag=none&start=0&end=1").status == 404
    assert server.metric("historiand_messages_received_total") == 100
    assert server.metric("historiand_messages_committed_total") == 100
    assert server.metric('historiand_rejected_total{reason="invalid"}') == 1
    assert server.metric("historiand_lag_seconds_count") == 100
    assert server.metric("historiand_load_rows_sum") == 100
    name = 'historiand_http_request_duration_seconds_count{route="%s",status="%s"}'
    assert server.metric(name % ("/save", 204)) == 1
    assert server.metric(name % ("/save", 400)) == 1
    assert server.metric(name % ("/api", 404)) == 1
    wait_for("an empty buffer", lambda: server.metric("historiand_buffer_bytes") == 0)
    wait_for("connected", lambda: server.metric("historiand_database_connected") == 1)
    answer = server.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in answer.body.decode().splitlines():
        assert line.startswith(("# HELP historiand_", "# TYPE historiand_", "historiand_")), line
    assert server.stop() == 0


def test_promtool():
    """promtool finds nothing to say about the metrics, with all kinds of requests in them"""
    if not shutil.which("promtool"):
        raise Skip("promtool (Debian package prometheus) is absent")
    server = Server()
    assert server.save(message(1, "a", [1]), "?ack=committed").status == 204
    assert server.save(b"{}").status == 400
    for path in ("/api?tag=a&start=0&end=2", "/tags", "/latest", "/export?tag=a&start=0&end=2",
                 "/livez", "/readyz", "/nothing", "/metrics"):
        server.get(path)
    done = subprocess.run(["promtool", "check", "metrics"], input=server.get("/metrics").body,
                          capture_output=True)
    assert done.returncode == 0 and not done.stdout + done.stderr, done.stdout + done.stderr
    assert server.stop() == 0


def test_check_spool_dir():
    """--check-config tries the spool directory, without making it or needing it for itself"""
    directory = temporary_directory()
    file = os.path.join(directory, "file")
    with open(file, "w", encoding="utf-8"):
        pass
    for path, word in ((file, "not a directory"), (file + "/below", "Not a directory"),
                       (directory + "/none/below", "No such file")):
        done = check_config("--spool-dir", path)
        assert done.returncode == 2 and word in done.stderr and path in done.stderr, done
    there = ("--listen", "127.0.0.1:0", "--database", CONNINFO, "--table", new_table())
    for path in (directory, directory + "/new", directory + "/new/"):
        assert check_config("--spool-dir", path, *there).returncode == 0, path
    assert os.listdir(directory) == ["file"]
    server = Server(spool_dir=directory + "/used")
    assert check_config("--spool-dir", directory + "/used", *there).returncode == 0
    assert server.stop() == 0


def test_float_digits():
    """values are read back exactly whatever the role's extra_float_digits"""
    value = 0.1 + 0.2
    server = Server(conninfo=CONNINFO + " options='-c extra_float_digits=-15'")
    assert server.save(message(1, "a", [value]), "?ack=committed").status == 204
    for path, samples in (("/api?tag=a&start=0&end=1&samples=1", "samples"),
                          ("/latest?tag=a", "latest")):
        assert server.get(path).json()[samples][0]["values"] == [value], path
    assert server.stop() == 0


def test_load_nice():
    """loading is nicer than answering, in the server's loading thread and in PostgreSQL"""
    if sql("SELECT count(*) FROM pg_settings WHERE name = 'historian.nice'") == [["0"]]:
        raise Skip("the extension is not loaded")

    def nice(path):
        with open(path, encoding="utf-8") as file:
            return int(file.read().rsplit(")", 1)[1].split()[16])
    server = Server(load_nice=4, conninfo=CONNINFO + f" application_name=nice{os.getpid()}")

    def both():
        # the loading connection has another last query where it has checked the table since
        assert server.save(message(1, "a", [1]), "?ack=committed").status == 204
        assert server.get("/api?tag=a&start=0&end=1&samples=1").status == 200
        found = sql(f"SELECT query LIKE 'COMMIT%', pid FROM pg_stat_activity WHERE application_name = 'nice{os.getpid()}'")
        return {loads for loads, _ in found} == {"t", "f"} and found
    backends = wait_for("a connection that loads and one that reads", both)
    process = server.process.pid
    ours = nice("/proc/self/stat")
    assert nice(f"/proc/{process}/task/{process}/stat") == min(ours + 4, 19)
    threads = [nice(f"/proc/{process}/task/{thread}/stat")
               for thread in os.listdir(f"/proc/{process}/task")]
    assert ours in threads, threads
    found = {loads: nice(f"/proc/{pid}/stat") for loads, pid in backends}
    assert found["t"] == min(found["f"] + 4, 19), (found, backends)
    assert server.stop() == 0


def test_busy_poll():
    """with --busy-poll loops sleep less where requests come fast, and as much as ever where none come"""
    server = Server(busy_poll=1000)
    client = server.connect()
    request = request_bytes("POST", "/save", json.dumps(message(1, "a", [1])).encode())

    def slept():
        count = 0
        for thread in os.listdir(f"/proc/{server.process.pid}/task"):
            with open(f"/proc/{server.process.pid}/task/{thread}/status", encoding="utf-8") as file:
                count += int(re.search(r"^voluntary_ctxt_switches:\s*([0-9]+)", file.read(), re.M)[1])
        return count

    def seldom():
        before = slept()
        for _ in range(200):
            client.send(request)
            client.fill()
        return slept() - before < 100
    wait_for("requests that find the loop awake", seldom)
    time.sleep(0.1)

    def ticks():
        with open(f"/proc/{server.process.pid}/stat", encoding="utf-8") as file:
            return sum(int(field) for field in file.read().rsplit(")", 1)[1].split()[11:13])
    before = ticks()
    time.sleep(1)
    assert ticks() - before < 0.2 * os.sysconf("SC_CLK_TCK"), ticks() - before
    assert server.stop() == 0


def test_descriptors():
    """connections cannot take the descriptors that loading and the spool need"""
    server = Server(descriptors=106)
    server.logged("--max-connections 10000 is lowered to [0-9]+: 106 file descriptors")
    clients = [server.connect() for _ in range(100)]
    answers = [client.answer() for client in clients[40:]]
    assert {answer.status for answer in answers if answer} == {503}, answers
    assert None in answers
    assert clients[0].request("GET", "/api?tag=a&start=0&end=1").status == 404
    body = json.dumps(message(1, "a", [1])).encode()
    assert clients[0].request("POST", "/save?ack=committed", body).status == 204
    for client in clients:
        client.close()

    def room():
        try:
            return server.connect().request("POST", "/save?ack=committed", body).status == 204
        except (OSError, AssertionError, AttributeError):    # refused, or closed without an answer
            return False
    wait_for("room for others", room)
    assert server.stop() == 0


def test_descriptors_used_up():
    """a process without a free descriptor serves those that are connected, and new ones when it has some again"""
    server = Server()
    client = server.connect()
    assert client.request("GET", "/livez").status == 200
    body = json.dumps(message(1, "a", [1])).encode()
    assert client.request("POST", "/save?ack=committed", body).status == 204
    descriptors = f"/proc/{server.process.pid}/fd"
    before = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (len(os.listdir(descriptors)), before[1]))
    others = [server.connect() for _ in range(10)]
    assert client.request("POST", "/save?ack=committed", body).status == 204
    assert all(other.closed() for other in others)
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, before)
    assert server.save(body, "?ack=committed").status == 204
    assert server.stop() == 0


if __name__ == "__main__":
    run(sys.modules[__name__])
