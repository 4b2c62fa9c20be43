#!/usr/bin/python3
"""Times over HTTP: units, RFC 3339, what is relative to now, and times that are taken for ones in another unit."""
import bisect
import csv
import datetime
import json
import os
import random
import sys
import time
import urllib.parse

from historiand import NDJSON, Server, count, message, ndjson, rows, run, sql
from times import INT64_MAX, INT64_MIN, SECOND, UNITS, of_rfc3339, random_length, random_rfc3339, random_time, to_rfc3339

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


def line(text, tag="a"):
    """A message whose time is JSON text."""
    return f'{{"time":{text},"tag":"{tag}","values":[1]}}'.encode()


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
    for name, stamp in DOUBTED.items():
        answer = server.save(ndjson([message(1, "d", [1]), message(stamp, "d", [1])]), "?ack=committed", NDJSON)
        problem = answer.json()
        assert answer.status == 400 and problem["field"] == "time" and problem["line"] == 2, answer
        date = to_rfc3339(stamp * UNITS[name])
        assert problem["detail"] == (f"line 2: time {stamp} reads as {WORDS[name]} ({date}): give precision={name}, or "
                                     "precision=ns if it is nanoseconds"), problem
        assert count(server.table, "tag = 'd'") == 0
        # Each cure works.
        for cure in (name, "ns"):
            assert saved(server, [message(stamp, f"cure {cure} of {name}", [1])], "&precision=" + cure).status == 204
            assert rows(server.table, f"tag = 'cure {cure} of {name}'")[0][0] == stamp * UNITS[cure]
    for stamp in (0, 1, -1, 10 ** 9, RECENT // 2, -RECENT, RECENT * SECOND, INT64_MIN, INT64_MAX):
        assert server.save(message(stamp, "e", [1])).status == 202, stamp


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
    for name, stamp in DOUBTED.items():
        tag = "point_" + name
        answer = write(server, f"{tag} v=1 {RECENT * SECOND}\n{tag} v=2 {stamp}\n{tag} v=3\n")
        problem = answer.json()
        assert answer.status == 400 and (problem["accepted"], problem["rejected"]) == (2, 1), answer
        assert problem["errors"][0]["line"] == 2 and problem["errors"][0]["field"] == "time", answer
        assert f"the timestamp {stamp} reads as {WORDS[name]}" in problem["detail"] and f"precision={name}," in problem["message"]
        assert count(server.table, f"tag = '{tag}'") == 2
        for cure in (name, "ns"):
            assert write(server, f"cured_{tag}_{cure} v=1 {stamp}\n", f"?precision={cure}").status == 204
            assert rows(server.table, f"tag = 'cured_{tag}_{cure}'")[0][0] == stamp * UNITS[cure]
    assert write(server, f"hours v=1 {RECENT // 3600}\n", "?precision=h").status == 204
    answer = write(server, f"hours v=1 {RECENT}\n", "?precision=h")
    assert answer.status == 400 and f"the timestamp {RECENT}h is outside" in answer.json()["detail"], answer


def test_no_unit_check():
    """--unit-check off takes such times as they are"""
    server = setup(unit_check="off")
    for name, stamp in DOUBTED.items():
        assert saved(server, [message(stamp, name, [1])]).status == 204
        assert write(server, f"p{name} v=1 {stamp}\n").status == 204
    assert [stamp for stamp, _, _ in rows(server.table)] == sorted(list(DOUBTED.values()) * 2)
    assert saved(server, [message(RECENT, "in seconds", [1])], "&precision=s").status == 204
    assert rows(server.table, "tag = 'in seconds'")[0][0] == RECENT * SECOND


def read(server, path, tag="read", **parameters):
    """The answer to a read; parameters that are None are left out."""
    given = {name: value for name, value in {"tag": tag, **parameters}.items() if value is not None}
    return server.get(f"{path}?" + urllib.parse.urlencode(given))


def written(time_ns, form, unit):
    """A time as an answer has it."""
    if form == "rfc3339":
        return to_rfc3339(time_ns)
    return str(time_ns // unit) if form == "string" else time_ns // unit


def fill():
    """Rows of three tags, around the window that tests read; returns [(time, value)] of the first."""
    server = setup()
    if not fill.rows:
        generator = random.Random(SEED + 2)
        fill.rows = sorted({random_time(generator): k for k in range(1000)}.items())
        for tag, few in (("read", fill.rows), ("read/first", fill.rows[:1]), ("read/last", fill.rows[-1:])):
            assert saved(server, [message(time, tag, [k]) for time, k in few], "&precision=ns").status == 204
    return server, fill.rows


fill.rows = []


def random_given(generator, time_ns, unit, start):
    """
    A text for a parameter, the time that it means, and whether that depends on now.  For a start, start is the end as
    (time, whether it depends on now).
    """
    kind = generator.randrange(4)
    if kind == 0:
        return str(time_ns // unit), time_ns // unit * unit, False
    if kind == 1:
        text, length = random_length(generator, most=10 ** 15)
        from_ns, relative = (time.time_ns(), True) if start is None else start
        return f"-{text}", from_ns - length, relative
    if kind == 2:
        text, length = random_length(generator, most=10 ** 15)
        sign = generator.choice("+-")
        return f"now{sign}{text}", time.time_ns() + (length if sign == "+" else -length), True
    return *random_rfc3339(generator, time_ns), False


def test_windows():
    """1,000 random windows in every form: start and end, the times of samples and their values"""
    server, points = fill()
    times_of = [t for t, _ in points]
    generator = random.Random(SEED + 3)
    done = 0
    while done < 1000:
        name, unit = generator.choice(list(UNITS.items()))
        form = generator.choice(("integer", "string", "rfc3339"))
        try:
            end_text, end, end_moves = random_given(generator, random_time(generator), unit, None)
            if end is None:
                continue
            start_text, start, start_moves = random_given(generator, random_time(generator), unit, (end, end_moves))
        except OverflowError:
            continue
        if start is None or not INT64_MIN <= min(start, end) <= max(start, end) <= INT64_MAX - 10 ** 15 or \
                (start_moves or end_moves) and abs(end - start) < 60 * SECOND:
            continue
        done += 1
        asked = {"start": start_text, "end": end_text, "precision": name, "samples": 3, "time": form}
        answer = read(server, "/api", **asked)
        if start >= end:
            assert answer.status == 400 and "before" in answer.json()["detail"], (asked, answer)
            continue
        assert answer.status == 200, (asked, answer)
        body = answer.json()
        # What depends on now is a little later, and is taken from an answer with every digit.
        if start_moves or end_moves:
            body = read(server, "/api", **{**asked, "time": "rfc3339"}).json()
            form = "rfc3339"
            got = of_rfc3339(body["start"]), of_rfc3339(body["end"])
            assert start <= got[0] <= start + start_moves * 60 * SECOND, (asked, body)
            assert end <= got[1] <= end + end_moves * 60 * SECOND, (asked, body)
            start, end = got
        assert (body["start"], body["end"]) == (written(start, form, unit), written(end, form, unit)), (asked, body)
        for i, sample in enumerate(body["samples"], 1):
            at = start + i * (end - start) // 3
            index = bisect.bisect_right(times_of, at) - 1
            assert sample == {"time": written(at, form, unit),
                              "values": [points[index][1]] if index >= 0 else None}, (asked, sample, at)


def test_relative_windows():
    """what is relative is so to now, and start to end; without them the window is the last hour"""
    server, _ = fill()
    hour = 3600 * SECOND
    for parameters, start, end in (
            ({}, -hour, 0), ({"start": "-15m"}, -900 * SECOND, 0), ({"end": "-15m"}, -hour - 900 * SECOND, -900 * SECOND),
            ({"start": "-15m", "end": "-1h"}, -hour - 900 * SECOND, -hour), ({"start": "now-2h"}, -2 * hour, 0),
            ({"start": "now-1h30m", "end": "now"}, -5400 * SECOND, 0), ({"end": "now+1d"}, 23 * hour, 24 * hour),
            ({"start": "-1w", "end": "now-1w"}, -14 * 24 * hour, -7 * 24 * hour), ({"start": "now-1ms1us1ns"}, -1001001, 0)):
        before = time.time_ns()
        answer = read(server, "/api", samples=1, **parameters)
        after = time.time_ns()
        assert answer.status == 200, (parameters, answer)
        body = answer.json()
        assert before + start <= body["start"] <= after + start and before + end <= body["end"] <= after + end, (parameters, body)
        # Both come from one look at the clock.
        assert body["end"] - body["start"] == end - start, (parameters, body)
    body = read(server, "/api", end=str(5 * hour), samples=1).json()
    assert (body["start"], body["end"]) == (4 * hour, 5 * hour)
    body = read(server, "/api", start="-1m", end="2020-03-09T11:14:33.5 01:00", samples=1, time="rfc3339").json()
    assert (body["start"], body["end"]) == ("2020-03-09T10:13:33.5Z", "2020-03-09T10:14:33.5Z"), body
    body = read(server, "/api", end=INT64_MIN + 1, samples=1).json()
    assert (body["start"], body["end"]) == (INT64_MIN, INT64_MIN + 1), body


def test_bad_windows():
    """a start or end that is no time gets 400 with its name and what is wrong"""
    server, _ = fill()
    for text, word in (("", "neither an integer"), ("yesterday", "neither"), ("15m", "neither"), ("+1h", "neither"), ("+15m", "neither"), ("1.5", "neither"), ("1e18", "neither"),
                       ("now-", "1h30m"), ("now-1month", "1h30m"), ("-15", "before"), ("-15x", "1h30m"), ("now-300000w", "292 years"),
                       ("2020-03-09T10:14:33", "offset"), ("2020-02-30T10:14:33Z", "day"), ("2020-03-09T10:14:33.0000000001Z", "nine"),
                       ("3000-01-01T00:00:00Z", "outside"), (2 ** 63, "64-bit"), ("007", "valid integer"), ("now+100000d", "outside")):
        for path in ("/api", "/export"):
            answer = read(server, path, start="0", end=text)
            assert answer.status == 400 and word in answer.json()["detail"], (path, text, answer)
            if word != "before":
                assert 'parameter "end"' in answer.json()["detail"], answer
                answer = read(server, path, start=text)
                assert answer.status == 400 and 'parameter "start"' in answer.json()["detail"], answer
    answer = read(server, "/api", start="-1ns", end=INT64_MIN)
    assert answer.status == 400 and "outside" in answer.json()["detail"], answer
    for name, unit in list(UNITS.items())[1:]:
        answer = read(server, "/api", start=0, end=INT64_MAX // unit + 1, precision=name)
        assert answer.status == 400 and f'parameter "end" {INT64_MAX // unit + 1}{name} is outside' in answer.json()["detail"], answer
    for path in ("/api", "/export", "/latest", "/tags"):
        for name, wrong in (("precision", ("", "m", "n", "NS", "s\0")), ("time", ("", "iso", "RFC3339"))):
            for value in wrong:
                answer = server.get(f"{path}?" + urllib.parse.urlencode([(name, value)]))
                assert answer.status == 400 and f'parameter "{name}"' in answer.json()["detail"], (path, name, value, answer)
            good = f"{name}={'ns' if name == 'precision' else 'string'}"
            answer = server.get(f"{path}?{good}&{good}")
            assert answer.status == 400 and "twice" in answer.json()["detail"], answer


def test_doubted_windows():
    """integers that would be recent in another unit are refused as start and end, too, and --unit-check off takes them"""
    server, _ = fill()
    for name, doubted in DOUBTED.items():
        for path in ("/api", "/export"):
            for which, window in (("end", {"start": 0, "end": doubted}), ("start", {"start": doubted, "end": RECENT * SECOND})):
                detail = read(server, path, **window).json()["detail"]
                assert detail == (f'parameter "{which}" {doubted} reads as {WORDS[name]} ({to_rfc3339(doubted * UNITS[name])}): give '
                                  f"precision={name}, or precision=ns if it is nanoseconds"), detail
            assert read(server, path, start=0, end=doubted, precision="ns").status == 200
        body = read(server, "/api", end=doubted, precision=name, samples=1).json()
        assert body["end"] == doubted and body["start"] == (doubted * UNITS[name] - 3600 * SECOND) // UNITS[name], body
    lenient = setup(unit_check="off")
    assert saved(lenient, [message(1, "read", [1])]).status == 204
    assert read(lenient, "/api", start=0, end=RECENT).status == 200


def test_tags_and_latest():
    """first, last and latest times in every unit and form, rounded down"""
    server, points = fill()
    first, last = points[0], points[-1]
    for name, unit in UNITS.items():
        for form in ("integer", "string", "rfc3339", None):
            asked = urllib.parse.urlencode({"precision": name, **({"time": form} if form else {})})
            rows_of = {row["tag"]: row for row in server.get(f"/tags?prefix=read&{asked}").json()["tags"]}
            assert (rows_of["read"]["first"], rows_of["read"]["last"]) == (
                written(first[0], form, unit), written(last[0], form, unit)), rows_of
            got = server.get(f"/latest?tag=read&tag=read/first&{asked}").json()["latest"]
            assert got == [{"tag": "read", "time": written(last[0], form, unit), "values": [last[1]]},
                           {"tag": "read/first", "time": written(first[0], form, unit), "values": [first[1]]}], got
            one = server.get(f"/tags/read?{asked}").json()
            assert (one["first"], one["last"]) == (written(first[0], form, unit), written(last[0], form, unit)), one
    assert server.get("/latest?tag=read&precision=s").json()["latest"][0]["time"] == last[0] // SECOND
    assert first[0] < 0 and first[0] % SECOND != 0, "a time before 1970 is rounded down, and not towards 1970"


def test_export():
    """exports of random windows in every form, unit and format; without start and end, all"""
    server, points = fill()
    generator = random.Random(SEED + 4)
    for k in range(200):
        name, unit = generator.choice(list(UNITS.items()))
        form = generator.choice(("integer", "string", "rfc3339"))
        kind = generator.choice(("ndjson", "csv"))
        start, end = sorted(random_time(generator) // unit * unit for _ in range(2))
        asked = {"start": start // unit, "end": end // unit} if generator.random() < 0.5 else {
            "start": to_rfc3339(start) if start >= INT64_MIN else None, "end": to_rfc3339(end) if end > start >= INT64_MIN else None}
        asked = {} if k == 0 else {which: text for which, text in asked.items() if text is not None and generator.random() < 0.8}
        if start < INT64_MIN or start == end:
            continue
        expected = [(written(time_ns, form, unit), value) for time_ns, value in points
                    if ("start" not in asked or time_ns >= start) and ("end" not in asked or time_ns < end)]
        columns = generator.choice(("array", "named")) if kind == "csv" else None
        answer = read(server, "/export", precision=name, format=kind, time=form, columns=columns, **asked)
        assert answer.status == 200, (asked, answer)
        if kind == "csv":
            lines = list(csv.reader(answer.body.decode().splitlines()))
            assert lines[0][:2] == ["time", "tag"], lines[0]
            got = [(row[0] if form != "integer" else int(row[0]), int(row[2].strip("{}"))) for row in lines[1:]]
        else:
            got = [(row["time"], row["values"][0]) for row in map(json.loads, answer.body.splitlines())]
        assert got == expected, (asked, name, form, kind, got[:3], expected[:3])
    # Without an end, what is relative is so to now.
    count_of = len(read(server, "/export", start="-3d").body.splitlines())
    assert count_of == sum(time_ns >= time.time_ns() - 3 * 86400 * SECOND for time_ns, _ in points)


def test_binary_export():
    """COPY BINARY has nanoseconds: other forms are refused, other windows are not"""
    server, _ = fill()
    for name, value in (("precision", "s"), ("time", "rfc3339"), ("time", "string")):
        answer = read(server, "/export", format="binary", **{name: value})
        assert answer.status == 400 and f'parameter "{name}"' in answer.json()["detail"], answer
    whole = read(server, "/export", format="binary").body
    assert read(server, "/export", format="binary", precision="ns", time="integer").body == whole
    assert read(server, "/export", format="binary", start="1677-09-21T00:12:43.145224192Z").body == whole


def test_exported_again():
    """what was exported with rfc3339 times can be posted again, and is the same"""
    server, _ = fill()
    lines = read(server, "/export", time="rfc3339").body.replace(b'"tag":"read"', b'"tag":"again"')
    assert server.save(lines, "?ack=committed", NDJSON).status == 204
    assert read(server, "/export", tag="again").body == read(server, "/export").body.replace(b'"tag":"read"', b'"tag":"again"')


def test_steps():
    """random steps, aligned or not, against the periods that Python makes of the window: last, and counts"""
    server, points = fill()
    times_of = [t for t, _ in points]
    generator = random.Random(SEED + 5)
    for _ in range(300):
        step_text, step = random_length(generator, most=10 ** generator.randint(6, 17))
        if step == 0:
            continue
        near = generator.choice(times_of)
        start = min(max(near - generator.randrange(step * 20), INT64_MIN + 2 * step), INT64_MAX - 2 * step - 1)
        end = min(start + generator.randrange(1, step * 40), INT64_MAX - 2 * step)
        aligned = generator.random() < 0.5
        asked = {"start": start, "end": end, "step": step_text, "precision": "ns"}
        if aligned:
            asked["align"] = "true"
            start, end = start // step * step, -(-end // step) * step
        elif generator.random() < 0.3:
            asked["align"] = "false"
        edges = [start] + [min(start + i * step, end) for i in range(1, -(-(end - start) // step) + 1)]
        last = read(server, "/api", **asked)
        assert last.status == 200, (asked, last)
        body = last.json()
        assert (body["start"], body["end"]) == (start, end), (asked, body)
        expected = []
        for at in edges[1:]:
            index = bisect.bisect_right(times_of, at) - 1
            expected.append({"time": at, "values": [points[index][1]] if index >= 0 else None})
        assert body["samples"] == expected, (asked, body["samples"][:3], expected[:3])
        if aligned:
            assert all(sample["time"] % step == 0 for sample in body["samples"]), body
        counts = read(server, "/api", method="count", **asked).json()["samples"]
        assert [(c["time"], (c["values"] or [0])[0]) for c in counts] == [
            (until, bisect.bisect_right(times_of, until) - bisect.bisect_right(times_of, after))
            for after, until in zip(edges, edges[1:])], (asked, counts)
        # Of several tags the periods are the same, and a tag without samples in the window has its series.
        both = read(server, "/api", tag="read", **asked, time="string")
        several = server.get("/api?tag=read/last&tag=read/first&tag=read&time=string&" + urllib.parse.urlencode(asked)).json()
        assert several["series"][0] == {"tagName": "read", "samples": both.json()["samples"]}, several
        assert [one["tagName"] for one in several["series"]] == ["read", "read/first", "read/last"], several


def test_aligned_now():
    """steps of a minute that end now: the last period is cut at now; aligned, it ends with the minute"""
    server, _ = fill()
    minute = 60 * SECOND
    before = time.time_ns()
    body = read(server, "/api", start="-1h", step="1m").json()
    assert len(body["samples"]) == 60 and body["samples"][-1]["time"] == body["end"] and body["end"] >= before, body
    body = read(server, "/api", start="-1h", step="1m", align="true", precision="s", time="rfc3339").json()
    stamps = [of_rfc3339(sample["time"]) for sample in body["samples"]]
    assert stamps == list(range(stamps[0], stamps[0] + len(stamps) * minute, minute)) and stamps[0] % minute == 0, stamps
    assert len(stamps) in (60, 61) and stamps[-1] >= before and body["end"] == body["samples"][-1]["time"], body
    for step, days, weekday in (("1d", 1, None), ("24h", 1, None), ("1w", 7, 3), ("7d", 7, 3)):
        body = read(server, "/api", start="2020-03-01T10:00:00+09:00", end="2020-03-31T10:00:00-05:00", step=step, align="true",
                    time="rfc3339").json()
        # days begin at midnight in UTC, and weeks on Thursday
        at = [datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) for text in
              [body["start"]] + [sample["time"] for sample in body["samples"]]]
        assert all(one.time() == datetime.time() and weekday in (None, one.weekday()) for one in at), body
        assert {b - a for a, b in zip(at, at[1:])} == {datetime.timedelta(days=days)}, body
    body = read(server, "/api", start="2020-03-09T10:14:33Z", end="2020-03-09T12:00:00Z", step="30m", time="rfc3339").json()
    assert [sample["time"] for sample in body["samples"]] == [
        "2020-03-09T10:44:33Z", "2020-03-09T11:14:33Z", "2020-03-09T11:44:33Z", "2020-03-09T12:00:00Z"], body


def test_bad_steps():
    """step and samples together, lengths that are none, and too many periods get 400"""
    server, _ = fill()
    window = {"start": 0, "end": 10 ** 15, "precision": "ns"}
    for parameters, word in (
            ({"step": "1h", "samples": 5}, "give one"), ({"step": "60"}, "such as 1h30m"), ({"step": ""}, "such as 1h30m"),
            ({"step": "-1h"}, "such as 1h30m"), ({"step": "1.5h"}, "such as 1h30m"), ({"step": "0s"}, "longer than 0"),
            ({"step": "1month"}, "such as 1h30m"), ({"step": "99999w"}, "292 years"), ({"step": "1ns"}, "more than 10000 periods"),
            ({"step": "99s"}, "more than 10000 periods"), ({"align": "true"}, 'needs "step"'), ({"step": "1h", "align": "yes"}, "true or false"),
            ({"step": "1h", "align": ""}, "true or false"), ({"align": "true", "samples": 3}, 'needs "step"'),
            ({"step": "15000w", "align": "true", "start": INT64_MIN, "end": INT64_MAX}, "64 bits"),
            ({"step": "1ns", "start": INT64_MIN, "end": INT64_MAX}, "more than 10000 periods")):
        answer = read(server, "/api", **{**window, **parameters})
        assert answer.status == 400 and word in answer.json()["detail"], (parameters, answer)
    assert len(read(server, "/api", **window, step="100s").json()["samples"]) == 10000
    assert len(read(server, "/api", **{**window, "end": 10 ** 15 - 1}, step="100s").json()["samples"]) == 10000
    answer = server.get("/api?" + "&".join(["tag=read"] * 11) + "&" + urllib.parse.urlencode({**window, "step": "100s"}))
    assert answer.status == 400 and "number of tags" in answer.json()["detail"], answer
    whole = read(server, "/api", start=INT64_MIN, end=INT64_MAX, step="15000w", precision="ns").json()["samples"]
    assert [sample["time"] for sample in whole] == [INT64_MIN + 15000 * 7 * 86400 * SECOND, INT64_MIN + 30000 * 7 * 86400 * SECOND,
                                                    INT64_MAX], whole


def test_what_is_wrong():
    """a date without a time, a start that is not before now, and one line: the errors say what to do, in good grammar"""
    server = Server()
    assert server.save(b'{"time": 1, "tag": "a", "values": [1]}', "?ack=committed").status == 204
    for target, said in (("start=2026-01-01", "date, time of day and zone, such as"), ("start=2026-01-01T00:00:00", "must end with Z, or with an offset"),
                         ("start=now%2B1h", '"start" is not before now, which "end" is unless it is given'), ("start=2&end=1", 'must be before "end"')):
        answer = server.get("/api?tag=a&precision=ns&" + target)
        assert answer.status == 400 and said in answer.json()["detail"], answer
    assert "1 point was stored, 1 line was not" in server.request("POST", "/write", b"a b=1 1\nbad").json()["detail"]
    assert "2 points were stored, 2 lines were not" in server.request("POST", "/write", b"a b=1 1\nbad\na b=2 2\nbad").json()["detail"]


if __name__ == "__main__":
    run(sys.modules[__name__])
