#!/usr/bin/python3
"""GET /stream against what was committed.

SEED=1 RECONNECTS=100 SUBSCRIBERS=2000 test_stream.py: the long forms."""
import hashlib
import json
import os
import random
import signal
import sys
import threading
import time
import urllib.parse

from historiand import (NDJSON, Relay, Server, insert, message, ndjson, request_bytes, run, sql, temporary_directory,
                        wait_for)

SEED = int(os.environ.get("SEED", random.randrange(2 ** 32)))
RECONNECTS = int(os.environ.get("RECONNECTS", "12"))
SUBSCRIBERS = int(os.environ.get("SUBSCRIBERS", "200"))


class Events:
    """One client of /stream; what it got is in samples."""

    def __init__(self, port, query, last_id=None, timeout=20.0, headers=None):
        from historiand import Client
        headers = dict(headers or {})
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        self.client = Client(port, timeout)
        self.client.send(request_bytes("GET", "/stream?" + query, None, headers))
        self.head = self.client.answer(head_only=True)
        self.pieces = self.client.chunks() if self.head and self.head.status == 200 else iter(())
        self.text = ""
        self.last_id = last_id
        self.comments = 0

    def event(self):
        """The next (event, id, data); None at the end of the stream."""
        while True:
            while "\n\n" not in self.text:
                piece = next(self.pieces, None)
                if piece is None:
                    return None
                self.text += piece.decode()
            block, self.text = self.text.split("\n\n", 1)
            if block.startswith(":"):
                self.comments += 1
                continue
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            self.last_id = fields.get("id", self.last_id)
            return fields.get("event", "message"), fields.get("id"), json.loads(fields["data"])

    def sample(self):
        kind, _, data = self.event()
        assert kind == "message", (kind, data)
        return data["tag"], data["time"], data["values"]

    def take(self, count):
        return [self.sample() for _ in range(count)]

    def close(self):
        self.client.close()


def follow(server, *tags, last_id=None, **more):
    events = Events(server.port, urllib.parse.urlencode([("tag", tag) for tag in tags] + list(more.items())), last_id)
    assert events.head.status == 200, events.head
    return events


def post(server, samples, ack="committed"):
    answer = server.save(ndjson([message(t, tag, values) for tag, t, values in samples]), f"?precision=ns&ack={ack}", NDJSON)
    assert answer.status in (202, 204), answer


def test_live():
    """samples committed by this server, by another one and by SQL, in order for each tag"""
    server = Server()
    other = Server(table=server.table)
    post(server, [("a", 1, [1]), ("a", 2, [2])])
    events = follow(server, "a", "größe \"q\"\\", "a")
    assert events.head.headers["content-type"] == "text/event-stream"
    assert events.head.headers["cache-control"] == "no-store"
    post(server, [("a", 4, [4]), ("a", 3, [3]), ("b", 9, [9])])
    assert events.take(2) == [("a", 3, [3]), ("a", 4, [4])]
    post(other, [("a", 5, [5.5, None])])
    assert events.sample() == ("a", 5, [5.5, None])
    insert(server.table, [message(7, "größe \"q\"\\", [])])
    assert events.sample() == ("größe \"q\"\\", 7, [])
    # a sample that is not later than the last one is not in the stream
    post(server, [("a", 4, [44]), ("a", 1, [0]), ("a", 6, [6])])
    assert events.sample() == ("a", 6, [6])
    # an open transaction is not committed
    sql(f"BEGIN; INSERT INTO {server.table} VALUES (8, 'a', '{{8}}'); ROLLBACK; INSERT INTO {server.table} VALUES (9, 'a', '{{9}}')")
    assert events.sample() == ("a", 9, [9])
    assert events.last_id == "9,7"


def test_resume():
    """Last-Event-ID and start"""
    server = Server()
    post(server, [(tag, t, [t]) for tag in "ab" for t in range(1, 2501)])
    everything = follow(server, "b", start=1, precision="ns").take(2500)
    assert everything == [("b", t, [t]) for t in range(1, 2501)]
    events = follow(server, "a", "b", last_id="2498,2499")
    assert sorted(events.take(3)) == [("a", 2499, [2499]), ("a", 2500, [2500]), ("b", 2500, [2500])]
    late = follow(server, "a", last_id="-9223372036854775808")
    assert late.take(2500) == [("a", t, [t]) for t in range(1, 2501)], "beside a client that is ahead"
    post(server, [("a", 3000, [1])])
    assert late.sample() == events.sample() == ("a", 3000, [1])
    assert follow(server, "a", last_id="2999", time="rfc3339").sample()[1] == "1970-01-01T00:00:00.000003Z"


def test_reconnects():
    """none lost or doubled over reconnects, restarts of the server, and cuts of PostgreSQL's connection"""
    print(f"# seed {SEED}")
    generator = random.Random(SEED)
    relay = Relay()
    server = Server(conninfo=relay.conninfo)
    table = server.table
    tags = ("p/1", "p/2")
    done = threading.Event()
    current = [server]
    sent = {tag: 0 for tag in tags}

    def produce():
        while not done.is_set():
            for tag in tags:
                values = range(sent[tag] + 1, sent[tag] + generator.randrange(2, 40))
                try:
                    sql(f"INSERT INTO {table} SELECT t, '{tag}', ARRAY[t] FROM generate_series({values[0]}, {values[-1]}) t")
                    sent[tag] = values[-1]
                except AssertionError:
                    time.sleep(0.1)
            time.sleep(0.01)

    producer = threading.Thread(target=produce)
    got = {tag: [] for tag in tags}
    last_id = ",".join(["-9223372036854775808"] * 2)
    producer.start()
    try:
        for turn in range(RECONNECTS):
            events = follow(current[0], *tags, last_id=last_id)
            for tag, at, _ in events.take(generator.randrange(1, 300)):
                got[tag].append(at)
            last_id = events.last_id
            if turn % 6 == 2:
                current[0].process.send_signal(generator.choice([signal.SIGKILL, signal.SIGTERM]))
                current[0].process.wait(20)
                current[0] = Server(conninfo=relay.conninfo, table=table)
            elif turn % 6 == 4:
                relay.cut()
                time.sleep(0.2)
                relay.mend()
                for tag, at, _ in events.take(20):
                    got[tag].append(at)
                last_id = events.last_id
            events.close()
    finally:
        done.set()
        producer.join()
    events = follow(current[0], *tags, last_id=last_id)
    while any(len(got[tag]) < sent[tag] for tag in tags):
        tag, at, _ = events.sample()
        got[tag].append(at)
    for tag in tags:
        assert got[tag] == list(range(1, sent[tag] + 1)), tag


def test_slow():
    """a client that takes nothing holds little memory and nobody else up, and gets all when it goes on"""
    server = Server()
    slow = follow(server, "s")
    quick = follow(server, "s")
    before = server.memory()
    count = 0
    for _ in range(30):
        post(server, [("s", count + i, [i] * 50) for i in range(1, 1001)])
        count += 1000
        begin = time.monotonic()
        assert [t for _, t, _ in quick.take(1000)] == list(range(count - 999, count + 1))
        assert time.monotonic() - begin < 10
    assert server.memory() - before < 32 << 20, server.memory() - before
    assert [t for _, t, _ in slow.take(count)] == list(range(1, count + 1))


def test_many():
    """many clients get theirs, each once"""
    server = Server(flush_interval="200ms", threads=1)
    all_events = [follow(server, f"tag{i}") for i in range(SUBSCRIBERS)]
    assert server.metric("historiand_streams") == SUBSCRIBERS
    for turn in range(1, 4):
        begin = time.monotonic()
        post(server, [(f"tag{i}", turn, [i]) for i in range(SUBSCRIBERS)])
        for i, events in enumerate(all_events):
            assert events.sample() == (f"tag{i}", turn, [i])
        print(f"# {SUBSCRIBERS} clients have theirs {time.monotonic() - begin:.3f} s after the POST was sent")
    assert server.metric("historiand_stream_events_total") == 3 * SUBSCRIBERS
    for events in all_events:
        events.close()
    wait_for("all have left", lambda: server.metric("historiand_streams") == 0)


def test_stop():
    """the server ends streams when it stops"""
    server = Server()
    events = follow(server, "a")
    assert server.stop(5) == 0
    assert events.event() is None


def test_refusals():
    """bad parameters get 400 that names them; a table that goes ends the stream with the error"""
    server = Server()
    for query, last_id, word in (("", None, "tag"), ("tag=", None, "tag"), ("tag=a", "1,2", "Last-Event-ID"), ("tag=a", "x", "Last-Event-ID"),
                                 ("tag=a&tag=b", "1", "Last-Event-ID"), ("tag=a", "1,", "Last-Event-ID"), ("tag=a&end=1", None, "end"),
                                 ("&".join(f"tag={i}" for i in range(51)), None, "50")):
        answer = server.request("GET", "/stream?" + query, None, {} if last_id is None else {"Last-Event-ID": last_id})
        assert answer.status == 400 and word in answer.json()["detail"], (query, answer)
    assert server.request("HEAD", "/stream?tag=a").status == 200
    events = follow(server, "a")
    sql(f"DROP TABLE {server.table}")
    kind, _, data = events.event()
    assert kind == "error" and data["sqlstate"] == "42P01", (kind, data)
    assert events.event() is None


def test_tokens():
    """a stream needs the scope read, for tags with the token's prefix"""
    secret = {name: f"hst_{name}_{os.urandom(16).hex()}" for name in ("own", "writer")}
    path = os.path.join(temporary_directory(), "tokens")
    with open(path, "w", encoding="ascii") as file:
        for name, scope in (("own", "read:plant1/"), ("writer", "write")):
            file.write(f"{name} {scope} sha256:{hashlib.sha256(secret[name].encode()).hexdigest()}\n")
    os.chmod(path, 0o600)
    server = Server(tokens_file=path, expect_ready=False)

    def status(name, target):
        headers = {"Authorization": "Bearer " + secret[name]} if name else {}
        return server.request("HEAD", target, None, headers).status

    wait_for("the database", lambda: status("own", "/stream?tag=plant1/a") == 200)
    assert status(None, "/stream?tag=plant1/a") == 401
    assert status("writer", "/stream?tag=plant1/a") == 403
    assert status("own", "/stream?tag=plant2/a") == 403
    assert status("own", "/stream?tag=plant1/a&tag=x") == 403


if __name__ == "__main__":
    run(sys.modules[__name__])
