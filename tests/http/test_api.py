#!/usr/bin/python3
"""GET /api against an independent computation of period-end, and its refusals."""
import bisect
import json
import random
import sys
import threading
import urllib.parse

from historiand import NDJSON, Relay, Server, Skip, insert, message, ndjson, run, sql, wait_for

server = None
series = {}
SEED = random.randrange(2 ** 32)


def setup():
    """Three tags with known values."""
    global server
    if server is not None:
        return
    print(f"# seed {SEED}")
    generator = random.Random(SEED)
    server = Server()
    for tag in ("dense", "sparse", "größe /%&+"):
        now = generator.randrange(10 ** 18)
        points = []
        for _ in range(500):
            now += generator.randrange(1, 10 ** (3 if tag == "dense" else 15))
            points.append((now, [generator.uniform(-1e6, 1e6) for _ in range(10)]))
        series[tag] = points
    body = ndjson([message(t, tag, v) for tag, points in series.items() for t, v in points])
    assert server.save(body, "?ack=committed&precision=ns", NDJSON).status == 204


def target(tag, start, end, **more):
    return "/api?" + urllib.parse.urlencode({"tag": tag, "start": start, "end": end, "precision": "ns", **more})


def expected(tag, start, end, samples):
    """Sample i at start + floor(i * (end - start) / n): the last value at or before it."""
    times = [t for t, _ in series[tag]]
    result = []
    for i in range(1, samples + 1):
        at = start + i * (end - start) // samples
        index = bisect.bisect_right(times, at) - 1
        result.append({"time": at, "values": series[tag][index][1] if index >= 0 else None})
    return result


def check(tag, start, end, samples):
    answer = server.get(target(tag, start, end, samples=samples))
    assert answer.status == 200, answer
    body = answer.json()
    assert (body["tagName"], body["start"], body["end"]) == (tag, start, end), answer
    assert body["samples"] == expected(tag, start, end, samples), (tag, start, end, samples)


def test_windows():
    """samples of random windows equal the independent computation"""
    setup()
    generator = random.Random(SEED + 1)
    for tag, points in series.items():
        first, last = points[0][0], points[-1][0]
        span = last - first
        check(tag, first - 1, last + 1, 1000)
        check(tag, first, last, 1)
        check(tag, -2 ** 63, 2 ** 63 - 1, 7)
        check(tag, last + 5, last + 6, 3)
        check(tag, first - 10, first - 5, 4)
        for _ in range(10):
            start = generator.randrange(first - span // 4, last + span // 4)
            check(tag, start, start + generator.randrange(1, span), generator.randrange(1, 200))


def test_several_tags():
    """several tags at once give the samples that each has alone"""
    setup()
    start = min(points[0][0] for points in series.values())
    end = max(points[-1][0] for points in series.values())
    for tags in (["sparse", "dense"], ["dense", "dense"], ["nobody", "größe /%&+", "dense"]):
        query = urllib.parse.urlencode([("tag", tag) for tag in tags] +
                                       [("start", start), ("end", end), ("samples", 50), ("precision", "ns")])
        known = sorted({tag for tag in tags if tag in series}, key=str.encode)
        assert server.get("/api?" + query).json() == {"start": start, "end": end, "series": [
            {"tagName": tag, "samples": expected(tag, start, end, 50)} for tag in known]}, tags
        text = server.get("/api?time=string&" + query).json()["series"][0]["samples"]
        assert [s["time"] for s in text] == [
            str(s["time"]) for s in expected(known[0], start, end, 50)]
    assert server.get("/api?tag=nobody&tag=no&start=0&end=1").status == 404


def test_defaults():
    """1000 samples unless said otherwise; times as strings on request"""
    setup()
    points = series["dense"]
    body = server.get(target("dense", points[0][0], points[-1][0])).json()
    assert len(body["samples"]) == 1000
    text = server.get(target("dense", points[0][0], points[-1][0], samples=2,
                             time="string")).json()
    assert text["start"] == str(points[0][0]) and text["end"] == str(points[-1][0])
    assert [s["time"] for s in text["samples"]] == [
        str(s["time"]) for s in expected("dense", points[0][0], points[-1][0], 2)]
    assert len(server.get(target("dense", 0, 10 ** 18, samples=10000)).json()["samples"]) == 10000


def test_special_values():
    """what JSON has no number for is null; empty arrays stay"""
    setup()
    from historiand import sql
    sql(f"INSERT INTO {server.table} VALUES (1, 'odd', '{{NaN,Infinity,-Infinity,1,-0}}'), "
        "(2, 'odd', '{}')")
    text = server.get(target("odd", 0, 1, samples=1)).body
    assert b'"values":[null,null,null,1,-0]' in text, text
    assert server.get(target("odd", 1, 2, samples=1)).json()["samples"][0]["values"] == []


def test_unknown_tag():
    """a tag that was never stored gets 404"""
    setup()
    answer = server.get(target("nobody", 0, 1))
    assert answer.status == 404 and answer.headers["content-type"] == "application/problem+json"


def test_empty_is_not_unknown():
    """a tag without samples in the window has an empty list of them, whatever the method"""
    setup()
    if "unknown method" in server.get(target("dense", 0, 9, method="max")).body.decode():
        raise Skip("without the extension there is the method last alone")
    server.save([message(7, "early", [1]),
                 message(10 ** 6, "empty array", [])], "?ack=committed")
    for method in ("plot", "lttb", "minmaxlttb"):
        for tag in ("dense", "early", "empty array"):
            answer = server.get(target(tag, 10, 20, samples=4, method=method))
            assert answer.status == 200, (method, tag, answer)
            assert answer.json() == {"tagName": tag, "start": 10, "end": 20, "samples": []}
        assert server.get(target("never", 10, 20, samples=4, method=method)).status == 404
        answer = server.get(target("early", 6, 20, samples=4, method=method)
                            + "&tag=dense&tag=never&tag=dense&tag=empty%20array").json()
        assert [(one["tagName"], one["samples"]) for one in answer["series"]] == [
            ("dense", []), ("early", [{"time": 7, "values": [1]}]), ("empty array", [])], answer
        answer = server.get(target("never", 6, 20, samples=4, method=method) + "&tag=nowhere")
        assert answer.status == 404 and "none of the tags" in answer.json()["detail"], answer
    for method in ("last", "max", "count", "time_average"):
        assert server.get(target("early", 10, 20, samples=4, method=method)).status == 200, method


def test_first_rows_meanwhile():
    """a tag whose first rows come while it is asked for has all of its samples, or is unknown"""
    relay = Relay()
    raced = Server(conninfo=relay.conninfo + " application_name=raced")
    insert(raced.table, [message(5, "old", [1.5])])
    for tags, samples in ((["new"], [None, [7], [7], [7]]), (["old", "other"], [None, [7], [7], [7]])):
        answers = []
        tag = tags[-1]
        passes = relay.hold(b"historian.latest")
        query = target(tags[0], 0, 8, samples=4) + "".join("&tag=" + tag for tag in tags[1:])
        thread = threading.Thread(target=lambda: answers.append(raced.get(query)))
        asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'raced' AND state = 'idle' AND " \
            "query LIKE '%SELECT time, values%FROM historian.downsample%'"
        before = sql(asked)
        thread.start()
        wait_for("the first query", lambda: sql(asked) != before)
        insert(raced.table, [message(3, tag, [7])])
        passes.set()
        relay.held.clear()
        thread.join()
        assert answers[0].status == 200, answers
        found = answers[0].json()
        one = found["series"][-1] if "series" in found else found
        assert one["tagName"] == tag, found
        assert one["samples"] == [{"time": at, "values": values} for at, values in zip((2, 4, 6, 8), samples)], found
    raced.kill()


def test_hint():
    """an unknown method is answered with the methods that there are, as PostgreSQL hints"""
    setup()
    answer = server.get(target("dense", 0, 9, method="nonsense"))
    assert answer.status == 400 and answer.json()["sqlstate"] == "22023", answer
    if "hint" not in answer.json():
        raise Skip("without the extension there is no hint")
    hint = sql("""DO $$ DECLARE hint text; BEGIN
        PERFORM historian.downsample('%s', 'dense', 0, 9, 4, 'nonsense');
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
            CREATE TEMP TABLE seen AS SELECT hint AS text;
        END $$; SELECT text FROM seen""" % server.table)
    assert [[answer.json()["hint"]]] == hint, (answer, hint)
    assert "time_average" in hint[0][0]


def test_last_line():
    """an answer of JSON ends with the end of its line, so that a terminal shows it well"""
    setup()
    for path in (target("dense", 0, 9), target("dense", 0, 9) + "&tag=sparse", "/tags", "/latest",
                 "/api", "/nothing", "/health", "/openapi.json", "/query?q=SHOW+DATABASES"):
        answer = server.get(path)
        assert "json" in answer.headers["content-type"], answer
        assert answer.body.endswith(b"}\n") and not answer.body.endswith(b"\n\n"), (path, answer.body[-20:])
    answer = server.save(b"x", "?partial=true", NDJSON)
    assert answer.status == 207 and answer.body.endswith(b"}\n"), answer


def test_refusals():
    """bad parameters get 400 that names them"""
    setup()
    for query, word in (
            ("start=0&end=1", "tag"), ("tag=a&start=&end=1", "start"), ("tag=a&start=0&end=", "end"),
            ("tag=&start=0&end=1", "tag"), ("tag=" + "x" * 257 + "&start=0&end=1", "tag"),
            ("tag=a&start=1&end=1", "start"), ("tag=a&start=2&end=1", "start"),
            ("tag=a&start=x&end=1", "start"), ("tag=a&start=0&end=1.5", "end"),
            ("tag=a&start=0&end=9223372036854775808", "end"),
            ("tag=a&start=0&end=1&samples=0", "samples"),
            ("tag=a&start=0&end=1&samples=10001", "samples"),
            ("tag=a&start=0&end=1&samples=ten", "samples"),
            ("tag=a&start=0&end=1&time=iso", "time"),
            ("tag=a&start=0&end=1&sample=3", "sample"),
            ("tag=a&tag=&start=0&end=1", "tag"), ("tag=a&tag=%ff&start=0&end=1", "tag"),
            ("&".join(["tag=a"] * 11) + "&start=0&end=1&samples=10000", "number of tags"),
            ("tag=%zz&start=0&end=1", "tag"), ("tag=%ff&start=0&end=1", "tag"),
            ("tag=a%00b&start=0&end=1", "tag"),
            ("tag=dense&start=0&end=1&method=no_such_method", "no_such_method")):
        answer = server.get("/api?" + query)
        assert answer.status == 400, (query, answer)
        assert word in answer.json()["detail"], (query, answer)


def test_head():
    """HEAD has the headers of GET and no body"""
    setup()
    client = server.connect()
    full = client.request("GET", target("dense", 0, 10, samples=3))
    head = client.request("HEAD", target("dense", 0, 10, samples=3))
    assert head.status == 200 and head.headers["content-length"] == str(len(full.body))
    assert client.request("GET", "/livez").body == b"alive\n"


def test_many_at_once():
    """more queries than connections are queued and all answered, in order on a connection"""
    setup()
    client = server.connect()
    for samples in range(1, 101):
        client.send(f"GET {target('dense', 0, 10, samples=samples)} HTTP/1.1\r\n"
                    "Host: x\r\n\r\n".encode())
    for samples in range(1, 101):
        answer = client.answer()
        assert answer.status == 200 and len(json.loads(answer.body)["samples"]) == samples


if __name__ == "__main__":
    run(sys.modules[__name__])
