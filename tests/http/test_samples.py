#!/usr/bin/python3
"""PUT and DELETE /samples, DELETE /tags/{tag}, POST /tags/{tag}/rename, against a model and SQL."""
import gzip
import json
import os
import random
import socket
import struct
import sys
import threading
import time
import urllib.parse

from historiand import (CONNINFO, NDJSON, Relay, SANITIZED, Server, count, message, ndjson, new_table, request_bytes, rows,
                        run, sql, temporary_directory, wait_for)

SEED = int(os.environ.get("SEED", random.randrange(2 ** 32)))
JSON = {"Content-Type": "application/json"}
LARGEST = 2 ** 63 - 1
_servers = {}


def shared():
    if "shared" not in _servers:
        _servers["shared"] = Server()
    return _servers["shared"]


def quoted(text):
    return urllib.parse.quote(text, safe="")


def samples(tag, start, end, more=""):
    return f"/samples?tag={quoted(tag)}&start={start}&end={end}{more}"


def put(server, tag, start, end, given, headers=NDJSON, more=""):
    body = given if isinstance(given, bytes) else ndjson(given)
    return server.request("PUT", samples(tag, start, end, more), body, headers)


def delete(server, tag, start, end):
    return server.request("DELETE", samples(tag, start, end))


def delete_tag(server, tag):
    return server.request("DELETE", "/tags/" + quoted(tag))


def rename(server, tag, to, where=None):
    return server.request("POST", f"/tags/{quoted(tag)}/rename", json.dumps({"to": to}).encode(), JSON)


def stored(table):
    """What the table has: {tag: {time: values as SQL's text}}."""
    found = {}
    for when, tag, values in rows(table):
        assert when not in found.setdefault(tag, {}), (when, tag)
        found[tag][when] = values
    return found


def as_sql(values):
    return "{" + ",".join("NULL" if v is None else repr(v) for v in values) + "}"


class Model:
    """What the table must have after requests, one after the other."""

    def __init__(self):
        self.tags = {}

    def save(self, messages):
        for m in messages:
            self.tags.setdefault(m["tag"], {})[m["time"]] = as_sql(m["values"])

    def remove(self, tag, start, end):
        had = self.tags.get(tag, {})
        kept = {t: v for t, v in had.items() if not start <= t < end}
        self.tags[tag] = kept
        return len(had) - len(kept)

    def put(self, tag, start, end, given):
        removed = self.remove(tag, start, end)
        self.save([{**m, "tag": tag} for m in given])
        return removed, len({m["time"] for m in given})

    def rename(self, tag, to):
        self.tags[to] = self.tags.pop(tag)
        return len(self.tags[to])

    def whole(self):
        return {tag: had for tag, had in self.tags.items() if had}


def random_values(generator):
    return [generator.choice([None, generator.randrange(100), generator.random()]) for _ in range(generator.randrange(4))]


def step(generator, server, model, tags):
    """One request drawn at random; its answer is checked against the model."""
    kind = generator.choice(["save"] * 4 + ["committed", "put", "put", "delete", "delete", "delete_tag", "rename"])
    tag = generator.choice(tags)
    start = generator.randrange(-5, 40)
    end = start + generator.randrange(1, 25)
    if kind in ("save", "committed"):
        given = [message(generator.randrange(40), generator.choice(tags), random_values(generator))
                 for _ in range(generator.randrange(1, 30))]
        answer = server.save(ndjson(given), "?ack=" + ("committed" if kind == "committed" else "received"), NDJSON)
        assert answer.status == (204 if kind == "committed" else 202), answer
        model.save(given)
    elif kind == "put":
        given = [{"time": generator.randrange(start, end), "values": random_values(generator)}
                 for _ in range(generator.choice([0, 1, 5, 40]))]
        if generator.random() < 0.3:
            given = [{**m, "tag": tag} for m in given]
        removed, written = model.put(tag, start, end, given)
        as_array = generator.random() < 0.3
        answer = put(server, tag, start, end, json.dumps(given).encode() if as_array else given, JSON if as_array else NDJSON)
        assert answer.status == 200, (answer, kind, tag, start, end)
        assert answer.json() == {"tag": tag, "removed": removed, "written": written}, (answer, removed, written)
    elif kind == "delete":
        answer = delete(server, tag, start, end)
        assert answer.status == 200 and answer.json() == {"tag": tag, "removed": model.remove(tag, start, end)}, answer
    elif kind == "delete_tag":
        answer = delete_tag(server, tag)
        assert answer.status == 200 and answer.json() == {"tag": tag, "removed": model.remove(tag, -2 ** 63, 2 ** 63)}, answer
    else:
        to = generator.choice([t for t in tags if t != tag])
        answer = rename(server, tag, to)
        if not model.tags.get(tag):
            assert answer.status == 404, answer
        elif model.tags.get(to):
            assert answer.status == 409 and answer.json()["sqlstate"] == "42710", answer
        else:
            assert answer.status == 200, answer
            assert answer.json() == {"from": tag, "to": to, "samples": model.rename(tag, to)}, answer
    if kind not in ("save",):
        # all that was accepted before is loaded by then
        assert stored(server.table) == model.whole(), (kind, stored(server.table), model.whole())
    return kind


def test_model():
    """random saves, replacements, deletions and renames: the table has what a model has after each, and so have the answers"""
    print(f"# SEED={SEED}")
    kinds = set()
    for sequence in range(int(os.environ.get("SEQUENCES", 12))):
        generator = random.Random(SEED + sequence)
        # nothing is loaded but for whoever waits
        server = Server(flush_interval="1h")
        model = Model()
        tags = ["a", "site/area 1/größe", "x" * 200, "c%2F\"'\\"]
        try:
            for _ in range(40):
                kinds.add(step(generator, server, model, tags))
        except AssertionError:
            print(f"# sequence SEED={SEED + sequence} SEQUENCES=1")
            raise
        assert server.stop() == 0
        assert stored(server.table) == model.whole()
    assert kinds == {"save", "committed", "put", "delete", "delete_tag", "rename"} or "SEQUENCES" in os.environ, kinds


def test_partitions():
    """the same on a parent partitioned by hash of the tag, where a rename is an UPDATE"""
    table = new_table(columns="time bigint, tag text, values float8[]")
    sql(f"DROP TABLE {table}; CREATE TABLE {table} (time bigint, tag text, values float8[]) PARTITION BY HASH (tag);"
        + "".join(f"CREATE TABLE {table}_{i} PARTITION OF {table} FOR VALUES WITH (MODULUS 2, REMAINDER {i}) USING historian;"
                  for i in range(2)))
    server = Server(table=table, flush_interval="1h")
    generator = random.Random(SEED)
    model = Model()
    for _ in range(60):
        step(generator, server, model, ["a", "b", "c", "d"])
    assert server.stop() == 0
    assert stored(table) == model.whole()


def test_limits_of_ranges():
    """start is inclusive and end is not; DELETE /tags also removes the greatest time; PUT again changes nothing"""
    server = Server()
    insert = [message(t, "edge", [1]) for t in (-2 ** 63, -1, 0, 1, LARGEST - 1, LARGEST)]
    assert server.save(ndjson(insert), "?ack=committed&precision=ns", NDJSON).status == 204
    assert delete(server, "edge", 0, 1).json()["removed"] == 1
    assert delete(server, "edge", -2 ** 63, LARGEST).json()["removed"] == 4
    assert [t for t, _, _ in rows(server.table)] == [LARGEST]
    assert delete_tag(server, "edge").json() == {"tag": "edge", "removed": 1}
    assert delete_tag(server, "edge").json() == {"tag": "edge", "removed": 0}
    given = [{"time": t, "values": [t]} for t in (5, 3, 5, 9)]
    for removed in (0, 3, 3):
        assert put(server, "edge", 0, 10, given).json() == {"tag": "edge", "removed": removed, "written": 3}
        assert [(t, v) for t, _, v in rows(server.table)] == [(3, "{3}"), (5, "{5}"), (9, "{9}")]
    # nothing in the place of something
    assert put(server, "edge", 4, 6, b"").json() == {"tag": "edge", "removed": 1, "written": 0}
    assert put(server, "edge", 0, 5, b"[]", JSON).json() == {"tag": "edge", "removed": 1, "written": 0}
    assert count(server.table) == 1
    # times as the other requests have them
    answer = put(server, "edge", "2020-03-09T10:00:00Z", "2020-03-09T11:00:00Z", [{"time": "2020-03-09T10:30:00Z", "values": [7]}])
    assert answer.json() == {"tag": "edge", "removed": 0, "written": 1}, answer
    answer = put(server, "edge", 1583748000, 1583752000, [{"time": 1583749800, "values": [8]}], more="&precision=s")
    assert answer.json() == {"tag": "edge", "removed": 1, "written": 1}, answer
    assert delete(server, "edge", "now-1h", "now").json()["removed"] == 0
    assert rows(server.table, "time > 1000") == [(1583749800 * 10 ** 9, "edge", "{8}")]


def test_metadata():
    """DELETE keeps what is known of a tag; a rename takes it along; a tag with metadata alone can be renamed"""
    server = shared()
    assert server.request("PUT", "/tags/known", b'{"description": "d"}', JSON).status == 204
    assert server.save(message(1, "known", [1]), "?ack=committed").status == 204
    assert delete_tag(server, "known").json()["removed"] == 1
    assert server.get("/tags/known").json()["description"] == "d"
    assert rename(server, "known", "renamed").json() == {"from": "known", "to": "renamed", "samples": 0}
    assert server.get("/tags/known").status == 404
    got = server.get("/tags/renamed").json()
    assert (got["description"], got["samples"], got["segments"]) == ("d", 0, 0), got
    # a repeated rename whose first answer got lost
    assert rename(server, "known", "renamed").status == 404
    assert server.request("PUT", "/tags/other", b'{"description": "e"}', JSON).status == 204
    answer = rename(server, "other", "renamed")
    assert answer.status == 409 and "metadata already" in answer.json()["detail"], answer
    assert server.get("/tags/other").json()["description"] == "e"
    # a tag whose name ends like the request's
    assert server.save(message(1, "a/rename", [1]), "?ack=committed").status == 204
    assert server.get("/tags/a%2Frename").json()["samples"] == 1
    assert server.get("/tags/a/rename").status == 405
    assert rename(server, "a/rename", "b/rename").json()["samples"] == 1
    answer = server.request("POST", "/tags/b/rename/rename", b'{"to": "c"}', JSON)
    assert answer.json() == {"from": "b/rename", "to": "c", "samples": 1}, answer
    assert server.get("/tags/rename").status == 404, "a tag that is called so"


def test_bad_requests():
    """what is wrong is named, and nothing is changed"""
    server = Server(max_body_bytes="64KiB")
    assert server.save(ndjson([message(t, "t", [t]) for t in range(10)]), "?ack=committed", NDJSON).status == 204
    before = rows(server.table)

    def refused(answer, status, **members):
        assert answer.status == status and answer.headers["content-type"] == "application/problem+json", (answer, status)
        problem = answer.json()
        assert {name: problem.get(name) for name in members} == members, (problem, members)
        assert rows(server.table) == before
        return problem["detail"]

    for missing in ("tag", "start", "end"):
        target = "/samples?" + "&".join(p for p in ("tag=t", "start=0", "end=5") if not p.startswith(missing))
        for method in ("PUT", "DELETE"):
            assert f'"{missing}" is missing' in refused(server.request(method, target, b""), 400)
    for method in ("PUT", "DELETE"):
        for more, part in (("&partial=true", "unknown"), ("&tag=u", "twice"), ("&start=1", "twice"), ("&precision=h", "precision")):
            assert part in refused(server.request(method, samples("t", 0, 5, more), b""), 400), more
        assert '"start" must be before' in refused(server.request(method, samples("t", 5, 5), b""), 400)
        assert "precision=s" in refused(server.request(method, samples("t", 0, 1583748873), b""), 400)
        refused(server.request(method, samples("", 0, 5), b""), 400)
    good = {"time": 3, "values": [1]}
    cases = (({"time": 5, "values": [1]}, "time"), ({"time": -1, "values": [1]}, "time"), ({"time": 3, "tag": "u", "values": [1]}, "tag"),
             ({"time": 3, "tag": "", "values": [1]}, "tag"), ({"values": [1]}, "time"), ({"time": 3}, "values"),
             ({"time": 3, "values": ["x"]}, "values[0]"), ({"time": 3, "values": [1], "extra": 1}, "extra"))
    for bad, field in cases:
        refused(put(server, "t", 0, 5, [good, bad, good]), 400, line=2, field=field)
        refused(put(server, "t", 0, 5, json.dumps([good, good, bad]).encode(), JSON), 400, index=2, field=field)
    assert "at least 0 ns and less than 5 ns" in refused(put(server, "t", 0, 5, [{"time": 5, "values": []}]), 400)
    refused(put(server, "t", 0, 5, b"", JSON), 400)
    refused(put(server, "t", 0, 5, b"", {"Content-Type": "text/csv"}), 415)
    refused(put(server, "t", 0, 5, b"", {**NDJSON, "Content-Encoding": "br"}), 415)
    refused(put(server, "t", 0, 5, b"no gzip", {**NDJSON, "Content-Encoding": "gzip"}), 400)
    large = ndjson([good] * 4000)
    refused(put(server, "t", 0, 5, large), 413)
    refused(put(server, "t", 0, 5, gzip.compress(large), {**NDJSON, "Content-Encoding": "gzip"}), 413)
    for body in (b"", b"[]", b"{}", b'{"to": 1}', b'{"to": null}', b'{"to": ""}', b'{"to": "t"}', b'{"to": "a", "to": "b"}', b'{"to": "a"} x',
                 b'{"from": "a"}', b'{"to": "a\\u0000"}', b'{"to": "a\\n"}', b'{"to": "\xff"}', b'{"to": "\\ud800"}', b'{"to": "a"', b'{"to" "a"}',
                 json.dumps({"to": "x" * 257}).encode(), b'{"to": "a"}\0'):
        refused(server.request("POST", "/tags/t/rename", body, JSON), 400, field="to")
    refused(server.request("POST", "/tags/t/rename", b'{"to": "' + b"x" * 5000 + b'"}', JSON), 413)
    refused(server.request("POST", "/tags/t/rename", b'{"to": "a"}', {"Content-Type": "text/plain"}), 415)
    refused(server.request("POST", "/tags/t/rename?x=1", b'{"to": "a"}', JSON), 400)
    refused(server.request("DELETE", "/tags/t?start=1"), 400)
    # two escapes, and the longest tag
    long = "ü" * 128
    assert server.request("POST", "/tags/t/rename", json.dumps({"to": long}).encode(), JSON).json()["to"] == long
    assert server.request("POST", f"/tags/{quoted(long)}/rename", b' { "t\\u006f" : "t" } ', JSON).json()["samples"] == 10


def test_gzip():
    """a compressed body is taken"""
    server = shared()
    body = gzip.compress(ndjson([{"time": t, "values": [t]} for t in range(1000)]))
    answer = put(server, "packed", 0, 1000, body, {**NDJSON, "Content-Encoding": "gzip"})
    assert answer.json() == {"tag": "packed", "removed": 0, "written": 1000}, answer
    assert rows(server.table, "tag = 'packed'") == [(t, "packed", f"{{{t}}}") for t in range(1000)]


def test_methods():
    """HEAD, OPTIONS and 405 tell what may be done; DELETE of other paths is refused"""
    server = shared()
    for target, allowed in (("/samples?tag=a", "PUT, DELETE, OPTIONS"), ("/tags/a", "GET, HEAD, PUT, DELETE, OPTIONS"),
                            ("/tags/a/rename", "POST, OPTIONS"), ("/summary", "GET, HEAD, OPTIONS")):
        answer = server.request("OPTIONS", target)
        assert answer.status == 204 and answer.headers["allow"] == allowed, (target, answer)
        for method in {"GET", "POST", "PUT", "DELETE"} - set(allowed.split(", ")):
            answer = server.request(method, target, b"")
            assert answer.status == 405 and answer.headers["allow"] == allowed, (method, target, answer)
    for target in ("/save", "/api?tag=a", "/tags", "/", "/metrics"):
        assert server.request("DELETE", target).status == 405, target
    # another site's page may not
    for method, target in (("PUT", samples("a", 0, 5)), ("DELETE", samples("a", 0, 5)), ("DELETE", "/tags/a"), ("POST", "/tags/a/rename")):
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = server.request(method, target, b"", headers)
            assert answer.status == 403, (method, target, answer)


def test_position():
    """the answer has the position after the commit, by which a read sees it; so has PUT /tags/{tag}"""
    server = shared()
    answers = [put(server, "p", 0, 10, [{"time": 1, "values": [1]}]), rename(server, "p", "q"), delete(server, "q", 0, 10),
               delete_tag(server, "q"), server.request("PUT", "/tags/p", b"{}", JSON)]
    positions = [answer.headers["x-historian-commit"] for answer in answers]
    ahead = [sql(f"SELECT pg_lsn '{earlier}' < pg_lsn '{later}'") for earlier, later in zip(positions, positions[1:])]
    assert ahead[:2] == [[["t"]]] * 2, positions
    assert sql(f"SELECT pg_lsn '{positions[-1]}' <= pg_current_wal_insert_lsn()") == [["t"]]
    for position in positions:
        assert server.get("/tags?min_commit=" + position).status == 200


def test_set_aside():
    """rows that were acknowledged and are set aside are loaded before the edit, which removes them"""
    table = new_table()
    sql(f"ALTER TABLE {table} ADD CHECK (values[1] >= 0);"
        f"CREATE TABLE pace_{table} AS SELECT 0.005 AS seconds;"
        f"CREATE FUNCTION pace_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"PERFORM pg_sleep(seconds) FROM pace_{table} WHERE seconds > 0; RETURN new; END $$; "
        f"CREATE TRIGGER pace BEFORE INSERT ON {table} FOR EACH ROW WHEN (new.tag LIKE 'slow%') EXECUTE FUNCTION pace_{table}()")
    server = Server(table=table, commit_timeout="60s", query_timeout="60s")
    assert server.save(ndjson([message(i, "slow", [i if i % 2 == 0 else -1]) for i in range(3000)]), "", NDJSON).status == 202
    wait_for("rows that are set aside", lambda: server.metric("historiand_set_aside_messages") > 0)
    client = server.connect(timeout=60)
    client.send(request_bytes("DELETE", "/tags/slow"))
    time.sleep(0.5)
    assert client.buffer == b"" and server.metric("historiand_set_aside_messages") > 0, "the answer came too early"
    sql(f"UPDATE pace_{table} SET seconds = 0")
    answer = client.answer()
    assert answer.status == 200 and answer.json()["removed"] == 1500, answer
    assert count(table) == 0
    assert server.stop() == 0
    assert count(table) == 0


def test_earlier_process():
    """what an earlier process has left in the spool is loaded before the edit"""
    spool = os.path.join(temporary_directory(), "spool")
    relay = Relay()
    first = Server(conninfo=relay.conninfo, spool_dir=spool, flush_interval="1h")
    relay.cut()
    assert first.save(ndjson([message(t, "old", [t]) for t in range(1000)]), "", NDJSON).status == 202
    assert first.stop(20) == 0
    assert os.listdir(spool) != []
    second = Server(table=first.table, conninfo=relay.conninfo, spool_dir=spool, expect_ready=False, commit_timeout="30s")
    client = second.connect(timeout=40)
    client.send(request_bytes("DELETE", "/tags/old"))
    time.sleep(0.3)
    relay.mend()
    answer = client.answer()
    assert answer.status == 200 and answer.json()["removed"] == 1000, answer
    assert second.stop() == 0
    assert count(first.table) == 0


def test_postgresql_away():
    """503 with Retry-After while PostgreSQL is away, with messages in the buffer and without; nothing happens later"""
    relay = Relay()
    server = Server(conninfo=relay.conninfo, commit_timeout="1s")
    wait_for("a commit in time", lambda: server.save(message(1, "t", [1]), "?ack=committed").status == 204)
    relay.cut()
    requests = (lambda: delete(server, "t", 0, 10), lambda: delete_tag(server, "t"), lambda: rename(server, "t", "u"),
                lambda: put(server, "t", 0, 10, [{"time": 5, "values": [5]}]))
    for request in requests:
        answer = request()
        assert answer.status == 503 and answer.headers["retry-after"], answer
    assert server.save(message(2, "t", [2])).status == 202
    for request in requests:
        answer = request()
        assert answer.status == 503 and "not loaded yet" in answer.json()["detail"] and answer.headers["retry-after"], answer
    relay.mend()
    wait_for("the load", lambda: count(server.table) == 2)
    assert rows(server.table) == [(1, "t", "{1}"), (2, "t", "{2}")]
    assert put(server, "t", 0, 10, [{"time": 5, "values": [5]}]).json() == {"tag": "t", "removed": 2, "written": 1}
    assert server.stop() == 0


def test_leavers_connect_no_more():
    """the connection for a change whose client has left is not made any more, and keeps no other change waiting"""
    relay = Relay()
    server = Server(conninfo=relay.conninfo, threads=1, environment={"UV_THREADPOOL_SIZE": "1"})
    assert put(server, "t", 0, 10, [{"time": 1, "values": [1]}]).status == 200
    before = len(relay.pairs)
    passes = relay.hold(b"user\0")      # a connection that begins waits, and with it the only worker
    closed = server.metric('historiand_connections_closed_total{reason="failed"}')
    for i in range(1, 21):
        client = server.connect()
        client.send(request_bytes("DELETE", samples("t", 5, 10)))
        wait_for("the worker", lambda: len(relay.pairs) == before + 1)
        server.get("/livez")    # the change is under way
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        wait_for("the client has left", lambda: server.metric('historiand_connections_closed_total{reason="failed"}') == closed + i)
    client = server.connect()
    client.send(request_bytes("DELETE", samples("t", 0, 10)))
    server.get("/livez")
    passes.set()
    assert client.answer().json() == {"tag": "t", "removed": 1}
    assert len(relay.pairs) <= before + 4, "connections were made for clients that have left"
    bodies = [request_bytes("PUT", samples("t", 0, 10), ndjson([{"time": t, "values": [t]}]), NDJSON) for t in range(10)]
    for body in bodies * 10:    # those whose samples wait to be sorted
        client = server.connect()
        client.send(body)
        client.close()
    assert put(server, "t", 0, 10, [{"time": 1, "values": [1]}]).json()["written"] == 1
    assert server.stop() == 0


def test_lost_commit():
    """where the connection breaks during the commit, 503 says that it is not known, and a repeated PUT makes it right"""
    relay = Relay()
    server = Server(conninfo=relay.conninfo)
    assert server.save(ndjson([message(t, "t", [t]) for t in range(5)]), "?ack=committed", NDJSON).status == 204
    # the answer to COMMIT is lost
    relay.swallow = b"COMMIT\0"
    given = [{"time": 7, "values": [7]}]
    answer = put(server, "t", 0, 10, given)
    assert answer.status == 503 and "not known whether" in answer.json()["detail"] and answer.headers["retry-after"], answer
    assert relay.swallowed == 1
    assert put(server, "t", 0, 10, given).json() == {"tag": "t", "removed": 1, "written": 1}
    assert rows(server.table) == [(7, "t", "{7}")]
    assert server.stop() == 0


def test_fails_halfway():
    """a statement that fails changes nothing: a row that a constraint refuses, a lock, a privilege, a table that cannot"""
    table = new_table()
    sql(f"ALTER TABLE {table} ADD CONSTRAINT positive CHECK (values[1] >= 0)")
    server = Server(table=table, query_timeout="1s")
    given = [message(t, "t", [t]) for t in range(5)]
    assert server.save(ndjson(given), "?ack=committed", NDJSON).status == 204
    before = rows(table)
    answer = wait_for("an answer in time", lambda: (lambda a: a if a.status != 504 else None)(
        put(server, "t", 0, 10, [{"time": t, "values": [3 - t]} for t in range(5)])))
    assert answer.status == 422 and answer.json()["sqlstate"] == "23514" and "positive" in answer.json()["detail"], answer
    assert rows(table) == before
    # another transaction that deletes holds the lock
    with Holder(table) as holder:
        begin = time.monotonic()
        answer = delete(server, "t", 0, 10)
        assert answer.status == 504 and time.monotonic() - begin < 10, answer
        # the client that leaves takes its edit with it
        patient = Server(table=table, query_timeout="60s")
        client = patient.connect()
        client.send(request_bytes("DELETE", samples("t", 0, 10)))
        wait_for("the edit", lambda: sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'historiand' AND wait_event_type = 'Lock'") != [["0"]])
        client.close()
        wait_for("its end", lambda: sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'historiand' AND wait_event_type = 'Lock'") == [["0"]])
        holder.release()
    assert rows(table) == before
    heap = Server(table=new_table("heap"))
    for answer in (delete(heap, "t", 0, 10), put(heap, "t", 0, 10, []), rename(heap, "t", "u"), delete_tag(heap, "t")):
        assert answer.status == 422 and answer.json()["sqlstate"], answer


def test_disk_full():
    """what PostgreSQL lacks is named, with its code: it can be reached"""
    table = new_table()
    for code in ("53100", "53200", "53400"):
        sql(f"""CREATE OR REPLACE FUNCTION full_{table}(v float8[]) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
            RAISE 'could not extend file' USING ERRCODE = '{code}', HINT = 'Check free disk space.'; END $$;
            ALTER TABLE {table} DROP CONSTRAINT IF EXISTS full_, ADD CONSTRAINT full_ CHECK (full_{table}(values))""")
        server = Server(table=table)
        answer = put(server, "t", 0, 10, [{"time": 1, "values": [1]}])
        assert answer.status == 503 and answer.headers["retry-after"], answer
        assert answer.json()["detail"] == "could not extend file" and answer.json()["sqlstate"] == code, answer
        assert answer.json()["hint"] == "Check free disk space.", answer
        assert delete(server, "t", 0, 10).json() == {"tag": "t", "removed": 0}
        server.kill()


class Holder:
    """A session that has deleted something in a transaction."""

    def __init__(self, table):
        self.table = table

    def __enter__(self):
        import subprocess
        self.process = subprocess.Popen(["psql", "-X", "-q", "-A", "-t", "-d", CONNINFO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(f"BEGIN; SELECT historian.delete('{self.table}', 't', 100, 200);\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline().strip() == "0"
        return self

    def release(self):
        if self.process.poll() is None:
            self.process.communicate("ROLLBACK;\n", 10)

    def __exit__(self, *_):
        self.release()


def test_too_many():
    """changes beyond --max-queued-queries are answered 503 at once, and leave the others alone (a sanitizer sees the rest)"""
    server = Server(max_queued_queries=1, threads=1, max_queries=8, query_timeout="60s")
    requests = [("PUT", samples("t", 0, 10), b'[{"time": 5, "values": [1]}]'), ("DELETE", samples("t", 20, 30), b""),
                ("DELETE", "/tags/u", b""), ("POST", "/tags/v/rename", b'{"to": "w"}')]
    with Holder(server.table) as holder:
        first = server.connect()
        first.send(request_bytes("PUT", samples("t", 0, 10), b'[{"time": 6, "values": [2]}]'))
        wait_for("the lock", lambda: sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'historiand' AND wait_event_type = 'Lock'") != [["0"]])
        other = server.connect()
        other.send(request_bytes(*requests[1]))
        server.get("/livez")      # the loop has read the other one when it answers this
        clients = [server.connect() for _ in range(40)]
        for i, client in enumerate(clients):
            client.send(request_bytes(*requests[i % 4]))
        for client in clients:
            answer = client.answer()
            assert answer.status == 503 and "--max-queued-queries 1" in answer.json()["detail"], answer
            assert client.request("GET", "/livez").status == 200, "the connection goes on"
        holder.release()
        assert first.answer().json() == {"tag": "t", "removed": 0, "written": 1}
        assert other.answer().json() == {"tag": "t", "removed": 0}
    assert rows(server.table) == [(6, "t", "{2}")]
    assert server.stop() == 0


def test_two_servers():
    """what another server has committed is removed; what is in its buffer is loaded later, as the page says"""
    first = Server()
    second = Server(table=first.table, flush_interval="1h")
    assert second.save(message(1, "t", [1]), "?ack=committed").status == 204
    assert second.save(message(2, "t", [2])).status == 202
    assert delete(first, "t", 0, 10).json()["removed"] == 1
    assert count(first.table) == 0
    assert delete(second, "t", 5, 10).json()["removed"] == 0
    assert rows(first.table) == [(2, "t", "{2}")], "the edit has flushed the buffer of its server"
    # both at once, many times: each is whole
    failures = []

    def work(server, value):
        for i in range(15):
            answer = put(server, "t", 0, 100, [{"time": t, "values": [value, i]} for t in range(100)])
            if answer.status != 200 or answer.json()["written"] != 100:
                failures.append(answer)
    threads = [threading.Thread(target=work, args=(server, value)) for value, server in enumerate((first, second))]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    while any(thread.is_alive() for thread in threads) and time.monotonic() < deadline:
        seen = {v for _, _, v in rows(first.table)}
        assert len(seen) == 1, seen
    for thread in threads:
        thread.join()
    assert failures == []


def test_points():
    """a point of line protocol that was deleted does not come back with a later field of it"""
    server = shared()
    assert server.request("POST", "/write", b"pump flow=1,power=2 1000").status == 204
    assert delete_tag(server, "pump").json()["removed"] == 1
    assert server.request("POST", "/write", b"pump power=3 1000").status == 204
    assert rows(server.table, "tag = 'pump'") == [(1000, "pump", "{NULL,3}")]


def test_large():
    """a large body is bounded in memory, and others are answered meanwhile"""
    server = Server(max_body_bytes="40MiB", max_buffered_bytes="192MiB", query_timeout="120s")
    total = 400000
    body = b"".join(b'{"time": %d, "values": [%d, 2.5, 3.25, 4.125]}\n' % (t, t) for t in range(total))
    small = server.peak_memory()
    slowest = []
    ended = threading.Event()

    def watch():
        client = server.connect()
        while not ended.is_set():
            begin = time.monotonic()
            assert client.request("GET", "/livez").status == 200
            slowest.append(time.monotonic() - begin)
            time.sleep(0.002)
    watcher = threading.Thread(target=watch)
    watcher.start()
    answer = server.connect(timeout=120).request("PUT", samples("large", 0, total), body, NDJSON)
    ended.set()
    watcher.join()
    assert answer.status == 200 and answer.json() == {"tag": "large", "removed": 0, "written": total}, answer
    assert sql(f"SELECT count(*), sum(values[1]) FROM {server.table}") == [[str(total), str(total * (total - 1) // 2)]]
    grown = server.peak_memory() - small
    print(f"# {len(body)} bytes: the server grew by {grown} bytes; the slowest of {len(slowest)} /livez took {max(slowest) * 1000:.1f} ms")
    assert grown < 6 * len(body) or SANITIZED, grown
    wait_for("the memory is counted back", lambda: server.metric("historiand_buffer_bytes") < 10 ** 6)
    # no room for it
    little = Server(max_body_bytes="40MiB", max_buffered_bytes="16MiB")
    answer = little.connect(timeout=120).request("PUT", samples("large", 0, total), body, NDJSON)
    assert answer.status == 503 and answer.headers["retry-after"], answer
    assert count(little.table) == 0


if __name__ == "__main__":
    run(sys.modules[__name__])
