"""load.py: writers and readers of registers, and the probes that look for two writable primaries.

A writer has TAGS tags.  Each of its requests writes one value to all of them, twice: to the register, whose time
stays the same, and at a time of its own, which is the value's number.  So one history per writer says what each
register and each row must show.  After a request without an answer the writer goes on with a new register (a new
generation) at the other historiand.
"""
import collections
import http.client
import json
import random
import threading
import time

import psycopg2

from history import ACKED, REFUSED, UNKNOWN, Register

TAGS = 25
ROWS = 1_000_000        # times below are registers': their generation
GIVE_UP_S = 8
# A primary that has vanished counts as heard for half of wal_receiver_timeout (10 s) and a second; clocks agree to 1 s.
UNHEARD_S = 10 / 2 + 1 + 1
now = time.monotonic


class Writer(threading.Thread):
    def __init__(self, load, number, generator):
        super().__init__(daemon=True)
        self.load, self.number, self.generator = load, number, generator
        self.tags = [f"w{number:02d}.{i:02d}" for i in range(TAGS)]
        self.proxy = number % 2
        self.generation, self.value = 1, 0
        self.registers = {1: Register()}
        self.rows = Register()          # one history for all generations: times of their own
        self.connection = None

    def run(self):
        period = 2.0 * TAGS * self.load.writers_count / self.load.rate
        due = now() + self.generator.random() * period
        while not self.load.stopping:
            if due > now():
                time.sleep(due - now())
            due = max(due + period, now() - 1)
            self.write()

    def body(self, value, generation):
        lines = []
        for tag in self.tags:
            for at in (generation, ROWS + value):
                lines.append(f'{{"time":{at},"tag":"{tag}","values":[{value},{generation}]}}\n')
        return "".join(lines).encode()

    def write(self):
        self.value += 1
        value, generation = self.value, self.generation
        begin = now()
        ops = [self.registers[generation].begin(value, begin), self.rows.begin(value, begin)]
        status, headers = self.load.post(self, self.body(value, generation))
        end = now()
        fate = ACKED if status == 204 else REFUSED if status else UNKNOWN
        position = headers.get("X-Historian-Commit")
        self.registers[generation].end(ops[0], fate, end, position)
        self.rows.end(ops[1], fate, end, position)
        if fate == ACKED:
            self.load.note_ack(end)
            return
        self.load.note_failure(status)
        if fate == UNKNOWN:
            self.proxy = 1 - self.proxy
            self.registers[generation + 1] = Register()
            self.generation += 1
        time.sleep(0.2)


class Reader(threading.Thread):
    """Reads registers; every second time it asks to see what was acknowledged, where the server can tell."""

    def __init__(self, load, number, generator):
        super().__init__(daemon=True)
        self.load, self.generator = load, generator
        self.proxy = number % 2
        self.connection = None

    def run(self):
        asks = False
        while not self.load.stopping:
            time.sleep(0.2)
            asks = not asks
            self.read(self.generator.choice(self.load.writers), asks)

    def read(self, writer, asks):
        generation = writer.generation
        register = writer.registers[generation]
        begin = now()
        last = register.last_acked(begin)
        position = last.position if last else None
        if asks and position is None:
            return
        tag = self.generator.choice(writer.tags)
        path = f"/api?tag={tag}&start={generation - 1}&end={generation}&samples=1&precision=ns"
        status, headers, body = self.load.get(self, path + (f"&min_commit={position}" if asks else ""))
        end = now()
        if status != 200:
            self.load.count("reads not answered" if status != 404 else "reads of nothing")
            self.proxy = 1 - self.proxy
            return
        values = json.loads(body)["samples"][0]["values"]
        value = values[0] if values and values[1] == generation else None
        if asks:
            wrong = register.check(value, begin, end)
            self.load.count("reads that asked")
            if wrong:
                self.load.stale(f"{tag} at {generation} by {self.proxy}, min_commit={position}: {wrong}")
            return
        self.load.count("reads that did not ask")
        lag = headers.get("X-Historian-Lag-Ms")
        late = float("inf") if lag is None else int(lag) / 1000 + UNHEARD_S
        wrong = register.check(value, begin, end, late)
        if wrong:
            self.load.stale(f"{tag} at {generation} by {self.proxy}, lag {lag}: {wrong}")
        elif register.check(value, begin, end):
            self.load.count("of these older than the last 204")


class Probe(threading.Thread):
    """Commits a row on a node again and again, as its own client, while the node takes it for itself to be primary.

    It never cancels: a commit that waits for a standby is no acknowledged commit.
    """

    def __init__(self, load, machine):
        super().__init__(daemon=True)
        self.load, self.machine = load, machine

    def run(self):
        connection = None
        while not self.load.stopping:
            time.sleep(0.25)
            try:
                connection = connection or self.load.stack.connect(self.machine)
                connection.autocommit = True
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_is_in_recovery()")
                    if cursor.fetchone()[0]:
                        continue
                    begin = now()
                    cursor.execute("INSERT INTO ha_probe VALUES (%s, clock_timestamp()) RETURNING "
                                   "('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int",
                                   (self.machine.name,))
                    timeline = cursor.fetchone()[0]
                if not connection.notices:
                    self.load.probes.append((timeline, self.machine.name, begin, now()))
                connection.notices.clear()
            except (psycopg2.Error, IndexError):
                try:
                    connection.close()
                except (psycopg2.Error, AttributeError):
                    pass
                connection = None


def two_primaries(probes):
    """Acknowledged commits that two primaries took at the same time: a list of pairs.

    A node is promoted to a timeline of its own.  Once one timeline has acknowledged a commit, none of an older one
    may be acknowledged that began later, and no timeline belongs to two nodes.
    """
    found, owner = [], {}
    first_end = {}
    for probe in probes:
        timeline, name, _, end = probe
        if owner.setdefault(timeline, name) != name:
            found.append((probe, owner[timeline]))
        first_end[timeline] = min(end, first_end.get(timeline, end))
    for probe in probes:
        newer = [end for timeline, end in first_end.items() if timeline > probe[0]]
        if newer and probe[2] > min(newer):
            found.append((probe, min(newer)))
    return found


class Load:
    def __init__(self, stack, generator, rate, writers=8, readers=4):
        self.stack, self.rate, self.writers_count = stack, rate, writers
        self.stopping = False
        self.counts = collections.Counter()
        self.acks, self.ack_lock = [], threading.Lock()
        self.stale_reads, self.probes = [], []
        draw = lambda: random.Random(generator.random())        # noqa: E731
        self.writers = [Writer(self, i, draw()) for i in range(writers)]
        self.readers = [Reader(self, i, draw()) for i in range(readers)]
        stack.sql(stack.primary(), "CREATE TABLE IF NOT EXISTS ha_probe (node text, at timestamptz)")
        self.probers = [Probe(self, machine) for machine in stack.nodes]

    def start(self):
        for thread in self.writers + self.readers + self.probers:
            thread.start()

    def stop(self):
        self.stopping = True
        for thread in self.writers + self.readers:
            thread.join(GIVE_UP_S + 5)

    def request(self, client, method, path, body, seconds):
        """(status, headers, body); status 0 where no answer came."""
        try:
            if client.connection is None:
                client.connection = http.client.HTTPConnection(
                    self.stack.proxies[client.proxy].address, 8080, timeout=seconds)
                client.at = client.proxy
            elif client.at != client.proxy:
                client.connection.close()
                client.connection = None
                return self.request(client, method, path, body, seconds)
            client.connection.request(method, path, body, {"Content-Type": "application/x-ndjson"} if body else {})
            answer = client.connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (OSError, http.client.HTTPException):
            if client.connection is not None:
                client.connection.close()
            client.connection = None
            return 0, {}, b""

    def post(self, client, body):
        status, headers, _ = self.request(client, "POST", "/save?ack=committed&precision=ns", body, GIVE_UP_S)
        return status, headers

    def get(self, client, path):
        return self.request(client, "GET", path, None, GIVE_UP_S)

    def note_ack(self, at):
        with self.ack_lock:
            self.acks.append(at)

    def note_failure(self, status):
        self.count(f"writes answered {status}" if status else "writes without an answer")

    def count(self, what):
        with self.ack_lock:
            self.counts[what] += 1

    def stale(self, text):
        self.stale_reads.append(text)
        print("# STALE " + text, flush=True)

    def acked_since(self, begin):
        with self.ack_lock:
            return sum(at >= begin for at in self.acks[-20000:]) * 2 * TAGS

    def longest_gap(self, begin, end):
        """The longest time within [begin, end] without any 204."""
        with self.ack_lock:
            times = [begin] + [at for at in self.acks if begin <= at <= end] + [end]
        return max(b - a for a, b in zip(times, times[1:]))

    def resumed(self, begin, count=5):
        """Whether each writer has had so many 204 since begin."""
        return all(sum(w.end >= begin for w in writer.rows.acked[-count:]) >= count for writer in self.writers)
