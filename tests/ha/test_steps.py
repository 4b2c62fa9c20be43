#!/usr/bin/python3
"""The steps of docs/ha.md that a fault does not take: a node more, upgrades, a backup and the restore of the cluster.  See tests/ha/run.

STEPS="node upgrade backup major" names those to take; each begins with a whole cluster and leaves one.  OLD_BIN is another major
version's folder of programs, from which the last one goes to PG_BIN; without it pg_upgrade goes to a new cluster of the same version.
"""
import os
import shutil
import subprocess
import sys
import threading
import time
import traceback
import urllib.request

import psycopg2

from machines import WORK, Machine, wait_for, wait_while_moving
from stack import BIN, USER, Stack, write

AS_USER = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"]
CHECKSUM = "SELECT count(*), coalesce(sum(hashtextextended(m::text, 0)::numeric), 0) FROM measurement m"
number = failures = 0


def ok(right, name, detail=""):
    global number, failures
    number += 1
    print(f"{'' if right else 'not '}ok {number} - {name}", flush=True)
    if not right:
        failures += 1
        print("# " + str(detail).replace("\n", "\n# "), flush=True)


class Writes(threading.Thread):
    """One client that writes a row after the other, repeats what got no 204, and goes to the other historiand then."""

    value = 0

    def __init__(self, stack):
        super().__init__(daemon=True)
        self.stack, self.ending, self.gap = stack, False, 0.0
        self.first = Writes.value + 1
        self.start()

    def run(self):
        last = time.monotonic()
        while not self.ending:
            Writes.value += 1
            while not save(self.stack, Writes.value):
                time.sleep(0.1)
            self.gap, last = max(self.gap, time.monotonic() - last), time.monotonic()
            time.sleep(0.02)

    def end(self, what, seconds=30):
        """Each row is there once, and the pause was not too long."""
        self.ending = True
        self.join(60)
        rows = self.stack.sql(self.stack.primary(), "SELECT count(*), count(DISTINCT time) FROM measurement WHERE tag = 'steps' "
                              f"AND time BETWEEN {self.first} AND {Writes.value}")[0]
        wanted = Writes.value - self.first + 1
        ok(rows == (wanted, wanted) and self.gap <= seconds, f"{what}: {wanted} rows, {self.gap:.1f} s without a 204 at most",
           f"{rows}, {self.gap} s")


def save(stack, value):
    for proxy in stack.proxies:
        try:
            with urllib.request.urlopen(f"http://{proxy.address}:8080/save?ack=committed",
                                        b'{"time":%d,"tag":"steps","values":[%d]}' % (value, value), timeout=8) as answer:
                return answer.status == 204
        except OSError:
            pass
    return False


def takes_writes(stack, machine):
    """Has its recovery ended?  A server that starts is asked again."""
    try:
        return stack.sql(machine, "SELECT NOT pg_is_in_recovery()")[0][0]
    except psycopg2.Error:
        return False


def shows(stack, setting, value):
    """Is the setting that on each node, and every node there?"""
    try:
        return stack.whole() and all(stack.sql(m, "SHOW " + setting) == [(value,)] for m in stack.nodes)
    except psycopg2.Error:
        return False


def back(stack, what="every node to be back"):
    wait_while_moving(what, stack.whole, stack.progress, 120, 600)


def ctl(stack, *arguments, answers=""):
    """patronictl, on the first machine of etcd, which is always there."""
    done = subprocess.run(["nsenter", "--net=" + stack.etcd[0].ns, "patronictl", "-c", f"{stack.conf}/{stack.nodes[0].name}.yml", *arguments],
                          input=answers, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, f"patronictl {arguments}: {done.stdout}{done.stderr}"
    return done.stdout


def at(machine, environment, command):
    """A command on a machine, as the user of its services."""
    done = subprocess.run(["nsenter", "--net=" + machine.ns, *AS_USER, *command], env={**os.environ, **environment},
                          cwd=machine.directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def switchover(stack):
    old = stack.primary()
    ctl(stack, "switchover", "--force", "historian")
    wait_for("another primary", lambda: stack.primary() not in (None, old), 60)
    back(stack)
    return old


def stop_all(stack):
    """As the page says: historiand, the standbys, and the primary last, which ends cleanly."""
    primary = stack.primary()
    for machine in stack.proxies + [m for m in stack.nodes if m is not primary] + [primary]:
        machine.stop()
    return primary


def forget(stack):
    ctl(stack, "remove", "historian", answers="historian\nYes I am aware\n")


def start_all(stack, first, environment=None, settings=None):
    """The node with the data, perhaps what etcd had, then the others with empty volumes, then historiand."""
    stack.start_node(first, **(environment or {}).get(first.name, {}))
    wait_for("the first node to lead", lambda: stack.primary() is first and takes_writes(stack, first), 120)
    if settings:
        ctl(stack, "edit-config", "--force", "--replace", settings, "historian")
    for machine in stack.nodes:
        if machine is not first:
            empty(machine)
            stack.start_node(machine, **(environment or {}).get(machine.name, {}))
    back(stack)
    for machine in stack.proxies:
        stack.start_proxy(machine, stack.nodes)
    wait_for("a 204", lambda: save(stack, 1), 60)


def empty(machine):
    shutil.rmtree(machine.directory + "/data")


def step_node(stack):
    """Add a node, have commits on three nodes, and take it away."""
    writes = Writes(stack)
    machine = Machine("node4", USER, 1400)
    stack.machines[machine.name] = machine
    stack.nodes.append(machine)
    stack.start_node(machine)
    back(stack, "the fourth node")
    ok(stack.members()["node4"] == ("replica", "streaming") or stack.members()["node4"][0] == "replica", "a fourth node streams",
       stack.members())
    ctl(stack, "edit-config", "--force", "-s", "synchronous_node_count=2", "historian")
    wait_for("two synchronous standbys", lambda: [role for role, _ in stack.members().values()].count("sync_standby") == 2, 60)
    names = stack.sql(stack.primary(), "SHOW synchronous_standby_names")[0][0]
    ok(names.startswith("2 (") or names.startswith("FIRST 2"), f"commits are on three nodes: {names}")
    ctl(stack, "edit-config", "--force", "-s", "synchronous_node_count=1", "historian")
    wait_for("one synchronous standby", lambda: [role for role, _ in stack.members().values()].count("sync_standby") == 1, 60)
    machine.stop()
    stack.nodes.remove(machine)
    wait_for("its entry to end", lambda: "node4" not in stack.members(), 60)
    wait_for("its slot to end", lambda: stack.sql(stack.primary(), "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'node4'")
             == [(0,)], 60)
    back(stack)
    writes.end("a node more and away again")


def step_upgrade(stack):
    """A new version of the extension, or a minor one of PostgreSQL: node by node, the primary last, after a switchover."""
    primary = stack.primary()
    stack.sql(primary, "CREATE DATABASE before")
    old = "SELECT extversion FROM pg_extension WHERE extname = 'historian'"
    connection = stack.connect(primary, "before")
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("CREATE EXTENSION historian VERSION '0.2'")
    cursor.execute("CREATE TABLE measurement (time bigint, tag text, values float8[]) USING historian; "
                   "INSERT INTO measurement SELECT i, 'old', ARRAY[i] FROM generate_series(1, 1000) i")
    connection.close()
    writes = Writes(stack)
    for machine in stack.standbys():
        machine.restart()
        time.sleep(1)
        back(stack)
    last = switchover(stack)
    last.restart()
    time.sleep(1)
    back(stack)
    connection = stack.connect(stack.primary(), "before")
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(old)
    before = cursor.fetchone()[0]
    cursor.execute("ALTER EXTENSION historian UPDATE")
    cursor.execute(old)
    after = cursor.fetchone()[0]
    cursor.execute("SELECT count(*), sum(values[1]) FROM measurement WHERE tag = 'old'")
    ok(before == "0.2" and after != before and cursor.fetchone() == (1000, 500500), f"the extension goes from {before} to {after}")
    cursor.execute("INSERT INTO measurement VALUES (1001, 'old', '{1001}')")
    connection.close()

    def on_standbys():
        for machine in stack.standbys():
            with stack.connect(machine, "before") as standby, standby.cursor() as ask:
                ask.execute("SELECT count(*) FROM measurement")
                if ask.fetchone()[0] != 1001:
                    return False
        return True
    wait_for("the standbys to have it", on_standbys, 30)
    for proxy in stack.proxies:
        proxy.restart()
        wait_for("a 204", lambda p=proxy: ready(p), 60)
    # a setting that needs a restart
    ctl(stack, "edit-config", "--force", "-s", "postgresql.parameters.max_connections=110", "historian")
    time.sleep(5)
    ctl(stack, "restart", "--force", "historian")
    wait_for("the setting", lambda: shows(stack, "max_connections", "110"), 120)
    writes.end("the upgrade of each node, and a restart for a setting")


def ready(proxy):
    try:
        with urllib.request.urlopen(f"http://{proxy.address}:8080/readyz", timeout=3) as answer:
            return answer.status == 200
    except OSError:
        return False


def step_backup(stack):
    """pgBackRest: a backup of the running cluster, an accident, and the restore of all nodes to the moment before it."""
    repository = WORK + "/repository"
    os.makedirs(repository)
    shutil.chown(repository, USER)
    environment = {}
    for machine in stack.nodes:
        path = f"{stack.conf}/{machine.name}.pgbackrest.conf"
        write(path, f"[global]\nrepo1-path={repository}\nrepo1-retention-full=2\nstart-fast=y\nlog-path={machine.directory}\n"
                    f"lock-path={machine.directory}\n[historian]\npg1-path={machine.directory}/data\npg1-socket-path={machine.directory}/run\n")
        environment[machine.name] = {"PGBACKREST_CONFIG": path}
    restart_nodes(stack, environment)
    ctl(stack, "edit-config", "--force", "-s", "postgresql.parameters.archive_mode=on", "-s",
        "postgresql.parameters.archive_command=pgbackrest --stanza=historian archive-push %p", "historian")
    time.sleep(5)
    ctl(stack, "restart", "--force", "historian")
    wait_for("the setting", lambda: shows(stack, "archive_mode", "on"), 120)

    def pgbackrest(machine, *arguments):
        return at(machine, environment[machine.name], ["pgbackrest", "--stanza=historian", *arguments])

    primary = stack.primary()
    pgbackrest(primary, "stanza-create")
    pgbackrest(primary, "--type=full", "backup")
    assert save(stack, 900001)
    pgbackrest(primary, "--type=incr", "backup")
    # the backup goes on at another primary
    switchover(stack)
    primary = stack.primary()
    assert save(stack, 900002)
    pgbackrest(primary, "--type=incr", "backup")
    assert save(stack, 900003)
    wanted = stack.sql(primary, CHECKSUM)
    moment = str(stack.sql(primary, "SELECT clock_timestamp()")[0][0])
    time.sleep(0.1)
    stack.sql(primary, "TRUNCATE measurement")      # the accident
    stack.sql(primary, "SELECT pg_switch_wal()")
    assert save(stack, 900004)
    first = stop_all(stack)
    empty(first)
    at(first, {}, ["mkdir", "-m", "700", first.directory + "/data"])
    pgbackrest(first, "--type=time", "--target=" + moment, "--target-action=promote", "restore")
    forget(stack)
    data = first.directory + "/data"
    at(first, environment[first.name], [BIN + "/pg_ctl", "-s", "-w", "-t", "60", "-D", data, "-l", first.directory + "/restore.log", "start"])
    wait_for("the end of recovery", lambda: takes_writes(stack, first), 60)
    ok(stack.sql(first, CHECKSUM) == wanted and stack.sql(first, "SELECT * FROM historian.check('measurement')") == [],
       "restored to the moment before the accident")
    at(first, {}, [BIN + "/pg_ctl", "-s", "-w", "-m", "fast", "-D", data, "stop"])
    start_all(stack, first, environment)
    ok(stack.sql(stack.standbys()[0], "SELECT count(*) FROM measurement WHERE time BETWEEN 900001 AND 900003") == [(3,)] and
       strict(stack), "the whole cluster goes on from there")


def restart_nodes(stack, environment):
    """The nodes get a variable more in their environment, one after the other."""
    primary = stack.primary()
    for machine in [m for m in stack.nodes if m is not primary] + [primary]:
        machine.environment.update(environment[machine.name])
        machine.restart()
        time.sleep(1)
        back(stack)


def strict(stack):
    """Commits are on two nodes, as before: the settings in etcd are there again."""
    text = ctl(stack, "show-config", "historian")
    return "synchronous_mode_strict: true" in text and "ttl: 20" in text


def step_major(stack):
    """A new major version: pg_upgrade --link of the primary's data, and copies of it."""
    old_bin = os.environ.get("OLD_BIN") or BIN
    wanted = stack.sql(stack.primary(), CHECKSUM)
    settings = WORK + "/settings.yml"
    with open(settings, "w", encoding="utf-8") as file:
        file.write(ctl(stack, "show-config", "historian"))
    first = stop_all(stack)
    data, new = first.directory + "/data", first.directory + "/new"
    environment = {"PGHOST": first.directory + "/run", "PGUSER": "postgres"}
    at(first, environment, [BIN + "/initdb", "-D", new, "-U", "postgres", "--data-checksums", "--encoding=UTF8", "--locale=C.UTF-8"])
    text = at(first, environment, [BIN + "/pg_upgrade", "--link", "-b", old_bin, "-B", BIN, "-d", data, "-D", new, "-U", "postgres", "-s", first.directory + "/run",
                                   "-O", "-c shared_preload_libraries=historian -c max_connections=110"])
    ok("Upgrade Complete" in text, "pg_upgrade --link of the primary's data", text)
    forget(stack)
    shutil.rmtree(data)
    os.rename(new, data)
    start_all(stack, first, settings=settings)
    ok(stack.sql(stack.primary(), CHECKSUM) == wanted and stack.sql(stack.primary(), "SELECT * FROM historian.check('measurement')") == []
       and strict(stack), "the whole cluster goes on with it", wanted)
    with open(settings, encoding="utf-8") as file:
        ok(ctl(stack, "show-config", "historian") == file.read(), "with the settings that it had in etcd")
    back(stack)
    wait_for("the standbys to have all", lambda: all(stack.sql(m, CHECKSUM) == wanted for m in stack.standbys()), 60)


STEPS = {"node": step_node, "upgrade": step_upgrade, "backup": step_backup, "major": step_major}


def main():
    stack = Stack(3)
    stack.start()
    wait_for("a 204", lambda: save(stack, 1), 60)
    for name in os.environ.get("STEPS", "").split() or STEPS:
        begin = time.monotonic()
        STEPS[name](stack)
        print(f"# {name}: {time.monotonic() - begin:.0f} s", flush=True)


try:
    main()
except Exception:       # pylint: disable=broad-except
    ok(False, "the steps go on to their end", traceback.format_exc())
print(f"1..{number}")
sys.exit(1 if failures else 0)
