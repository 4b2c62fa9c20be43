#!/usr/bin/python3
"""Everything at the same time, on several loops: for `make test-sanitizers`, which looks for races."""
import json
import os
import random
import signal
import sys
import threading
import time

from historiand import NDJSON, Server, message, ndjson, request_bytes, run, sql, temporary_directory, wait_for

SECONDS = 6
SERIES = 5


class Load(threading.Thread):
    """Calls work(client, number) on a connection of its own until the time is up."""

    def __init__(self, server, work):
        super().__init__(daemon=True)
        self.server, self.work, self.error, self.rounds = server, work, None, 0
        self.end = time.monotonic() + SECONDS
        self.start()

    def run(self):
        try:
            while time.monotonic() < self.end:
                client = self.server.connect()
                for _ in range(20):
                    self.work(client, self.rounds)
                    self.rounds += 1
                client.close()
        except BaseException as error:      # pylint: disable=broad-except
            self.error = error

    def finish(self):
        self.join(60)
        assert not self.is_alive(), self.work
        if self.error is not None:
            raise self.error
        assert self.rounds > 0


def test_together():
    """saves, writes, reads, reloads and ended sessions on several loops: what is committed is there"""
    path = os.path.join(temporary_directory(), "config")

    def settings(number):
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(f"max-result-bytes = {1 + number % 50}MiB\nquery-timeout = {1 + number % 9}s\n"
                       f"log-level = {('info', 'debug')[number % 2]}\ncommit-delay = {number % 3}ms\n")
        os.rename(path + ".new", path)
    settings(0)
    server = Server(threads=4, max_queries=8, config=path, flush_interval="5ms")
    committed = [set() for _ in range(3)]

    def saves(number):
        def work(client, i):
            rows = [message(i * 10 + k, f"save{number}", [k]) for k in range(10)]
            answer = client.request("POST", "/save?ack=committed", ndjson(rows), NDJSON)
            assert answer.status == 204, answer
            committed[number].update(row["time"] for row in rows)
        return work

    def received(client, i):
        client.send(b"".join(request_bytes("POST", "/save", json.dumps(
            message(i * 10 + k, f"tag{i % 100}", [k])).encode()) for k in range(10)))
        assert all(client.answer().status == 202 for _ in range(10))

    # two clients give fields of the same points, which are merged
    def lines(field):
        def work(client, i):
            body = "".join(f"line,n={k} {field}={k} {i * 10}\n" for k in range(SERIES))
            answer = client.request("POST", "/write?precision=ns", body.encode())
            assert answer.status == 204, answer
        return work

    def reads(client, i):
        tag = random.choice(("save0", "save1", "tag7", "line,n=1.a", "none"))
        for target in (f"/api?tag={tag}&start=0&end=1000000&samples=50", "/tags", f"/latest?tag={tag}",
                       f"/export?tag={tag}", "/metrics", "/readyz"):
            answer = client.request("GET", target)
            assert answer.status in (200, 404, 500, 503, 504), (target, answer)     # sessions are ended

    def leaves(_, i):
        client = server.connect()
        client.send(request_bytes("GET", f"/export?tag=save{i % 3}"))
        if i % 2:
            time.sleep(0.002)
        client.close()

    loads = [Load(server, work) for work in
             [saves(0), saves(1), saves(2), received, lines("a"), lines("b"), reads, reads, leaves]]
    number = 0
    while any(load.is_alive() for load in loads):
        number += 1
        settings(number)
        server.process.send_signal(signal.SIGHUP)
        if number % 10 == 0:
            sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'historiand' "
                "AND query NOT LIKE 'COPY%' ORDER BY random() LIMIT 1")
        time.sleep(0.05)
    for load in loads:
        load.finish()
    wait_for("readyz", lambda: server.ready())
    assert server.stop() == 0
    for number, times in enumerate(committed):
        found = sql(f"SELECT time FROM {server.table} WHERE tag = 'save{number}'")
        assert times <= {int(row[0]) for row in found}


if __name__ == "__main__":
    run(sys.modules[__name__])
