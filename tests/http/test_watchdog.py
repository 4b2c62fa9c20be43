#!/usr/bin/python3
"""The watchdog of silent tags: each transition is told once, and none that is not one (docs/watchdog.md).

SECONDS=60 test_watchdog.py test_cost: what it costs to watch 10,000 tags."""
import http.server
import json
import os
import sys
import threading
import time

import historiand
from historiand import Lock, NDJSON, Server, Skip, message, ndjson, new_table, run, sql

PATIENCE_S = 90     # on a busy machine two rounds may take so long that the next one comes after a minute
QUICK = {"stale_interval": "100ms", "stale_after": "1s"}


def wait_for(what, condition, seconds=PATIENCE_S):
    return historiand.wait_for(what, condition, seconds)


class Receiver:
    """A webhook. behaviour(handler, event) answers; without one it is 204."""

    def __init__(self, port=0, behaviour=None):
        outer = self
        self.events, self.headers, self.behaviour = [], [], behaviour

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if outer.behaviour and outer.behaviour(self, event):
                    return
                outer.events.append(event)
                outer.headers.append(self.headers)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        class Threads(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_):
                pass

        self.server = Threads(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def told(self, state=None):
        return [(event["tag"], event["state"]) for event in list(self.events) if state in (None, event["state"])]

    def wait(self, expected, seconds=PATIENCE_S):
        """Waits for the events, in this order for each tag, and for no other."""
        try:
            wait_for("transitions", lambda: len(self.events) >= len(expected), seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}: {expected}, not {self.told()}") from error
        assert sorted(self.told()) == sorted(expected), self.told()
        for tag in {tag for tag, _ in expected}:
            assert [told for told in self.told() if told[0] == tag] == [one for one in expected if one[0] == tag], self.told()
        assert len({event["id"] for event in self.events}) == len(self.events), self.events


def need_extension():
    if sql("SELECT count(*) FROM pg_proc WHERE proname = 'note_stale'") == [["0"]]:
        raise Skip("the extension is not there")


def report(server, *tags, ago=0.0, ack="committed"):
    answer = server.save(ndjson([message(time.time_ns() - int(ago * 1e9), tag, [1]) for tag in tags]), "?ack=" + ack, NDJSON)
    assert answer.status in (202, 204), answer


def gauge(server, name):
    """A metric; -1 where it is not known yet."""
    try:
        return server.metric(name)
    except AssertionError:
        return -1


def stale_now(server):
    return [entry["tag"] for entry in server.get("/stale").json()["stale"]]


def test_transitions():
    """a tag that is silent for too long is told once, and its return; the others are not"""
    need_extension()
    receiver = Receiver()
    server = Server(stale_webhook=receiver.url, **QUICK)
    odd = 'q"\\\n\'; größe'
    literal = "E'" + odd.replace("\\", "\\\\").replace("'", "''") + "'"
    begin = time.time_ns()
    report(server, "a", "patient")
    # a tag with a line feed cannot come over HTTP
    report_odd = f"INSERT INTO {server.table} VALUES (historian.to_ns(clock_timestamp() + %s), {literal}, '{{1}}')"
    sql(report_odd % "interval '0'")
    sql(f"INSERT INTO historian.tag (relid, tag, max_silence) VALUES ('{server.table}', 'patient', '1 hour')")
    receiver.wait([("a", "stale"), (odd, "stale")])
    event = receiver.events[0]
    assert set(event) == {"id", "table", "tag", "state", "last", "since", "silent_for", "allowed", "at"}, event
    assert event["table"] == "public." + server.table and event["allowed"] == "1s", event
    assert begin <= event["last"] <= event["since"] - 10 ** 9 <= event["at"] - 10 ** 9 <= time.time_ns() - 10 ** 9, event
    assert float(event["silent_for"][:-1]) >= 1, event
    assert receiver.headers[0]["Content-Type"] == "application/json"
    assert receiver.headers[0]["User-Agent"].startswith("historiand/")
    assert stale_now(server) == sorted(["a", odd])
    wait_for("the gauge", lambda: gauge(server, "historian_stale_tags") == 2)
    # a late sample that is too old is no return, and one that is in time is
    report(server, "a", ago=0.5 + (time.time_ns() - event["last"]) / 2e9)
    # a busy machine looks some seconds later
    sql(report_odd % "interval '6 s'")
    receiver.wait([("a", "stale"), (odd, "stale"), (odd, "returned"), (odd, "stale")])
    returned = next(event for event in receiver.events if event["state"] == "returned")
    assert returned["since"] == next(e["since"] for e in receiver.events if e["tag"] == odd and e["state"] == "stale"), receiver.events
    # a sample of the future
    report(server, "a", ago=-600)
    receiver.wait([("a", "stale"), (odd, "stale"), (odd, "returned"), (odd, "stale"), ("a", "returned")])
    # the answer of the receiver comes after what it was told
    wait_for("the last one is settled", lambda: server.metric('historiand_stale_actions_total{action="webhook",result="told"}') >= 5)
    text = server.get("/metrics").body.decode()
    assert 'historiand_stale_transitions_total{state="stale"} 3' in text, text
    assert 'historiand_stale_transitions_total{state="returned"} 2' in text, text
    assert 'historiand_stale_actions_total{action="webhook",result="told"} 5' in text, text
    # a tag that is deleted is no longer stale, and nobody is told
    sql(f"DELETE FROM {server.table} WHERE tag = {literal}")
    wait_for("the gauge", lambda: gauge(server, "historian_stale_tags") == 0)
    assert len(receiver.events) == 5, receiver.told()


def test_slow_load():
    """while a load waits for a lock, tags whose messages it has are not stale"""
    need_extension()
    receiver = Receiver()
    server = Server(stale_webhook=receiver.url, stale_interval="100ms", stale_after="2s")
    report(server, "a")
    stop = threading.Event()

    def talk():
        while not stop.wait(0.2):
            report(server, "a", ack="received")
    talker = threading.Thread(target=talk)
    talker.start()
    try:
        lock = Lock(server.table, mode="SHARE")
        wait_for("a load behind it", lock.waiters)
        time.sleep(5)       # more than twice --stale-after
        lock.let_go()
    finally:
        stop.set()
        talker.join()
    report(server, "a")
    assert receiver.told() == []
    receiver.wait([("a", "stale")])


def test_slow_round():
    """one round that waits for long does not put the next one off for a minute"""
    need_extension()
    receiver = Receiver()
    server = Server(stale_webhook=receiver.url, **QUICK)
    report(server, "a", ago=-4)
    wait_for("the first rounds", lambda: gauge(server, "historiand_stale_watch_seconds") >= 1)
    lock = Lock("historian.stale_state")
    wait_for("a round behind it", lock.waiters)
    time.sleep(1)
    lock.let_go()
    receiver.wait([("a", "stale")], 45)


def test_two_servers():
    """two historiand on one table tell each transition once"""
    need_extension()
    receiver = Receiver(behaviour=lambda handler, event: time.sleep(0.01))
    servers = [Server(stale_webhook=receiver.url, **QUICK)]
    servers.append(Server(servers[0].table, stale_webhook=receiver.url, **QUICK))
    tags = [f"t{i}" for i in range(300)]
    report(servers[0], *tags)
    for server in servers:
        wait_for("all are stale", lambda: gauge(server, "historian_stale_tags") == 300)
    report(servers[1], *tags, ago=-600)
    receiver.wait([(tag, "stale") for tag in tags] + [(tag, "returned") for tag in tags], 60)
    shares = [[line for line in server.get("/metrics").body.decode().splitlines() if line.startswith("historiand_stale_actions_total")]
              for server in servers]
    print(f"# {shares}")


def test_off():
    """without its settings nothing is noted"""
    need_extension()
    server = Server()
    report(server, "a")
    sql(f"INSERT INTO historian.tag (relid, tag, max_silence) VALUES ('{server.table}', 'a', '1 ms')")
    wait_for("a is stale", lambda: stale_now(server) == ["a"])
    assert b"stale_watch" not in server.get("/metrics").body
    assert sql(f"SELECT count(*) FROM historian.stale_state WHERE relid = '{server.table}'::regclass") == [["0"]]


def test_table():
    """a table that is renamed, and one that is dropped"""
    need_extension()
    receiver = Receiver()
    server = Server(stale_webhook=receiver.url, **QUICK)
    report(server, "a")
    receiver.wait([("a", "stale")])
    sql(f"ALTER TABLE {server.table} RENAME TO {server.table}_other")
    server.logged("silent tags are not found now")
    sql(f"ALTER TABLE {server.table}_other RENAME TO {server.table}")
    wait_for("it is watched again", lambda: gauge(server, "historiand_stale_watch_seconds") >= 2)
    assert receiver.told() == [("a", "stale")]
    sql(f"DROP TABLE {server.table}")
    assert sql("SELECT count(*) FROM historian.stale_state s WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = s.relid)") == [["0"]]
    assert server.stop() == 0


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def noting():
    """The backends that have looked for silent tags last."""
    return {row[0] for row in sql("SELECT pid FROM pg_stat_activity WHERE query LIKE '%historian.note_stale(%' AND pid <> pg_backend_pid()")}


def test_cost():
    """10,000 tags are watched for a hundredth of a core; all become stale, and each is told once"""
    need_extension()
    seconds = int(os.environ.get("SECONDS", "10"))
    receiver = Receiver()
    table = new_table()
    sql(f"INSERT INTO {table} SELECT historian.to_ns(clock_timestamp()) - s * 1000000000::bigint, 'plant/area/unit/sensor' || k, ARRAY[k + s] "
        f"FROM generate_series(1, 20) s, generate_series(1, 10000) k")
    idle = Server(table)
    others = noting()
    watching = Server(table, stale_after="1h", stale_interval="1s", stale_webhook=receiver.url)
    wait_for("the first round", lambda: gauge(watching, "historian_stale_tags") == 0, 120)
    # the second one comes soon, because the pause is that of the shorter one of two
    wait_for("the second round", lambda: gauge(watching, "historiand_stale_watch_seconds") >= 1)
    time.sleep(1)
    backends = list(noting() - others)
    assert len(backends) == 1, backends

    def spent():
        return processor_seconds(backends[0]), processor_seconds(watching.process.pid), processor_seconds(idle.process.pid)
    before = spent()
    begin = time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - begin
    backend, with_watch, without = (after - earlier for after, earlier in zip(spent(), before))
    share = (backend + with_watch - without) / passed
    print(f"# {passed:.1f} s: the backend {backend:.2f} s, historiand {with_watch:.2f} s (without a watch {without:.2f} s): {100 * share:.2f}% of a core")
    assert share <= 0.01 + 0.05 / passed, "more than a hundredth of a core"
    assert receiver.events == []
    assert watching.stop() == 0
    told = Server(table, stale_after="1s", stale_interval="1s", stale_webhook=receiver.url)
    wait_for("each is told", lambda: len(receiver.events) >= 10000, 240)
    wait_for("nothing is owed", lambda: gauge(told, "historian_stale_untold") == 0, 120)
    assert len(receiver.events) == 10000 == len(set(receiver.told("stale")))


if __name__ == "__main__":
    run(sys.modules[__name__])
