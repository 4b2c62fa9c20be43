"""guide.py: what the tests of the guides share: a database and a historiand of their own, the fenced blocks of a
page, and programs that run them.

A block "text" below another one is what that one prints. A program that is not installed skips its blocks.
"""
import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "../.."))
# behind this folder, whose cluster.py is another than that of http/
sys.path[1:1] = [os.path.join(ROOT, "tests/e2e"), os.path.join(ROOT, "tests/http")]
# pylint: disable=wrong-import-position
from e2e import done, ok, same, skip        # noqa: F401 (for the tests)
from historiand import CONNINFO, Server, sql as admin_sql, wait_for      # noqa: F401

ADDRESS = "127.0.0.1:8080"
TIMEOUT_S = 120
TOOK = r" in [\d.]+ s, \d+ rows/s"     # of historian import


def connection(database):
    """The connection string of another database of the suite's server."""
    return re.sub(r"\bdbname=\S+", f"dbname={database}", CONNINFO)


def environment(conninfo, **more):
    """The environment with libpq's variables for a connection string."""
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
    variables = {names[name]: value.strip("'") for name, value in re.findall(r"(\w+)=('[^']*'|\S+)", conninfo)}
    return dict(os.environ, PGOPTIONS="-c timezone=UTC", TZ="UTC",
                NODE_PATH=os.path.join(ROOT, "build/guides/node_modules"),
                PATH=os.path.join(ROOT, "build") + ":" + os.environ["PATH"], **variables, **more)


class Place:
    """A database as scripts/database.sql makes it, historiand before it, and a folder to run commands in."""

    def __init__(self, database, **settings):
        self.conninfo = connection(database)
        admin_sql(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        admin_sql(f"CREATE DATABASE {database}")
        self.env = environment(self.conninfo)
        self.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", os.path.join(ROOT, "scripts/database.sql")], "")
        self.server = Server(table="measurement", conninfo=self.conninfo, **settings)
        self.folder = tempfile.mkdtemp(prefix="guide-", dir=os.environ.get("HISTORIAN_TEST_DIR"))
        atexit.register(self.leave, database)

    def leave(self, database):
        self.server.kill()
        shutil.rmtree(self.folder)
        admin_sql(f"DROP DATABASE {database} WITH (FORCE)")

    def run(self, command, text):
        """What it printed; raises where it failed."""
        finished = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
                                  env=self.env, cwd=getattr(self, "folder", "/"))
        if finished.returncode != 0 or finished.stderr != "":
            raise AssertionError(f"{command} exited with {finished.returncode}\n{finished.stdout}{finished.stderr}")
        return finished.stdout

    def sql(self, statement):
        """Rows as lists of strings."""
        return [line.split("\t") for line in
                self.run(["psql", "-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1"], statement).splitlines()]

    def here(self, text):
        return text.replace(ADDRESS, f"127.0.0.1:{self.server.port}")


def succeeds(*command):
    return shutil.which(command[0]) is not None and \
        subprocess.run(command, capture_output=True, check=False, env=environment(CONNINFO)).returncode == 0


def python(text):
    """An interpreter that has the modules that a program imports."""
    modules = "import " + ", ".join(sorted(set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE))))
    for program in sys.executable, "/usr/bin/python3":
        if succeeds(program, "-c", modules):
            return [program, "-"]
    return None


def node(text):
    modules = re.findall(r"require\(\"([^\"]+)\"\)", text)
    there = succeeds("node", "-e", "fetch;" + "".join(f"require('{module}');" for module in modules))
    return ["node", "-"] if there else None


def duckdb(text):
    """DuckDB, if it can load the extensions that the statements install; none is where there is no network."""
    program = ["node", os.path.join(HERE, "duckdb.js")]
    install = subprocess.run(program, input="\n".join(re.findall(r"^INSTALL .*$", text, re.MULTILINE)), text=True, capture_output=True,
                             check=False, env=environment(CONNINFO), timeout=TIMEOUT_S) if shutil.which("node") else None
    return program if install is not None and install.returncode == 0 else None


def r(text):
    libraries = ";".join(re.findall(r"library\(\w+\)", text))
    return ["Rscript", "-"] if succeeds("Rscript", "-e", libraries or "1") else None


PROGRAMS = {
    "sh": lambda text: ["sh", "-eu"],
    "psql": lambda text: ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-P", "footer=off"],
    "python": python,
    "js": node,
    "duckdb": duckdb,
    "r": r,
}


def blocks(page):
    """(line, kind, text) of each fenced block of a page of docs/."""
    with open(os.path.join(ROOT, "docs", page), encoding="utf-8") as file:
        text = file.read()
    found = []
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        found.append((text.count("\n", 0, match.start()) + 1, match[1], match[2]))
    return found


def without_blanks(text):
    """psql ends titles with blanks, which no page has. How long something took differs, too."""
    return [re.sub(TOOK, "", line.rstrip()) for line in text.rstrip("\n").splitlines() if line.strip()]


def run_page(place, page, programs=None, others=()):
    """
    Runs the blocks of a page in their order, one test for each. Kinds in others are not run here.
    Returns how many were run.
    """
    found = blocks(page)
    programs = {**PROGRAMS, **(programs or {})}
    ran = 0
    for (line, kind, text), (_, next_kind, expected) in zip(found, found[1:] + [(0, "", "")]):
        if kind in ("text", *others):
            continue
        name = f"docs/{page}:{line}, {kind}"
        command = programs[kind](text)
        if command is None:
            skip(name, "a program or a module of it is missing")
            continue
        ran += 1
        try:
            output = place.run(command, place.here(text))
        except (AssertionError, subprocess.TimeoutExpired) as error:
            ok(False, name, error)
            continue
        if next_kind == "text":
            same(without_blanks(output), without_blanks(expected), name)
        elif kind in ("sql", "psql"):
            ok(True, name)
        else:
            same(output, "", name + " prints nothing")
    return ran
