#!/usr/bin/python3
"""POST /save: what is taken, what is refused, and what is stored of it."""
import gzip
import json
import random
import struct
import sys

from historiand import (NDJSON, Server, count, message, ndjson, request_bytes, rows, run, sql,
                        wait_for)

server = None


def setup():
    global server
    if server is None:
        server = Server()
    else:
        # What the last test had only received is loaded with this, and does not come later.
        assert server.save(message(0, "last", []), "?ack=committed").status == 204
        sql(f"TRUNCATE {server.table}")
    return server


def committed(body, query="", headers=None):
    return server.save(body, "?ack=committed" + query, headers)


def test_object():
    """one object is stored"""
    setup()
    answer = committed(message(5, "a", [1.5, -2]))
    assert answer.status == 204 and answer.body == b"", answer
    assert rows(server.table) == [(5, "a", "{1.5,-2}")]


def test_wide():
    """a row is as wide as the table takes it whatever its values are, and a wider one is refused at once"""
    setup()
    for tag_bytes, most in ((1, 1000), (86, 1000), (87, 999), (256, 978)):
        tag = "w" * tag_bytes
        values = [random.uniform(-1, 1) * 10 ** random.randint(-300, 300) for _ in range(most)]
        assert committed(message(tag_bytes, tag, values)).status == 204
        assert rows(server.table)[-1][:2] == (tag_bytes, tag)
        answer = server.save(message(1, tag, values + [1.5]))
        assert answer.status == 400 and "values" in answer.json()["detail"], answer


def test_received():
    """202 comes at once, the row within the flush interval"""
    setup()
    answer = server.save(message(5, "a", [1]))
    assert answer.status == 202 and answer.body == b"", answer
    wait_for("the row", lambda: count(server.table) == 1)


def test_array():
    """an array is stored, in any spacing and order of fields"""
    setup()
    body = b' [ {"tag":"a","values":[ ],"time":1} ,\r\n\t{ "values" : [ 1 , 2e0 ] , "time" : ' \
           b'-9223372036854775808, "tag":"b" }]\n '
    assert committed(body).status == 204
    assert rows(server.table) == [(-2 ** 63, "b", "{1,2}"), (1, "a", "{}")]
    assert committed(b"[]").status == 204


def test_ndjson():
    """NDJSON with empty lines, CR LF and no last line end is stored"""
    setup()
    body = b'{"time":1,"tag":"a","values":[1]}\r\n\n  \n{"time":2,"tag":"a","values":[2]}'
    assert committed(body, headers=NDJSON).status == 204
    assert [r[0] for r in rows(server.table)] == [1, 2]


def test_types():
    """body types: JSON, none and curl's default are JSON; others get 415"""
    setup()
    for kind in ("application/json", "application/json; charset=utf-8", None,
                 "application/x-www-form-urlencoded", "APPLICATION/JSON"):
        assert committed(message(1, "a", [1]), headers={"Content-Type": kind}).status == 204, kind
    for kind in ("text/plain", "application/xml", "application/jsonx", "multipart/form-data"):
        answer = committed(message(1, "a", [1]), headers={"Content-Type": kind})
        assert answer.status == 415, (kind, answer)
        assert answer.headers["content-type"] == "application/problem+json"
    assert committed(message(1, "a", [1]), headers={"Content-Encoding": "br"}).status == 415


def test_gzip():
    """gzip bodies, of one and of several members, are stored; broken ones are refused whole"""
    setup()
    lines = [message(i, f"g{i % 7}", [i / 10] * 10) for i in range(20000)]
    body = gzip.compress(ndjson(lines[:9000])) + gzip.compress(ndjson(lines[9000:]))
    headers = dict(NDJSON, **{"Content-Encoding": "gzip"})
    assert committed(body, headers=headers).status == 204
    assert count(server.table) == 20000
    sql(f"TRUNCATE {server.table}")
    for broken in (body[:-10], body[:100], body + b"x" * 30, b"", b"plain text",
                   body[:5000] + b"\0\0\0\0" + body[5004:]):
        answer = committed(broken, headers=headers)
        assert answer.status == 400, answer
        # What damage in the middle decompresses to may be noticed as bad JSON first.
        assert "gzip" in answer.json()["detail"] or "line" in answer.json(), answer
    assert count(server.table) == 0


BAD = [
    # body, headers, members of the problem, word in its detail
    (b"", {}, {}, "empty"),
    (b"  \n", {}, {}, "empty"),
    (b"{", {}, {}, "ends"),
    (b"[", {}, {}, "ends"),
    (b'"text"', {}, {}, "object"),
    (b'{"time":1,"tag":"a","values":[1]} x', {}, {}, "NDJSON"),
    (b'{"time":1,"tag":"a","values":[1]}\n{"time":2,"tag":"a","values":[1]}', {}, {}, "NDJSON"),
    (b'{"time":1,"tag":"a"}', {}, {"field": "values"}, "missing"),
    (b'{"time":1,"values":[]}', {}, {"field": "tag"}, "missing"),
    (b'{"tag":"a","values":[]}', {}, {"field": "time"}, "missing"),
    (b'{}', {}, {"field": "time"}, "missing"),
    (b'{"time":1,"tag":"a","values":[1],"unit":"V"}', {}, {"field": "unit"}, "unknown"),
    (b'{"time":1,"time":1,"tag":"a","values":[1]}', {}, {"field": "time"}, "twice"),
    (b'{"time":1,"tag":"a","values":[1],"tag":"a"}', {}, {"field": "tag"}, "twice"),
    (b'{"time":1,"tag":"a","values":[1],"t\\u0061g":"b"}', {}, {"field": "tag"}, "twice"),
    (b'{"time":1.0,"tag":"a","values":[1]}', {}, {"field": "time"}, "integer"),
    (b'{"time":1e3,"tag":"a","values":[1]}', {}, {"field": "time"}, "integer"),
    (b'{"time":"1","tag":"a","values":[1]}', {}, {"field": "time"}, "integer"),
    (b'{"time":null,"tag":"a","values":[1]}', {}, {"field": "time"}, "integer"),
    (b'{"time":01,"tag":"a","values":[1]}', {}, {"field": "time"}, "integer"),
    (b'{"time":9223372036854775808,"tag":"a","values":[1]}', {}, {"field": "time"}, "64-bit"),
    (b'{"time":-9223372036854775809,"tag":"a","values":[1]}', {}, {"field": "time"}, "64-bit"),
    (b'{"time":1,"tag":"","values":[1]}', {}, {"field": "tag"}, "empty"),
    (b'{"time":1,"tag":7,"values":[1]}', {}, {"field": "tag"}, "string"),
    (b'{"time":1,"tag":"' + b"x" * 257 + b'","values":[1]}', {}, {"field": "tag"}, "256"),
    (b'{"time":1,"tag":"a\\u0000b","values":[1]}', {}, {"field": "tag"}, "NUL"),
    (b'{"time":1,"tag":"a\x00b","values":[1]}', {}, {"field": "tag"}, "control"),
    (b'{"time":1,"tag":"a\tb","values":[1]}', {}, {"field": "tag"}, "control"),
    *((b'{"time":1,"tag":"a' + text + b'","values":[1]}', {}, {"field": "tag"}, "control") for text in (
        b"\\t", b"\\n", b"\\r", b"\\b", b"\\f", b"\\u0001", b"\\u001f", b"\\u001b[2J", b"\\u007f", b"\x7f",
        b"\\u0080", b"\\u009F", b"\xc2\x80", b"\xc2\x9f", b"\xc2\x85b", b"\\n\xc3\xa9")),
    (b'{"time":1,"tag":"\xff","values":[1]}', {}, {"field": "tag"}, "UTF-8"),
    (b'{"time":1,"tag":"\xc1\xa9","values":[1]}', {}, {"field": "tag"}, "UTF-8"),
    (b'{"time":1,"tag":"\\n\xc1\xa9","values":[1]}', {}, {"field": "tag"}, "UTF-8"),
    (b'{"time":1,"tag":"\\n\xed\xa0\x80","values":[1]}', {}, {"field": "tag"}, "UTF-8"),
    (b'{"time":1,"tag":"\xc0\x80","values":[1]}', {}, {"field": "tag"}, "UTF-8"),
    (b'{"time":1,"tag":"\xed\xa0\x80","values":[1]}', {}, {"field": "tag"}, "UTF-8"),
    (b'{"time":1,"tag":"\\ud800","values":[1]}', {}, {"field": "tag"}, "escape"),
    (b'{"time":1,"tag":"\\x","values":[1]}', {}, {"field": "tag"}, "escape"),
    (b'{"time":1,"tag":"a","values":1}', {}, {"field": "values"}, "array"),
    (b'{"time":1,"tag":"a","values":null}', {}, {"field": "values"}, "array"),
    (b'{"time":1,"tag":"a","values":[1,Null]}', {}, {"field": "values[1]"}, "null"),
    (b'{"time":1,"tag":"a","values":["1"]}', {}, {"field": "values[0]"}, "number"),
    (b'{"time":1,"tag":"a","values":[NaN]}', {}, {"field": "values[0]"}, "number"),
    (b'{"time":1,"tag":"a","values":[1,2,Infinity]}', {}, {"field": "values[2]"}, "number"),
    (b'{"time":1,"tag":"a","values":[-Infinity]}', {}, {"field": "values[0]"}, "number"),
    (b'{"time":1,"tag":"a","values":[1e400]}', {}, {"field": "values[0]"}, "large"),
    (b'{"time":1,"tag":"a","values":[01]}', {}, {}, "values[0]"),
    (b'{"time":1,"tag":"a","values":[1.]}', {}, {"field": "values[0]"}, "number"),
    (b'{"time":1,"tag":"a","values":[.5]}', {}, {"field": "values[0]"}, "number"),
    (b'{"time":1,"tag":"a","values":[+5]}', {}, {"field": "values[0]"}, "number"),
    (b'{"time":1,"tag":"a","values":[0x10]}', {}, {}, "values[0]"),
    (b'{"time":1,"tag":"a","values":[1,]}', {}, {"field": "values[1]"}, "number"),
    (b'{"time":1,"tag":"a","values":[1 2]}', {}, {}, "comma"),
    (b'{"time":1,"tag":"a","values":[' + b"1," * 1000 + b'1]}', {}, {"field": "values"}, "1000"),
    (b'{"time":1,"tag":"a","values":[' + b"[" * 5000 + b']}', {}, {"field": "values[0]"}, "number"),
    (b"[" * 100000, {}, {"index": 0}, "object"),
    (b'{"a":' * 10000, {}, {}, "unknown"),
    (b'{"time":1,"tag":"a","values":[1]', {}, {}, "ends"),
    (b'{"time":1 "tag":"a","values":[1]}', {}, {}, "comma"),
    (b'{"time":1,"tag":"a","values":[1],}', {}, {}, "field name"),
    (b"{'time':1}", {}, {}, "quotes"),
    (b'\xef\xbb\xbf{"time":1,"tag":"a","values":[1]}', {}, {}, "object"),
    (b'[{"time":1,"tag":"a","values":[1]},{"time":2,"tag":"a"}]', {},
     {"index": 1, "field": "values"}, "missing"),
    (b'[{"time":1,"tag":"a","values":[1]},]', {}, {"index": 1}, "object"),
    (b'[{"time":1,"tag":"a","values":[1]} {"time":2,"tag":"a","values":[1]}]', {}, {}, "comma"),
    (b'[{"time":1,"tag":"a","values":[1]}', {}, {}, "ends"),
    (b'[{"time":1,"tag":"a","values":[1]}]]', {}, {}, "NDJSON"),
    (b'{"time":1,"tag":"a","values":[1]}\n\n{"time":2,"tag":"","values":[1]}\n', NDJSON,
     {"line": 3, "field": "tag"}, "empty"),
    (b'{"time":1,"tag":"a","values":[1]}\n{"time":2,"tag":"a","values":[1]} 7\n', NDJSON,
     {"line": 2}, "more than one"),
    (b'{"time":1,"tag":"a",\n"values":[1]}\n', NDJSON, {"line": 1}, "ends"),
    (b'[{"time":1,"tag":"a","values":[1]}]\n', NDJSON, {"line": 1}, "object"),
    (b'{"time":1,"tag":"a","values":[1]}\n' + b" " * 70000, NDJSON, {"line": 2}, "65536"),
]


def test_bad_gzip_is_counted():
    """a body whose compression is broken counts as invalid, as any other bad body does"""
    own = Server()
    packed = gzip.compress(ndjson([message(i, "z", [i]) for i in range(100)]))
    for number, body in enumerate((b"not gzip", packed[:-20], packed[:30] + b"x" * 30)):
        answer = own.save(body, "", dict(NDJSON, **{"Content-Encoding": "gzip"}))
        assert answer.status == 400, answer
        assert own.metric('historiand_rejected_total{reason="invalid"}') == number + 1
    assert own.stop() == 0


def test_bad():
    """bad input gets 400 that names what is wrong; nothing of it is stored, its neighbours are"""
    setup()
    client = server.connect()
    for number, (body, headers, members, word) in enumerate(BAD):
        before = client.request("POST", "/save?ack=committed",
                                json.dumps(message(number, "before", [1])).encode())
        answer = client.request("POST", "/save?ack=committed", body, headers)
        after = client.request("POST", "/save?ack=committed",
                               json.dumps(message(number, "after", [1])).encode())
        assert before.status == 204 and after.status == 204, (body[:80], before, after)
        assert answer.status == 400, (body[:80], answer)
        assert answer.headers["content-type"] == "application/problem+json", answer
        problem = answer.json()
        assert problem["status"] == 400 and problem["title"] == "Bad Request", problem
        assert word in problem["detail"], (body[:80], problem)
        for name, value in members.items():
            assert problem.get(name) == value, (body[:80], name, problem)
    assert count(server.table, "tag NOT IN ('before', 'after')") == 0
    assert count(server.table) == 2 * len(BAD)


def test_numbers():
    """doubles are stored bit for bit as Python reads the same text"""
    setup()
    seed = random.randrange(2 ** 32)
    print(f"# seed {seed}")
    generator = random.Random(seed)
    texts = ["0", "-0", "-0.0", "1e-324", "5e-324", "2.2250738585072011e-308", "1e308", "1e23",
             "9007199254740993", "100000000000000000000000000", "0.1", "1E+2", "1e-2", "-1.5e-300",
             "1.7976931348623157e308", "123456789012345678", "0.000001", "3.141592653589793238462"]
    while len(texts) < 3000:
        kind = generator.randrange(4)
        if kind == 0:
            value = struct.unpack("<d", generator.randbytes(8))[0]
            text = repr(value)
            if text in ("nan", "inf", "-inf"):
                continue
        elif kind == 1:
            text = f"{generator.uniform(-1000, 1000):.{generator.randrange(20)}f}"
        elif kind == 2:
            text = f"{generator.uniform(-1, 1):.{generator.randrange(25)}e}"
        else:
            text = str(generator.randrange(-10 ** 25, 10 ** 25))
        texts.append(text)
    lines = [f'{{"time":{i},"tag":"n","values":[{",".join(texts[i * 10:i * 10 + 10])}]}}\n'
             for i in range(len(texts) // 10)]
    assert committed("".join(lines).encode(), headers=NDJSON).status == 204
    stored = sql(f"SELECT time, encode(float8send(v), 'hex') FROM {server.table}, "
                 "unnest(values) WITH ORDINALITY AS u(v, i) ORDER BY time, i")
    assert len(stored) == len(lines) * 10
    for (_, bits), text in zip(stored, texts):
        assert bits == struct.pack(">d", float(text)).hex(), (text, bits)


def test_tags():
    """tags: escapes, any language, up to 256 bytes"""
    setup()
    tags = ["a", "é", "温度/1", "\U0001f600", 'q"uote\\', "tab\\here", "x" * 256,
            "é" * 128, " ", "\xa0", "\u202e"]
    body = json.dumps([message(i, tag, [i]) for i, tag in enumerate(tags)])
    assert committed(body.encode()).status == 204
    raw = json.dumps([message(100 + i, tag, [i]) for i, tag in enumerate(tags)],
                     ensure_ascii=False)
    assert committed(raw.encode()).status == 204
    stored = sql(f"SELECT time, encode(convert_to(tag, 'UTF8'), 'hex') FROM {server.table} "
                 "ORDER BY time")
    expected = [[str(base + i), tag.encode().hex()] for base in (0, 100)
                for i, tag in enumerate(tags)]
    assert stored == expected, stored


def test_duplicates():
    """the same tag and time twice: the later row comes later to the table"""
    setup()
    for body in ([message(1, "d", [1]), message(1, "d", [2])],
                 [message(1, "d", [3])], [message(1, "d", [4]), message(2, "d", [0])]):
        assert committed(body).status == 204
    answer = server.get("/api?tag=d&start=0&end=1&samples=1")
    kept = sql(f"SELECT values FROM {server.table} WHERE time = 1 AND tag = 'd'")
    if kept == [["{4}"]]:
        assert answer.json()["samples"][0]["values"] == [4], answer
    else:
        # A plain table keeps all; their order is that of loading.
        assert kept[-1] == ["{4}"] and kept[0] == ["{1}"], kept


def test_partial():
    """partial=true stores the good lines and lists the bad ones in a 207"""
    setup()
    lines = []
    bad = []
    for i in range(1000):
        if i % 7 == 3:
            lines.append([b'{"time":1,"tag":"p"}', b"garbage", b'{"time":1.5,"tag":"p","values":[]}',
                          b"x" * 70000][len(bad) % 4])
            bad.append(i + 1)
        else:
            lines.append(json.dumps(message(i, "p", [i])).encode())
    for body in (b"\n".join(lines), b"\n".join(lines) + b"\n"):
        answer = committed(body, "&partial=true", NDJSON)
        assert answer.status == 207, answer
        result = answer.json()
        assert result["accepted"] == 1000 - len(bad) and result["rejected"] == len(bad), result
        assert [e["line"] for e in result["errors"]] == bad[:100]
        assert result["errors"][0]["field"] == "values"
    assert count(server.table, "tag = 'p'") >= 1000 - len(bad)
    assert committed(ndjson([message(1, "p", [1])]), "&partial=true", NDJSON).status == 204
    assert server.save(ndjson([message(1, "p", [1])]), "?partial=true", NDJSON).status == 202


def test_partial_array():
    """in an array partial=true goes on after what is JSON, and stops where it is not"""
    setup()
    body = b'[{"time":1,"tag":"a","values":[1]},7,{"time":2,"x":{"y":["\xc3\xa9",{}]}},"\xc3\xa9",' \
           b'{"time":3,"tag":"a","values":[3]}]'
    result = committed(body, "&partial=true").json()
    assert (result["accepted"], result["rejected"]) == (2, 3), result
    assert [e["index"] for e in result["errors"]] == [1, 2, 3], result
    body = b'[{"time":4,"tag":"a","values":[1]},{"time":5,!},{"time":6,"tag":"a","values":[1]}]'
    result = committed(body, "&partial=true").json()
    assert (result["accepted"], result["rejected"]) == (1, 1), result
    assert [r[0] for r in rows(server.table)] == [1, 3, 4]


def test_pieces():
    """a body in pieces of any size gives the same as the body at once"""
    setup()
    seed = random.randrange(2 ** 32)
    print(f"# seed {seed}")
    generator = random.Random(seed)
    base = [message(i, f"p{i % 3}", [i + 0.25] * (i % 12)) for i in range(40)]
    for kind, body, headers in (("ndjson", ndjson(base), NDJSON),
                                ("array", json.dumps(base, indent=1).encode(), {})):
        for step in (1, 2, 3, 7, 100, None):
            sql(f"TRUNCATE {server.table}")
            client = server.connect()
            head = {"Transfer-Encoding": "chunked", "Content-Length": None}
            head.update(headers)
            sent = [b""]
            position = 0
            while position < len(body):
                size = step or generator.randrange(1, 400)
                piece = body[position:position + size]
                sent.append(b"%x\r\n%s\r\n" % (len(piece), piece))
                position += size
            text = b"".join(sent) + b"0\r\n\r\n"
            client.send(request_bytes("POST", "/save?ack=committed", None, head))
            for start in range(0, len(text), 1500):
                client.send(text[start:start + 1500])
            answer = client.answer()
            assert answer.status == 204, (kind, step, answer)
            client.close()
            assert len(rows(server.table)) == 40, (kind, step)


def test_parameters():
    """unknown and misspelt parameters are refused"""
    setup()
    for query in ("?ack=commited", "?ack=", "?partial=yes", "?acks=committed", "?ack=%zz", "?x"):
        answer = server.save(message(1, "a", [1]), query)
        assert answer.status == 400 and "ack=received" in answer.json()["detail"], (query, answer)


if __name__ == "__main__":
    run(sys.modules[__name__])
