"""Every message that was posted, twice, is there once, bit for bit, by SQL and by GET /api.

With real recordings where ../shared/data has them, and with doubles that are hard to keep.
"""
import bisect
import gzip
import json
import os
import random
import struct

import e2e
from e2e import ok, same, skip

REAL = os.path.join(e2e.ROOT, "..", "shared", "data", "skab-valves.ndjson.gz")
SEED = int(os.environ.get("SEED", random.randrange(1 << 32)))


def hard_lines(rng):
    """NDJSON of 8 tags: extremes, random bits, decimals that round one way or the other."""
    texts = ["0", "-0.0", "5e-324", "1.7976931348623157e308", "-2.2250738585072014e-308",
             "9007199254740993", "0.1", "1e23", "8.41e21", "2.2250738585072011e-308",
             "7.2057594037927933e16", "0.500000000000000166533453693773481063544750213623046875"]
    for i in range(4000):
        values = []
        for _ in range(rng.choice([1, 10, 10, 10, 3])):
            kind = rng.randrange(4)
            if kind == 0:
                values.append(rng.choice(texts))
            elif kind == 1:
                number = struct.unpack("<d", rng.randbytes(8))[0]
                values.append(repr(number) if abs(number) < 1e308 else "1")
            elif kind == 2:
                values.append("%.*f" % (rng.randrange(1, 20), rng.uniform(-1e6, 1e6)))
            else:
                values.append("%d.%02d" % (rng.randrange(1000), rng.randrange(100)))
        yield '{"time":%d,"tag":"hard/%d","values":[%s]}' % (
            (i * 7919 % 4000 - 2000) * 1_000_003 + rng.randrange(1000), i % 8, ",".join(values))


class Expected:
    """An independent computation of what must be stored and answered."""

    def __init__(self, lines):
        self.rows = {}
        for line in lines:
            message = json.loads(line, parse_int=str, parse_float=str)
            key = int(message["time"]), message["tag"]
            self.rows[key] = [float(text) for text in message["values"]]
        self.tags = {}
        for (time, tag), values in sorted(self.rows.items(), key=lambda item: item[0]):
            self.tags.setdefault(tag, []).append((time, values))

    def stored(self):
        return sorted((time, tag, e2e.double_bytes(values))
                      for (time, tag), values in self.rows.items())

    def period_end(self, tag, start, end, samples):
        times = [time for time, _ in self.tags[tag]]
        answer = []
        for i in range(1, samples + 1):
            at = start + i * (end - start) // samples
            place = bisect.bisect_right(times, at)
            answer.append((at, self.tags[tag][place - 1][1] if place else None))
        return answer


def check_windows(run, expected, rng, when):
    wrong = []
    windows = [(tag, rows[0][0] - 1, rows[-1][0] + 1, 1000) for tag, rows in expected.tags.items()]
    whole = len(windows)
    for _ in range(50):
        tag = rng.choice(sorted(expected.tags))
        first, last = expected.tags[tag][0][0], expected.tags[tag][-1][0]
        span = last - first
        start, end = sorted(rng.sample(range(first - span // 5, last + span // 5), 2))
        windows.append((tag, start, end, rng.choice([1, 10, 1000, 10000])))
    for window in windows:
        got = run.api(*window)
        wanted = expected.period_end(*window)
        if got is None or [(t, v and e2e.double_bytes(v)) for t, v in got] != \
                [(t, v and e2e.double_bytes(v)) for t, v in wanted]:
            wrong.append(window)
    ok(not wrong, "%s: GET /api of %d tags whole and of 50 random windows" % (when, whole),
       "seed %d, wrong: %r" % (SEED, wrong))


def check(what, lines):
    rng = random.Random(SEED)
    expected = Expected(lines)
    run = e2e.Run()
    with run:
        status, body = run.post("\n".join(lines).encode(), "?precision=ns")
        same(status, 202, "%s: %d messages posted whole as NDJSON" % (what, len(lines)))
        connection = run.connection()
        refused = 0
        for line in lines:
            status, body = run.post(line.encode(), "?precision=ns", content_type="application/json",
                                    connection=connection)
            refused += status != 202
        same(refused, 0, "%s: then message by message" % what)
        last = lines[-1].encode()
        same(run.post(last, "?ack=committed&precision=ns")[0], 204, "%s: the last one once more, committed" % what)
        check_windows(run, expected, rng, what)
        same(run.stop(), 0, "%s: SIGTERM ends with 0" % what)
    with e2e.Run(datadir=run.datadir) as run:
        rows = sorted(run.rows())
        same(len(rows), len(expected.rows), "%s: as many rows as messages, after a new start" % what)
        ok(rows == expected.stored(), "%s: every double bit for bit" % what,
           "seed %d, first difference: %r" % (
               SEED, next(((g, w) for g, w in zip(rows, expected.stored()) if g != w), None)))
        check_windows(run, expected, rng, what + ", after a new start")


print("# seed %d" % SEED)
check("hard doubles", list(hard_lines(random.Random(SEED))))
if os.path.exists(REAL):
    with gzip.open(REAL, "rt") as file:
        check("real data", file.read().splitlines())
else:
    skip("real data", "%s is not there" % os.path.relpath(REAL, e2e.ROOT))
e2e.done()
