#!/usr/bin/python3
"""GET /stream against what was committed.

SUBSCRIBERS=2000 test_stream.py: the long form."""
import hashlib
import json
import os
import signal
import sys
import time

from events import Events, follow, post
from historiand import Server, insert, message, request_bytes, run, sql, temporary_directory, wait_for

SUBSCRIBERS = int(os.environ.get("SUBSCRIBERS", "200"))


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


def test_ahead():
    """a client that begins at the end gets no sample from before, though another one is still reading them"""
    server = Server()
    sql(f"INSERT INTO {server.table} SELECT t, 'a', ARRAY[t] FROM generate_series(1, 40000) t")
    behind = follow(server, "a", start=1, precision="ns")
    ahead = follow(server, "a")
    resumed = follow(server, "a", last_id="39990")
    assert server.metric("historiand_stream_events_total") < 40000, "the first one has caught up too soon"
    post(server, [("a", 40001, [1])])
    assert ahead.sample() == ("a", 40001, [1])
    assert [t for _, t, _ in resumed.take(11)] == list(range(39991, 40002))
    assert [t for _, t, _ in behind.take(40001)] == list(range(1, 40002))


def wait_for_rounds(server):
    """Waits for two further rounds of reading: a sample that comes between them is in the second one."""
    witness = follow(server, "witness")
    for _ in range(2):
        now = time.time_ns()
        post(server, [("witness", now, [])])
        assert witness.sample() == ("witness", now, [])
    witness.close()


def soon(events):
    """The next sample, which comes before the first comment that follows the one at the beginning."""
    while (fields := events.block()) == {}:
        assert events.comments == 1, "no sample comes"
    data = json.loads(fields["data"])
    return data["tag"], data["time"], data["values"]


def test_head_in_the_future():
    """a client that begins in the future, or whose last sample was deleted, keeps nothing from clients of the same tag"""
    for early in ({"last_id": "9223372036854775000"}, {"start": "now+1h"}):
        server = Server()
        post(server, [("a", 100, [1])])
        future = follow(server, "a", **early)
        present = follow(server, "a")
        past = follow(server, "a", last_id="99")
        assert soon(past) == ("a", 100, [1])
        # the heads of all are settled by rounds that find nothing
        wait_for_rounds(server)
        post(server, [("a", 200, [2]), ("a", 300, [3])])
        for t in (2, 3):
            assert soon(present) == soon(past) == ("a", t * 100, [t])
        future.close()
        post(server, [("a", 400, [4])])
        assert soon(present) == soon(past) == ("a", 400, [4])
    # the feed was read up to a sample that is no more
    post(server, [("a", 5000, [5])])
    assert soon(present) == soon(past) == ("a", 5000, [5])
    assert server.request("DELETE", "/samples?tag=a&start=500&end=6000&precision=ns").status == 200
    new = follow(server, "a")
    wait_for_rounds(server)
    post(server, [("a", 600, [6])])
    assert soon(new) == ("a", 600, [6])
    post(server, [("a", 6000, [7])])
    assert soon(new) == soon(present) == soon(past) == ("a", 6000, [7])


def test_slow():
    """clients that take nothing hold little memory and nobody else up, and get all when they go on"""
    server = Server()
    slow = [follow(server, "s") for _ in range(20)]
    quick = follow(server, "s")
    before = server.memory()
    count = 0
    for _ in range(60):
        post(server, [("s", count + i, [i] * 50) for i in range(1, 1001)])
        count += 1000
        begin = time.monotonic()
        assert [t for _, t, _ in quick.take(1000)] == list(range(count - 999, count + 1))
        assert time.monotonic() - begin < 10
    # each has been sent some 15 MB, of which the kernel holds a part
    assert server.memory() - before < 32 << 20, server.memory() - before
    assert [t for _, t, _ in slow[0].take(count)] == list(range(1, count + 1))


def test_dropped():
    """a client that takes less than the rest of the cap in --write-timeout is disconnected, and can go on"""
    server = Server(write_timeout="2s")
    slow = follow(server, "s", receive_bytes=4096)
    quick = follow(server, "s")
    count = 0
    end = time.monotonic() + 60
    while server.metric("historiand_streams") == 2:
        assert time.monotonic() < end
        post(server, [("s", count + i, [i] * 50) for i in range(1, 1001)])
        count += 1000
        assert [t for _, t, _ in quick.take(1000)] == list(range(count - 999, count + 1))
        # it always takes something, so that the connection is not stuck
        for _ in range(4):
            slow.client.buffer += slow.client.socket.recv(512)
    assert 'historiand_connections_closed_total{reason="write_timeout"} 1' in server.get("/metrics").body.decode()
    got = [0]
    try:
        while True:
            got.append(slow.sample()[1])
    except (AssertionError, OSError):
        pass        # its end is missing
    assert got == list(range(len(got)))
    assert len(got) < count, "it got everything"
    again = follow(server, "s", last_id=str(got[-1]) if len(got) > 1 else "0")
    assert [t for _, t, _ in again.take(count + 1 - len(got))] == list(range(len(got), count + 1))
    quick.close()


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


def test_left():
    """clients that leave are gone soon, also those whose requests came all at once, and waited for their turn"""
    server = Server(descriptors=4000, max_connections=2000, threads="1")
    clients = [server.connect() for _ in range(1000)]
    wait_for("the clients", lambda: server.connections() >= 1000)
    server.process.send_signal(signal.SIGSTOP)
    for number, client in enumerate(clients):
        client.send(request_bytes("GET", f"/stream?tag=t{number}&start=1"))
    server.process.send_signal(signal.SIGCONT)
    wait_for("the streams", lambda: server.metric("historiand_streams") == 1000)
    for client in clients:
        client.fill()
        client.close()
    wait_for("all have left", lambda: server.metric("historiand_streams") == 0, 8)     # heartbeats come each 15 s
    server.stop()


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
