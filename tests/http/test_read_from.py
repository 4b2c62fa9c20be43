#!/usr/bin/python3
"""--read-from, --max-read-lag and min_commit, with a primary and a streaming standby of this test's own."""
import atexit
import json
import os
import subprocess
import sys
import threading
import time

import historiand
from historiand import Server, message, run, temporary_directory, wait_for

TOP = os.path.join(historiand.HERE, "../..")
BASH = '. scripts/common.sh && cd / && as_user "$(cluster_user)" env PATH="$(bindir):$PATH" sh -euc "$1"'


class Node:
    """A PostgreSQL in a folder, reached by a socket there."""

    def __init__(self, folder, port):
        self.folder, self.port, self.data = folder, port, f"{folder}/{port}"
        self.conninfo = f"host={folder} port={port} user=postgres dbname=historian"

    def command(self, text):
        environment = {**os.environ, "DATADIR": self.folder}
        done = subprocess.run(["bash", "-c", BASH, "sh", text], cwd=TOP, env=environment, capture_output=True,
                              text=True, check=False)
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"

    def start(self):
        self.command(f"pg_ctl -s -w -t 120 -D {self.data} -l {self.data}.log "
                     f"-o \"-k {self.folder} -p {self.port} -c listen_addresses=''\" start >/dev/null")

    def stop(self):
        self.command(f"pg_ctl -s -w -m immediate -D {self.data} stop >/dev/null || true")

    def sql(self, statement, database="historian"):
        done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d",
                               self.conninfo.replace("dbname=historian", "dbname=" + database)],
                              input=statement, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


class Pair:
    """A primary and its standby, with the table m in the database historian."""

    def __init__(self):
        folder = temporary_directory()
        self.primary, self.standby = Node(folder, 5501), Node(folder, 5502)
        os.chmod(folder, 0o777)
        atexit.register(self.stop)
        node = self.primary
        node.command(f"initdb -D {node.data} -U postgres -A trust --no-sync >/dev/null; cat >>{node.data}/postgresql.conf "
                     "<<'END'\nshared_preload_libraries = 'historian'\nfsync = off\nwal_receiver_timeout = 2s\n"
                     "wal_retrieve_retry_interval = 100ms\nautovacuum = off\nhistorian.compaction_interval = 1h\nEND")
        node.start()
        node.sql("CREATE DATABASE historian", "postgres")
        node.sql("CREATE EXTENSION historian; CREATE TABLE m (time bigint, tag text, values float8[]) USING historian")
        node.command(f"pg_basebackup -D {self.standby.data} -R -X stream -c fast -d 'host={folder} port={node.port} user=postgres'")
        self.standby.start()
        self.caught_up()
        hosts = f"host={folder},{folder} port={self.primary.port},{self.standby.port} user=postgres dbname=historian " \
                "connect_timeout=3"
        self.writes, self.reads = hosts + " target_session_attrs=read-write", hosts

    def caught_up(self):
        position = self.primary.sql("SELECT pg_current_wal_flush_lsn()")
        wait_for("replay", lambda: self.standby.sql(f"SELECT pg_last_wal_replay_lsn() >= '{position}'") == "t")

    def stop(self):
        for node in (self.standby, self.primary):
            node.stop()

    def server(self, **settings):
        return Server(table="m", conninfo=self.writes, read_database=self.reads, flush_interval="20ms", **settings)


def pause(node):
    node.sql("SELECT pg_wal_replay_pause()")
    wait_for("the pause", lambda: node.sql("SELECT pg_get_wal_replay_pause_state()") == "paused")


def resume(node):
    node.sql("SELECT pg_wal_replay_resume()")


def save(server, value, tag="a"):
    """Writes the tag's value at 1, and returns where its commit is."""
    answer = server.save(message(1, tag, [value]), "?ack=committed")
    assert answer.status == 204, answer
    return answer.headers["x-historian-commit"]


def read(server, more="", tag="a"):
    return server.get(f"/api?tag={tag}&start=0&end=1&samples=1" + more)


def value(answer):
    assert answer.status == 200, answer
    return answer.json()["samples"][0]["values"][0]


def lag(answer):
    return int(answer.headers["x-historian-lag-ms"])


PAIR = None


def test_wrong_min_commit():
    """a min_commit that is none is 400, on each route, and says what it should be"""
    server = PAIR.server()
    save(server, 1)
    for wrong in ("", "1", "1/", "/1", "g/1", "1/2/3", "123456789/1", "1/2%27", "-1/2", "1%2F2x"):
        for path in ("/api?tag=a", "/latest?tag=a", "/tags?", "/tags/a?", "/export?tag=a"):
            answer = server.get(path + ("" if path[-1] == "?" else "&") + "min_commit=" + wrong)
            assert answer.status == 400 and "X-Historian-Commit" in answer.json()["detail"], (path, wrong, answer)
    assert read(server, "&min_commit=0/1&min_commit=0/1").status == 400
    assert server.stop() == 0


def test_standby_preferred():
    """the standby answers; what it has not replayed, the primary; where it is too old, the primary"""
    server = PAIR.server(read_from="standby-preferred", max_read_lag="8s", min_commit_wait="100ms")
    old = save(server, 1)
    PAIR.caught_up()
    assert value(read(server)) == 1
    pause(PAIR.standby)
    try:
        new = save(server, 2)
        answer = read(server)
        assert value(answer) == 1, "the standby, which has not replayed it"
        # the standby is behind once it has received what it does not replay
        wait_for("the lag", lambda: lag(read(server)) >= 1)
        answer = read(server, "&min_commit=" + old)
        assert value(answer) == 1 and lag(answer) >= 1, answer
        begin = time.monotonic()
        answer = read(server, "&min_commit=" + new)
        assert value(answer) == 2 and lag(answer) == 0, answer
        assert time.monotonic() - begin >= 0.1, "the standby was not waited for"
        for path in ("/latest?tag=a&min_commit=", "/tags?min_commit=", "/tags/a?min_commit=",
                     "/export?tag=a&format=csv&min_commit=", "/export?tag=a&format=csv&layout=wide&min_commit=",
                     "/api?tag=a&start=0&end=1&samples=1&format=csv&min_commit="):
            seen = server.get(path + new)
            assert seen.status == 200 and seen.headers["x-historian-lag-ms"] == "0", (path, seen)
            if "tags" not in path:
                assert b"2" in seen.body.split(b"\n", 1)[-1] or b"[2]" in seen.body, (path, seen)
        exported = server.get("/export?tag=a")
        assert b"[1]" in exported.body and lag(exported) >= 1, exported
        wait_for("the primary, once the standby is too old", lambda: value(read(server)) == 2)
        assert lag(read(server)) == 0
    finally:
        resume(PAIR.standby)
    PAIR.caught_up()
    assert server.stop() == 0


def test_waits_for_replay():
    """a read with min_commit waits on the standby while replay goes on"""
    server = PAIR.server(read_from="standby-preferred", min_commit_wait="5s")
    save(server, 3)
    PAIR.caught_up()
    pause(PAIR.standby)
    new = save(server, 4)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(read(server, "&min_commit=" + new)))
    thread.start()
    wait_for("the wait", lambda: PAIR.standby.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%await_commit(%' AND state = 'active' "
        "AND pid <> pg_backend_pid()") != "0")
    resume(PAIR.standby)
    thread.join()
    assert value(answers[0]) == 4
    assert server.stop() == 0


def test_stress_read_your_writes():
    """each of many writes is seen by a read that asks for it, whoever answers"""
    server = PAIR.server(read_from="standby-preferred", commit_delay="1ms")
    for number in range(100):
        assert value(read(server, "&min_commit=" + save(server, number))) == number
    text = server.get("/metrics").body.decode()
    assert 'historiand_read_pool_role{pool="reads",role="standby"} 1' in text, text
    assert server.stop() == 0


def test_read_from_primary():
    """the primary answers although --read-database leads to the standby as well"""
    server = PAIR.server(read_from="primary")
    save(server, 5)
    PAIR.caught_up()
    pause(PAIR.standby)
    try:
        save(server, 6)
        answer = read(server)
        assert value(answer) == 6 and lag(answer) == 0, answer
    finally:
        resume(PAIR.standby)
    assert "primary: primary" in server.get("/readyz").body.decode()
    assert server.stop() == 0


def test_unknown_commit():
    """a commit later than the primary has is 412, and nobody waits long for it"""
    for order in ("primary", "standby-preferred", "any"):
        server = PAIR.server(read_from=order, min_commit_wait="50ms")
        save(server, 7)
        for path in ("/api?tag=a&", "/export?tag=a&"):
            answer = server.get(path + "min_commit=FFFFFFFF/0")
            assert answer.status == 412 and "FFFFFFFF/0" in answer.json()["detail"], (order, answer)
            assert answer.json()["sqlstate"] == "RH003", answer
        assert value(read(server)) == 7
        assert server.stop() == 0


def test_old_extension():
    """an extension without historian.await_commit(): reads go on, without a lag"""
    PAIR.primary.sql("ALTER EXTENSION historian DROP FUNCTION historian.await_commit; "
                     "ALTER FUNCTION historian.await_commit RENAME TO await_commit_later")
    try:
        server = PAIR.server(read_from="primary")
        new = save(server, 8)
        for answer in (read(server), server.get("/export?tag=a")):
            assert answer.status == 200 and "x-historian-lag-ms" not in answer.headers, answer
        assert read(server, "&min_commit=" + new).status == 500
        assert value(read(server)) == 8
        server.logged("ALTER EXTENSION historian UPDATE")
        assert server.stop() == 0
    finally:
        PAIR.primary.sql("ALTER FUNCTION historian.await_commit_later RENAME TO await_commit; "
                         "ALTER EXTENSION historian ADD FUNCTION historian.await_commit")


def test_recovery_conflict():
    """a query that the standby breaks off for its replay is answered by the primary, or 503 with Retry-After"""
    server = PAIR.server(read_from="standby-preferred", query_timeout="20s")
    save(server, 9)
    PAIR.standby.sql("ALTER SYSTEM SET max_standby_streaming_delay = 0; SELECT pg_reload_conf()")
    PAIR.caught_up()
    PAIR.primary.sql("CREATE FUNCTION slowly(float8) RETURNS float8 LANGUAGE plpgsql AS "
                     "'BEGIN PERFORM pg_sleep(CASE WHEN pg_is_in_recovery() THEN 5 ELSE 0 END); RETURN $1; END'; "
                     "ALTER TABLE m RENAME TO n; CREATE VIEW m AS SELECT time, tag, ARRAY[slowly(values[1])] AS values FROM n")
    PAIR.caught_up()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(server.get("/export?tag=a")))
    thread.start()
    wait_for("the query", lambda: PAIR.standby.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%COPY (SELECT time%' AND state = 'active' "
        "AND pid <> pg_backend_pid()") != "0")
    # at once, because the primary is asked as soon as the standby has met the first of them
    PAIR.primary.sql("BEGIN; DROP VIEW m; ALTER TABLE n RENAME TO m; DROP FUNCTION slowly; COMMIT")
    thread.join()
    assert answers[0].status == 200 and b"[9]" in answers[0].body, answers
    PAIR.standby.sql("ALTER SYSTEM RESET max_standby_streaming_delay; SELECT pg_reload_conf()")
    assert server.stop() == 0


def test_failover():
    """the primary is gone: reads go on from the standby with its lag; after its promotion all goes on there"""
    servers = {order: PAIR.server(read_from=order, max_read_lag="300ms") for order in
               ("primary", "standby-preferred", "any")}
    server = servers["primary"]
    assert server.request("PUT", "/tags/a", b'{"description":"first"}').status == 204
    new = save(server, 10)
    PAIR.caught_up()
    for each in servers.values():
        assert value(read(each)) == 10
    PAIR.primary.stop()
    died = time.monotonic()
    for order, each in servers.items():
        answer = wait_for(f"a read of the standby, {order}", lambda each=each: (lambda a: a if a.status == 200 else None)(read(each)))
        assert value(answer) == 10, answer
        time.sleep(0.5)
        answer = read(each)
        assert value(answer) == 10 and lag(answer) >= 300, (order, answer)
        assert lag(answer) <= (time.monotonic() - died) * 1000 + 60000, answer
        assert value(read(each, "&min_commit=" + new)) == 10
        lost = read(each, "&min_commit=FFFFFFFF/0")
        assert lost.status == 503 and "retry-after" in lost.headers, lost
        took = time.monotonic()
        assert value(read(each)) == 10
        assert time.monotonic() - took < 2.5, "a server that is away is passed over at once, not after connect_timeout"
    assert "standby" in wait_for("/readyz", lambda: servers["any"].get("/readyz").body.decode())
    PAIR.standby.command(f"pg_ctl -s -w -D {PAIR.standby.data} promote >/dev/null")
    answer = wait_for("metadata on the new primary", lambda: (lambda a: a if a.status == 204 else None)(
        server.request("PUT", "/tags/a", b'{"description":"second"}')))
    assert answer.status == 204
    for each in servers.values():
        wait_for("ready", each.ready)
        assert value(read(each, "&min_commit=" + new)) in (10, 11), "a commit before the failover is seen after it"
        after = save(each, 11)
        assert value(read(each, "&min_commit=" + after)) == 11
        assert lag(read(each)) == 0
    for each in servers.values():
        assert each.stop() == 0
    PAIR.primary, PAIR.standby = PAIR.standby, PAIR.primary


def test_read_only_server_is_left():
    """a connection for changes that meets a server that is read only is closed at once, not kept"""
    server = PAIR.server(read_from="primary")
    assert server.request("PUT", "/tags/a", b'{"description":"first"}').status == 204
    node = PAIR.primary
    # a change ends by asking where its commit is in the WAL
    kept = ("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'historiand' "
            "AND (query LIKE '%set_tag%' OR query LIKE '%pg_current_wal_flush_lsn%')")
    assert node.sql(kept + " AND query NOT LIKE '%pg_stat_activity%'") == "1"
    node.sql("ALTER SYSTEM SET default_transaction_read_only = on; SELECT pg_reload_conf()")
    wait_for("the setting", lambda: node.sql("SHOW default_transaction_read_only") == "on")
    try:
        answer = wait_for("503", lambda: (lambda a: a if a.status != 204 else None)(
            server.request("PUT", "/tags/a", b'{"description":"second"}')))
        assert answer.status == 503 and "retry-after" in answer.headers, answer
        wait_for("no connection that is kept", lambda: node.sql(kept + " AND query NOT LIKE '%pg_stat_activity%'") == "0")
        assert json.loads(server.get("/tags/a").body)["description"] == "first"
    finally:
        node.sql("SET transaction_read_only = off; ALTER SYSTEM RESET default_transaction_read_only; SELECT pg_reload_conf()")
    wait_for("204", lambda: server.request("PUT", "/tags/a", b'{"description":"third"}').status == 204)
    assert server.stop() == 0


def test_wrong_settings():
    """a wrong --read-from is named"""
    done = subprocess.run([historiand.BINARY, "--check-config", "--read-from", "standby"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 2 and "primary, standby-preferred, any" in done.stderr, done


if __name__ == "__main__":
    PAIR = Pair()
    run(sys.modules[__name__])
