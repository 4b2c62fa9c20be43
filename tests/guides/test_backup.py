"""docs/backup.md: a physical backup is restored to a point in time, and a logical one into another database; each has
the rows that it should have, to the bit, with names and retention policies."""
import os
import re
import tempfile
import time

import guide
from cluster import CHECKSUM, TABLE, Cluster, insert
from guide import same


def page():
    with open(os.path.join(guide.ROOT, "docs/backup.md"), encoding="utf-8") as file:
        return file.read()


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
    server.sql(TABLE)
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
    too_late(server, recovery, folder)


def too_late(server, recovery, folder):
    """A moment that the archive does not reach: PostgreSQL says what the page explains."""
    late = Cluster(folder, "late")
    server.command(f"cp -R {folder}/base {late.data}")
    late.append(*(line.replace("/backup", folder).replace("2026-03-01", "2100-01-01") for line in recovery))
    late.command(f"touch {late.data}/recovery.signal")
    try:
        late.start()        # succeeds where it was seen to answer, as a hot standby, before it came to the archive's end
    except AssertionError:
        pass
    guide.wait_for("the end of the server that cannot reach the moment", lambda: not os.path.exists(os.path.join(late.data, "postmaster.pid")), 60)
    with open(late.data + ".log", encoding="utf-8") as file:
        told = re.search(r"`(recovery ended [^`]*)`", page())[1]
        log = file.read()
    guide.ok("FATAL:  " + told in log, "a moment that the archive does not reach is told as on the page", log)


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
