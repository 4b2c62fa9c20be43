#!/usr/bin/python3
"""GET /export: what comes out is what was stored, in constant memory, for fast and slow clients."""
import csv
import gzip
import io
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.parse

from historiand import (CONNINFO, Client, Relay, Server, insert, message, ndjson, new_table, request_bytes, run, sql,
                        wait_for, NDJSON)

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../unit"))
import read_arrow       # pylint: disable=wrong-import-position

server = None
series = {}
big = None
SEED = random.randrange(2 ** 32)
TAGS = ("plain", "größe /%&+", "it's \"q\" \\ '; DROP TABLE x; --", "line\nend\ttab", "{a,b}")
BIG_ROWS = 1000000


def any_double(generator):
    """Every bit pattern but infinities and NaN; zeros, denormals and extremes more often."""
    value = generator.choice([0.0, -0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308,
                              0.1, None, None, None, None])
    while value is None or value != value or value in (float("inf"), float("-inf")):
        value = struct.unpack("<d", generator.randbytes(8))[0]
    return value


def setup():
    """Tags with random rows of random length."""
    global server
    if server is not None:
        return
    print(f"# seed {SEED}")
    generator = random.Random(SEED)
    server = Server()
    for tag in TAGS:
        series[tag] = {generator.randrange(-2 ** 63, 2 ** 63): [
            any_double(generator) for _ in range(generator.randrange(12))] for _ in range(500)}
    messages = [message(t, tag, v) for tag, points in series.items() for t, v in points.items()]
    generator.shuffle(messages)
    # a tag with a control character comes by SQL only
    by_sql = [m for m in messages if not m["tag"].isprintable()]
    assert server.save(ndjson([m for m in messages if m not in by_sql]), "?ack=committed&precision=ns",
                       NDJSON).status == 204
    insert(server.table, by_sql)


def big_server(**settings):
    """A server on a table with a million rows of one tag."""
    global big
    if big is None:
        big = new_table()
        sql(f"INSERT INTO {big} SELECT i, 'big', ARRAY[i, i / 7.0, sin(i), -i, 1] "
            f"FROM generate_series(1, {BIG_ROWS}) i")
    return Server(table=big, **settings)


def target(tag, **more):
    return "/export?" + urllib.parse.urlencode({"tag": tag, **more})


def digest(table):
    """Tells tables apart whose rows differ in any bit."""
    return sql("SELECT count(*), md5(string_agg(md5(array_send(values) || "
               "convert_to(tag, 'UTF8') || int8send(time)), '' ORDER BY tag COLLATE \"C\", time)) "
               f"FROM {table}")


def copies():
    """Exports that PostgreSQL is executing for any server."""
    return int(sql("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
                   "AND query LIKE '%COPY (SELECT %' AND pid <> pg_backend_pid()")[0][0])


def begin_unread(port, more=None):
    """An export of which the client takes next to nothing."""
    client = Client.__new__(Client)
    client.socket = socket.socket()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.socket.settimeout(20)
    client.socket.connect(("127.0.0.1", port))
    client.buffer = b""
    client.send(f"GET {target('big', **(more or {}))} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert client.socket.recv(12) == b"HTTP/1.1 200"
    return client


class Locked:
    """A table that nobody can read for a while."""

    def __init__(self, table):
        self.table = table
        self.session = None

    def __enter__(self):
        self.session = subprocess.Popen(["psql", "-X", "-q", "-A", "-t", "-d", CONNINFO],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.session.stdin.write(f"BEGIN; LOCK TABLE {self.table}; SELECT 'locked';\n")
        self.session.stdin.flush()
        assert self.session.stdout.readline() == "locked\n"

    def __exit__(self, *_):
        self.session.communicate("ROLLBACK;\n")


def load(table, data, options):
    """COPY FROM with psql, as a user would."""
    done = subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", CONNINFO, "-c",
                           f"COPY {table} FROM STDIN ({options})"],
                          input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_windows():
    """the rows with start <= time < end in the order of time, as messages"""
    setup()
    generator = random.Random(SEED + 1)
    for tag, points in series.items():
        times = sorted(points)
        windows = [{}, {"start": times[3]}, {"end": times[7]}, {"start": times[0], "end": times[1]},
                   {"start": -2 ** 63, "end": 2 ** 63 - 1}, {"start": times[-1] + 1},
                   {"start": times[2], "end": times[2] + 1}]
        for _ in range(5):
            start, end = sorted(generator.randrange(-2 ** 63, 2 ** 63) for _ in range(2))
            windows.append({"start": start, "end": end})
        for window in windows:
            answer = server.get(target(tag, **window, precision="ns"))
            assert answer.status == 200, answer
            assert answer.headers["content-type"] == "application/x-ndjson", answer
            assert [json.loads(line) for line in answer.body.splitlines()] == [
                message(t, tag, points[t]) for t in times
                if window.get("start", t) <= t < window.get("end", t + 1)], (tag, window)


def test_round_trip():
    """exports of every format that are loaded again give the same rows, bit for bit"""
    setup()
    other = Server()
    for tag in TAGS:
        body = server.get(target(tag)).body
        answer = other.save(body, "?ack=committed&precision=ns", NDJSON)
        assert answer.status == (204 if tag.isprintable() else 400), answer
        if not tag.isprintable():
            assert "control character" in answer.json()["detail"], answer
            insert(other.table, [json.loads(line, parse_int=lambda text: -0.0 if text == "-0" else int(text))
                                 for line in body.splitlines()])
    assert digest(other.table) == digest(server.table)
    for form, options in (("csv", "FORMAT csv, HEADER"), ("binary", "FORMAT binary")):
        table = new_table()
        for tag in TAGS:
            load(table, server.get(target(tag, format=form)).body, options)
        assert digest(table) == digest(server.table), form
    other.kill()


def test_what_json_lacks():
    """NaN and infinities are null in NDJSON and kept by the other formats"""
    setup()
    table = new_table()
    odd = Server()
    sql(f"INSERT INTO {odd.table} VALUES (1, 'odd', '{{NaN,Infinity,-Infinity,1,-0}}'), "
        "(2, 'odd', '{}')")
    assert odd.get(target("odd")).body == (
        b'{"time":1,"tag":"odd","values":[null,null,null,1,-0]}\n'
        b'{"time":2,"tag":"odd","values":[]}\n')
    answer = odd.get(target("odd", format="csv"))
    assert answer.body == b'time,tag,values\n1,odd,"{NaN,Infinity,-Infinity,1,-0}"\n2,odd,{}\n'
    assert answer.headers["content-type"].startswith("text/csv"), answer
    load(table, answer.body, "FORMAT csv, HEADER")
    assert digest(table) == digest(odd.table)


def test_empty():
    """no rows: an empty body, or only what the format begins with"""
    setup()
    assert server.get(target("nobody")).body == b""
    assert server.get(target("nobody", format="csv")).body == b"time,tag,values\n"
    assert server.get(target("nobody", format="binary")).body.startswith(b"PGCOPY\n")


def test_refusals():
    """bad parameters get 400 that names them"""
    setup()
    for query, word in (
            ("start=0&end=1", "tag"), ("tag=a&start=x", "start"), ("tag=a&end=1.5", "end"),
            ("tag=a&start=1&end=1", "start"), ("tag=a&format=xml", "format"),
            ("tag=a&end=9223372036854775808", "end"), ("tag=a&start=1'", "start"),
            ("tag=%ff", "tag"), ("tag=a%00b", "tag"), ("tag=", "tag"),
            ("tag=a&time=iso", "time"), ("tag=a&format=arrow&time=rfc3339", "time"),
            ("tag=a&format=arrow&layout=array", "layout")):
        answer = server.get("/export?" + query)
        assert answer.status == 400 and word in answer.json()["detail"], (query, answer)


def test_pipelined():
    """exports stand in line with other requests, HEAD has no body"""
    setup()
    client = server.connect()
    wanted = [target("plain"), "/livez", target("plain", format="csv"), "/export", target("{a,b}")]
    client.send(b"".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in wanted))
    answers = [client.answer() for _ in wanted]
    assert [a.status for a in answers] == [200, 200, 200, 400, 200]
    assert answers[0].body == server.get(wanted[0]).body
    assert answers[1].body == b"alive\n"
    assert answers[4].body == server.get(wanted[4]).body
    head = client.request("HEAD", wanted[0])
    assert head.status == 200 and head.headers["transfer-encoding"] == "chunked", head
    assert client.request("GET", "/livez").body == b"alive\n"


def test_http_1_0():
    """HTTP/1.0 knows no chunks: the end of the connection ends the body"""
    setup()
    client = server.connect()
    client.send(f"GET {target('plain')} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".encode())
    while client.fill():
        pass
    head, body = client.buffer.split(b"\r\n\r\n", 1)
    assert b"Transfer-Encoding" not in head and b"Connection: close" in head, head
    assert body == server.get(target("plain")).body


def test_error_before():
    """an error before the first byte is a problem"""
    table = new_table()
    other = Server(table=table)
    sql(f"DROP TABLE {table}")
    for form in ("ndjson", "csv", "binary", "arrow"):
        answer = other.get(target("a", format=form))
        assert answer.status == 500 and answer.json()["sqlstate"] == "42P01", answer
    other.kill()


def test_stalled():
    """a query from which nothing comes for --query-timeout is cancelled: 504"""
    table = new_table()
    other = Server(table=table, query_timeout="300ms")
    with Locked(table):
        answer = other.get(target("a"))
    assert answer.status == 504 and "--query-timeout" in answer.json()["detail"], answer
    wait_for("an export in time", lambda: other.get(target("a")).status == 200)
    other.kill()


def test_backend_hangs():
    """an export whose backend neither sends nor ends is answered 504; if its client leaves, too, the connection is replaced"""
    table = new_table()
    other = Server(table=table, query_timeout="300ms", max_queries=1)
    for stays in (True, False):
        wait_for("an export in time", lambda: other.get(target("a")).status == 200)
        backend = int(sql(f"SELECT pid FROM pg_stat_activity WHERE application_name = 'historiand' AND query LIKE '%COPY (SELECT%{table}%' "
                          "AND pid <> pg_backend_pid() ORDER BY query_start DESC LIMIT 1")[0][0])
        os.kill(backend, signal.SIGSTOP)
        try:
            client = other.connect()
            client.send(request_bytes("GET", target("a")))
            if stays:
                answer = client.answer()
                assert answer.status == 504 and "--query-timeout" in answer.json()["detail"], answer
            client.close()
            wait_for("another connection", lambda: other.get(target("a")).status == 200)
        finally:
            os.kill(backend, signal.SIGCONT)
    assert other.stop() == 0


def test_constant_memory():
    """a million rows pass through a few megabytes, for a slow client and for a fast one"""
    other = big_server()
    for form in ("ndjson", "arrow"):
        constant_memory(other, form)
    other.kill()


def constant_memory(other, form):
    other.get(target("big", format=form, end=1000))
    before = other.memory()
    slow = begin_unread(other.port, {"format": form})
    wait_for("the export to wait for its client", lambda: sql(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite' "
        "AND query LIKE '%COPY (SELECT %'") == [["1"]])
    peak = other.memory()

    client = other.connect(timeout=60)
    client.send(f"GET {target('big', format=form)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    while b"\r\n\r\n" not in client.buffer:
        client.fill()
    client.buffer = client.buffer.split(b"\r\n\r\n", 1)[1]
    body = bytearray()
    measured = 0
    for chunk in client.chunks():
        body += chunk
        if len(body) - measured > 2 ** 21:
            measured = len(body)
            peak = max(peak, other.memory())
    slow.close()
    print(f"# {form}: {len(body)} bytes, {before} bytes before, {peak} at most")
    assert len(body) > 5 * 8 * 1048576
    if form == "arrow":
        assert read_arrow.count_rows(bytes(body)) == BIG_ROWS
    else:
        assert body.count(b"\n") == BIG_ROWS and json.loads(body[-1000:].splitlines()[-1])["time"] == BIG_ROWS
    assert peak - before < 8 * 1048576, (before, peak)


def test_client_leaves():
    """the query of a client that is gone is cancelled, and its connection serves on"""
    other = big_server(max_queries=2)
    for _ in range(5):
        client = begin_unread(other.port)
        wait_for("the export to run", lambda: copies() == 1)
        client.close()
        wait_for("the export to be cancelled", lambda: copies() == 0)
        assert other.get(f"/api?tag=big&start=0&end={BIG_ROWS}&samples=1").status == 200
    assert "no connection" not in "".join(other.log), other.log
    other.kill()


def test_client_leaves_early():
    """a query that has sent nothing yet is cancelled too, and so is one that only waits"""
    table = new_table()
    other = Server(table=table, max_queries=1, query_timeout="1h")
    with Locked(table):
        clients = [other.connect() for _ in range(3)]
        for client in clients:
            client.send(f"GET {target('a')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            # closing sends a reset: the end of sending alone is no reason not to answer
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_for("the export to run", lambda: copies() == 1)
        for client in reversed(clients):
            client.close()
        wait_for("the export to be cancelled", lambda: copies() == 0)
    assert other.get(target("a")).status == 200
    other.kill()


def test_slow_client():
    """a client that takes nothing for --write-timeout is cut off and its query cancelled"""
    other = big_server(write_timeout="300ms")
    client = begin_unread(other.port)
    wait_for("the export to be cancelled", lambda: copies() == 0)
    client.close()
    other.kill()


def test_slow_but_steady():
    """a client that takes a little all the time is not cut off, however long the whole takes"""
    other = big_server(write_timeout="2s")
    client = other.connect()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    client.send(f"GET {target('big')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    end = time.monotonic() + 8      # several times --write-timeout
    taken = 0
    while time.monotonic() < end:
        piece = client.socket.recv(2048)
        assert piece, f"cut off after {taken} bytes"
        taken += len(piece)
        time.sleep(0.02)            # the client's pace: 100 kB a second
    assert copies() == 1 and taken < 2_000_000, taken
    assert other.get("/metrics").status == 200
    assert other.metric("historiand_connections_timed_out_total") == 0
    client.close()
    wait_for("the export's end", lambda: copies() == 0)
    other.kill()


def test_limits():
    """exports take half of --max-queries, the others wait; reads go on beside them"""
    other = big_server(max_queries=4, query_timeout="1s", max_queued_queries=10)
    clients = [begin_unread(other.port) for _ in range(2)]
    answer = other.get(target("big"))
    assert answer.status == 503 and "retry-after" in answer.headers, answer
    for _ in range(10):
        assert other.get(f"/api?tag=big&start=0&end={BIG_ROWS}&samples=1").status == 200
    waiting = [other.connect() for _ in range(11)]
    for client in waiting:
        client.send(f"GET {target('big')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = other.get(target("big"))
    assert answer.status == 503 and "--max-queued-queries" in answer.json()["detail"], answer
    for client in clients + waiting:
        client.close()
    wait_for("all to be cancelled", lambda: copies() == 0)
    wait_for("an export in time", lambda: other.get(target("big", end=10)).body.count(b"\n") == 9)
    other.kill()


def test_broken_off():
    """an error after the first byte leaves the end of the body missing"""
    other = big_server()
    for version in ("1.1", "1.0"):
        client = other.connect()
        client.send(f"GET {target('big')} HTTP/{version}\r\nHost: x\r\n\r\n".encode())
        client.fill()
        assert client.buffer.startswith(b"HTTP/1.1 200"), client.buffer
        wait_for("the export to run", lambda: copies() == 1)
        sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity "
            "WHERE query LIKE '%COPY (SELECT %' AND pid <> pg_backend_pid()")
        try:
            while client.fill():
                client.buffer = client.buffer[-100:]
            assert version == "1.1" and not client.buffer.endswith(b"0\r\n\r\n"), client.buffer
        except ConnectionResetError:
            assert version == "1.0"
        client.close()
    other.logged("export was broken off")
    assert other.get(target("big", end=10)).body.count(b"\n") == 9
    other.kill()


def test_connection_lost():
    """a connection to PostgreSQL that breaks is an error like others"""
    relay = Relay()
    other = big_server(conninfo=relay.conninfo)
    client = begin_unread(other.port)
    relay.cut()
    try:
        while client.fill():
            client.buffer = client.buffer[-100:]
        assert not client.buffer.endswith(b"0\r\n\r\n"), client.buffer
    except ConnectionResetError:
        pass
    relay.mend()
    wait_for("exports to work again",
             lambda: other.get(target("big", end=10)).body.count(b"\n") == 9)
    other.kill()


def test_stop():
    """SIGTERM ends the server in time although exports are stuck, which end incomplete"""
    other = big_server()
    client = begin_unread(other.port)
    old = other.connect()
    old.send(f"GET {target('big')} HTTP/1.0\r\n\r\n".encode())
    assert old.fill()
    assert other.stop() == 0
    client.close()
    try:
        while old.fill():
            old.buffer = b""
        assert False, "an HTTP/1.0 client takes this for the whole"
    except ConnectionResetError:
        pass
    wait_for("the export to be over", lambda: copies() == 0)


def named(where, query):
    answer = where.get("/export?format=csv&layout=wide&" + query)
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/csv"), answer
    return list(csv.reader(io.StringIO(answer.body.decode())))


def test_named_columns():
    """CSV with a column for each value: names where there are some, as many as the window's rows have values"""
    table = new_table()
    other = Server(table=table)
    generator = random.Random(SEED + 7)
    rows = []
    for i in range(400):
        rows.append(message(i * 1000, "boiler", [generator.choice([None, generator.uniform(-1e300, 1e300), i])
                                                 for _ in range(3 if i < 200 else 5)]))
    assert other.save(ndjson(rows), "?ack=committed", NDJSON).status == 204
    names = ["Temp, \"inner\"", None, "time"]
    assert other.request("PUT", "/tags/boiler", json.dumps({"names": names}).encode()).status == 204
    header = ["time", "tag", "Temp, \"inner\"", "value_2", "time_3"]
    for start, end in ((None, None), (0, 200000), (1000, 200001), (199000, 201000), (399000, 399001), (500000, 600000)):
        query = "tag=boiler" + (f"&start={start}&end={end}" if start is not None else "")
        got = named(other, query)
        expected = [row for row in rows if start is None or start <= row["time"] < end]
        width = max([3] + [len(row["values"]) for row in expected])
        assert got[0] == header + [f"value_{i}" for i in range(4, width + 1)], (query, got[0])
        assert [(int(row[0]), row[1], [float(value) if value else None for value in row[2:]]) for row in got[1:]] == \
            [(row["time"], "boiler", row["values"] + [None] * (width - len(row["values"]))) for row in expected], query
    assert named(other, "tag=nobody") == [["time", "tag"]]
    assert other.save(ndjson([message(1, "unnamed", [1, 2])]), "?ack=committed", NDJSON).status == 204
    assert named(other, "tag=unnamed") == [["time", "tag", "value_1", "value_2"], ["1", "unnamed", "1", "2"]]
    ends = [message(-2 ** 63, "ends", [1, 2, 3]), message(2 ** 63 - 1, "ends", [4])]
    assert other.save(ndjson(ends[1:]), "?ack=committed", NDJSON).status == 204
    assert named(other, "tag=ends") == [["time", "tag", "value_1"], [str(2 ** 63 - 1), "ends", "4"]]
    assert other.save(ndjson(ends[:1]), "?ack=committed", NDJSON).status == 204
    # the first of all times cannot be counted, and is an error, not a row without its values
    answer = other.get("/export?format=csv&layout=wide&tag=ends")
    assert answer.status == 400 and "more values" in answer.json()["detail"], answer
    for query, word in (("layout=wide", "format"), ("format=ndjson&columns=named", "format"), ("format=csv&columns=x", "columns"),
                        ("format=csv&layout=named", "array or wide"), ("format=csv&layout=wide&columns=named", "give one")):
        answer = other.get("/export?tag=boiler&" + query)
        assert answer.status == 400 and word in answer.json()["detail"], (query, answer)
    for same in ("columns=array", "layout=array"):
        assert other.get("/export?tag=unnamed&format=csv&" + same).body == other.get("/export?tag=unnamed&format=csv").body
    wide = other.get("/export?tag=boiler&format=csv&layout=wide").body
    assert other.get("/export?tag=boiler&format=csv&columns=named").body == wide
    other.kill()


def arrow(where, tag, **more):
    """Fields, batches and rows of an export as Arrow; values are bytes or None."""
    answer = where.get(target(tag, format="arrow", **more))
    assert answer.status == 200 and answer.headers["content-type"] == "application/vnd.apache.arrow.stream", answer
    body = gzip.decompress(answer.body) if answer.headers.get("content-encoding") == "gzip" else answer.body
    fields, batches = read_arrow.read(body)
    return fields, batches, [row for columns in batches for row in zip(*columns)]


def stored(table, tag, width, condition="true"):
    """The same rows by SQL."""
    columns = ", ".join(f"encode(float8send(values[{i}]), 'hex')" for i in range(1, width + 1))
    return [(int(row[0]), row[1], *(bytes.fromhex(value)[::-1] if value else None for value in row[2:])) for row in
            sql(f"SELECT time, tag{', ' + columns if columns else ''} FROM {table} WHERE tag = '{tag}' AND {condition} ORDER BY time")]


def test_arrow():
    """an Arrow stream has a column for each value, with the bits that are stored, and NULL where there is none"""
    table = new_table()
    other = Server(table=table)
    generator = random.Random(SEED + 8)
    sql(f"INSERT INTO {table} SELECT t, 'boiler', CASE WHEN t % 50 = 0 THEN NULL ELSE (SELECT coalesce(array_agg(CASE WHEN random() < 0.2 THEN NULL "
        "ELSE (random() - 0.5) * 10 ^ (random() * 600 - 300) END), '{}') FROM generate_series(1, (t % 6)::integer)) END "
        "FROM (SELECT i * 1001 - 5000 AS t FROM generate_series(1, 30000) i) t")
    sql(f"INSERT INTO {table} VALUES (-4000001, 'odd', '{{NaN,-0,Infinity,5e-324,-Infinity}}')")
    assert other.request("PUT", "/tags/boiler", json.dumps({"names": ["Temp, \"inner\"", None, "time"]}).encode()).status == 204
    names = ["Temp, \"inner\"", "value_2", "time_3", "value_4", "value_5"]
    own = [("time", "timestamp[ns, UTC]", False), ("tag", "utf8", False)]
    fields, batches, rows = arrow(other, "boiler")
    assert fields == own + [(name, "float64", True) for name in names], fields
    assert rows == stored(table, "boiler", 5) and len(rows) == 30000 and len(batches) > 1, (len(rows), len(batches))
    assert arrow(other, "odd")[2] == stored(table, "odd", 5)
    for _ in range(5):
        start, end = sorted(generator.randrange(-10000, 30030000) for _ in range(2))
        assert arrow(other, "boiler", start=start, end=end + 1, precision="ns")[2] == \
            [row + (None,) * (5 - len(row) + 2) for row in stored(table, "boiler", 5, f"time BETWEEN {start} AND {end}")]
    for unit, divisor in (("us", 10 ** 3), ("ms", 10 ** 6), ("s", 10 ** 9)):
        fields, _, rows = arrow(other, "odd", precision=unit)
        assert fields[0] == ("time", f"timestamp[{unit}, UTC]", False) and rows[0][0] == -4000001 // divisor, (fields, rows)
    fields, _, rows = arrow(other, "odd", time="integer", layout="wide")
    assert fields[0] == ("time", "int64", False) and rows[0][0] == -4000001, (fields, rows)
    assert arrow(other, "nobody") == (own, [], [])
    # a row with more values than were counted: the first of all times cannot be counted
    sql(f"INSERT INTO {table} VALUES (-9223372036854775808, 'ends', '{{1,2}}')")
    answer = other.get(target("ends", format="arrow"))
    assert answer.status == 400 and "more values" in answer.json()["detail"], answer
    other.kill()


def test_arrow_gzip():
    """long batches are compressed in pieces, for quick clients and slow ones, and others are answered meanwhile"""
    other = big_server()
    end = 600000        # 9 MB compressed: more than the buffers of sockets grow to
    plain = other.get(target("big", format="arrow", end=end, precision="ns")).body
    request = f"GET {target('big', format='arrow', end=end, precision='ns')} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n".encode()
    for slow in (False, True):
        client = other.connect()
        if slow:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.send(request)
        if slow:
            wait_for("the export to wait for its client", lambda: sql(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND query LIKE '%COPY (SELECT %'") == [["1"]])
        assert other.get("/livez").status == 200
        answer = client.answer()
        assert answer.headers["content-encoding"] == "gzip" and gzip.decompress(answer.body) == plain, (slow, len(answer.body))
    assert len(read_arrow.read(plain)[1]) > 5
    other.kill()


def test_arrow_broken_off():
    """an error after the first batch leaves the end of the body missing, and Arrow's end marker too"""
    other = big_server()
    for encoding in ("identity", "gzip"):
        client = other.connect()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.send(f"GET {target('big', format='arrow')} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {encoding}\r\n\r\n".encode())
        client.fill()
        assert client.buffer.startswith(b"HTTP/1.1 200"), client.buffer
        wait_for("the export to run", lambda: copies() == 1)
        sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%COPY (SELECT %' AND pid <> pg_backend_pid()")
        while client.fill():
            client.buffer = client.buffer[-100:]
        assert not client.buffer.endswith(b"0\r\n\r\n") and b"\xff\xff\xff\xff\0\0\0\0" not in client.buffer[-20:], client.buffer
    assert other.get(target("big", format="arrow", end=10, precision="ns")).status == 200
    other.kill()


def test_unsorted():
    """rows come in the order of the table: nothing is sorted, in no format"""
    other = big_server()
    for more in ({"format": "ndjson"}, {"format": "csv"}, {"format": "binary"}, {"format": "csv", "layout": "wide"}, {"format": "arrow"}):
        client = begin_unread(other.port, more)
        statement, = sql("SELECT substring(query FROM 'COPY [(](SELECT .*)[)] TO STDOUT') FROM pg_stat_activity WHERE state = 'active' "
                         "AND query LIKE '%COPY (SELECT %' AND pid <> pg_backend_pid()")
        plan = "".join(row[0] for row in sql(f"EXPLAIN {statement[0]}"))
        assert "HistorianScan" in plan and "Sort" not in plan, (more, plan)
        client.close()
        wait_for("the export to be cancelled", lambda: copies() == 0)
    other.kill()


def test_heap():
    """a heap table is exported, but not with named columns, whose 422 openapi.json has"""
    table = new_table("heap", "time bigint, tag text, values float8[]")
    other = Server(table=table, expect_ready=False)
    sql(f"INSERT INTO {table} VALUES (1, 'a', '{{1,2}}')")
    for form, expected in (("csv", b'time,tag,values\n1,a,"{1,2}"\n'), ("ndjson", b'{"time":1,"tag":"a","values":[1,2]}\n')):
        answer = other.get(target("a", format=form))
        assert answer.status == 200 and answer.body == expected, answer
    for wide in ({"format": "csv", "layout": "wide"}, {"format": "arrow"}):
        answer = other.get(target("a", **wide))
        assert answer.status == 422 and answer.headers["content-type"] == "application/problem+json", answer
    described = other.get("/openapi.json").json()["paths"]["/export"]["get"]["responses"]
    assert "layout=wide" in described["422"]["description"], described
    other.kill()


def test_csv_copied():
    """CSV with the default precision and time goes back by COPY as it was; other units and forms do not"""
    def rows(table):
        return sql(f"SELECT * FROM {table} WHERE tag = 'copied' ORDER BY time")
    table, again = new_table(), new_table()
    other = Server(table=table)
    sent = [message(10 ** 18 + i * 10 ** 9 + i, "copied", [i / 3, None]) for i in range(50)]
    assert other.save(ndjson(sent), "?ack=committed", NDJSON).status == 204

    def copy(parameters):
        text = other.get(target("copied", format="csv", **parameters)).body.decode()
        return subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", CONNINFO, "-c", f"TRUNCATE {again}",
                               "-c", f"COPY {again} FROM STDIN (FORMAT csv, HEADER)"], input=text, text=True, capture_output=True)
    assert copy({"precision": "ns", "time": "integer"}).returncode == 0 and rows(again) == rows(table)
    assert copy({}).returncode == 0 and rows(again) == rows(table)
    assert copy({"precision": "s"}).returncode == 0 and rows(again) != rows(table)
    done = copy({"time": "rfc3339"})
    assert done.returncode != 0 and "bigint" in done.stderr, done
    other.kill()


if __name__ == "__main__":
    run(sys.modules[__name__])
