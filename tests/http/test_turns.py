#!/usr/bin/python3
"""Fair turns: no request, however large or hostile, holds a loop for as long as 50 ms.

What is measured is the processor time of the server's threads from one wait for events to the next:
other programs of the machine do not lengthen it as they do the time of day.
"""
import gzip
import http.client
import io
import os
import socket
import struct
import subprocess
import sys
import threading
import zlib

from historiand import (DEADLINE, HERE, NDJSON, SANITIZED, Server, count, message, ndjson, request_bytes, run,
                        sql, temporary_directory, wait_for)

LIMIT_MS = 50
THREADS = 64        # as in unit/turn_clock.c
GZIP = dict(NDJSON, **{"Content-Encoding": "gzip"})


class ClockedServer(Server):
    """One whose turns are timed, unless it is built with a sanitizer that must be loaded first."""

    def __init__(self, **settings):
        directory = temporary_directory()
        clock = os.path.join(directory, "turn_clock.so")
        self.clock = os.path.join(directory, "clock")
        self.reset()
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", clock,
                        os.path.join(HERE, "unit/turn_clock.c"), "-ldl"], check=True)
        super().__init__(environment={"LD_PRELOAD": clock, "TURN_CLOCK": self.clock}
                         if not SANITIZED else {}, **settings)

    def reset(self):
        if os.path.exists(self.clock):
            with open(self.clock, "r+b") as file:
                file.write(bytes(8 * THREADS))
        else:
            with open(self.clock, "wb") as file:
                file.write(bytes(8 * THREADS))

    def longest_turn_ms(self):
        with open(self.clock, "rb") as file:
            return max(struct.unpack(f"{THREADS}Q", file.read())) / 1e6

    def check_turns(self, what):
        assert self.get("/livez").status == 200
        longest = self.longest_turn_ms()
        print(f"# {what}: the longest turn took {longest:.1f} ms", flush=True)
        if not SANITIZED:
            assert 0 < longest < LIMIT_MS, f"{what}: {longest} ms"
        self.reset()


def compressed(text, mebibytes):
    """So much of a repeated text, as gzip."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = text * ((1 << 20) // len(text))
    pieces = [compressor.compress(block) for _ in range(mebibytes)]
    return b"".join(pieces) + compressor.flush()


def test_clock():
    """the clock sees a long turn (so that the tests below can fail)"""
    program = os.path.join(temporary_directory(), "long_turn")
    clock = os.path.join(temporary_directory(), "clock.so")
    file = os.path.join(temporary_directory(), "clock")
    with open(program + ".c", "w", encoding="utf-8") as source:
        source.write("""#include <sys/epoll.h>
            #include <time.h>
            int main(void) { struct epoll_event e; int fd = epoll_create1(0); clock_t until;
              epoll_wait(fd, &e, 1, 0); until = clock() + CLOCKS_PER_SEC / 5;
              while (clock() < until) ; epoll_wait(fd, &e, 1, 0); return 0; }""")
    subprocess.run(["cc", "-o", program, program + ".c"], check=True)
    subprocess.run(["cc", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", clock,
                    os.path.join(HERE, "unit/turn_clock.c"), "-ldl"], check=True)
    with open(file, "wb") as empty:
        empty.write(bytes(8 * THREADS))
    subprocess.run([program], check=True,
                   env=dict(os.environ, LD_PRELOAD=clock, TURN_CLOCK=file))
    with open(file, "rb") as numbers:
        longest = max(struct.unpack(f"{THREADS}Q", numbers.read())) / 1e6
    assert 150 < longest < 1000, longest


def test_gzip_bombs():
    """a little gzip that decodes to much: of bad lines, of spaces, of elements that are no messages"""
    server = ClockedServer(max_body_bytes="16MiB")
    for what, text in (("bad lines", b"x\n"), ("empty lines", b"\n"), ("spaces", b" ")):
        body = compressed(text, 32)
        answer = server.save(body, "?partial=true", GZIP)
        detail = answer.json()
        assert answer.status == 413 and "--max-body-bytes" in detail["detail"], answer
        assert detail["accepted"] == 0
        server.check_turns(f"{what} in {len(body)} bytes of gzip")
        answer = server.save(body, "", GZIP)
        assert answer.status in (400, 413), answer
        server.check_turns("the same without partial=true")
    array = gzip.compress(b"[" + b"1," * 1000000 + b"1]", 1)
    answer = server.save(array, "?partial=true", {"Content-Encoding": "gzip"})
    assert answer.status == 207 and answer.json()["rejected"] == 1000001, answer
    server.check_turns(f"an array of {len(array)} bytes")
    assert server.stop() == 0


def test_many_tags():
    """300,000 new tags in a body are taken in pieces, whole or not at all"""
    server = ClockedServer(flush_interval="1h")
    number = 300000
    lines = [b'{"time":%d,"tag":"%x","values":[]}' % (i, i) for i in range(number)]
    body = b"\n".join(lines)
    assert server.save(body + b"\nx", "", NDJSON).status == 400
    server.check_turns("many tags and an error")
    assert server.metric("historiand_messages_received_total") == 0
    answer = server.save(gzip.compress(body, 1), "?ack=committed", GZIP)
    assert answer.status == 204, answer
    server.check_turns("many tags")
    assert count(server.table) == number
    assert int(sql(f"SELECT count(DISTINCT tag) FROM {server.table}")[0][0]) == number
    assert server.stop() == 0


def test_order():
    """what a connection sends behind a long body is stored after it"""
    server = ClockedServer(flush_interval="1h")
    client = server.connect()
    long = ndjson(message(1, "t", [i]) for i in range(100000))
    client.send(request_bytes("POST", "/save", long, NDJSON) +
                request_bytes("POST", "/save?ack=committed", ndjson([message(1, "t", [-1])]), NDJSON))
    assert client.answer().status == 202
    assert client.answer().status == 204
    assert sql(f"SELECT values FROM {server.table}") == [["{-1}"]]
    server.check_turns("a long body and a short one behind it")
    assert server.stop() == 0


def test_client_leaves():
    """a long body whose client leaves after its end is stored whole"""
    server = ClockedServer()
    body = ndjson(message(i, f"tag{i}", [i]) for i in range(100000))
    client = server.connect()
    client.send(request_bytes("POST", "/save", body, NDJSON))
    client.close()
    wait_for("its end", lambda: server.connections() == 0)
    assert server.stop() == 0       # all that was taken is loaded
    assert count(server.table) in (0, 100000)


def test_pipelines():
    """a client that pipelines costly requests waits for others"""
    server = ClockedServer()
    for what, request in (("metrics", request_bytes("HEAD", "/metrics")),
                          ("alive", request_bytes("GET", "/livez")),
                          ("save", request_bytes("POST", "/save", b'{"time":1,"tag":"a","values":[]}'))):
        client = server.connect()
        sender = threading.Thread(target=client.send, args=(request * 3000,), daemon=True)
        sender.start()
        for _ in range(3000):
            assert client.answer(what == "metrics").status in (200, 202)
        sender.join()
        client.close()
        server.check_turns(f"pipelined {what}")
    assert server.stop() == 0


def test_waiters():
    """the answers of many requests that waited for one commit are given in several turns"""
    server = ClockedServer(commit_delay="2s")
    one = request_bytes("POST", "/save?ack=committed", b'{"time":1,"tag":"a","values":[]}')
    clients = [server.connect() for _ in range(100)]
    for client in clients:
        client.send(one * 200)
    for client in clients:
        for _ in range(200):
            assert client.answer().status == 204
    server.check_turns("20,000 waiters")
    assert server.stop() == 0


def test_half_closed():
    """all requests of a client that closes its side behind them are answered"""
    server = ClockedServer()
    client = server.connect()
    requests = request_bytes("HEAD", "/metrics") * 500
    client.send(requests)
    client.socket.shutdown(socket.SHUT_WR)
    for _ in range(500):
        answer = client.answer(True)
        assert answer is not None and answer.status == 200
    assert client.closed()
    assert server.stop() == 0


def download(server, target, headers=None):
    """A large answer, read at once."""
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE * 3)
    client.request("GET", target, headers=headers or {})
    answer = client.getresponse()
    body = answer.read()
    client.close()
    return answer, body


def test_long_answers():
    """long answers are made while their rows come, and sent, in turns; they are what they were"""
    server = ClockedServer(query_timeout="2min")
    sql(f"""INSERT INTO {server.table} SELECT i, 'tag' || (i % 4),
        ARRAY(SELECT (random() - 0.5) * 1e9 + i * 0 FROM generate_series(1, 250))
        FROM generate_series(1, 8000) i""")
    tags = [f"tag{i}" for i in range(4)]
    every = "&".join(f"tag={tag}" for tag in tags)
    window = "start=0&end=8001&samples=2000&method=first"
    rows = sql(f"""SELECT tag, time, values FROM historian.downsample_many('{server.table}',
        '{{{",".join(tags)}}}', 0, 8001, 2000, 'first')""")
    # PostgreSQL's arrays differ from JSON's by their brackets.
    expected = ",".join(f'{{"tagName":"{wanted}","samples":[' + ",".join(
        f'{{"time":{time},"values":[{values[1:-1]}]}}' for tag, time, values in rows if tag == wanted) + "]}"
        for wanted in tags)
    expected = f'{{"start":0,"end":8001,"series":[{expected}]}}\n'.encode()
    target = f"/api?{every}&{window}"
    answer, body = download(server, target)
    assert answer.status == 200 and len(body) > 30e6, (answer.status, len(body))
    assert body == expected
    assert answer.headers["Content-Length"] == str(len(body))
    server.check_turns(f"{len(body)} bytes of several tags")
    etag = answer.headers["ETag"]
    answer, body = download(server, target, {"If-None-Match": etag})
    assert answer.status == 304 and body == b""
    server.check_turns("the same, known")
    answer, body = download(server, target, {"Accept-Encoding": "gzip"})
    assert gzip.decompress(body) == expected and answer.headers["ETag"] != etag
    server.check_turns("the same, compressed")

    client = server.connect()
    client.send(request_bytes("POST", "/save?ack=committed", ndjson([message(9000, "x", [1])]), NDJSON) +
                request_bytes("HEAD", target) + request_bytes("GET", target) +
                request_bytes("GET", "/latest?tag=x"))
    assert client.answer().status == 204
    head = client.answer(True)
    assert head.status == 200 and head.headers["content-length"] == str(len(expected))
    stream = client.socket.makefile("rb")
    stream = io.BufferedReader(Joined(client.buffer, stream), 1 << 20)
    while stream.readline() != b"\r\n":
        pass
    assert stream.read(len(expected)) == expected
    assert stream.readline().startswith(b"HTTP/1.1 200")
    client.close()
    server.check_turns("pipelined")

    leaver = server.connect()
    leaver.send(request_bytes("GET", target))
    leaver.fill()
    leaver.close()
    wait_for("its end", lambda: server.connections() <= 1)
    server.check_turns("a client that leaves")
    assert server.stop() == 0


class Joined(io.RawIOBase):
    """What was read already, and then the rest of a stream."""

    def __init__(self, begin, rest):
        self.begin, self.rest = begin, rest

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self.begin:
            return self.rest.readinto1(buffer)
        size = min(len(buffer), len(self.begin))
        buffer[:size], self.begin = self.begin[:size], self.begin[size:]
        return size


def test_long_lists():
    """/tags and /latest of many tags"""
    server = ClockedServer(query_timeout="2min")
    number = 200000
    sql(f"""INSERT INTO {server.table} SELECT i, 'plant/line/sensor' || lpad(i::text, 7, '0'), ARRAY[i / 7.0, 1]
        FROM generate_series(1, {number}) i""")
    rows = sql(f"SELECT tag, time, values FROM {server.table} ORDER BY tag")
    answer, body = download(server, "/tags")
    assert answer.status == 200
    assert body.decode() == '{"tags":[' + ",".join(
        f'{{"tag":"{tag}","first":{time},"last":{time},"samples":1}}' for tag, time, _ in rows) + "]}\n"
    server.check_turns(f"/tags of {len(body)} bytes")
    answer, body = download(server, "/latest")
    assert answer.status == 200
    assert body.decode() == '{"latest":[' + ",".join(
        f'{{"tag":"{tag}","time":{time},"values":[{values[1:-1]}]}}' for tag, time, values in rows) + "]}\n"
    server.check_turns(f"/latest of {len(body)} bytes")
    assert server.stop() == 0


if __name__ == "__main__":
    run(sys.modules[__name__])
