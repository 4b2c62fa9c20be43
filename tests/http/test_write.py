#!/usr/bin/python3
"""POST /write: InfluxDB line protocol, as Telegraf and other clients of InfluxDB send it."""
import gzip

import os
import random
import re
import subprocess
import sys
import threading
import time
import unicodedata

from historiand import HERE, Relay, Server, new_table, request_bytes, rows, run, sql, wait_for

# An independent reading of the format: by regular expressions, a line at a time.

ATOM = r"(?:\\[,= ]|\\(?![,= ])|[^,= \\])"     # of keys and tag values
MEASUREMENT = r"(?:\\[,= ]|\\(?![,= ])|[^, \\])+"
SERIES = re.compile(rf"({MEASUREMENT})((?:,{ATOM}+={ATOM}+)*)", re.S)
PAIR = re.compile(rf",({ATOM}+)=({ATOM}+)", re.S)
FIELD = re.compile(rf"({ATOM}+)=([^, ]+)", re.S)
FLOAT = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
INTEGER = re.compile(r"-?(?:0|[1-9]\d*)i|(?:0|[1-9]\d*)u")
BOOLEANS = {word: float(word[0] in "tT") for word in
            "t T true True TRUE f F false False FALSE".split()}
UNIT, NOW = 1000, 77


def plain(text):
    return re.sub(r"\\([,= ])", r"\1", text)


def point(line):
    """(time, tag, values) of a line; None where it is not to be stored."""
    match = SERIES.match(line)
    if not match:
        return None
    pairs = PAIR.findall(match[2])
    names = [plain(key) for key, _ in pairs]
    if len(set(names)) < len(names):
        return None
    tag = match[1] + "".join(f",{key}={value}" for key, value in
                             sorted(pairs, key=lambda pair: plain(pair[0]).encode("utf-8", "surrogateescape")))
    tag = tag.replace("\\ ", " ").encode("utf-8", "surrogateescape")
    if len(tag) > 256:
        return None
    try:
        if any(unicodedata.category(c) == "Cc" for c in tag.decode()):
            return None
    except UnicodeDecodeError:
        return None
    rest = line[match.end():]
    if not rest.startswith(" "):
        return None
    rest = rest.lstrip(" ")
    fields = {}
    while True:
        match = FIELD.match(rest)
        if not match:
            return None
        name, text = plain(match[1]), match[2]
        if INTEGER.fullmatch(text) and text.isascii():
            value = int(text[:-1])
            if abs(value) > 2**53:
                return None
            value = float(value)
        elif text in BOOLEANS:
            value = BOOLEANS[text]
        elif FLOAT.fullmatch(text) and text.isascii() and \
                (len(text) <= 400 or re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", text)):
            value = float(text)
            if abs(value) == float("inf"):
                return None
        else:
            return None
        if name in fields:
            return None
        fields[name] = value
        rest = rest[match.end():]
        if not rest.startswith(","):
            break
        rest = rest[1:]
    if len(fields) > 1000:
        return None
    names = sorted(fields, key=lambda name: name.encode("utf-8", "surrogateescape"))
    values = [fields[name] for name in names]
    stamp = rest.strip(" ")
    if rest and not rest.startswith(" "):
        return None
    if stamp == "":
        return NOW, tag, values
    if not re.fullmatch(r"-?(0|[1-9][0-9]*)", stamp) or not -2**63 <= int(stamp) < 2**63 or \
            not -2**63 <= int(stamp) * UNIT < 2**63:
        return None
    return int(stamp) * UNIT, tag, values


def body_lines(text):
    """The lines of a body: a line feed in a string does not end one."""
    lines, start, at, fields, string = [], 0, 0, False, False
    comment = text.lstrip(" \t\r").startswith("#")
    while at < len(text):
        if string:
            if text[at] == "\\" and text[at + 1:at + 2] in ("\\", '"') and text[at + 1:at + 2]:
                at += 1
            elif text[at] == '"':
                string = False
        elif text[at] == "\n":
            lines.append(text[start:at])
            start, fields = at + 1, False
            comment = text[start:].lstrip(" \t\r").startswith("#")
        elif comment:
            pass
        elif text[at] == "\\" and text[at + 1:at + 2] and text[at + 1] in ",= ":
            at += 1
        elif text[at] == " ":
            fields = fields or text[start:at].strip(" \t\r") != ""
        elif text[at] == "=" and fields and text[at + 1:at + 2] == '"':
            string = True
            at += 1
        at += 1
    return lines + [text[start:]]


def expected(text):
    """(points, numbers of the bad lines) of a body."""
    points, bad = [], []
    for number, line in enumerate(body_lines(text), 1):
        line = line.lstrip(" \r\t\n")
        if line == "" or line.startswith("#"):
            continue
        if line.endswith("\r"):
            line = line[:-1]
        found = point(line)
        if found is None:
            bad.append(number)
        else:
            points.append(found)
    return points, bad[:100]


class Decoder:
    """The server's own, in a program of its own."""

    def __init__(self):
        subprocess.run(["make", "-s", "-C", os.path.join(HERE, "unit")], check=True)
        self.process = subprocess.Popen([os.path.join(HERE, "../../build/http-unit/decode_points")],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def decode(self, body, piece):
        self.process.stdin.write(b"%d %d\n" % (len(body), piece) + body)
        self.process.stdin.flush()
        points = []
        while True:
            words = self.process.stdout.readline().split()
            assert words, f"it ended with {self.process.wait()}"
            if words[0] == b"errors":
                return points, [int(word) for word in words[1:]]
            points.append((int(words[0]), bytes.fromhex(words[1].decode()),
                           [float.fromhex(word.decode()) for word in words[2:]]))


NAMES = ["cpu", "a", "m\\ n", "m\\,n", "x\\=y", "\u00e9", "b\\", "\\", "T", "#x", '"q"', "z" * 60]
KEYS = ["host", "a", "b", "k\\ l", "k\\,l", "k\\=l", "\u00fc", "a\\", "\\a", '"']
NUMBERS = ["1", "-1.5", "0", "-0", "1e3", "1.e+78", ".5", "5.", "-.5e-3", "007", "-00.10", "1e-400",
           "5i", "-5i", "0i", "7u", "9007199254740992i", "true", "F", "T", "False", "4.9e-324",
           "1e400", "-7u", "9007199254740993i", "-9007199254740993i", "99999999999999999999i",
           "18446744073709551615u", "tRUE", "nan", "-inf",
           "1.5i", "05i", "--1", "1_0", "0x1", "-", ".", "e5", "1e", "i", "1.2.3", "+1", "0." + "1" * 380,
           "1" * 401, "00" + "1" * 400, "123456789012345678901234567890", "\u0661",
           '"text"', '"a b"', '"a,b=c"', '"quo\\"te"', '"back\\\\"', '"line\nfeed v=1 5"', '"open', '""']
STAMPS = ["", " 0", " 1583748873000000", " -5", "  7  ", " 9223372036854775807", " 9223372036854775", " 1.5",
          " 1e3", " x", " 007", " 7 8", " -9223372036854775808", " -9223372036854776"]
NOISE = list(" ,=\\\"\n\r\t#1ei.-") + ["\0", "\x01", "\x7f", "\x85", "\xa0", "\u00e9", "\udcff", "\udcc3"]


def random_line(chance):
    name = chance.choice(NAMES)
    pairs = "".join(f",{chance.choice(KEYS)}={chance.choice(NAMES)}"
                    for _ in range(chance.choice((0, 0, 1, 2, 3, 8))))
    fields = ",".join(f"{chance.choice(KEYS)}{chance.choice(('', 1, 2, 3))}="
                      f"{chance.choice(NUMBERS[:21] if chance.random() < 0.97 else NUMBERS)}"
                      for _ in range(chance.choice((1, 1, 2, 3, 10))))
    line = f"{name}{pairs} {fields}{chance.choice(STAMPS[:5] if chance.random() < 0.9 else STAMPS)}"
    if chance.random() < 0.2:
        at = chance.randrange(len(line) + 1)
        line = line[:at] + chance.choice(NOISE) + line[at + chance.randrange(2):]
    return line


def test_decoder():
    """random and damaged bodies, whole and in pieces, decode as an independent parser reads them"""
    seed = int(os.environ.get("SEED", random.randrange(2**32)))
    print(f"# seed {seed}")
    chance = random.Random(seed)
    decoder = Decoder()
    stored = refused = 0
    end = time.monotonic() + float(os.environ.get("FUZZ_SECONDS", "4"))
    while time.monotonic() < end:
        text = chance.choice(("\n", "\n", "\r\n", "\n\n")).join(
            random_line(chance) for _ in range(chance.randrange(1, 60)))
        text += chance.choice(("", "\n"))
        body = text.encode("utf-8", "surrogateescape")
        points, bad = expected(text)
        got_points, got_bad = decoder.decode(body, chance.choice((1, 7, 64, len(body))))
        assert got_bad == bad, (seed, body, bad, got_bad)
        assert list(map(repr, got_points)) == list(map(repr, points)), (seed, body)
        stored += len(points)
        refused += len(bad)
    print(f"# {stored} points and {refused} bad lines agree")
    assert stored > 100 and refused > 100


def test_long_lines():
    """a line that is too long is refused, and nothing inside a string becomes a point"""
    decoder = Decoder()
    hidden = "injected v=1 1\n"
    for piece in (1000, 10**9):
        for padding in (10, 70000, 200000):
            body = ('m v=1 1\nm v="' + "x" * padding + "\n" + hidden * 10 + '" 2\nm v=3 3\n').encode()
            points, bad = decoder.decode(body, piece)
            assert (1000, b"m", [1.0]) in points, points
            assert not any(tag == b"injected" for _, tag, _ in points), (piece, padding)
            assert bad[0] == 2, bad
        body = ('m v="never closed\n' + hidden * 10000).encode()
        assert decoder.decode(body, piece)[0] == []
    fields = ",".join(f"f{i:04}=1" for i in range(1001))
    assert decoder.decode(f"m {fields}\n".encode(), 100) == ([], [1])
    points, bad = decoder.decode(f"m {fields[:-8]}\n".encode(), 100)
    assert bad == [] and len(points[0][2]) == 1000


def write(server, body, query="", path="/write", headers=None):
    return server.request("POST", path + query, body.encode() if isinstance(body, str) else body, headers)


def test_telegraf():
    """what Telegraf's outputs influxdb and influxdb_v2 send, from the start on"""
    server = Server()
    answer = server.request("POST", "/query", b"q=CREATE+DATABASE+%22telegraf%22",
                            {"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status == 200 and answer.json() == {"results": [{"statement_id": 0}]}, answer
    batch = ("cpu,cpu=cpu-total,host=h1 usage_user=0.5025125628122722,usage_idle=98.5,usage_guest=0 "
             "1583748873000000000\n"
             "mem,host=h1 used_percent=41.5,free=1073741824i,huge_pages_free=0i 1583748873000000000\n"
             "disk,path=/var/my\\ data,host=h1 read_only=false 1583748873000000000\n").encode()
    answer = write(server, gzip.compress(batch), "?consistency=any&db=telegraf&rp=", headers={
        "Content-Encoding": "gzip", "Content-Type": "text/plain; charset=utf-8",
        "User-Agent": "Telegraf/1.30"})
    assert answer.status == 204 and answer.body == b"", answer
    assert sorted(rows(server.table)) == [
        (1583748873000000000, "cpu,cpu=cpu-total,host=h1", "{0,98.5,0.5025125628122722}"),
        (1583748873000000000, "disk,host=h1,path=/var/my data", "{0}"),
        (1583748873000000000, "mem,host=h1", "{1073741824,0,41.5}")], "204 means committed"
    answer = write(server, b"m v=1 7\n", "?bucket=b&org=o&precision=s", "/api/v2/write",
                   {"Authorization": "Token x"})
    assert answer.status == 204, answer
    assert rows(server.table, "tag = 'm'") == [(7 * 10**9, "m", "{1}")]
    for method in "GET", "HEAD":
        answer = server.request(method, "/ping")
        assert answer.status == 204 and "x-influxdb-version" in answer.headers, answer
    found = server.get("/api?tag=disk,host%3Dh1,path%3D/var/my+data&start=1583748872000000000"
                       "&end=1583748873000000000&samples=1")
    assert found.status == 200 and found.json()["samples"][0]["values"] == [0], found


def test_precision():
    """the timestamp's unit, and the server's time where there is none"""
    server = Server()
    for unit, factor in (("", 1), ("n", 1), ("ns", 1), ("u", 10**3), ("us", 10**3), ("ms", 10**6),
                         ("s", 10**9), ("m", 60 * 10**9), ("h", 3600 * 10**9)):
        tag = f"unit_{unit}"
        query = f"?precision={unit}" if unit else ""
        assert write(server, f"{tag} v=1 5\n", query).status == 204
        assert rows(server.table, f"tag = '{tag}'") == [(5 * factor, tag, "{1}")]
    before = time.time_ns()
    assert write(server, "now v=1", "?precision=s").status == 204
    (stamp, _, _), = rows(server.table, "tag = 'now'")
    assert before <= stamp <= time.time_ns()
    for query in ("?precision=d", "?precision=", "?nonsense=1", "?ack=maybe", "?ack=received&ack=received",
                  "?precision=s%00"):
        assert write(server, "m v=1 5\n", query).status == 400, query
    answer = write(server, "m v=1 9223372036854775807\n", "?precision=s")
    assert answer.status == 400 and "timestamp" in answer.json()["detail"], answer


def test_partial_write():
    """the good lines are stored, 400 names the bad ones, under InfluxDB's names too"""
    server = Server()
    body = "good v=1 1\nno_fields\nuptime text=\"3 days\" 1\nbig n=9007199254740993i 1\nlate v=2 2\n"
    answer = write(server, body)
    problem = answer.json()
    assert answer.status == 400 and problem["accepted"] == 2 and problem["rejected"] == 3, answer
    assert [error["line"] for error in problem["errors"]] == [2, 3, 4], problem
    assert problem["errors"][1]["field"] == "text" and "string" in problem["errors"][1]["detail"]
    assert problem["detail"].startswith("partial write: line 2: "), problem
    assert problem["error"] == problem["message"] == problem["detail"], problem
    assert [tag for _, tag, _ in rows(server.table)] == ["good", "late"], "committed with the answer"
    answer = write(server, body.replace("good", "better"), "?partial=false")
    assert answer.status == 400 and answer.json()["accepted"] == 0, answer
    assert len(rows(server.table)) == 2, "without partial it is all or nothing"
    assert write(server, "").status == 204
    assert write(server, "# nothing\n\n").status == 204
    assert write(server, gzip.compress(b"m v=1 1\n")[:-5],
                 headers={"Content-Encoding": "gzip"}).status == 400
    assert server.request("GET", "/write").status == 405
    answer = server.request("POST", "/query", b"q=SELECT+1")
    assert answer.status == 400 and "error" in answer.json(), answer
    assert server.request("POST", "/query", b"q=" + b"x" * 5000).status == 413


def test_fields_in_several_lines():
    """fields of one series and time are one point, in one request or several, as Telegraf sends them"""
    server = Server(threads=2)
    system = "system,host=a "
    assert write(server, f"{system}load1=0.5,load5=0.4,n_cpus=2i 7\n{system}uptime=807i 7\n").status == 204
    assert rows(server.table) == [(7, "system,host=a", "{0.5,0.4,2,807}")]
    assert write(server, f"{system}load15=0.3 7\n").status == 204     # another connection
    assert rows(server.table) == [(7, "system,host=a", "{0.5,0.4,2,807,0.3}")], "a new field comes after the others"
    assert write(server, f"{system}load1=9 7\n").status == 204        # the later value wins
    assert rows(server.table) == [(7, "system,host=a", "{9,0.4,2,807,0.3}")]
    assert write(server, f"{system}load1=1 8\n").status == 204        # another time
    assert rows(server.table, "time = 8") == [(8, "system,host=a", "{1}")]
    assert write(server, "e b\\ =2 1\ne b=1,b\\ a=3 1\n").status == 204
    assert rows(server.table, "tag = 'e'") == [(1, "e", "{1,2,3}")], "in the order of plain names"
    half = ",".join(f"f{i:04}=1" for i in range(501))
    answer = write(server, f"wide {half} 1\nwide {half.replace('f', 'g')} 1\n")
    assert answer.status == 400 and "1000 fields" in answer.json()["detail"], answer
    # What was refused as a whole is not part of what comes later.
    assert write(server, "r a=1,c=3 1\nbad\n", "?partial=false").status == 400
    assert write(server, "r b=2 1\n").status == 204
    assert rows(server.table, "tag = 'r'") == [(1, "r", "{2}")]


def named_rows(table):
    """{(time, tag): {field: value}}, as the names of the fields say"""
    found = {}
    for time_ns, tag, name, value in sql(f"""SELECT m.time, m.tag, t.learned[e], m.values[e] FROM {table} m
            LEFT JOIN historian.tag t ON t.relid = '{table}'::regclass AND t.tag = m.tag, generate_subscripts(m.values, 1) e
            WHERE m.values[e] IS NOT NULL"""):
        found.setdefault((int(time_ns), tag), {})[name] = float(value)
    return found


def test_merged_at_random():
    """against a dictionary of fields by series and time, lines in any order over several requests"""
    seed = random.randrange(2 ** 32)
    print(f"# seed {seed}")
    generator = random.Random(seed)
    server = Server(threads=2)
    points = {}
    for _ in range(20):
        body = ""
        for _ in range(generator.randrange(1, 400)):
            tag = f"m,h={generator.randrange(40)}"
            time_ns = generator.randrange(8)
            fields = {f"f{generator.randrange(30)}": float(generator.randrange(100))
                      for _ in range(generator.randrange(1, 6))}
            points.setdefault((time_ns, tag), {}).update(fields)
            order = list(fields.items())
            generator.shuffle(order)
            body += f"{tag} " + ",".join(f"{n}={v}" for n, v in order) + f" {time_ns}\n"
        assert write(server, body).status == 204
    assert named_rows(server.table) == points


def test_merged_past_the_row():
    """a line whose point would be more than a row holds is refused alone: later lines are as if it had not come"""
    server = Server()
    first = ",".join(f"a{i:03}={i}" for i in range(900))
    assert write(server, f"big {first} 5").status == 204
    for rest in (101, 500):
        answer = write(server, "big " + ",".join(f"b{i:03}=1" for i in range(rest)) + " 5")
        assert answer.status == 400 and "in all" in answer.json()["detail"], answer
    # with a tag of 256 bytes 978 values fit
    tag = "t" * 256
    answer = write(server, f"{tag} {first} 5\n{tag} " + ",".join(f"b{i:03}=1" for i in range(79)) + f" 5\n{tag} a000=7 5\nbig a001=8,c=9 5")
    assert answer.status == 400 and [e["line"] for e in answer.json()["errors"]] == [2], answer
    big, long = rows(server.table)
    assert big[2] == "{0,8," + ",".join(str(i) for i in range(2, 900)) + ",9}"
    assert long[2] == "{7," + ",".join(str(i) for i in range(1, 900)) + "}"
    assert write(server, f"{tag} " + ",".join(f"b{i:03}=1" for i in range(78)) + " 5").status == 204
    assert sql(f"SELECT cardinality(values) FROM {server.table} WHERE tag = '{tag}'") == [["978"]]
    assert server.stop() == 0


def test_merged_out_of_order():
    """fields that come while another request with fields of the same point is still arriving are not lost"""
    server = Server()
    for number, query in enumerate(("partial=false", "partial=true")):
        client = server.connect()
        begun = f"m a=1 {number}\n"
        before = server.metric("historiand_received_bytes_total")
        body = (begun + f"other a=1 {number}\n").encode()
        client.send(request_bytes("POST", f"/write?{query}", body)[:-len(body)] + begun.encode())
        wait_for("the line", lambda b=before, size=len(begun):
                 server.metric("historiand_received_bytes_total") >= b + size)
        assert write(server, f"m b=2 {number}").status == 204
        assert write(server, f"m a=3,c=4 {number}").status == 204
        client.send(body[len(begun):])
        assert client.answer().status == 204
    assert [row for row in rows(server.table) if row[1] == "m"] == [(0, "m", "{3,2,4}"), (1, "m", "{3,2,4}")]
    assert server.stop() == 0


def test_merged_at_once():
    """of fields that several clients send for the same points at the same time none is lost"""
    server = Server(threads=2, flush_interval="5ms")
    clients, points, rounds = 4, 300, 8
    start = threading.Barrier(clients)
    statuses = []

    def send(number):
        connection = server.connect(timeout=60)
        for turn in range(rounds):
            body = "".join(f"p{i} f{number}={number} {turn}\n" for i in range(points)).encode()
            start.wait()
            connection.send(request_bytes("POST", "/write", body))
            statuses.append(connection.answer().status)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [204] * clients * rounds, statuses
    assert named_rows(server.table) == {(turn, f"p{i}"): {f"f{n}": n for n in range(clients)} for turn in range(rounds) for i in range(points)}
    assert server.stop() == 0


def test_strings():
    """string fields can be left out, by parameter or by setting; other faults stay faults"""
    body = ('h,e=t value=21.5,unit="C" 1\nh,e=x ok=1,sep="\n, =\\"",a="" 2\nh,e=y ok=2 3\n'
            'h,e=none text="only" 4\n')
    expected = [(1, "h,e=t", "{21.5}"), (2, "h,e=x", "{1}"), (3, "h,e=y", "{2}")]
    server = Server()
    assert write(server, body).status == 400
    assert [tag for _, tag, _ in rows(server.table)] == ["h,e=y"], "refused by default"
    assert write(server, body, "?strings=ignore").status == 204
    assert rows(server.table) == expected
    assert write(server, body, "?strings=keep").status == 400
    server = Server(line_strings="ignore")
    assert write(server, body).status == 204
    assert rows(server.table) == expected
    assert write(server, body, "?strings=refuse").status == 400
    for line in ('m v=1,s="open', 'm v=1,s="a"b 1', 'm s="a" x', 'm s="a",v=word 1', 'm s="a",=1 1'):
        answer = write(server, line)
        assert answer.status == 400, (line, answer)
    assert rows(server.table) == expected


def test_start_of_clients():
    """what client libraries of InfluxDB ask at their start"""
    relay = Relay()
    server = Server(conninfo=relay.conninfo)
    answer = server.get("/health")
    assert answer.status == 200 and answer.json()["status"] == "pass", answer
    databases = {"results": [{"statement_id": 0, "series": [
        {"name": "databases", "columns": ["name"], "values": [[server.table]]}]}]}
    empty = {"results": [{"statement_id": 0}]}
    for query, expected in (("SHOW+DATABASES", databases), ("show%20databases", databases),
                            ("SHOW+MEASUREMENTS", empty), ("SHOW+RETENTION+POLICIES+ON+%22x%22", empty),
                            ("CREATE+DATABASE+x", empty)):
        answer = server.get("/query?db=x&q=" + query)
        assert answer.status == 200 and answer.json() == expected, (query, answer)
        answer = server.request("POST", "/query?db=x&q=" + query, b"")
        assert answer.status == 200 and answer.json() == expected, (query, answer)
    for query in ("", "?q=SELECT+1", "?q=", "?q=DROP+DATABASE+x"):
        answer = server.get("/query" + query)
        assert answer.status == 400 and "error" in answer.json(), (query, answer)
    answer = server.request("PUT", "/query", b"")
    assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD, POST, OPTIONS", answer
    relay.cut()
    wait_for("the failure", lambda: server.get("/health").status == 503)
    assert server.get("/health").json()["status"] == "fail"


def test_ack():
    """ack=received answers 202 at once; a full buffer and an absent database 503, as with /save"""
    relay = Relay()
    server = Server(conninfo=relay.conninfo, max_buffered_bytes="1MiB", commit_timeout="300ms")
    series = "m,k=" + "x" * 200     # whose fields are known
    wait_for("fields in time", lambda: write(server, f"m v=1 1\n{series} v=1 1\n", "?ack=received").status == 202)
    wait_for("the load", lambda: len(rows(server.table)) == 2)
    relay.cut()
    answer = write(server, "m v=1 2\n")
    assert answer.status == 503 and "retry-after" in answer.headers, answer
    body = "".join(f"{series} v=1 {i}\n" for i in range(2, 100000))
    answer = write(server, body, "?ack=received")
    assert answer.status == 503 and 0 < answer.json()["accepted"] < 99998, answer
    relay.mend()
    wait_for("the rest", lambda: len(rows(server.table)) == 3 + answer.json()["accepted"])
    text = server.get("/metrics").body.decode()
    assert 'route="/write",status="503"' in text, "requests are counted under their route"


run(sys.modules[__name__])
