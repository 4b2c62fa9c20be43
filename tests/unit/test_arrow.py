"""Arrow streams of proxy/arrow/, read by a second reader, read_arrow.py.

    test_arrow.py WRITE_ARROW

SEED=n repeats a run.
"""
import os
import random
import struct
import subprocess
import sys
import time

import read_arrow

UNITS = {"ns": 1, "us": 10 ** 3, "ms": 10 ** 6, "s": 10 ** 9}

tests = failures = 0


def ok(passed, name):
    global tests, failures
    tests += 1
    failures += not passed
    print(f"{'' if passed else 'not '}ok {tests} - {name}")


HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"


def field(data):
    """A field of COPY BINARY."""
    return struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data


def value_bytes(values, width):
    """What historian.value_bytes() makes of values, which are bytes or None."""
    values = values + [None] * (width - len(values))
    bits = sum(1 << i for i, value in enumerate(values) if value is not None)
    return b"".join(value[::-1] if value is not None else bytes(8) for value in values) + \
        (bits.to_bytes((width + 7) // 8, "little") if None in values else b"")


def row(when, tag, values, width):
    return struct.pack(">h", 3) + field(struct.pack(">q", when)) + field(tag.encode()) + \
        field(None if values is None else value_bytes(values, width))


def write(names, pieces, unit_ns=1, integers=False):
    """The stream of pieces of COPY, and which were taken."""
    done = subprocess.run([sys.argv[1], str(unit_ns), str(int(integers)), *names], capture_output=True, check=False, timeout=60,
                          input=b"".join(struct.pack("<I", len(piece)) + piece for piece in pieces))
    assert done.returncode == 0 and set(done.stderr) <= set(b"01"), (done.returncode, done.stderr[-2000:])
    return done.stdout, [taken == ord("1") for taken in done.stderr]


def transposed(batches):
    return [row for columns in batches for row in zip(*columns)]


def check(name, names, rows, unit="ns", integers=False):
    """Rows (time, tag, [bytes or None] or None) come back, and NULL where they are too short."""
    pieces = [row(*one, len(names)) for one in rows] + [TRAILER]
    stream, taken = write(names, [HEADER + pieces[0]] + pieces[1:], UNITS[unit], integers)
    fields, batches = read_arrow.read(stream)
    expected = [(when // UNITS[unit], tag, *(values or []), *[None] * (len(names) - len(values or []))) for when, tag, values in rows]
    own = [("time", "int64" if integers else f"timestamp[{unit}, UTC]", False), ("tag", "utf8", False)]
    ok(all(taken) and fields == own + [(name, "float64", True) for name in names] and transposed(batches) == expected,
       f"{name}: {len(rows)} rows in {len(batches)} batches")
    return batches


def any_value(generator):
    special = [None, b"\0" * 8, b"\0" * 7 + b"\x80", b"\1" + b"\0" * 7, b"\xff" * 8]
    return generator.choice(special + [generator.randbytes(8)] * 3)


def test_random(generator):
    """random widths, names, tags, forms of times and rows"""
    for _ in range(30):
        names = ["".join(generator.choice("abc äß°\"\t€𝄞") for _ in range(generator.randrange(12))) for _ in range(generator.randrange(9))]
        tags = ["x" * generator.randrange(1, 257) for _ in range(3)] + ["größe", "t"]
        never_null = generator.random() < 0.5
        rows = []
        for _ in range(generator.choice([0, 1, 7, 8, 9, 300])):
            width = len(names) if never_null else generator.randrange(len(names) + 1)
            values = [generator.randbytes(8) if never_null else any_value(generator) for _ in range(width)]
            rows.append((generator.randrange(-2 ** 63, 2 ** 63), generator.choice(tags),
                         None if not never_null and generator.random() < 0.1 else values))
        check(f"{len(names)} values", names, rows, generator.choice(list(UNITS)), generator.random() < 0.3)


def test_batches(generator):
    """full batches, of which each has its own NULLs; long tags and many columns end a batch sooner"""
    rows = [(i, "t", [struct.pack("<d", i), None if i == 50000 else struct.pack("<d", -i)]) for i in range(60000)]
    batches = check("two values", ["a", "b"], rows)
    ok(len(batches) > 1 and sum(None in columns[3] for columns in batches) == 1, "NULLs are those of their batch")
    batches = check("long tags", ["a"], [(i, "x" * 250 + str(i), [generator.randbytes(8)]) for i in range(5000)])
    ok(all(sum(map(len, columns[1])) < 1048576 for columns in batches), "long tags: a batch is bounded")
    batches = check("many columns", [str(i) for i in range(1000)], [(i, "t", [generator.randbytes(8)] * 1000) for i in range(200)])
    ok(all(len(columns[0]) * 8000 <= 1048576 for columns in batches), "many columns: a batch is bounded")


def test_refused(generator):
    """pieces that are no rows of these columns are refused, and nothing else is lost"""
    good = row(1, "tag", [generator.randbytes(8), None], 2)
    width = 2
    bad = [good[:length] for length in range(1, len(good))]
    bad += [row(1, "tag", [generator.randbytes(8)] * other, other) for other in (1, 3)]
    bad += [good[:at] + bytes([byte]) + good[at + 1:] for at, byte in ((1, 2), (5, 4), (2, 0xff), (14, 0x7f), (14, 0xff), (21, 1))]
    bad.append(struct.pack(">h", 3) + field(None) + good[14:])
    bad.append(good[:14] + field(None) + good[21:])
    for data in bad:
        stream, taken = write(["a", "b"], [row(1, "t", [None], width), data, row(3, "t", [None], width)])
        times = [one[0] for one in transposed(read_arrow.read(stream)[1])]
        if times != [1, 3] or taken != [True, False, True]:
            ok(False, f"refused: {data}")
    ok(True, f"{len(bad)} broken pieces")


def main():
    seed = int(os.environ.get("SEED", time.time_ns() % 2 ** 32))
    print(f"# SEED={seed}")
    for test in (test_random, test_batches, test_refused):
        test(random.Random(seed))
    print(f"1..{tests}")
    sys.exit(failures > 0)


main()
