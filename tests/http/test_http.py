#!/usr/bin/python3
"""HTTP/1.1: connections, framing, limits, slow and broken clients."""
import json
import re
import socket
import sys
import time

from historiand import Relay, Server, count, message, request_bytes, run, wait_for

ONE = json.dumps(message(1, "a", [1.5])).encode()
server = None


def setup():
    global server
    if server is None:
        server = Server()
    return server


def test_keep_alive():
    """a connection serves many requests; Connection: close and HTTP/1.0 end it"""
    setup()
    client = server.connect()
    for _ in range(50):
        assert client.request("POST", "/save", ONE).status == 202
    answer = client.request("POST", "/save", ONE, {"Connection": "close"})
    assert answer.status == 202 and answer.headers["connection"] == "close"
    assert client.closed()
    client = server.connect()
    client.send(b"GET /livez HTTP/1.0\r\n\r\n")
    assert client.answer().status == 200 and client.closed()
    client = server.connect()
    for _ in range(2):
        client.send(b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert client.answer().headers["connection"] == "keep-alive"


def test_pipelining():
    """pipelined requests are answered in order, slow ones before fast ones"""
    setup()
    client = server.connect()
    expected = []
    requests = b""
    for i in range(200):
        kind = i % 4
        if kind == 0:
            requests += request_bytes("POST", "/save?ack=committed", ONE)
            expected.append(204)
        elif kind == 1:
            requests += request_bytes("POST", "/save", ONE)
            expected.append(202)
        elif kind == 2:
            requests += request_bytes("GET", "/api?tag=a&start=0&end=1&samples=1")
            expected.append(200)
        else:
            requests += request_bytes("GET", "/nothing")
            expected.append(404)
    client.send(requests)
    got = [client.answer().status for _ in expected]
    assert got == expected, got


def test_pipelining_beyond_the_limit():
    """more pipelined requests than are kept at a time are all answered"""
    setup()
    client = server.connect()
    client.send(request_bytes("POST", "/save?ack=committed", ONE) * 3000)
    assert all(client.answer().status == 204 for _ in range(3000))


READS = ("/api?tag={}&start=0&end=9&samples=2", "/latest?tag={}", "/tags?prefix={}", "/export?tag={}")


def seen_by(target, answer, tag):
    """Did the read find the tag?"""
    if target.startswith("/export"):
        return len(answer.body.splitlines()) == 1
    return answer.status == 200 and tag.encode() in answer.body


def test_read_behind_a_commit():
    """a read that is pipelined behind a save sees what the save has committed"""
    slow = Server(flush_interval="300ms")
    for number, read in enumerate(READS * 2):
        tag, last = f"behind{number}", number >= len(READS)
        target = read.format(tag)
        client = slow.connect()
        client.send(request_bytes("POST", "/save?ack=committed",
                                  json.dumps(message(5, tag, [1.5])).encode()) +
                    request_bytes("GET", "/livez") +
                    request_bytes("GET", target, headers={"Connection": "close"} if last else {}) +
                    (b"" if last else request_bytes("GET", "/livez")))
        if last:        # the client has said all, and waits
            client.socket.shutdown(socket.SHUT_WR)
        assert client.answer().status == 204
        assert client.answer().body == b"alive\n"
        answer = client.answer()
        assert seen_by(target, answer, tag), (target, answer)
        assert client.closed() if last else client.answer().body == b"alive\n", target
    slow.kill()


def test_read_behind_a_commit_in_pieces():
    """it does so wherever the bytes are cut"""
    quick = Server(flush_interval="5ms")

    def requests(tag):
        return (request_bytes("POST", "/save?ack=committed",
                              json.dumps(message(5, tag, [1.5])).encode()) +
                request_bytes("GET", READS[0].format(tag)) + request_bytes("HEAD", "/livez"))
    for cut in range(1, len(requests("cut000"))):
        tag = f"cut{cut:03}"
        client = quick.connect()
        client.send(requests(tag)[:cut])
        time.sleep(0.001)
        client.send(requests(tag)[cut:])
        got = [client.answer().status, client.answer().status, client.answer(True).status]
        assert got == [204, 200, 200], (cut, got)
        client.close()
    quick.kill()


def test_saves_do_not_wait_for_each_other():
    """pipelined saves share a load, also those with a read at their end"""
    slow = Server(flush_interval="500ms")
    client = slow.connect()
    client.send(b"".join(request_bytes("POST", "/save?ack=committed",
                                       json.dumps(message(i, "shared", [1])).encode())
                         for i in range(200)) +
                request_bytes("GET", "/export?tag=shared&format=csv"))
    assert all(client.answer().status == 204 for _ in range(200))
    assert [int(line.split(b",")[0]) for line in client.answer().body.splitlines()[1:]] == list(range(200))
    assert slow.metric("historiand_loads_total") <= 2
    slow.kill()


def test_read_behind_lost_commit():
    """a read behind a save whose commit never comes is answered once that is given up"""
    relay = Relay()
    away = Server(conninfo=relay.conninfo, commit_timeout="500ms")
    relay.cut()
    client = away.connect()
    client.send(request_bytes("POST", "/save?ack=committed", ONE) +
                request_bytes("GET", READS[0].format("a")))
    assert client.answer().status == 503
    assert client.answer().status == 503
    # one that leaves meanwhile takes its read along
    client.send(request_bytes("POST", "/save?ack=committed", ONE) +
                request_bytes("GET", READS[3].format("a")))
    client.close()
    wait_for("the connection to end", lambda: away.connections() == 0)
    relay.mend()
    wait_for("readyz", lambda: away.ready())
    away.kill()


def test_byte_by_byte():
    """a request in single bytes is the same request"""
    setup()
    client = server.connect()
    for byte in request_bytes("POST", "/save?ack=received", ONE, {"Content-Type":
                                                                  "application/json"}):
        client.send(bytes([byte]))
    assert client.answer().status == 202


def test_chunked():
    """chunked bodies with extensions and trailers; broken ones are refused"""
    setup()
    head = b"POST /save HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    half = len(ONE) // 2
    client = server.connect()
    client.send(head + b"%x;name=value\r\n%s\r\n%X\r\n%s\r\n0\r\nTrailer: 1\r\n\r\n" % (
        half, ONE[:half], len(ONE) - half, ONE[half:]) + request_bytes("GET", "/livez"))
    assert client.answer().status == 202
    assert client.answer().status == 200
    for broken in (b"zz\r\n", b"5\r\nabcdefgh\r\n", b"-1\r\n", b"ffffffffffffffffff\r\n"):
        client = server.connect()
        client.send(head + broken)
        assert client.answer().status == 400, broken
        assert client.closed()


def test_ambiguous_lengths():
    """conflicting Content-Length and Transfer-Encoding are refused and the connection ends"""
    setup()
    for lines in ("Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5, 6",
                  "Content-Length: 5\r\nTransfer-Encoding: chunked",
                  "Transfer-Encoding: chunked\r\nContent-Length: 5",
                  "Transfer-Encoding: chunked, identity", "Transfer-Encoding: gzip",
                  "Content-Length: -1", "Content-Length: +5", "Content-Length: 5x",
                  "Content-Length: 99999999999999999999", "Content-Length : 5",
                  "Transfer-Encoding : chunked", "Transfer-Encoding: xchunked"):
        client = server.connect()
        client.send(f"POST /save HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n".encode() +
                    b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = client.answer()
        assert answer is not None and answer.status in (400, 501), (lines, answer)
        assert client.closed(), lines


def test_malformed():
    """what is not HTTP/1.1 gets 400 and the end"""
    setup()
    for text in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n",
                 b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
                 b"G\xffT / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
                 b"GET / HTTP/1.1\r\nHost: x\r\nA\x00B: 1\r\n\r\n",
                 b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
                 b"GET / HTTP/1.1\r\nHost: x\r\nContent-Type : text/plain\r\n\r\n",
                 b"GET /livez HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
        client = server.connect()
        client.send(text)
        answer = client.answer()
        assert answer is None or answer.status in (400, 404, 405, 505), (text, answer)
        assert text.startswith(b"GET / HTTP/1.1\r\n\r\n") or client.closed(), text


def test_other_versions():
    """a version that is not spoken gets 505 with a word about it"""
    setup()
    for version in ("2.0", "3.0", "9.9"):
        client = server.connect()
        client.send(f"GET /livez HTTP/{version}\r\nHost: x\r\n\r\n".encode())
        answer = client.answer()
        assert answer.status == 505 and "HTTP/1.1 and HTTP/1.0" in answer.json()["detail"], answer
        assert client.closed(), version


def test_absolute_form():
    """a target with scheme and host is that path"""
    setup()
    assert server.get("http://x/livez").status == 200
    assert server.get("http://x/api?tag=none&start=0&end=1").status == 404
    assert server.get("http://x/nothing").status == 404


def test_transfer_encodings():
    """chunked alone is supported"""
    setup()
    client = server.connect()
    client.send(b"POST /save HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n")
    assert client.answer().status == 501
    assert client.closed()


def test_old_expect():
    """HTTP/1.0 knows no Expect"""
    setup()
    client = server.connect()
    body = json.dumps(message(1, "old", [1])).encode()
    client.send(b"POST /save HTTP/1.0\r\nExpect: 100-continue\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body))
    client.send(body)
    assert client.answer().status == 202


def test_doubtful_parameters():
    """a parameter given twice, or with a NUL in it, is refused"""
    setup()
    for query in ("ack=committed&ack=received", "partial=true&partial=true", "ack%00=committed",
                  "ack=committed%00"):
        assert server.save(message(1, "a", [1]), "?" + query).status == 400, query
    for query in ("time=string&time=integer", "start%00=5"):
        answer = server.get("/api?tag=a&start=0&end=9&" + query)
        assert answer.status == 400, (query, answer)
    assert server.save(message(-1, "zero", [1]), "?ack=committed").status == 204
    answer = server.get("/api?tag=zero&start=-0&end=9&samples=1")
    assert answer.status == 200 and b'"start":0,' in answer.body, answer


def test_message_size():
    """a message has at most 65,536 bytes, however it arrives"""
    setup()
    text = json.dumps(message(1, "size", [1])).encode()
    fits = b"{" + b" " * (65536 - len(text)) + text[1:]
    large = b"{ " + fits[1:]
    for before, after in ((b"", b""), (b"[", b"]")):
        assert server.save(before + fits + after).status == 202
        answer = server.save(before + large + after)
        assert answer.status == 400 and "65536" in answer.json()["detail"], answer
    answer = server.save(b"[" + large + b"," + fits + b"]", "?partial=true")
    assert answer.status == 207 and answer.json()["accepted"] == 1, answer


def test_upgrade_is_ignored():
    """an offer of another protocol is ignored"""
    setup()
    client = server.connect()
    answer = client.request("POST", "/save", ONE, {"Connection": "Upgrade, HTTP2-Settings",
                                                   "Upgrade": "h2c", "HTTP2-Settings": "AAMA"})
    assert answer.status == 202
    assert client.request("GET", "/livez").status == 200


def test_expect():
    """Expect: 100-continue is answered before the body, a refusal instead of it"""
    setup()
    client = server.connect()
    client.send(request_bytes("POST", "/save", None, {
        "Content-Length": str(len(ONE)), "Expect": "100-continue"}))
    assert client.answer().status == 100
    client.send(ONE)
    assert client.answer().status == 202
    client.send(request_bytes("POST", "/save", None, {
        "Content-Length": str(10 ** 12), "Expect": "100-continue"}))
    answer = client.answer()
    assert answer.status == 413 and answer.headers["connection"] == "close"
    assert client.closed()
    client = server.connect()
    assert client.request("POST", "/save", ONE, {"Expect": "miracles"}).status == 417


def test_methods_and_paths():
    """404 for unknown paths, 405 with Allow for wrong methods"""
    setup()
    client = server.connect()
    assert client.request("GET", "/savex").status == 404
    answer = client.request("GET", "/nothing")
    assert answer.status == 404 and answer.body.endswith(b"}\n"), answer
    paths = answer.json()["paths"]
    assert len(paths) == len(set(paths)) and {"/save", "/api", "/openapi.json", "/"} <= set(paths), paths
    for path in paths:
        answer = client.request("PATCH", path, b"")
        assert answer.status == 405, path
        answer = client.request("OPTIONS", path)
        assert answer.status == 204 and answer.body == b"", answer
        for method in answer.headers["allow"].split(", "):
            assert client.request(method, path, b"" if method == "POST" else None).status != 405, \
                (method, path)
    answer = client.request("GET", "/save")
    assert answer.status == 405 and answer.headers["allow"] == "POST, OPTIONS"
    answer = client.request("POST", "/api", b"{}")
    assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD, OPTIONS"
    answer = client.request("OPTIONS", "*")
    assert answer.status == 204 and answer.headers["allow"] == "GET, HEAD, POST, PUT, DELETE, OPTIONS", answer
    assert client.request("GET", "*").status == 400
    client = server.connect()
    assert client.request("DELETE", "/livez").status == 405
    assert client.request("PUT", "/save", ONE).status == 405
    assert client.request("GET", "/livez").status == 200


def test_every_route():
    """on every route: JSON ends with a newline, errors are problem details, and PostgreSQL's hints are in them"""
    setup()
    methods = ("GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS")
    seen = set()
    for path in [*server.get("/nothing").json()["paths"], "/nothing", "/tags/", "/tags/a/b", "/page/nothing.js", "/api?tag=a&x=1",
                 "/api?tag=none", "/api?tag=a&method=nonsense", "/api?tag=a&format=csv&method=nonsense", "/latest?x=1", "/query?q=x",
                 "/export?tag=a&format=csv&layout=x", "/tags?x=1", "/save?ack=x", "/write?precision=x"]:
        for method in methods:
            answer = server.request(method, path, b"{}" if method in ("POST", "PUT", "PATCH") else None)
            seen.add(answer.status)
            kind = answer.headers.get("content-type", "")
            if "json" in kind and "ndjson" not in kind:
                assert answer.body.endswith(b"\n"), (method, path, answer)
                answer.json()
            if answer.status >= 400:
                assert kind == "application/problem+json" and answer.json()["status"] == answer.status, (method, path, answer)
            assert ("allow" in answer.headers) == (answer.status == 405 or (method == "OPTIONS" and answer.status == 204)), \
                (method, path, answer)
            assert ("paths" in answer.json() if answer.status == 404 and "nothing at this path" in answer.body.decode() else True)
    assert {200, 204, 400, 404, 405} <= seen, seen
    for path in ("/api?tag=a&method=nonsense", "/api?tag=a&tag=b&method=nonsense", "/api?tag=a&format=csv&method=nonsense"):
        answer = server.get(path)
        if "unknown method" in answer.body.decode():
            assert answer.status == 400 and "plot" in answer.json()["hint"], answer
    answer = server.request("PUT", "/tags/hinted", b'{"names":["a\\u0001"]}')
    assert answer.status == 400 and answer.json().get("hint"), answer


def test_head_limits():
    """an over-long target gets 414, over-long headers 431"""
    setup()
    client = server.connect()
    client.send(b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n")
    assert client.answer().status == 414 and client.closed()
    client = server.connect()
    client.send(b"GET /livez HTTP/1.1\r\nHost: x\r\nLong: " + b"x" * 20000)
    assert client.answer().status == 431 and client.closed()
    client = server.connect()
    client.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 5000)
    assert client.answer().status == 431 and client.closed()


def test_body_limit():
    """a body past --max-body-bytes gets 413: by length, chunked, and decompressed"""
    import gzip
    small = Server(max_body_bytes="100kB")
    client = small.connect()
    client.send(request_bytes("POST", "/save", None, {"Content-Length": "200000"}) + b" " * 200000)
    assert client.answer().status == 413
    client.close()
    for others in (0, 300):
        # so many requests end before it that what is kept for the next ones is complete
        crowd = [small.connect() for _ in range(others)]
        for client in crowd:
            client.send(b"POST /save HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n ")
        client = small.connect()
        client.send(request_bytes("POST", "/save", None, {"Transfer-Encoding": "chunked"}))
        wait_for("all of them", lambda: small.connections() == others + 1)
        for one in crowd:
            one.close()
        wait_for("their end", lambda: small.connections() == 1)
        try:
            for _ in range(30):
                client.send(b"1000\r\n" + b" " * 4096 + b"\r\n")
        except OSError:
            pass
        assert client.answer().status == 413
        client.close()
    client = small.connect()
    bomb = gzip.compress(b" " * 10 ** 8)
    answer = client.request("POST", "/save", bomb, {"Content-Encoding": "gzip"})
    assert answer.status == 413
    answer = small.save(b" " * 99000 + ONE, "?ack=committed")
    assert answer.status == 204 and count(small.table) == 1
    assert small.stop() == 0


def test_time_limits():
    """slow heads and bodies get 408, idle connections end, none of it disturbs others"""
    quick = Server(header_timeout="300ms", body_timeout="300ms", idle_timeout="600ms")
    slow_head = quick.connect()
    slow_head.send(b"POST /save HTTP/1.1\r\nHost: ")
    slow_body = quick.connect()
    slow_body.send(request_bytes("POST", "/save", None, {"Content-Length": "1000"}) + b"{")
    silent = quick.connect()
    begin = time.monotonic()
    answer = slow_head.answer()
    assert answer.status == 408 and slow_head.closed(), answer
    answer = slow_body.answer()
    assert answer.status == 408 and slow_body.closed(), answer
    assert silent.closed()
    assert time.monotonic() - begin < 5
    assert quick.save(ONE).status == 202
    assert quick.metric("historiand_connections_timed_out_total") == 2
    assert quick.stop() == 0


def test_slow_reader():
    """a client that takes nothing of a large answer is cut off"""
    quick = Server(write_timeout="500ms")
    assert quick.save(message(1, "a", [1.0 / 3] * 100), "?ack=committed").status == 204
    client = quick.connect()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.send(request_bytes("GET", "/api?tag=a&start=0&end=100000&samples=10000") * 20)
    wait_for("the cut", lambda: quick.metric("historiand_connections_timed_out_total") == 1)
    assert quick.stop() == 0


def test_close_reasons():
    """each connection that was closed is counted once, with the reason, which the log tells too"""
    # long enough for a client of a busy machine to be seen, and then to leave
    quick = Server(header_timeout="1s", body_timeout="1s", idle_timeout="2s",
                   max_connections=50, log_level="debug", log_format="json")
    expected = {}

    def ended(reason, client):
        assert client.closed(), reason
        client.close()
        expected[reason] = expected.get(reason, 0) + 1

    def left(reason, client, data=b""):
        client.send(data)
        wait_for("the connection", lambda: quick.connections() == 1)
        client.close()
        wait_for("its end", lambda: quick.connections() == 0)
        expected[reason] = expected.get(reason, 0) + 1

    def refused(reason, status, data):
        client = quick.connect()
        client.send(data)
        assert client.answer().status == status
        ended(reason, client)

    refused("header_timeout", 408, b"POST /save HTTP/1.1\r\nHost: ")
    refused("body_timeout", 408, request_bytes("POST", "/save", None, {"Content-Length": "9"}) + b"[")
    ended("idle_timeout", quick.connect())
    refused("invalid", 400, b"POST /save HTTP/1.1\r\nHost : x\r\n\r\n")
    refused("invalid", 501, b"NOTHING / HTTP/1.1\r\nHost: x\r\n\r\n")
    refused("unread_body", 404,
            request_bytes("POST", "/nothing", None, {"Content-Length": "2000000"}))
    refused("asked", 200, request_bytes("GET", "/livez", None, {"Connection": "close"}))
    refused("asked", 200, b"GET /livez HTTP/1.0\r\n\r\n")
    left("client", quick.connect())
    left("client_left", quick.connect(), b"POST /save HT")
    wait_for("the last one", lambda: quick.connections() == 0)
    text = quick.get("/metrics").body.decode()
    found = {reason: int(value) for reason, value in re.findall(
        r'^historiand_connections_closed_total\{reason="(\w+)"\} (\d+)$', text, re.M)}
    # Those who asked for metrics have left, too; how many looked is a question of time.
    assert found.pop("client") >= expected.pop("client")
    assert found.pop("idle_timeout") >= expected.pop("idle_timeout")
    assert {reason: value for reason, value in found.items() if value > 0} == expected, found
    assert quick.stop() == 0
    lines = [json.loads(line) for line in quick.log if line.startswith("{")]
    logged = [line["reason"] for line in lines if line.get("message") == "connection closed"]
    for reason, value in expected.items():
        assert logged.count(reason) == value, (reason, logged)


def test_connection_limit():
    """past --max-connections new ones get 503; it ends when others close"""
    few = Server(max_connections=5)
    wait_for("earlier connections to be gone", lambda: few.connections() == 0)

    def five():
        clients = [few.connect() for _ in range(5)]
        if all(client.request("GET", "/livez").status == 200 for client in clients):
            return clients
        for client in clients:
            client.close()
        return None
    clients = wait_for("five places", five)
    for client in clients:
        assert client.request("GET", "/livez").status == 200
    refused = few.connect()
    answer = refused.answer()
    assert answer.status == 503 and "max-connections" in answer.json()["detail"], answer
    assert "retry-after" in answer.headers and refused.closed()
    refused.close()
    for client in clients:
        client.close()

    def works():
        client = few.connect()
        try:
            return client.request("GET", "/livez").status == 200
        except OSError:
            return False
        finally:
            client.close()
    wait_for("a free place", works)
    assert few.stop() == 0


def test_clients_that_leave():
    """clients that leave at any point leave the server as it was"""
    setup()
    whole = request_bytes("POST", "/save?ack=committed", ONE)
    query = request_bytes("GET", "/api?tag=a&start=0&end=1")
    for text in (whole, query):
        for cut in range(0, len(text) + 1, 7):
            client = server.connect()
            client.send((text * 3)[:len(text) + cut])
            client.close()
    wait_for("the connections to be gone", lambda: server.connections() == 0)
    assert server.save(ONE, "?ack=committed").status == 204


def test_half_closed():
    """a client that ends its side still gets its answers"""
    setup()
    client = server.connect()
    client.send(request_bytes("POST", "/save?ack=committed", ONE) * 3)
    client.socket.shutdown(socket.SHUT_WR)
    assert [client.answer().status for _ in range(3)] == [204] * 3
    assert client.closed()
    # Just as long as what is read at a time, so that the end is seen before the answer is written.
    for size in (65536, 131072):
        head = len(request_bytes("POST", "/save", b"x" * 10000)) - 10000
        body = ONE + b" " * (size - head - len(ONE) - (size - head > 99999))
        client = server.connect()
        client.send(request_bytes("POST", "/save", body))
        client.socket.shutdown(socket.SHUT_WR)
        assert client.answer().status == 202
        assert client.closed()


def test_several_loops():
    """several loops share the port and the buffer"""
    many = Server(threads=4)
    clients = [many.connect() for _ in range(40)]
    for turn in range(10):
        for number, client in enumerate(clients):
            body = json.dumps(message(turn, f"c{number}", [turn])).encode()
            client.send(request_bytes("POST", "/save?ack=committed", body))
        assert all(client.answer().status == 204 for client in clients)
    assert count(many.table) == 400
    for client in clients:
        answer = client.request("GET", "/api?tag=c7&start=0&end=9&samples=3")
        assert [s["values"] for s in answer.json()["samples"]] == [[3], [6], [9]], answer
    assert many.metric("historiand_messages_committed_total") == 400
    assert many.stop() == 0


if __name__ == "__main__":
    run(sys.modules[__name__])
