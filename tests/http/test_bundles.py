#!/usr/bin/python3
"""Rows go to PostgreSQL in bundles where the table takes them, and by themselves where it does not."""
import os
import random
import sys

from historiand import (CONNINFO, NDJSON, Server, count, message, ndjson, new_table, rows, run, sql, wait_for)

SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(10**9)))


def bundles(server):
    return server.metric("historiand_bundle_loads_total")


def save(server, at, tag="a", values=(1,)):
    return server.save(message(at, tag, list(values)), "?ack=committed").status


def until(server, bundled, first):
    """saves messages from the time first on, until a load was sent so; returns the time after the last one"""
    state = [first]

    def sent_so():
        before = bundles(server)
        assert save(server, state[0]) == 204
        state[0] += 1
        return (bundles(server) > before) == bundled
    wait_for(f"a load {'in' if bundled else 'without'} bundles", sent_so)
    return state[0]


def test_values():
    """what is sent in bundles is stored as it was sent"""
    print(f"# SEED={SEED}", flush=True)
    chance = random.Random(SEED)
    server = Server(flush_interval="1h", commit_delay="1ms")
    until(server, True, 10 ** 6)
    expected = {}
    for turn in range(20):
        messages = []
        for i in range(chance.choice([1, 100, 6000])):
            tag = chance.choice(["plain-%d", "Gerät/μ-%d", "x" * 249 + "-%05d"]) % chance.randrange(10 ** chance.randrange(5))
            at = chance.randrange(30)
            values = [chance.choice([None, 0.5, -1e300, i / 100]) for _ in range(chance.choice([0, 1, 1, 1, 9, 300]))]
            messages.append(message(at, tag, values))
            expected[tag, at] = values
        before = bundles(server)
        assert server.save(ndjson(messages), "?ack=committed", NDJSON).status == 204
        assert bundles(server) > before
    found = {(tag, at): values for at, tag, values in rows(server.table, "time < 1000000")}
    assert len(found) == len(expected), (len(found), len(expected))
    for key, values in expected.items():
        stored = [None if v == "NULL" else float(v) for v in found[key][1:-1].split(",") if v]
        assert stored == values, (key, stored, values)
    assert sql(f"SELECT count(*) FROM historian.check('{server.table}')") == [["0"]]
    assert server.stop() == 0


def test_table_changes():
    """a table that gets a constraint, a trigger or a policy gets its rows alone; bundles come back when these are gone"""
    table = new_table()
    server = Server(table=table, flush_interval="1h", commit_delay="1ms", log_level="info")
    at = until(server, True, 1)
    sql(f"CREATE FUNCTION see_{table}() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.values := NEW.values || 7::float8; RETURN NEW; END $$")
    for change, back, hindrance in (
            (f"ALTER TABLE {table} ADD CONSTRAINT low CHECK (values[1] < 100)", f"ALTER TABLE {table} DROP CONSTRAINT low",
             "it has a CHECK constraint"),
            (f"CREATE TRIGGER see BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION see_{table}()",
             f"DROP TRIGGER see ON {table}", "it has a trigger for INSERT"),
            (f"CREATE RULE r AS ON INSERT TO {table} DO ALSO NOTIFY x", f"DROP RULE r ON {table}", "it has a rule")):
        sql(change)
        before = bundles(server)
        status = save(server, at, "b", [1000])
        assert bundles(server) == before
        server.logged(f"rows are sent one by one.*{hindrance}")
        if "CHECK" in change:
            assert status == 422 and count(table, f"time = {at}") == 0
            assert save(server, at, "b", [1]) == 204
        else:
            assert status == 204
        assert rows(table, f"time = {at}")[0][2] == ("{1000,7}" if "TRIGGER" in change else "{1}" if "CHECK" in change else "{1000}")
        assert bundles(server) == before
        sql(back)
        at = until(server, True, at + 1)
    assert server.metric("historiand_loads_failed_total") == 1      # the row that was refused
    sql(f"ALTER TABLE {table} RENAME COLUMN values TO numbers")
    server.save(message(at, "c", [5]))
    wait_for("not ready", lambda: not server.ready())
    sql(f"ALTER TABLE {table} RENAME COLUMN numbers TO values")
    wait_for("ready", server.ready)
    until(server, True, at + 1)
    assert count(table) == count(table, f"time < {at + 100}")
    assert server.stop() == 0


def test_bundles_fail():
    """where bundles fail, and COPY does not, the same rows are loaded by COPY, and the next ones are tried again"""
    server = Server(flush_interval="1h", commit_delay="1ms")
    at = until(server, True, 1)
    sql("CREATE FUNCTION fail_bundles() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no bundles today'; END $$; "
        "CREATE TRIGGER a_fail INSTEAD OF INSERT ON historian.bundle FOR EACH ROW EXECUTE FUNCTION fail_bundles()")
    try:
        before = bundles(server)
        for _ in range(3):
            assert save(server, at) == 204
            at += 1
        assert bundles(server) == before
        server.logged("no bundles today")
        assert server.metric("historiand_loads_failed_total") == 3
    finally:
        sql("DROP TRIGGER a_fail ON historian.bundle; DROP FUNCTION fail_bundles()")
    at = until(server, True, at)
    assert count(server.table) == at - 1
    assert server.stop() == 0


def test_older_extension():
    """an extension without bundles gets rows; one that is updated while the server runs gets bundles"""
    server = Server(flush_interval="1h", commit_delay="1ms")
    at = until(server, True, 1)
    sql("ALTER FUNCTION historian.bundle_hindrance(regclass) RENAME TO not_there")
    try:
        before = bundles(server)
        for _ in range(3):
            assert save(server, at) == 204
            at += 1
        assert bundles(server) == before
        assert server.metric("historiand_loads_failed_total") == 1
    finally:
        sql("ALTER FUNCTION historian.not_there(regclass) RENAME TO bundle_hindrance")
    at = until(server, True, at)
    assert count(server.table) == at - 1
    assert server.stop() == 0


def test_sessions_and_privileges():
    """nothing is lost where triggers do not fire, and nothing fails where the view may not be used"""
    role = f"loader_{os.getpid()}"
    table = new_table()
    server = Server(table=table, conninfo=CONNINFO + " options='-c session_replication_role=replica'",
                    flush_interval="1h", commit_delay="1ms", log_level="info")
    assert all(save(server, at) == 204 for at in range(4))
    assert count(table) == 4 and bundles(server) == 0
    server.logged("rows are sent one by one.*session_replication_role")
    assert server.stop() == 0
    sql(f"CREATE ROLE {role}; GRANT INSERT ON {table} TO {role}; REVOKE INSERT ON historian.bundle FROM PUBLIC")
    try:
        server = Server(table=table, conninfo=CONNINFO + f" options='-c role={role}'", read_database=CONNINFO,
                        flush_interval="1h", commit_delay="1ms")
        assert all(save(server, at) == 204 for at in range(4, 8))
        assert bundles(server) == 0 and server.metric("historiand_loads_failed_total") == 0
        sql("GRANT INSERT ON historian.bundle TO PUBLIC")
        until(server, True, 8)
        assert server.stop() == 0
    finally:
        sql(f"GRANT INSERT ON historian.bundle TO PUBLIC; DROP OWNED BY {role}; DROP ROLE {role}")


def test_other_tables():
    """a partitioned table and a heap get rows, as ever"""
    parent = new_table("heap")
    sql(f"DROP TABLE {parent}; CREATE TABLE {parent} (time bigint, tag text, values float8[]) PARTITION BY HASH (tag); "
        f"CREATE TABLE {parent}_0 PARTITION OF {parent} FOR VALUES WITH (MODULUS 2, REMAINDER 0) USING historian; "
        f"CREATE TABLE {parent}_1 PARTITION OF {parent} FOR VALUES WITH (MODULUS 2, REMAINDER 1) USING historian")
    for table in (parent, new_table("heap")):
        # a request that comes before the connection waits for the next flush
        server = Server(table=table, flush_interval="100ms", commit_delay="1ms", expect_ready=table == parent)
        body = ndjson(message(i, f"tag{i}", [i]) for i in range(100))
        assert all(server.save(body, "?ack=committed", NDJSON).status == 204 for _ in range(3))
        assert bundles(server) == 0 and server.metric("historiand_loads_total") >= 3
        assert count(table, "values = ARRAY[time::float8]") == (100 if table == parent else 300)
        assert server.stop() == 0


if __name__ == "__main__":
    run(sys.modules[__name__])
