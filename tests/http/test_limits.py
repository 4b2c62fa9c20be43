#!/usr/bin/python3
"""Reads are bounded: their memory, whatever clients take, and their time, whatever PostgreSQL does."""
import os
import signal
import sys
import time

from historiand import Server, message, request_bytes, run, sql, wait_for

WIDE = "/api?tag=wide&start=0&end=100000&samples="


def wide_server(**settings):
    """One with a message whose 1,000 values are carried into every sample."""
    server = Server(max_result_bytes="16MiB", **settings)
    values = [i / 7 for i in range(1000)]
    assert server.save(message(0, "wide", values), "?ack=committed").status == 204
    return server


def memory(server):
    """Resident bytes."""
    with open(f"/proc/{server.process.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_unread_answers():
    """a client that pipelines reads and takes no answers does not cost their memory"""
    server = wide_server()
    before = memory(server)
    client = server.connect()
    client.send(request_bytes("GET", WIDE + "200") * 150)
    end = time.monotonic() + 1.5    # it must stay that way
    while time.monotonic() < end:
        grown = memory(server) - before
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
    before = memory(server)
    for _ in range(3):
        answer = server.get(WIDE + "10000")
        assert answer.status == 503 and "--max-result-bytes" in answer.json()["detail"], answer
        assert server.get(WIDE + "100").status == 200
    assert memory(server) - before < 96 << 20
    assert server.stop() == 0


def reading_backend():
    return int(sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'historiand' "
                   "AND query LIKE '%downsample%' ORDER BY query_start DESC LIMIT 1")[0][0])


def test_backend_does_not_answer():
    """a read whose backend neither answers nor ends is answered 504, and its connection replaced"""
    server = wide_server(query_timeout="300ms", max_queries=1)
    assert server.get(WIDE + "1").status == 200
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


if __name__ == "__main__":
    run(sys.modules[__name__])
