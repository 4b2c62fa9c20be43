"""Reads the rows of a historian table from its file alone, by what docs/format.md says.

    read_table.py FILE

Prints a line a row, ordered by tag and time: tag, time, and the values as PostgreSQL's array_send
gives them, in hex.  The file must hold nothing deleted (VACUUM) and everything written (CHECKPOINT).
"""

import struct
import sys

from read_block import read_block

PAGE_BYTES = 8192
NORMAL = 1
MAGIC = 0x5348
NULL_WIDTH = 65535
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


def segment_rows(segment):
    """(tag, time, sequence, values) of each row."""
    magic, version, flags, crc, sequence, first, last, rows, tag_bytes = \
        struct.unpack_from("<HBBIQqqHH", segment)
    assert (magic, version, flags & ~1) == (MAGIC, 1, 0)
    assert crc == crc32c(segment[:4] + segment[8:])
    tag = segment[36:36 + tag_bytes].decode()
    times, widths, columns = read_block(segment[36 + tag_bytes:], rows)
    assert len(times) == rows and (times[0], times[-1]) == (first, last)
    assert all(before < after for before, after in zip(times, times[1:]))
    for row, time in enumerate(times):
        yield tag, time, sequence, array(columns, widths[row] if widths else len(columns), row)


def main():
    latest = {}
    segments = {0: 0, 1: 0}
    with open(sys.argv[1], "rb") as file:
        while page := file.read(PAGE_BYTES):
            for segment in tuples(page):
                segments[segment[3]] += 1
                for tag, time, sequence, values in segment_rows(segment):
                    if sequence >= latest.get((tag, time), (0, None))[0]:
                        latest[tag, time] = sequence, values
    for (tag, time), (_, values) in sorted(latest.items()):
        print(tag, time, "NULL" if values is None else values.hex())
    print(f"{segments[0]} pending, {segments[1]} compacted", file=sys.stderr)


if __name__ == "__main__":
    main()
