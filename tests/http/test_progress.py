#!/usr/bin/python3
"""GET /progress and historian.progress() against what was posted.

RACES=1000 SEED=1 test_progress.py test_races: the long form of the races."""
import concurrent.futures
import hashlib
import os
import random
import sys
import threading
import time
import urllib.parse

from historiand import (NDJSON, Relay, Server, Skip, message, ndjson, new_table, request_bytes, run, sql, temporary_directory,
                        wait_for)

SEED = int(os.environ.get("SEED", random.randrange(2 ** 32)))
RACES = int(os.environ.get("RACES", "40"))


def need_extension():
    if sql("SELECT count(*) FROM pg_proc WHERE proname = 'note_progress'") == [["0"]]:
        raise Skip("the extension is not there")


def post(server, count, stream=None, ack="committed", tag="a", start=1):
    query = f"?precision=ns&ack={ack}" + ("" if stream is None else "&stream=" + urllib.parse.quote(stream, safe=""))
    answer = server.save(ndjson([message(start + i, tag, [i]) for i in range(count)]), query, NDJSON)
    assert answer.status == (204 if ack == "committed" else 202), answer


def progress(server, **parameters):
    answer = server.get("/progress?" + urllib.parse.urlencode(parameters))
    assert answer.status == 200, answer
    return answer.json()


def counted(server):
    listed = progress(server)
    counts = {entry["stream"]: entry["messages"] for entry in listed["streams"]}
    assert listed["messages"] == sum(counts.values()), listed
    return counts


def test_counts():
    """every committed message counts for its stream, also one that replaced another; two servers add up"""
    need_extension()
    print(f"# seed {SEED}")
    generator = random.Random(SEED)
    server = Server()
    other = Server(table=server.table)
    assert progress(server) == {"streams": [], "messages": 0}
    assert progress(server, stream="x") == {"stream": "x", "messages": 0, "last_commit": None}
    expected = {}
    names = [None, "x", "plant/1 'q' \"\\ %", "~" * 128]
    before = time.time_ns()

    def some(seed):
        own = random.Random(seed)
        sent = []
        for _ in range(25):
            name, count = own.choice(names), own.randrange(1, 50)
            post(own.choice([server, other]), count, name, own.choice(["committed", "received"]), own.choice("abc"))
            sent.append((name or "", count))
        return sent

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for sent in pool.map(some, [generator.random() for _ in range(6)]):
            for name, count in sent:
                expected[name] = expected.get(name, 0) + count
    wait_for("the loads", lambda: counted(server) == expected)
    assert counted(other) == expected
    in_sql = sql(f"SELECT stream, messages FROM historian.progress('{server.table}') ORDER BY stream COLLATE \"C\"")
    assert in_sql == [[name, str(number)] for name, number in sorted(expected.items())], in_sql
    last = progress(server, stream="x")["last_commit"]
    assert before < last < time.time_ns(), last
    assert progress(server, stream="x", time="rfc3339")["last_commit"].endswith("Z")
    assert server.stop() == 0
    again = Server(table=server.table)
    assert counted(again) == expected, "a restart"


def test_no_bloat():
    """the counters stay in few rows and pages, whatever is loaded"""
    need_extension()
    pages = "SELECT pg_relation_size('historian.stream_progress') / 8192"
    before = int(sql(pages)[0][0])      # of all tables
    server = Server(commit_delay="1ms")
    for i in range(300):
        post(server, 1, "only", start=i)
    assert counted(server) == {"only": 300}
    assert sql(f"SELECT count(*) FROM historian.stream_progress WHERE relid = '{server.table}'::regclass") == [["1"]]
    updates, hot = sql("SELECT pg_stat_force_next_flush(); SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables "
                       "WHERE relid = 'historian.stream_progress'::regclass")[-1]
    print(f"# {updates} updates, {hot} of them HOT")
    grown = int(sql(pages)[0][0]) - before
    assert grown <= 20, grown


def test_refused():
    """rows that PostgreSQL refuses do not count, and neither does a load that failed"""
    need_extension()
    table = new_table()
    sql(f"ALTER TABLE {table} ADD CONSTRAINT small CHECK (time < 1000)")
    server = Server(table=table)
    lines = [message(t, tag, [1]) for t in (1, 2, 5000, 3) for tag in "ab"]
    assert server.save(ndjson(lines), "?precision=ns&ack=committed&stream=bad", NDJSON).status == 422
    post(server, 7, "good", tag="c")
    assert counted(server) == {"bad": 6, "good": 7}


def test_spool():
    """the names of streams outlast the spool and a restart; until all is loaded no stream is complete"""
    need_extension()
    relay = Relay()
    spool = temporary_directory()
    server = Server(conninfo=relay.conninfo, spool_dir=spool)
    post(server, 3, "x")
    relay.cut()
    wait_for("the outage", lambda: server.get("/readyz").status == 503)
    expected = {"x": 3, "": 5, "y z": 11}
    for turn in range(6):
        post(server, 4, "x", "received", tag="ab"[turn % 2], start=100 * turn)
        expected["x"] += 4
    post(server, 5, None, "received", tag="b")
    post(server, 11, "y z", "received", tag="a")
    assert server.stop(20) == 0
    again = Server(table=server.table, spool_dir=spool)
    answer = progress(again, stream="y z", quiet_for="100ms", timeout="20s")
    assert answer["complete"] and answer["messages"] == 11, answer
    assert counted(again) == expected


def test_waiting():
    """quiet_for, expect and timeout"""
    need_extension()
    server = Server()
    other = Server(table=server.table)
    begin = time.monotonic()
    answer = progress(server, stream="w", quiet_for="10ms", timeout="300ms")
    assert not answer["complete"] and answer["reason"] == "timeout", "no message has come yet"
    assert 0.25 < time.monotonic() - begin < 10
    post(server, 5, "w")
    answer = progress(server, stream="w", quiet_for="400ms", timeout="20s")
    assert answer["complete"] and answer["reason"] == "quiet" and answer["messages"] == 5, answer
    assert answer["at"] - answer["last_commit"] >= 400_000_000, answer
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(progress, server, stream="w", expect="12", timeout="20s")
        post(server, 6, "w", start=10)
        time.sleep(0.6)
        assert not waiting.done()
        post(server, 1, "w", start=20)
        answer = waiting.result()
    assert answer["complete"] and answer["reason"] == "expect" and answer["messages"] == 12, answer
    # another server's commit begins the time anew
    post(other, 1, "w", start=29)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(progress, server, stream="w", quiet_for="3s", timeout="30s")
        for i in range(3):
            time.sleep(0.5)
            post(other, 1, "w", start=30 + i)
        answer = waiting.result()
    assert answer["messages"] == 16 and answer["at"] - answer["last_commit"] >= 3_000_000_000, answer


def test_stop():
    """a request that waits does not keep the server from stopping, nor does a client that leaves"""
    need_extension()
    server = Server()
    post(server, 1, "s")
    left = server.connect()
    left.send(b"GET /progress?stream=s&quiet_for=1h&timeout=1h HTTP/1.1\r\nHost: test\r\n\r\n")
    stays = server.connect()
    stays.send(b"GET /progress?stream=s&quiet_for=1h&timeout=1h HTTP/1.1\r\nHost: test\r\n\r\n")
    left.close()
    wait_for("the client has left", lambda: server.connections() == 1)
    # also behind requests that are not read, because they wait for the answer
    behind = server.connect()
    behind.send(b"GET /progress?stream=s&quiet_for=1h&timeout=1h HTTP/1.1\r\nHost: test\r\n\r\n" + request_bytes("GET", "/livez") * 3)
    wait_for("the client is there", lambda: server.connections() == 2)
    behind.close()
    wait_for("the client with further requests has left", lambda: server.connections() == 1)
    assert server.stop(5) == 0
    assert stays.answer().status == 503


def test_names_that_nobody_sent():
    """those who ask for streams that are not there take no room from those that are sent"""
    need_extension()
    relay = Relay()
    server = Server(conninfo=relay.conninfo, threads=1)
    relay.cut()     # so that 100,000 questions are answered at once
    wait_for("PostgreSQL is away", lambda: server.get("/progress?stream=x").status == 503)
    client = server.connect()
    for first in range(0, 100_100, 100):
        client.send(b"".join(request_bytes("GET", f"/progress?stream=x{i}") for i in range(first, first + 100)))
        assert {client.answer().status for _ in range(100)} == {503}
    relay.mend()
    wait_for("PostgreSQL", server.ready)
    post(server, 2)
    post(server, 3, "mine")
    assert progress(server, stream="mine", expect=3)["reason"] == "expect"
    assert progress(server)["messages"] == 5
    assert server.stop() == 0


def test_refusals():
    """bad parameters get 400 that names them"""
    need_extension()
    server = Server()
    for query, word in (("quiet_for=1s", "stream"), ("stream=x&quiet_for=1", "quiet_for"), ("stream=x&expect=-1", "expect"),
                        ("stream=x&expect=many", "expect"), ("stream=x&timeout=1s", "timeout"), ("stream=" + "x" * 129, "128"),
                        ("stream=%C3%A9", "ASCII"), ("stream=x&quiet_for=1s&timeout=2h", "1h"), ("tag=x", "stream, quiet_for")):
        answer = server.get("/progress?" + query)
        assert answer.status == 400 and word in answer.json()["detail"], (query, answer)
    for query in ("stream=", "stream=%0A", "stream=x&stream=x", "stream=" + "x" * 129):
        answer = server.save(message(1, "a", [1]), "?" + query)
        assert answer.status == 400 and "stream" in answer.json()["detail"], (query, answer)
    assert counted(server) == {}


def race(server, other, number, generator, slower=1):
    """A producer with pauses of about the quiet time beside one that waits for it; returns whether they met."""
    stream = f"race-{number}"
    quiet_ms = generator.randrange(20, 150) * slower
    acknowledged = []
    begin = threading.Event()

    def produce():
        for turn in range(generator.randrange(2, 5)):
            count = generator.randrange(1, 20)
            # only what another server has committed is known here
            at, ack = generator.choice([(server, "received"), (server, "committed"), (other, "committed")])
            post(at, count, stream, ack, tag=f"t{number % 7}", start=turn * 100)
            acknowledged.append((time.time_ns(), count, at is server))
            begin.set()
            time.sleep(quiet_ms / 1000 * generator.uniform(0, 2))

    producer = threading.Thread(target=produce)
    producer.start()
    begin.wait()
    asked = time.time_ns()
    answer = progress(server, stream=stream, quiet_for=f"{quiet_ms}ms", timeout="30s")
    producer.join()
    assert answer["complete"], answer
    # what this server acknowledged before the answer; of another, what it had before the question
    least = sum(count for when, count, own in acknowledged if when <= (answer["at"] if own else asked))
    most = sum(count for _, count, _ in acknowledged)
    assert least <= answer["messages"] <= most, (stream, quiet_ms, answer, acknowledged)
    late = answer["messages"] < most
    end = progress(server, stream=stream, quiet_for="200ms", timeout="30s")
    assert end["complete"] and end["messages"] == most, (end, most)
    return late


def test_races():
    """never complete before a batch that was acknowledged earlier"""
    need_extension()
    print(f"# seed {SEED}, {RACES} races")
    server = Server()
    other = Server(table=server.table)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        late = list(pool.map(lambda number: race(server, other, number, random.Random(f"{SEED} {number}")), range(RACES)))
        # a busy machine adds to each pause, so that a batch always comes after the answer unless pauses are longer than that
        slower = 4
        while all(late) and slower <= 64:
            late += pool.map(lambda number: race(server, other, number, random.Random(f"{SEED} {number}"), slower),     # pylint: disable=cell-var-from-loop
                             range(len(late), len(late) + 8))
            slower *= 2
    print(f"# in {sum(late)} races a batch came after the answer")
    assert 0 < sum(late) < len(late)


def test_tokens():
    """a token with a prefix names and sees streams with that prefix only"""
    need_extension()
    secret = {name: f"hst_{name * 12}_abcdefghijklmnopqrstuvwxyz" for name in ("all", "one")}
    path = os.path.join(temporary_directory(), "tokens")
    with open(path, "w", encoding="ascii") as file:
        for name, scope in (("all", "admin"), ("one", "read,write:plant1/")):
            file.write(f"{name} {scope} sha256:{hashlib.sha256(secret[name].encode()).hexdigest()}\n")
    os.chmod(path, 0o600)
    server = Server(tokens_file=path, expect_ready=False)

    def ask(name, target, body=None):
        headers = {"Authorization": "Bearer " + secret[name]} if name else {}
        return server.request("POST" if body else "GET", target, body, headers)

    body = b'{"time":1,"tag":"plant1/a","values":[1]}'
    save = "/save?precision=ns&ack=committed&stream="
    assert wait_for("the database", lambda: ask("one", save + "plant1/x", body).status == 204)
    assert ask("all", save + "y", body).status == 204
    assert ask("one", save + "y", body).status == 403
    assert ask(None, "/progress").status == 401
    assert [s["stream"] for s in ask("one", "/progress").json()["streams"]] == ["plant1/x"]
    assert [s["stream"] for s in ask("all", "/progress").json()["streams"]] == ["plant1/x", "y"]
    assert ask("one", "/progress?stream=y").status == 403
    assert ask("one", "/progress?stream=plant1/x").json()["messages"] == 1


if __name__ == "__main__":
    run(sys.modules[__name__])
