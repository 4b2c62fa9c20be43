#!/usr/bin/python3
"""Does the checker of histories find what is wrong in them, and nothing else?  Each history is made by hand."""
import json
import random
import sys
import types

sys.modules.setdefault("psycopg2", types.ModuleType("psycopg2"))    # of the probes, which nothing here starts

import load     # noqa: E402 pylint: disable=wrong-import-position
from history import ACKED, REFUSED, UNKNOWN, Register, check_rows

count = failed = 0


def ok(right, name, detail=""):
    global count, failed
    count += 1
    print(f"{'' if right else 'not '}ok {count} - {name}")
    if not right:
        failed += 1
        print(f"# {detail}")


def history(*writes):
    """A register of (value, begin, end, fate); end and fate None: under way."""
    register = Register()
    for value, begin, end, fate in writes:
        write = register.begin(value, begin)
        if fate is not None:
            register.end(write, fate, end)
    return register


def right(name, register, value, begin, end, lag=0.0):
    found = register.check(value, begin, end, lag)
    ok(found is None, name, found)


def wrong(name, register, value, begin, end, lag=0.0):
    ok(register.check(value, begin, end, lag) is not None, name, "the checker found nothing")


two = history((1, 0, 1, ACKED), (2, 2, 3, ACKED))
right("the value acknowledged last", two, 2, 4, 5)
wrong("an older value after a newer one was acknowledged", two, 1, 4, 5)
wrong("no row after an acknowledgement", two, None, 4, 5)
wrong("a value that nobody wrote", two, 7, 4, 5)
right("a read that began before the second acknowledgement", two, 1, 2.5, 9)
right("a write shows before its answer arrives", two, 2, 2.2, 2.4)
wrong("a write shows before it began", two, 2, 1.2, 1.5)
right("no row before the first acknowledgement", two, None, 0.5, 2)
right("an old value within the lag that a standby told", two, 1, 4, 5, lag=2)
wrong("an old value beyond that lag", two, 1, 4, 5, lag=0.5)

# A primary acknowledges before its standby has the commit, dies, and the standby is promoted.
wrong("a node that acknowledges before the standby has it: the last write is gone",
      history((1, 0, 1, ACKED), (2, 2, 3, ACKED)), 1, 40, 41)
wrong("... and where it was the only one, the row is", history((1, 0, 1, ACKED)), None, 40, 41)

# Value 1 is sent again by the server after 503, and its first copy commits late.
fenced = history((1, 0, 30, REFUSED), (2, 31, 32, ACKED))
right("a refused write that did not happen", fenced, 2, 33, 34)
wrong("a resend that is not fenced: refused, and shows after a later acknowledgement", fenced, 1, 33, 34)
right("a refused write that happened, before a later acknowledgement", fenced, 1, 31.2, 31.5)
wrong("a resend that is not fenced: acknowledged, then loaded again later",
      history((1, 0, 1, ACKED), (2, 2, 3, ACKED), (3, 4, 5, ACKED)), 2, 9, 10)

abandoned = history((1, 0, 1, ACKED), (2, 2, 10, UNKNOWN), (3, 11, 12, ACKED))
right("a write without an answer may show late", abandoned, 2, 20, 21)
right("... or not", abandoned, 3, 20, 21)
wrong("... but what was before it may not", abandoned, 1, 20, 21)
right("a write under way may show", history((1, 0, 1, ACKED), (2, 2, None, None)), 2, 30, 31)
right("... or not", history((1, 0, 1, ACKED), (2, 2, None, None)), 1, 30, 31)

rows = {("a", 1): (1, True), ("a", 2): (2, True), ("a", 3): (3, False)}
ok(check_rows(rows, [(("a", 1), 1), (("a", 2), 2)]) == ([], [], []), "rows as they must be")
ok(check_rows(rows, [(("a", 1), 1), (("a", 2), 2), (("a", 3), 3)]) == ([], [], []), "a row that may be there")
ok(check_rows(rows, [(("a", 2), 2)]) == ([("a", 1)], [], []), "a row is lost")
ok(check_rows(rows, [(("a", 1), 1), (("a", 1), 1), (("a", 2), 2)]) == ([], [("a", 1)], []), "a row is doubled")
ok(check_rows(rows, [(("a", 1), 9), (("a", 2), 2)]) == ([], [], [("a", 1)]), "a row has another value")



class FakeLoad:
    """Answers each read with one value, and notes what the reader finds."""

    def __init__(self, value, headers):
        self.answer = 200, headers, json.dumps({"samples": [{"values": [value, 1]}]}).encode()
        self.paths, self.found, self.counts = [], [], []

    def get(self, _, path):
        self.paths.append(path)
        return self.answer

    def count(self, what):
        self.counts.append(what)

    def stale(self, text):
        self.found.append(text)


class FakeWriter:
    tags, generation = ["w"], 1

    def __init__(self, ago, position):
        at = load.now() - ago
        register = Register()
        for value in (1, 2):
            register.end(register.begin(value, at + value / 10), ACKED, at + value / 10 + 0.05, position + str(value))
        self.registers = {1: register}


def found(value, asks, ago=60, **headers):
    """What a reader finds wrong with a read of value, after 1 and then 2 were acknowledged that long ago."""
    fake = FakeLoad(value, {"X-Historian-" + name.replace("_", "-"): text for name, text in headers.items()})
    load.Reader(fake, 0, random.Random(1)).read(FakeWriter(ago, "0/A"), asks)
    ok(not asks or fake.paths == [fake.paths[0]] and fake.paths[0].endswith("&min_commit=0/A2"),
       "a read that asks gives the position of the last acknowledged write", fake.paths)
    return fake.found


ok(found(1, True), "a stale read after a 204 that asked for it is a fault")
ok(found(1, True, Lag_Ms="3600000"), "... whatever lag the server tells")
ok(not found(2, True), "a read that asked, and shows it, is none")
ok(found(1, False, Lag_Ms="0"), "a stale read whose server says that it is not behind is a fault")
ok(not found(1, False, Lag_Ms="120000"), "... but not one whose server says that it is as far behind")
ok(not found(1, False), "... nor one whose server does not know")
ok(not found(1, False, ago=1, Lag_Ms="0"), "... nor one within the time that a vanished primary counts as heard")

# A model that does nothing wrong passes, whatever the order; one old value planted in it is found.
seed = random.randrange(2**32)
generator = random.Random(seed)
false_alarms = missed = planted = 0
for _ in range(500):
    register, now, stored, acked = Register(), 0.0, None, []
    for value in range(1, 30):
        write = register.begin(value, now)
        fate = generator.choice([ACKED, ACKED, ACKED, REFUSED])
        if fate == ACKED or generator.random() < 0.5:
            stored = value
        register.end(write, fate, now + 1)
        acked += [value] if fate == ACKED else []
        now += 2
        false_alarms += register.check(stored, now - 0.5, now) is not None
    for value in range(1, acked[-1] if acked else 0):
        planted += 1
        missed += register.check(value, now, now + 1) is None
ok(false_alarms == 0, "no false alarm in random histories without fault", f"seed {seed}: {false_alarms}")
ok(planted > 1000 and missed == 0, "every stale value in random histories is found", f"seed {seed}: {missed} of {planted}")

print(f"1..{count}")
sys.exit(1 if failed else 0)
