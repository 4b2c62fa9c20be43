"""historiand.py: what the HTTP tests share: a server of their own, raw HTTP, SQL, TAP.

The database comes from HISTORIAN_CONNINFO, a superuser's connection string of a throw-away
database.  With the extension the tables are its tables; without it they are plain ones and
fixture.sql stands in for historian.downsample.
"""
import atexit
import collections
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
BINARY = os.environ.get("HISTORIAND", os.path.join(HERE, "../../build/historiand"))
CONNINFO = os.environ.get("HISTORIAN_CONNINFO")
DEADLINE = 20.0
LIBRARIES = subprocess.run(["ldd", BINARY], capture_output=True, text=True, check=False).stdout
SANITIZED = "libasan" in LIBRARIES or "libtsan" in LIBRARIES


def wait_for(what, condition, seconds=DEADLINE):
    """Polls until condition() is true; fails with what it waited for."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for: {what}")
        time.sleep(0.01)


# SQL

def sql(statement):
    """Runs SQL and returns the rows as lists of strings."""
    done = subprocess.run(
        ["psql", "-X", "-A", "-t", "-q", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", CONNINFO],
        input=statement, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"SQL failed: {done.stderr}")
    return [line.split("\t") for line in done.stdout.splitlines()]


class Lock:
    """A session that holds a lock on a table until it is let go; waiters() are those behind it."""

    def __init__(self, table, before="", mode="ACCESS EXCLUSIVE"):
        self.table = table
        self.session = subprocess.Popen(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", CONNINFO], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.session.stdin.write(f"BEGIN; LOCK TABLE {table} IN {mode} MODE; {before}\nSELECT 'locked';\n")
        self.session.stdin.flush()
        assert self.session.stdout.readline() == "locked\n"

    def waiters(self):
        return count("pg_locks", f"NOT granted AND relation = '{self.table}'::regclass")

    def let_go(self, end="COMMIT"):
        """Ends the transaction, once."""
        if self.session.poll() is None:
            self.session.communicate(f"{end};\n")


def new_table(kind=None, columns="time bigint, tag text, values float8[]"):
    """Makes a table for one test and returns its name."""
    name = f"t_{os.getpid()}_{new_table.count}"
    new_table.count += 1
    if sql("SELECT count(*) FROM pg_am WHERE amname = 'historian'") == [["0"]]:
        kind = kind or "heap"
        with open(os.path.join(HERE, "fixture.sql"), encoding="utf-8") as fixture:
            sql(fixture.read())
    sql(f"CREATE TABLE {name} ({columns}) USING {kind or 'historian'}")
    atexit.register(lambda: sql(f"DROP TABLE IF EXISTS {name}"))
    return name


new_table.count = 0


def insert(table, messages):
    """Inserts messages by SQL: what cannot come over HTTP."""
    text = json.dumps(messages).replace("'", "''")
    sql(f"""INSERT INTO {table} SELECT (m->>'time')::bigint, m->>'tag',
        ARRAY(SELECT v::float8 FROM json_array_elements_text(m->'values') v) FROM json_array_elements('{text}') m""")


def rows(table, where="true"):
    """(time, tag, values) of a table in the order of time; values as SQL's text."""
    return [(int(t), tag, values) for t, tag, values in
            sql(f"SELECT time, tag, values FROM {table} WHERE {where} ORDER BY time, tag")]


def count(table, where="true"):
    return int(sql(f"SELECT count(*) FROM {table} WHERE {where}")[0][0])


# HTTP

class Answer:
    newest = collections.deque(maxlen=3)    # a test that fails shows them

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        Answer.newest.append(self)

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:300]!r}"


class Client:
    """One connection, byte by byte under the test's control."""

    def __init__(self, port, timeout=DEADLINE, receive_bytes=None):
        self.socket = socket.socket()
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, data):
        self.socket.sendall(data)

    def fill(self):
        more = self.socket.recv(65536)
        self.buffer += more
        return bool(more)

    def answer(self, head_only=False):
        """The next answer; None where the server closed before one."""
        while b"\r\n\r\n" not in self.buffer:
            if not self.fill():
                assert self.buffer == b"", f"closed within an answer: {self.buffer!r}"
                return None
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = {}
        for line in lines[1:]:
            name, value = line.split(": ", 1)
            name = name.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        if headers.get("transfer-encoding") == "chunked" and not head_only:
            return Answer(status, headers, b"".join(self.chunks()))
        length = 0 if head_only else int(headers.get("content-length", 0))
        while len(self.buffer) < length:
            assert self.fill(), "closed within a body"
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Answer(status, headers, body)

    def chunks(self):
        """The rest of a chunked body, piece by piece; fails where its end is missing."""
        while True:
            while b"\r\n" not in self.buffer:
                assert self.fill(), "closed within a chunked body"
            size, self.buffer = self.buffer.split(b"\r\n", 1)
            size = int(size, 16)
            while len(self.buffer) < size + 2:
                assert self.fill(), "closed within a chunk"
            chunk, self.buffer = self.buffer[:size], self.buffer[size + 2:]
            if size == 0:
                return
            yield chunk

    def request(self, method, target, body=None, headers=None):
        self.send(request_bytes(method, target, body, headers))
        return self.answer(method == "HEAD")

    def closed(self):
        """Does the server close without another byte?"""
        if self.buffer:
            return False
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()


def request_bytes(method, target, body=None, headers=None):
    head = {"Host": "test"}
    if body is not None:
        head["Content-Length"] = str(len(body))
    head.update(headers or {})
    text = f"{method} {target} HTTP/1.1\r\n"
    text += "".join(f"{name}: {value}\r\n" for name, value in head.items() if value is not None)
    return text.encode("latin-1") + b"\r\n" + (body or b"")


NDJSON = {"Content-Type": "application/x-ndjson"}


def message(time_ns, tag, values):
    return {"time": time_ns, "tag": tag, "values": values}


def ndjson(messages):
    return "".join(json.dumps(m) + "\n" for m in messages).encode()


# The server

class Server:
    """historiand with a table of its own.  Settings are keywords: flush_interval="50ms"."""

    def __init__(self, table=None, conninfo=None, expect_ready=True, descriptors=None,
                 environment=None, **settings):
        self.table = table or new_table()
        flags = {"listen": "127.0.0.1:0", "database": conninfo or CONNINFO, "table": self.table,
                 "flush-interval": "50ms"}
        # More threads find more races.  Each has a pool of its own, as large as the one of a single thread;
        # a test that sets its size, or has a file of settings, has one.
        if "THREADS" in os.environ and not {"max_queries", "config"} & settings.keys():
            flags["threads"] = os.environ["THREADS"]
            flags["max-queries"] = str(8 * int(os.environ["THREADS"]))
        flags.update({name.replace("_", "-"): str(value) for name, value in settings.items()})
        command = [BINARY]
        for name, value in flags.items():
            if value != "None":
                command += ["--" + name, value]
        if descriptors:
            command = ["sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh"] + command
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, **(environment or {})})
        atexit.register(self.kill)
        self.log = []
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()
        self.port = int(self.logged(r"listening on http://\S+:(\d+)").group(1))
        if expect_ready:
            wait_for("readyz", self.ready)

    def ready(self):
        """Is it ready, but for reads of a table that is a heap, which some tests choose?"""
        answer = self.get("/readyz")
        return answer.status == 200 or b"is not a historian table, so that reads fail" in answer.body

    def read_log(self):
        for line in self.process.stderr:
            self.log.append(line)

    def logged(self, pattern, seconds=DEADLINE):
        """Waits for a log line that matches."""
        def find():
            for line in list(self.log):
                match = re.search(pattern, line)
                if match:
                    return match
            assert self.process.poll() is None or self.reader.is_alive(), \
                f"historiand ended: {''.join(self.log)}"
            return None
        return wait_for(f"the log line {pattern}", find, seconds)

    def connect(self, **options):
        return Client(self.port, **options)

    def request(self, method, target, body=None, headers=None):
        client = self.connect()
        try:
            return client.request(method, target, body, headers)
        except OSError as error:
            raise AssertionError(f"{error}; historiand exited with {self.process.poll()}: "
                                 f"{''.join(self.log)}") from error
        finally:
            client.close()

    def get(self, target):
        return self.request("GET", target)

    def save(self, body, query="", headers=None):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        return self.request("POST", "/save" + query, body, headers)

    def metric(self, name):
        for line in self.get("/metrics").body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split(" ")[1])
        raise AssertionError(f"no metric {name}")

    def connections(self):
        """Open ones, without the one that asks."""
        values = [line.rsplit(" ", 1) for line in
                  self.get("/metrics").body.decode().splitlines() if line[0] != "#"]
        return sum(int(value) for name, value in values
                   if name == "historiand_connections_opened_total") - sum(
            int(value) for name, value in values
            if name.startswith("historiand_connections_closed_total{")) - 1

    def memory(self):
        """Resident bytes; 0, within every limit, where a sanitizer's own are among them."""
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as statm:
            pages = int(statm.read().split()[1])
        return 0 if SANITIZED else pages * os.sysconf("SC_PAGE_SIZE")

    def peak_memory(self):
        """The most resident bytes since the start; 0 as above."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            peak = next(line for line in status if line.startswith("VmHWM:"))
        return 0 if SANITIZED else int(peak.split()[1]) * 1024

    def stop(self, seconds=10):
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        self.reader.join(seconds)
        return code

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Relay:
    """A TCP way to PostgreSQL that can be cut, as a network or a restart would."""

    def __init__(self):
        parameters = dict(re.findall(r"(\w+)=('[^']*'|\S+)", CONNINFO))
        self.host = parameters.pop("host", os.environ.get("PGHOST", "/var/run/postgresql"))
        self.host = self.host.strip("'")
        self.server_port = int(parameters.pop("port", os.environ.get("PGPORT", "5432")))
        self.listener = socket.create_server(("127.0.0.1", 0))
        port = self.listener.getsockname()[1]
        self.conninfo = f"host=127.0.0.1 port={port} sslmode=disable " + " ".join(
            f"{name}={value}" for name, value in parameters.items())
        self.pairs = []
        self.up = True
        self.swallow = None     # bytes of the server's after which the connection breaks
        self.swallowed = 0
        self.stays_down = False     # no connection is taken after that
        self.held = []          # (bytes of the client's, Event that lets them through)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            if not self.up:
                client.close()
                continue
            if self.host.startswith("/"):
                server = socket.socket(socket.AF_UNIX)
                server.connect(f"{self.host}/.s.PGSQL.{self.server_port}")
            else:
                server = socket.create_connection((self.host, self.server_port))
            self.pairs.append((client, server))
            threading.Thread(target=self.forward, args=(client, server), daemon=True).start()
            threading.Thread(target=self.forward, args=(server, client, True),
                             daemon=True).start()

    def forward(self, source, target, from_server=False):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                if from_server and self.swallow is not None and self.swallow in data:
                    self.swallow = None
                    self.swallowed += 1
                    self.up = not self.stays_down
                    break
                if not from_server:
                    for held, passes in list(self.held):
                        if held in data:
                            passes.wait()
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def hold(self, data):
        """Stops every connection whose client sends data, until the Event returned is set."""
        passes = threading.Event()
        self.held.append((data, passes))
        return passes

    def cut(self):
        self.up = False
        for pair in self.pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.pairs = []

    def mend(self):
        self.up = True


# TAP

class Skip(Exception):
    """Raised by a test that cannot run here; the text says what is absent."""


def run(module):
    """Runs the module's test_ functions in their order; prints TAP; exits."""
    if not CONNINFO:
        print("1..0")
        print("HISTORIAN_CONNINFO is not set: these tests need a throw-away database",
              file=sys.stderr)
        sys.exit(1)
    tests = [(name, function) for name, function in vars(module).items()
             if name.startswith("test_") and callable(function)]
    wanted = sys.argv[1:]
    failed = 0
    number = 0
    for name, function in tests:
        if wanted and name not in wanted:
            continue
        number += 1
        title = (function.__doc__ or name).strip().splitlines()[0]
        try:
            function()
            print(f"ok {number} - {title}", flush=True)
        except Skip as why:
            print(f"ok {number} # SKIP {title}: {why}", flush=True)
        except Exception:       # pylint: disable=broad-except
            failed += 1
            print(f"not ok {number} - {title}", flush=True)
            for line in traceback.format_exc().splitlines():
                print("# " + line, flush=True)
            for answer in Answer.newest:
                print(f"# one of the newest answers: {answer}", flush=True)
        Answer.newest.clear()
    print(f"1..{number}", flush=True)
    sys.exit(1 if failed else 0)


def temporary_directory():
    directory = tempfile.TemporaryDirectory(prefix="historiand-test-")
    atexit.register(directory.cleanup)
    return directory.name
