#!/usr/bin/python3
"""What /metrics tells about PostgreSQL: table, compaction, standbys, watched tags."""
import os
import re
import shutil
import subprocess
import sys
import time

from historiand import (CONNINFO, NDJSON, Relay, Server, message, ndjson, new_table, run, sql,
                        wait_for)

LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-z_]+=\"(?:[^\"\\\n]|\\[\"\\n])*\",?)*\})? (\S+)$")


def exposed(server):
    """{name with labels: value}; fails where the text is not Prometheus'."""
    values, known = {}, {}
    for line in server.get("/metrics").body.decode().splitlines():
        if line.startswith("# "):
            kind, name, text = line[2:].split(" ", 2)
            assert kind in ("HELP", "TYPE") and (kind, name) not in known, line
            known[kind, name] = text
            continue
        match = LINE.match(line)
        assert match, line
        base = re.sub("_(bucket|sum|count)$", "", match[1])
        assert ("TYPE", match[1]) in known or ("TYPE", base) in known, line
        assert match[1] + (match[2] or "") not in values, "twice: " + line
        values[match[1] + (match[2] or "")] = float(match[3])
    return values


def wait_exposed(server, name):
    return wait_for(name, lambda: name in exposed(server)) and exposed(server)


def test_table():
    """the table's size, its backlog and compaction are those of the views"""
    server = Server(metrics_interval="100ms")
    body = ndjson([message(i, f"t{i % 7}", [i, 0.5]) for i in range(5000)])
    assert server.save(body, "?ack=committed", NDJSON).status == 204
    assert exposed_rows(server, 5000)
    sql(f"SELECT historian.compact('{server.table}')")     # unless the worker was faster

    def merged():
        values = exposed(server)
        size, = sql(f"SELECT pg_total_relation_size('{server.table}')")[0]
        return values.get("historian_pending_segments") == 0 and values["historian_table_bytes"] == float(size) and values
    # what is left behind by the merge may be removed between both
    values = wait_for("the merge, and the size", merged)
    assert values["historian_compacted_rows"] == 5000
    assert values["historiand_reading_from_standby"] == 0
    assert values["historian_standby_required"] == 0
    assert values["historian_standbys_synchronous"] == 0
    enabled = sql("SELECT (preloaded AND enabled)::int FROM historian.stat_worker")
    assert values["historian_compaction_enabled"] == float(enabled[0][0])


def exposed_rows(server, rows):
    def found():
        values = exposed(server)
        return values.get("historian_pending_rows", 0) + values.get("historian_compacted_rows", 0)
    return wait_for("all rows", lambda: found() == rows)


def test_partitioned():
    """the partitions of a table count together"""
    table = new_table()
    name = table + "_all"
    sql(f"""CREATE TABLE {name} (time bigint, tag text, values float8[]) PARTITION BY RANGE (time);
        CREATE TABLE {name}_1 PARTITION OF {name} FOR VALUES FROM (0) TO (100) USING historian;
        CREATE TABLE {name}_2 PARTITION OF {name} FOR VALUES FROM (100) TO (200) USING historian""")
    server = Server(table=name, metrics_interval="100ms")
    body = ndjson([message(i, "a", [i]) for i in range(200)])
    assert server.save(body, "?ack=committed", NDJSON).status == 204
    assert exposed_rows(server, 200)
    server.stop()
    sql(f"DROP TABLE {name}")


def test_retention():
    """the policies of a table and of its partitions count together; those of others do not"""
    table = new_table()
    other = new_table()
    # they have run just now, so that the worker leaves them alone
    sql(f"""BEGIN;
        SELECT historian.set_retention('{other}', '1 day');
        SELECT historian.set_retention('{table}', '1 day'), historian.set_retention('{table}', '2 days', 'a');
        INSERT INTO historian.retention_run VALUES ('{table}', '', now(), NULL, 70, 0, NULL),
            ('{table}', 'a', now() - interval '1 minute', NULL, 7, 0, 'it failed');
        COMMIT""")
    last_run = float(sql(f"""SELECT extract(epoch FROM last_run)::float8 FROM historian.stat_retention
        WHERE relid = '{table}'::regclass AND tag_prefix = 'a'""")[0][0])
    server = Server(table=table, metrics_interval="100ms")
    values = wait_exposed(server, "historian_retention_policies")
    assert {name: value for name, value in values.items() if "retention" in name} == {
        "historian_retention_policies": 2, "historian_retention_failing": 1,
        "historian_retention_rows_removed_total": 77,
        "historian_retention_last_run_timestamp_seconds": last_run}, values
    server.stop()


def test_watched_tags():
    """the age of watched tags, escaped; +Inf where a tag has no message"""
    server = Server(metrics_interval="100ms", watch_tags='boiler,"a, \\"b\\"",missing,boiler')
    now = time.time_ns()
    body = ndjson([message(now - 60 * 10**9, "boiler", [1]), message(now, 'a, "b"', [1]),
                   message(now, "other", [1])])
    assert server.save(body, "?ack=committed", NDJSON).status == 204
    tag = 'historian_tag_age_seconds{tag="%s"}'
    wait_for("the age", lambda: exposed(server).get(tag % "boiler", 1e9) < 1e9)
    values = exposed(server)
    passed = (time.time_ns() - now) / 1e9
    assert 60 <= values[tag % "boiler"] <= 60 + passed, values
    assert 0 <= values[tag % r'a, \"b\"'] <= passed, values
    assert values[tag % "missing"] == float("inf")
    assert len([name for name in values if "tag_age" in name]) == 3


def test_privileges():
    """a role that is not in pg_monitor gets no figures of the table; the others stay"""
    server_role = f"reader_{os.getpid()}"
    table = new_table()
    sql(f"CREATE ROLE {server_role} LOGIN; GRANT SELECT, INSERT ON {table} TO {server_role}")
    conninfo = re.sub(r"user=\S+", f"user={server_role}", CONNINFO)
    assert conninfo != CONNINFO
    server = Server(table=table, conninfo=conninfo, metrics_interval="100ms", watch_tags="a")
    values = wait_exposed(server, 'historian_tag_age_seconds{tag="a"}')
    assert "historiand_reading_from_standby" in values
    assert "historian_table_bytes" not in values and "historian_standby_required" not in values
    server.logged("no metrics of PostgreSQL about its tables: permission denied")
    sql(f"GRANT pg_monitor TO {server_role}")
    wait_exposed(server, "historian_table_bytes")
    assert len([line for line in server.log if "no metrics" in line]) == 1, server.log
    server.stop()
    sql(f"DROP OWNED BY {server_role}; DROP ROLE {server_role}")


def test_database_away():
    """while PostgreSQL is away its figures are left out, rather than old"""
    relay = Relay()
    server = Server(conninfo=relay.conninfo, metrics_interval="100ms")
    wait_exposed(server, "historian_table_bytes")
    relay.cut()
    wait_for("no old figures", lambda: "historian_table_bytes" not in exposed(server))
    wait_for("not connected", lambda: exposed(server)["historiand_database_connected"] == 0)
    relay.mend()
    wait_exposed(server, "historian_table_bytes")


def test_promtool():
    """promtool check metrics finds nothing"""
    if not shutil.which("promtool"):
        print("# no promtool here (Debian: prometheus); the text was checked without it")
        return
    server = Server(metrics_interval="100ms", watch_tags="a")
    server.save(message(1, "a", [1]), "?ack=committed")
    wait_exposed(server, "historian_table_bytes")
    text = server.get("/metrics").body
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    assert done.returncode == 0 and not done.stdout + done.stderr, done


run(sys.modules[__name__])
