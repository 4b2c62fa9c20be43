"""docs/change-data.md: its commands and its consumer make a copy of a table in SQLite while others change the table, and keep it;
through kills of pg_recvlogical and of the consumer the copy equals the table in the end, to the bit."""
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import tempfile
import threading

import guide
from cluster import TABLE, Cluster
from guide import ok, same

SEED = int(os.environ.get("SEED", random.randrange(10**9)))
PLUGINS = "SELECT count(*) FROM pg_settings WHERE name = 'output_plugin_libraries'"


class Writer(threading.Thread):
    """Changes the table at random, in a session of its own, until it is told to stop."""

    def __init__(self, server, number):
        super().__init__()
        self.server, self.number, self.going, self.statements = server, number, True, 0
        self.random = random.Random(SEED + number)
        self.failed = None
        self.start()

    def run(self):
        try:
            while self.going:
                self.server.sql("BEGIN; " + "; ".join(self.change() for _ in range(self.random.randint(1, 3))) + "; COMMIT")
                self.statements += 1
        except AssertionError as error:
            self.failed = error

    def change(self):
        draw = self.random
        first, tag = draw.randrange(1000), f"tag {self.number} {draw.randrange(5)}"
        kind = draw.randrange(10)
        if kind < 6:
            return f"""INSERT INTO measurement SELECT i, '{tag}', ARRAY[i, {draw.random()}, 'NaN', NULL, 1e300, '-Infinity'::float8 * i]
                       FROM generate_series({first}, {first + 200}) i"""
        if kind < 8:
            return f"DELETE FROM measurement WHERE tag = '{tag}' AND time % 7 = {draw.randrange(7)} AND time > {first}"
        if kind == 8:
            return f"SELECT historian.delete('measurement', '{tag}', {first}, {first + 100})"
        return f"SELECT historian.rename('measurement', '{tag}', 'renamed {draw.random()}')"

    def stop(self):
        self.going = False
        self.join()
        ok(self.failed is None and self.statements > 0, f"writer {self.number}: {self.statements} transactions", self.failed)


class Shell:
    """Runs the page's commands; those that go on in the background end with the test, or when they are killed."""

    def __init__(self, server, folder):
        self.env = dict(server.env, PGUSER="postgres")
        self.folder, self.groups = folder, []

    def run(self, text):
        with subprocess.Popen(["sh", "-euc", text], env=self.env, cwd=self.folder, start_new_session=True, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as process:
            self.groups.append(process.pid)
            try:
                return process.wait(guide.TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill(-1)
                raise

    def kill(self, group):
        try:
            os.killpg(self.groups[group], signal.SIGKILL)
        except ProcessLookupError:
            pass

    def kill_all(self):
        for group in range(len(self.groups)):
            self.kill(group)


def rows_of(source):
    """Rows by tag and time, with their values as floats."""
    return {(tag, int(time)): [None if value is None else float(value) for value in json.loads(values)] for tag, time, values in source}


def equal(server, folder):
    source = rows_of((tag, time, values) for tag, time, values in
                     server.sql("SELECT tag, time, to_json(values) FROM measurement"))
    with sqlite3.connect(os.path.join(folder, "copy.db"), timeout=10) as db:
        copy = rows_of(db.execute("SELECT tag, time, \"values\" FROM sample"))
    if repr(source) == repr({key: copy[key] for key in source if key in copy}) and len(copy) == len(source) > 0:
        return True
    print(f"# {len(source)} rows in the table, {len(copy)} in the copy, {len(set(source) ^ set(copy))} in one of them")
    return False


def follows(server, folder, shell):
    page = guide.blocks("change-data.md")
    sql = [text for _, kind, text in page if kind == "sql"]
    commands = [text for _, kind, text in page if kind == "sh"]
    program, = [text for _, kind, text in page if kind == "python"]
    same((len(sql), len(commands)), (5, 3), "the page has five blocks of statements and three of commands")
    with open(os.path.join(folder, "follow.py"), "w", encoding="utf-8") as file:
        file.write(program)

    server.sql(sql[0])
    server.sql(sql[1])
    same(server.sql("SELECT bool_or(has_function_privilege('pg_read_all_data', oid, 'EXECUTE')) FROM pg_proc WHERE proname = 'pg_logical_emit_message'"), [["f"]],
         "nobody makes messages by hand")
    server.sql("INSERT INTO measurement SELECT i, 'before', ARRAY[i] FROM generate_series(1, 5000) i; SELECT historian.compact('measurement')")
    writers = [Writer(server, number) for number in range(2)]
    try:
        same(shell.run(commands[0]), 0, "the copy, while others write")
        shell.run(commands[1])
        shell.run(commands[2])
        for _ in range(3):
            sent = server.sql("SELECT coalesce(max(sent_lsn), '0/0') FROM pg_stat_replication")[0][0]
            guide.wait_for("changes", lambda: server.sql(f"SELECT coalesce(max(sent_lsn), '0/0') > pg_lsn '{sent}' + 100000 FROM pg_stat_replication") == [["t"]], 60)
            shell.kill(-1)
            shell.kill(-2)
            guide.wait_for("the end of the connection", lambda: server.sql("SELECT active FROM pg_replication_slots") == [["f"]], 60)
            shell.run(commands[1])
            shell.run(commands[2])
    finally:
        for writer in writers:
            writer.stop()
    with open(os.path.join(folder, "follow.log"), encoding="utf-8") as file:
        same(file.read(), "", "the consumer has no errors")
    server.sql("INSERT INTO measurement VALUES (1, 'end', '{0.1}')")
    guide.wait_for("the copy to equal the table", lambda: equal(server, folder), 60)
    ok(True, "the copy equals the table, after three kills of both programs")
    server.sql("TRUNCATE measurement; INSERT INTO measurement VALUES (2, 'after', NULL), (3, 'after', '{-0}')")
    with sqlite3.connect(os.path.join(folder, "copy.db"), timeout=10) as db:
        wanted = [("public.measurement", "after", 2, "null"), ("public.measurement", "after", 3, "[-0]")]
        guide.wait_for("TRUNCATE", lambda: [row[:3] for row in db.execute("SELECT * FROM sample ORDER BY time")] == [row[:3] for row in wanted], 60)

    decoded = server.sql(sql[2])[-1]
    same(json.loads(decoded[1])["rows"], [{"tag": "pump7", "times": [1], "values": [[20.1]]}], "pgoutput by SQL")
    server.sql(sql[3])
    same(server.sql("SELECT format FROM historian.published_table"), [["json"]], "in the format json")
    same(sorted(row[0] for row in server.sql(sql[4])), ["by_sql", "follower"], "what slots keep")
    text = "".join(body for _, kind, body in page if kind == "json")
    same([json.loads(line)["op"] for line in text.splitlines()], ["begin", "insert", "delete", "rename", "truncate", "commit"], "the page shows every kind of change")


def main():
    print(f"# SEED={SEED}")
    folder = tempfile.mkdtemp(prefix="changes-", dir=os.environ.get("HISTORIAN_TEST_DIR"))
    os.chmod(folder, 0o777)
    server = Cluster(folder, "server")
    server.command(f"initdb -D {server.data} -U postgres --no-sync >/dev/null")
    with open(os.path.join(guide.ROOT, "docs/change-data.md"), encoding="utf-8") as file:
        page = file.read()
    server.append("shared_preload_libraries = 'historian'", *re.findall(r"^    (wal_level = .*|max_slot_wal_keep_size = .*)$", page, re.MULTILINE))
    server.start()
    if server.sql(PLUGINS) == [["1"]]:
        server.append(re.search(r"`(output_plugin_libraries = [^`]*)`", page)[1])
        server.sql("SELECT pg_reload_conf()")
    server.sql(TABLE)
    shell = Shell(server, folder)
    try:
        follows(server, folder, shell)
    finally:
        shell.kill_all()
        server.stop()
    guide.done()


main()
