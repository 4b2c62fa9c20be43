#!/usr/bin/python3
"""Times in SQL against times computed here, in integers: conversions, times as text, conditions on a view's timestamptz."""
import datetime
import random
import sys

from historiand import new_table, run, sql

SEED = random.randrange(2 ** 32)
GENERATOR = random.Random(SEED)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
FIRST, LAST = -2 ** 63, 2 ** 63 - 1
COUNT = 1000
print(f"# seed {SEED}")


def date_time(ns):
    """The microsecond that a time lies in."""
    return EPOCH + datetime.timedelta(microseconds=ns // 1000)


def nanoseconds(moment):
    return (moment - EPOCH) // datetime.timedelta(microseconds=1) * 1000


def random_time():
    """A time anywhere, near an edge of a microsecond, a second, a day, the calendar or int64."""
    edge = GENERATOR.choice([
        lambda: GENERATOR.randint(FIRST, LAST),
        lambda: GENERATOR.randint(10 ** 18, 2 * 10 ** 18),
        lambda: GENERATOR.randint(-10 ** 6, 10 ** 6) * 1000,
        lambda: GENERATOR.choice([FIRST, LAST, 0]),
        lambda: nanoseconds(datetime.datetime(GENERATOR.choice([1696, 1700, 1900, 1904, 1972, 2000, 2024, 2100, 2200, 2260]),
                                              *GENERATOR.choice([(2, 28), (3, 1), (1, 1), (12, 31)]), tzinfo=EPOCH.tzinfo)),
        lambda: nanoseconds(datetime.datetime(GENERATOR.choice([1696, 1904, 2000, 2024, 2260]), 2, 29, 23, 59, 59, 999999, EPOCH.tzinfo)),
        lambda: nanoseconds(datetime.datetime(1677, GENERATOR.randint(10, 12), GENERATOR.randint(1, 28), tzinfo=EPOCH.tzinfo)),
        lambda: nanoseconds(datetime.datetime(2262, GENERATOR.randint(1, 3), GENERATOR.randint(1, 28), tzinfo=EPOCH.tzinfo)),
    ])()
    step = GENERATOR.choice([0, 1, 499, 500, 501, 999, 1000, 10 ** 9, 86400 * 10 ** 9, GENERATOR.randrange(10 ** 12)])
    return max(FIRST, min(LAST, edge + step * GENERATOR.choice([-1, 1])))


def iso(moment):
    return moment.strftime(f"{moment.year:04d}-%m-%d %H:%M:%S.%f")


def literal(ns, digits):
    """The time as text with an offset and so many digits of a second, and the time that this names."""
    ns -= ns % 10 ** (9 - digits)
    offset = GENERATOR.choice([0, 0, 60, -480, 345, 14 * 60, -12 * 60])
    local = date_time(ns) + datetime.timedelta(minutes=offset)
    fraction = f".{ns % 10 ** 9:09d}"[:digits + 1] if digits else ""
    zone = "Z" if offset == 0 else f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}"
    return local.strftime(f"{local.year:04d}-%m-%d{GENERATOR.choice('T ')}%H:%M:%S") + fraction + zone, ns


def values(rows):
    return ", ".join(f"({index}, '{row}')" for index, row in enumerate(rows))


def column(query):
    return [line[0] for line in sql("SET timezone = 'UTC';" + query)]


def test_to_timestamptz():
    """1,000 times as timestamptz: rounded down, on leap days, in 1677 and 2262, at the ends of int64"""
    times = [random_time() for _ in range(COUNT)]
    found = column("SELECT to_char(historian.to_timestamptz(t::bigint), 'YYYY-MM-DD HH24:MI:SS.US') "
                   f"FROM (VALUES {values(times)}) v(i, t) ORDER BY i")
    assert found == [iso(date_time(time)) for time in times], next(
        (time, got) for time, got in zip(times, found) if got != iso(date_time(time)))


def test_to_ns():
    """1,000 texts with offsets and 0 to 6 digits as timestamptz, to nanoseconds and back"""
    texts, times = zip(*[literal(max(FIRST + 10 ** 10, random_time()), GENERATOR.randint(0, 6)) for _ in range(COUNT)])
    found = column(f"SELECT historian.to_ns(t::timestamptz) FROM (VALUES {values(texts)}) v(i, t) ORDER BY i")
    assert found == [str(time) for time in times], next(
        (text, time, got) for text, time, got in zip(texts, times, found) if got != str(time))


def test_text_arguments():
    """1,000 texts with 0 to 9 digits and integers, as arguments without a type: the end of a window is its last sample"""
    table = new_table()
    sql(f"INSERT INTO {table} VALUES (0, 'x', '{{1}}')")
    texts, times = zip(*[literal(max(FIRST + 2 * 10 ** 10, random_time()), GENERATOR.randint(0, 9)) if GENERATOR.random() < 0.8 else
                         (GENERATOR.choice(["{}", " {} ", "{:+d}"]).format(time), time)
                         for time in [max(FIRST + 2, random_time()) for _ in range(COUNT)]])
    found = column(f"SELECT d.time FROM (VALUES {values(texts)}) v(i, t), "
                   f"historian.downsample('{table}', 'x', '{FIRST}', v.t, 1) d ORDER BY i")
    assert found == [str(time) for time in times], next(
        (text, time, got) for text, time, got in zip(texts, times, found) if got != str(time))


def test_timestamptz_arguments():
    """1,000 times as timestamptz: the end of a window is its last sample, and comes back as it was given"""
    table = new_table()
    sql(f"INSERT INTO {table} VALUES (0, 'x', '{{1}}')")
    times = [max(FIRST + 2000, random_time()) // 1000 * 1000 for _ in range(COUNT)]
    found = column("SELECT to_char(d.time, 'YYYY-MM-DD HH24:MI:SS.US') "
                   f"FROM (VALUES {values(iso(date_time(time)) + 'Z' for time in times)}) v(i, t), "
                   f"historian.downsample('{table}', 'x', '1677-09-21 00:12:43.145225Z', v.t::timestamptz, 1) d ORDER BY i")
    assert found == [iso(date_time(time)) for time in times]


def test_conditions():
    """1,000 conditions on a view's timestamptz take the rows of the microseconds that they mean"""
    table = new_table()
    bases = [random_time() for _ in range(150)]
    rows = sorted({max(FIRST, min(LAST, base + GENERATOR.randint(-1500, 1500))) for base in bases for _ in range(4)})
    sql(f"INSERT INTO {table} VALUES " + ", ".join(f"({time}, 't', '{{1}}')" for time in rows) +
        f"; CREATE VIEW {table}_view AS SELECT historian.to_timestamptz(time) AS time, tag, values FROM {table}")
    try:
        queries, expected = [], []
        for _ in range(COUNT):
            bound = GENERATOR.choice(bases) // 1000 + GENERATOR.randint(-2, 2)
            other = GENERATOR.choice(bases) // 1000
            operator = GENERATOR.choice(["<", "<=", "=", ">=", ">", "BETWEEN"])
            texts = [f"'{iso(EPOCH + datetime.timedelta(microseconds=m))}Z'" for m in (bound, other)]
            holds = {"<": lambda m: m < bound, "<=": lambda m: m <= bound, "=": lambda m: m == bound, ">=": lambda m: m >= bound,
                     ">": lambda m: m > bound, "BETWEEN": lambda m: bound <= m <= other}[operator]
            kept = [time for time in rows if holds(time // 1000)]
            expected.append([str(len(kept)), str(sum(kept))])
            queries.append(f"SELECT count(*), coalesce(sum(time), 0) FROM {table} WHERE historian.to_timestamptz(time) {operator} "
                           + texts[0] + (f" AND {texts[1]}" if operator == "BETWEEN" else ""))
        found = sql(";".join(queries))
        wrong = [item for item in zip(queries, expected, found) if item[1] != item[2]]
        assert len(found) == COUNT and not wrong, wrong[:3]
        through = sql(";".join(query.replace(f"coalesce(sum(time), 0) FROM {table} WHERE historian.to_timestamptz(time)",
                                             f"0 FROM {table}_view WHERE time") for query in queries))
        assert [line[0] for line in through] == [line[0] for line in expected]
    finally:
        sql(f"DROP VIEW {table}_view")


if __name__ == "__main__":
    run(sys.modules[__name__])
