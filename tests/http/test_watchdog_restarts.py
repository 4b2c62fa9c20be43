#!/usr/bin/python3
"""The watchdog of silent tags over restarts and outages: nothing is told twice, and no alarm is false (docs/watchdog.md)."""
import atexit
import os
import random
import subprocess
import sys
import threading
import time

from historiand import HERE, Relay, Server, new_table, run, sql, temporary_directory
from test_watchdog import QUICK, Receiver, gauge, need_extension, report, wait_for

SEED = int(os.environ.get("SEED", random.randrange(2 ** 32)))


def test_restarts():
    """restarts of historiand, gentle and not, tell nothing again, and forget nothing"""
    need_extension()
    print(f"# seed {SEED}")
    generator = random.Random(SEED)
    receiver = Receiver()
    table = new_table()
    expected = []
    server = Server(table, stale_webhook=receiver.url, **QUICK)
    tags = [f"t{i}" for i in range(40)]
    report(server, *tags)
    silent = set()
    for turn in range(4):
        wait_for("all are stale", lambda: gauge(server, "historian_stale_tags") == len(tags))
        expected += [(tag, "stale") for tag in tags if tag not in silent]
        silent = set(tags)
        if turn % 2:
            # what is told and not settled would be told again
            wait_for("all is settled", lambda: gauge(server, "historian_stale_untold") == 0)
            server.kill()
        else:
            assert server.stop() == 0
        back = generator.sample(tags, 10)
        # while no historiand is there
        sql(f"INSERT INTO {table} SELECT historian.to_ns(clock_timestamp()) + 3600000000000, t, '{{1}}' FROM unnest('{{{','.join(back)}}}'::text[]) t")
        server = Server(table, stale_webhook=receiver.url, **QUICK)
        wait_for("the return", lambda: gauge(server, "historian_stale_tags") == len(tags) - 10)
        expected += [(tag, "returned") for tag in back]
        silent -= set(back)
        sql(f"DELETE FROM {table} WHERE time > historian.to_ns(clock_timestamp())")
    wait_for("all are stale", lambda: gauge(server, "historian_stale_tags") == len(tags))
    expected += [(tag, "stale") for tag in tags if tag not in silent]
    receiver.wait(expected)


class Cluster:
    """PostgreSQL of its own, which can be stopped."""

    def __init__(self):
        self.environment = {**os.environ, "DATADIR": os.path.join(temporary_directory(), "data")}
        os.chmod(os.path.dirname(self.environment["DATADIR"]), 0o755)
        self.top = os.path.join(HERE, "../..")
        atexit.register(lambda: self.do("kill"))
        self.do("start")
        self.conninfo = subprocess.run(["bash", "-c", ". scripts/common.sh && conninfo historian"], cwd=self.top, check=True,
                                       env=self.environment, capture_output=True, text=True).stdout.strip()

    def do(self, action):
        subprocess.run(["scripts/cluster", action], cwd=self.top, check=True, env=self.environment, stdout=subprocess.DEVNULL)


def test_postgresql():
    """a restart of PostgreSQL tells nothing again, and no tag is stale because of it"""
    need_extension()
    receiver = Receiver()
    cluster = Cluster()
    table = "measurement"
    server = Server(table, conninfo=cluster.conninfo, stale_webhook=receiver.url, stale_interval="100ms", stale_after="4s")
    report(server, "silent")
    stop = threading.Event()

    def talk():
        while not stop.wait(0.2):
            report(server, "talks", ack="received")
    talker = threading.Thread(target=talk)
    talker.start()
    try:
        receiver.wait([("silent", "stale")])
        for action in ("stop", "kill"):
            cluster.do(action)
            time.sleep(5)
            cluster.do("start")
            wait_for("readyz", server.ready)
            time.sleep(5)
        receiver.wait([("silent", "stale")])
    finally:
        stop.set()
        talker.join()
    report(server, "silent", ago=-600)
    wait_for("the return", lambda: ("silent", "returned") in receiver.told())
    assert [told for told in receiver.told() if told[0] == "silent"] == [("silent", "stale"), ("silent", "returned")]
    server.kill()


def test_held_up():
    """no tag is stale whose messages are held up, nor after a restart until they are committed"""
    need_extension()
    receiver = Receiver()
    relay = Relay()
    spool = temporary_directory()
    settings = {"stale_webhook": receiver.url, "stale_interval": "100ms", "stale_after": "3s", "spool_dir": spool}
    server = Server(conninfo=relay.conninfo, **settings)
    report(server, "a", "b")
    relay.cut()
    wait_for("the outage", lambda: server.get("/readyz").status == 503)

    def talk(seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            report(server, "a", "b", ack="received")
            time.sleep(0.2)
    talk(5)
    relay.mend()
    wait_for("readyz", server.ready)
    talk(4)
    assert receiver.told() == []
    # the same over a restart, with messages in the spool
    relay.cut()
    wait_for("the outage", lambda: server.get("/readyz").status == 503)
    talk(2)
    assert server.stop(20) == 0
    time.sleep(4)
    relay.mend()
    server = Server(server.table, conninfo=relay.conninfo, **settings)
    talk(4)
    assert receiver.told() == []
    receiver.wait([("a", "stale"), ("b", "stale")])


if __name__ == "__main__":
    run(sys.modules[__name__])
