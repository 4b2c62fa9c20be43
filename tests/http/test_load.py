#!/usr/bin/python3
"""Loads that hang, are repeated, or find bad rows: whose fault it is, and which value stays."""
import json
import os
import signal
import subprocess
import sys
import threading
import time

from historiand import (CONNINFO, Lock, NDJSON, Relay, Server, count, message, ndjson, new_table,
                        request_bytes, rows, run, sql, wait_for)


class Gate:
    """Makes each load of a table wait, at its COPY or at its COMMIT, while the gate is shut."""

    def __init__(self, table, at_commit):
        self.key = 424200 + new_table.count
        kind = "CONSTRAINT TRIGGER" if at_commit else "TRIGGER"
        when = "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW" if at_commit else "FOR EACH STATEMENT"
        sql(f"CREATE FUNCTION gate_{table}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN PERFORM pg_advisory_xact_lock_shared({self.key}); RETURN NULL; END $$; "
            f"CREATE {kind} gate AFTER INSERT ON {table} {when} EXECUTE FUNCTION gate_{table}()")
        self.session = None

    def shut(self):
        self.session = subprocess.Popen(["psql", "-X", "-q", "-d", CONNINFO], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.session.stdin.write(f"SELECT pg_advisory_lock({self.key});\n")
        self.session.stdin.flush()
        wait_for("the gate", lambda: self.locks("granted"))

    def open(self):
        self.session.stdin.close()
        self.session.wait()

    def locks(self, condition):
        return [int(pid) for pid, in sql(
            f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = {self.key} "
            f"AND {condition}")]

    def waiting(self):
        """The process that waits at the gate."""
        return wait_for("a load at the gate", lambda: self.locks("NOT granted"))[0]


def ordered_table():
    """A heap table that shows in which order rows came."""
    table = new_table("heap")
    sql(f"ALTER TABLE {table} ADD number bigint GENERATED ALWAYS AS IDENTITY")
    return table


def values_in_order(table):
    return [value for value, in sql(f"SELECT values FROM {table} ORDER BY number")]


def alive(pid):
    return count("pg_stat_activity", f"pid = {pid}") == 1


def later_save(server, value):
    """Posts another value of the same tag and time; returns the client that waits for its commit."""
    client = server.connect(timeout=60)
    client.send(request_bytes("POST", "/save?ack=committed",
                              json.dumps(message(1, "a", [value])).encode()))
    return client


def test_backend_hangs_in_copy():
    """a backend that hung within a load and goes on later brings no older value back"""
    for kind in (None, "heap"):
        table = new_table(kind)
        gate = Gate(table, at_commit=False)
        server = Server(table=table, load_timeout="1s")
        gate.shut()
        assert server.save(message(1, "a", [1])).status == 202
        backend = gate.waiting()
        os.kill(backend, signal.SIGSTOP)
        gate.open()
        wait_for("the row, sent again", lambda t=table: count(t) == 1)
        assert server.save(message(1, "a", [2]), "?ack=committed").status == 204
        before = rows(table)
        os.kill(backend, signal.SIGCONT)
        wait_for("the backend's end", lambda b=backend: not alive(b))
        assert rows(table) == before, rows(table)
        assert before[-1] == (1, "a", "{2}") or kind == "heap", before
        assert server.stop() == 0


def test_backends_ended_again_and_again():
    """backends that are ended at any moment of a load lose nothing, bring nothing twice, and keep the order"""
    table = ordered_table()
    server = Server(table=table, threads=2, flush_interval="10ms")
    stop = time.monotonic() + 8
    answers = [[], []]

    def write(client):
        connection = server.connect(timeout=60)
        while time.monotonic() < stop:
            first = len(answers[client]) * 50
            body = ndjson([message(0, f"again{client}", [len(answers[client])])] +
                          [message(1 + i, f"k{client}{i % 7}", [i, None]) for i in range(first, first + 50)])
            connection.send(request_bytes("POST", "/save?ack=committed", body, NDJSON))
            answers[client].append(connection.answer().status)
        connection.close()

    writers = [threading.Thread(target=write, args=(client,)) for client in (0, 1)]
    for writer in writers:
        writer.start()
    ended = int(sql("""CREATE TEMP TABLE ended AS SELECT 0 AS count; DO $$
        DECLARE stop timestamptz := clock_timestamp() + interval '7 s'; n integer;
        BEGIN
            WHILE clock_timestamp() < stop LOOP
                PERFORM pg_sleep(random() * 0.05), pg_stat_clear_snapshot();
                SELECT count(pg_terminate_backend(pid)) INTO n FROM pg_stat_activity WHERE application_name = 'historiand';
                UPDATE ended SET count = count + n;
            END LOOP;
        END $$; SELECT count FROM ended""")[0][0])
    for writer in writers:
        writer.join()
    assert ended > 3, ended
    for client in (0, 1):
        assert set(answers[client]) == {204}, answers
        requests = len(answers[client])
        assert count(table, f"tag LIKE 'k{client}%'") == requests * 50
        assert sql(f"SELECT count(DISTINCT time) FROM {table} WHERE tag LIKE 'k{client}%' "
                   "AND values IS NOT DISTINCT FROM ARRAY[time - 1, NULL]::float8[]") == [[str(requests * 50)]]
        assert values_in_order(f"{table} WHERE tag = 'again{client}'") == [f"{{{i}}}" for i in range(requests)]
    print(f"# {ended} backends ended, {sum(map(len, answers))} requests")
    assert server.stop() == 0


def test_backend_hangs_in_commit():
    """while a backend hangs in its commit nothing newer is loaded; each value comes once, in order"""
    table = ordered_table()
    gate = Gate(table, at_commit=True)
    server = Server(table=table, load_timeout="1s", commit_timeout="60s")
    gate.shut()
    assert server.save(message(1, "a", [1])).status == 202
    backend = gate.waiting()
    os.kill(backend, signal.SIGSTOP)
    gate.open()
    client = later_save(server, 2)
    server.logged(f"not over yet in PostgreSQL .backend {backend}")
    wait_for("/readyz to say it", lambda: "not over yet" in server.get("/readyz").body.decode())
    assert not server.ready()
    time.sleep(1)       # it must stay that way
    assert count(table) == 0
    os.kill(backend, signal.SIGCONT)
    assert client.answer().status == 204
    assert values_in_order(table) == ["{1}", "{2}"]
    wait_for("ready", lambda: server.ready())
    assert server.stop() == 0


def test_commit_that_waits_is_ended():
    """a commit that waits for ever in PostgreSQL is ended there, and the load repeated"""
    table = ordered_table()
    gate = Gate(table, at_commit=True)
    server = Server(table=table, load_timeout="1s", commit_timeout="60s")
    gate.shut()
    client = later_save(server, 1)
    backend = gate.waiting()
    wait_for("the backend's end", lambda: not alive(backend))
    gate.open()
    assert client.answer().status == 204
    assert values_in_order(table) == ["{1}"]
    assert server.stop() == 0


def test_killed_while_committing():
    """a process that starts waits for the commits of the one that was killed"""
    table = ordered_table()
    gate = Gate(table, at_commit=True)
    first = Server(table=table)
    gate.shut()
    assert first.save(message(1, "a", [1])).status == 202
    gate.waiting()
    first.kill()
    second = Server(table=table, commit_timeout="60s")
    client = later_save(second, 2)
    second.logged("a commit from before the start of this process is not over yet")
    gate.open()
    assert client.answer().status == 204
    assert values_in_order(table) == ["{1}", "{2}"]
    assert second.stop() == 0


def test_answer_lost_in_a_crash():
    """a commit whose answer was lost when PostgreSQL crashed: nothing is lost with it"""
    relay = Relay()
    server = Server(conninfo=relay.conninfo, commit_timeout="60s")
    relay.up = False        # no new connection
    relay.swallow = b"COMMIT\0"
    client = later_save(server, 1)
    wait_for("the loss", lambda: relay.swallowed == 1)
    session = subprocess.Popen(["psql", "-X", "-q", "-d", CONNINFO, "-c",
                                "SELECT pg_backend_pid(), pg_sleep(60)"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    backend = wait_for("a backend", lambda: sql(
        "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)' "
        "AND pid <> pg_backend_pid()"))[0][0]
    os.kill(int(backend), signal.SIGKILL)
    session.wait()

    def recovered():
        return subprocess.run(["psql", "-X", "-q", "-d", CONNINFO, "-c", "SELECT 1"],
                              capture_output=True).returncode == 0
    wait_for("PostgreSQL", recovered)
    relay.mend()
    assert client.answer().status == 204
    assert rows(server.table) == [(1, "a", "{1}")]
    assert server.stop() == 0


def test_healthy_loads_do_not_stall():
    """loads that each take less than --load-timeout are never broken off"""
    table = new_table("heap")
    sql(f"CREATE FUNCTION slow_{table}() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $$; "
        f"CREATE TRIGGER slow AFTER INSERT ON {table} FOR EACH STATEMENT "
        f"EXECUTE FUNCTION slow_{table}()")
    server = Server(table=table, load_timeout="3s", flush_interval="100ms")
    end = time.monotonic() + 13
    while time.monotonic() < end:
        assert server.save(message(1, "a", [1])).status == 202
        time.sleep(0.02)
    assert server.metric("historiand_loads_total") > 5
    assert server.metric("historiand_loads_failed_total") == 0
    assert not any("no progress" in line for line in server.log)
    assert server.stop() == 0


def test_time_limits_of_a_role():
    """what a role sets for its sessions breaks no load off"""
    table = new_table("heap")
    sql(f"CREATE FUNCTION slow_{table}() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$; "
        f"CREATE TRIGGER slow AFTER INSERT ON {table} FOR EACH STATEMENT "
        f"EXECUTE FUNCTION slow_{table}()")
    server = Server(table=table, read_database=CONNINFO, conninfo=CONNINFO +
                    " options='-c statement_timeout=500ms -c lock_timeout=500ms "
                    "-c default_transaction_isolation=serializable'")
    lock = Lock(table)
    client = server.connect()
    client.send(request_bytes("POST", "/save?ack=committed", json.dumps(message(1, "a", [1])).encode()))
    wait_for("the load behind it", lock.waiters)
    time.sleep(1)       # longer than the role's limits
    lock.let_go()
    assert client.answer().status == 204
    assert server.metric("historiand_loads_failed_total") == 0
    assert server.stop() == 0


def test_stuck_load_is_told():
    """/readyz and metrics say it where a load does not go on"""
    server = Server()
    session = subprocess.Popen(["psql", "-X", "-q", "-d", CONNINFO], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    session.stdin.write(f"BEGIN; LOCK TABLE {server.table};\n")
    session.stdin.flush()
    wait_for("the lock", lambda: count("pg_locks", "mode = 'AccessExclusiveLock' AND granted "
                                       f"AND relation = '{server.table}'::regclass") == 1)
    assert server.save(message(1, "a", [1])).status == 202
    wait_for("not ready", lambda: "no progress" in
             server.get("/readyz").body.decode())
    assert not server.ready()
    assert server.metric("historiand_database_connected") == 0
    assert server.metric("historiand_oldest_unflushed_age_seconds") > 4
    session.stdin.close()
    session.wait()
    wait_for("ready", lambda: server.ready())
    wait_for("the row", lambda: count(server.table) == 1)
    assert server.stop() == 0


def waits_until(table, break_it, mend_it, said, total, where="true"):
    """Rows that PostgreSQL does not take, by no fault of theirs, are there once that is mended."""
    server = Server(table=table)
    assert server.save(message(1, "first", [1]), "?ack=committed").status == 204
    sql(break_it)
    body = ndjson([message(1000 + i, f"w{i % 7}", [i]) for i in range(total)])
    assert server.save(body, "", NDJSON).status == 202
    server.logged(said)
    wait_for("not ready", lambda: not server.ready())
    time.sleep(0.5)     # some more tries
    assert server.metric('historiand_rejected_total{reason="database"}') == 0
    sql(mend_it)
    wait_for("all rows", lambda: count(table, f"tag <> 'first' AND {where}") == total)
    assert server.metric('historiand_rejected_total{reason="database"}') == 0
    wait_for("ready", lambda: server.ready())
    assert server.stop() == 0


def test_missing_partition():
    """rows for a partition that is not there yet wait for it"""
    table = f"parted_{os.getpid()}"
    sql(f"CREATE TABLE {table} (time bigint, tag text, values float8[]) PARTITION BY RANGE (time);"
        f"CREATE TABLE {table}_1 PARTITION OF {table} FOR VALUES FROM (0) TO (1000)")
    try:
        waits_until(table, "SELECT 1", f"CREATE TABLE {table}_2 PARTITION OF {table} "
                    "FOR VALUES FROM (1000) TO (99999)", "no partition of relation.*23514", 3000)
    finally:
        sql(f"DROP TABLE {table}")


def test_changed_columns():
    """rows wait while a column has a type that does not take them; none is called bad"""
    for column, kind, back in (("values", "float4[]", "values::float8[]"),
                               ("values", "text", "values::float8[]"),
                               ("time", "int USING 1", "time::bigint"),
                               ("time", "text", "time::bigint"),
                               ("tag", "bytea USING tag::bytea", "convert_from(tag, 'UTF8')")):
        table = new_table("heap")
        old = {"values": "float8[]", "time": "bigint", "tag": "text"}[column]
        waits_until(table, f"ALTER TABLE {table} ALTER {column} TYPE {kind}",
                    f"ALTER TABLE {table} ALTER {column} TYPE {old} USING {back}",
                    "does not take rows now.*the table has changed", 20)


def test_type_changed_under_a_load():
    """the same where the column changes while the load of a single row waits for the table"""
    table = new_table("heap")
    server = Server(table=table)
    assert server.save(message(1, "first", [1]), "?ack=committed").status == 204
    session = subprocess.Popen(["psql", "-X", "-q", "-d", CONNINFO], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    session.stdin.write(f"BEGIN; ALTER TABLE {table} ALTER tag TYPE varchar(2) USING 'x'; "
                        f"ALTER TABLE {table} ALTER values TYPE text;\n")
    session.stdin.flush()
    wait_for("the lock", lambda: count("pg_locks", "mode = 'AccessExclusiveLock' AND granted "
                                       f"AND relation = '{table}'::regclass") == 1)
    assert server.save(message(2, "w", [2])).status == 202
    wait_for("the load behind it", lambda: count("pg_locks", "NOT granted AND "
                                                 f"relation = '{table}'::regclass") == 1)
    session.stdin.write("COMMIT;\n")
    session.stdin.close()
    session.wait()
    server.logged("the table has changed")
    sql(f"ALTER TABLE {table} ALTER values TYPE float8[] USING values::float8[]")
    wait_for("the row", lambda: count(table) == 2)
    assert server.metric('historiand_rejected_total{reason="database"}') == 0
    assert server.stop() == 0


def test_column_nobody_fills():
    """NOT NULL of a column that nobody fills is the table's fault, not the rows'"""
    table = new_table("heap")
    waits_until(table, f"ALTER TABLE {table} ADD site text NOT NULL DEFAULT 'x'; "
                f"ALTER TABLE {table} ALTER site DROP DEFAULT",
                f"ALTER TABLE {table} ALTER site SET DEFAULT 'y'", "site.*23502", 20)


def test_trigger_that_fails():
    """an error that a trigger raises is not a row's fault unless it names a constraint"""
    table = new_table("heap")
    waits_until(table, f"CREATE FUNCTION no_{table}() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE 'no'; END $$; "
                f"CREATE TRIGGER no BEFORE INSERT ON {table} FOR EACH ROW "
                f"EXECUTE FUNCTION no_{table}()", f"DROP TRIGGER no ON {table}", "no .SQLSTATE P0001",
                20)


def test_many_bad_rows():
    """a body with thousands of bad rows keeps another client waiting for a second or two"""
    for kind in (None, "heap"):
        table = new_table(kind)
        sql(f"ALTER TABLE {table} ADD CHECK (tag <> 'bad')")
        server = Server(table=table)
        bad = 5000
        body = ndjson([message(i, "bad" if i % 2 else f"g{i % 10}", [i]) for i in range(2 * bad)])
        assert server.save(body, "", NDJSON).status == 202
        time.sleep(0.2)
        begin = time.monotonic()
        assert server.save(message(10 ** 9, "other", [1]), "?ack=committed").status == 204
        waited = time.monotonic() - begin
        wait_for("all refused", lambda s=server: s.metric(
            'historiand_rejected_total{reason="database"}') == bad, 60)
        assert waited < 15, waited      # half a second on an idle machine
        assert sql(f"SELECT count(*), sum(time) FROM {table} WHERE tag <> 'other'") == \
            [[str(bad), str(sum(range(0, 2 * bad, 2)))]]
        assert server.stop() == 0


def test_each_request_is_told():
    """of many requests in one load each is told what was refused of its own"""
    table = new_table("heap")
    sql(f"ALTER TABLE {table} ADD CHECK (values[1] >= 0)")
    server = Server(table=table, commit_delay="300ms", flush_interval="1h")
    clients = [server.connect() for _ in range(200)]
    for number, client in enumerate(clients):
        body = ndjson([message(i, f"c{number}", [-1 if i < number % 3 else i]) for i in range(4)])
        client.send(request_bytes("POST", "/save?ack=committed", body, NDJSON))
    for number, client in enumerate(clients):
        answer = client.answer()
        assert answer.status == (422 if number % 3 else 204), (number, answer)
        if number % 3:
            assert answer.json()["rejected"] == number % 3, answer
    assert count(table) == sum(4 - number % 3 for number in range(200))
    assert server.stop() == 0


def test_rows_that_only_together_are_bad():
    """of rows that break a unique constraint together the first one stays"""
    table = new_table("heap")
    sql(f"CREATE UNIQUE INDEX ON {table} (tag, time)")
    server = Server(table=table)
    messages = [message(i % 700, "u", [i]) for i in range(1000)]
    answer = server.save(ndjson(messages), "?ack=committed", NDJSON)
    assert answer.status == 422 and answer.json()["rejected"] == 300, answer
    assert answer.json()["sqlstate"] == "23505", answer
    assert rows(table) == [(i, "u", f"{{{i}}}") for i in range(700)]
    assert server.stop() == 0


if __name__ == "__main__":
    run(sys.modules[__name__])
