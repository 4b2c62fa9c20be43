"""Bundles of historiand, read by a second reader that follows the description in extension/write/bundle.h.

    test_bundle.py BUNDLE_ROWS

SEED=n repeats a run.
"""

import os
import random
import struct
import subprocess
import sys
import time

NULL_BITS = struct.pack("<Q", 0x7FF800006E756C6C)

tests = failures = 0


def ok(passed, name):
    global tests, failures
    tests += 1
    failures += not passed
    print(f"{'' if passed else 'not '}ok {tests} - {name}")


def bits(value):
    """the bytes of a value, or None for NULL"""
    return None if value is None else struct.pack("<d", value)


def number(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return value, at


def read_bundle(data):
    """[(tag, time, [bytes of a value or None])] of a bundle"""
    magic, nrows, nvalues, nentries, entry_bytes, zero = struct.unpack_from("<4s5I", data)
    assert magic == b"HIB1" and zero == 0 and len(data) == 24 + 8 * (nrows + nvalues) + entry_bytes
    times = list(struct.unpack_from(f"<{nrows}q", data, 24))
    values_at = 24 + 8 * nrows
    at = values_at + 8 * nvalues
    values = [data[i:i + 8] for i in range(values_at, at, 8)]
    tag, rows = b"", []
    for _ in range(nentries):
        kept, at = number(data, at)
        length, at = number(data, at)
        assert kept <= len(tag)
        tag = tag[:kept] + data[at:at + length]
        form, at = number(data, at + length)
        width, several, nulls, count = form >> 2, form & 2, form & 1, 1
        present = [True] * width
        if nulls:
            present = [bool(data[at + v // 8] >> v % 8 & 1) for v in range(width)]
            at += (width + 7) // 8
        if several:
            count, at = number(data, at)
        for _ in range(count):
            rows.append((tag, times.pop(0), [values.pop(0) if there else None for there in present]))
    assert at == len(data) and not times and not values
    return rows


def through(program, rows):
    """the rows that come back, and how many bundles they took"""
    sent = b"".join(struct.pack("<qII", at, len(values), len(tag)) +
                    b"".join(NULL_BITS if v is None else struct.pack("<d", v) for v in values) + tag
                    for tag, at, values in rows)
    data = subprocess.run([program], input=sent, stdout=subprocess.PIPE, check=True).stdout
    found, at, count = [], 0, 0
    while at < len(data):
        length, = struct.unpack_from("<I", data, at)
        found += read_bundle(data[at + 4:at + 4 + length])
        at += 4 + length
        count += 1
    return found, count


def check(program, rows, name, bundles=None):
    # in the order of the tags, and of arrival within a tag
    expected = [(tag, at, [bits(v) for v in values])
                for tag, at, values in sorted(rows, key=lambda row: row[0])]
    found, count = through(program, rows)
    ok(found == expected and (bundles is None or bundles(count)), f"{name}: {count} bundles")


def random_tag():
    length = random.choice([1, 7, 8, 9, 40, 127, 128, 200, 255, 256])
    start = random.choice([b"", b"site/area/unit-%d/" % random.randrange(5), "Gerät/μ/".encode()])
    return (start + b"%d" % random.randrange(10 ** random.randrange(1, 9)) + b"x" * 256)[:length]


def main():
    program = sys.argv[1]
    seed = int(os.environ.get("SEED", time.time_ns() % 10 ** 9))
    random.seed(seed)
    print(f"# seed {seed}")
    check(program, [], "nothing", lambda n: n == 1)
    check(program, [(b"a", -2 ** 63, [])], "one row without values")
    check(program, [(b"a", 1, [None])], "a NULL alone")
    check(program, [(b"a", 2 ** 63 - 1, [None] * 8 + [-0.0, float("nan"), float("inf"), 5e-324])], "special values")
    check(program, [(b"site/%06d" % (i * 7919 % 100000), i, [i / 100]) for i in range(100000)],
          "a plant", lambda n: 20 < n < 60)
    check(program, [(b"one", i, [i, -i]) for i in range(50000)], "one tag with many rows", lambda n: n > 10)
    check(program, [(b"%d" % (i % 3), i, [float(i)] * (i // 7 % 5)) for i in range(5000)], "widths that change")
    check(program, [(b"w%d" % i, i, [float(i)] * 1000) for i in range(50)], "the most values", lambda n: n > 4)
    check(program, [(b"y" * 240 + b"%016d" % random.randrange(10 ** 16), i, []) for i in range(3000)], "long tags")
    check(program, [(b"%016d" % random.randrange(10 ** 16) + b"y" * 240, i, []) for i in range(3000)],
          "long tags that differ at their begin", lambda n: n > 10)
    for turn in range(20):
        tags = [random_tag() for _ in range(random.choice([1, 10, 1000]))]
        rows = [(random.choice(tags), random.randrange(-2 ** 63, 2 ** 63),
                 [None if random.random() < 0.1 * (i % 3) else random.choice([0.0, -1.5, random.random()])
                  for _ in range(random.choice([0, 1, 1, 3, 10, 100]))])
                for i in range(random.choice([1, 100, 5000]))]
        check(program, rows, f"random rows {turn}")
    print(f"1..{tests}")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
