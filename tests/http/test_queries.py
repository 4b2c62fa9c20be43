#!/usr/bin/python3
"""What bounds the queries of reads: their client, their time, their number."""
import contextlib
import select
import socket
import subprocess
import sys

from historiand import Server, message, run, sql, wait_for, CONNINFO

PATH = "/api?tag=a&start=0&end=1"


def new_server(name, **settings):
    server = Server(conninfo=f"{CONNINFO} application_name={name}", max_queries=1, **settings)
    assert server.save(message(1, "a", [1]), "?ack=committed").status == 204
    return server


def ask(server):
    client = server.connect()
    client.send(f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


def running(name):
    """How many reads PostgreSQL executes for the server of that name."""
    return int(sql("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
                   f"AND query LIKE '%downsample%' AND application_name = '{name}'")[0][0])


@contextlib.contextmanager
def locked(table):
    """Every read of the table waits within this."""
    lock = subprocess.Popen(["psql", "-X", "-q", "-d", CONNINFO], stdin=subprocess.PIPE, text=True)
    try:
        lock.stdin.write(f"BEGIN; LOCK TABLE {table};\n")
        lock.stdin.flush()
        wait_for("the lock", lambda: sql(
            f"SELECT 1 FROM pg_locks WHERE relation = '{table}'::regclass "
            "AND mode = 'AccessExclusiveLock' AND granted") == [["1"]])
        yield
    finally:
        lock.stdin.close()
        lock.wait()


def test_client_leaves():
    """a client that closes its connection ends its query, running or queued"""
    server = new_server("leaver", query_timeout="60s")
    with locked(server.table):
        first = ask(server)
        wait_for("the query", lambda: running("leaver") == 1)
        second = ask(server)
        wait_for("both connections", lambda: server.connections() == 2)
        second.close()
        first.close()
        wait_for("the end of the query", lambda: running("leaver") == 0)
        wait_for("both connections' end", lambda: server.connections() == 0)
    assert server.get(PATH).status == 200
    assert server.stop() == 0


def test_half_closed():
    """a client that only closes its own side is answered"""
    server = new_server("half")
    client = ask(server)
    client.socket.shutdown(socket.SHUT_WR)
    assert client.answer().status == 200
    assert server.stop() == 0


def test_time_limit():
    """a query that PostgreSQL ends after --query-timeout is answered 504"""
    server = new_server("late", query_timeout="300ms")
    with locked(server.table):
        answer = server.get(PATH)
        assert answer.status == 504 and answer.json()["sqlstate"] == "57014", answer
        assert running("late") == 0
    wait_for("a read in time", lambda: server.get(PATH).status == 200)
    assert server.stop() == 0


def test_queue_bound():
    """past --max-queued-queries there is 503 at once; the others are answered, in time"""
    server = new_server("queue", query_timeout="60s", max_queued_queries=3)
    with locked(server.table):
        first = ask(server)
        wait_for("the query", lambda: running("queue") == 1)
        others = [ask(server) for _ in range(8)]
        refused = refusals(others, 4)
        assert 4 <= len(refused) < 8, len(refused)
    for client in [first] + [client for client in others if client not in refused]:
        assert client.answer().status == 200
    assert server.stop() == 0


def refusals(clients, least):
    """Those that are refused, which happens at once: so many at least, and what comes within a while after them."""
    found = []
    while ready := select.select([client.socket for client in clients if client not in found], [], [], 20 if len(found) < least else 1.5)[0]:
        for client in clients:
            if client.socket in ready:
                answer = client.answer()
                assert answer.status == 503 and "--max-queued-queries 3" in answer.json()["detail"], answer
                assert answer.headers["retry-after"] == "1"
                found.append(client)
    return found


if __name__ == "__main__":
    run(sys.modules[__name__])
