"""Blocks of the codec, read by read_block.py.

    test_read_block.py ENCODE_ROWS [MESSAGES.ndjson.gz]

Rows are made here, of every kind that the codec has a way for, and encoded by ENCODE_ROWS; the
second reader must give them back.  Recorded messages are read too, where they are given or found.
SEED=n repeats a run.
"""

import gzip
import json
import os
import random
import struct
import subprocess
import sys
import time

from read_block import bits_of, read_block

NULL_WIDTH = 65535
RECORDED = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                        "../../../shared/data/skab-valves.ndjson.gz")
SPECIAL = [0.0, -0.0, float("inf"), float("-inf"), float("nan"), 5e-324, 1.7976931348623157e308,
           0.1 + 0.2, struct.unpack("<d", bytes.fromhex("efbe0000addef87f"))[0]]

tests = failures = 0


def ok(passed, name):
    global tests, failures
    tests += 1
    failures += not passed
    print(f"{'' if passed else 'not '}ok {tests} - {name}")


def decimal_walk(count):
    digits = random.randrange(8)
    number = random.randrange(-10 ** 6, 10 ** 6)
    for _ in range(count):
        number += random.randint(-100, 100)
        yield float(f"{number}e-{digits}")


def patched(count):
    for value in decimal_walk(count):
        yield value if random.random() < 0.9 else random.choice(SPECIAL)


def full_walk(count):
    value = random.uniform(-1000, 1000)
    for _ in range(count):
        value += random.uniform(-1, 1)
        yield value


def narrow_walk(count):
    number = random.randrange(10 ** 4)
    for _ in range(count):
        number += random.randint(-5, 5)
        yield number / 100


def peaked_walk(count):
    """Most steps are much smaller than others, and there are jumps."""
    number = random.randrange(10 ** 6)
    mean = random.choice([0.5, 3, 300, 10 ** 5])
    for _ in range(count):
        number += int(random.expovariate(1 / mean)) * random.choice([-1, 1])
        if random.random() < 0.01:
            number += random.randrange(-10 ** 7, 10 ** 7)
        yield number / 1000


def runs(count):
    value = 0.0
    for _ in range(count):
        if random.random() < 0.05:
            value = random.choice(SPECIAL[:4] + [1.0, 2.5])
        yield value


KINDS = {
    "decimal walk": decimal_walk,
    "decimals with exceptions": patched,
    "full precision": full_walk,
    "noise": lambda count: (random.gauss(0, 1) for _ in range(count)),
    "single precision": lambda count: (
        struct.unpack("<f", struct.pack("<f", random.gauss(20, 5)))[0] for _ in range(count)),
    "runs": runs,
    "few values": lambda count: (random.randrange(20) * 0.327927 + 7 for _ in range(count)),
    "thousands": lambda count: (random.randrange(-10 ** 6, 10 ** 6) * 1000.0
                                for _ in range(count)),
    "narrow walk": narrow_walk,
    "peaked walk": peaked_walk,
    "a line": lambda count: (row * 0.5 + 3 for row in range(count)),
    "any bits": lambda count: (struct.unpack("<d", random.randbytes(8))[0]
                               for _ in range(count)),
}


def random_times(count):
    kind = random.randrange(4)
    if kind == 0:
        return [-2 ** 63 + i * ((2 ** 64 - 1) // max(count, 1)) for i in range(count)]
    start = random.randrange(-10 ** 18, 2 * 10 ** 18)
    if kind == 1:
        return [start + i * 1000000 for i in range(count)]
    unit = random.choice([1, 100000])
    times = []
    for _ in range(count):
        start += unit * (1 + int(random.expovariate(0.01)))
        times.append(start)
    return times


class Rows:
    """What encode_rows takes, and what must come back."""

    def __init__(self, times, columns, widths=None, nulls=None):
        self.times, self.columns, self.widths, self.nulls = times, columns, widths, nulls

    def encoded(self):
        rows, values = len(self.times), len(self.columns)
        flags = (1 if self.widths else 0) | (2 if self.nulls else 0)
        parts = [struct.pack("<III", rows, values, flags),
                 struct.pack(f"<{rows}q", *self.times)]
        if self.widths:
            parts.append(struct.pack(f"<{rows}H", *self.widths))
        if self.nulls:
            parts.append(bytes(self.nulls[v][r] for r in range(rows) for v in range(values)))
        parts.append(struct.pack(f"<{rows * values}d",
                                 *(self.columns[v][r] for r in range(rows)
                                   for v in range(values))))
        return b"".join(parts)

    def is_absent(self, row, v):
        width = self.widths[row] if self.widths else len(self.columns)
        return width == NULL_WIDTH or v >= width or bool(self.nulls and self.nulls[v][row])

    def match(self, block):
        times, widths, columns = read_block(block, len(self.times))
        every = [len(self.columns)] * len(self.times)
        if times != self.times or len(columns) != len(self.columns):
            return False
        if (widths or every) != (self.widths or every):
            return False
        for v, (bits, nulls) in enumerate(columns):
            for row in range(len(times)):
                width = widths[row] if widths else len(columns)
                absent = width == NULL_WIDTH or v >= width or bool(nulls and nulls[row])
                if absent != self.is_absent(row, v):
                    return False
                if not absent and bits[row] != bits_of(self.columns[v][row]):
                    return False
        return True


def random_rows(kind):
    count = random.choice([1, 2, 3, 16, 17, 31, 32, 33, 48, 49, 64, 100, 256, 300, 384, 700])
    values = random.randrange(1, 6)
    columns = [list(KINDS[kind](count)) for _ in range(values)]
    widths = nulls = None
    if random.random() < 0.2:
        widths = [random.choice([NULL_WIDTH, random.randrange(values + 1)])
                  for _ in range(count - 1)] + [values]
    if random.random() < 0.2:
        nulls = [[random.random() < 0.2 for _ in range(count)] for _ in range(values)]
    return Rows(random_times(count), columns, widths, nulls)


def recorded_rows(path):
    """The recorded messages, 500 of a tag to a block."""
    by_tag = {}
    with gzip.open(path, "rt") as lines:
        for line in lines:
            message = json.loads(line)
            by_tag.setdefault(message["tag"], []).append(message)
    for messages in by_tag.values():
        for first in range(0, len(messages), 500):
            part = messages[first:first + 500]
            yield Rows([message["time"] for message in part],
                       [list(column) for column in zip(*(message["values"] for message in part))])


def check(encode_rows, name, all_rows):
    encoded = b"".join(rows.encoded() for rows in all_rows)
    output = subprocess.run([encode_rows], input=encoded, stdout=subprocess.PIPE,
                            check=True).stdout
    at = wrong = 0
    for rows in all_rows:
        length = struct.unpack_from("<I", output, at)[0]
        wrong += not rows.match(output[at + 4:at + 4 + length])
        at += 4 + length
    ok(wrong == 0 and at == len(output),
       f"{name}: {len(all_rows)} blocks, {len(output) - 4 * len(all_rows)} bytes")


def main():
    seed = int(os.environ.get("SEED", time.time_ns()))
    random.seed(seed)
    print(f"# SEED={seed}")
    encode_rows = sys.argv[1]
    recorded = sys.argv[2] if len(sys.argv) > 2 else RECORDED
    for kind in KINDS:
        check(encode_rows, kind, [random_rows(kind) for _ in range(60)])
    if os.path.exists(recorded):
        check(encode_rows, "recorded messages", list(recorded_rows(recorded)))
    print(f"1..{tests}")
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
