"""Valid shared segments for fuzz_shared_segment.c to start from: the codec's blocks, as the rows of several tags.

    shared_segment_seeds.py BLOCKS DIRECTORY
"""

import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../unit"))
from read_block import read_block  # noqa: E402

RESTART = 64
MAX_ROWS = 4096
MAX_BYTES = 8000


def varint(number):
    encoded = b""
    while number >= 0x80:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


def shared_segment(blocks, repeat):
    """Returns a segment in which each of the blocks (number of rows, times, bytes) is the rows of `repeat` tags."""
    entries, restarts = b"", b""
    rows, tags, former, ends = 0, 0, b"", {}
    for nrows, _, block in blocks:
        for _ in range(repeat):
            tag = b"site/area-%d/sensor-%05d%s" % (tags // 40, tags // 3, [b"", b"/flow", b"/temperature"][tags % 3])
            kept = 0 if tags % RESTART == 0 else len(os.path.commonprefix([tag, former]))
            if kept == 0:
                restarts += struct.pack("<HH", len(entries), rows)
            begin = len(entries)
            entries += varint(kept)
            if tag[kept:] in ends:
                entries += varint(0) + varint(begin - ends[tag[kept:]])
            else:
                ends[tag[kept:]] = len(entries)
                entries += varint(len(tag) - kept) + tag[kept:]
            entries += varint(2 * len(block) + (nrows > 1)) + (varint(nrows) if nrows > 1 else b"") + block
            rows, tags, former = rows + nrows, tags + 1, tag
    times = [time for _, block_times, _ in blocks for time in block_times]
    header = struct.pack("<HBBIQqqHH", 0x5348, 1, 0x10, 0, 1, min(times), max(times), rows, 12)
    return header + struct.pack(">Q", 7) + b"site" + struct.pack("<qH", 0, tags) + entries + restarts


def main():
    blocks_directory, directory = sys.argv[1:]
    blocks = []
    for name in sorted(os.listdir(blocks_directory)):
        with open(os.path.join(blocks_directory, name), "rb") as file:
            data = file.read()
        nrows, block = struct.unpack_from("<H", data)[0], data[2:]
        if nrows <= MAX_ROWS // 4 and len(block) <= MAX_BYTES // 4:
            blocks.append((name, (nrows, read_block(block, nrows)[0], block)))
    for i, (name, block) in enumerate(blocks):
        neighbours = [b for _, b in blocks[max(i - 2, 0):i + 1]]
        for repeat in 1, 3, 70:
            if repeat * sum(b[0] for b in neighbours) > MAX_ROWS or repeat * sum(len(b[2]) + 8 for b in neighbours) > MAX_BYTES:
                neighbours = [block]
            if repeat * block[0] > MAX_ROWS or repeat * (len(block[2]) + 8) > MAX_BYTES:
                continue
            with open(os.path.join(directory, f"shared-{repeat}-{name}"), "wb") as seed:
                seed.write(shared_segment(neighbours, repeat))


if __name__ == "__main__":
    main()
