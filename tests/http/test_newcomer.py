#!/usr/bin/python3
"""What once stopped a newcomer, tried again: times in any form, names, retention, partitions, and errors that say what to do.

Each test says on its "# " lines what happens now.
"""
import csv
import io
import json
import subprocess
import sys
import time

from historiand import BINARY, CONNINFO, Server, Skip, new_table, ndjson, message, run, sql, wait_for

JSON = {"Content-Type": "application/json"}
UNITS = {"s": 1, "ms": 10 ** 3, "us": 10 ** 6, "ns": 10 ** 9}


def say(text):
    print("# " + text)


def need_extension():
    if sql("SELECT count(*) FROM pg_am WHERE amname = 'historian'") == [["0"]]:
        raise Skip("needs the extension")


def problem(answer, status=400):
    """what a refusal says"""
    assert answer.status == status, answer
    assert answer.headers["content-type"].startswith("application/problem+json") and answer.body.endswith(b"\n"), answer
    return answer.json()["detail"]


def failure(statement):
    """what PostgreSQL answers to a statement that fails: message and hint"""
    table = "newcomer_told"
    sql(f"""CREATE TABLE IF NOT EXISTS {table} (message text, hint text); TRUNCATE {table};
        DO $outer$ DECLARE m text; h text; BEGIN EXECUTE $inner${statement}$inner$;
        EXCEPTION WHEN OTHERS THEN GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, h = PG_EXCEPTION_HINT; INSERT INTO {table} VALUES (m, h); END $outer$""")
    told = sql(f"SELECT message, hint FROM {table}")
    sql(f"DROP TABLE {table}")
    assert told, f"no error: {statement}"
    return told[0]


def test_1_wrong_units():
    """1: a time in s, ms or us is refused with the cure, in /save, /write and reads, and taken with it"""
    server = Server()
    now = time.time_ns()
    for unit in ("s", "ms", "us"):
        stamp = now * UNITS[unit] // 10 ** 9
        for answer in (server.save(message(stamp, "a", [1])), server.get(f"/api?tag=a&start={stamp - 60 * UNITS[unit]}&end={stamp}"),
                       server.request("POST", "/write", b"a v=1 %d" % stamp)):
            told = answer.body.decode()
            assert answer.status == 400 and f"precision={unit}" in told, answer
        say(f"POST /save, time in {unit}: 400 {problem(server.save(message(stamp, 'a', [1])))}")
        assert server.save(message(stamp, "a", [2]), f"?precision={unit}&ack=committed").status == 204
        assert server.get(f"/api?tag=a&precision={unit}&start={stamp - 60 * UNITS[unit]}&end={stamp}&samples=1").json()["samples"][0]["values"] == [2]
    assert sql(f"SELECT count(*) FROM {server.table} WHERE time < {now - 2 * 10 ** 9} OR time > {now}") == [["0"]], "none in 1970"
    # SQL takes a bigint as it is; to_ns() is what was meant
    sql(f"INSERT INTO {server.table} VALUES (extract(epoch FROM now()), 'seconds', '{{1}}')")
    assert sql(f"SELECT date_part('year', to_timestamp(time / 1e9)) FROM {server.table} WHERE tag = 'seconds'") == [["1970"]]
    say("INSERT .. extract(epoch FROM now()): still taken, as 1.7 s after 1970: a bigint column has any integer; historian.to_ns(now()) is the time")


def test_2_times_of_people():
    """2: now-1h, -1h, RFC 3339 and no time at all, in reads; RFC 3339 with a fraction in /save"""
    server = Server()
    stamp = time.time_ns() - 600 * 10 ** 9
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(stamp // 10 ** 9))
    assert server.save({"time": text + ".125Z", "tag": "a", "values": [7]}, "?ack=committed").status == 204
    expected = stamp // 10 ** 9 * 10 ** 9 + 125 * 10 ** 6
    assert sql(f"SELECT time FROM {server.table}") == [[str(expected)]]
    for window in ("", "&start=-1h", "&start=now-1h", "&start=now-1h&end=now", f"&start={text}Z", f"&start={text}.5%2B00:00&end=now"):
        answer = server.get("/api?tag=a&samples=1" + window)
        assert answer.status == 200 and answer.json()["samples"][0]["values"] == [7], (window, answer)
        say(f"GET /api?tag=a{window}: 200")


def test_3_times_in_sql():
    """3: functions take now(); a condition on the view's time is a condition of the scan"""
    need_extension()
    table = new_table()
    sql(f"""INSERT INTO {table} SELECT historian.to_ns(now()) - i * 60000000000, 'a', ARRAY[i] FROM generate_series(0, 2000) i;
        CREATE VIEW {table}_v AS SELECT historian.to_timestamptz(time) AS time, tag, values[1] AS value FROM {table}""")
    try:
        assert sql(f"SELECT count(*) FROM {table}_v WHERE tag = 'a' AND time > now() - interval '1 hour'")[0][0] in ("60", "59")
        plan = "\n".join(row[0] for row in sql(f"EXPLAIN (COSTS OFF) SELECT value FROM {table}_v WHERE tag = 'a' AND time > now() - interval '1 hour'"))
        assert "Historian Cond: " in plan and "historian.first_ns_after" in plan and "Filter" not in plan, plan
        say("WHERE time > now() - interval '1 hour' of the view: " + plan.replace("\n", " | "))
        assert sql(f"SELECT count(*) FROM historian.downsample('{table}', 'a', now() - interval '1 hour', now(), interval '10 minutes', 'count')") == [["6"]]
        assert int(sql(f"SELECT historian.drop_before('{table}', now() - interval '1 day')")[0][0]) in (560, 561)
        say("downsample(.., now() - interval '1 hour', now(), interval '10 minutes') and drop_before(.., now() - interval '1 day'): work")
        told = failure(f"SELECT FROM {table} WHERE time > now()")
        assert "operator does not exist" in told[0], told
        say("WHERE time > now() of the table itself: " + told[0])
    finally:
        sql(f"DROP VIEW {table}_v")


def test_4_partitioned_parent():
    """4: a partitioned parent takes messages and answers reads; one with a heap partition is not ready, and says what to do"""
    need_extension()
    name = new_table("historian") + "_p"
    sql(f"""CREATE TABLE {name} (time bigint, tag text, values float8[]) PARTITION BY HASH (tag);
        CREATE TABLE {name}_0 PARTITION OF {name} FOR VALUES WITH (MODULUS 2, REMAINDER 0) USING historian;
        CREATE TABLE {name}_1 PARTITION OF {name} FOR VALUES WITH (MODULUS 2, REMAINDER 1) USING historian""")
    try:
        server = Server(name)
        stamp = time.time_ns()
        body = ndjson([message(stamp, f"t{i}", [i]) for i in range(10)])
        assert server.save(body, "?ack=committed", {"Content-Type": "application/x-ndjson"}).status == 204
        assert server.get("/readyz").status == 200
        assert [server.get(f"/api?tag=t{i}&samples=1&end={stamp}&start={stamp - 1}").json()["samples"][0]["values"] for i in range(10)] == [[i] for i in range(10)]
        assert len(server.get("/tags").json()["tags"]) == len(server.get("/latest").json()["latest"]) == 10
        say("--table names a parent: /save 204, /readyz, /api, /tags and /latest 200")
        assert server.stop() == 0
        sql(f"ALTER TABLE {name}_1 SET ACCESS METHOD heap")
        server = Server(name)
        told = server.get("/readyz")
        assert told.status == 503 and f"ALTER TABLE {name}_1 SET ACCESS METHOD historian" in told.body.decode(), told
        say("a partition is a heap: /readyz 503 " + told.json()["detail"])
        sql(f"ALTER TABLE {name}_1 SET ACCESS METHOD historian")
        wait_for("ready", lambda: server.get("/readyz").status == 200)
        assert server.stop() == 0
    finally:
        sql(f"DROP TABLE {name}")


def test_5_retention():
    """5: retention is one call, kept by the background worker and shown by a view"""
    need_extension()
    if sql("SELECT preloaded FROM historian.stat_worker") != [["t"]]:
        raise Skip("needs shared_preload_libraries")
    table = new_table()
    sql(f"""INSERT INTO {table} SELECT historian.to_ns(now()) - i * 3600000000000, 'a', ARRAY[i] FROM generate_series(0, 99) i;
        SELECT historian.set_retention('{table}', '1 day')""")
    wait_for("the worker", lambda: sql(f"SELECT count(*) FROM {table}")[0][0] in ("24", "25"), 60)
    def view():
        return sql(f"SELECT keep, rows_removed, last_error IS NULL FROM historian.stat_retention WHERE relname = '{table}'")
    wait_for("the view", lambda: view()[0][1] in ("75", "76"))
    shown = view()
    assert shown[0][0] == "1 day" and shown[0][1] in ("75", "76") and shown[0][2] == "t", shown
    say(f"historian.set_retention('measurement', '1 day'): the worker has removed {shown[0][1]} of 100 rows, and stat_retention shows it")
    sql(f"SELECT historian.set_retention('{table}', NULL)")
    assert sql(f"SELECT count(*) FROM historian.stat_retention WHERE relname = '{table}'") == [["0"]]


def test_6_names():
    """6: a value has a name and a unit, in JSON, in CSV and in a view"""
    need_extension()
    server = Server()
    stamp = time.time_ns()
    server.save(message(stamp, "boiler 1", [80.5, 2.25]), "?ack=committed")
    assert server.request("PUT", "/tags/boiler%201", json.dumps({"names": ["temperature", "pressure"], "units": ["°C", "bar"]}).encode(), JSON).status == 204
    assert server.get("/tags/boiler%201").json()["units"] == ["°C", "bar"]
    window = f"tag=boiler%201&start={stamp - 10}&end={stamp}"
    lines = list(csv.reader(io.StringIO(server.get(f"/api?{window}&samples=1&format=csv").body.decode())))
    assert lines == [["time", "tag", "temperature", "pressure"], [str(stamp), "boiler 1", "80.5", "2.25"]], lines
    export = list(csv.reader(io.StringIO(server.get(f"/export?tag=boiler%201&start={stamp}&end={stamp + 1}&format=csv&columns=named").body.decode())))
    assert export == [["time", "tag", "temperature", "pressure"], [str(stamp), "boiler 1", "80.5", "2.25"]], export
    view = server.table + "_boilers"
    sql(f"SET client_min_messages = error; SELECT historian.create_view('{view}', 'boiler%', '{server.table}')")
    assert sql(f"SELECT tag, temperature, pressure FROM {view} WHERE time > now() - interval '1 hour'") == [["boiler 1", "80.5", "2.25"]]
    sql(f"DROP VIEW {view}")
    say("CSV begins with " + ",".join(lines[0]) + "; create_view() has columns of these names")


def test_9_missing_table():
    """9: a missing table is known at once, to /readyz and to --check-config, with the cure"""
    table = new_table() + "_missing"
    server = Server(table, expect_ready=False)
    wait_for("the reason", lambda: "does not exist" in server.get("/readyz").body.decode())
    told = server.get("/readyz")
    assert told.status == 503 and "CREATE TABLE" in told.json()["detail"] and "USING historian" in told.json()["detail"], told
    say("/readyz: 503 " + told.json()["detail"])
    done = subprocess.run([BINARY, "--check-config", "--database", CONNINFO, "--table", table], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "USING historian" in done.stderr and "valid" not in done.stdout, done
    say("--check-config: " + done.stderr.splitlines()[0])
    assert server.stop() == 0


def test_11_directory():
    """11: DROP INDEX of the directory is refused, and reads go on"""
    need_extension()
    table = new_table()
    sql(f"INSERT INTO {table} VALUES (1, 'a', '{{1}}')")
    index = sql(f"SELECT indexrelid::regclass FROM pg_index WHERE indrelid = '{table}'::regclass")[0][0]
    told = failure(f"DROP INDEX {index}")
    assert sql(f"SELECT values FROM {table} WHERE tag = 'a'") == [["{1}"]]
    say(f"DROP INDEX {index}: {told[0]}; {told[1]}")


def test_13_errors():
    """13: HTTP keeps PostgreSQL's hint, a 404 names the paths, bodies end with a newline"""
    need_extension()
    server = Server()
    server.save(message(time.time_ns(), "a", [1]), "?ack=committed")
    answer = server.get("/api?tag=a&method=mean")
    assert answer.status == 400 and "average" in answer.json()["hint"], answer
    say(f"method=mean: {answer.json()['detail']}; {answer.json()['hint']}")
    answer = server.get("/apis?tag=a")
    assert answer.status == 404 and {"/api", "/save", "/tags"} <= set(answer.json()["paths"]), answer
    assert all(server.get(path).body.endswith(b"\n") for path in ("/api?tag=a", "/tags", "/latest", "/readyz", "/nothing", "/api?tag=none"))
    say("a path that is not there: 404 with paths; all answers end with a newline")


if __name__ == "__main__":
    run(sys.modules[__name__])
