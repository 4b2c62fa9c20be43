"""times.py: times in every form that requests may have, each with what Python makes of it."""
import datetime
import decimal
import re

INT64_MIN = -2 ** 63
INT64_MAX = 2 ** 63 - 1
SECOND = 10 ** 9
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
UNITS = {"ns": 1, "us": 10 ** 3, "ms": 10 ** 6, "s": SECOND}
LENGTHS = {**UNITS, "m": 60 * SECOND, "h": 3600 * SECOND, "d": 86400 * SECOND, "w": 7 * 86400 * SECOND}


def whole_seconds(moment):
    """Seconds from 1970 to an aware datetime without a fraction, as an integer."""
    difference = moment - EPOCH
    assert difference.microseconds == 0
    return difference.days * 86400 + difference.seconds


def of_rfc3339(text):
    """Nanoseconds since 1970 by datetime, which is not asked for the fraction; None: not int64."""
    date, fraction, offset = re.fullmatch(r"(.{19})(\.\d+)?(.+)", text).groups()
    moment = datetime.datetime.fromisoformat(date.upper() + ("+00:00" if offset in "zZ" else offset))
    nanoseconds = decimal.Decimal(fraction or 0) * SECOND
    assert nanoseconds == int(nanoseconds)
    time_ns = whole_seconds(moment) * SECOND + int(nanoseconds)
    return time_ns if INT64_MIN <= time_ns <= INT64_MAX else None


def to_rfc3339(time_ns):
    """UTC, with as many digits as the time needs, by datetime and Decimal."""
    seconds, rest = divmod(time_ns, SECOND)
    date = (EPOCH + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = str(decimal.Decimal(rest).scaleb(-9).normalize().__format__("f"))[1:] if rest else ""
    return date + fraction + "Z"


def random_time(generator):
    """Any time of int64: far ones, ones of today's decades, and ones at the ends of days and years."""
    kind = generator.randrange(5)
    if kind == 0:
        return generator.randint(INT64_MIN, INT64_MAX)
    if kind == 1:
        return generator.randint(10 ** 18, 2 * 10 ** 18)
    if kind == 2:
        return generator.choice((INT64_MIN, INT64_MAX)) // 10 ** generator.randrange(19)
    year = generator.randint(1678, 2261)
    month, day = generator.choice(((1, 1), (2, 28), (3, 1), (12, 31), (6, 30)))
    seconds = whole_seconds(datetime.datetime(year, month, day, tzinfo=datetime.timezone.utc))
    return (seconds + generator.choice((0, 86399, 86400))) * SECOND + generator.choice((-1, 0, 1, 500_000_000))


def random_rfc3339(generator, time_ns):
    """A text of a time near time_ns, with 0 to 9 digits and any offset: (text, the time, or None)."""
    digits = generator.randrange(10)
    time_ns -= time_ns % 10 ** (9 - digits)
    offset = generator.choice((0, generator.randint(-1439, 1439), generator.choice((-60, 60, 330, -1439, 1439))))
    local = EPOCH + datetime.timedelta(seconds=time_ns // SECOND, minutes=offset)
    text = local.strftime("%Y-%m-%d") + generator.choice("Tt ") + local.strftime("%H:%M:%S")
    if digits:
        text += "." + f"{time_ns % SECOND:09d}"[:digits]
    if offset == 0 and generator.random() < 0.8:
        text += generator.choice("Zz")
    else:
        text += f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}"
    return text, of_rfc3339(text)


def random_length(generator, most=10 ** 17):
    """A length such as 1h30m: (text, nanoseconds), at most about most."""
    text, total = "", 0
    for _ in range(generator.randint(1, 4)):
        unit = generator.choice(list(LENGTHS))
        count = generator.randrange(min(most // LENGTHS[unit], 10 ** generator.randrange(1, 19)) + 1)
        text += f"{count}{unit}"
        total += count * LENGTHS[unit]
    return text, total
