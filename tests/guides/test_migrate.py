"""docs/migrate.md: its statements and commands move every row, and its checks find what is missing. InfluxDB and
VictoriaMetrics are Debian's; the export in line protocol has the form of "influx_inspect export", which Debian lacks."""
import atexit
import os
import random
import shutil
import subprocess
import sys

import guide
from guide import ok, same

sys.path.insert(0, os.path.join(guide.ROOT, "tests/e2e"))
import e2e      # pylint: disable=wrong-import-position

START = 1767225600 * 10**9
SEED = random.randrange(2**32)
INFLUXDB = """climate,device=room\\ 1,site=a temperature=20.5,humidity=41 1767225600000000000
climate,device=room\\ 1,site=a temperature=20.25 1767225660000000000
climate,device=room0 temperature=20.75,humidity=42 1767225600000000000
climate,device=room0 temperature=21,humidity=43,state="ok, \\"x\\"" 1767225600000000002
"""
VICTORIA = "1767225600000,room0,20.5\n1767225660000,room0,20.25\n1767225600000,room 1,21\n"


def started(command, url):
    """Starts a store; ends it with the test."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    atexit.register(lambda: (process.kill(), process.wait()))
    guide.wait_for(url, lambda: subprocess.run(["curl", "-fs", url], capture_output=True, check=False).returncode == 0)


def influxdb(place):
    """The address of an InfluxDB with the points; None where it is not installed."""
    if shutil.which("influxd") is None:
        return None
    address, backup = f"127.0.0.1:{e2e.free_port()}", f"127.0.0.1:{e2e.free_port()}"
    directory = os.path.join(place.folder, "influxdb")
    os.mkdir(directory)
    with open(directory + "/conf", "w", encoding="utf-8") as file:
        file.write(f'reporting-disabled = true\nbind-address = "{backup}"\n[meta]\ndir = "{directory}/meta"\n'
                   f'[data]\ndir = "{directory}/data"\nwal-dir = "{directory}/wal"\n'
                   f'[http]\nbind-address = "{address}"\nlog-enabled = false\n')
    started(["influxd", "-config", directory + "/conf"], f"http://{address}/ping")
    place.run(["curl", "-fsS", "-o", "/dev/null", f"http://{address}/query", "--data-urlencode", "q=CREATE DATABASE plant"], "")
    place.run(["curl", "-fsS", f"http://{address}/write?db=plant", "--data-binary", "@-"], INFLUXDB)
    return address


def victoria_metrics(place):
    """The address of a VictoriaMetrics with the samples; None where it is not installed."""
    if shutil.which("victoria-metrics") is None:
        return None
    address = f"127.0.0.1:{e2e.free_port()}"
    started(["victoria-metrics", f"-storageDataPath={place.folder}/victoria", f"-httpListenAddr={address}",
             "-retentionPeriod=100y"], f"http://{address}/health")
    place.run(["curl", "-fsS", f"http://{address}/api/v1/import/csv?format=1:time:unix_ms,2:label:room,3:metric:temperature",
               "--data-binary", "@-"], VICTORIA)
    place.run(["curl", "-fsS", "-o", "/dev/null", f"http://{address}/internal/force_flush"], "")
    exported = ["curl", "-fsS", f"http://{address}/api/v1/export/csv?format=__value__", "--data-urlencode", "match[]=temperature"]
    guide.wait_for("the samples", lambda: place.run(exported, "").count("\n") == 3)
    return address


def hypertable(source):
    """What a hypertable looks like to a query: two months, values as sensors have them, and a value that is missing."""
    generator = random.Random(SEED)
    rows = []
    for second in range(0, 59 * 86400, 1800):
        for office in range(3):
            values = [repr(generator.gauss(20, 3)), repr(round(generator.uniform(30, 60), 1))]
            if generator.random() < 0.01:
                values[generator.randrange(2)] = "\\N"
            rows.append(f"2026-01-01 00:00:00Z\t{second}\toffice/{office}\t" + "\t".join(values))
    source.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1"], """
        CREATE TABLE conditions (at timestamptz, location text, temperature float8, humidity float8);
        CREATE TEMP TABLE read (base timestamptz, second int, location text, temperature float8, humidity float8);
        COPY read FROM STDIN;\n""" + "\n".join(rows) + """\n\\.
        INSERT INTO conditions
        SELECT base + second * interval '1 second' + interval '123 microseconds', location, temperature, humidity FROM read;""")
    return len(rows)


def line_protocol(path):
    """
    60,000 points of two fields of each of two series, a field after the other, as influx_inspect exports: more than
    historiand remembers. The values are a function of the point's number; every 200th point lacks one.
    """
    with open(path, "w", encoding="utf-8") as file:
        file.write("# INFLUXDB EXPORT: 1677-09-21T00:12:43Z - 2262-04-11T23:47:16Z\n# DDL\nCREATE DATABASE plant WITH NAME autogen\n"
                   "# DML\n# CONTEXT-DATABASE:plant\n# CONTEXT-RETENTION-POLICY:autogen\n# writing tsm data\n")
        for series in ("pump,device=p1,site=hall\\=2", "pump,device=p\\ 2"):
            for field, factor in (("flow", 0.25), ("speed", 3)):
                for number in range(60000):
                    if field == "flow" and number % 200 == 1:
                        continue
                    file.write(f"{series} {field}={number % 1000 * factor} {START + number * 10**9}\n")


def moved(place, rows):
    """Is every point, and every row of the hypertable, in the table?"""
    for tag in ("pump,device=p1,site=hall\\=2", "pump,device=p 2"):
        same(place.sql(f"""SELECT count(*) FROM measurement, LATERAL (SELECT (time - {START}) / 1000000000 AS n) AS number
                           WHERE tag = '{tag}' AND values =
                               ARRAY[CASE WHEN n % 200 <> 1 THEN n % 1000 * 0.25 END, n % 1000 * 3]::float8[]"""),
             [["60000"]], f"line protocol: every point of {tag} is a row, with NULL for what it lacks")
    same(place.sql("SELECT count(*) FROM measurement WHERE tag LIKE 'office/%'"), [[str(rows)]], "every row of the hypertable")
    same(place.sql("SELECT count(*) FROM measurement WHERE tag LIKE 'room%'"), [["3000"]], "every row of a table")
    same(place.sql("SELECT time, values FROM measurement WHERE tag = 'oven' ORDER BY time"),
         [[str(START), "{180.5,0}"], [str(START + 60 * 10**9), "{182.25,0}"], [str(START + 120 * 10**9), "{NULL,1}"]],
         "every line of a CSV file")
    if shutil.which("influxd"):
        same(place.sql("SELECT time, tag, values FROM measurement WHERE tag LIKE 'climate,%' ORDER BY tag COLLATE \"C\", time"),
             [[str(START), "climate,device=room 1,site=a", "{41,20.5}"],
              [str(START + 60 * 10**9), "climate,device=room 1,site=a", "{NULL,20.25}"],
              [str(START), "climate,device=room0", "{42,20.75}"], [str(START + 2), "climate,device=room0", "{43,21}"]],
             "InfluxDB: fields that a point lacks are NULL")
    if shutil.which("victoria-metrics"):
        same(place.sql("SELECT tag, count(*) FROM measurement WHERE tag LIKE 'temperature/%' GROUP BY tag ORDER BY tag"),
             [["temperature/room 1", "1"], ["temperature/room0", "2"]], "VictoriaMetrics: every sample")


def checks_find(place):
    """The checks of the page fail where a row is missing or another one."""
    check = next(text for _, kind, text in guide.blocks("migrate.md") if kind == "sh" and "hashfloat8extended" in text)
    for change in ("DELETE FROM measurement WHERE tag = 'office/1' AND time = (SELECT min(time) + 1800000000000 FROM measurement WHERE tag = 'office/1')",
                   "UPDATE measurement SET values[2] = 1 WHERE tag = 'office/2' AND time = (SELECT max(time) FROM measurement WHERE tag = 'office/2')"):
        place.sql(change)
        finished = subprocess.run(["sh", "-eu"], input=check, cwd=place.folder, env=place.env, capture_output=True,
                                  text=True, check=False)
        ok(finished.returncode != 0 and "equal" not in finished.stdout, "the check finds: " + change.split()[0], finished.stdout)


def main():
    print(f"# seed {SEED}")
    place, source = guide.Place("guide_migrate"), guide.Place("guide_source")
    place.env.update(SOURCE=source.conninfo, TARGET=place.conninfo)
    rows = hypertable(source)
    with open(os.path.join(place.folder, "oven.csv"), "w", encoding="utf-8") as file:
        file.write(next(text for _, kind, text in guide.blocks("migrate.md") if kind == "csv"))
    line_protocol(os.path.join(place.folder, "export.lp"))
    stores = {"127.0.0.1:8086": influxdb(place), "127.0.0.1:8428": victoria_metrics(place)}

    class There:
        """The place with the stores' addresses as they are here."""
        run = staticmethod(place.run)

        @staticmethod
        def here(text):
            for printed, address in stores.items():
                text = text.replace(printed, address or printed)
            return place.here(text)

    def shell(text):
        """None where the block needs a store that is missing, or the file of its that another block makes."""
        files = {"8086": "climate.csv" in text or "ARRAY[humidity, temperature]" in text, "8428": "temperature.csv" in text}
        needed = [address for printed, address in stores.items() if printed in text or files[printed.split(":")[1]]]
        return None if None in needed else ["sh", "-eu"]

    guide.run_page(There, "migrate.md", {"sh": shell, "sql": guide.PROGRAMS["psql"]}, others=("csv",))
    moved(place, rows)
    checks_find(place)
    guide.done()


main()
