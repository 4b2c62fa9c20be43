#!/usr/bin/python3
"""GET and PUT /tags/{tag} and what GET /tags says of tags, against historian.tag."""
import json
import random
import sys
import time
import urllib.parse

from historiand import CONNINFO, NDJSON, Server, message, ndjson, new_table, run, sql

SEED = random.randrange(2 ** 32)
server = Server()
JSON = {"Content-Type": "application/json"}
MEMBERS = ("description", "interpolation", "max_silence", "names", "units", "low", "high")


def path(tag):
    return "/tags/" + urllib.parse.quote(tag, safe="")


def put(tag, metadata, where=None, content_type=JSON):
    body = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
    return (where or server).request("PUT", path(tag), body, content_type)


def test_put_and_get():
    """what was put is got, for tags of any form, with what is measured"""
    generator = random.Random(SEED)
    print(f"# seed {SEED}")
    for tag in ("boiler", "site/area/unit/sensor", "a b+c%2F", "größe \"q\" \\ 'x'", "..", "?&=#", "x" * 256):
        metadata = {
            "description": generator.choice(["Kessel \"1\"\n\u00e9", None, ""]),
            "interpolation": generator.choice(["step", "linear", None]),
            "max_silence": generator.choice(["300s", "0.25s", None]),
            "names": generator.choice([["temperature", None, "a \"b\", {c}\\"], [], None]),
            "units": generator.choice([["°C", None], None]),
            "low": generator.choice([[-1e300, None, 5e-324], None]),
            "high": generator.choice([[generator.uniform(0, 1), None, 1], None]),
        }
        answer = put(tag, metadata)
        assert answer.status == 204, (tag, metadata, answer)
        got = server.get(path(tag))
        assert got.status == 200 and got.headers["content-type"] == "application/json", got
        assert got.json() == {"tag": tag, **metadata, "learned": None, "first": None, "last": None,
                              "samples": 0, "bytes": 0, "segments": 0}, (got.json(), metadata)
        count = generator.randrange(1, 500)
        rows = [message(10 ** 18 + i, tag, [i, 2, 3]) for i in range(count)]
        assert server.save(ndjson(rows), "?ack=committed", NDJSON).status == 204
        got = server.get(path(tag) + "?time=string").json()
        assert (got["first"], got["last"], got["samples"]) == \
            (str(10 ** 18), str(10 ** 18 + count - 1), count), got
        assert 0 < got["bytes"] <= 8192 * count, got
        # what was got may be put back
        assert put(tag, got).status == 204
        assert server.get(path(tag) + "?time=string").json() == got
    assert server.get("/tags/site/area/unit/sensor").json()["tag"] == "site/area/unit/sensor"


def test_put_replaces():
    """PUT sets what is given and removes the rest; SQL sees the same"""
    assert put("pump", {"names": ["flow"], "units": ["l/s"], "max_silence": "1h30m"}).status == 204
    assert sql(f"SELECT names, units, max_silence FROM historian.tag WHERE relid = '{server.table}'::regclass AND "
               "tag = 'pump'") == [["{flow}", "{l/s}", "01:30:00"]]
    assert put("pump", {"description": "Pump"}).status == 204
    got = server.get("/tags/pump").json()
    assert [got[name] for name in MEMBERS] == ["Pump"] + [None] * 6, got


def test_tags_list():
    """GET /tags has what is set, of tags with samples"""
    table = new_table()
    other = Server(table=table)
    generator = random.Random(SEED + 1)
    known = {}
    rows = []
    for i in range(200):
        tag = f"line{i % 7}/{generator.randrange(10 ** 9)}"
        known[tag] = {}
        rows.append(message(i, tag, [1]))
    assert other.save(ndjson(rows), "?ack=committed", NDJSON).status == 204
    for tag in generator.sample(sorted(known), 100):
        known[tag] = generator.choice([{"names": ["a", None]}, {"description": tag, "high": [1.5]}, {},
                                       {"interpolation": "linear", "max_silence": "60s", "units": ["m"], "low": [0]}])
        assert put(tag, known[tag], other).status == 204
    assert put("without samples", {"names": ["x"]}, other).status == 204
    for prefix in ("", "line3/"):
        got = other.get("/tags?prefix=" + prefix).json()["tags"]
        assert [row["tag"] for row in got] == sorted(tag for tag in known if tag.startswith(prefix)), got
        for row in got:
            assert {name: row[name] for name in MEMBERS if name in row} == known[row["tag"]], row
    sql(f"UPDATE historian.tag SET names = '{{}}' WHERE relid = '{table}'::regclass")
    assert other.get("/tags").status == 200


def test_refusals():
    """what is wrong with the body or the path is said, and nothing is changed"""
    assert put("oven", {"names": ["a", "b"]}).status == 204
    before = server.get("/tags/oven").json()
    for metadata, word in (({"names": ["a", "a"]}, "two values with the name"), ({"unit": "x"}, "unit"),
                           ({"low": ["x"]}, "low[0]"), (b"{", "JSON"), (b"", "JSON"), (b"[]", "object"), ({"interpolation": "cubic"}, "cubic"),
                           ({"max_silence": "soon"}, "soon"), ({"low": [1], "high": [1]}, "limits"), (b"\xff", "UTF-8"),
                           (b'{"description": "\\u0000"}', "Unicode"), (b'{"a":' * 50000, ""), ({"tag": "other"}, "another"),
                           ({"names": [["a"]]}, "")):
        answer = put("oven", metadata)
        assert answer.status == 400, (metadata, answer)
        assert word in answer.json()["detail"], (metadata, answer)
    assert put("oven", {"description": "x" * 262144}).status == 413
    assert put("oven", {}, content_type={"Content-Type": "text/csv"}).status == 415
    assert put("oven", {}, content_type={**JSON, "Content-Encoding": "gzip"}).status == 415
    assert server.get("/tags/oven").json() == before
    assert server.get("/tags/nobody").status == 404
    for target, word in (("/tags/%zz", "percent"), ("/tags/a%00", "percent"), ("/tags/%ff", "UTF-8"),
                         ("/tags/" + "x" * 257, "256"), ("/tags/oven?prefix=a", "prefix")):
        answer = server.get(target)
        assert answer.status == 400 and word in answer.json()["detail"], (target, answer)
    assert server.request("PUT", "/tags/oven?time=string", b"{}", JSON).status == 400
    answer = server.request("POST", "/tags/oven", b"{}", JSON)
    assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD, PUT, DELETE, OPTIONS", answer
    assert answer.json()["detail"] == "this path takes GET, HEAD, PUT and DELETE only", answer


def test_wrong_members():
    """a member of another type, one given twice and broken JSON are refused by name or place, and nothing is changed"""
    assert put("kiln", {"names": ["a", "b"]}).status == 204
    before = server.get("/tags/kiln").json()
    strings, numbers = ([5], ["a", True], "{a,b}", "a", 5, {}, {"a": "b"}, False, [["a"]], [{}]), \
        (["5"], [1, True], "{1,2}", "1", 5, {}, False, [[1]], [None, {}])
    wrong = [(name, json.dumps({name: value}))
             for names, values in ((("names", "units"), strings), (("low", "high"), numbers),
                                   (("description", "interpolation"), (5, ["a"], {}, True)), (("max_silence",), (["5s"], {}, True)))
             for name in names for value in values]
    wrong += [("names", '{"names":["a"],"names":["b"]}'), ("names", '{"names":["a"],"n\\u0061mes":null}'),
              ("tag", '{"tag":"kiln","tag":"kiln"}'), ("low", '{"low":[1e400]}'), ("high", '{"high":[0,-1e400]}'), ("low", '{"low":[NaN]}'),
              ("low", '{"low":[Infinity]}'), ("max_silence", '{"max_silence":"5x"}'), ("max_silence", '{"max_silence":"soon"}'),
              ("max_silence", '{"max_silence":"1e300 years"}')]
    for field, body in wrong:
        answer = put("kiln", body.encode())
        assert answer.status == 400 and answer.headers["content-type"] == "application/problem+json", (body, answer)
        assert answer.json()["field"] == field, (body, answer.json())
    assert put("kiln", b'{"units": ["\xc2\xb0C", 5]}').json()["detail"] == "units[1] is neither a JSON string nor null"
    # (the body, the first byte that does not belong there, counted from 1; None: the end)
    for body, place in (('{"names": ["°C" "b"]}', 18), ('{"names": ["a"],}', 17), ('{"names": ["a"]} x', 18), ('{"low": 5x}', 10),
                        ("{'low': [5]}", 2), ('{"low" [5]}', 8), ('{"low": ]}', 9), ('{"low": [5', None), ('{"low":', None), ('{"low', None),
                        ('{"low": [1]', None), ("{", None), ('{"a\\x": 1}', None)):
        answer = put("kiln", body.encode())
        assert answer.status == 400, (body, answer)
        detail = answer.json()["detail"]
        assert "not JSON" in detail, (body, detail)
        if place is not None:
            assert f"byte {place} " in detail, (body, detail)
        elif "x" not in body:
            assert f"after {len(body.encode())} bytes" in detail, (body, detail)
    assert "empty" in put("kiln", b" ").json()["detail"]
    assert server.get("/tags/kiln").json() == before
    for good in ({"max_silence": 5}, {"low": [None, 1, -2.5e3], "units": ["°C\"\\", None, "\u2028"]}, dict.fromkeys(MEMBERS), before):
        assert put("kiln", good).status == 204, good
    assert put("kiln", b'\r\n\t {\t"names" :\n[ ] } \n').status == 204


def test_privileges():
    """a server whose role may only read gets 403 to PUT, and reads"""
    table = new_table()
    sql(f"""DO $$ BEGIN CREATE ROLE tag_reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
        GRANT SELECT ON {table} TO tag_reader;
        INSERT INTO historian.tag (relid, tag, names) VALUES ('{table}', 'a', '{{x}}')""")
    conninfo = " ".join("user=tag_reader" if part.startswith("user=") else part for part in CONNINFO.split())
    reader = Server(conninfo=conninfo, table=table, expect_ready=False)
    try:
        assert reader.get("/tags/a").json()["names"] == ["x"]
        answer = put("a", {"names": ["y"]}, reader)
        assert answer.status == 403 and answer.json()["sqlstate"] == "42501", answer
        assert "permission denied for tags of table" in answer.json()["detail"], answer
        assert reader.get("/tags/a").json()["names"] == ["x"]
    finally:
        reader.stop()


def test_many():
    """metadata of 10,000 tags with ten names makes GET /tags at most four times as long, or half a second longer"""
    table = new_table()
    other = Server(table=table)
    sql(f"""INSERT INTO {table} SELECT i, 'plant/unit' || i % 10000, array_fill(i, '{{10}}') FROM generate_series(1, 20000) i;
        SELECT historian.compact('{table}')""")

    def seconds():
        best = 9.0
        for _ in range(5):
            begin = time.monotonic()
            assert len(other.get("/tags").json()["tags"]) == 10000
            best = min(best, time.monotonic() - begin)
        return best

    without = seconds()
    sql(f"""INSERT INTO historian.tag (relid, tag, description, names, units)
        SELECT '{table}', 'plant/unit' || i, 'number ' || i, ARRAY(SELECT 'value ' || j FROM generate_series(1, 10) j), array_fill('bar'::text, '{{10}}')
        FROM generate_series(0, 9999) i; ANALYZE historian.tag""")
    with_names = seconds()
    print(f"# GET /tags of 10,000 tags: {without * 1000:.0f} ms, with names {with_names * 1000:.0f} ms")
    assert with_names < 4 * without + 0.5, (without, with_names)


if __name__ == "__main__":
    run(sys.modules[__name__])
