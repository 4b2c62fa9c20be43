"""history.py: is what a register shows compatible with what its writer was told?

A register is one tag at one time.  It has one writer, who writes rising values, one after the other.  A write
ends in one of three ways:

- "acked": the server answered 204.  From then on no read may show an older value.
- "refused": the server answered that it does not vouch for the write (503).  It may show, or not; but not after
  a later write was acknowledged, because a resend must be fenced.
- "unknown": the writer gave up without an answer, so the request may still be on its way.  It may show at any time.
  A writer that wants sharp checks goes on with another register then.

A write without an end is under way, and may show from its beginning on.  A read shows a value, or None where there
is no row.  The times are those of one monotonic clock.  All values of a register are distinct and rise, so the value
of a read names its write; the check is complete for single writers and needs no search.
"""
import bisect
import threading

ACKED, REFUSED, UNKNOWN = "acked", "refused", "unknown"


class Write:
    __slots__ = ("value", "begin", "end", "fate", "position")

    def __init__(self, value, begin):
        self.value, self.begin = value, begin
        self.end = self.fate = self.position = None

    def __repr__(self):
        end = "" if self.end is None else f"{self.end:.3f}"
        return f"write {self.value} {self.fate or 'under way'} [{self.begin:.3f}, {end}]"


class Register:
    """The writes of one register; a reader may ask while the writer goes on."""

    def __init__(self):
        self.writes = []
        self.values = []
        self.acked = []         # the acknowledged ones, in their order
        self.acked_ends = []
        self.lock = threading.Lock()

    def begin(self, value, now):
        assert not self.values or value > self.values[-1], "values rise"
        assert not self.writes or self.writes[-1].end is not None, "one write at a time"
        write = Write(value, now)
        with self.lock:
            self.values.append(value)
            self.writes.append(write)
        return write

    def end(self, write, fate, now, position=None):
        with self.lock:
            write.fate, write.position = fate, position
            write.end = now
            if fate == ACKED:
                self.acked.append(write)
                self.acked_ends.append(now)

    def last_acked(self, at):
        """The newest write that was acknowledged before that moment, or None."""
        with self.lock:
            place = bisect.bisect_left(self.acked_ends, at)
            return self.acked[place - 1] if place else None

    def find(self, value):
        with self.lock:
            place = bisect.bisect_left(self.values, value)
            if place < len(self.values) and self.values[place] == value:
                return self.writes[place]
        return None

    def check(self, value, begin, end, lag=0.0):
        """What is wrong with a read of value in [begin, end] that may be late by lag; None where nothing is."""
        last = self.last_acked(begin - lag)
        if value is None:
            return None if last is None else f"nothing is there, after {last}"
        write = self.find(value)
        if write is None:
            return f"{value} was never written"
        if write.begin > end:
            return f"{write} shows before it was written"
        if last is None or write.value >= last.value or write.fate == UNKNOWN:
            return None
        return f"{write} shows after {last}"


def check_rows(expected, rows):
    """Compares rows with what must and may be there: (lost, doubled, wrong), each a list of keys.

    expected: {key: (value, must)}; rows: an iterable of (key, value).
    """
    seen, doubled, wrong = set(), [], []
    for key, value in rows:
        if key in seen:
            doubled.append(key)
        seen.add(key)
        if key not in expected or expected[key][0] != value:
            wrong.append(key)
    lost = [key for key, (_, must) in expected.items() if must and key not in seen]
    return lost, doubled, wrong
