#!/usr/bin/python3
"""A synchronous standby: 204 means that it has the commit, also where PostgreSQL was told not to wait."""
import atexit
import contextlib
import os
import subprocess
import sys
import threading
import time

import historiand
from historiand import Server, count, message, run, sql, temporary_directory, wait_for

CLUSTER = os.path.join(historiand.HERE, "../../scripts/cluster")
CONNINFO_OF = '. scripts/common.sh && conninfo historian'


def new_cluster():
    """Starts a cluster of its own, because the setting is one of the whole server."""
    directory = temporary_directory()
    os.chmod(directory, 0o755)
    environment = {**os.environ, "DATADIR": os.path.join(directory, "data")}
    top = os.path.join(historiand.HERE, "../..")

    def cluster(action):
        subprocess.run([CLUSTER, action], check=True, env=environment, stdout=subprocess.DEVNULL)

    atexit.register(cluster, "kill")
    cluster("start")
    historiand.CONNINFO = subprocess.run(["bash", "-c", CONNINFO_OF], check=True, env=environment,
                                         cwd=top, capture_output=True, text=True).stdout.strip()


class Standby:
    """Receives WAL and confirms that it has it on disk: all that a commit waits for."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["pg_receivewal", "--synchronous", "--no-loop", "--directory", temporary_directory(),
             "--dbname", historiand.CONNINFO + " application_name=standby"],
            stderr=subprocess.DEVNULL)
        atexit.register(self.stop)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Save(threading.Thread):
    """A request with ack=committed that waits; answer is None until it is answered."""

    def __init__(self, server, body):
        super().__init__(daemon=True)
        self.server, self.body, self.answer = server, body, None
        self.start()

    def run(self):
        self.answer = self.server.save(self.body, "?ack=committed")

    def answered(self):
        return wait_for("the answer", lambda: self.answer)


def waiting():
    """The backends that wait for the standby, as a list of numbers."""
    return [pid for pid, in sql("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'")]


def set_standby(name):
    sql(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'; SELECT pg_reload_conf()")
    wait_for("the setting", lambda: sql("SHOW synchronous_standby_names") == [[name]])


@contextlib.contextmanager
def standby_required():
    """Commits wait for a standby; not longer, so that a failed test leaves none that waits."""
    set_standby("standby")
    try:
        yield
    finally:
        set_standby("")


def interrupted(function, times, pattern):
    """A commit whose wait is interrupted that often is not answered before the standby has it."""
    server = Server(commit_timeout="60s", load_timeout="60s")
    with standby_required():
        save = Save(server, message(1, "a", [1]))
        for number in range(times):
            pid, = wait_for("a commit that waits", waiting)
            sql(f"SELECT {function}({pid})")
            wait_for("the interruption, or an answer", lambda number=number: save.answer or
                     sum(pattern in line for line in server.log) > number)
            wait_for("another wait, or an answer", lambda: save.answer or waiting())
            assert save.answer is None, save.answer
            assert count(server.table) == 1
        standby = Standby()
        assert save.answered().status == 204
        assert count(server.table) == 1
        standby.stop()
    assert server.save(message(2, "a", [2]), "?ack=committed").status == 204
    assert server.stop() == 0


def test_cancelled():
    """a commit whose wait for the standby is cancelled, twice, is answered when the standby has it"""
    interrupted("pg_cancel_backend", 2, "told not to wait for the synchronous standby")


def test_terminated():
    """the same where the waiting backend is ended: the rows come once"""
    interrupted("pg_terminate_backend", 1, "no connection to PostgreSQL for loading")


def test_not_cancelled_by_us():
    """neither --commit-timeout nor --load-timeout ends the wait: 503 tells that the fate is unknown"""
    server = Server(commit_timeout="300ms", load_timeout="500ms")
    with standby_required():
        answer = server.save(message(1, "a", [1]), "?ack=committed")
        assert answer.status == 503, answer
        first = wait_for("a commit that waits", waiting)
        server.logged("not over yet")
        assert waiting() == first
        standby = Standby()
        wait_for("ready", server.ready)
        assert server.save(message(2, "a", [2])).status == 202
        wait_for("both rows", lambda: count(server.table) == 2)
        standby.stop()
    assert server.stop() == 0


def test_changes():
    """a change is answered 200 when the standby has it, and 503 where that is not known"""
    server = Server(query_timeout="1s")
    target = "/samples?tag=a&start=0&end=10"
    assert server.save(message(1, "a", [1]), "?ack=committed").status == 204
    with standby_required():
        begin = time.monotonic()
        answer = server.request("PUT", target, b'{"time": 2, "values": [2]}')
        assert answer.status == 503 and "not known whether" in answer.json()["detail"], answer
        assert time.monotonic() - begin >= 1
        assert count(server.table, "time = 1") == 1, "it is seen before the standby has it"
        standby = Standby()
        wait_for("the change", lambda: count(server.table, "time = 2") == 1 and count(server.table) == 1)
        patient = Server(table=server.table, query_timeout="60s")
        assert patient.request("PUT", target, b'{"time": 3, "values": [3]}').json()["removed"] == 1
        standby.stop()
        # an administrator has PostgreSQL wait no longer
        answers = []
        thread = threading.Thread(target=lambda: answers.append(patient.request("DELETE", "/tags/a")))
        thread.start()
        pid, = wait_for("a commit that waits", waiting)
        sql(f"SELECT pg_cancel_backend({pid})")
        thread.join()
        assert answers[0].status == 503 and "may not have it" in answers[0].json()["detail"], answers
    assert patient.request("DELETE", "/tags/a").json()["removed"] == 0
    assert patient.stop() == 0
    assert server.stop() == 0


if __name__ == "__main__":
    new_cluster()
    run(sys.modules[__name__])
