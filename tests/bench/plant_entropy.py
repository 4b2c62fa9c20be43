"""plant_entropy.py FILE...: the fewest bytes that a row of these COPY BINARY files takes.

Rows are (time bigint, tag text, values float8[]) with one value of two decimals. Prints the entropy of
order 0 of the first differences in bytes a row: that of the values' differences, of all tags alike, and that
of the times' differences, each tag by itself. A tag's first row is not counted.
"""
import collections
import math
import struct
import sys

HEADER = 19
TRAILER = b"\xff\xff"


def rows(data):
    at = HEADER
    while data[at:at + 2] != TRAILER:
        time, tag_bytes = struct.unpack_from(">6xqI", data, at)
        at += 18
        tag = data[at:at + tag_bytes]
        at += tag_bytes
        array_bytes, count, value = struct.unpack_from(">I12xI8xd", data, at)
        assert count == 1, "one value a row"
        at += 4 + array_bytes
        yield time, tag, round(value * 100)


def bits(counts):
    total = sum(counts.values())
    return sum(-n * math.log2(n / total) for n in counts.values())


def main():
    last = {}
    values = collections.Counter()
    times = collections.defaultdict(collections.Counter)
    for path in sys.argv[1:]:
        with open(path, "rb") as file:
            data = file.read()
        for time, tag, value in rows(data):
            if tag in last:
                values[value - last[tag][1]] += 1
                times[tag][time - last[tag][0]] += 1
            last[tag] = time, value
    print("%.4f" % ((bits(values) + sum(map(bits, times.values()))) / sum(values.values()) / 8))


main()
