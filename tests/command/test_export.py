#!/usr/bin/python3
"""historian export, tags, tail and check, against what Python computes of the rows it loaded."""
import csv
import gzip
import io
import json
import os
import random
import signal
import struct
import subprocess
import sys

from command import CONNINFO, HISTORIAN, ROOT, done, e2e, historian, ok, path, psql, rows, same, sql, table, wait_until, write

sys.path.insert(0, os.path.join(ROOT, "tests", "unit"))
import read_arrow       # noqa: E402 pylint: disable=wrong-import-position

SECOND = 1000000000
START = 1767225600 * SECOND


def load():
    """Three tags of different lengths, the last one with characters that need quotes everywhere."""
    rng = random.Random(5)
    made = []
    for tag, width, count in (("plant/a", 2, 700), ("plant/b", 3, 300), ('x "y", \\ ü', 1, 5)):
        for i in range(count):
            made.append((START + i * SECOND + rng.randrange(SECOND), tag, [None if rng.random() < 0.1 else rng.gauss(0, 10 ** rng.randint(-9, 9))
                                                                          for _ in range(width)]))
    table("m")
    # An array is written by PostgreSQL's rules; the tag by CSV's.
    text = io.StringIO()
    csv.writer(text).writerows((t, tag, "{%s}" % ",".join("NULL" if v is None else repr(v) for v in values)) for t, tag, values in made)
    subprocess.run([os.path.join(e2e.bindir(), "psql"), "-X", "-q", CONNINFO, "-c", "\\copy m from stdin (format csv)"], input=text.getvalue(),
                   text=True, check=True)
    sql("INSERT INTO historian.tag (relid, tag, description, names, units) VALUES ('m', 'plant/a', 'Pump a', '{flow,\"the, rest\"}', '{m3/h,NULL}')")
    return made


def exported(*options, code=0):
    result = historian("export", "-t", "m", *options)
    ok(result.returncode == code, "export " + " ".join(options), result.stderr)
    return result.stdout


def flat(made, width):
    return [[str(t), tag] + ["" if v is None else repr(v) for v in values] + [""] * (width - len(values)) for t, tag, values in made]


def memory(tag, form="csv"):
    """The most memory that an export of the tag takes, in KiB."""
    with open(os.devnull, "wb") as nothing:
        process = subprocess.Popen([HISTORIAN, "export", "-d", CONNINFO, "-t", "m", "-f", form, tag], stdout=nothing)
        usage = os.wait4(process.pid, 0)
    process.returncode = usage[1]
    return usage[2].ru_maxrss


def resumes():
    """An export that was cut after any row goes on behind that."""
    rng = random.Random(6)
    for selection in ((), ("--prefix", "plant/"), ("plant/b", 'x "y", \\ ü', "plant/a")):
        whole = exported("-f", "ndjson", *selection).splitlines()
        for at in [0, len(whole) - 1, *(rng.randrange(len(whole)) for _ in range(6))]:
            last = json.loads(whole[at])
            rest = exported("-f", "ndjson", "--after-tag", last["tag"], "--after-time", str(last["time"]), *selection).splitlines()
            ok(rest == whole[at + 1:], "after row %d of %d, %s" % (at, len(whole), selection or "all"), rest[:2])
    same(exported("-f", "ndjson", "--after-tag", "plant/az", "--after-time", "5").splitlines(),
         [line for line in exported("-f", "ndjson").splitlines() if json.loads(line)["tag"] > "plant/az"], "a tag that is not there has a place too")
    for options in (("--after-tag", "plant/a"), ("--after-time", "5"), ("--after-tag", "z", "--after-time", "5", "plant/a"), ("--all", "plant/a"),
                    ("--all", "--prefix", "p"), ("--after-tag", "plant/a", "--after-time", "tomorrow")):
        exported(*options, code=2)


def exports(made):
    records = list(csv.reader(io.StringIO(exported("plant/a"))))
    same(records[0], ["time", "tag", "flow", "the, rest"], "CSV: the columns have the names of the values")
    same([[r[0], r[1]] + [repr(float(c)) if c else "" for c in r[2:]] for r in records[1:]], flat([row for row in made if row[1] == "plant/a"], 2),
         "and a row each, in order of time")
    records = list(csv.reader(io.StringIO(exported())))
    same(records[0], ["time", "tag", "flow", "the, rest", "value_3"], "all tags: as many columns as the widest needs")
    same([[r[0], r[1]] + [repr(float(c)) if c else "" for c in r[2:]] for r in records[1:]], flat(sorted(made, key=lambda row: (row[1].encode(), row[0])), 3),
         "and all rows, tag by tag")
    found = [json.loads(line) for line in exported("-f", "ndjson", "--prefix", "plant/").splitlines()]
    same([(row["time"], row["tag"], row["values"]) for row in found], [row for row in made if row[1].startswith("plant")], "NDJSON of a prefix")
    same(exported("--all"), exported(), "--all is said explicitly")
    same(exported("--tag", "plant/b", "--tag", "plant/a"), exported("plant/b", "plant/a"), "--tag names tags too")
    packed = subprocess.run([HISTORIAN, "export", "-d", CONNINFO, "-t", "m", "--gzip", "-f", "ndjson"], stdout=subprocess.PIPE, check=True).stdout
    same(gzip.decompress(packed).decode(), exported("-f", "ndjson"), "--gzip compresses stdout")
    resumes()
    found = exported("--start", "2026-01-01T00:00:10Z", "--end", "2026-01-01T00:01:00Z", "--time", "rfc3339", "plant/b").splitlines()[1:]
    expected = [row for row in made if row[1] == "plant/b" and START + 10 * SECOND <= row[0] < START + 60 * SECOND]
    same(len(found), len(expected), "a window has the rows that it has")
    ok(found[0].startswith("2026-01-01T00:00:1") and "Z,plant/b," in found[0], "times as RFC 3339", found[0])
    found = exported("--precision", "s", "--start", str(START // SECOND + 5), "--end", str(START // SECOND + 7), "plant/b").splitlines()
    same([line.split(",")[0] for line in found], ["time", str(START // SECOND + 5), str(START // SECOND + 6)], "seconds, in and out")
    same(exported("--end", "2020-01-01T00:00:00Z", "plant/a").splitlines(), ["time,tag,flow,\"the, rest\""], "an empty window has a header")

    expected = rows("m")
    for name, options in (("a.csv", ()), ("a.csv.gz", ()), ("a.ndjson", ()), ("a.pgcopy", ()), ("w.pgcopy", ("--start", "1970-01-01T00:00:00Z"))):
        result = historian("export", "-t", "m", "-o", path(name), *options)
        ok(result.returncode == 0 and "1005 rows of 3 tags" in result.stdout, "export to " + name, result.stdout + result.stderr)
        ok(not os.path.exists(path(name) + ".partial"), "the partial file has got its name")
        table("again")
        result = historian("import", "-t", "again", path(name))
        got = rows("again")
        if "csv" in name:   # a cell that is not there is an empty one: NULL
            got = [(t, tag, values[:2 if tag == "plant/a" else 3 if tag == "plant/b" else 1]) for t, tag, values in got]
        same((result.returncode, got), (0, expected), "and import reads the same rows from it")
    ok(gzip.open(path("a.csv.gz")).read() == open(path("a.csv"), "rb").read(), ".gz is compressed")
    for options, message in ((("nothing",), "has no samples"), (("--prefix", "zz"), "no tag"), (("-t", "nowhere"), "no table")):
        ok(message in historian("export", "-t", "m", *options).stderr, "refused: " + " ".join(options))
    for options in (("--start", "now", "--end", "-1h"), ("-f", "binary", "--time", "rfc3339"), ("--start", "tomorrow")):
        same(historian("export", *options).returncode, 2, "refused: " + " ".join(options))
    sql("INSERT INTO m SELECT i, 'long', '{1,2,3}' FROM generate_series(1, 200000) i")
    with subprocess.Popen([HISTORIAN, "export", "-d", CONNINFO, "-t", "m", "long"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    same((process.returncode, errors), (-signal.SIGPIPE, b""), "a reader that goes away ends it in silence")
    with open("/dev/full", "wb") as full:
        result = subprocess.run([HISTORIAN, "export", "-d", CONNINFO, "-t", "m", "long"], stdout=full, stderr=subprocess.PIPE, text=True)
    ok(result.returncode == 1 and "No space left" in result.stderr, "a full disk is an error", result.stderr)
    os.mkfifo(path("fifo"))
    with subprocess.Popen(["cat", path("fifo")], stdout=subprocess.PIPE) as reader:
        result = historian("export", "-t", "m", "-o", path("fifo"), "plant/a")
        piped = reader.stdout.read()
    same((result.returncode, piped.decode(), os.path.exists(path("fifo.partial"))), (0, exported("plant/a"), False), "a pipe with a name stays one")
    result = historian("export", "-t", "m", "-o", path("no/such.csv"), "long")
    ok(result.returncode == 1 and "No such file" in result.stderr, "and a directory that is not there", result.stderr)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    result = historian("tags", "-p", "1", database=None, env=environment)
    ok(result.returncode == 1 and 'hint: -d or -h says where PostgreSQL is' in result.stderr, "a server that is nowhere: how to name it",
       result.stderr)
    result = historian("tags", "-p", "1", "-h", "/nowhere", database=None, env=environment)
    ok(result.returncode == 1 and "hint" not in result.stderr, "no such hint where it was named", result.stderr)
    for name in ("a.parquet", "a.arrow", "a.json.gz"):
        result = historian("export", "-t", "m", "-o", path(name), "plant/a")
        ok(result.returncode == 2 and "-f csv" in result.stderr and not os.path.exists(path(name)), name + " is refused, not filled with CSV",
           result.stderr)
    result = historian("export", "-t", "m", "-f", "ndjson", "-o", path("a.json"), "plant/a")
    ok(result.returncode == 0 and os.path.exists(path("a.json")), "unless the format is given", result.stderr)
    for form, batches in (("csv", 0), ("arrow", 3000)):
        small, large = memory("plant/a", form), memory("long", form)
        ok(large < small + batches + 4000, "memory does not grow with the rows: " + form, "%d and %d KiB" % (small, large))
    same(len(read_arrow.read(arrow_file("long"))[1]), -(-200000 // (524288 // (8 + 4 + 3 * 8))), "a long Arrow stream has many batches")
    sql("DELETE FROM m WHERE tag = 'long'")


def arrow_file(*options):
    result = subprocess.run([HISTORIAN, "export", "-d", CONNINFO, "-t", "m", "-f", "arrow", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    ok(result.returncode == 0, "export -f arrow " + " ".join(options), result.stderr)
    return result.stdout


def arrow_rows(*options):
    """The fields, and rows of time, tag and bytes of values, as tests/unit/read_arrow.py reads them."""
    fields, batches = read_arrow.read(arrow_file(*options))
    return fields, [row for columns in batches for row in zip(*columns)]


def arrow(made):
    """Arrow has the rows that were loaded, bit for bit, and as many columns as the widest of them."""
    def expected(tags, width, found=made):
        return [(t, tag, *(None if v is None else struct.pack("<d", v) for v in values), *[None] * (width - len(values)))
                for name in tags for t, tag, values in found if tag == name]
    own = [("time", "timestamp[ns, UTC]", False), ("tag", "utf8", False)]
    every = ["plant/a", "plant/b", 'x "y", \\ ü']
    for options, names, wanted in (((), ("flow", "the, rest", "value_3"), every), (("--all",), ("flow", "the, rest", "value_3"), every),
                                   (("--tag", every[2], "plant/a"), ("flow", "the, rest"), [every[2], "plant/a"]),
                                   (("--prefix", "plant/"), ("flow", "the, rest", "value_3"), every[:2]), (("--prefix", "x"), ("value_1",), every[2:])):
        same(arrow_rows(*options), (own + [(name, "float64", True) for name in names], expected(wanted, len(names))), "Arrow: " + " ".join(options))
    mine = [row for row in made if row[1] == "plant/b"]
    window = ("--start", str(mine[9][0]), "--end", str(mine[200][0]), "plant/b")
    same(arrow_rows(*window)[1], expected(["plant/b"], 3, mine[9:200]), "a window")
    for unit, divisor in (("us", 10 ** 3), ("ms", 10 ** 6), ("s", 10 ** 9)):
        fields, found = arrow_rows("--precision", unit, "plant/b")
        same((fields[0][1], [row[0] for row in found]), ("timestamp[%s, UTC]" % unit, [row[0] // divisor for row in mine]), "times in " + unit)
    fields, found = arrow_rows("--precision", "ms", "--time", "integer", "plant/b")
    same((fields[0][1], [row[0] for row in found]), ("int64", [row[0] // 10 ** 6 for row in mine]), "times as integers")
    same(arrow_rows("--end", "2020-01-01T00:00:00Z", "plant/b"), (own, []), "an empty window has a schema, without columns that no row has")
    fields, whole = arrow_rows()
    for at in (0, 699, 700, 850, len(whole) - 1):
        last = whole[at]
        same(arrow_rows("--after-tag", last[1], "--after-time", str(last[0])), (fields, whole[at + 1:]), "after row %d, with the same schema" % at)
    for name in ("a.arrows", "a.arrows.gz"):
        result = historian("export", "-t", "m", "-o", path(name))
        ok(result.returncode == 0 and "1005 rows of 3 tags" in result.stdout, "export to " + name, result.stdout + result.stderr)
        with (gzip.open if name.endswith("gz") else open)(path(name), "rb") as file:
            same(file.read(), arrow_file(), "and what stdout gets")
    same(gzip.decompress(arrow_file("--gzip")), arrow_file(), "--gzip")
    result = historian("export", "-f", "arrow", "--time", "rfc3339")
    ok(result.returncode == 2 and "--format arrow has timestamps" in result.stderr, "no texts as times", result.stderr)
    sql("INSERT INTO m VALUES (1, 'odd', '{NaN,-0,Infinity,5e-324}'), (2, 'odd', NULL), (3, 'odd', '{}')")
    same([[value and value.hex() for value in row[2:]] for row in arrow_rows("odd")[1]],
         [["000000000000f87f", "0000000000000080", "000000000000f07f", "0100000000000000"], [None] * 4, [None] * 4], "what numbers are not, and no array")
    sql("DELETE FROM m WHERE tag = 'odd'")


def tags(made):
    result = historian("tags", "-t", "m", "-f", "ndjson", "--time", "integer", "plant")
    expected = [{"tag": tag, "samples": len(mine), "first": mine[0][0], "last": mine[-1][0], "description": None, "names": None, "units": None}
                for tag in ("plant/a", "plant/b") for mine in [[row for row in made if row[1] == tag]]]
    expected[0].update(description="Pump a", names=["flow", "the, rest"], units=["m3/h", None])
    same([json.loads(line) for line in result.stdout.splitlines()], expected, "tags as NDJSON, by prefix")
    result = historian("tags", "-t", "m", "-f", "csv")
    same([record[:2] + record[4:] for record in csv.reader(io.StringIO(result.stdout))],
         [["tag", "samples", "values", "description"], ["plant/a", "700", "flow [m3/h], the, rest", "Pump a"], ["plant/b", "300", "", ""],
          ['x "y", \\ ü', "5", "", ""]], "tags as CSV")
    same(historian("tags", "-t", "m", "-f", "plain").stdout.splitlines(), ["plant/a", "plant/b", 'x "y", \\ ü'], "tags as plain names")
    lines = historian("tags", "-t", "m").stdout.splitlines()
    ok(lines[0].startswith("tag ") and len(lines) == 4 and lines[1].index("700") == lines[2].index("300"), "tags as a table", lines)


def tail(made):
    mine = [row for row in made if row[1] == "plant/a"]
    result = historian("tail", "-t", "m", "--once", "-n", "3", "-f", "ndjson", "--time", "integer", "plant/a")
    same([(row["time"], row["tag"], row["values"]) for row in map(json.loads, result.stdout.splitlines())], mine[-3:], "tail: the last rows")
    with subprocess.Popen([HISTORIAN, "tail", "-d", CONNINFO, "-t", "m", "-n", "0", "--interval", "50", "-f", "csv", "--time", "integer", "--prefix", "plant/"],
                          stdout=subprocess.PIPE, text=True) as process:
        wait_until(lambda: sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'historian' AND query LIKE '%unnest($1%'") == "1", "tail asks")
        times = [START + 10 ** 15 + i for i in range(4)]
        for i, time_ns in enumerate(times):
            sql("INSERT INTO m VALUES (%d, 'plant/%s', '{%d,NULL}')" % (time_ns, "ab"[i % 2], i))
            same(process.stdout.readline(), "%d,plant/%s,%d,\n" % (time_ns, "ab"[i % 2], i), "tail: a new row")
        sql("INSERT INTO m VALUES (5, 'plant/a', '{1}')")
        process.terminate()
        same(process.stdout.read(), "", "and nothing else")
    same(historian("tail", "-t", "m").returncode, 2, "tail needs a tag")


def check():
    result = historian("check", "-t", "m")
    same((result.returncode, result.stdout), (0, "m is intact\n"), "check of a table that is intact")


def completion():
    def complete(*words):
        script = 'source "$1"; PATH="$2:$PATH"; shift 2; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _historian; printf "%s\\n" "${COMPREPLY[@]}"'
        source = os.path.join(os.path.dirname(__file__), "..", "..", "tools", "historian", "completion.bash")
        env = dict(os.environ, PGOPTIONS="", **{"PG" + name.upper().replace("DBNAME", "DATABASE"): value
                                                 for name, value in (pair.split("=") for pair in CONNINFO.split())})
        return subprocess.run(["bash", "-c", script, "-", source, os.path.dirname(HISTORIAN), *words], env=env, stdout=subprocess.PIPE, text=True).stdout.split("\n")[:-1]

    pem = write("authority.pem", "")
    same(complete("historian", "doctor", "--ca"), ["--ca-file"], "of options for TLS")
    same(complete("historian", "doctor", "--ca-file", path("aut")), [pem], "of files")
    same(complete("historian", "ta"), ["tags", "tail"], "completion of commands")
    same(complete("historian", "import", "--tag-"), ["--tag-name", "--tag-prefix"], "of options")
    same(complete("historian", "export", "-f", ""), ["csv", "ndjson", "binary", "arrow"], "of formats")
    sql("DROP TABLE IF EXISTS again; TRUNCATE measurement; INSERT INTO measurement VALUES (1, 'north/a b', '{1}'), (1, 'north/c', '{1}'), (1, 'south', '{1}')")
    same(complete("historian", "tail", "north"), ["north/a\\ b", "north/c"], "of tags")


made = load()
exports(made)
arrow(made)
tags(made)
tail(made)
check()
completion()
done()
