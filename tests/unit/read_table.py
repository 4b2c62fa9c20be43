"""Reads the rows of a historian table from its file alone, by what docs/format.md says.

    read_table.py FILE

Prints a line a row, ordered by tag and time: tag, time, and the values as PostgreSQL's array_send
gives them, in hex.  Computes what the summaries should say, and fails where they say something else.
The file must hold nothing deleted (VACUUM) and everything written (CHECKPOINT).
"""

import math
import struct
import sys
from fractions import Fraction

from read_block import Reader, read_block, reduce

PAGE_BYTES = 8192
NORMAL = 1
MAGIC = 0x5348
PENDING, COMPACTED, SUMMARIES, LATE_RUN, LATE, SHARED, ROOT = 0, 1, 2, 4, 8, 16, 32
TOTALS = 64
RESTART = 64
RUN_NUMBER_BYTES = 8
NULL_WIDTH = 65535
SUMMARY_MAX_VALUES = 64
SUMMARY_ROWS = 1024
HEAD, FACETS = 4, 8
FORMER_HEAD, FORMER_FACETS = 2, 6
SUM, INTEGRAL, DEVIATION, REST = 0, 5, 6, 7
FLOAT8_OID = 701

CRC_TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    CRC_TABLE.append(byte)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def tuples(page):
    """The bytes of each tuple behind its header; a page is PostgreSQL's (storage/bufpage.h)."""
    lower = struct.unpack_from("<H", page, 12)[0]
    for at in range(24, lower, 4):
        pointer = struct.unpack_from("<I", page, at)[0]
        offset, flags, length = pointer & 0x7FFF, pointer >> 15 & 3, pointer >> 17
        if flags == NORMAL:
            assert page[offset + 22] == 24 and page[offset + 23] == 0
            yield page[offset + 24:offset + length]


def array(columns, width, row):
    """What array_send says of the row, or None for a NULL array."""
    if width == NULL_WIDTH:
        return None
    nulls = [flags is not None and bool(flags[row]) for _, flags in columns[:width]]
    head = struct.pack(">iiI", 1 if width else 0, any(nulls), FLOAT8_OID)
    if width:
        head += struct.pack(">ii", width, 1)
    return head + b"".join(struct.pack(">i", -1) if isnull else struct.pack(">iQ", 8, bits[row])
                           for isnull, (bits, _) in zip(nulls, columns))


def double(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


class Header:
    def __init__(self, data):
        magic, version, self.flags, crc, self.sequence, self.first, self.last, self.rows, \
            tag_bytes = struct.unpack_from("<HBBIQqqHH", data)
        assert (magic, version) == (MAGIC, 1) and self.flags in (
            PENDING, COMPACTED, SUMMARIES, SUMMARIES | TOTALS, LATE_RUN, LATE, SHARED, ROOT)
        self.totals = self.flags & TOTALS != 0
        self.flags &= ~TOTALS
        assert crc == crc32c(data[:4] + data[8:])
        self.tag = data[36:36 + tag_bytes]
        self.rest = data[36 + tag_bytes:]


class Segment:
    """A stored segment, or what one tag has of a shared one."""

    def __init__(self, header, tag, block, rows, base=0):
        self.flags, self.sequence, self.tag = header.flags, header.sequence, tag.decode()
        self.rows, self.totals, self.block_bytes = rows, header.totals, len(block)
        times, self.widths, self.columns = read_block(block, rows)
        self.times = [reduce(time + base) for time in times]
        self.first, self.last = self.times[0], header.last
        assert len(self.times) == self.rows
        assert all(before < after for before, after in zip(self.times, self.times[1:]))
        if self.flags == SHARED:
            assert header.first <= self.first and self.times[-1] <= header.last
            self.last = self.times[-1]
        else:
            assert self.first == header.first
            if self.flags != SUMMARIES:
                assert self.times[-1] == self.last

    def width(self, row):
        return self.widths[row] if self.widths else len(self.columns)

    def values(self, row):
        return array(self.columns, self.width(row), row)

    def plain_columns(self):
        """The values by column, or None where they are not summarized."""
        columns = [[double(bits) for bits in column] for column, _ in self.columns]
        if self.widths or len(columns) > SUMMARY_MAX_VALUES \
                or any(nulls is not None for _, nulls in self.columns) \
                or not all(math.isfinite(value) for column in columns for value in column):
            return None
        return columns


def shared_segments(header):
    """The parts of a shared segment, by tag."""
    base, ntags = struct.unpack_from("<qH", header.rest)
    restarts = len(header.rest) - 4 * ((ntags + RESTART - 1) // RESTART)
    reader = Reader(header.rest[10:restarts])
    parts = []
    tag = header.tag[RUN_NUMBER_BYTES:]     # the fence
    row = 0
    for i in range(ntags):
        if i % RESTART == 0:
            assert struct.unpack_from("<HH", header.rest, restarts + 4 * (i // RESTART)) == (
                reader.at, row)
        entry = reader.at
        before, kept = tag, reader.varint()
        assert kept == 0 or i % RESTART != 0
        suffix = reader.bytes(reader.varint())
        if not suffix:
            back = reader.varint()
            there = Reader(reader.data[entry - back:entry])
            suffix = there.bytes(there.varint())
            assert 0 < back <= entry and suffix
        tag = before[:kept] + suffix
        assert before < tag or (i == 0 and before == tag)
        block_bytes, several = divmod(reader.varint(), 2)
        rows = reader.varint() if several else 1
        parts.append(Segment(header, tag, reader.bytes(block_bytes), rows, base))
        row += rows
    assert reader.at == len(reader.data) and row == header.rows
    assert min(part.first for part in parts) >= header.first
    return parts


def stored_segments(headers):
    """All segments with rows, shared ones by tag; checks that each of these has a root."""
    roots = {header.tag: header for header in headers if header.flags == ROOT}
    segments = []
    for header in headers:
        if header.flags == SHARED:
            root = roots[header.tag[:RUN_NUMBER_BYTES]]
            assert root.sequence == header.sequence
            assert root.first <= header.first and header.last <= root.last
            segments += shared_segments(header)
        elif header.flags != ROOT:
            segments.append(Segment(header, header.tag, header.rest, header.rows))
    return segments


def summary(segments):
    """The values of the row that tells of consecutive segments, with the exact sum as REST."""
    head = [float(sum(one.rows for one in segments)), double(segments[-1].last % (1 << 64)),
            float(len(segments)), float(sum(one.block_bytes for one in segments))]
    parts = [one.plain_columns() for one in segments]
    if None in parts:
        assert parts == [None] * len(parts)
        return head
    assert len({len(part) for part in parts}) == 1
    times = [time for one in segments for time in one.times]
    gaps = [after - before for before, after in zip(times, times[1:])]
    facets = []
    for column in (sum(of_parts, []) for of_parts in zip(*parts)):
        exact = [Fraction(value) for value in column]
        try:
            facets += [float(sum(exact)), min(column), max(column), column[0], column[-1],
                       float(sum(value * gap for value, gap in zip(exact, gaps))),
                       deviation(exact), sum(exact)]
        except OverflowError:
            assert len(segments) == 1
            return head
    return head + facets


def deviation(exact):
    """The standard deviation of all numbers, or -1 where its square sum may leave the range of doubles."""
    mean = sum(exact) / len(exact)
    squares = sum((value - mean) ** 2 for value in exact)
    if squares > 0:
        if not (Fraction(2) ** -900 < squares < Fraction(2) ** 900 and abs(mean) < Fraction(2) ** 450):
            return -1.0
    elif mean != 0 and not Fraction(2) ** -400 < abs(mean) < Fraction(2) ** 450:
        return -1.0
    scaled = squares / len(exact) * Fraction(2) ** 2000
    return float(Fraction(math.isqrt(int(scaled)), 2 ** 1000))


def same_facets(told, expected, several):
    """Are the facets of one value right?  Some are rounded; several: whether of segments, and their rows."""
    for facet, (one, other) in enumerate(zip(told, expected)):
        if facet == REST:
            # with the sum, the exact sum, as far as the deviation lets it matter
            if abs(Fraction(told[SUM]) + Fraction(one) - other) > \
                    Fraction(expected[DEVIATION]) * several[1] / 2 ** 43 + abs(other) / 2 ** 95 \
                    and expected[DEVIATION] > 0:
                return False
        elif facet in (INTEGRAL, DEVIATION) or (facet == SUM and several[0]):
            if not close(one, other):
                return False
        elif one != other:
            return False
    return True


def close(told, expected):
    """The exact one but for rounding."""
    return abs(told - expected) <= 1e-13 * max(abs(told), abs(expected))


def check_summaries(segments):
    """Returns the number of segments that are summarized, each once."""
    compacted = {}
    named = {}
    for one in segments:
        if one.flags == COMPACTED:
            compacted.setdefault(one.tag, {})[one.first] = one
    for one in segments:
        if one.flags != SUMMARIES:
            continue
        nhead, nfacets = (HEAD, FACETS) if one.totals else (FORMER_HEAD, FORMER_FACETS)
        heads = []
        for row, time in enumerate(one.times):
            told = [double(bits[row]) for bits, _ in one.columns[:one.width(row)]]
            last = struct.unpack("<q", struct.pack("<d", told[1]))[0]
            told_of = [other for first, other in sorted(compacted[one.tag].items())
                       if time <= first <= last]
            named.setdefault(one.tag, []).extend(other.first for other in told_of)
            expected = summary(told_of)
            assert told_of[0].first == time and told_of[-1].last == last
            assert len(told_of) == 1 or told[0] <= SUMMARY_ROWS
            heads.append(expected[:HEAD])
            assert told[0] == expected[0] and told[2:nhead] == expected[2:nhead]
            values = len(told[nhead:]) // nfacets
            assert len(told) == nhead + values * nfacets and \
                len(expected) == HEAD + values * FACETS
            for value in range(values):
                assert same_facets(told[nhead + value * nfacets:nhead + (value + 1) * nfacets],
                                   expected[HEAD + value * FACETS:HEAD + (value + 1) * FACETS],
                                   (len(told_of) > 1, int(expected[0])))
        assert last == one.last
        rows, segments_told, block_bytes = (int(sum(head[i] for head in heads)) for i in (0, 2, 3))
        assert one.sequence == (rows | segments_told << 18 | block_bytes << 34 if one.totals else 0)
    for tag, times in named.items():
        assert sorted(times) == sorted(first for first in compacted[tag]
                                       if min(times) <= first <= max(times))
    return sum(map(len, named.values()))


def main():
    headers = []
    with open(sys.argv[1], "rb") as file:
        while page := file.read(PAGE_BYTES):
            headers += [Header(data) for data in tuples(page)]
    segments = stored_segments(headers)
    latest = {}
    for one in segments:
        if one.flags == SUMMARIES:
            continue
        for row, time in enumerate(one.times):
            if one.sequence >= latest.get((one.tag, time), (0, None))[0]:
                latest[one.tag, time] = one.sequence, one.values(row)
    for (tag, time), (_, values) in sorted(latest.items()):
        print(tag, time, "NULL" if values is None else values.hex())
    print(f"{sum(one.flags == PENDING for one in segments)} pending, "
          f"{sum(one.flags == SHARED for one in segments)} shared, "
          f"{sum(one.flags == COMPACTED for one in segments)} compacted, "
          f"{check_summaries(segments)} summarized", file=sys.stderr)


if __name__ == "__main__":
    main()
