#!/usr/bin/python3
"""One client cannot stop others: limits on clients, and what others notice of a hostile body."""
import gzip
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib

from historiand import (CONNINFO, NDJSON, Client, Server, count, message, ndjson, request_bytes, run, sql,
                        temporary_directory, wait_for)

ONE = b'{"time":1,"tag":"a","values":[1]}'


class From(Client):
    """A connection that comes from another address of this machine."""

    def __init__(self, server, address):        # pylint: disable=super-init-not-called
        self.socket = socket.create_connection(("127.0.0.1", server.port), 20, (address, 0))
        self.buffer = b""


def limited(server, limit):
    text = server.get("/metrics").body.decode()
    return int(re.search(r'historiand_limited_total\{limit="%s"\} (\d+)' % limit, text).group(1))


def refused(answer, limit, setting):
    """Is it the answer that a limit demands?"""
    problem = answer.json()
    assert answer.status == problem["status"] == 429, answer
    assert problem["title"] == "Too Many Requests" and problem["limit"] == limit
    assert f"--limit-{limit}" in problem["detail"] and f" {setting} " in problem["detail"], problem
    assert answer.headers["content-type"] == "application/problem+json"
    return int(answer.headers["retry-after"])


def tokens(*lines):
    path = os.path.join(temporary_directory(), "tokens")
    with open(path, "w", encoding="utf-8") as file:
        for name, scope in lines:
            file.write(f"{name} {scope} sha256:{hashlib.sha256(('hst_' + name * 8).encode()).hexdigest()}\n")
    os.chmod(path, 0o600)
    return path


def bearer(name, **more):
    return {"Authorization": "Bearer hst_" + name * 8, **more}


def test_requests():
    """--limit-requests: so many a second of an address, 429 with Retry-After, and others are served"""
    server = Server(limit_requests=20)
    client, other = server.connect(), From(server, "127.0.0.2")
    begin = time.monotonic()
    served = turned_away = 0
    while time.monotonic() < begin + 2.5:
        answer = client.request("GET", "/openapi.json")
        if answer.status == 200:
            served += 1
        else:
            assert refused(answer, "requests", 20) == 1
            turned_away += 1
        assert client.request("GET", "/livez").status == 200, "health is never refused"
    passed = time.monotonic() - begin
    # a second's worth at once, and 20 in each second after that
    assert 20 + 20 * (passed - 0.5) - 2 <= served <= 20 + 20 * passed + 1, (served, passed)
    for target in ("/nothing", "/save", "/metrics"):    # 404, 405 and 200 otherwise
        answers = [client.request("GET", target).status for _ in range(30)]
        assert answers[-1] == 429 and answers.count(429) > 5, answers
        turned_away += answers.count(429)
    assert turned_away > 100
    assert other.request("GET", "/openapi.json").status == 200
    time.sleep(1)
    # what was refused is not read as anything else, and the connection stays
    client.send(request_bytes("POST", "/save", ONE) * 50)
    answers = [client.answer().status for _ in range(50)]
    assert set(answers) == {202, 429}, answers
    turned_away += answers.count(429)
    time.sleep(1)
    assert client.request("POST", "/save?ack=committed", ONE).status == 204
    metrics = other.request("GET", "/metrics").body.decode()
    assert f'historiand_limited_total{{limit="requests"}} {turned_away}\n' in metrics
    assert server.stop() == 0


def test_tokens():
    """a token's requests count for the token, from wherever they come, and not for the address"""
    server = Server(limit_requests=10, tokens_file=tokens(("busy", "write"), ("calm", "write"), ("scraper", "read")))
    near, far = server.connect(), From(server, "127.0.0.2")
    near.send(request_bytes("POST", "/save", ONE, bearer("busy")) * 200)
    answers = [near.answer().status for _ in range(200)]
    served = answers.count(202)
    turned_away = answers.count(429) + 1
    assert 10 <= served < 100 and set(answers) == {202, 429}, answers
    for _ in range(100):
        answer = far.request("POST", "/save", ONE, bearer("busy"))
        if answer.status == 429:
            break
        served += 1
    refused(answer, "requests", 10)
    assert 'token "busy"' in answer.json()["detail"]
    # the same connection has requests of another token
    assert near.request("POST", "/save", ONE, bearer("calm")).status == 202
    # without a token the address counts; it cannot try tokens faster than that
    near.send(b"".join(request_bytes("POST", "/save", ONE, bearer(f"guess{i}")) for i in range(100)))
    answers = [near.answer().status for _ in range(100)]
    assert answers[0] == 401 and answers.count(429) > 5 and set(answers) == {401, 429}, answers
    assert far.request("POST", "/save", ONE).status == 401
    assert near.request("POST", "/save", ONE, bearer("calm")).status == 202
    text = far.request("GET", "/metrics", None, bearer("scraper")).body.decode()
    assert f'historiand_token_limited_total{{token="busy",limit="requests"}} {turned_away}\n' in text, text
    assert 'token_limited_total{token="calm"' not in text
    assert f'historiand_token_requests_total{{token="busy",result="served"}} {served}\n' in text
    assert any("request refused" in line and "--limit-requests" in line and "busy" in line for line in server.log)
    assert server.stop() == 0


def test_connections():
    """--limit-connections: so many of an address; others come in"""
    server = Server(limit_connections=3)
    clients = []

    def admit():
        client = server.connect()   # the ones that asked whether the server is ready may not be gone
        try:
            if client.request("GET", "/livez").status == 200:
                clients.append(client)
        except ConnectionError:
            pass
        return len(clients) == 3
    wait_for("three connections", admit)
    over = server.connect()
    answer = over.answer()
    assert answer.status == 429 and "--limit-connections" in answer.json()["detail"], answer
    assert int(answer.headers["retry-after"]) == 1 and over.closed()
    other = From(server, "127.0.0.2")
    assert other.request("GET", "/livez").status == 200
    # a flood is closed, and takes nothing from others
    flood = [server.connect() for _ in range(200)]
    assert other.request("GET", "/livez").status == 200
    for client in flood + [over]:
        client.close()

    def number(what):
        text = other.request("GET", "/metrics").body.decode()
        return int(re.search(what.replace("{", r"\{") + r" (\d+)", text).group(1))
    wait_for("the flood to be gone", lambda: number('connections_closed_total{reason="refused"}') >= 201)
    assert number('historiand_limited_total{limit="connections"}') == \
        number('connections_closed_total{reason="refused"}')
    clients.pop().close()
    wait_for("room", lambda: server.connect().request("GET", "/livez").status == 200)
    assert server.stop() == 0


def test_messages():
    """--limit-messages: a body is taken whole; what it has too many makes the next ones wait"""
    server = Server(limit_messages=1000)
    client = server.connect()
    body = ndjson(message(i, "a", [i]) for i in range(4000))
    begin = time.monotonic()
    assert client.request("POST", "/save?ack=committed", body, NDJSON).status == 204
    for target, headers, data in (("/save", NDJSON, body), ("/save?partial=true", NDJSON, body),
                                  ("/write", {}, b"m f=1 5\n")):
        answer = client.request("POST", target, data, headers)
        assert min(2, 3 - (time.monotonic() - begin)) <= refused(answer, "messages", 1000) <= 3, answer
        assert client.request("GET", "/latest?tag=a").status in (200, 501, 422), "reads are not messages"
    assert count(server.table) == 4000
    assert From(server, "127.0.0.2").request("POST", "/save?ack=committed", ONE).status == 204
    wait = refused(client.request("POST", "/save", ONE), "messages", 1000)
    time.sleep(wait)
    assert client.request("POST", "/save?ack=committed", ONE).status == 204
    # bad ones count, too, and so do those of a strict body that is not stored
    other = From(server, "127.0.0.3")
    assert other.request("POST", "/save?partial=true", b"x\n" * 3000, NDJSON).status == 207
    refused(other.request("POST", "/save", ONE), "messages", 1000)
    other = From(server, "127.0.0.4")
    assert other.request("POST", "/save", body + b"x", NDJSON).status == 400
    refused(other.request("POST", "/save", ONE), "messages", 1000)
    # an array, and single objects
    other = From(server, "127.0.0.5")
    assert other.request("POST", "/save", b"[" + b",".join([ONE] * 999) + b"]").status == 202
    assert other.request("POST", "/save", ONE).status == 202
    threading.Thread(target=other.send, args=(request_bytes("POST", "/save", ONE) * 3000,)).start()
    assert 429 in [other.answer().status for _ in range(3000)]
    assert server.stop() == 0


def test_endless_body():
    """a partial body without end is stopped once it exceeds --max-body-bytes, and says what was stored"""
    server = Server(limit_messages=1000, max_body_bytes="256KiB")
    line = ndjson([message(1, "a", [1])])
    lines = b"".join(ndjson([message(i, "a", [1])]) for i in range(50000))
    begin = time.monotonic()
    answer = server.request("POST", "/save?partial=true&ack=committed", lines, NDJSON)
    accepted = answer.json()["accepted"]
    # 1,000 at once, and 1,000 in each second, of which some have passed
    assert refused(answer, "messages", 1000) >= min(4, accepted / 1000 - 1 - (time.monotonic() - begin)), answer
    assert 256 * 1024 / len(line) / 1.2 < accepted < 50000, answer
    wait_for("what was accepted", lambda: count(server.table) == accepted)
    # the same in gzip
    other = From(server, "127.0.0.2")
    other.send(request_bytes("POST", "/save?partial=true", gzip.compress(lines, 1),
                             dict(NDJSON, **{"Content-Encoding": "gzip"})))
    answer = other.answer()
    refused(answer, "messages", 1000)
    wait_for("what was accepted", lambda: server.metric("historiand_messages_received_total") ==
             accepted + answer.json()["accepted"])
    assert server.stop() == 0


def test_queries():
    """--limit-queries: so many reads of a client at a time; other clients' reads go on"""
    server = Server(limit_queries=2, max_queries=4, query_timeout="60s")
    target = "/api?tag=a&start=0&end=10&samples=1"
    assert server.save(ONE, "?ack=committed").status == 204
    locker = subprocess.Popen(["psql", "-Xq", "-d", CONNINFO], stdin=subprocess.PIPE, text=True)
    locker.stdin.write(f"BEGIN; LOCK TABLE {server.table};\n")
    locker.stdin.flush()
    try:
        wait_for("the lock", lambda: sql("SELECT count(*) FROM pg_locks WHERE granted AND mode = "
                 f"'AccessExclusiveLock' AND relation = '{server.table}'::regclass") == [["1"]])
        clients = [server.connect() for _ in range(3)]
        for client in clients[:2]:
            client.send(request_bytes("GET", target))
        wait_for("the reads", lambda: sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                                          "AND query LIKE '%downsample%' AND pid <> pg_backend_pid()") == [["2"]])
        assert refused(clients[2].request("GET", target), "queries", 2) == 1
        assert refused(clients[2].request("GET", "/export?tag=a"), "queries", 2) == 1
        assert clients[2].request("POST", "/save", ONE).status == 202
        # a client that leaves gives back what it had
        clients[1].close()
        wait_for("its end", lambda: server.connections() == 2)
        clients[2].send(request_bytes("GET", target))
        other = From(server, "127.0.0.2")
        other.send(request_bytes("GET", target))
        wait_for("the reads", lambda: sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                                          "AND query LIKE '%downsample%' AND pid <> pg_backend_pid()") == [["3"]])
    finally:
        locker.communicate("")
    for client in (clients[0], clients[2], other):
        assert client.answer().status == 200
    for _ in range(20):
        assert clients[0].request("GET", target).status == 200
    assert limited(server, "queries") == 2
    assert server.stop() == 0


def test_defaults():
    """without settings nothing is limited; SIGHUP sets and lifts limits"""
    path = os.path.join(temporary_directory(), "settings")
    with open(path, "w", encoding="utf-8") as file:
        file.write("flush-interval = 50ms\n")
    server = Server(config=path)
    client = server.connect()
    threading.Thread(target=client.send, args=(request_bytes("POST", "/save", ONE) * 3000,)).start()
    assert {client.answer().status for _ in range(3000)} == {202}
    clients = [server.connect() for _ in range(300)]
    assert all(one.request("GET", "/livez").status == 200 for one in clients)
    assert server.save(ndjson(message(i, "a", []) for i in range(200000)), "", NDJSON).status == 202

    def reload(text):
        with open(path, "w", encoding="utf-8") as file:
            file.write("flush-interval = 50ms\n" + text)
        before = len(server.log)
        server.process.send_signal(signal.SIGHUP)
        wait_for("the reload", lambda: any("the settings were read again" in line for line in server.log[before:]))
    reload("limit-requests = 1\nlimit-connections = 300\n")
    assert client.request("GET", "/openapi.json").status == 200
    assert client.request("GET", "/openapi.json").status == 429
    answer = server.connect().answer()              # those that were there before count
    assert answer.status == 429 and "--limit-connections" in answer.json()["detail"]
    reload("")
    assert client.request("GET", "/openapi.json").status == 200
    assert client.request("GET", "/openapi.json").status == 200
    assert server.get("/livez").status == 200
    assert server.stop() == 0


def test_memory_of_clients():
    """clients that come and go are forgotten"""
    server = Server(limit_requests=1000, max_connections=100)
    for i in range(3000):
        client = From(server, f"127.1.{i // 250}.{i % 250 + 1}")
        assert client.request("GET", "/openapi.json").status == 200
        client.close()
    assert server.metric("historiand_clients") < 310
    assert server.stop() == 0


def compressed(line, mebibytes):
    """So much of a repeated line, as gzip."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = line * ((1 << 20) // len(line))
    return b"".join([compressor.compress(block) for _ in range(mebibytes)]) + compressor.flush()


class Pulse:
    """How long /livez takes on a connection of its own, again and again until it is stopped."""

    def __init__(self, server):
        self.client = server.connect()
        self.tasks = f"/proc/{server.process.pid}/task"
        self.taken = []         # (ms of the server's processor time, ms of the clock)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.beat, daemon=True)
        self.thread.start()

    def processor_ms(self):
        total = 0
        for task in os.listdir(self.tasks):
            with open(f"{self.tasks}/{task}/schedstat", encoding="ascii") as numbers:
                total += int(numbers.read().split()[0])
        return total / 1e6

    def beat(self):
        while not self.ended.is_set():
            used, begin = self.processor_ms(), time.monotonic()
            assert self.client.request("GET", "/livez").status == 200
            end = time.monotonic()
            self.taken.append((self.processor_ms() - used, 1000 * (end - begin)))
            time.sleep(0.001)

    def stop(self):
        """The 99th percentiles of both."""
        self.ended.set()
        self.thread.join()
        assert self.taken, "/livez was not answered once"
        return [sorted(column)[int(len(column) * 0.99)] for column in zip(*self.taken)]


def test_livez_under_fire():
    """/livez: 99% under 50 ms while a bomb, long bodies and a million tags are posted

    On a busy machine the clock tells how busy it is.  So what counts there is the processor time that the
    server takes for others until /livez is answered, which is as long in a quiet machine.
    """
    line = b'{"time":%d,"tag":"plant/line%d","values":[1.5,2,3]}\n'
    right = b"".join(line % (i, i % 100) for i in range(1050000))
    assert len(right) > 50e6
    wrong = b'{"time":1,"tag":"plant/line1","values":[1.5,2,x]}\n' * 1050000
    tags = b"".join(b'{"time":1,"tag":"t%d","values":[]}\n' % i for i in range(1000000))
    bomb = compressed(b"x\n", 1024)
    assert 0.9e6 < len(bomb) < 1.2e6
    zipped = dict(NDJSON, **{"Content-Encoding": "gzip"})
    bodies = (("a bomb of 1 MB, partial", "?partial=true", bomb, zipped, {413}),
              ("a bomb of 1 MB, strict", "", bomb, zipped, {400, 413}),
              ("50 MB, each line right", "", right, NDJSON, {202}),
              ("50 MB, each line an error", "", wrong, NDJSON, {400}),
              ("50 MB, each line an error, partial", "?partial=true", wrong, NDJSON, {207}),
              ("50 MB in gzip, each line an error, partial", "?partial=true", gzip.compress(wrong, 1), zipped, {207, 413}),
              ("a million tags", "", tags, NDJSON, {202}),
              ("a million tags, partial", "?partial=true", tags, NDJSON, {202}))
    server = Server("measurement", "host=/nonexistent dbname=x", expect_ready=False, max_buffered_bytes="1GiB")
    pulse = Pulse(server)
    time.sleep(2)
    used, passed = pulse.stop()
    print(f"# idle: p99 {passed:.1f} ms", flush=True)
    for what, query, body, headers, statuses in bodies:
        pulse = Pulse(server)
        begin = time.monotonic()
        while time.monotonic() < begin + 1:
            client = server.connect(timeout=120)
            try:
                client.send(request_bytes("POST", "/save" + query, body, headers))
            except ConnectionError:
                pass        # it is answered before its end, and closed
            answer = client.answer()
            assert answer.status in statuses | {503}, (what, answer)
            client.close()
        used, passed = pulse.stop()
        print(f"# {what}: {answer.status}, {len(pulse.taken)} requests, p99 {passed:.1f} ms, of which the server "
              f"worked for {used:.1f} ms", flush=True)
        assert used < 50, (what, used)
        if os.getloadavg()[0] < os.cpu_count() / 2:
            assert passed < 50, (what, passed)
    server.kill()


if __name__ == "__main__":
    run(sys.modules[__name__])
