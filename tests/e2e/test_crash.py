"""kill -9 of PostgreSQL during load: every committed message is there once after the restart.

Threads post messages of known values, some with ack=committed, and remember the answers. All
processes of PostgreSQL are killed, then (once it is back) one of its backends, which makes it
restart by itself. In the end every message that was answered with 204 is there once, and no
message, acknowledged or not, is there twice or with other values.
"""
import http.client
import json
import os
import signal
import threading
import time

import e2e
from e2e import ok, same

BATCH = 20


class Poster(threading.Thread):
    """Posts batches of its own tag until told to stop; no message is sent twice."""

    def __init__(self, run, number, query, expected):
        super().__init__()
        self.run_, self.number, self.query, self.expected = run, number, query, expected
        self.sent = 0
        self.committed = set()
        self.answers = {}
        self.stopping = False

    def message(self, i):
        return {"time": i, "tag": "crash/%d" % self.number, "values": [i + 0.5, -i, i / 3]}

    def run(self):
        connection = None
        while not self.stopping:
            batch = range(self.sent, self.sent + BATCH)
            self.sent += BATCH
            body = "\n".join(json.dumps(self.message(i)) for i in batch)
            try:
                connection = connection or self.run_.connection()
                status, _ = self.run_.post(body.encode(), self.query, connection=connection)
            except (OSError, http.client.HTTPException):
                connection, status = None, "lost"
            self.answers[status] = self.answers.get(status, 0) + 1
            if status == 204:
                self.committed.update(batch)
            if status != self.expected:
                time.sleep(0.1)

    def progress(self):
        return self.answers.get(self.expected, 0)


def more_answers(posters, count=30):
    goals = [(poster, poster.progress() + count) for poster in posters]
    e2e.wait_until(lambda: all(poster.progress() >= goal for poster, goal in goals),
                   "all posters have %d more answers" % count)


def kill_all(run):
    postmaster = run.postmaster()
    backends = e2e.children(postmaster)
    for pid in [postmaster] + backends:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return len(backends)


with e2e.Run() as run:
    posters = [Poster(run, n, "?ack=committed" if n < 4 else "", 204 if n < 4 else 202)
               for n in range(6)]
    for poster in posters:
        poster.start()
    more_answers(posters)
    before = run.postmaster()
    killed = kill_all(run)
    ok(killed > 0, "kill -9 of the postmaster and its %d processes during load" % killed)
    e2e.wait_until(lambda: run.postmaster() not in (None, before), "PostgreSQL is started again")
    more_answers(posters)
    ok(True, "the load goes on after the restart")

    backend = int(run.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' "
                          "AND pid <> pg_backend_pid() LIMIT 1"))
    os.kill(backend, signal.SIGKILL)
    more_answers(posters)
    ok(True, "and after kill -9 of one backend")
    for poster in posters:
        poster.stopping = True
    for poster in posters:
        poster.join()
    print("# answers: %r" % [poster.answers for poster in posters])
    same(run.stop(), 0, "SIGTERM ends with 0")

with e2e.Run(datadir=run.datadir) as run:
    rows = run.rows()
    stored = {(tag, at) for at, tag, _ in rows}
    same(len(rows), len(stored), "no message is there twice")
    right = all(values == e2e.double_bytes(posters[int(tag[6:])].message(at)["values"]) and
                at < posters[int(tag[6:])].sent for at, tag, values in rows)
    ok(right, "all values are those that were sent")
    committed = {("crash/%d" % p.number, i) for p in posters for i in p.committed}
    ok(committed and committed <= stored,
       "every one of %d committed messages is there" % len(committed),
       "missing: %r" % sorted(committed - stored)[:10])
    ok(run.sql("SELECT count(*) FROM measurement") == str(len(stored)), "SQL counts the same")
e2e.done()
