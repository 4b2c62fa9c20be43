#!/usr/bin/python3
"""GET /stream and GET /progress while PostgreSQL and historiand are restarted, crash or hang.

SEED=1 RECONNECTS=1000 test_stream_restarts.py: the long form."""
import os
import random
import signal
import sys
import threading
import time

from cluster import Cluster
from events import follow, post
from historiand import Server, run, sql, wait_for

SEED = int(os.environ.get("SEED", random.randrange(2 ** 32)))
RECONNECTS = int(os.environ.get("RECONNECTS", "100"))
FIRST = "-9223372036854775808"

cluster = None      # of all tests


class Producer(threading.Thread):
    """Commits samples by SQL, with the times 1, 2, ... for each tag, until it is told to end."""

    def __init__(self, table, tags, generator):
        super().__init__(daemon=True)
        self.table, self.generator = table, generator
        self.sent = {tag: 0 for tag in tags}
        self.over = threading.Event()
        self.start()

    def run(self):
        while not self.over.is_set():
            for tag, last in list(self.sent.items()):
                end = last + self.generator.randrange(1, 40)
                try:
                    sql(f"INSERT INTO {self.table} SELECT t, '{tag}', ARRAY[t] FROM generate_series({last + 1}, {end}) t")
                    self.sent[tag] = end
                except AssertionError:      # PostgreSQL is away; what may have been committed is sent again
                    time.sleep(0.1)
            time.sleep(0.01)

    def end(self):
        self.over.set()
        self.join()
        return self.sent


def test_reconnects():
    """none lost or doubled over reconnects with Last-Event-ID, restarts and crashes of historiand and of PostgreSQL"""
    print(f"# seed {SEED}, {RECONNECTS} reconnects")
    generator = random.Random(SEED)
    server = Server()
    tags = ("p/1", "p/2")
    got = {tag: [] for tag in tags}
    last_id = f"{FIRST},{FIRST}"
    restarts = {"server": 0, "postgres": 0}

    def take(events, count):
        for tag, at, _ in events.take(count):
            got[tag].append(at)

    producer = Producer(server.table, tags, random.Random(SEED + 1))
    try:
        for turn in range(1, RECONNECTS + 1):
            events = follow(server, *tags, last_id=last_id)
            take(events, generator.randrange(1, 200))
            if turn % 20 == 10:
                # the stream stays open
                restarts["postgres"] += 1
                cluster.restart(crash=turn % 40 == 10)
                take(events, 20)
            elif turn % 10 == 5:
                restarts["server"] += 1
                server.process.send_signal(signal.SIGKILL if turn % 20 == 5 else signal.SIGTERM)
                server.process.wait(20)
                server = Server(table=server.table)
            last_id = events.last_id
            events.close()
    finally:
        sent = producer.end()
    events = follow(server, *tags, last_id=last_id)
    while any(len(got[tag]) < sent[tag] for tag in tags):
        take(events, 1)
    for tag in tags:
        assert got[tag] == list(range(1, sent[tag] + 1)), tag
    print(f"# {sum(sent.values())} samples over {restarts['server']} restarts of historiand, {restarts['postgres']} of PostgreSQL")


def quickest_and_slowest(server, count=20):
    """of GET /livez, in seconds"""
    took = []
    for _ in range(count):
        begin = time.monotonic()
        assert server.get("/livez").status == 200
        took.append(time.monotonic() - begin)
        time.sleep(0.05)
    return min(took), max(took)


def test_hang():
    """while PostgreSQL hangs, /livez is quick, /progress is answered, and streams get comments; then they go on without a gap"""
    server = Server(query_timeout="3s")
    post(server, [("a", 1, [1])])
    streams = [follow(server, "a", last_id="0") for _ in range(20)]
    assert all(events.sample() == ("a", 1, [1]) for events in streams)
    waiting = server.connect()
    waiting.send(b"GET /progress?expect=1000&stream=&timeout=5s HTTP/1.1\r\nHost: test\r\n\r\n")
    cluster.hang()
    try:
        answer = server.save(b'{"time": 2, "tag": "a", "values": [2]}', "?precision=ns")
        assert answer.status == 202, answer
        for _ in range(4):
            _, slowest = quickest_and_slowest(server)
            assert slowest < 1, slowest
        # the answer that waited, and one that begins in the hang
        assert waiting.answer().status in (200, 503, 504)
        begin = time.monotonic()
        answer = server.get("/progress?stream=&expect=1000&timeout=2s")
        assert answer.status in (503, 504), answer
        assert time.monotonic() - begin < 15
        for events in streams:
            while events.comments < 2:      # the first one was sent when the stream began
                events.block()
    finally:
        cluster.go_on()
    wait_for("readyz", server.ready)
    for events in streams:
        assert events.sample() == ("a", 2, [2])
    post(server, [("a", 3, [3])])
    for events in streams:
        assert events.sample() == ("a", 3, [3])
        events.close()


def test_stop_in_hang():
    """SIGTERM while PostgreSQL hangs ends the streams and the server in under 10 s"""
    server = Server()
    post(server, [("a", 1, [1])])
    events = follow(server, "a", last_id="0")
    assert events.sample() == ("a", 1, [1])
    cluster.hang()
    try:
        # one that waits for the positions from which it begins
        begun = server.connect()
        begun.send(b"GET /stream?tag=a HTTP/1.1\r\nHost: test\r\n\r\n")
        time.sleep(1.5)     # a round and the query are under way
        begin = time.monotonic()
        server.stop(20)
        assert time.monotonic() - begin < 10, time.monotonic() - begin
        assert events.event() is None
    finally:
        cluster.go_on()


if __name__ == "__main__":
    cluster = Cluster()
    run(sys.modules[__name__])
