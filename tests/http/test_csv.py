#!/usr/bin/python3
"""GET /api?format=csv: the same samples as JSON, with a column for each value; and value= of the methods that choose rows."""
import csv
import gzip
import io
import json
import random
import sys
import urllib.parse

from historiand import NDJSON, Server, insert, message, ndjson, run, sql

SEED = random.randrange(2 ** 32)
NAMES = ["flow, \"inner\"", None, "time", "line;end"]
server = None


def setup():
    """Tags that have names, other names, none; samples that are wider than the names, NULL, missing."""
    global server
    if server is not None:
        return
    print(f"# seed {SEED}")
    generator = random.Random(SEED)
    server = Server()
    messages = [message(i * 1000, tag, [generator.choice([None, generator.uniform(-1e300, 1e300), i, -0.0])
                                        for _ in range(width if i < 200 else 2)])
                for tag, width in (("named", 5), ("also named", 3), ("no names", 1), ("com,ma \"x\"", 2)) for i in range(1, 300)]
    assert server.save(ndjson(messages), "?ack=committed&precision=ns", NDJSON).status == 204
    for tag, names in (("named", NAMES), ("also named", NAMES[:1] + ["other"])):
        assert server.request("PUT", "/tags/" + urllib.parse.quote(tag), json.dumps({"names": names}).encode()).status == 204


def target(tags, **parameters):
    return "/api?" + urllib.parse.urlencode([("tag", tag) for tag in tags] + list({"precision": "ns", **parameters}.items()))


def read_csv(answer):
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present", answer
    text = answer.body.decode()
    assert text.endswith("\n")
    lines = list(csv.reader(io.StringIO(text, newline="")))
    assert all(len(line) == len(lines[0]) for line in lines), lines[:3]
    return lines


def check(tags, header, **parameters):
    """The CSV is the JSON, line by line; header is that of the names."""
    lines = read_csv(server.get(target(tags, format="csv", **parameters)))
    answer = server.get(target(tags, **parameters)).json()
    series = answer["series"] if "series" in answer else [answer]
    samples = [(one["tagName"], sample) for one in series for sample in one["samples"]]
    width = max([len(header)] + [len(sample["values"] or []) for _, sample in samples])
    assert lines[0] == ["time", "tag"] + header + [f"value_{i}" for i in range(len(header) + 1, width + 1)], (lines[0], tags)
    assert len(lines) == len(samples) + 1
    for line, (tag, sample) in zip(lines[1:], samples):
        values = [float(value) if value else None for value in line[2:]]
        expected = sample["values"] or []
        assert line[:2] == [str(sample["time"]), tag], (line, sample)
        assert values == expected + [None] * (width - len(expected)), (line, sample)


def test_like_json():
    """the samples of JSON, for all methods and forms of times"""
    setup()
    named = [NAMES[0], "value_2", "time_3", NAMES[3]]
    for method in ("last", "average", "count", "plot", "first", "interpolated"):
        for start, end in ((0, 300000), (-5000, 7000), (200500, 300000), (10 ** 6, 10 ** 6 + 9000)):
            check(["named"], named, start=start, end=end, samples=9, method=method)
            check(["no names"], [], start=start, end=end, samples=9, method=method)
    for form in ({"time": "rfc3339"}, {"time": "string"}, {"precision": "us"}, {"precision": "ms"}):
        given = {"start": "1970-01-01T00:00:00Z", "end": "1970-01-01T00:00:00.0003Z", "samples": 7, **form}
        check(["com,ma \"x\""], [], **given)
    check(["named"], named, start=0, end=300000, step="100us", method="max")


def test_several_tags():
    """a column has a name where all tags have it; each tag once, in byte order"""
    setup()
    check(["named", "also named", "named"], [NAMES[0], "value_2", "value_3", "value_4"], start=0, end=300000, samples=50)
    check(["named", "no names"], [f"value_{i}" for i in range(1, 5)], start=0, end=300000, samples=50)
    lines = read_csv(server.get(target(["no names", "never", "com,ma \"x\""], start=0, end=5000, samples=2, format="csv")))
    assert [line[1] for line in lines] == ["tag"] + ["com,ma \"x\""] * 2 + ["no names"] * 2, lines


def test_nothing():
    """a tag without samples in the window has the first line alone; one that was never stored gets 404"""
    setup()
    answer = server.get(target(["named"], start=10 ** 6, end=10 ** 7, samples=4, method="plot", format="csv"))
    assert answer.body == b'time,tag,"flow, ""inner""",value_2,time_3,line;end\n', answer.body
    assert server.get(target(["no names"], start=10 ** 6, end=10 ** 7, samples=4, method="plot", format="csv")).body == b"time,tag\n"
    for tags in (["never"], ["never", "nobody"]):
        answer = server.get(target(tags, start=0, end=9, format="csv"))
        assert answer.status == 404 and answer.headers["content-type"] == "application/problem+json", answer
        assert answer.json()["detail"] == server.get(target(tags, start=0, end=9)).json()["detail"]


def test_odd_values():
    """NULL and what is missing are empty; NaN and infinities, which JSON lacks, are there"""
    setup()
    sql(f"INSERT INTO {server.table} VALUES (1, 'odd', '{{NaN,-Infinity,Infinity,NULL,-0,1e-300}}'), (2, 'odd', NULL), (3, 'odd', '{{}}')")
    assert server.get(target(["odd"], start=0, end=3, samples=3, format="csv")).body == (
        b"time,tag,value_1,value_2,value_3,value_4,value_5,value_6\n1,odd,NaN,-Infinity,Infinity,,-0,1e-300\n2,odd,,,,,,\n3,odd,,,,,,\n")


def test_forms():
    """HEAD, ETag and gzip are as of JSON; another format is refused"""
    setup()
    query = target(["named"], start=0, end=300000, samples=300, format="csv")
    answer = server.get(query)
    assert server.request("HEAD", query).headers["content-length"] == answer.headers["content-length"]
    zipped = server.request("GET", query, headers={"Accept-Encoding": "gzip"})
    assert zipped.headers["content-encoding"] == "gzip" and gzip.decompress(zipped.body) == answer.body
    assert server.request("GET", query, headers={"If-None-Match": answer.headers["etag"]}).status == 304
    for wrong in ("xml", "ndjson", "", "CSV"):
        answer = server.get(target(["named"], start=0, end=9, format=wrong))
        assert answer.status == 400 and "json or csv" in answer.json()["detail"], answer
    answer = server.get(target(["named"], start=0, end=9, format="csv", method="nonsense"))
    assert answer.status == 400 and "plot" in answer.json()["hint"], answer


def test_value():
    """value= is that by which plot and lttb choose; other methods refuse it"""
    setup()
    insert(server.table, [message(t, "peaks", [0, v, t]) for t, v in ((1, 5), (2, 1), (3, 9), (4, 3), (5, 9), (6, 4))])

    def times(tags=("peaks",), **parameters):
        answer = server.get(target(tags, start=0, end=6, samples=4, **parameters))
        assert answer.status == 200, answer
        return [sample["time"] for one in answer.json().get("series", [answer.json()]) for sample in one["samples"]]
    assert times(method="plot") == times(method="plot", value=1) == [1, 6]
    assert times(method="plot", value=2) == [1, 2, 3, 6]
    assert times(method="plot", value=3) == [1, 6]
    assert len(times(method="lttb", value=2)) == 4
    assert times(["peaks", "no names"], method="plot", value=2) == [1, 2, 3, 6]
    lines = read_csv(server.get(target(["peaks"], start=0, end=6, samples=4, method="plot", value=2, format="csv")))
    assert [line[0] for line in lines] == ["time", "1", "2", "3", "6"]
    answer = server.get(target(["peaks"], start=0, end=6, step="6ns", method="plot", value=2))
    assert answer.status == 400 and "at least 4" in answer.json()["detail"], answer
    for method in ("last", "average", "first"):
        answer = server.get(target(["peaks"], start=0, end=6, method=method, value=1))
        assert answer.status == 400 and "takes no value" in answer.json()["detail"] and "lttb" in answer.json()["hint"], answer
    answer = server.get(target(["peaks"], start=0, end=6, method="plot", value=4))
    assert answer.status == 400 and "has a value 4" in answer.json()["detail"], answer
    for wrong in ("0", "-1", "1001", "x", "", "1.0", "1;", "99999999999999999999", "2%20"):
        answer = server.get(target(["peaks"], start=0, end=6, method="plot") + "&value=" + wrong)
        assert answer.status == 400 and "from 1 to 1000" in answer.json()["detail"], (wrong, answer)


if __name__ == "__main__":
    run(sys.modules[__name__])
