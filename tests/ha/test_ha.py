#!/usr/bin/python3
"""Faults under load: what got 204 stays, there is one primary at a time, and writes go on.  See tests/ha/run."""
import os
import random
import statistics
import sys
import time
import traceback

from faults import FAULTS
from history import ACKED, check_rows
from load import ROWS, TAGS, Load, now, two_primaries
from machines import WORK, wait_for, wait_while_moving
from stack import Stack

COUNT = int(os.environ.get("FAULTS") or 40)
SEED = int(os.environ.get("SEED") or random.randrange(2**32))
RATE = int(os.environ.get("RATE") or 2000)
NODES = int(os.environ.get("NODES") or 3)
PLANT = os.environ.get("PLANT", "")
KINDS = [kind.strip() for kind in os.environ.get("KINDS", "").split(",") if kind.strip()]
RESUME_S = 30
# a node that comes back may take long beside other work, but something must move
STILL_S, REJOIN_S = 120, 900

number = failures = 0


def ok(right, name, detail=""):
    global number, failures
    number += 1
    print(f"{'' if right else 'not '}ok {number} - {name}", flush=True)
    if not right:
        failures += 1
        for line in str(detail).splitlines()[:20]:
            print("# " + line, flush=True)
    return right


class Checker:
    """Compares what is stored with what the writers were told, each time only what is new."""

    def __init__(self, stack, load):
        self.stack, self.load = stack, load
        self.checked = {writer.number: 0 for writer in load.writers}
        self.lost, self.doubled, self.wrong, self.stale = set(), set(), set(), set()

    def expected_rows(self, writer, after, upto):
        expected = {}
        for write in writer.rows.writes[after:upto]:
            for tag in writer.tags:
                expected[tag, ROWS + write.value] = (float(write.value), write.fate == ACKED)
        return expected

    def check_registers(self, machine, begin):
        rows = {}
        for tag, at, value, times in self.query(
                machine, f"SELECT tag, time, max(values[1]), count(*) FROM measurement WHERE time < {ROWS} "
                         "AND tag LIKE 'w%' GROUP BY 1, 2"):
            rows[tag, at] = value
            if times != 1:
                self.doubled.add((tag, at))
        for writer in self.load.writers:
            for generation, register in list(writer.registers.items()):
                for tag in writer.tags:
                    wrong = register.check(rows.get((tag, generation)), begin, now())
                    if wrong:
                        self.stale.add(f"{tag} at {generation}: {wrong}")

    def query(self, machine, statement):
        connection = self.stack.connect(machine)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall()
        finally:
            connection.close()

    def check(self, machine, everything=False):
        begin = now()
        self.check_registers(machine, begin)
        for writer in self.load.writers:
            after = 0 if everything else self.checked[writer.number]
            # rows that are under way now are looked at next time
            upto = len(writer.rows.writes) - 1
            if upto <= after:
                continue
            writes = writer.rows.writes
            low, high = ROWS + writes[after].value, ROWS + writes[upto - 1].value
            rows = self.query(machine, "SELECT tag, time, values[1] FROM measurement WHERE tag LIKE "
                                       f"'w{writer.number:02d}.%' AND time BETWEEN {low} AND {high}")
            lost, doubled, wrong = check_rows(self.expected_rows(writer, after, upto),
                                              (((tag, at), value) for tag, at, value in rows))
            self.lost.update(lost)
            self.doubled.update(doubled)
            self.wrong.update(wrong)
            self.checked[writer.number] = upto

    def lost_count(self):
        """Rows that are gone or have another value, and registers that show what was replaced."""
        return len(self.lost) + len(self.wrong) + len(self.stale)

    def __repr__(self):
        return "\n".join(f"{name}: {len(what)} {sorted(what)[:5]}" for name, what in vars(self).items()
                         if name in ("lost", "doubled", "wrong", "stale") and what)


def acknowledged(load):
    return sum(len(writer.rows.acked) for writer in load.writers) * 2 * TAGS


class Results:
    """The table of faults, which is written after each of them."""

    def __init__(self):
        self.rows = {}
        self.paths = [os.path.join(directory, "table.txt") for directory in (WORK, os.environ.get("KEEP")) if directory]

    def write(self):
        for path in self.paths:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path + ".new", "w", encoding="ascii") as file:
                file.write(f"SEED={SEED} FAULTS={COUNT} RATE={RATE} NODES={NODES}, of which were made: "
                           f"{sum(row['times'] for row in self.rows.values())}\n" + "\n".join(self.table()) + "\n")
            os.replace(path + ".new", path)

    def add(self, kind, **figures):
        row = self.rows.setdefault(kind, {"times": 0, "gaps": []})
        row["times"] += 1
        row["gaps"].append(figures.pop("gap"))
        for name, value in figures.items():
            row[name] = row.get(name, 0) + value

    def table(self):
        yield "| fault | times | acknowledged | lost | doubled | stale | without a 204: median | maximum |"
        yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
        total = {"times": 0, "acknowledged": 0, "lost": 0, "doubled": 0, "stale": 0}
        for kind, row in sorted(self.rows.items()):
            yield (f"| {kind} | {row['times']} | {row['acknowledged']:,} | {row['lost']} | {row['doubled']} | "
                   f"{row['stale']} | {statistics.median(row['gaps']):.1f} s | {max(row['gaps']):.1f} s |")
            for name in total:
                total[name] += row[name]
        gaps = [gap for row in self.rows.values() for gap in row["gaps"]] or [0.0]
        yield (f"| **all** | {total['times']} | {total['acknowledged']:,} | {total['lost']} | {total['doubled']} | "
               f"{total['stale']} | {statistics.median(gaps):.1f} s | {max(gaps):.1f} s |")


def draw(generator):
    """Every kind once, in random order, then again."""
    kinds = KINDS or list(FAULTS)
    drawn = []
    while len(drawn) < COUNT:
        drawn += generator.sample(kinds, len(kinds))
    return drawn[:COUNT]


def one_fault(kind, stack, load, checker, results, generator):
    lost, doubled, stale, acked = checker.lost_count(), len(checker.doubled), len(load.stale_reads), acknowledged(load)
    begin = now()
    fault = FAULTS[kind](stack, generator)
    seconds = next(fault)
    print(f"# {time.strftime('%H:%M:%S')} {kind}, {seconds} s", flush=True)
    time.sleep(seconds)
    try:
        next(fault)
    except StopIteration:
        pass
    healed = now()
    wait_while_moving("every node to be back", stack.whole, stack.progress, STILL_S, REJOIN_S)
    rejoined = now() - healed
    wait_for("a 204 for each writer", lambda: load.resumed(healed), 60)
    gap = load.longest_gap(begin, now())
    checker.check(stack.primary())
    two = two_primaries(load.probes)
    lost, doubled, stale = checker.lost_count() - lost, len(checker.doubled) - doubled, len(load.stale_reads) - stale
    results.add(kind, gap=gap, acknowledged=acknowledged(load) - acked, lost=lost, doubled=doubled, stale=stale)
    # with two nodes writes wait for the other one, with three they go on meanwhile
    allowed = RESUME_S + (seconds if NODES < 3 else 0)
    ok(lost == doubled == stale == 0 and not two and gap <= allowed,
       f"{kind}: {gap:.1f} s without a 204, whole after {rejoined:.0f} s",
       f"{checker!r}\nstale reads: {stale}\ntwo primaries: {two[:3]}\nallowed: {allowed} s")


def plant_local(stack, load, checker):
    """A primary that acknowledges before its standby has the commit, and dies."""
    stack.sql(stack.primary(), "ALTER ROLE historiand SET synchronous_commit = local")
    primary = stack.primary()
    for proxy in stack.proxies:
        proxy.kill(1)
    begin = now()
    wait_for("writes of new sessions", lambda: load.resumed(begin + 1), 60)
    for standby in stack.standbys():
        standby.cut("INPUT")
    begin = now()
    wait_for("writes that no standby has", lambda: load.resumed(begin + 1, 2), 60)
    primary.kill(40)
    for standby in stack.nodes:
        standby.mend()
    wait_for("another primary", lambda: stack.primary() not in (None, primary), 60)
    wait_while_moving("every node to be back", stack.whole, stack.progress, STILL_S, REJOIN_S)
    checker.check(stack.primary())
    ok(checker.lost or checker.stale, "planted: a node that acknowledges before the standby has it, is found", checker)


def plant_resend(stack, load, checker):
    """A request that was acknowledged is loaded again after later ones: a resend without a fence."""
    for writer in load.writers:
        wait_for("writes", lambda w=writer: len(w.rows.acked) > 3, 30)
    load.stop()
    writer = load.writers[0]
    register = writer.registers[writer.generation]
    status, _ = load.post(writer, writer.body(register.acked[-3].value, writer.generation))
    assert status == 204, status
    checker.check(stack.primary())
    ok(checker.stale and not checker.lost, "planted: a resend that is not fenced is found", checker)


def main():
    generator = random.Random(SEED)
    kinds = draw(generator)
    print(f"# SEED={SEED} FAULTS={COUNT} RATE={RATE} NODES={NODES}", flush=True)
    stack = Stack(NODES)
    stack.start()
    load = Load(stack, generator, RATE)
    checker, results = Checker(stack, load), Results()
    load.start()
    wait_for("the first writes", lambda: load.resumed(0.0), 60)
    if PLANT:
        {"local": plant_local, "resend": plant_resend}[PLANT](stack, load, checker)
        return
    time.sleep(3)
    begin, first = now(), acknowledged(load)
    try:
        for kind in kinds:
            one_fault(kind, stack, load, checker, results, generator)
            results.write()
    except Exception:
        print("# how far it came:\n# " + "\n# ".join(results.table()), flush=True)
        raise
    load.stop()
    elapsed = now() - begin
    for machine in stack.nodes:
        wait_for("all nodes at one position", lambda m=machine: stack.sql(
            m, "SELECT NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()")[0][0], 60)
        checker.check(machine, everything=True)
        ok(checker.lost_count() == len(checker.doubled) == 0, f"{machine.name} has every acknowledged message once, with its last value", checker)
    ok(not load.stale_reads, f"no stale read: {dict(load.counts)}", "\n".join(load.stale_reads[:10]))
    ok(not two_primaries(load.probes), f"never two primaries: {len(load.probes)} commits of probes",
       two_primaries(load.probes)[:5])
    total = acknowledged(load) - first
    print(f"# {total:,} messages acknowledged in {elapsed:.0f} s, {total / elapsed:.0f}/s, faults included")
    for line in results.table():
        print("# " + line)


try:
    main()
except Exception:       # pylint: disable=broad-except
    ok(False, "the test goes on to its end", traceback.format_exc())
print(f"1..{number}")
sys.exit(1 if failures else 0)
