#!/usr/bin/python3
"""--max-buffered-bytes bounds what is really held, and what is freed is given back."""
import gzip
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time

from certificates import Authority
from historiand import (CONNINFO, NDJSON, SANITIZED, Client, Server, message, ndjson, new_table, request_bytes, run, sql,
                        temporary_directory, wait_for)

MIB = 1 << 20
AWAY = "host=/nonexistent dbname=x"


def check(server, before, limit, peak=False):
    grown = (server.peak_memory() if peak else server.memory()) - before
    print(f"# {grown / MIB:.1f} MiB, {limit / MIB:.0f} allowed", flush=True)
    assert grown < limit, grown


def test_many_tags():
    """a body whose messages would take more than there is room for is refused, and leaves nothing"""
    server = Server(conninfo=AWAY, expect_ready=False, max_buffered_bytes="64MiB")
    before = server.memory()
    body = b"\n".join(b'{"time":%d,"tag":"%x","values":[]}' % (i, i) for i in range(600000))
    answer = server.save(gzip.compress(body, 1), "", dict(NDJSON, **{"Content-Encoding": "gzip"}))
    assert answer.status == 503 and "--max-buffered-bytes" in answer.json()["detail"], answer
    assert answer.headers["retry-after"] == "1"
    check(server, before, 80 * MIB)
    assert server.metric("historiand_buffer_bytes") == 0
    # with few tags as many messages fit
    body = b"\n".join(b'{"time":%d,"tag":"%x","values":[]}' % (i, i % 100) for i in range(600000))
    assert server.save(body, "", NDJSON).status == 202
    check(server, before, 80 * MIB)
    server.kill()


HALF_BODY = ndjson(message(i, "a", list(range(10))) for i in range(580))[:-3]


def half_request(target="/save", body=HALF_BODY):
    return (b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
            b"Content-Length: 1000000\r\n\r\n" % target.encode()) + body


def test_half_bodies():
    """bodies that are still arriving count"""
    server = Server(conninfo=AWAY, expect_ready=False, max_buffered_bytes="1MiB",
                    descriptors=4000, max_connections=2000)
    before = server.memory()
    clients = [server.connect() for _ in range(1000)]
    for client in clients:
        client.send(half_request())
    assert server.get("/livez").status == 200
    check(server, before, 24 * MIB)
    for client in clients:
        client.close()
    server.kill()


def test_half_bodies_at_once():
    """so do those of many connections that have input in one turn of the loop

    The server is stopped until all have come, as it is on a busy machine.  Beyond the 1 MiB, each of the
    1000 connections takes some 4 KiB for its own state.  One with partial=true may wait for room with a
    short read (4 KiB) and the messages of another (12 KiB), or has a list of a hundred errors (22 KiB).
    """
    bad = HALF_BODY.replace(b"[", b"x")
    for target, body, limit in (("/save", HALF_BODY, 12), ("/save", bad, 12),
                                ("/save?partial=true", HALF_BODY, 24),
                                ("/save?partial=true", bad, 32)):
        server = Server(conninfo=AWAY, expect_ready=False, max_buffered_bytes="1MiB",
                        descriptors=4000, max_connections=2000,
                        commit_timeout="3s")     # a partial body that waits is not read
        before = server.memory()
        clients = [server.connect() for _ in range(1000)]
        wait_for("the clients", lambda: server.connections() == 1000)
        server.process.send_signal(signal.SIGSTOP)
        for client in clients:
            client.send(half_request(target, body))
        server.process.send_signal(signal.SIGCONT)
        assert server.get("/livez").status == 200
        for client in clients:
            client.close()
        wait_for("the clients to be gone", lambda: server.connections() == 0)
        check(server, before, limit * MIB, peak=True)
        # without the messages of partial bodies that were accepted
        wait_for("what they held", lambda: server.metric("historiand_buffer_bytes") < 1.5 * MIB)
        server.kill()


def test_pipelined_waiters():
    """requests that wait for a commit count with all that is kept of them, which is given back"""
    server = Server(conninfo=AWAY, expect_ready=False, max_buffered_bytes="16MiB",
                    commit_timeout="3s")     # what is not read tells nothing of its client
    before = server.memory()
    one = request_bytes("POST", "/save?ack=committed&" + "&" * 4000,
                        b'{"time":1,"tag":"a","values":[]}')
    clients = [server.connect() for _ in range(200)]
    for client in clients:
        client.socket.setblocking(False)
        data = one * 250
        try:
            while data:
                data = data[client.socket.send(data):]
        except BlockingIOError:
            pass
    assert server.get("/livez").status == 200
    wait_for("short memory", lambda: not server.ready())
    check(server, before, 48 * MIB)
    for client in clients:
        client.close()
    wait_for("the clients to be gone", lambda: server.connections() == 0)
    wait_for("their memory", lambda: server.memory() - before < 24 * MIB)
    server.kill()


def page_faults(server):
    with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as file:
        return int(file.read().rpartition(")")[2].split()[7])


def test_memory_of_loads_is_used_again():
    """memory of one load serves the next one; it is given back when none comes"""
    server = Server(table=new_table(), flush_interval="1h", commit_delay="1ms")
    rows, bodies = 200000, 5
    body = b"\n".join(b'{"time":%d,"tag":"%d","values":[1]}' % (i, i % 10) for i in range(rows))
    load_bytes = bodies * rows * (24 + 4)     # a row of one value, and its place

    def load():
        for _ in range(bodies):
            assert server.save(body, "", NDJSON).status == 202
        time.sleep(0.5)     # two ticks of the server, which see what is held ..
        assert server.metric("historiand_buffer_bytes") > 20 * MIB
        assert server.save(message(1, "0", [1]), "?ack=committed").status == 204
        time.sleep(0.5)     # .. and that it is not

    load()
    faults = page_faults(server)
    for _ in range(4):
        load()
    faults = (page_faults(server) - faults) / 4
    pages = load_bytes / os.sysconf("SC_PAGE_SIZE")
    print(f"# {faults:.0f} page faults for a load of {pages:.0f} pages", flush=True)
    assert SANITIZED or faults < pages / 2, (faults, pages)
    held = server.memory()
    wait_for("the memory", lambda: SANITIZED or server.memory() < held - 20 * MIB)
    server.stop()


def stated(server):
    """What /metrics says that connections, requests, messages and answers take."""
    text = server.get("/metrics").body.decode()
    return sum(int(re.search(rf"^historiand_{name}_bytes (\d+)$", text, re.M).group(1))
               for name in ("buffer", "request", "result", "connection"))


def check_stated(what, server, connect, number=1500):
    """Opens connections by connect(i), and compares how the server grows with how it says that it does."""
    server.get("/metrics")
    before, stated_before = server.memory(), stated(server)
    clients = [connect(i) for i in range(number)]
    wait_for("the clients", lambda: server.connections() >= number)
    last = [0]

    def settled():
        now, last[0] = last[0], stated(server)
        return now == last[0]
    wait_for("what they have sent", settled)
    grown, said = server.memory() - before, stated(server) - stated_before
    print(f"# {what}: grown by {grown / MIB:.2f} MiB, {said / MIB:.2f} MiB stated, "
          f"{grown / number:.0f} and {said / number:.0f} bytes for each", flush=True)
    if not SANITIZED:
        # a quarter of a MiB is for what the server has for all of them
        assert 0.9 * grown - MIB / 4 < said < 1.1 * grown + MIB / 4, (what, grown, said)
    for client in clients:
        client.close()


def sending(server, data):
    def connect(_):
        client = server.connect()
        client.send(data)
        return client
    return connect


HEAD = b"POST /save HTTP/1.1\r\nHost: x\r\n"
STATES = {
    "idle connections": lambda: b"",
    "connections after a request": lambda: request_bytes("GET", "/livez"),
    "half heads": lambda: HEAD + b"X-A: b",
    "long targets": lambda: b"GET /" + b"a" * 8000,
    "large headers": lambda: HEAD + b"".join(b"X-%d: %s\r\n" % (i, b"v" * 1000) for i in range(15)),
    "half bodies": lambda: half_request(),
    "half bodies with partial=true": lambda: half_request("/save?partial=true"),
    "half bodies of gzip": lambda: half_request().replace(b"Content-Len", b"Content-Encoding: gzip\r\nContent-Len")
        .split(b"\r\n\r\n")[0] + b"\r\n\r\n" + gzip.compress(HALF_BODY)[:-20],
    "half lines": lambda: half_request(body=b'{"time":1,"tag":"' + b"a" * 30000),
    "lists of errors": lambda: half_request("/save?partial=true", b"x\n" * 1000),
    "waiting commits": lambda: request_bytes("POST", "/save?ack=committed", b'{"time":1,"tag":"a","values":[]}') * 20,
}


def test_stated():
    """what /metrics states is what the server grows by, within a tenth, whatever its clients hold"""
    for what, data in STATES.items():
        server = Server(conninfo=AWAY, expect_ready=False, descriptors=4000, max_connections=2000)
        check_stated(what, server, sending(server, data()))
        server.kill()


def test_stated_tls():
    """the same with TLS, before, in and after handshakes, and with a record that has come in part"""
    certificate, key = Authority(temporary_directory()).issue("server", "/CN=localhost", server=True)
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE

    def established(server, request=None, more=b""):
        def connect(_):
            client = Client(server.tls_port)
            wrapped = unchecked.wrap_socket(client.socket, server_hostname="localhost")
            if request:
                wrapped.sendall(request)
                wrapped.recv(65536)
            if more:
                os.write(wrapped.fileno(), more)
            client.socket = wrapped
            return client
        return connect

    def hello(server, data):
        def connect(_):
            client = Client(server.tls_port)
            client.send(data)
            return client
        return connect
    for what, how in (
            ("TLS, nothing sent", lambda server: hello(server, b"")),
            ("TLS, half hellos", lambda server: hello(server, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")),
            ("TLS, established", established),
            ("TLS, after a request", lambda server: established(server, request_bytes("GET", "/livez"))),
            ("TLS, half records", lambda server: established(
                server, None, b"\x17\x03\x03\x40\x00" + bytes(15000)))):
        server = Server(conninfo=AWAY, expect_ready=False, descriptors=4000, max_connections=2000,
                              tls_certificate=certificate, tls_key=key, listen_health="127.0.0.1:0")
        server.tls_port = int(server.logged(r"listening on https://\S+:(\d+)").group(1))
        check_stated(what, server, how(server), 500)
        server.kill()


def test_stated_answers():
    """the same with long answers of /api that clients do not take"""
    server = Server(max_result_bytes="1GiB")
    assert server.save(message(0, "wide", [i / 7 for i in range(1000)]), "?ack=committed").status == 204
    asked = request_bytes("GET", "/api?tag=wide&start=0&end=100000&samples=400")     # of 7 MB

    def connect(_):
        client = server.connect()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(asked)
        client.fill()
        return client
    check_stated("answers of /api", server, connect, 40)
    server.kill()


def test_stated_exports():
    """the same with exports that clients do not take, once connections to PostgreSQL are there"""
    table = new_table()
    sql(f"INSERT INTO {table} SELECT i, 'a', ARRAY(SELECT random() FROM generate_series(1, 100)) "
        "FROM generate_series(1, 30000) i")
    asked = {"exports": request_bytes("GET", "/export?tag=a"),
             "exports in gzip": request_bytes("GET", "/export?tag=a", None, {"Accept-Encoding": "gzip"})}
    what = "exports"

    def connect(_):
        client = server.connect()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(asked[what])
        client.fill()
        return client
    for what in asked:      # pylint: disable=redefined-outer-name
        server = Server(table=table, max_queries=100)
        warm = [server.connect() for i in range(50)]
        locker = subprocess.Popen(["psql", "-Xq", "-d", CONNINFO], stdin=subprocess.PIPE, text=True)
        locker.stdin.write(f"BEGIN; LOCK TABLE {table};\n")
        locker.stdin.flush()
        wait_for("the lock", lambda: sql("SELECT count(*) FROM pg_locks WHERE granted AND mode = "
                 f"'AccessExclusiveLock' AND relation = '{table}'::regclass") == [["1"]])
        for client in warm:
            client.send(request_bytes("GET", "/export?tag=a&end=1"))
        wait_for("the connections", lambda: sql("SELECT count(*) >= 50 FROM pg_stat_activity "
                                                "WHERE wait_event_type = 'Lock'") == [["t"]])
        locker.communicate("")
        for client in warm:
            assert client.answer().status == 200
            client.close()
        wait_for("the clients to be gone", lambda: server.connections() == 0)
        check_stated(what, server, connect, 50)
        server.kill()


if __name__ == "__main__":
    run(sys.modules[__name__])
