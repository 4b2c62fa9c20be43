"""Bundles for the fuzzer to begin with: bundle_seeds.py DIRECTORY"""

import os
import struct
import sys


def bundle(times, values, entries, bytes_of_entries):
    return (struct.pack("<4s5I", b"HIB1", len(times), len(values), entries, len(bytes_of_entries), 0) +
            struct.pack(f"<{len(times)}q", *times) + struct.pack(f"<{len(values)}d", *values) + bytes_of_entries)


SEEDS = {
    "empty": bundle([], [], 0, b""),
    "one": bundle([1], [1.5], 1, b"\0\1a\4"),
    "several": bundle([1, 2, 3], [1, 2, 3], 2, b"\0\3a/b\6\2" + b"\2\1c\4"),
    "nulls": bundle([1, 2], [1, 2], 2, b"\0\1a\x0d\5" + b"\1\0\x25\0\0"),
    "utf8": bundle([1, 2], [], 2, "\0\3aé\0".encode() + b"\2\1\xaa\0"),
    "long": bundle([1, 2], [], 2, b"\0\x80\2" + b"x" * 256 + b"\0" + b"\xff\1\1y\0"),
}

for name, data in SEEDS.items():
    with open(os.path.join(sys.argv[1], name), "wb") as file:
        file.write(data)
