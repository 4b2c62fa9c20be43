"""A second reader of Arrow IPC streams, which follows Arrow's columnar format and FlatBuffers' internals, and checks what these
ask of a writer. It reads streams with the types that historiand writes.

    read(data)          ([(name, type, nullable)], [batch]), where a batch is a list of columns, and a column a list of ints, strings,
                        bytes of doubles, or None
    read(data, False)   the same of a stream that was broken off
    count_rows(data)    how many rows there are
"""
import struct

MESSAGE = ("version", "header_type", "header", "body_length", "custom_metadata")
SCHEMA = ("endianness", "fields", "custom_metadata", "features")
FIELD = ("name", "nullable", "type_type", "type", "dictionary", "children", "custom_metadata")
BATCH = ("length", "nodes", "buffers", "compression")
INT, FLOATING_POINT, UTF8, TIMESTAMP = 2, 3, 5, 10


class Flatbuffer:
    """Reads values at positions; each must be aligned by its size, and lie within the buffer."""

    def __init__(self, data):
        self.data = data

    def number(self, form, at):
        size = struct.calcsize("<" + form)
        assert 0 <= at and at + size <= len(self.data), "beyond the end"
        assert at % size == 0, "not aligned"
        return struct.unpack_from("<" + form, self.data, at)[0]

    def follow(self, at):
        return at + self.number("I", at)

    def table(self, at, names):
        """Positions of the fields that are there, by name."""
        vtable = at - self.number("i", at)
        vtable_bytes, table_bytes = self.number("H", vtable), self.number("H", vtable + 2)
        assert vtable_bytes % 2 == 0 and at + table_bytes <= len(self.data)
        places = [self.number("H", vtable + 4 + 2 * i) for i in range((vtable_bytes - 4) // 2)]
        assert len(places) <= len(names) and all(place < table_bytes for place in places)
        return {name: at + place for name, place in zip(names, places) if place}

    def vector(self, at, size):
        """Positions of the elements."""
        at = self.follow(at)
        count = self.number("I", at)
        assert at + 4 + count * size <= len(self.data)
        return [at + 4 + i * size for i in range(count)]

    def string(self, at):
        places = self.vector(at, 1)
        end = places[-1] + 1 if places else self.follow(at) + 4
        assert self.data[end] == 0
        return self.data[end - len(places):end].decode()


def read_type(buffer, field):
    kind = buffer.number("B", field["type_type"])
    at = buffer.follow(field["type"])
    if kind == FLOATING_POINT:
        assert buffer.number("h", buffer.table(at, ("precision",))["precision"]) == 2
        return "float64"
    if kind == TIMESTAMP:
        there = buffer.table(at, ("unit", "timezone"))
        unit = ("s", "ms", "us", "ns")[buffer.number("h", there["unit"])]
        return f"timestamp[{unit}, {buffer.string(there['timezone'])}]"
    if kind == INT:
        there = buffer.table(at, ("bits", "signed"))
        assert (buffer.number("i", there["bits"]), buffer.number("B", there["signed"])) == (64, 1)
        return "int64"
    assert kind == UTF8 and not buffer.table(at, ())
    return "utf8"


def read_schema(buffer, at):
    schema = buffer.table(at, SCHEMA)
    assert buffer.number("h", schema["endianness"]) == 0
    fields = []
    for place in buffer.vector(schema["fields"], 4):
        field = buffer.table(buffer.follow(place), FIELD)
        assert "dictionary" not in field and buffer.vector(field["children"], 4) == []
        fields.append((buffer.string(field["name"]), read_type(buffer, field), bool(buffer.number("B", field["nullable"]))))
    return fields


def read_column(kind, rows, nulls, body, take):
    """The values of a column; take() gives the place and the length of the next buffer."""
    def buffer():
        at, length = take()
        assert at % 64 == 0 and at + length <= len(body)
        return body[at:at + length]
    validity = buffer()
    present = [True] * rows
    if validity:
        assert len(validity) >= (rows + 7) // 8
        present = [bool(validity[i // 8] >> i % 8 & 1) for i in range(rows)]
    assert present.count(False) == nulls
    if kind == "utf8":
        ends = struct.unpack(f"<{rows + 1}i", buffer())
        data = buffer()
        assert ends[0] == 0 and ends[-1] == len(data)
        values = [data[begin:end].decode() for begin, end in zip(ends, ends[1:])]
    else:
        data = buffer()
        assert len(data) == 8 * rows
        values = [data[i:i + 8] for i in range(0, len(data), 8)]
        if kind != "float64":
            values = [struct.unpack("<q", value)[0] for value in values]
    return [value if there else None for value, there in zip(values, present)]


def read_batch(buffer, at, fields, body):
    batch = buffer.table(at, BATCH)
    assert "compression" not in batch
    rows = buffer.number("q", batch["length"])
    nodes = [(buffer.number("q", node), buffer.number("q", node + 8)) for node in buffer.vector(batch["nodes"], 16)]
    places = [(buffer.number("q", place), buffer.number("q", place + 8)) for place in buffer.vector(batch["buffers"], 16)]
    assert [length for length, _ in nodes] == [rows] * len(fields)
    columns = [read_column(kind, rows, nulls, body, lambda: places.pop(0)) for (_, kind, _), (_, nulls) in zip(fields, nodes)]
    assert places == []
    return columns


def messages(data, whole=True):
    """(buffer, message, body) of each message; of a stream that was broken off, if it need not be whole, of those that came."""
    at = 0
    while whole or at + 8 <= len(data):
        continuation, head_bytes = struct.unpack_from("<Ii", data, at)
        assert continuation == 0xFFFFFFFF and at % 8 == 0 and head_bytes % 8 == 0
        at += 8
        if head_bytes == 0:
            assert at == len(data), "bytes after the end"
            return
        if not whole and at + head_bytes > len(data):
            return
        buffer = Flatbuffer(data[at:at + head_bytes])
        at += head_bytes
        message = buffer.table(buffer.follow(0), MESSAGE)
        assert buffer.number("h", message["version"]) == 4
        body_bytes = buffer.number("q", message["body_length"])
        if not whole and at + body_bytes > len(data):
            return
        assert body_bytes % 8 == 0 and at + body_bytes <= len(data)
        yield buffer, message, data[at:at + body_bytes]
        at += body_bytes


def read(data, whole=True):
    fields, batches = None, []
    for buffer, message, body in messages(data, whole):
        header = buffer.follow(message["header"])
        if fields is None:
            assert buffer.number("B", message["header_type"]) == 1 and not body
            fields = read_schema(buffer, header)
        else:
            assert buffer.number("B", message["header_type"]) == 3
            batches.append(read_batch(buffer, header, fields, body))
    return fields, batches


def count_rows(data):
    return sum(buffer.number("q", buffer.table(buffer.follow(message["header"]), BATCH)["length"])
               for buffer, message, _ in messages(data) if buffer.number("B", message["header_type"]) == 3)
