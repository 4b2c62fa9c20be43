"""What the tests of the program historian share: TAP, the program, and SQL on the runner's cluster."""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
import e2e  # noqa: E402
from e2e import done, free_port, ok, same, wait_until  # noqa: E402,F401

HISTORIAN = os.path.join(ROOT, "build", "historian")
CONNINFO = os.environ["HISTORIAN_CONNINFO"]
PSQL = os.path.join(e2e.bindir(), "psql")
directory = tempfile.mkdtemp(prefix="command-", dir=os.environ.get("HISTORIAN_TEST_DIR", "/var/tmp"))
os.chmod(directory, 0o755)


def historian(*arguments, stdin=None, database=CONNINFO, **keywords):
    """Runs the program on the database; its result has returncode, stdout and stderr as text."""
    command = [HISTORIAN, arguments[0], *(["-d", database] if database else []), *arguments[1:]]
    result = subprocess.run(command, input=stdin.encode() if isinstance(stdin, str) else stdin, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, timeout=60, **keywords)
    result.stdout, result.stderr = result.stdout.decode(errors="replace"), result.stderr.decode(errors="replace")
    return result


def path(name):
    return os.path.join(directory, name)


def write(name, data):
    """Writes a file of the test's directory; returns its path."""
    with open(path(name), "wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
    return path(name)


def psql(sql, conninfo=CONNINFO):
    return subprocess.run([PSQL, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", conninfo, "-c", sql],
                          stdout=subprocess.PIPE, check=True).stdout


def sql(text, conninfo=CONNINFO):
    return psql(text, conninfo).decode().strip()


def table(name, more="USING historian"):
    sql("DROP TABLE IF EXISTS %s CASCADE; CREATE TABLE %s (time bigint, tag text, values float8[]) %s"
        % (name, name, more))


def rows(name, where="true"):
    """The rows as (time, tag, [value or None]), in order of tag and time."""
    found = []
    for line in sql("SELECT time, tag, values FROM %s WHERE %s ORDER BY tag COLLATE \"C\", time"
                    % (name, where)).splitlines():
        time, tag, values = line.split("|")
        inner = values.strip("{}")
        found.append((int(time), tag, [None if value == "NULL" else float(value)
                                       for value in inner.split(",")] if inner else []))
    return found
