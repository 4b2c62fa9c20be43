#!/usr/bin/python3
"""--max-buffered-bytes bounds what is really held, and what is freed is given back."""
import gzip
import signal
import sys

from historiand import NDJSON, Server, message, ndjson, request_bytes, run, wait_for

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


if __name__ == "__main__":
    run(sys.modules[__name__])
