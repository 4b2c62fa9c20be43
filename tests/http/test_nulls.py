#!/usr/bin/python3
"""A null among the values of a message: stored as NULL however it comes, and null in every answer."""
import gzip
import json
import os
import random
import struct
import subprocess
import sys
import urllib.parse

from historiand import (CONNINFO, NDJSON, Relay, Server, Skip, count, message, ndjson, new_table, request_bytes,
                        rows, run, sql, temporary_directory, wait_for)

SEED = random.randrange(2 ** 32)
METHODS = ("last", "last_known", "first", "interpolated", "min", "max", "range", "average", "time_average", "sum",
           "count", "stddev", "delta", "plot", "lttb", "minmaxlttb")
GZIP = {"Content-Encoding": "gzip"}


def random_values(generator, length=None):
    """Numbers of all magnitudes, and nulls in every place: alone, first, last, all of them."""
    share = generator.choice([0.1, 0.5, 0.9, 1])
    return [None if generator.random() < share else generator.choice([0.0, -0.0, 1.5, generator.uniform(-1, 1) *
            10 ** generator.randint(-300, 300)]) for _ in range(generator.randrange(1, 70) if length is None else length)]


def stored(table):
    """Each row with its values bit for bit."""
    return [(int(time), tag, bits.split(",") if bits else []) for time, tag, bits in sql(
        "SELECT time, tag, (SELECT string_agg(coalesce(encode(float8send(v), 'hex'), 'null'), ',' ORDER BY i) "
        f"FROM unnest(values) WITH ORDINALITY u(v, i)) FROM {table} ORDER BY time, tag")]


def expected(messages):
    return sorted((m["time"], m["tag"], ["null" if v is None else struct.pack(">d", v).hex() for v in m["values"]])
                  for m in messages)


def digest(table):
    return sql(f"SELECT md5(string_agg(array_send(values)::text, ',' ORDER BY tag, time)) FROM {table}")


def in_pieces(client, body, headers, size):
    """Sends a body in chunks of that size."""
    head = dict(headers, **{"Transfer-Encoding": "chunked"})
    text = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + size]), body[i:i + size]) for i in range(0, len(body), size))
    client.send(request_bytes("POST", "/save?ack=committed", None, head) + text + b"0\r\n\r\n")
    return client.answer()


def escaped(one):
    """The same message with escapes in its strings, which another parser reads."""
    return json.dumps(one).replace('"values"', '"v\\u0061lues"').replace('"tag": "', '"tag": "\\u0074\\/')


def test_forms():
    """single messages, arrays and NDJSON, compressed, escaped, in pieces: the same NULLs in each table"""
    print(f"# seed {SEED}")
    generator = random.Random(SEED)
    for kind in (None, "heap"):
        server = Server(table=new_table(kind))
        messages = [message(i, f"n{i % 5}", random_values(generator)) for i in range(200)]
        for one in messages[:20]:
            assert server.save(one, "?ack=committed").status == 204
        body = json.dumps(messages[20:60], indent=1).encode()
        assert server.save(body, "?ack=committed").status == 204
        assert server.save(ndjson(messages[60:100]), "?ack=committed", NDJSON).status == 204
        assert server.save(gzip.compress(ndjson(messages[100:130])), "?ack=committed", dict(NDJSON, **GZIP)).status == 204
        assert server.save(gzip.compress(json.dumps(messages[130:150]).encode()), "?ack=committed", GZIP).status == 204
        assert server.save(ndjson(messages[150:160]), "?ack=committed&partial=true", NDJSON).status == 204
        for size, first in ((1, 160), (3, 165), (7, 170)):
            answer = in_pieces(server.connect(), ndjson(messages[first:first + 5]), NDJSON, size)
            assert answer.status == 204, answer
        text = "\n".join(escaped(one) for one in messages[175:])
        assert server.save(text.encode(), "?ack=committed", NDJSON).status == 204
        for one in messages[175:]:
            one["tag"] = "t/" + one["tag"]
        assert stored(server.table) == expected(messages), kind
        twin = new_table("heap")
        for one in messages:
            one["array"] = "{" + ",".join("NULL" if v is None else repr(v) for v in one["values"]) + "}"
        sql(f"INSERT INTO {twin} VALUES " + ",".join(f"({m['time']}, '{m['tag']}', '{m['array']}')" for m in messages))
        assert digest(server.table) == digest(twin), kind
        assert server.stop() == 0


def test_refused():
    """what only looks like null is refused, and null anywhere else; where it lies is told"""
    server = Server()
    for values, field in (("[1,Null]", "values[1]"), ("[NULL]", "values[0]"), ("[nul]", "values[0]"), ("[-null]", "values[0]"),
                          ("[null,nu]", "values[1]"), ("[1,\"null\"]", "values[1]"), ("[[null]]", "values[0]"),
                          ("[null,NaN]", "values[1]"), ("[nulll]", "values"), ("[null1]", "values"), ("[null null]", "values"),
                          ("null", "values"), ("[null", ""), ("[nul", "")):
        for headers in ({}, NDJSON):
            answer = server.save(f'{{"time":1,"tag":"a","values":{values}}}'.encode(), "", headers)
            assert answer.status == 400, (values, answer)
            assert field in answer.json().get("field", field), (values, answer)
    for body in ('{"time":null,"tag":"a","values":[1]}', '{"time":1,"tag":null,"values":[1]}', "null", "[null]"):
        assert server.save(body.encode(), "").status == 400, body
    answer = server.save(b'{"time":1,"tag":"a","values":[null]}\n{"time":1,"tag":"a","values":[nul]}', "?partial=true", NDJSON)
    assert answer.status == 207 and [e["line"] for e in answer.json()["errors"]] == [2], answer
    assert server.stop() == 0


def test_wide():
    """a row with a null has a bit for each value: the widest one is stored, a wider one refused at once"""
    generator = random.Random(SEED)
    server = Server()
    for tag_bytes, most in ((1, 995), (86, 984), (256, 963)):
        assert most * 8 + (most + 7) // 8 + tag_bytes <= 8086 < (most + 1) * 8 + (most + 8) // 8 + tag_bytes
        values = [generator.uniform(-1, 1) * 10 ** generator.randint(-300, 300) for _ in range(most)]
        values[generator.randrange(most)] = None
        wide = message(tag_bytes, "w" * tag_bytes, values)
        assert server.save(wide, "?ack=committed").status == 204
        assert stored(server.table)[-1:] == expected([wide])
        answer = server.save(message(1, "w" * tag_bytes, values + [1.5]))
        assert answer.status == 400 and "8086" in answer.json()["detail"], answer
    assert server.stop() == 0


def test_api():
    """/api shows NULL elements as null, under each method and for several tags"""
    generator = random.Random(SEED)
    server = Server()
    if "unknown method" in server.get("/api?tag=a&start=0&end=9&method=max").body.decode():
        raise Skip("without the extension there is the method last alone")
    messages = [message(i * 7, tag, random_values(generator, generator.randrange(1, 6)))
                for tag in ("a", "b") for i in range(1, 60)]
    messages += [message(i, "all", [None, None]) for i in range(1, 400, 5)]
    assert server.save(ndjson(messages), "?ack=committed", NDJSON).status == 204
    for method in METHODS:
        nulls = 0
        for tag in ("a", "b", "all"):
            samples = server.get("/api?" + urllib.parse.urlencode(
                {"tag": tag, "start": 0, "end": 420, "samples": 12, "method": method})).json()["samples"]
            wanted = sql("SELECT time, array_to_json(values) FROM "
                         f"historian.downsample('{server.table}', '{tag}', 0, 420, 12, '{method}')")
            assert [[s["time"], s["values"]] for s in samples] == [
                [int(time), json.loads(values) if values else None] for time, values in wanted], (method, tag)
            nulls += sum(value is None for s in samples for value in s["values"] or [])
        assert nulls > 0 or method in ("count", "plot", "lttb", "minmaxlttb"), method
    series = server.get("/api?tag=a&tag=all&start=0&end=420&samples=1").json()["series"]
    assert series[1]["samples"][0]["values"] == [None, None], series
    assert server.stop() == 0


def test_latest_and_export():
    """/latest and /export have null, NULL or PostgreSQL's own form, and what was exported is loaded again as it was"""
    generator = random.Random(SEED)
    server = Server()
    messages = [message(i, "x", random_values(generator)) for i in range(100)] + [message(100, "x", [None, -0.5, None])]
    assert server.save(ndjson(messages), "?ack=committed", NDJSON).status == 204
    assert b'"values":[null,-0.5,null]' in server.get("/latest?tag=x").body
    lines = server.get("/export?tag=x").body
    assert [json.loads(line, parse_int=float)["values"] for line in lines.splitlines()] == [m["values"] for m in messages]
    other = Server()
    assert other.save(lines, "?ack=committed", NDJSON).status == 204
    assert stored(other.table) == stored(server.table) == expected(messages)
    assert server.get("/export?tag=x&format=csv").body.endswith(b'\n100,x,"{NULL,-0.5,NULL}"\n')
    for form, options in (("csv", "FORMAT csv, HEADER"), ("binary", "FORMAT binary")):
        table = new_table()
        subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", CONNINFO, "-c", f"COPY {table} FROM STDIN ({options})"],
                       input=server.get(f"/export?tag=x&format={form}").body, check=True)
        assert digest(table) == digest(server.table), form
    assert server.stop() == 0 and other.stop() == 0


def test_later_one_wins():
    """of one tag and time the later message stays as it is: its nulls too"""
    server = Server()
    for values in ([1, None], [None, 2], [None, None], [None, 3]):
        assert server.save(ndjson([message(1, "d", [9, 9]), message(1, "d", values)]), "?ack=committed", NDJSON).status == 204
    assert rows(server.table)[-1:] == [(1, "d", "{NULL,3}")]
    assert server.stop() == 0


def test_spool():
    """nulls go through the buffer and the spool, over a restart too"""
    relay = Relay()
    settings = {"table": new_table(), "conninfo": relay.conninfo, "max_buffered_bytes": "2MiB",
                "spool_dir": temporary_directory()}
    server = Server(**settings)
    relay.cut()
    wait_for("not ready", lambda: not server.ready())
    for first in range(0, 40000, 1000):
        body = ndjson([message(i, f"s{i % 10}", [i, None, i / 2, None] if i % 3 else [None]) for i in range(first, first + 1000)])
        wait_for("202", lambda b=body: server.save(b, "", NDJSON).status == 202)
    assert server.metric("historiand_messages_spooled_total") > 10000
    assert server.stop() == 0
    relay.mend()
    server = Server(**settings)
    wait_for("all rows", lambda: count(server.table) == 40000)
    assert count(server.table, "values IS DISTINCT FROM CASE WHEN time % 3 > 0 THEN ARRAY[time, NULL, time / 2.0, NULL]::float8[] "
                 "ELSE '{NULL}' END") == 0
    assert server.stop() == 0


def test_dead_letters():
    """rows with nulls beside refused ones are stored; a refused one comes back from the dead letters as it was"""
    path = os.path.join(temporary_directory(), "dead")
    table = new_table("heap")
    sql(f"ALTER TABLE {table} ADD CHECK (values[1] IS NULL OR values[1] >= 0)")
    server = Server(table=table, dead_letter_file=path)
    good = [message(i, f"r{i % 7}", [None, i] if i % 2 else [i, None]) for i in range(300)]
    bad = [message(1000 + i, f"r{i % 7}", [-1, None, i]) for i in range(30)]
    mixed = random.Random(SEED).sample(good + bad, len(good) + len(bad))
    answer = server.save(ndjson(mixed), "?ack=committed", NDJSON)
    assert answer.status == 422 and answer.json()["rejected"] == len(bad), answer
    assert stored(table) == expected(good)
    with open(path, encoding="utf-8") as lines:
        letters = [json.loads(line) for line in lines]
    assert all(letter["values"][:2] == [-1, None] for letter in letters), letters
    sql(f"ALTER TABLE {table} DROP CONSTRAINT {table}_values_check")
    again = ndjson([message(letter["time"], letter["tag"], letter["values"]) for letter in letters])
    assert server.save(again, "?ack=committed", NDJSON).status == 204
    assert stored(table) == expected(good + bad)
    assert server.stop() == 0


if __name__ == "__main__":
    run(sys.modules[__name__])
