#!/usr/bin/python3
"""historian import: formats, mappings, rejects and resuming, against what Python computes."""
import datetime
import gzip
import json
import os
import pty
import random
import re
import select
import signal
import subprocess
import time

from command import (CONNINFO, HISTORIAN, done, free_port, historian, ok, path, psql, rows, same, sql, table, write)

SECOND = 1000000000
START = 1767225600 * SECOND


def rfc3339(time_ns):
    return (datetime.datetime.fromtimestamp(time_ns // SECOND, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
            + ".%09dZ" % (time_ns % SECOND))


def imports(name, *options, data=None, target="m", code=0, **keywords):
    """Imports data into an emptied table; returns the program's result."""
    sql("TRUNCATE " + target)
    result = historian("import", "-t", target, "--restart", *options, *([write(name, data)] if data is not None else []), **keywords)
    ok(result.returncode == code, "%s: exit code %d" % (name, code), result.stdout + result.stderr)
    return result


def sample(count=3000, tags=7):
    """Random rows with nulls, in an order that is that of no column."""
    rng = random.Random(4711)
    made = {}
    for i in range(count):
        values = [None if rng.random() < 0.1 else rng.choice([rng.gauss(0, 1e3), rng.uniform(-1, 1) * 10 ** rng.randint(-300, 300),
                                                              float(rng.randint(-5, 5))]) for _ in range(3)]
        made[(START + rng.randrange(10 ** 15), "plant %d/\"x\", y" % rng.randrange(tags))] = values
    return [(time_ns, tag, values) for (time_ns, tag), values in made.items()]


def in_order(expected):
    return sorted(expected, key=lambda row: (row[1].encode(), row[0]))


def text(value):
    return "" if value is None else repr(value)


def quoted(cell):
    return '"%s"' % cell.replace('"', '""')


def formats():
    made = sample()
    table("m")
    header = "timestamp,tag,flow,pressure,temperature\n"
    csv = header + "".join("%s,%s,%s\r\n" % (rfc3339(t), quoted(tag), ",".join(map(text, values))) for t, tag, values in made)
    imports("a.csv", data=csv)
    same(rows("m"), in_order(made), "CSV: the rows are those of the file")
    imports("gz.csv.gz", data=gzip.compress(csv[:70000].encode()) + gzip.compress(csv[70000:].encode()))
    same(rows("m"), in_order(made), "gzip of two members: the same")
    result = imports("stdin", stdin=csv.rstrip("\r\n").encode())
    same(rows("m"), in_order(made), "stdin without a last line end: the same")
    ok("%d rows imported" % len(made) in result.stdout, "the number of rows is told", result.stdout)

    ndjson = "".join(json.dumps({"time": t, "tag": tag, "values": values}) + "\n" for t, tag, values in made)
    imports("a.ndjson", data=ndjson)
    same(rows("m"), in_order(made), "NDJSON: the same")
    for name, options in (("a.copy", "TEXT"), ("a.pgcopy", "BINARY")):
        data = psql("COPY m TO STDOUT (FORMAT %s)" % options)
        imports(name, data=data)
        same(rows("m"), in_order(made), "COPY in the format %s: the same" % options)
    data = psql("COPY (SELECT values, tag, time FROM m) TO STDOUT (FORMAT binary)")
    imports("b.pgcopy", "--columns", "values,tag,time", data=data)
    same(rows("m"), in_order(made), "COPY with other columns: the same")
    csv = psql("COPY m TO STDOUT (FORMAT csv, HEADER)")
    imports("psql.csv", data=csv)
    same(rows("m"), in_order(made), "CSV with arrays as psql writes it: the same")


def points():
    table("m")
    lines = ("# DDL\n# a comment\n"
             "mem,host=h1,dc=x free=3i,used=1.5 %d\n"
             "mem,dc=x,host=h1 used=2.5 %d\n"
             "mem,dc=x,host=h1 free=4i %d\n"
             "log text=\"a\nb\",n=1 %d\n" % (START, START + 1, START + 1, START + 2))
    result = imports("a.lp", "--skip-strings", data=lines)
    same(rows("m"), [(START + 2, "log", [1.0]), (START, "mem,dc=x,host=h1", [3.0, 1.5]), (START + 1, "mem,dc=x,host=h1", [4.0, 2.5])],
         "line protocol: fields of one point in two lines are one row")
    same(sql("SELECT names FROM historian.tag WHERE relid = 'm'::regclass AND tag LIKE 'mem%'"), "{free,used}", "and names are kept")
    imports("places.lp", data="pump flow=1,power=2,speed=3 %d\npump flow=4,speed=6 %d\npump power=7 %d\npump area=8,flow=9 %d\n"
            % tuple(START + i for i in range(4)))
    same([row[2] for row in rows("m")], [[1.0, 2.0, 3.0], [4.0, None, 6.0], [None, 7.0], [9.0, None, None, 8.0]], "each field has its place")
    wide = "".join("wide %s %d\n" % (",".join("f%d=%d" % (j, j) for j in range(i * 300, i * 300 + 300)), START + i) for i in range(5))
    imports("wide.lp", "--rejects", path("wide.rejects"), data="a b=1 1\n" + wide + "a b=2 2\n", code=3)
    with open(path("wide.rejects")) as file:
        lost = [json.loads(line)["line"] for line in file]
    same((sql("SELECT count(*) FROM m"), len(lost) > 0 and set(lost) <= {2, 3, 4, 5, 6}), (str(7 - len(lost)), True),
         "points of a series with more fields than a row holds are rejected, by their lines")
    result = imports("b.lp", data=lines, code=3)
    ok('"line":6' in result.stderr and "string" in result.stderr, "a field that is a string is rejected, with its line", result.stderr)


def mappings():
    table("m")
    imports("ms.csv", "--precision", "ms", "--time", "when", "--tag-name", "boiler", "--values", "b,a", "--names", "--tag-prefix", "north/",
            data="a,b,when,c\n1,2,1767225600123,3\n4,NULL,1767225600456,6\n")
    same(rows("m"), [(START + 123000000, "north/boiler", [2.0, 1.0]), (START + 456000000, "north/boiler", [None, 4.0])],
         "columns by name, one tag for all rows, a prefix, milliseconds")
    same(sql("SELECT names FROM historian.tag WHERE relid = 'm'::regclass"), "{b,a}", "--names: the names of the columns are kept")
    imports("s.csv", "--precision", "s", "--no-header", "--delimiter", ";", "--decimal-comma", "--values", "3-4",
            data="1767225600,25;p;1,5;-2;x\n")
    same(rows("m"), [(START + 250000000, "p", [1.5, -2.0])], "positions, semicolons, decimal commas, seconds with decimals")
    for time in "01.02.2026 00:00:00", "15.02.2026":
        result = historian("import", "--dry-run", "--tag-name", "t", "-", stdin="time,a\n%s,1\n" % time, database=None)
        ok("is neither an integer nor a time such as 2026-01-01T00:00:00Z" in result.stderr, "a date with points is told how times are written",
           result.stderr)
    imports("wide.csv", "--columns-are-tags", "--tag-prefix", "u1/", "--null", "n/a",
            data="\ufefftime\tx\ty\n".replace("\t", ",") + "2026-01-01 00:00:00+00,1,\n2026-01-01T01:00:01+01:00,n/a,3\n")
    same(rows("m"), [(START, "u1/x", [1.0]), (START + SECOND, "u1/y", [3.0])], "each column a tag, without rows for what is empty")
    zone = datetime.datetime(2026, 7, 1, 12, tzinfo=datetime.timezone.utc)
    noon = int(zone.timestamp()) * SECOND
    result = imports("zone.csv", "--time-zone", "Europe/Berlin", "--tag-name", "z", code=3,
                     data="time,v\n2026-07-01 14:00,1\n2026-01-01 01:00:00.5,2\n2026-10-25 02:30,3\n2026-03-29 02:30,4\n2026-07-01 14:00:00Z,5\n")
    same([(row[0], row[2]) for row in rows("m")],
         sorted([(noon, [1.0]), (START + 500000000, [2.0]), (1792888200 * SECOND, [3.0]), (noon + 7200 * SECOND, [5.0])]),
         "times of a zone: summer, winter, the first of an hour that comes twice")
    ok("put forward" in result.stderr and '"line":5' in result.stderr, "an hour that does not exist is rejected", result.stderr)
    imports("special.csv", data="time,tag,v\n%d,a,NaN\n%d,a,-Infinity\n%d,a,.5\n%d,a,-0\n" % (START, START + 1, START + 2, START + 3))
    same(sql("SELECT string_agg(values::text, ' ' ORDER BY time) FROM m"), "{NaN} {-Infinity} {0.5} {-0}", "numbers that JSON does not have")


def rejects():
    table("m", "USING historian")
    sql("ALTER TABLE m ADD CONSTRAINT positive CHECK (values[1] >= 0 OR values[1] IS NULL)")
    data = ("time,tag,v\n"
            "%d,a,1\n" "1767225600,a,2\n" "%d,a,x1\n" "%d,,3\n" "%d,a\n" "%d,a,\"4\n" "%d,\"b\nc\",5\n" "%d,a,-6\n" "%d,b,7\n" "%d,a,\"8"
            % tuple(START + i for i in range(9)))
    result = imports("bad.csv", "--rejects", path("rejects"), "--batch", "3", data=data, code=3)
    same(rows("m"), [(START, "a", [1.0]), (START + 7, "b", [7.0])], "good rows are loaded, whatever is beside them")
    with open(path("rejects")) as file:
        found = [json.loads(line) for line in file]
    same([(reject["line"], reject.get("field"), reject.get("sqlstate")) for reject in found],
         [(3, "time", None), (4, "v", None), (5, "tag", None), (6, None, None), (7, None, None), (8, "tag", None), (10, None, "23514"),
          (12, None, None)], "the file has the line of each")
    reasons = [reject["reason"] for reject in found]
    ok("--precision s" in reasons[0] and "no number" in reasons[1] and "empty" in reasons[2] and "2 columns" in reasons[3]
       and "quoted text" in reasons[4] and "control" in reasons[5] and "positive" in reasons[6]
       and "not closed" in reasons[7], "and the reason", reasons)
    same(found[1]["text"], "%d,a,x1" % (START + 1), "and the text of the line")
    same(found[6]["row"], {"time": START + 6, "tag": "a", "values": [-6]}, "and the row that PostgreSQL refused")
    ok("8 rejected" in result.stdout, "their number is told", result.stdout)
    many = "time,tag,v\n" + "".join("%d,t%d,%d\n" % (START + i, i % 5, -1 if i % 100 == 7 else i) for i in range(5000))
    result = imports("many.csv", "--rejects", path("rejects"), data=many, code=3)
    with open(path("rejects")) as file:
        same([json.loads(line)["line"] for line in file], [i + 2 for i in range(5000) if i % 100 == 7], "50 refused rows of one batch are found")
    same(sql("SELECT count(*) FROM m"), "4950", "and all others are loaded")
    table("heap", "")
    sql("DROP VIEW IF EXISTS a_view; CREATE VIEW a_view AS SELECT historian.to_timestamptz(time), values[1] FROM m")
    for options, code, message in ((("--values", "zz"), 1, "there is no such column; there are time, tag, v"),
                                   (("--format", "xml"), 2, "expected csv"), (("--time-zone", "Europe/Nowhere"), 2, "no time zone"),
                                   (("-t", "nowhere"), 1, "CREATE TABLE nowhere"), (("-t", "heap"), 1, "is not a historian table"),
                                   (("-t", "a_view"), 1, "-t takes the table that it reads: m\n")):
        result = historian("import", "-t", "m", *options, "--restart", path("many.csv"))
        ok(result.returncode == code and message in result.stderr, "refused: " + " ".join(options), result.stderr)
    sql("DROP VIEW a_view")
    others = "Zeit (UTC)," + ",".join("column %d %s" % (i, "x" * 50) for i in range(40)) + "\n"
    for options, hint in ((("--tag-name", "a"), "\n  hint: --time COLUMN names the one that has the times\n"),
                          (("--time", "Zeit (UTC)"), "\n  hint: --tag COLUMN names it, --tag-name TEXT is the tag of all rows, and "
                                                     "with --columns-are-tags each column is a tag\n")):
        result = historian("import", "-t", "m", *options, write("odd.csv", others))
        ok(result.returncode == 1 and "there are Zeit (UTC), column 0" in result.stderr and hint in result.stderr,
           "a header without usual names, and a hint behind many columns", result.stderr)
    for value, hints, name in (("good", 1, "once after texts"), ("1e999", 0, "not after a number that is too large")):
        result = historian("import", "--dry-run", "--tag-name", "a", database=None, stdin="time,v\n" + "%d,%s\n" % (START, value) * 2)
        same((result.returncode, result.stderr.count("hint: if a column has texts, leave it out: --values")), (3, hints), "a hint " + name)
    # an attempt that has taken nothing does not bind the next one to its options, nor to its file
    result = historian("import", "-t", "m", "--values", "zz", write("mended.csv", "time,tag,a\n2024-01-01 00:00:00,mended,1\n"))
    ok(result.returncode == 1 and "there is no such column" in result.stderr, "columns that are not there", result.stderr)
    result = historian("import", "-t", "m", write("mended.csv", "time,tag,v\n2024-01-01 00:00:00Z,mended,1\n"))
    ok(result.returncode == 0, "the file, mended, is taken", result.stderr)
    same(sql("SELECT time FROM m WHERE tag = 'mended'"), "1704067200000000000", "and its row is there")
    result = historian("import", path("nofile.csv"))
    ok(result.returncode == 1 and "No such file" in result.stderr, "a file that is not there", result.stderr)
    write("short.csv.gz", gzip.compress(many.encode(), mtime=0)[:-20])
    sql("TRUNCATE m")
    result = historian("import", "-t", "m", path("short.csv.gz"))
    ok(result.returncode == 1 and "ends too early" in result.stderr, "a file that is cut off is told", result.stderr)
    write("short.csv.gz", gzip.compress(many.encode(), mtime=0))
    result = historian("import", "-t", "m", path("short.csv.gz"))
    same((result.returncode, sql("SELECT count(*) FROM m")), (3, "4950"), "and loaded once it is whole")


def dry_run():
    result = historian("import", "--dry-run", database=None, stdin="time,tag,v\n%d,a,1\n5x,a,2\n" % START)
    ok(result.returncode == 3 and "1 row, 1 rejected" in result.stdout and '"values":[1]' in result.stdout,
       "--dry-run needs no database", result.stdout + result.stderr)
    numbers = ("0.1", "0.05", "-233.062", "0.30000000000000004", "9007199254740993", "1.7976931348623157e+308", "5e-324", "-0.0", "1e23")
    result = historian("import", "--dry-run", "--tag-name", "a", "--columns", "time," + ",".join("v%d" % i for i in range(len(numbers))),
                       database=None, stdin="%d,%s\n" % (START, ",".join(numbers)))
    shown = re.search(r'"values":\[([^]]*)\]', result.stdout)[1].split(",")
    same([float(text) for text in shown], [float(text) for text in numbers], "its numbers are those of the file, to the bit")
    same(shown[:4], list(numbers[:4]), "with the digits that the file has")


def refused_at_once():
    began = time.monotonic()
    result = historian("import", "-h", "127.0.0.1", "-p", str(free_port()), path("a.csv"), database=None)
    ok(result.returncode == 1 and "Connection refused" in result.stderr and time.monotonic() - began < 10,
       "a wrong port fails at once", result.stderr)
    for arguments, code, part in ((["--version"], 0, "historian "), (["--help"], 0, "import"), (["-h"], 0, "import"), ([], 2, "usage"),
                                  (["nothing"], 2, "no command"), (["import", "-h"], 0, "--rejects"), (["import", "--version"], 0, "historian ")):
        done_ = subprocess.run([HISTORIAN, *arguments], capture_output=True, text=True)
        ok(done_.returncode == code and part in done_.stdout + done_.stderr, "historian " + " ".join(arguments), done_.stdout + done_.stderr)


def resume():
    """Killed again and again, into a heap partition, where a row that is loaded twice is there twice."""
    count = 120000
    made = ["%d,tag%d,%d\n" % (START + i, i % 37, i) for i in range(count)]
    for i in range(500, count, 1000):
        made[i] = "%d,tag,bad%d\n" % (START + i, i)
    data = ("time,tag,v\n" + "".join(made)).encode()
    good = count - sum("bad" in line for line in made)
    for name, content, in (("killed.csv", data), ("killed.csv.gz", gzip.compress(data, 1))):
        sql("DROP TABLE IF EXISTS p; CREATE TABLE p (time bigint, tag text, values float8[]) PARTITION BY RANGE (time);"
            "CREATE TABLE p_heap PARTITION OF p DEFAULT USING heap")
        file = write(name, content)
        command = [HISTORIAN, "import", "-d", CONNINFO, "-t", "p", "--batch", "4000", "--rejects", path("killed.rejects"), file]
        rng = random.Random(99)
        kills = 0
        while True:
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
                try:
                    output = process.communicate(timeout=rng.uniform(0.005, 0.05) if kills < 20 else 60)[0]
                    break
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    kills += 1
        ok(process.returncode == 3 and kills >= 3, "%s: killed %d times, then done" % (name, kills), output)
        same(sql("SELECT count(*), count(DISTINCT time), sum(values[1])::bigint FROM p"),
             "%d|%d|%d" % (good, good, sum(i for i in range(count) if "bad" not in made[i])), "nothing is lost, nothing is twice")
        with open(path("killed.rejects")) as rejected:
            same([json.loads(line)["line"] for line in rejected], [i + 2 for i in range(500, count, 1000)], "nor in the file of rejects")
        same(sql("SELECT bytes, lines, rows, rejected, finished IS NOT NULL FROM historian.import_progress WHERE source = '%s'" % os.path.realpath(file)),
             "%d|%d|%d|%d|t" % (len(data), count + 2, good, count - good), "historian.import_progress says so")
    file = path("killed.csv.gz")
    result = historian("import", "-t", "p", file)
    ok("nothing is new" in result.stdout, "once more: nothing is new", result.stdout)
    with open(file, "ab") as more:
        more.write(gzip.compress(b"%d,new,1\n" % (START - 5)))
    historian("import", "-t", "p", file)
    same(sql("SELECT count(*) FROM p"), str(good + 1), "what was appended to the file is loaded, and nothing else")
    result = historian("import", "-t", "p", "--precision", "ns", file)
    ok(result.returncode == 1 and "--restart" in result.stderr, "other options are refused", result.stderr)
    write("killed.csv.gz", "time,tag,v\n%d,other,1\n" % START)
    result = historian("import", "-t", "p", file)
    ok(result.returncode == 1 and "is not the file" in result.stderr, "another file of that name is refused", result.stderr)

    result = historian("export", "--no-such", "x")
    ok(result.returncode == 2 and "hint: historian export --help" in result.stderr, "an unknown option: where the known ones are", result.stderr)

    # Where everything was rejected there is nothing to go on from: what cures it needs no --restart
    for options, text, code, count in (([], "2026-01-01 00:00:00", 3, 0), (["--time-zone", "UTC"], "2026-01-01 00:00:00", 0, 1)):
        file = write("zone.csv", "time,v\n%s,1\n" % text)
        result = historian("import", "-t", "p", "--tag-name", "zone", *options, file)
        ok(result.returncode == code, "times without an offset, %s" % (options or "without a zone"), result.stdout + result.stderr)
        same(sql("SELECT count(*) FROM p WHERE tag = 'zone'"), str(count), "and what is loaded")

    # The lock of an import that has not ended
    with subprocess.Popen([HISTORIAN, "import", "-d", CONNINFO, "-t", "p", "--name", "feed", "--batch", "10"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        first.stdin.write("time,tag,v\n" + "".join("%d,feed,%d\n" % (START + i, i) for i in range(30000)))
        first.stdin.flush()
        result = historian("import", "-t", "p", "--name", "feed", "--batch", "20",
                           stdin="time,tag,v\n" + "".join("%d,feed,%d\n" % (START + i, i) for i in range(30000)))
        first.stdin.close()
        first.stdout.read()
    codes = sorted((first.returncode, result.returncode))
    ok(codes[0] == 0, "two imports of one source at a time: one ends", (codes, result.stderr))
    same(sql("SELECT count(*), count(DISTINCT time) FROM p WHERE tag = 'feed'"), "30000|30000", "and each row is there once")
    sql("DROP TABLE p")
    same(sql("SELECT count(*) FROM historian.import_progress WHERE source LIKE '%killed%'"), "0", "the state goes with the table")


def split_points():
    """An import of line protocol that is resumed between two lines of one point."""
    table("m")
    lines = "".join("s a=%d %d\ns b=%d %d\n" % (i, START + i, i, START + i) for i in range(10))
    write("split.lp", lines[:lines.index("s b=5")])
    historian("import", "-t", "m", "--batch", "3", path("split.lp"))
    write("split.lp", lines)
    historian("import", "-t", "m", "--batch", "3", path("split.lp"))
    same(rows("m"), [(START + i, "s", [float(i), float(i)]) for i in range(10)], "fields of a point before and after are one row")


def hostile():
    """Bytes that are damaged, cut off or put in twice never end the program but by its exit codes."""
    seed = int(os.environ.get("SEED", random.randrange(10 ** 6)))
    print("# SEED=%d" % seed)
    rng = random.Random(seed)
    table("m")
    sql("INSERT INTO m SELECT %d + i, 'tag \"x\" ' || i %% 3, ARRAY[i, NULL, i / 3.0] FROM generate_series(1, 20) i" % START)
    seeds = {"csv": psql("COPY m TO STDOUT (FORMAT csv, HEADER)"), "copy": psql("COPY m TO STDOUT"), "copy-binary": psql("COPY m TO STDOUT (FORMAT binary)"),
             "ndjson": b'{"time":%d,"tag":"a","values":[1,null,-2.5e3]}\n' % START * 9, "lines": b'm,a=b x=1,y="z\n",w=2i %d\n' % START * 9}
    codes = set()
    for _ in range(int(os.environ.get("HOSTILE", 150))):
        kind = rng.choice(sorted(seeds))
        data = bytearray(seeds[kind])
        for _ in range(rng.randrange(1, 6)):
            at, length = rng.randrange(len(data)), rng.randrange(1, 9)
            change = rng.randrange(4)
            if change == 0:
                data[at:at + length] = rng.randbytes(length)
            elif change == 1:
                del data[at:at + length]
            elif change == 2:
                data[at:at] = rng.choice([b'"', b"\n", b"{", b"\\", b",", b"\0", b"\xff\xff\xff\xff", b"\t"]) * length
            else:
                data = data[:at] + data[rng.randrange(len(data)):] or data
        options = [["--skip-strings"], []][rng.randrange(2)] if kind == "lines" else []
        result = historian("import", "--dry-run", "-f", kind, *options, database=None, stdin=bytes(data))
        codes.add(result.returncode)
    ok(codes <= {0, 1, 3}, "damaged input of all formats", codes)
    result = historian("import", "--dry-run", database=None, stdin="time,tag,v\n%d,a,%s\n" % (START, "1" * 3000000))
    ok(result.returncode == 1 and "longer than 1 MiB" in result.stderr, "a line that is too long ends the import", result.stderr)


def progress():
    """Progress on a terminal is a line that is written again and again."""
    table("m")
    terminal, child = pty.openpty()
    with subprocess.Popen([HISTORIAN, "import", "-d", CONNINFO, "-t", "m", "--batch", "100"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=child,
                          text=True) as process:
        os.close(child)
        process.stdin.write("time,tag,v\n")
        shown = b""
        row = 0
        end = time.monotonic() + 20
        while b"rows/s" not in shown and time.monotonic() < end:    # it is shown once a second, where rows come
            process.stdin.write("".join("%d,a,1\n" % (START + i) for i in range(row, row + 200)))
            process.stdin.flush()
            row += 200
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 4096)
        process.stdin.close()
        try:
            while chunk := os.read(terminal, 4096):
                shown += chunk
        except OSError:     # the other end is closed
            pass
        process.stdout.read()
    os.close(terminal)
    ok(re.search(rb"^\r\d+ rows, \d+ rows/s, [\d.]+ MB/s\x1b\[K", shown), "progress on a terminal", shown)
    ok(shown.endswith(b"\r\x1b[K") and process.returncode == 0, "which is taken away at the end", shown)


formats()
points()
mappings()
rejects()
dry_run()
refused_at_once()
resume()
split_points()
hostile()
progress()
done()
