#!/usr/bin/python3
"""The fate of a load across a crash and a failover: it takes effect once, so that no older value comes back over a newer one."""
import atexit
import os
import subprocess
import sys
import time

import historiand
from historiand import Relay, Server, message, rows, run, sql, temporary_directory, wait_for

TOP = os.path.join(historiand.HERE, "../..")


def shell(script, **environment):
    """Runs a script with the functions of scripts/common.sh, and returns what it prints."""
    done = subprocess.run(["bash", "-c", ". scripts/common.sh && user=$(cluster_user) bin=$(bindir) && " + script],
                          env={**os.environ, **environment}, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


class Primary:
    """A cluster of its own, because it is killed; historiand.CONNINFO is its."""

    def __init__(self):
        self.directory = temporary_directory()
        os.chmod(self.directory, 0o755)
        self.environment = {"DATADIR": os.path.join(self.directory, "data")}
        atexit.register(self.do, "kill")
        self.do("start")
        historiand.CONNINFO = shell("conninfo historian", **self.environment)
        # so that what nobody has committed is not written by itself
        sql("ALTER SYSTEM SET wal_writer_delay = '10s'; ALTER SYSTEM SET autovacuum = off;"
            "ALTER SYSTEM SET historian.compaction_interval = '1h'; SELECT pg_reload_conf()")

    def do(self, action):
        subprocess.run([os.path.join(TOP, "scripts/cluster"), action], check=True,
                       env={**os.environ, **self.environment}, stdout=subprocess.DEVNULL)

    def crash(self):
        self.do("kill")
        self.do("start")


class Standby:
    """A copy that streams from the cluster, until it is promoted; its socket is in a directory of its own."""

    def __init__(self, primary):
        self.directory = os.path.join(primary.directory, "data/standby")
        shell('cd / && as_user "$user" "$bin/pg_basebackup" -d "$FROM" -R -C -S standby -c fast -D "$DATA"',
              DATA=self.directory, FROM=historiand.CONNINFO.replace("dbname=historian", "dbname=replication"))
        atexit.register(self.control, "stop -m immediate || true")
        self.control("-l '" + self.directory + "/log' -o \"-k '" + self.directory + "'\" start")
        self.primary = historiand.CONNINFO
        wait_for("the standby", lambda: sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == [["1"]])

    def control(self, what):
        shell('cd / && as_user "$user" "$bin/pg_ctl" -s -w -D "$DATA" ' + what, DATA=self.directory)

    def conninfo(self):
        return f"host={self.directory} dbname=historian user=postgres"

    def sql(self, statement):
        historiand.CONNINFO = self.conninfo()
        try:
            return sql(statement)
        finally:
            historiand.CONNINFO = self.primary

    def promote(self):
        self.control("promote")
        historiand.CONNINFO = self.conninfo()


def new_table(kind=None):
    """A table that goes with its cluster."""
    new_table.count += 1
    sql(f"CREATE TABLE fate{new_table.count} (time bigint, tag text, values float8[]) USING {kind or 'historian'}")
    return f"fate{new_table.count}"


new_table.count = 0


def unanswered(kind):
    """A server whose load of the value 1 was committed, which it does not know, and which cannot ask."""
    relay = Relay()
    server = Server(table=new_table(kind), conninfo=relay.conninfo, commit_timeout="300ms")
    relay.stays_down = True
    relay.swallow = b"COMMIT\0"
    assert server.save(message(1, "a", [1]), "?ack=committed").status == 503
    wait_for("the loss", lambda: relay.swallowed == 1)
    return relay, server


def newer_value(table):
    """Another server loads the value 2, which is acknowledged."""
    other = Server(table=table)
    assert other.save(message(1, "a", [2]), "?ack=committed").status == 204
    assert other.stop() == 0


def goes_on(relay, server):
    """The first server reaches PostgreSQL again, and has loaded all that it has when this returns."""
    relay.mend()
    wait_for("a 204", lambda: server.save(message(2, "a", [3]), "?ack=committed").status == 204)
    assert server.stop() == 0


def values(table):
    return [found for at, _, found in rows(table) if int(at) == 1]


def crash(kind, expected):
    relay, server = unanswered(kind)
    primary.crash()
    newer_value(server.table)
    goes_on(relay, server)
    assert values(server.table) == expected, rows(server.table)


def test_crash():
    """PostgreSQL crashes before it could tell that it has committed: the value does not come back over a newer one"""
    crash(None, ["{2}"])


def test_crash_plain():
    """the same in a plain table, which would show a resend: each row is there once"""
    crash("heap", ["{1}", "{2}"])


def test_crash_before_commit():
    """a load that a crash has undone is sent again, also where its transaction's number was given to another one"""
    relay = Relay()
    server = Server(table=new_table(), conninfo=relay.conninfo, commit_timeout="300ms")
    relay.stays_down = True
    held = relay.hold(b"COMMIT;")
    assert server.save(message(1, "a", [1]), "?ack=committed").status == 503
    relay.up = False
    primary.do("kill")
    held.set()
    relay.held.clear()
    primary.do("start")
    for _ in range(20):
        sql("CREATE TABLE IF NOT EXISTS other (i int); INSERT INTO other VALUES (1)")
    goes_on(relay, server)
    assert values(server.table) == ["{1}"], rows(server.table)


def failover(kind, expected):
    global primary
    relay, server = unanswered(kind)
    wait_for("the standby to have it", lambda: sql("SELECT sent_lsn = replay_lsn AND replay_lsn = pg_current_wal_lsn() "
                                                  "FROM pg_stat_replication") == [["t"]])
    primary.do("kill")
    standby.promote()
    newer_value(server.table)
    relay.host = standby.directory
    goes_on(relay, server)
    assert values(server.table) == expected, rows(server.table)


def new_pair():
    global primary, standby
    primary = Primary()
    standby = Standby(primary)


def test_failover():
    """the standby takes over before the primary could tell that it has committed: the newer value stays"""
    new_pair()
    failover(None, ["{2}"])


def test_failover_plain():
    """the same in a plain table: each row is there once"""
    new_pair()
    failover("heap", ["{1}", "{2}"])


def test_failover_without_the_commit():
    """what the standby had not got is sent again, also where the transaction's number was given to another one"""
    new_pair()
    relay = Relay()
    server = Server(table=new_table(), conninfo=relay.conninfo, commit_timeout="300ms")
    wait_for("the standby to have the table", lambda: standby.sql(
        f"SELECT to_regclass('{server.table}') IS NOT NULL") == [["t"]])
    standby.sql("ALTER SYSTEM SET primary_conninfo = ''; SELECT pg_reload_conf()")
    wait_for("the standby to be cut off", lambda: sql("SELECT count(*) FROM pg_stat_replication") == [["0"]])
    relay.stays_down = True
    relay.swallow = b"COMMIT\0"
    assert server.save(message(1, "a", [1]), "?ack=committed").status == 503
    wait_for("the loss", lambda: relay.swallowed == 1)
    primary.do("kill")
    standby.promote()
    for _ in range(20):
        sql("CREATE TABLE IF NOT EXISTS other (i int); INSERT INTO other VALUES (1)")
    relay.host = standby.directory
    goes_on(relay, server)
    assert values(server.table) == ["{1}"], rows(server.table)


def test_functions():
    """load_fate() tells what became of a marked transaction, and is not misled by a number that was given again"""
    global primary
    primary = Primary()
    committed = sql("BEGIN; SELECT historian.load_mark(); COMMIT")[0][0]
    aborted = sql("BEGIN; SELECT historian.load_mark(); ROLLBACK")[0][0]

    def fate(mark):
        return sql(f"SELECT historian.load_fate('{mark}')")[0][0]

    assert (fate(committed), fate(aborted)) == ("committed", "aborted")
    session = subprocess.Popen(["psql", "-XAtq", "-d", historiand.CONNINFO], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    session.stdin.write("BEGIN; SELECT historian.load_mark();\n")
    session.stdin.flush()
    lost = session.stdout.readline().strip()
    assert fate(lost) == "in progress"
    session.stdin.write("ROLLBACK; CHECKPOINT; BEGIN; SELECT historian.load_mark();\n")
    session.stdin.flush()
    lost = session.stdout.readline().strip()
    primary.do("kill")
    session.stdin.close()
    session.wait()
    primary.do("start")
    for _ in range(20):
        sql("CREATE TABLE IF NOT EXISTS other (i int); INSERT INTO other VALUES (1)")
    assert sql(f"SELECT pg_xact_status('{lost.split()[0]}')") == [["committed"]], "the number was not given again"
    assert fate(lost) == "aborted"
    assert (fate(committed), fate(aborted)) == ("committed", "aborted")
    # a segment that is gone: nobody knows
    for _ in range(3):
        sql("SELECT pg_switch_wal(); CHECKPOINT")
    time.sleep(0.1)
    sql("ALTER SYSTEM SET min_wal_size = '32MB'; ALTER SYSTEM SET max_wal_size = '32MB'; SELECT pg_reload_conf()")
    for _ in range(3):
        sql("SELECT pg_switch_wal(); CHECKPOINT")
    assert fate(committed) == ""
    for wrong in ("", "1 0/0 00", committed + "0", committed.replace(" ", "  x")):
        try:
            fate(wrong)
        except AssertionError as error:
            assert "no mark of a load" in str(error), error
        else:
            raise AssertionError(f"{wrong!r} was taken")


def test_two_servers():
    """what one server has not got to PostgreSQL it loads later, once, also over what another one was told 204 for"""
    relay = Relay()
    server = Server(table=new_table(), conninfo=relay.conninfo, commit_timeout="300ms")
    relay.cut()
    assert server.save(message(1, "a", [1]), "?ack=committed").status == 503
    newer_value(server.table)
    assert values(server.table) == ["{2}"]
    goes_on(relay, server)
    assert values(server.table) == ["{1}"], rows(server.table)
    # from here on it stays whatever is loaded next
    newer_value(server.table)
    assert values(server.table) == ["{2}"]


if __name__ == "__main__":
    primary, standby = Primary(), None
    run(sys.modules[__name__])
