"""A second reader of blocks, written from docs/format.md alone.

It is slow and short.  It shares nothing with the codec but the description, so that where both
agree, the description is right.  Python integers have no width: reduce() says where 64 bits end.
"""

import struct

SIGNED_LENGTH = (0, 1, 2, 3, 4, 5, 6, 8)
STEP_LENGTH = (0, 1, 2, 8)
GROUP_ROWS = 32
FOR, DELTA, RUNS, DICT, CODED = range(5)
CODED_BYTE = 0x7a
CODED_GROUP_ROWS = 128
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
        if byte == CODED_BYTE:
            self.scheme = CODED
        elif self.width == 63:
            self.width = 64
        if self.scheme in (DELTA, CODED):
            byte = head.byte()
            self.step = head.signed(STEP_LENGTH[byte >> 6]) << (byte & 63)
        if self.scheme == CODED:
            self.bytes = head.varint()
        elif self.scheme == DELTA:
            if rows > GROUP_ROWS and 0 < self.width < 64:
                self.high_width = head.byte()
        elif self.scheme in (RUNS, DICT):
            self.count = head.varint()

    def read(self, data):
        """The integers, modulo 2^64."""
        read = (self.read_for, self.read_delta, self.read_runs, self.read_dict,
                self.read_coded)[self.scheme]
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


    def read_coded(self, data):
        data = Reader(data.bytes(self.bytes))
        class_bits, other_bits, classes = data.byte(), data.byte(), data.byte()
        symbols = classes + (other_bits > 0)
        lengths = data.packed(symbols, 4)
        byte = data.byte()
        size_width, anchor_step = byte >> 3, data.signed(SIGNED_LENGTH[byte & 7])
        anchor_width = data.byte()
        least_size = data.varint()
        steps = (self.rows - 1) // CODED_GROUP_ROWS
        anchors = data.packed(steps, anchor_width)
        sizes = data.packed(steps, size_width)
        codes = data.data[data.at:]

        symbol_of = {}          # by the code's bits as text, the first one first
        code = 0
        for length in range(1, 9):
            code *= 2
            for symbol, its in enumerate(lengths):
                if its == length:
                    symbol_of[format(code, f"0{length}b")] = symbol
                    code += 1
        bits = "".join(format(byte, "08b")[::-1] for byte in codes)

        def number(at, count):
            """The next bits as a number, of which the first one is the lowest."""
            return int(bits[at:at + count][::-1] or "0", 2)

        numbers = []
        start, anchor = 0, self.base
        for group in range(steps + 1):
            at = start
            numbers.append(anchor)
            while len(numbers) % CODED_GROUP_ROWS and len(numbers) < self.rows:
                length = 1
                while bits[at:at + length] not in symbol_of:
                    length += 1
                symbol = symbol_of[bits[at:at + length]]
                at += length
                if symbol == classes:
                    rest = other_bits
                    difference = -2 ** (other_bits - 1) + number(at, rest)
                else:
                    rest = class_bits
                    difference = symbol * 2 ** class_bits + number(at, rest)
                at += rest
                numbers.append(numbers[-1] + self.step + difference)
            if group < steps:
                start += least_size + sizes[group]
                anchor += anchor_step + anchors[group]
        return numbers


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
    version = byte >> 4
    if version != 3 and version != (2 if flags & SHARED and flags & NULLS else 1):
        raise Corrupt("not version 1, 2 or 3")
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

    if (version == 3) != any(column.stream.scheme == CODED for column, _ in columns):
        raise Corrupt("coded differences in a block of another version, or the reverse")
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
