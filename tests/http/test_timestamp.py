#!/usr/bin/python3
"""The server's module of times, proxy/base/timestamp, against Python's datetime and Decimal."""
import datetime
import os
import random
import re
import subprocess
import sys

import times
from historiand import HERE, run
from times import INT64_MAX, INT64_MIN, SECOND, UNITS, of_rfc3339, random_length, random_rfc3339, random_time, \
    to_rfc3339

SEED = int(os.environ.get("SEED", random.randrange(2 ** 32)))
NOW = 1795000000 * SECOND + 7


def ask(requests):
    """The program's answers to lines, one for each; numbers as int."""
    subprocess.run(["make", "-s", "-C", os.path.join(HERE, "unit")], check=True)
    done = subprocess.run([os.path.join(HERE, "../../build/http-unit/timestamps")], text=True, capture_output=True,
                          input="".join(line + "\n" for line in requests), check=False)
    assert done.returncode == 0, done.stderr
    answers = done.stdout.splitlines()
    assert len(answers) == len(requests), (len(answers), len(requests))
    return [int(answer) if re.fullmatch(r"-?\d+", answer) else answer for answer in answers]


def check(pairs):
    """pairs: (request, what it gives; None: it is refused)"""
    for (request, expected), answer in zip(pairs, ask([request for request, _ in pairs])):
        assert (str(answer).startswith("wrong: ") if expected is None else answer == expected), (
            request, answer, expected)


def refused(pairs):
    """pairs: (request, a word in what is wrong with it)"""
    for (request, word), answer in zip(pairs, ask([request for request, _ in pairs])):
        assert str(answer).startswith("wrong: ") and word in answer, (request, answer, word)


def parameter(text, now=NOW, start=0, unit=1, doubt=0):
    return f"read {now} {start} {unit} {doubt} {text}"


def test_rfc3339():
    """random times with offsets and 0 to 9 digits are read as datetime reads them"""
    print(f"# seed {SEED}")
    generator = random.Random(SEED)
    pairs = []
    while len(pairs) < 20000:
        try:
            pairs.append(random_rfc3339(generator, random_time(generator)))
        except OverflowError:
            continue
    assert any(expected is None for _, expected in pairs)
    check([("rfc3339 " + text, expected) for text, expected in pairs])
    check([(parameter(text), expected) for text, expected in pairs])
    # A form decodes a plus to a space.
    check([(parameter(text.replace("+", " ")), expected) for text, expected in pairs])


def test_written():
    """random times are written as datetime writes them, with as many digits as needed"""
    generator = random.Random(SEED + 1)
    written = [random_time(generator) // 10 ** digits * 10 ** digits for digits in range(10) for _ in range(500)]
    written = [time_ns for time_ns in written if time_ns >= INT64_MIN]
    check([(f"write {time_ns}", to_rfc3339(time_ns)) for time_ns in written])
    check([(f"rfc3339 {to_rfc3339(time_ns)}", time_ns) for time_ns in written])


def test_every_day():
    """every day from 1677 to 2262 is read and written, with all leap days"""
    day = datetime.date(1677, 9, 22)
    pairs = []
    while day <= datetime.date(2262, 4, 11):
        time_ns = (day - datetime.date(1970, 1, 1)).days * 86400 * SECOND
        pairs += [(f"rfc3339 {day}T00:00:00Z", time_ns), (f"write {time_ns}", f"{day}T00:00:00Z")]
        day += datetime.timedelta(days=1)
    check(pairs)


def test_ends():
    """the first and the last time of 64 bits, and the nanosecond beyond each"""
    check([("rfc3339 1677-09-21T00:12:43.145224192Z", INT64_MIN), ("rfc3339 1677-09-21T00:12:43.145224191Z", None),
           ("rfc3339 2262-04-11T23:47:16.854775807Z", INT64_MAX), ("rfc3339 2262-04-11T23:47:16.854775808Z", None),
           ("rfc3339 1677-09-20T23:12:43.145224192-01:00", INT64_MIN),
           ("rfc3339 2262-04-12T23:46:16.854775807+23:59", INT64_MAX),
           ("rfc3339 0000-02-29T00:00:00Z", None), ("rfc3339 9999-12-31T23:59:59Z", None),
           (f"write {INT64_MIN}", "1677-09-21T00:12:43.145224192Z"),
           (f"write {INT64_MAX}", "2262-04-11T23:47:16.854775807Z")])


def test_leap_seconds():
    """second 60 is the next day's first one where a month ends in UTC, and refused elsewhere"""
    new_year = of_rfc3339("2017-01-01T00:00:00Z")
    check([("rfc3339 2016-12-31T23:59:60Z", new_year), ("rfc3339 2016-12-31T23:59:60.25Z", new_year + SECOND // 4),
           ("rfc3339 2017-01-01T00:59:60+01:00", new_year), ("rfc3339 2016-12-31T15:29:60-08:30", new_year),
           ("rfc3339 2015-06-30T23:59:60Z", of_rfc3339("2015-07-01T00:00:00Z")),
           ("rfc3339 1972-02-29T23:59:60Z", of_rfc3339("1972-03-01T00:00:00Z"))])
    refused([(f"rfc3339 {text}", "second 60") for text in (
        "2016-12-31T23:59:60+01:00", "2016-12-31T22:59:60Z", "2016-12-30T23:59:60Z", "2016-02-28T23:59:60Z",
        "2016-12-31T23:58:60Z", "2017-01-01T00:00:60Z")])


def test_not_rfc3339():
    """what is not RFC 3339 is refused, and it is said what is missing"""
    refused([("rfc3339 " + text, word) for text, word in (
        ("2020-03-09T10:14:33", "offset"), ("2020-03-09T10:14:33.5", "offset"), ("2020-03-09 10:14:33", "offset"),
        ("2020-03-09T10:14:33.1234567891Z", "nine digits"), ("2020-03-09T10:14:33.0000000000Z", "nine digits"),
        ("2021-02-29T10:14:33Z", "day"), ("1900-02-29T10:14:33Z", "day"), ("2020-13-01T10:14:33Z", "day"),
        ("2020-00-01T10:14:33Z", "day"), ("2020-01-00T10:14:33Z", "day"), ("2020-04-31T10:14:33Z", "day"),
        ("2020-03-09T24:00:00Z", "hour"), ("2020-03-09T23:60:00Z", "hour"), ("2020-03-09T23:59:61Z", "second"),
        ("2020-03-09T10:14:33+24:00", "offset"), ("2020-03-09T10:14:33+01:60", "offset"),
        *((text, "not an RFC 3339 time") for text in (
            "", "x", "2020-03-09", "2020-03-09T10:14Z", "2020-3-9T10:14:33Z", "20200309T101433Z", "2020-03-09T10:14:33.Z",
            "2020-03-09T10:14:33,5Z", "2020-03-09T10:14:33ZZ", "2020-03-09T10:14:33Z ", " 2020-03-09T10:14:33Z",
            "2020-03-09T10:14:33+01", "2020-03-09T10:14:33+0100", "2020-03-09T10:14:33+01:00Z",
            "2020-03-09T10:14:33 01:00", "2020-03-09T10:14:33+1:00", "+020-03-09T10:14:33Z", "2020-03-09T10:14:33 Z",
            "2020-03-09X10:14:33Z", "2020-03-09T10:14:3\u0663Z", "-2020-03-09T10:14:33Z")))])
    # Any text cut short, and any with one byte more, is refused, and nothing beyond it is read.
    whole = "2020-03-09T10:14:33.123456789+01:00"
    check([(f"rfc3339 {whole[:length]}", None) for length in range(len(whole))] + [(f"rfc3339 {whole}0", None)])


def test_lengths():
    """random lengths are the sums of their parts"""
    generator = random.Random(SEED + 2)
    pairs = [random_length(generator) for _ in range(3000)]
    check([("length " + text, expected) for text, expected in pairs])
    check([("length 1h30m", 5400 * SECOND), ("length 0s", 0), ("length 1m1m", 120 * SECOND), ("length 1ms1m1us1s1ns", 61001001001),
           ("length 9223372036854775807ns", INT64_MAX), ("length 15250w", 15250 * 7 * 86400 * SECOND)])
    refused([("length " + text, "292 years") for text in (
        "9223372036854775808ns", "99999999999999999999999s", "9223372036854775807ns1ns", "15251w", "9223372036854775807w")])
    refused([("length " + text, "such as 1h30m") for text in (
        "", "1", "h", "1x", "1 h", "1h 30m", "1.5h", "-1h", "+1h", "1H", "1hm", "1h30", "1mo", "1y", "1µs", " 1h", "1h ")])


def test_relative():
    """now, lengths before and after it, and lengths before another time"""
    generator = random.Random(SEED + 3)
    pairs = [(parameter("now"), NOW)]
    for _ in range(3000):
        text, length = random_length(generator)
        start = random_time(generator)
        pairs += [(parameter("now-" + text), NOW - length), (parameter("now+" + text), NOW + length),
                  (parameter("now " + text), NOW + length),
                  (parameter("-" + text, start=start), start - length if start - length >= INT64_MIN else None)]
    check(pairs)
    refused([(parameter(text), "neither") for text in (
        "", "x", "nowadays", "now1h", "NOW", "yesterday", "15m", "+15m", "1e18", "1.5", "0x10", " 5")])
    refused([(parameter(text), "such as 1h30m") for text in ("now-", "now-5", "now--5m", "-", "-5x", "-5m5", "now- 5m")])
    refused([(parameter("now-292w", now=INT64_MIN), "outside"), (parameter("now+1ns", now=INT64_MAX), "outside"),
             (parameter("-1ns", start=INT64_MIN), "outside")])


def test_integers():
    """integers in every unit, to the last that fits 64 bits of nanoseconds"""
    generator = random.Random(SEED + 4)
    pairs = []
    for name, unit in UNITS.items():
        for _ in range(1000):
            count = random_time(generator) // generator.choice((1, unit, 1000))
            fits = INT64_MIN <= count * unit <= INT64_MAX
            pairs.append((parameter(count, unit=unit), count * unit if fits else None))
        for count in (INT64_MAX // unit, -(INT64_MAX // unit), 0, 1, -1):
            pairs.append((parameter(count, unit=unit), count * unit))
        if unit > 1:
            pairs += [(parameter(count, unit=unit), None) for count in (
                INT64_MAX // unit + 1, -(INT64_MAX // unit) - 1, INT64_MIN, INT64_MAX)]
        assert f"{INT64_MAX}{name}" in str(ask([parameter(INT64_MAX, unit=unit)])[0]) or unit == 1
    check(pairs + [(parameter("-0"), 0)])
    refused([(parameter(2 ** 63), "64-bit"), (parameter(-2 ** 63 - 1), "64-bit"), (parameter("01"), "valid integer"),
             (parameter(1583748873 * 1000, unit=SECOND), "milliseconds"),
             (parameter(1583748873 * SECOND, unit=10 ** 6), "nanoseconds")])


def likely(count, now):
    """By comparing the time that the integer would be in each unit with 2010 and tomorrow."""
    first = of_rfc3339("2010-01-01T00:00:00Z")
    found = [unit for unit in UNITS.values() if first <= count * unit < (now // SECOND + 86401) * SECOND]
    assert len(found) <= 1
    return found[0] if found else 0


def test_doubts():
    """an integer that is a time from 2010 to tomorrow in s, ms or us is found, and no other"""
    generator = random.Random(SEED + 5)
    first = of_rfc3339("2010-01-01T00:00:00Z")
    pairs = []
    for _ in range(2000):
        now = generator.choice((NOW, of_rfc3339("2190-01-01T00:00:00Z"), random_time(generator)))
        time_ns = generator.choice((generator.randint(first - SECOND, NOW + 10 ** 14), random_time(generator)))
        count = time_ns // generator.choice(list(UNITS.values()))
        pairs.append((f"likely {now} {count}", likely(count, now)))
    for unit in UNITS.values():
        for time_ns in (first - unit, first, NOW + 86400 * SECOND, NOW + 86402 * SECOND):
            pairs.append((f"likely {NOW} {time_ns // unit}", likely(time_ns // unit, NOW)))
    check(pairs)
    assert {answer for _, answer in pairs} == {0, 1, 1000, 10 ** 6, SECOND}


def test_doubted():
    """such an integer is refused with the unit and the cure, where no unit was given"""
    for unit, word, name in ((SECOND, "seconds", "s"), (10 ** 6, "milliseconds", "ms"), (10 ** 3, "microseconds", "us")):
        answer = ask([parameter(1583748873 * SECOND // unit, doubt=1)])[0]
        assert f"reads as {word} (2020-03-09T10:14:33Z)" in answer and f"precision={name}," in answer, answer
    plain = [0, 1, -1, 1000, 10 ** 9, 1262303999, -1583748873, 7258118400000000, 1583748873 * SECOND, INT64_MAX, INT64_MIN]
    check([(parameter(count, doubt=1), count) for count in plain] +
          [(parameter(1583748873), 1583748873), (parameter(1583748873, unit=SECOND), 1583748873 * SECOND)])


if __name__ == "__main__":
    run(sys.modules[__name__])
