#!/usr/bin/python3
"""GET /export of several tags, of a prefix and of all: one stream in an order in which a client that was cut off can go on."""
import csv
import gzip
import hashlib
import io
import json
import os
import random
import struct
import sys
import urllib.parse
import zlib

from historiand import CONNINFO, Client, Server, insert, message, new_table, run, sql, temporary_directory, wait_for

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../unit"))
import read_arrow       # pylint: disable=wrong-import-position

SEED = random.randrange(2 ** 32)
TAGS = ("plant/a", "plant/b", "plant/größe %&+", "PLANT", "it's \"q\" \\ '; DROP TABLE x; --", "\x01 \t\n\r\b\f\v\\N end", "{a,b}", "plant/", "z")
PLANT = "plant/"
table = None
server = None
rows = []


def setup():
    """A table with some rows of each tag, compacted in part; rows is in the order that is promised."""
    global table, server
    if server is not None:
        return
    print(f"# seed {SEED}")
    generator = random.Random(SEED)
    table = new_table()
    made = {}
    for tag in TAGS:
        for _ in range(generator.randrange(30, 120)):
            made[tag, generator.randrange(-2 ** 63, 2 ** 63)] = [None if generator.random() < 0.1 else generator.gauss(0, 1e3)
                                                                 for _ in range(generator.randrange(5))]
    made["z", 2 ** 63 - 1] = [1.0]
    shuffled = [message(time, tag, values) for (tag, time), values in made.items()]
    generator.shuffle(shuffled)
    insert(table, shuffled[::2])
    sql(f"SELECT historian.compact('{table}')")
    insert(table, shuffled[1::2])
    rows.extend((tag, time, made[tag, time]) for tag, time in sorted(made, key=lambda key: (key[0].encode(), key[1])))
    server = Server(table=table)


def target(tags=None, **more):
    return "/export?" + urllib.parse.urlencode([*(("tag", tag) for tag in tags or ()), *more.items()])


def selections():
    """Parameters, and which tags they select."""
    return (({"tags": TAGS[:2]}, set(TAGS[:2])), ({"tags": TAGS[::-1] + TAGS[:1]}, set(TAGS)), ({"prefix": PLANT}, {tag for tag in TAGS if tag.startswith(PLANT)}),
            ({"prefix": "nobody"}, set()), ({"all": "true"}, set(TAGS)), ({"tags": ["z"]}, {"z"}))


def read_ndjson(body):
    return [(line["tag"], line["time"], line["values"]) for line in map(json.loads, body.splitlines())]


def read_csv(body):
    lines = list(csv.reader(io.StringIO(body.decode(), newline="")))
    assert lines[0] == ["time", "tag", "values"], lines[0]
    return [(tag, int(time), [None if value == "NULL" else float(value) for value in values[1:-1].split(",") if value]) for time, tag, values in lines[1:]]


def read_binary(body):
    """COPY BINARY, by PostgreSQL's documentation."""
    assert body.startswith(b"PGCOPY\n\xff\r\n\0"), body[:20]
    found, at = [], 19
    while True:
        fields, = struct.unpack_from(">h", body, at)
        at += 2
        if fields == -1:
            assert at == len(body)
            return found
        row = []
        for _ in range(fields):
            length, = struct.unpack_from(">i", body, at)
            row.append(body[at + 4:at + 4 + max(length, 0)])
            at += 4 + max(length, 0)
        count, place, values = (struct.unpack_from(">i", row[2], 12)[0], 20, []) if struct.unpack_from(">i", row[2])[0] else (0, 12, [])
        for _ in range(count):
            length, = struct.unpack_from(">i", row[2], place)
            values.append(struct.unpack_from(">d", row[2], place + 4)[0] if length == 8 else None)
            place += 4 + max(length, 0)
        found.append((row[1].decode(), struct.unpack(">q", row[0])[0], values))


READERS = {"ndjson": read_ndjson, "csv": read_csv, "binary": read_binary}


def test_selections():
    """several tags, a prefix, all: the rows tag by tag in the order of bytes, each in the order of time, in every format"""
    setup()
    for form, read in READERS.items():
        for parameters, tags in selections():
            answer = server.get(target(**parameters, format=form))
            assert answer.status == 200 and read(answer.body) == [row for row in rows if row[0] in tags], (form, parameters, answer)
    start, end = rows[3][1], rows[90][1]
    start, end = min(start, end), max(start, end)
    answer = server.get(target(all="true", start=start, end=end, precision="ns"))
    assert read_ndjson(answer.body) == [row for row in rows if start <= row[1] < end], answer


def read_arrow_rows(body, whole=True):
    """Names of the columns of values, and rows with their bytes."""
    fields, batches = read_arrow.read(body, whole)
    return [name for name, _, _ in fields[2:]], [row for columns in batches for row in zip(*columns)]


def as_arrow(found):
    """The same of (tag, time, values): a column for each value of the widest row."""
    width = max((len(values) for _, _, values in found), default=0)
    return [f"value_{i + 1}" for i in range(width)], [
        (time, tag, *(None if value is None else struct.pack("<d", value) for value in values), *[None] * (width - len(values)))
        for tag, time, values in found]


def test_arrow():
    """as Arrow the same rows come in the same order, with as many columns as the widest of them has values"""
    setup()
    for parameters, tags in selections():
        answer = server.get(target(**parameters, format="arrow"))
        assert answer.status == 200 and read_arrow_rows(answer.body) == as_arrow([row for row in rows if row[0] in tags]), (parameters, answer)
    start, end = sorted((rows[3][1], rows[90][1]))
    for parameters, tags in selections():
        answer = server.get(target(**parameters, format="arrow", start=start, end=end, precision="ns"))
        expected = as_arrow([row for row in rows if row[0] in tags and start <= row[1] < end])
        assert read_arrow_rows(answer.body) == expected, (parameters, answer)


def test_arrow_resume():
    """a client that is cut off goes on after the last whole batch, with the same columns, and has every row once"""
    generator = random.Random(SEED + 2)
    name = new_table()
    other = Server(table=name)
    sql(f"INSERT INTO {name} SELECT i * 1000, tag, CASE tag WHEN 'c' THEN ARRAY[i] ELSE ARRAY[i, i::float8 / 7, -i] END "
        "FROM unnest('{a,b,c,d}'::text[]) tag, generate_series(1, 20000) i")
    resumed = 0
    for parameters, tags in (({"all": "true"}, "abcd"), ({"tags": ["c", "a"]}, "ac"), ({"prefix": "b"}, "b")):
        expected = as_arrow([(tag, i * 1000, [i] if tag == "c" else [i, i / 7, -i]) for tag in tags for i in range(1, 20001)])
        kept, after, turns = [], {}, 0
        while True:
            answer = other.get(target(**parameters, **after, format="arrow", precision="ns"))
            assert answer.status == 200, answer
            turns += 1
            cut = generator.randrange(len(answer.body) // 2, len(answer.body)) if turns < 4 else len(answer.body)
            names, found = read_arrow_rows(answer.body[:cut], cut == len(answer.body))
            assert names == expected[0], names
            kept += found
            if cut == len(answer.body):
                break
            if found:
                after = {"after_tag": found[-1][1], "after_time": found[-1][0]}
                resumed += 1
        assert kept == expected[1], (parameters, len(kept), len(expected[1]))
    assert resumed, "some of the answers were cut behind a whole batch"


def test_compressed():
    """gzip goes with it"""
    setup()
    plain = server.get(target(all="true"))
    packed = server.request("GET", target(all="true"), headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip" and gzip.decompress(packed.body) == plain.body, packed


def test_other_tables():
    """a partitioned parent and a heap table give the same bytes"""
    setup()
    parent = new_table("heap", "time bigint, tag text, values float8[]")
    sql(f"DROP TABLE {parent}; CREATE TABLE {parent} (time bigint, tag text, values float8[]) PARTITION BY HASH (tag)")
    for i in range(3):
        sql(f"CREATE TABLE {parent}_{i} PARTITION OF {parent} FOR VALUES WITH (MODULUS 3, REMAINDER {i}) USING historian")
    heap = new_table("heap", "time bigint, tag text, values float8[]")
    for name in (parent, heap):
        sql(f"INSERT INTO {name} SELECT * FROM {table}")
        other = Server(table=name, expect_ready=name != heap)
        for form in READERS:
            for parameters, _ in selections():
                path = target(**parameters, format=form)
                assert other.get(path).body == server.get(path).body, (name, path)
        other.stop()


def test_resume():
    """a client that is cut off again and again goes on after the last whole line, and has every row once"""
    setup()
    generator = random.Random(SEED + 1)
    for parameters, tags in selections():
        for form in ("ndjson", "csv"):
            for times in ("integer", "rfc3339"):
                expected = server.get(target(**parameters, format=form, time=times)).body
                head = b"time,tag,values\n" if form == "csv" else b""
                kept, after, turns = head, {}, 0
                while True:
                    packed = server.request("GET", target(**parameters, **after, format=form, time=times, precision="ns"), headers={"Accept-Encoding": "gzip"})
                    assert packed.status == 200, packed
                    turns += 1
                    cut = generator.randrange(len(packed.body) // 2, len(packed.body) + 1) if turns < 12 else len(packed.body)
                    came = zlib.decompressobj(31).decompress(packed.body[:cut])
                    lines = came.splitlines(keepends=True) if form == "ndjson" else list(records(came))
                    lines = [line for line in lines if line.endswith(b"\n")]
                    assert not lines or form == "ndjson" or lines[0] == head, lines[0]
                    lines = lines[form == "csv":]
                    kept += b"".join(lines)
                    if cut == len(packed.body):
                        break
                    if lines:
                        last = json.loads(lines[-1]) if form == "ndjson" else dict(zip(("time", "tag"), next(csv.reader(io.StringIO(lines[-1].decode(), newline="")))))
                        after = {"after_tag": last["tag"], "after_time": last["time"]}
                assert kept == expected, (parameters, form, times)


def records(text):
    """The whole records of CSV, whose fields may have line ends in quotes."""
    begin = quotes = 0
    for i, byte in enumerate(text):
        quotes += byte == ord('"')
        if byte == ord("\n") and quotes % 2 == 0:
            yield text[begin:i + 1]
            begin = i + 1


def test_resume_sees():
    """what is resumed is a snapshot of its own: rows behind the place do not come again, rows before it do come"""
    name = new_table()
    other = Server(table=name)
    insert(name, [message(10 * i, tag, [i]) for tag in ("a", "b", "c") for i in range(5)])
    whole = read_ndjson(other.get(target(all="true")).body)
    insert(name, [message(5, "a", [9]), message(15, "b", [9]), message(25, "b", [9]), message(1, "bb", [9])])
    rest = read_ndjson(other.get(target(all="true", after_tag="b", after_time="20")).body)
    assert rest == [("b", 25, [9]), *[row for row in whole if row[0] == "b" and row[1] > 20], ("bb", 1, [9]), *[row for row in whole if row[0] == "c"]], rest
    # of one tag, the time is enough
    assert other.get(target(["b"], start=21)).body == other.get(target(["b"], after_tag="b", after_time=20)).body
    assert read_ndjson(other.get(target(["a", "c"], after_tag="b", after_time=0)).body) == [row for row in whole if row[0] == "c"]
    for place in (("c", 40), ("z", 0)):
        answer = other.get(target(all="true", after_tag=place[0], after_time=place[1]))
        assert answer.status == 200 and answer.body == b"", answer
    # times in seconds leave out what follows them: the rows of that second come again, and none is missing
    insert(name, [message(10 ** 18 + i, "s", [i]) for i in range(3)])
    last = read_ndjson(other.get(target(["s", "a"], precision="s", start=10 ** 9)).body)[1]
    again = read_ndjson(other.get(target(["s", "a"], precision="s", after_tag=last[0], after_time=last[1])).body)
    assert [row[2] for row in again] == [[1], [2]], again


def test_wide():
    """CSV with a column for each value has as many columns as the widest row, and names where the tags agree"""
    name = new_table()
    other = Server(table=name)
    insert(name, [message(1, "a", [1, 2]), message(2, "a", [3]), message(1, "b", [4, 5, 6]), message(9, "b", [7, 8, 9, 10]), message(1, "c", [])])

    def lines(path):
        answer = other.get(path + "&format=csv&layout=wide")
        assert answer.status == 200, answer
        return answer.body.decode().splitlines()
    assert lines(target(all="true", end=5)) == ["time,tag,value_1,value_2,value_3", "1,a,1,2,", "2,a,3,,", "1,b,4,5,6", "1,c,,,"]
    assert lines(target(["c", "b"])) == ["time,tag,value_1,value_2,value_3,value_4", "1,b,4,5,6,", "9,b,7,8,9,10", "1,c,,,,"]
    sql(f"INSERT INTO historian.tag (relid, tag, names) VALUES ('{name}', 'a', '{{x,y}}'), ('{name}', 'c', '{{x,y}}')")
    assert lines(target(prefix="a")) == ["time,tag,x,y", "1,a,1,2", "2,a,3,"]
    assert lines(target(["a", "b"], end=5))[0] == "time,tag,x,y,value_3"
    sql(f"INSERT INTO historian.tag (relid, tag, names) VALUES ('{name}', 'b', '{{u,v}}')")
    assert lines(target(["a", "b"], end=5))[0] == "time,tag,value_1,value_2,value_3"
    assert lines(target(["a", "c"], end=5))[0] == "time,tag,x,y"
    assert lines(target(prefix="nobody")) == ["time,tag"]


def test_missing():
    """several tags of which some were never stored: 404 says which; one such tag is an empty export"""
    setup()
    for form in (*READERS, "arrow"):
        answer = server.get(target(["z", "no \"body\"", "plant/a", "nobody"], format=form))
        assert answer.status == 404 and 'never stored: "no "body"", "nobody"' in answer.json()["detail"], answer
    assert server.get(target(["nobody"])).status == 200
    assert server.get(target(prefix="nobody")).status == 200


def test_refusals():
    """which tags are meant must be said, and a place has two parts"""
    setup()
    for query, word in (("", '"tag" is missing'), ("format=csv", "all=true"), ("all=yes", '"all" must be true'), ("all=", '"all"'), ("all=true&all=true", "twice"),
                        ("prefix=", "must not be empty"), ("prefix=a&prefix=b", "twice"), ("tag=a&prefix=a", "exclude each other"),
                        ("prefix=a&all=true", "exclude each other"), ("tag=a&all=true", "exclude each other"), ("tag=a&tag=", '"tag"'),
                        ("all=true&after_tag=a", '"after_time" is missing'), ("all=true&after_time=5", '"after_tag" is missing'),
                        ("all=true&after_tag=&after_time=5", '"after_tag" must have'), ("all=true&after_tag=a&after_time=x", '"after_time"'),
                        ("all=true&after_tag=%ff&after_time=5", '"after_tag"'), ("all=true&tags=a", '"tags" is unknown'), ("all=true&start=5&end=5", '"start"')):
        answer = server.get("/export?" + query)
        assert answer.status == 400 and word in answer.json()["detail"], (query, answer)


class Guarded(Server):
    def __init__(self, name, lines, **settings):
        self.tokens = os.path.join(temporary_directory(), "export-tokens")
        with open(self.tokens, "w", encoding="utf-8") as file:
            for token, scope in lines:
                file.write(f"{token} {scope} sha256:{hashlib.sha256(token.encode()).hexdigest()}\n")
        os.chmod(self.tokens, 0o600)
        super().__init__(name, tokens_file=self.tokens, **settings)

    def ask(self, token, path):
        return self.request("GET", path, headers={"Authorization": "Bearer " + token})


def test_token_prefix():
    """a token with a prefix exports its own tags alone, in whatever way they are selected"""
    setup()
    other = Guarded(table, (("own", "read:plant/"), ("every", "read")))
    own = [row for row in rows if row[0].startswith(PLANT)]
    for form, read in READERS.items():
        assert read(other.ask("own", target(all="true", format=form)).body) == own
        assert read(other.ask("own", target(prefix="p", format=form)).body) == own
        assert read(other.ask("own", target(prefix="plant/a", format=form)).body) == [row for row in own if row[0].startswith("plant/a")]
        assert read(other.ask("own", target(prefix="z", format=form)).body) == []
        assert other.ask("own", target(["plant/a", "z"], format=form)).status == 403
        assert read(other.ask("own", target(all="true", format=form, after_tag="PLANT", after_time=0)).body) == own
        assert read(other.ask("every", target(all="true", format=form)).body) == rows
    assert read_arrow_rows(other.ask("own", target(all="true", format="arrow")).body) == as_arrow(own)
    assert other.ask("own", target(["plant/a", "z"], format="arrow")).status == 403
    assert other.ask("own", target(all="true", format="csv", layout="wide")).body.count(b"\n") == len(own) + 1


def test_limit():
    """an export is one query, however many it asks before it begins"""
    setup()
    other = Server(table=table, limit_queries=1, max_queries=1)
    for parameters, tags in selections():
        answer = other.get(target(**parameters, format="csv", layout="wide"))
        assert answer.status == 200, answer


def big():
    name = new_table()
    sql(f"INSERT INTO {name} SELECT i, tag, ARRAY[i, i / 7.0, sin(i), -i, 1] FROM unnest('{{big,small}}'::text[]) tag, generate_series(1, 300000) i")
    return name


def anonymous_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))


def test_memory():
    """neither the server nor PostgreSQL keeps or sorts rows, and what is committed meanwhile is not in the snapshot"""
    name = big()
    other = Server(table=name)
    other.get(target(all="true", end=1000))
    before = other.memory()
    temporary = sql("SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database()")
    client = Client.__new__(Client)
    client.socket = other.connect(timeout=60).socket
    client.buffer = b""
    client.send(f"GET {target(all='true')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    pid, = wait_for("the export to wait for its client",
                    lambda: sql("SELECT pid FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND query LIKE '%COPY (SELECT %'"))[0]
    insert(name, [message(5, "tiny", [1]), message(10 ** 6, "small", [1])])
    backend = peak = anonymous_bytes(pid)
    most = other.memory()
    while b"\r\n\r\n" not in client.buffer:
        client.fill()
    client.buffer = client.buffer.split(b"\r\n\r\n", 1)[1]
    lines = 0
    for number, chunk in enumerate(client.chunks()):
        lines += chunk.count(b"\n")
        if number % 50 == 0:
            most = max(most, other.memory())
            try:
                peak = max(peak, anonymous_bytes(pid))
            except (FileNotFoundError, StopIteration):
                pass
    print(f"# historiand: {before} bytes before, {most} at most; PostgreSQL: {backend} at the begin, {peak} at most")
    assert lines == 600000, lines
    assert most - before < 8 * 1048576, (before, most)
    assert peak - backend < 8 * 1048576, (backend, peak)
    assert sql("SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database()") == temporary
    assert CONNINFO


if __name__ == "__main__":
    run(sys.modules[__name__])
