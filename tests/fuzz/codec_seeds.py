"""Valid blocks for fuzz_codec_decode.c to start from.

    codec_seeds.py ENCODE_ROWS DIRECTORY
"""

import os
import random
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../unit"))
from test_read_block import KINDS, random_rows  # noqa: E402

BLOCKS_OF_A_KIND = 8


def main():
    encode_rows, directory = sys.argv[1:]
    random.seed(1)
    for kind in KINDS:
        for i in range(BLOCKS_OF_A_KIND):
            rows = random_rows(kind)
            output = subprocess.run([encode_rows], input=rows.encoded(), stdout=subprocess.PIPE,
                                    check=True).stdout
            name = os.path.join(directory, f"{kind.replace(' ', '-')}-{i}")
            with open(name, "wb") as seed:
                seed.write(struct.pack("<H", len(rows.times)) + output[4:])


if __name__ == "__main__":
    main()
