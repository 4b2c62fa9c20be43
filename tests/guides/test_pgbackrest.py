"""docs/ha.md: a full and an incremental backup by pgBackRest, and a restore to the moment before an accident."""
import os
import re
import shutil
import tempfile
import time

import guide
from cluster import CHECKSUM, TABLE, Cluster, insert
from guide import same


def page():
    with open(os.path.join(guide.ROOT, "docs/ha.md"), encoding="utf-8") as file:
        return file.read()


def configuration(text, folder):
    """The page's file for a repository and a server below the folder."""
    found = re.search(r"^    (\[global\]\n(?:    .*\n|\n)*?    pg1-socket-path=.*)$", text, re.MULTILINE)[1]
    found = re.sub(r"^    ", "", found, flags=re.MULTILINE)
    for old, new in (("socket-path=/tmp", f"socket-path={folder}"), ("/var/lib/pgbackrest", f"{folder}/repository"),
                     ("/var/lib/postgresql/17", f"{folder}/server")):
        assert old in found, old
        found = found.replace(old, new)
    return found + "\npg1-port=5433\npg1-user=postgres\n"


def main():
    if not shutil.which("pgbackrest"):
        guide.skip("backup and restore", "pgbackrest is not installed")
        guide.done()
        return
    text = page()
    with tempfile.TemporaryDirectory(prefix="guide-", dir="/tmp") as folder:       # a socket's path has an end
        os.chmod(folder, 0o777)
        path = os.path.join(folder, "pgbackrest.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(configuration(text, folder))

        def pgbackrest(command):
            server.command(f"pgbackrest --config={path} --log-path={folder} --lock-path={folder} {command}")

        server = Cluster(folder, "server")
        archive = re.search(r"^ *(archive_command = .*)$", text, re.MULTILINE)[1]
        commands = re.findall(r"^    pgbackrest (--stanza=historian .*)$", text, re.MULTILINE)
        same(len(commands), 4, "the page has four commands")
        server.command(f"initdb -D {server.data} -U postgres --no-sync >/dev/null && mkdir {folder}/repository")
        server.append("shared_preload_libraries = 'historian'", "archive_mode = on", archive.replace(
            "pgbackrest ", f"pgbackrest --config={path} --log-path={folder} --lock-path={folder} "))
        server.start()
        server.sql(TABLE)
        pgbackrest(commands[0])
        insert(server, 1, 5000)
        pgbackrest(commands[1])
        insert(server, 5001, 5000)
        server.sql("SELECT historian.compact('measurement')")
        pgbackrest(commands[2])
        insert(server, 10001, 5000)
        wanted = server.sql(CHECKSUM)
        moment = server.sql("SELECT clock_timestamp()")[0][0]
        time.sleep(0.01)
        server.sql("TRUNCATE measurement; SELECT pg_switch_wal()")      # what the restore is to undo
        insert(server, 1, 10)
        server.stop()
        server.command(f"rm -rf {server.data} && mkdir -m 700 {server.data}")
        pgbackrest(commands[3].replace("2026-03-01 09:30:00+00", moment))
        server.start()
        guide.wait_for("the end of recovery", lambda: server.sql("SELECT pg_is_in_recovery()") == [["f"]], 60)
        same(server.sql(CHECKSUM), wanted, "restored to the moment before an accident")
        same(server.sql("SELECT * FROM historian.check('measurement')"), [], "and the table is intact")
        insert(server, 20001, 10)
        same(server.sql("SELECT count(*) FROM measurement WHERE time > 20000000"), [["10"]], "and takes rows")
        server.stop()
    guide.done()


main()
