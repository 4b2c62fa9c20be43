#!/usr/bin/python3
"""Through PgBouncer, whose transactions share servers: what one client sets must not reach another.

Skipped where pgbouncer (a Debian package) is not installed.
"""
import atexit
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys

from historiand import (CONNINFO, Server, Skip, message, new_table, run, sql, temporary_directory,
                        wait_for)

SETTINGS = ("statement_timeout", "default_transaction_read_only", "transaction_read_only",
            "extra_float_digits")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Pooler:
    """PgBouncer in front of the tests' database, with one server for all clients."""

    def __init__(self, mode="transaction"):
        if not shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin"):
            raise Skip("pgbouncer is not installed")
        directory = temporary_directory()
        os.chmod(directory, 0o755)
        self.port = free_port()
        self.database = re.search(r"dbname=(\S+)", CONNINFO).group(1)
        config = os.path.join(directory, "pgbouncer.ini")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"[databases]\n{self.database} = {CONNINFO}\n[pgbouncer]\n"
                       f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
                       f"auth_type = any\npool_mode = {mode}\ndefault_pool_size = 1\n"
                       f"logfile = {directory}/log\n" + self.user(directory))
        self.process = subprocess.Popen(["/usr/sbin/pgbouncer", "-q", config],
                                        stderr=subprocess.PIPE, text=True)
        atexit.register(self.process.kill)
        self.conninfo = f"host=127.0.0.1 port={self.port} dbname={self.database} user=postgres"
        wait_for("pgbouncer", self.answers)

    @staticmethod
    def user(directory):
        """PgBouncer does not run as root; the cluster's user may enter the socket's directory."""
        host = re.search(r"host=(\S+)", CONNINFO).group(1)
        if os.getuid() != 0 or not host.startswith("/"):
            return ""
        owner = pwd.getpwuid(os.stat(host).st_uid)
        os.chown(directory, owner.pw_uid, -1)
        return f"user = {owner.pw_name}\n"

    def answers(self):
        assert self.process.poll() is None, self.process.stderr.read()
        return subprocess.run(["psql", "-X", "-c", "SELECT 1", "-d", self.conninfo],
                              capture_output=True).returncode == 0

    def sql(self, statement):
        done = subprocess.run(["psql", "-X", "-A", "-t", "-q", "-F", "\t", "-v", "ON_ERROR_STOP=1",
                               "-d", self.conninfo, "-c", statement], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def settings(self):
        """What a client of the same server finds set."""
        return self.sql("SELECT " + ", ".join(f"current_setting('{s}')" for s in SETTINGS))[0]


def test_settings_stay():
    """reads, exports and loads leave nothing set on a server that others use, and write on"""
    pooler = Pooler()
    before = pooler.settings()
    other = new_table("heap", "x int")
    server = Server(conninfo=pooler.conninfo, query_timeout="7s")
    for i, path in enumerate(("/latest?tag=a", "/tags", "/api?tag=a&start=0&end=9&samples=3",
                              "/api?tag=a&tag=b&start=0&end=9&samples=3&method=max",
                              "/export?tag=a&format=csv", "/export?tag=a&format=binary",
                              "/api?tag=a&start=0&end=9&method=unknown", "/metrics")):
        for method, target, body in (("PUT", "/samples?tag=b&start=0&end=9", b'{"time": 1, "values": [1]}'),
                                     ("POST", "/tags/b/rename", b'{"to": "c"}'), ("DELETE", "/tags/c", None)):
            answer = server.request(method, target, body)
            assert answer.status == 200, (method, answer)
            assert pooler.settings() == before, (method, target)
        saved = server.save(message(i, "a", [i]), "?ack=committed")
        assert saved.status == 204, (path, saved)
        answer = server.get(path)
        assert answer.status == (400 if "unknown" in path else 200), (path, answer)
        assert pooler.settings() == before, path
        pooler.sql(f"INSERT INTO {other} VALUES (1)")
    assert server.stop() == 0


def test_settings_hold():
    """a read through the pooler keeps its time limit and may not write, whatever the role has set"""
    pooler = Pooler()
    table = new_table("heap")
    role = sql("SELECT current_user")[0][0]
    server = Server(conninfo=pooler.conninfo, query_timeout="1s")
    server.save(message(1, "a", [0.1 + 0.2]), "?ack=committed")
    sql(f"""ALTER ROLE {role} SET extra_float_digits = -15;
            ALTER TABLE {server.table} RENAME TO {table}_hidden;
            CREATE FUNCTION {table}_slow() RETURNS bool LANGUAGE sql
                AS 'SELECT pg_sleep(20) IS NOT NULL';
            CREATE VIEW {server.table} AS SELECT * FROM {table}_hidden WHERE {table}_slow()""")
    try:
        sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database()")
        answer = server.get("/export?tag=a")
        assert answer.status in (503, 504), answer
        sql(f"""DROP VIEW {server.table};
                CREATE FUNCTION {table}_writes() RETURNS bool LANGUAGE plpgsql AS $$
                BEGIN INSERT INTO {table} VALUES (1, 'w', '{{1}}'); RETURN true; END $$;
                CREATE VIEW {server.table} AS SELECT * FROM {table}_hidden WHERE {table}_writes()""")
        answer = wait_for("an answer", lambda: (lambda a: a if a.status != 503 else None)(
            server.get("/export?tag=a")))
        assert answer.status == 500 and answer.json()["sqlstate"] == "25006", answer
        sql(f"DROP VIEW {server.table}; ALTER TABLE {table}_hidden RENAME TO {server.table}")
        for path in ("/export?tag=a", "/latest?tag=a"):     # a busy machine may not be in time at once
            answer = wait_for("an answer in time", lambda p=path: (lambda a: a if a.status == 200 else None)(server.get(p)))
            assert answer.json().get("latest", [answer.json()])[0]["values"] == [0.1 + 0.2], answer
    finally:
        sql(f"ALTER ROLE {role} RESET extra_float_digits")
    assert server.stop() == 0


if __name__ == "__main__":
    run(sys.modules[__name__])
