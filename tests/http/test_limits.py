#!/usr/bin/python3
"""Reads are bounded: their memory, whatever clients take, and their time, whatever PostgreSQL does."""
import os
import select
import signal
import struct
import subprocess
import sys
import time

from historiand import CONNINFO, Relay, Server, message, request_bytes, run, sql, wait_for

WIDE = "/api?tag=wide&start=0&end=100000&samples="


def wide_server(**settings):
    """One with a message whose 1,000 values are carried into every sample."""
    server = Server(max_result_bytes="16MiB", **settings)
    values = [i / 7 for i in range(1000)]
    assert server.save(message(0, "wide", values), "?ack=committed").status == 204
    return server


def test_unread_answers():
    """a client that pipelines reads and takes no answers does not cost their memory"""
    server = wide_server()
    before = server.memory()
    client = server.connect()
    client.send(request_bytes("GET", WIDE + "200") * 150)
    end = time.monotonic() + 1.5    # it must stay that way
    while time.monotonic() < end:
        grown = server.memory() - before
        assert grown < 64 << 20, f"{grown} bytes"
        time.sleep(0.02)
    for _ in range(150):
        answer = client.answer()
        assert answer.status == 200 and len(answer.json()["samples"]) == 200
    assert server.get("/livez").status == 200
    assert server.stop() == 0


def test_result_too_large():
    """a result past --max-result-bytes is a 503 that names it, and the next read goes on"""
    server = wide_server()
    before = server.memory()
    for _ in range(3):
        answer = server.get(WIDE + "10000")
        assert answer.status == 503 and "--max-result-bytes" in answer.json()["detail"], answer
        assert server.get(WIDE + "100").status == 200
    assert server.memory() - before < 96 << 20
    assert server.stop() == 0


def reading_backend():
    return int(sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'historiand' "
                   "AND query LIKE '%downsample%' ORDER BY query_start DESC LIMIT 1")[0][0])


def test_backend_does_not_answer():
    """a read whose backend neither answers nor ends is answered 504, and its connection replaced"""
    server = wide_server(query_timeout="1s", max_queries=1)
    wait_for("a read in time", lambda: server.get(WIDE + "1").status == 200)
    backend = reading_backend()
    os.kill(backend, signal.SIGSTOP)
    try:
        clients = [server.connect(), server.connect()]
        for client in clients:
            client.send(request_bytes("GET", WIDE + "2"))
        answer = clients[0].answer()
        assert answer.status == 504 and "--query-timeout" in answer.json()["detail"], answer
        answer = clients[1].answer()
        assert answer.status == 503 and "--max-queries" in answer.json()["detail"], answer
        wait_for("another connection", lambda: server.get(WIDE + "3").status == 200)
    finally:
        os.kill(backend, signal.SIGCONT)
    assert server.stop() == 0


def test_idle_connection_lost():
    """a read whose idle connection PostgreSQL has ended meanwhile is answered on another one"""
    server = wide_server(max_queries=3)
    for i in range(30):
        clients = [server.connect() for _ in range(3)]
        for client in clients:
            client.send(request_bytes("GET", WIDE + "50"))
        for client in clients:
            answer = client.answer()
            assert answer.status == 200, (i, answer)
        sql("SELECT CASE WHEN application_name = 'historiand' AND query LIKE '%downsample%' "
            "THEN pg_terminate_backend(pid) END FROM pg_stat_activity")
        # one time as soon as psql has ended, the next time as soon as the server may know
        time.sleep(0.02 * (i % 2))
        assert server.get("/export?tag=wide").status == 200, i
    assert server.stop() == 0


def test_broken_while_reading():
    """a read that PostgreSQL ends while it executes is not repeated without end"""
    server = wide_server(max_queries=1)
    assert server.get(WIDE + "1").status == 200
    locker = subprocess.Popen(["psql", "-Xq", "-d", CONNINFO], stdin=subprocess.PIPE, text=True)
    locker.stdin.write(f"BEGIN; LOCK TABLE {server.table};\n")
    locker.stdin.flush()
    try:
        wait_for("the lock", lambda: sql("SELECT count(*) FROM pg_locks WHERE granted AND mode = "
                 f"'AccessExclusiveLock' AND relation = '{server.table}'::regclass") == [["1"]])
        client = server.connect()
        client.send(request_bytes("GET", WIDE + "1"))
        ended = set()

        def end_waiting():
            for (pid,) in sql("SELECT pid FROM pg_stat_activity WHERE CASE WHEN wait_event_type = 'Lock' "
                              "AND application_name = 'historiand' AND query LIKE '%downsample%' "
                              "THEN pg_terminate_backend(pid) END"):
                ended.add(pid)
            return select.select([client.socket], [], [], 0)[0]
        wait_for("an answer", end_waiting)
        assert client.answer().status == 503
        assert 1 <= len(ended) <= 2, ended
    finally:
        locker.communicate("")
    assert server.stop() == 0


def test_cancels_hang():
    """cancellations that PostgreSQL does not answer keep neither reads nor anything else waiting"""
    relay = Relay()
    server = Server(conninfo=relay.conninfo, max_queries=8, query_timeout="60s")
    assert server.save(message(0, "t", [1]), "?ack=committed").status == 204
    passes = relay.hold(struct.pack("!II", 16, 80877102))   # a CancelRequest
    locker = subprocess.Popen(["psql", "-Xq", "-d", CONNINFO], stdin=subprocess.PIPE, text=True)
    locker.stdin.write(f"BEGIN; LOCK TABLE {server.table};\n")
    locker.stdin.flush()
    try:
        wait_for("the lock", lambda: sql("SELECT count(*) FROM pg_locks WHERE granted AND mode = "
                 f"'AccessExclusiveLock' AND relation = '{server.table}'::regclass") == [["1"]])
        clients = [server.connect() for _ in range(8)]
        for client in clients:
            client.send(request_bytes("GET", "/api?tag=t&start=0&end=1&samples=1"))
        wait_for("the queries", lambda: sql(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'historiand' "
            "AND wait_event_type = 'Lock' AND query LIKE '%downsample%'") == [["8"]])
        for client in clients:
            client.close()
        wait_for("the server to notice", lambda: server.connections() == 0)
        locker.communicate("ROLLBACK;\n")
        # Compressing a long answer takes a thread of libuv's, connecting again another one.
        wait_for("a read", lambda: server.request(
            "GET", "/api?tag=t&start=0&end=100000&samples=10000", None,
            {"Accept-Encoding": "gzip"}).status == 200)
        assert not passes.is_set()
    finally:
        locker.communicate("") if locker.poll() is None else None
        passes.set()
    assert server.stop() == 0


if __name__ == "__main__":
    run(sys.modules[__name__])
