#!/usr/bin/python3
"""Log lines, request ids, and the trace that a request belongs to."""
import json
import random
import re
import socket
import sys

from historiand import Lock, Relay, Server, new_table, message, request_bytes, run, sql, wait_for

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OWN_ID = r"^[0-9a-f]{16}$"


def lines(server):
    """The log so far, which must be one JSON object a line."""
    parsed = []
    for line in list(server.log):
        entry = json.loads(line)
        assert {"time", "level", "message"} <= set(entry), line
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"]), line
        assert entry["level"] in ("debug", "info", "warning", "error"), line
        parsed.append(entry)
    return parsed


def requests(server, request_id):
    """The lines of a request, once there is one."""
    return wait_for(f"a line of the request {request_id}", lambda: [
        entry for entry in lines(server) if entry.get("request_id") == request_id])


def test_request_id():
    """X-Request-Id is taken over where it is a sound one, else made, and always returned"""
    server = Server()
    for given in ("a", "8f14e45f-ceea-467f-a8a9-2b0e1c9d6e5b", "job:7/step_2.1+x=@", "z" * 128):
        answer = server.request("GET", "/livez", headers={"X-Request-Id": given})
        assert answer.headers["x-request-id"] == given, answer
    for given in ("", " ", "two words", "z" * 129, "z" * 5000, 'quote"', "tab\tin", "semi;colon",
                  "caf\u00e9", "*/", "a\\b", "<b>"):
        answer = server.request("GET", "/livez", headers={"X-Request-Id": given})
        assert re.match(OWN_ID, answer.headers["x-request-id"]), (given, answer)
    client = server.connect()
    client.send(b"GET /livez HTTP/1.1\r\nHost: x\r\nx-request-id: one\r\nX-REQUEST-ID: two\r\n\r\n")
    assert re.match(OWN_ID, client.answer().headers["x-request-id"])
    # errors, an unfinished head, a stream, a request without a body to answer with
    for head in (b"GET /nowhere HTTP/1.1\r\nHost: x\r\n", b"BAD\r\n", b"GET / HTTP/9.9\r\n",
                 b"GET /export?tag=x HTTP/1.1\r\nHost: x\r\n"):
        client = server.connect()
        client.send(head + b"\r\n")
        assert re.match(OWN_ID, client.answer().headers["x-request-id"]), head
    assert server.save(message(1, "a", [1])).headers["x-request-id"]
    # pipelined requests keep theirs, and no two made are the same
    client = server.connect()
    client.send(b"".join(request_bytes("GET", "/livez", headers={"X-Request-Id": f"n{i}"})
                         for i in range(100)))
    assert [client.answer().headers["x-request-id"] for i in range(100)] == \
        [f"n{i}" for i in range(100)]
    client.send(request_bytes("GET", "/livez") * 200)
    assert len({client.answer().headers["x-request-id"] for i in range(200)}) == 200


def test_json_lines():
    """--log-format json: an object a line, each request at level debug with its facts"""
    server = Server(log_format="json", log_level="debug")
    server.request("GET", "/api?tag=secret&start=1&end=2",
                   headers={"X-Request-Id": "the-read", "traceparent": TRACE})
    entry, = requests(server, "the-read")
    assert entry["message"] == "request" and entry["level"] == "debug", entry
    assert entry["method"] == "GET" and entry["path"] == "/api" and entry["status"] == 404, entry
    assert entry["traceparent"] == TRACE and entry["peer"].startswith("127.0.0.1"), entry
    assert 0 < entry["duration_ms"] < 20000, entry
    server.save(message(1, "secret", [1]), headers={"X-Request-Id": "the-write"})
    entry, = requests(server, "the-write")
    assert entry["method"] == "POST" and entry["path"] == "/save" and entry["status"] == 202, entry
    assert "traceparent" not in entry and "cause" not in entry, entry
    assert not any("secret" in line for line in server.log), "tags and values stay out"
    assert server.stop() == 0
    lines(server)


def test_hostile_text():
    """whatever a client sends, the log stays one JSON object a line"""
    seed = random.randrange(2**32)
    print(f"# seed {seed}")
    chance = random.Random(seed)
    server = Server(log_format="json", log_level="debug")
    for _ in range(300):
        path = bytes(chance.randrange(0x21, 0x100) for _ in range(chance.randrange(200)))
        client = server.connect()
        client.send(b"GET /" + path.replace(b"?", b"") + b" HTTP/1.1\r\nHost: x\r\n" +
                    b"X-Request-Id: mark\r\n\r\n")
        assert client.answer() is not None
        client.close()
    # some paths are no valid targets: those requests are refused before their head is read
    assert 0 < len(requests(server, "mark")) <= 300
    assert server.stop() == 0
    lines(server)


def test_quiet_by_default():
    """without a failure nothing of a request is logged"""
    server = Server()
    server.logged("connected to PostgreSQL")    # the log is read by a thread, which may come later
    before = len(server.log)
    for status, target in ((200, "/livez"), (404, "/nowhere"), (400, "/api?x=1")):
        assert server.get(target).status == status
    server.save(b"bad")
    assert server.stop() == 0
    assert len([line for line in server.log[before:] if "stop" not in line]) == 0, server.log


def test_failures():
    """an answer of 5xx is a warning with its cause; they are bounded, and the rest counted"""
    table = new_table()
    relay = Relay()
    server = Server(table, conninfo=relay.conninfo, log_format="json")
    relay.cut()
    answer = server.request("GET", "/api?tag=x&start=1&end=2",
                            headers={"X-Request-Id": "away", "traceparent": TRACE})
    assert answer.status == 503
    entry, = requests(server, "away")
    assert entry["level"] == "warning" and entry["message"] == "request failed", entry
    assert entry["status"] == 503 and entry["traceparent"] == TRACE and entry["cause"], entry
    wait_for("readyz fails", lambda: not server.ready())
    client = server.connect()
    for _ in range(20):
        client.send(request_bytes("GET", "/readyz") * 100)
        for _ in range(100):
            assert client.answer().status == 503
    failed = [entry for entry in lines(server) if entry["message"] == "request failed"]
    seconds = len({entry["time"][:19] for entry in failed})
    assert len(failed) <= 100 * (seconds + 1) + 1, (len(failed), seconds)
    # The next failure of a later second tells how many were left out.
    wait_for("the rest is counted", lambda: not server.ready() and any(
        "more requests failed" in entry["message"] for entry in lines(server)))
    relay.mend()
    wait_for("readyz", lambda: server.ready())


def test_awaited():
    """who waits for the start reads why it is not there yet; once an attempt has failed, that is logged"""
    silent = socket.create_server(("127.0.0.1", 0))
    server = Server(conninfo=f"host=127.0.0.1 port={silent.getsockname()[1]} sslmode=disable dbname=x user=x",
                    expect_ready=False, log_format="json")
    for target in ("/readyz", "/health"):
        answer = server.get(target)
        assert answer.status == 503 and b"not connected yet" in answer.body, answer
    taken = [silent.accept()[0] for _ in range(2)]  # the writer's and that of the check
    assert server.get("/readyz").status == 503
    assert not [entry for entry in lines(server) if entry["message"] == "request failed"], server.log
    silent.close()
    for connection in taken:
        connection.close()

    def complained():
        assert server.get("/readyz").status == 503
        return [entry for entry in lines(server) if entry["message"] == "request failed"]
    wait_for("a warning", complained)


def test_sqlstate():
    """a query that PostgreSQL ends with an error is logged with its SQLSTATE"""
    server = Server(log_format="json")
    sql(f"ALTER TABLE {server.table} RENAME TO {server.table}_away")
    answer = server.request("GET", "/api?tag=x&start=1&end=2", headers={"X-Request-Id": "renamed"})
    sql(f"ALTER TABLE {server.table}_away RENAME TO {server.table}")
    assert answer.status == 500, answer
    entry, = requests(server, "renamed")
    assert entry["sqlstate"] == "42P01" and "does not exist" in entry["cause"], entry


def test_slow():
    """a read over --slow-request is logged"""
    table = new_table()
    server = Server(table, slow_request="1ms", query_timeout="10s", log_format="json")
    server.save(message(1, "a", [1]), "?ack=committed")
    lock = Lock(table)
    client = server.connect()
    client.send(request_bytes("GET", "/api?tag=a&start=0&end=2", headers={"X-Request-Id": "slow"}))
    wait_for("the read", lock.waiters)
    lock.let_go()
    answer = client.answer()
    assert answer.status == 200, answer
    entry, = requests(server, "slow")
    assert entry["message"] == "slow request" and entry["level"] == "warning", entry
    assert entry["duration_ms"] >= 1 and entry["path"] == "/api", entry


def queries():
    return [row[0] for row in sql("SELECT query FROM pg_stat_activity "
                                  "WHERE application_name = 'historiand'")]


def test_traceparent_in_sql():
    """a valid traceparent goes before the SQL of reads and exports, any other goes nowhere"""
    server = Server()
    server.save(message(1, "a", [1]), "?ack=committed")
    sent = []
    for target in ("/api?tag=a&start=0&end=2", "/tags", "/latest", "/latest?tag=a",
                   "/export?tag=a"):
        digits = random.choices("0123456789abcdef", k=50)
        trace = "00-" + "".join(digits[:32]) + "-" + "".join(digits[32:48]) + "-" + \
            "".join(digits[48:])
        sent.append(trace)
        answer = server.request("GET", target, headers={"Traceparent": trace})
        assert answer.status == 200, answer
        wait_for(f"{trace} for {target}", lambda: any(
            query.startswith(f"/*traceparent='{trace}'*/ ") for query in queries()))

    def strangers():
        # a connection that has executed nothing since shows one of those that were sent above
        return [query for query in queries() if "traceparent" in query and not any(trace in query for trace in sent)]
    for wrong in (TRACE.upper(), TRACE[:-1], TRACE + "0", TRACE + "-00", "ff" + TRACE[2:],
                  "00-" + "0" * 32 + TRACE[35:], TRACE[:36] + "0" * 16 + "-01",
                  TRACE.replace("-", "_"), TRACE[:3] + "g" + TRACE[4:], TRACE + "*/",
                  "00-'*/; DROP TABLE x; --0000000-b7ad6b7169203331-01", TRACE + ", " + TRACE,
                  "", "00", "x" * 4000):
        answer = server.request("GET", "/tags", headers={"traceparent": wrong})
        assert answer.status == 200, answer
        assert not strangers(), wrong
    client = server.connect()
    client.send(f"GET /tags HTTP/1.1\r\nHost: x\r\ntraceparent: {TRACE}\r\n"
                f"traceparent: {TRACE}\r\n\r\n".encode())
    assert client.answer().status == 200
    assert not strangers()


def test_text_fields():
    """in text the fields follow as name=value, quoted where they must be"""
    server = Server(log_level="debug")
    server.request("GET", '/a"b', headers={"X-Request-Id": "text"})
    line = server.logged("request_id=text").string
    assert re.match(r'\S+Z debug: request method=GET path="/a\\"b" status=404 duration_ms=[\d.]+ '
                 r'peer=127\.0\.0\.1 request_id=text$', line.strip()), line


run(sys.modules[__name__])
