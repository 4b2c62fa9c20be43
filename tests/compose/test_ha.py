#!/usr/bin/python3
"""docker-compose.ha.yml: the first start, a load, the primary's container killed, and its return.

What more can go wrong, and whether anything is lost then, is what tests/ha is for.
"""
import glob
import os
import sys
import tarfile
import tempfile
import threading

from stack import PROJECT, TOP, Stack, free_port, run, wait_for

second_port = free_port()
stack = Stack(file="docker-compose.ha.yml", COMPOSE_PARALLEL_LIMIT="1", HISTORIAND2_PORT=str(second_port),
              PRODUCER_RATE="1000", PRODUCER_DURATION="45s")
stack.environment["HISTORIAND1_PORT"] = str(stack.port)
NODES = ["postgres1", "postgres2", "postgres3"]
killed = None


def members(service):
    """{node: (role, state)}, as patronictl on that node has them."""
    done = stack.compose("exec", "-T", service, "patronictl", "list", "-f", "tsv", check=False)
    rows = [line.split("\t") for line in done.stdout.splitlines() if line.startswith("historian\t")]
    return {row[1]: (row[3], row[4]) for row in rows}


def whole(service="postgres1"):
    found = members(service)
    roles = sorted(role for role, _ in found.values())
    return len(found) == 3 and roles == ["Leader", "Replica", "Sync Standby"] and \
        all(state in ("running", "streaming") for _, state in found.values())


def save(at, port=None):
    return stack.request("/save?ack=committed", b'{"time":%d,"tag":"ha","values":[%d]}' % (at, at), port=port, seconds=5).status


def test_start():
    """up -d --build: three nodes, one of them the synchronous standby, and a 204 from both historiand"""
    stack.compose("up", "-d", "--build", profile=None, seconds=1200)
    wait_for("the nodes", whole, 180)
    wait_for("the first", lambda: save(1) == 204)
    wait_for("the second", lambda: save(2, second_port) == 204)


def test_hardened():
    """nothing runs as root, and each service reads its own passwords only"""
    for service in (*NODES, "etcd1", "historiand1"):
        assert stack.compose("exec", "-T", service, "id", "-u").stdout.strip() != "0"
    done = stack.compose("exec", "-T", "historiand1", "sh", "-c",
                         'for file in /run/secrets/*/*; do [ ! -r "$file" ] || echo "$file"; done')
    assert done.stdout.split() == ["/run/secrets/historiand/database-password", "/run/secrets/historiand/tokens"], done
    text = stack.compose("exec", "-T", "postgres1", "env").stdout
    for secret in ("historiand", "replicator", "patroni"):
        assert stack.compose("exec", "-T", "postgres1", "cat", "/run/secrets/postgres/" + secret).stdout not in text
    # etcd asks for no password, and is on the network of its members and the nodes alone
    done = stack.compose("exec", "-T", "historiand1", "bash", "-c", "exec 3<>/dev/tcp/etcd1/2379", check=False)
    assert done.returncode != 0, done
    # nobody without the password changes the cluster by Patroni's REST API
    done = stack.compose("exec", "-T", "postgres1", "bash", "-c",
                         r"exec 3<>/dev/tcp/127.0.0.1/8008; printf 'POST /restart HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}' >&3; head -1 <&3")
    assert " 401 " in done.stdout, done.stdout


def test_primary_killed():
    """the primary's container killed under load: the load goes on, and what got 204 is there"""
    global killed
    killed = stack.compose("exec", "-T", "postgres1", "primary").stdout.strip()
    assert killed in NODES, killed
    report = []
    load = threading.Thread(target=lambda: report.append(
        stack.compose("run", "--rm", "-T", "producer", profile="load", check=False)))
    stack.compose("build", "producer", seconds=600)
    load.start()
    wait_for("the load", lambda: int(stack.sql("SELECT count(*) FROM measurement", killed)[0][0]) > 3000)
    stack.compose("kill", "-s", "SIGKILL", killed)
    wait_for("the next 204", lambda: save(3) == 204, 30)
    load.join(180)
    text = report[0].stdout + report[0].stderr
    assert "45000 messages sent, 45000 acknowledged" in text, text
    survivor = next(name for name in NODES if name != killed)
    rows = stack.sql("SELECT count(*), count(DISTINCT (tag, time)) FROM measurement WHERE tag ~ '^t[0-9]+$'", survivor)
    assert rows == [["45000", "45000"]], rows
    assert stack.sql("SELECT time, values FROM measurement WHERE tag = 'ha' ORDER BY 1", survivor) == [
        ["1", "{1}"], ["2", "{2}"], ["3", "{3}"]]


def test_return():
    """the killed node started again is a standby of the new primary"""
    stack.compose("start", killed)
    wait_for("the old primary", lambda: whole(killed), 120)
    assert members(killed)[killed][0] != "Leader"
    assert save(4) == 204


def test_switchover():
    """patronictl switchover: another primary by command, and writes go on"""
    old = stack.compose("exec", "-T", "postgres1", "primary").stdout.strip()
    stack.compose("exec", "-T", "postgres1", "patronictl", "switchover", "--force")
    wait_for("the other primary", lambda: whole() and members("postgres1")[old][0] != "Leader", 90)
    wait_for("a 204", lambda: save(5) == 204, 30)


def test_extension_image():
    """the image with the extension alone has its library, control file and scripts, and nothing else"""
    image = PROJECT + "-extension"
    stack.engine("build", "-f", os.path.join(TOP, "docker/Dockerfile"), "--target", "extension", "-t", image, TOP)
    container = stack.engine("create", image, "/none")
    try:
        with tempfile.NamedTemporaryFile() as archive:
            stack.engine("export", "-o", archive.name, container)
            with tarfile.open(archive.name) as tar:
                files = {entry.name.lstrip("./") for entry in tar if entry.isfile()}
    finally:
        stack.engine("rm", container)
        stack.engine("rmi", image)
    # what some engines put into a container by themselves
    files = {name for name in files if not name.startswith((".dockerenv", "dev/", "etc/", "run/"))}
    wanted = {"share/extension/" + os.path.basename(path) for path in glob.glob(os.path.join(TOP, "sql/historian--*.sql"))}
    assert files == wanted | {"lib/historian.so", "share/extension/historian.control", "licenses/historian/LICENSE"}, files


run(sys.modules[__name__])
