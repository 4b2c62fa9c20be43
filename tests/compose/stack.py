"""stack.py: a compose project of its own, and the tests' way to it."""
import atexit
import json
import os
import shlex
import socket
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.request

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
COMPOSE = shlex.split(os.environ["COMPOSE"])
ENGINE = shlex.split(os.environ["ENGINE"])
# A project that is named is kept, so that single tests can be run again on it.
KEPT = os.environ.get("KEEP_PROJECT")
PROJECT = KEPT or f"historian_test_{os.getpid()}"


def wait_for(what, condition, seconds=60):
    """Polls until condition() is true; fails with what it waited for."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < end, f"waited {seconds} s in vain for: {what}"
        time.sleep(0.2)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Answer:
    def __init__(self, status, body):
        self.status, self.body = status, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class Stack:
    """The project; settings are the environment of the compose file."""

    def __init__(self, file="docker-compose.yml", **settings):
        self.file = file
        self.port = int(os.environ.get("HISTORIAN_PORT", 0)) or free_port()
        self.prometheus_port = int(os.environ.get("PROMETHEUS_PORT", 0)) or free_port()
        self.environment = dict(os.environ, HISTORIAND_PORT=str(self.port),
                                PROMETHEUS_PORT=str(self.prometheus_port), **settings)
        if not KEPT:
            atexit.register(self.remove)

    def compose(self, *arguments, check=True, stdin=None, profile="*", seconds=600):
        command = [*COMPOSE, "-p", PROJECT, "-f", os.path.join(TOP, self.file)]
        command += ["--profile", profile] if profile else []
        done = subprocess.run([*command, *arguments], env=self.environment, capture_output=True,
                              text=True, input=stdin, timeout=seconds,
                              stdin=subprocess.DEVNULL if stdin is None else None)
        assert not check or done.returncode == 0, \
            f"compose {' '.join(arguments)}: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done

    def container(self, service):
        found = self.compose("ps", "-a", "-q", service).stdout.split()
        assert len(found) == 1, (service, found)
        return found[0]

    def engine(self, *arguments):
        return subprocess.run([*ENGINE, *arguments], check=True, capture_output=True,
                              text=True).stdout.strip()

    def state(self, service, what):
        return self.engine("inspect", "-f", "{{.State." + what + "}}", self.container(service))

    def murder(self, service):
        """SIGKILL from outside, which the engine takes for a crash."""
        os.kill(int(self.state(service, "Pid")), 9)

    def sql(self, statement, service="postgres", role="postgres", check=True):
        done = self.compose("exec", "-T", service, "psql", "-X", "-q", "-A", "-t", "-U", role,
                            "-v", "ON_ERROR_STOP=1", stdin=statement, check=check)
        return [line.split("|") for line in done.stdout.splitlines()]

    def request(self, path, body=None, port=None, seconds=35, headers=None):
        request = urllib.request.Request(f"http://127.0.0.1:{port or self.port}{path}", data=body,
                                         headers=headers or {})
        if body is not None:
            request.add_header("Content-Type", "application/x-ndjson")
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return Answer(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read())
        except OSError as error:
            return Answer(0, str(error).encode())

    def ready(self, seconds=60):
        wait_for("readyz", lambda: self.request("/readyz").status == 200, seconds)

    def remove(self):
        self.compose("down", "-v", "--remove-orphans", "-t", "5", check=False)


def run(module):
    """Runs the module's test_ functions in their order; prints TAP; exits.

    They build on each other: after a failure the rest is not run.  Arguments name those to run.
    """
    wanted = sys.argv[1:]
    number = failed = 0
    begin = time.monotonic()
    for name, function in list(vars(module).items()):
        if not name.startswith("test_") or failed or (wanted and name not in wanted):
            continue
        number += 1
        title = function.__doc__.strip().splitlines()[0]
        try:
            function()
            print(f"ok {number} - {title} ({time.monotonic() - begin:.0f} s)", flush=True)
        except Exception:       # pylint: disable=broad-except
            failed += 1
            print(f"not ok {number} - {title}", flush=True)
            for line in traceback.format_exc().splitlines():
                print("# " + line, flush=True)
            logs = module.stack.compose("logs", "--tail", "30", check=False).stdout
            for line in logs.splitlines():
                print("# " + line, flush=True)
    print(f"1..{number}", flush=True)
    sys.exit(1 if failed else 0)
