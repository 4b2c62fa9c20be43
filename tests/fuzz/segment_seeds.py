"""Valid segments for fuzz_segment.c to start from: the codec's blocks, with a header before them.

    segment_seeds.py BLOCKS DIRECTORY
"""

import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../unit"))
from read_block import read_block  # noqa: E402


def main():
    blocks, directory = sys.argv[1:]
    for name in sorted(os.listdir(blocks)):
        with open(os.path.join(blocks, name), "rb") as file:
            data = file.read()
        nrows, block = struct.unpack_from("<H", data)[0], data[2:]
        times = read_block(block, nrows)[0]
        header = struct.pack("<HBBIQqqHH", 0x5348, 1, 0, 0, 1, times[0], times[-1], nrows, 1)
        with open(os.path.join(directory, name), "wb") as seed:
            seed.write(header + b"t" + block)


if __name__ == "__main__":
    main()
