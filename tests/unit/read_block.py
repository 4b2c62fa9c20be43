"""A second reader of blocks, written from docs/format.md alone.

It is slow and short.  It shares nothing with the codec but the description, so that where both
agree, the description is right.  Python integers have no width: reduce() says where 64 bits end.
"""

import struct

SIGNED_LENGTH = (0, 1, 2, 3, 4, 5, 6, 8)
STEP_LENGTH = (0, 1, 2, 8)
GROUP_ROWS = 32
FOR, DELTA, RUNS, DICT = range(4)
SHARED, RAGGED, NULLS = 1, 2, 4
INTEGER, PATCHED, FLOAT32, SPLIT, BITS = range(27, 32)


class Corrupt(Exception):
    pass


def reduce(number):
    """The number modulo 2^64, as a signed one."""
    return ((number + (1 << 63)) % (1 << 64)) - (1 << 63)


class Reader:
    """Bytes from the front of the block, or numbers from its data."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def bytes(self, count):
        if self.at + count > len(self.data):
            raise Corrupt("the block ends early")
        self.at += count
        return self.data[self.at - count:self.at]

    def byte(self):
        return self.bytes(1)[0]

    def signed(self, length):
        return int.from_bytes(self.bytes(length), "little", signed=True)

    def varint(self):
        number = shift = 0
        while True:
            byte = self.byte()
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7

    def decimal(self):
        byte = self.byte()
        return self.signed(SIGNED_LENGTH[byte & 7]) * 10 ** (byte >> 3)

    def packed(self, count, width):
        """count numbers of width bits, the first in the lowest bits of the first byte."""
        bits = int.from_bytes(self.bytes((count * width + 7) // 8), "little")
        return [bits >> i * width & (1 << width) - 1 for i in range(count)]


class Stream:
    """The header of a stream of integers."""

    def __init__(self, head, rows, base=0):
        self.rows = rows
        self.base = base
        self.scheme, self.width, self.high_width = FOR, 0, 0
        if rows == 1:
            return
        byte = head.byte()
        self.scheme, self.width = byte >> 6, byte & 63
        if self.width == 63:
            self.width = 64
        if self.scheme == DELTA:
            byte = head.byte()
            self.step = head.signed(STEP_LENGTH[byte >> 6]) << (byte & 63)
            if rows > GROUP_ROWS and 0 < self.width < 64:
                self.high_width = head.byte()
        elif self.scheme in (RUNS, DICT):
            self.count = head.varint()

    def read(self, data):
        """The integers, modulo 2^64."""
        read = (self.read_for, self.read_delta, self.read_runs, self.read_dict)[self.scheme]
        return [reduce(number) for number in read(data)]

    def read_for(self, data):
        return [self.base + number for number in data.packed(self.rows, self.width)]

    def read_delta(self, data):
        if self.width == 0:
            return [self.base + row * self.step for row in range(self.rows)]
        if self.rows <= GROUP_ROWS:
            numbers = [self.base]
            for slot in data.packed(self.rows - 1, self.width):
                numbers.append(numbers[-1] + slot + self.step)
            return numbers

        numbers = []
        highs = data.packed((self.rows + GROUP_ROWS - 1) // GROUP_ROWS, self.high_width)
        slots = data.packed(self.rows, self.width)
        for group, high in enumerate(highs):
            slot = slots[group * GROUP_ROWS:(group + 1) * GROUP_ROWS]
            middle = min(GROUP_ROWS // 2, len(slot) - 1)
            anchor = self.base + (high << self.width | slot[0])
            number = anchor - sum(slot[1:middle + 1]) - middle * self.step
            numbers.append(number)
            for difference in slot[1:]:
                number += difference + self.step
                numbers.append(number)
        return numbers

    def read_runs(self, data):
        starts = [0] + data.packed(self.count - 1, (self.rows - 1).bit_length()) + [self.rows]
        values = data.packed(self.count, self.width)
        return [self.base + value for run, value in enumerate(values)
                for _ in range(starts[run], starts[run + 1])]

    def read_dict(self, data):
        entries = data.packed(self.count, self.width)
        indexes = data.packed(self.rows, (self.count - 1).bit_length())
        return [self.base + entries[index] for index in indexes]


class Column:
    """The header of a column; shared says that its base is elsewhere."""

    def __init__(self, head, rows, shared=False):
        byte = head.byte()
        self.rule = byte >> 3
        base = 0 if shared else head.signed(SIGNED_LENGTH[byte & 7])
        self.stream = Stream(head, rows, base)
        if self.rule == PATCHED:
            self.exponent = head.byte() - 4
            self.patches, self.one_patch = divmod(head.varint(), 2)
        elif self.rule == SPLIT:
            self.right_width = head.byte()
        elif self.rule < INTEGER:
            self.exponent = self.rule - 4

    def read(self, data):
        """The doubles' bits, or the integers of a column that has no doubles."""
        numbers = self.stream.read(data)
        if self.rule == INTEGER:
            return numbers
        if self.rule == FLOAT32:
            return [bits_of(struct.unpack("<f", ordered(number, 32))[0]) for number in numbers]
        if self.rule == BITS:
            return [int.from_bytes(ordered(number, 64), "little") for number in numbers]
        if self.rule == SPLIT:
            rights = data.packed(len(numbers), self.right_width)
            return [number << self.right_width & (1 << 64) - 1 | right
                    for number, right in zip(numbers, rights)]

        bits = [bits_of(number / 10.0 ** self.exponent if self.exponent >= 0
                        else number * 10.0 ** -self.exponent) for number in numbers]
        if self.rule == PATCHED:
            rows = data.packed(self.patches, (self.stream.rows - 1).bit_length())
            values = data.packed(1 if self.one_patch else self.patches, 64)
            for i, row in enumerate(rows):
                bits[row] = values[0 if self.one_patch else i]
        return bits


def bits_of(double):
    return struct.unpack("<Q", struct.pack("<d", double))[0]


def ordered(number, width):
    """The bytes of the double or float whose place in the order of values the number is."""
    if number < 0:
        number ^= (1 << width - 1) - 1
    return (number & (1 << width) - 1).to_bytes(width // 8, "little")


def read_block(block, rows):
    """(times, widths or None, columns): a column is (bits of doubles, NULL flags or None)."""
    head = Reader(block)
    byte = head.byte()
    flags = byte & 15
    if byte >> 4 != (2 if flags & SHARED and flags & NULLS else 1):
        raise Corrupt("not version 1 or 2")
    values = head.varint()

    first = head.decimal()
    scale = head.decimal() if rows > 1 else 1
    units = Stream(head, rows)
    width_column = Column(head, rows) if flags & RAGGED else None
    columns = []
    if flags & SHARED:
        shared = Column(head, rows, shared=True)
        base_width = head.byte()
    else:
        for _ in range(values):
            nulls = Column(head, rows) if flags & NULLS else None
            columns.append((Column(head, rows), nulls))

    data = head                 # which goes on where the headers end
    times = [reduce(first + unit * scale) for unit in units.read(data)]
    widths = width_column.read(data) if width_column else None
    bases = []
    read = []
    if flags & SHARED:
        for base in data.packed(values, base_width):
            sign = base >> base_width - 1 if base_width else 0
            bases.append(base - (sign << base_width))
        null_bits = data.packed(values * rows, 1) if flags & NULLS else None
        for v, base in enumerate(bases):
            shared.stream.base = base
            read.append((shared.read(data), null_bits and null_bits[v * rows:(v + 1) * rows]))
    else:
        for column, nulls in columns:
            null_flags = nulls.read(data) if nulls else None
            read.append((column.read(data), null_flags))
    if any(block[data.at:]) or (data.at < len(block) and len(block) > 8):
        raise Corrupt("bytes beyond the data")
    return times, widths, read
