#!/usr/bin/python3
"""PostgreSQL over TLS: historiand connects with sslmode=verify-full, and refuses a server that is not the one meant."""
import atexit
import os
import re
import shutil
import subprocess
import sys

import historiand
from certificates import Authority
from historiand import BINARY, Server, count, message, run, sql, temporary_directory, wait_for

TOP = os.path.join(historiand.HERE, "../..")
DIRECTORY = temporary_directory()
os.chmod(DIRECTORY, 0o755)
AUTHORITY = Authority(DIRECTORY)
OTHER = Authority(DIRECTORY, "other")
# Its port is 5432, as of every cluster of scripts/cluster; so it has an address of its own.
ADDRESS = f"127.{18 + os.getpid() // 65536}.{os.getpid() // 256 % 256}.{os.getpid() % 254 + 1}"


def start_cluster():
    """A cluster with a certificate for db.example that listens on ADDRESS."""
    environment = {**os.environ, "DATADIR": os.path.join(DIRECTORY, "data")}

    def cluster(action):
        subprocess.run([os.path.join(TOP, "scripts/cluster"), action], check=True, env=environment, stdout=subprocess.DEVNULL)

    atexit.register(cluster, "kill")
    cluster("create")
    pgdata = os.path.join(DIRECTORY, "data/pgdata")
    owner = os.stat(pgdata)
    for source, target in zip(AUTHORITY.issue("db", "/CN=db", server=True, names="DNS:db.example"), ("server.crt", "server.key")):
        target = os.path.join(pgdata, target)
        shutil.copy(source, target)
        os.chown(target, owner.st_uid, owner.st_gid)
        os.chmod(target, 0o600)
    with open(os.path.join(pgdata, "postgresql.conf"), "a", encoding="ascii") as file:
        file.write(f"listen_addresses = '{ADDRESS}'\nssl = on\nfsync = off\nshared_buffers = 32MB\n")
    with open(os.path.join(pgdata, "pg_hba.conf"), "a", encoding="ascii") as file:
        file.write(f"hostssl all all {ADDRESS}/32 trust\n")
    cluster("start")
    historiand.CONNINFO = subprocess.run(["bash", "-c", ". scripts/common.sh && conninfo historian"], check=True, env=environment,
                                         cwd=TOP, capture_output=True, text=True).stdout.strip()


start_cluster()
USER = re.search(r"user=(\S+)", historiand.CONNINFO)[1]


def conninfo(host="db.example", root=AUTHORITY.certificate):
    return f"host={host} hostaddr={ADDRESS} port=5432 user={USER} dbname=historian sslmode=verify-full sslrootcert={root}"


def test_verified():
    """Loads and reads go over TLS to a server whose certificate is of sslrootcert and for host"""
    server = Server(conninfo=conninfo())
    assert server.save(message(1, "a", [2.5]), "?ack=committed").status == 204
    assert count(server.table) == 1
    assert server.get("/api?tag=a&start=0&end=1&samples=1").json()["samples"][0]["values"] == [2.5]
    sessions = sql("SELECT ssl, version LIKE 'TLSv1._' FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name LIKE 'historiand%'")
    assert sessions and all(session == ["t", "t"] for session in sessions), sessions
    assert server.stop() == 0


def refused(reason, cure, info):
    server = Server(conninfo=info, expect_ready=False)
    try:
        detail = wait_for("the cause", lambda: (answer := server.get("/readyz")).status == 503 and
                          cure in answer.json()["detail"] and answer.json()["detail"])
        assert "example" not in detail and ADDRESS not in detail, detail       # hosts are not for everybody
        server.logged(re.escape(reason) + ".*" + re.escape(cure))
        assert server.save(message(1, "a", [1])).status == 202      # it waits for the database, as always
    finally:
        server.kill()
    checked = subprocess.run([BINARY, "--check-config", "--database", info, "--table", server.table], capture_output=True, text=True,
                             timeout=30, check=False)
    assert checked.returncode != 0 and reason in checked.stderr and cure in checked.stderr, checked


def test_other_authority():
    """A certificate of another authority is refused, and the log and /readyz name the cure"""
    refused("certificate verify failed", "sslrootcert must name", conninfo(root=OTHER.certificate))


def test_other_name():
    """So is one for another name"""
    refused("does not match host name", "host must be a name", conninfo(host="elsewhere.example"))


def test_no_tls():
    """So is a server without TLS"""
    sql("ALTER SYSTEM SET ssl = off")
    sql("SELECT pg_reload_conf()")
    try:
        refused("server does not support SSL", "PostgreSQL needs ssl = on", conninfo())
    finally:
        sql("ALTER SYSTEM RESET ssl")
        sql("SELECT pg_reload_conf()")


if __name__ == "__main__":
    run(sys.modules[__name__])
