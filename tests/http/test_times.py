#!/usr/bin/python3
"""Times over HTTP: units, RFC 3339, what is relative to now, and times that are taken for ones in another unit."""
import json
import os
import random
import sys

from historiand import NDJSON, Server, count, message, ndjson, rows, run, sql
from times import INT64_MAX, INT64_MIN, SECOND, UNITS, random_rfc3339, random_time, to_rfc3339

SEED = int(os.environ.get("SEED", random.randrange(2 ** 32)))
RECENT = 1583748873
DOUBTED = {"s": RECENT, "ms": RECENT * 10 ** 3 + 7, "us": RECENT * 10 ** 6 + 7}
WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds"}

servers = {}


def setup(**settings):
    """A server for these settings; the first one is made with none."""
    key = tuple(settings.items())
    if key not in servers:
        servers[key] = Server(**settings)
    return servers[key]


def saved(server, messages, query=""):
    return server.save(ndjson(messages), "?ack=committed" + query, NDJSON)


def line(time, tag="a"):
    """A message whose time is JSON text."""
    return f'{{"time":{time},"tag":"{tag}","values":[1]}}'.encode()


def stored(server, tag):
    """Times by tag's number: a message k of a test has the value k."""
    return {int(float(value)): int(time) for value, time in
            sql(f"SELECT values[1], time FROM {server.table} WHERE tag = '{tag}'")}


def test_saved_units():
    """random times of every unit are stored as nanoseconds, to the last that fit"""
    print(f"# seed {SEED}")
    server = setup()
    generator = random.Random(SEED)
    for name, unit in UNITS.items():
        counts = {random_time(generator) // unit for _ in range(250)} | {0, 1, -1, INT64_MAX // unit, -(INT64_MAX // unit)}
        counts = [count for count in counts if INT64_MIN <= count * unit <= INT64_MAX]
        answer = saved(server, [message(count, "in " + name, [k]) for k, count in enumerate(counts)], f"&precision={name}")
        assert answer.status == 204, answer
        assert stored(server, "in " + name) == {k: count * unit for k, count in enumerate(counts)}
        if unit == 1:
            continue
        for beyond in (INT64_MAX // unit + 1, -(INT64_MAX // unit) - 1):
            answer = server.save(message(beyond, "a", [1]), f"?precision={name}")
            assert answer.status == 400 and answer.json()["field"] == "time", answer
            assert f"time {beyond}{name} is outside" in answer.json()["detail"], answer
    # Who gives the wrong unit is told the one that it looks like.
    answer = server.save(message(RECENT * 1000, "a", [1]), "?precision=s")
    assert answer.status == 400 and "it reads as milliseconds" in answer.json()["detail"], answer


def test_saved_rfc3339():
    """random times as RFC 3339 are stored as datetime reads them, beside integers, whatever precision= says"""
    server = setup()
    generator = random.Random(SEED + 1)
    good, bad = {}, []
    while len(good) < 1000:
        try:
            text, time_ns = random_rfc3339(generator, random_time(generator))
        except OverflowError:
            continue
        if time_ns is None:
            bad.append(text)
        else:
            good[text] = time_ns
    for query in ("", "&precision=s"):
        tag = "text" + query
        lines = [message(text, tag, [k]) for k, text in enumerate(good)]
        lines += [message(7, tag, [len(good)])]
        assert saved(server, lines, query).status == 204
        # Of two texts of one time the later message stays.
        last = {}
        for k, time_ns in enumerate(good.values()):
            last[time_ns] = k
        expected = {k: time_ns for time_ns, k in last.items()}
        expected[len(good)] = 7 * (SECOND if query else 1)
        assert stored(server, tag) == expected
    for text in bad:
        answer = server.save(message(text, "a", [1]))
        assert answer.status == 400 and "outside" in answer.json()["detail"], answer
    # JSON may spell any character as an escape.
    assert server.save(b'{"time":"2020-02-29\\u005423:59:60.5\\u005a","tag":"a","values":[1]}').status == 202


BAD = [
    ('"2020-03-09T10:14:33"', "no offset from UTC"), ('"2020-03-09"', "RFC 3339"), ('"now"', "RFC 3339"), ('""', "RFC 3339"),
    ('"2020-03-09T10:14:33.1234567891Z"', "nine digits"), ('"2021-02-29T00:00:00Z"', "day that does not exist"),
    ('"2020-03-09T10:14:60Z"', "leap second"), ('"1677-09-21T00:12:43.145224191Z"', "outside"),
    ('"2262-04-11T23:47:16.854775808Z"', "outside"), ('"1583748873"', "integer"), ('"-5"', "integer"),
    ('"2020-03-09T10:14:33 01:00"', "RFC 3339"), (f'"{"2" * 5000}"', "integer"), ('"2020-03-09T10:14:33\\u0000Z"', "RFC 3339"),
    ('"2020-03-09T10:14:33Z\\x"', "escape"), ('"2020-03-09\tT10:14:33Z"', "valid string"), ('"\\u0032' + "0" * 70 + '"', "RFC 3339"),
    ("1583748873.5", "integer"), ("1e9", "integer"), ("null", "integer"), ("true", "integer"), ("[1]", "integer"), ("{}", "integer"),
]


def test_bad_times():
    """a time that is none gets 400 with the field and the reason, and nothing of its body is stored"""
    server = setup()
    for text, word in BAD:
        answer = server.save(line(5, "neighbour") + b"\n" + line(text, "bad"), "?ack=committed&precision=us", NDJSON)
        assert answer.status == 400, (text, answer)
        problem = answer.json()
        assert problem["field"] == "time" and problem["line"] == 2 and word in problem["detail"], (text, problem)
    assert count(server.table, "tag IN ('neighbour', 'bad')") == 0
    partial = server.save(b"\n".join(line(text, "bad") for text, _ in BAD) + b"\n" + line(5, "neighbour"),
                          "?ack=committed&partial=true&precision=us", NDJSON)
    assert partial.status == 207 and [error["field"] for error in partial.json()["errors"]] == ["time"] * len(BAD), partial
    assert rows(server.table, "tag IN ('neighbour', 'bad')") == [(5000, "neighbour", "{1}")]


def test_precision_parameter():
    """precision is one of four names, given once"""
    server = setup()
    for query in ("?precision=", "?precision=m", "?precision=S", "?precision=n", "?precision=sec", "?precision=s%00",
                  "?precision=s&precision=s"):
        answer = server.save(message(5, "a", [1]), query)
        assert answer.status == 400 and "precision" in answer.json()["detail"], (query, answer)


def test_doubted_messages():
    """a time that would be recent in s, ms or us is refused with the unit and the cure, and nothing is stored"""
    server = setup()
    for name, time in DOUBTED.items():
        answer = server.save(ndjson([message(1, "d", [1]), message(time, "d", [1])]), "?ack=committed", NDJSON)
        problem = answer.json()
        assert answer.status == 400 and problem["field"] == "time" and problem["line"] == 2, answer
        date = to_rfc3339(time * UNITS[name])
        assert problem["detail"] == (f"line 2: time {time} reads as {WORDS[name]} ({date}): give precision={name}, or "
                                     "precision=ns if it is nanoseconds"), problem
        assert count(server.table, "tag = 'd'") == 0
        # Each cure works.
        for cure in (name, "ns"):
            assert saved(server, [message(time, f"cure {cure} of {name}", [1])], "&precision=" + cure).status == 204
            assert rows(server.table, f"tag = 'cure {cure} of {name}'")[0][0] == time * UNITS[cure]
    for time in (0, 1, -1, 10 ** 9, RECENT // 2, -RECENT, RECENT * SECOND, INT64_MIN, INT64_MAX):
        assert server.save(message(time, "e", [1])).status == 202, time


def test_doubts_end_tomorrow():
    """times of the last hours are doubted in each unit, those of the year after next are not, nor is 2009"""
    server = setup()
    now = int(sql("SELECT extract(epoch FROM now())::bigint")[0][0])
    for unit in (SECOND, 10 ** 6, 10 ** 3):
        for seconds, status in ((now, 400), (now - 3600, 400), (now + 7200, 400), (now + 2 * 366 * 86400, 202),
                                (1262304000, 400), (1262303999, 202)):
            answer = server.save(message(seconds * (SECOND // unit), "now", [1]))
            assert answer.status == status, (seconds, unit, answer)


def write(server, body, query=""):
    return server.request("POST", "/write" + query, body.encode())


def test_doubted_points():
    """POST /write refuses such points, stores the others, and names the cure"""
    server = setup()
    for name, time in DOUBTED.items():
        tag = "point_" + name
        answer = write(server, f"{tag} v=1 {RECENT * SECOND}\n{tag} v=2 {time}\n{tag} v=3\n")
        problem = answer.json()
        assert answer.status == 400 and (problem["accepted"], problem["rejected"]) == (2, 1), answer
        assert problem["errors"][0]["line"] == 2 and problem["errors"][0]["field"] == "time", answer
        assert f"the timestamp {time} reads as {WORDS[name]}" in problem["detail"] and f"precision={name}," in problem["message"]
        assert count(server.table, f"tag = '{tag}'") == 2
        for cure in (name, "ns"):
            assert write(server, f"cured_{tag}_{cure} v=1 {time}\n", f"?precision={cure}").status == 204
            assert rows(server.table, f"tag = 'cured_{tag}_{cure}'")[0][0] == time * UNITS[cure]
    assert write(server, f"hours v=1 {RECENT // 3600}\n", "?precision=h").status == 204
    answer = write(server, f"hours v=1 {RECENT}\n", "?precision=h")
    assert answer.status == 400 and f"the timestamp {RECENT}h is outside" in answer.json()["detail"], answer


def test_no_unit_check():
    """--unit-check off takes such times as they are"""
    server = setup(unit_check="off")
    for name, time in DOUBTED.items():
        assert saved(server, [message(time, name, [1])]).status == 204
        assert write(server, f"p{name} v=1 {time}\n").status == 204
    assert [time for time, _, _ in rows(server.table)] == sorted(list(DOUBTED.values()) * 2)
    assert saved(server, [message(RECENT, "in seconds", [1])], "&precision=s").status == 204
    assert rows(server.table, "tag = 'in seconds'")[0][0] == RECENT * SECOND


if __name__ == "__main__":
    run(sys.modules[__name__])
