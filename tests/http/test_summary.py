#!/usr/bin/python3
"""GET /summary: what the samples of a window amount to, against Python's own statistics of what was sent."""
import math
import os
import random
import statistics
import sys
import urllib.parse

from historiand import NDJSON, Server, insert, message, ndjson, new_table, run, sql

SEED = int(os.environ.get("SEED", random.randrange(2 ** 32)))
DEFAULTS = ["0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99"]
server = Server()


def summary(tag, start, end, more="", where=None):
    return (where or server).get(f"/summary?tag={urllib.parse.quote(tag, safe='')}&start={start}&end={end}{more}")


def quantile(ordered, fraction):
    """As percentile_cont: between the two nearest values on a line."""
    place = fraction * (len(ordered) - 1)
    low = math.floor(place)
    high = math.ceil(place)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def close(a, b):
    return math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)


def check(answered, columns, fractions):
    """Compares the values of an answer with lists of what each value was."""
    assert [value["value"] for value in answered] == list(range(1, len(columns) + 1)), answered
    for value, column in zip(answered, columns):
        known = sorted(v for v in column if v is not None)
        assert value["count"] == len(known), (value, known)
        if not known:
            assert [value[name] for name in ("min", "max", "mean", "stddev")] == [None] * 4, value
            continue
        assert (value["min"], value["max"]) == (known[0], known[-1]), value
        assert close(value["mean"], statistics.fmean(known)), (value, statistics.fmean(known))
        if len(known) > 1:
            assert close(value["stddev"], statistics.stdev(known)), (value, statistics.stdev(known))
        assert list(value["quantiles"]) == fractions, value
        for fraction in fractions:
            assert close(value["quantiles"][fraction], quantile(known, float(fraction))), (fraction, value)
        different = len(set(known))
        assert different <= 1024 and value["distinct"] == different, (value, different)


def test_random():
    """count, min, max, mean, stddev, quantiles and distinct are those of what was sent, for random windows"""
    generator = random.Random(SEED)
    print(f"# SEED={SEED}")
    sent = {}
    for tag in ("a", "b/ü \"x\"", "c"):
        sent[tag] = {generator.randrange(2000): [generator.choice([None, generator.randrange(9)]), generator.gauss(20, 3), generator.random()][:generator.randrange(4)]
                     for _ in range(1500)}
        body = ndjson([message(t, tag, v) for t, v in sent[tag].items()])
        assert server.save(body, "?ack=committed", NDJSON).status == 204
    for _ in range(60):
        tag = generator.choice(list(sent))
        start = generator.randrange(0, 1500)
        end = start + generator.randrange(200, 1000)
        within = [v for t, v in sent[tag].items() if start <= t < end]
        columns = [[v[k] if k < len(v) else None for v in within] for k in range(max(len(v) for v in within))]
        chosen = generator.choice([None, ["0.5"], ["0", "1"], ["0.9", "0.1", "0.123"]])
        answer = summary(tag, start, end, "" if chosen is None else "&quantiles=" + ",".join(chosen))
        assert answer.status == 200 and answer.headers["content-type"] == "application/json", answer
        got = answer.json()
        assert (got["tagName"], got["start"], got["end"]) == (tag, start, end), got
        check(got["values"], columns, chosen or DEFAULTS)


def test_names():
    """names and units are there where metadata has them; times as other reads have them"""
    assert server.request("PUT", "/tags/boiler", '{"names": ["temperature", null, "p\\"q"], "units": ["°C"]}'.encode(),
                          {"Content-Type": "application/json"}).status == 204
    rows = [message(1583748000 + t, "boiler", [t, 2, 3, 4]) for t in range(10)]
    assert server.save(ndjson(rows), "?ack=committed&precision=s", NDJSON).status == 204
    got = summary("boiler", "2020-03-09T10:00:00Z", "2020-03-09T10:00:05Z", "&time=rfc3339").json()
    assert (got["start"], got["end"]) == ("2020-03-09T10:00:00Z", "2020-03-09T10:00:05Z"), got
    assert [(v.get("name"), v.get("unit"), v["count"]) for v in got["values"]] == \
        [("temperature", "°C", 5), (None, None, 5), ('p"q', None, 5), (None, None, 5)], got
    got = summary("boiler", 1583748000, 1583748002, "&precision=s&quantiles=0.5").json()
    assert got["start"] == 1583748000 and got["values"][0]["quantiles"] == {"0.5": 0.5}, got
    # a window without samples, and the last hour
    assert summary("boiler", 5, 6).json() == {"tagName": "boiler", "start": 5, "end": 6, "values": []}
    got = server.get("/summary?tag=boiler&time=string").json()
    assert got["values"] == [] and int(got["end"]) - int(got["start"]) == 3600 * 10 ** 9, got
    # of the answer the client has already
    answer = summary("boiler", 5, 6)
    again = server.request("GET", "/summary?tag=boiler&start=5&end=6", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status == 304, again


def test_not_finite():
    """NaN and infinities, which only SQL can have stored, are null; so is what a single value has not"""
    insert(server.table, [{"time": 1, "tag": "odd", "values": ["NaN", "Infinity", 1]}])
    first, second, third = summary("odd", 0, 9, "&quantiles=0.5").json()["values"]
    assert (first["count"], first["max"], first["mean"]) == (1, None, None), first
    assert (second["count"], second["max"], second["quantiles"]) == (1, None, {"0.5": None}), second
    assert (third["min"], third["stddev"], third["quantiles"], third["distinct"]) == (1, None, {"0.5": 1}, 1), third


def test_errors():
    """what is wrong is named; a tag that was never stored is 404"""
    answer = summary("never", 0, 9)
    assert answer.status == 404 and answer.headers["content-type"] == "application/problem+json", answer
    for target, part in (("/summary", '"tag" is missing'), ("/summary?tag=a&tag=b", "twice"), ("/summary?tag=a&samples=5", "unknown"),
                         ("/summary?tag=a&start=5&end=5", '"start" must be before'), ("/summary?tag=a&start=1583748873", "precision=s"),
                         ("/summary?tag=a&start=0&end=9&quantiles=", "quantiles"), ("/summary?tag=a&start=0&end=9&quantiles=x", "quantiles"),
                         ("/summary?tag=a&start=0&end=9&quantiles=" + ",".join(["0.5"] * 101), "quantiles"),
                         ("/summary?tag=a&start=0&end=9&quantiles=0.5%27)%3B", "quantiles"),
                         ("/summary?tag=a&start=0&end=9&quantiles=1.5", ""), ("/summary?tag=a&start=0&end=9&quantiles=.", ""),
                         ("/summary?tag=a&start=0&end=9&quantiles=0.5,,0.6", "")):
        answer = server.get(target)
        assert answer.status == 400 and part in answer.json()["detail"], (target, answer)
    heap = Server(table=new_table("heap"))
    answer = summary("a", 0, 9, where=heap)
    assert answer.status == 422 and answer.json()["sqlstate"], answer


if __name__ == "__main__":
    run(sys.modules[__name__])
