"""docs/backup.md: a physical backup is restored to a point in time, and a logical one into another database; each has
the rows that it should have, to the bit, with names and retention policies."""
import os
import re
import subprocess
import tempfile
import time

import guide
from guide import same

CHECKSUM = "SELECT count(*), coalesce(sum(hashtextextended(m::text, 0)::numeric), 0) FROM measurement m"
COMMON = os.path.join(guide.ROOT, "scripts/common.sh")


def page():
    with open(os.path.join(guide.ROOT, "docs/backup.md"), encoding="utf-8") as file:
        return file.read()


class Cluster:
    """A PostgreSQL in a folder of its own, under the user that the suite's runs under; no TCP."""

    def __init__(self, folder, name):
        self.data, self.folder = os.path.join(folder, name), folder
        self.env = dict(guide.environment(guide.CONNINFO), PGHOST=folder, PGPORT="5433", PGDATABASE="postgres")

    def command(self, text):
        """A command of a shell, as that user."""
        script = f"cd {guide.ROOT} && . {COMMON} && cd {self.folder} && as_user \"$(cluster_user)\" env PATH=$(bindir):$PATH sh -euc \"$1\""
        done = subprocess.run(["bash", "-c", script, "sh", text], env=self.env, capture_output=True, text=True, check=False, timeout=guide.TIMEOUT_S)
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout

    def append(self, *lines):
        self.command("cat >>%s/postgresql.conf <<'END'\n%s\nEND" % (self.data, "\n".join(lines)))

    def start(self):
        self.command(f"pg_ctl -s -w -D {self.data} -l {self.data}.log -o '-k {self.folder} -p 5433 -h \"\"' start >/dev/null")

    def stop(self):
        self.command(f"pg_ctl -s -w -m fast -D {self.data} stop >/dev/null")

    def sql(self, statement, database="postgres"):
        done = subprocess.run(["psql", "-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", database], input=statement,
                              env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]


def insert(cluster, first, count):
    cluster.sql(f"""INSERT INTO measurement SELECT i * 1000, 'tag ' || i % 7, ARRAY[i, 'NaN', NULL, 1e300 / i]::float8[]
                    FROM generate_series({first}, {first + count - 1}) i""")


def point_in_time(folder):
    """The page's steps: archive, base backup, restore to a time between two loads."""
    text = page()
    archive = re.search(r"^ *(archive_command = .*)$", text, re.MULTILINE)[1]
    backup = re.search(r"^ *(pg_basebackup .*)$", text, re.MULTILINE)[1]
    recovery = re.findall(r"^ *((?:restore_command|recovery_target_\w+) = .*)$", text, re.MULTILINE)
    same(len(recovery), 3, "the page has three settings of a recovery")
    server = Cluster(folder, "server")
    server.command(f"initdb -D {server.data} -U postgres --no-sync >/dev/null && mkdir {folder}/archive")
    server.append("shared_preload_libraries = 'historian'", "archive_mode = on", archive.replace("/backup", folder))
    server.start()
    server.sql("CREATE EXTENSION historian; CREATE TABLE measurement (time bigint, tag text, values float8[]) USING historian")
    insert(server, 1, 5000)
    server.command(backup.replace("/backup", folder).replace("host=/run/postgresql user=postgres", f"host={folder} port=5433 user=postgres"))
    insert(server, 5001, 5000)
    server.sql("SELECT historian.compact('measurement'); DELETE FROM measurement WHERE tag = 'tag 3' AND time < 2000000")
    wanted = server.sql(CHECKSUM)
    moment = server.sql("SELECT clock_timestamp()")[0][0]
    time.sleep(0.01)
    server.sql("TRUNCATE measurement; SELECT pg_switch_wal()")      # what the restore is to undo
    insert(server, 1, 10)
    server.stop()
    restored = Cluster(folder, "restored")
    server.command(f"cp -R {folder}/base {restored.data}")
    restored.append(*(line.replace("/backup", folder).replace("2026-03-01 09:30:00+00", moment) for line in recovery))
    restored.command(f"touch {restored.data}/recovery.signal")
    restored.start()
    guide.wait_for("the end of recovery", lambda: restored.sql("SELECT pg_is_in_recovery()") == [["f"]], 60)
    same(restored.sql(CHECKSUM), wanted, "restored to the moment before an accident")
    same(restored.sql("SELECT * FROM historian.check('measurement')"), [], "and the table is intact")
    insert(restored, 20001, 10)
    same(restored.sql("SELECT count(*) FROM measurement WHERE time > 20000000"), [["10"]], "and takes rows")
    restored.stop()


def logical(place):
    """pg_dump and pg_restore as on the page; the database has another name."""
    place.sql("""INSERT INTO measurement SELECT i * 1000, 'tag ' || i % 7, ARRAY[i, 'NaN', NULL]::float8[] FROM generate_series(1, 20000) i;
                 INSERT INTO historian.tag (relid, tag, names) VALUES ('measurement', 'tag 1', '{flow}');
                 SELECT historian.set_retention('measurement', '90 years')""")
    wanted = place.sql(CHECKSUM)
    commands = re.findall(r"^    ((?:createdb|pg_dump|pg_restore) .*)$", page(), re.MULTILINE)
    same(len(commands), 3, "the page has three commands")
    guide.admin_sql("DROP DATABASE IF EXISTS guide_restored")
    try:
        for command in commands:
            place.run(["sh", "-euc", command.replace("restored", "guide_restored").replace(" historian >", " guide_backup >")], "")
        place.env["PGDATABASE"] = "guide_restored"
        same(place.sql(CHECKSUM), wanted, "pg_restore gives every row back")
        same(place.sql("SELECT tag, names FROM historian.tag UNION ALL SELECT relname::text, NULL FROM historian.stat_retention"),
             [["tag 1", "{flow}"], ["measurement", ""]], "with names and retention policies")
        same(place.sql("SELECT * FROM historian.check('measurement')"), [], "and the table is intact")
    finally:
        guide.admin_sql("DROP DATABASE guide_restored WITH (FORCE)")


def main():
    with tempfile.TemporaryDirectory(prefix="guide-", dir="/tmp") as folder:       # a socket's path has an end
        os.chmod(folder, 0o777)
        point_in_time(folder)
    logical(guide.Place("guide_backup"))
    guide.done()


main()
