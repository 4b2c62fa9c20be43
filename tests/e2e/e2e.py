"""What the end-to-end tests share: TAP, a "make run" of their own, HTTP and binary COPY."""
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
TIMEOUT_S = 60

# What a shell starts in the background, and nohup, ignores SIGINT, and so does what the tests start then: a bash
# script cannot even trap it. With a handler of Python's own here, what is executed has the default, as from a terminal.
signal.signal(signal.SIGINT, signal.default_int_handler)

_count = 0
_failed = 0


def ok(right, name, detail=""):
    global _count, _failed
    _count += 1
    print("%sok %d - %s" % ("" if right else "not ", _count, name))
    if not right:
        _failed += 1
        for line in str(detail).splitlines()[:40]:
            print("# " + line)
    sys.stdout.flush()
    return right


def same(got, expected, name):
    return ok(got == expected, name, "got %r\nexpected %r" % (got, expected))


def skip(name, why):
    global _count
    _count += 1
    print("ok %d # SKIP %s: %s" % (_count, name, why))


def done():
    print("1..%d" % _count)
    sys.exit(_failed > 0)


def wait_until(condition, what):
    """Polls until the condition holds, and returns what it returned."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise TimeoutError("waited %d s until %s" % (TIMEOUT_S, what))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def new_directory():
    """A directory that any user may enter, under the runner's where there is one."""
    directory = tempfile.mkdtemp(prefix="e2e-", dir=os.environ.get("HISTORIAN_TEST_DIR", "/var/tmp"))
    os.chmod(directory, 0o755)
    return directory


def bindir():
    """Where PostgreSQL's programs are."""
    pg_config = os.environ.get("PG_CONFIG") or subprocess.check_output(
        [os.path.join(ROOT, "scripts", "pg-config")], text=True).strip()
    return subprocess.check_output([pg_config, "--bindir"], text=True).strip()


class Run:
    """PostgreSQL and historiand, started by scripts/run as "make run" does."""

    def __init__(self, datadir=None, port=None, command=("scripts/run",), **popen):
        self.datadir = datadir or os.path.join(new_directory(), "data")
        self.port = port or free_port()
        self.env = dict(os.environ, DATADIR=self.datadir, PORT=str(self.port))
        for name in "MAKEFLAGS", "MAKELEVEL", "MFLAGS":
            self.env.pop(name, None)
        self.log = tempfile.TemporaryFile(dir=os.environ.get("HISTORIAN_TEST_DIR"))
        self.process = subprocess.Popen(command, cwd=ROOT, env=self.env, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=subprocess.STDOUT, **popen)

    def __enter__(self):
        self.wait_ready()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()

    def output(self):
        self.log.seek(0)
        return self.log.read().decode()

    def is_ready(self):
        if self.process.poll() is not None:
            raise RuntimeError("ended with %d:\n%s" % (self.process.returncode, self.output()))
        try:
            return self.get("/readyz")[0] == 200 and "Ctrl-C" in self.output()
        except OSError:
            return False

    def wait_ready(self):
        wait_until(self.is_ready, "historiand is ready")

    def stop(self, number=signal.SIGTERM):
        """Ends it; returns its exit status."""
        self.process.send_signal(number)
        return self.process.wait(TIMEOUT_S)

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)

    def get(self, path):
        """(status, body)"""
        connection = self.connection()
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, body

    def post(self, body, query="", content_type="application/x-ndjson", connection=None):
        """(status, body)"""
        own = connection or self.connection()
        own.request("POST", "/save" + query, body, {"Content-Type": content_type})
        response = own.getresponse()
        text = response.read()
        if connection is None:
            own.close()
        return response.status, text

    def api(self, tag, start, end, samples=1000):
        """[(time, values or None)], or None for an unknown tag"""
        status, body = self.get("/api?tag=%s&start=%d&end=%d&precision=ns&samples=%d" % (tag, start, end, samples))
        if status == 404:
            return None
        assert status == 200, (status, body)
        answer = json.loads(body, parse_int=str, parse_float=str)  # so that -0 stays what it is
        assert answer["tagName"] == tag and int(answer["start"]) == start, answer
        assert int(answer["end"]) == end, answer
        return [(int(sample["time"]),
                 sample["values"] and [float(text) for text in sample["values"]])
                for sample in answer["samples"]]

    def conninfo(self):
        return subprocess.run(["scripts/conninfo"], cwd=ROOT, env=self.env, check=True,
                              stdout=subprocess.PIPE, text=True).stdout.strip()

    def psql(self, sql):
        return subprocess.run([bindir() + "/psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
                               self.conninfo(), "-c", sql], stdout=subprocess.PIPE, check=True).stdout

    def sql(self, sql):
        return self.psql(sql).decode().strip()

    def rows(self, where="true"):
        """All rows of the table as (time, tag, bytes of each double), by binary COPY."""
        return list(binary_rows(self.psql(
            "COPY (SELECT * FROM measurement WHERE %s) TO STDOUT (FORMAT binary)" % where)))

    def postmaster(self):
        """Its process number, or None while there is none: it is removed and made anew at a start."""
        try:
            with open(os.path.join(self.datadir, "pgdata", "postmaster.pid")) as file:
                return int(file.readline() or 0) or None
        except FileNotFoundError:
            return None


def has_ended(pid):
    """Also of a process that its new parent, init, has not waited for yet."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def binary_rows(data):
    """Parses COPY BINARY of (time bigint, tag text, values float8[])."""
    assert data[:11] == b"PGCOPY\n\xff\r\n\0", data[:20]
    at = 11 + 8 + struct.unpack_from(">i", data, 15)[0]
    while True:
        fields, = struct.unpack_from(">h", data, at)
        at += 2
        if fields == -1:
            assert at == len(data)
            return
        assert fields == 3
        row = []
        for _ in range(3):
            length, = struct.unpack_from(">i", data, at)
            at += 4
            row.append(None if length < 0 else data[at:at + length])
            at += max(length, 0)
        time_bytes, tag, array = row
        dimensions, has_null, element = struct.unpack_from(">iii", array)
        assert element == 701 and not has_null and dimensions <= 1
        count = struct.unpack_from(">i", array, 12)[0] if dimensions else 0
        values = []
        for i in range(count):
            length, = struct.unpack_from(">i", array, 20 + 12 * i)
            assert length == 8
            values.append(array[24 + 12 * i:32 + 12 * i])
        yield struct.unpack(">q", time_bytes)[0], tag.decode(), tuple(values)


def double_bytes(values):
    return tuple(struct.pack(">d", value) for value in values)


def children(pid):
    """The processes that this one started."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open("/proc/%s/stat" % entry) as file:
                    fields = re.sub(r"\(.*\)", "()", file.read()).split()
            except OSError:
                continue
            if int(fields[3]) == pid:
                found.append(int(entry))
    return found
