"""cluster.py: a PostgreSQL of a test's own, as the tests of backups need it."""
import os
import subprocess

import guide

CHECKSUM = "SELECT count(*), coalesce(sum(hashtextextended(m::text, 0)::numeric), 0) FROM measurement m"
COMMON = os.path.join(guide.ROOT, "scripts/common.sh")
TABLE = "CREATE EXTENSION historian; CREATE TABLE measurement (time bigint, tag text, values float8[]) USING historian"


class Cluster:
    """A PostgreSQL in a folder of its own, under the user that the suite's runs under; no TCP."""

    def __init__(self, folder, name):
        self.data, self.folder = os.path.join(folder, name), folder
        self.env = dict(guide.environment(guide.CONNINFO), PGHOST=folder, PGPORT="5433", PGDATABASE="postgres")

    def command(self, text):
        """A command of a shell, as that user."""
        script = f"cd {guide.ROOT} && . {COMMON} && cd {self.folder} && as_user \"$(cluster_user)\" env PATH=$(bindir):$PATH sh -euc \"$1\""
        done = subprocess.run(["bash", "-c", script, "sh", text], env=self.env, capture_output=True, text=True, check=False, timeout=guide.TIMEOUT_S)
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout

    def append(self, *lines):
        self.command("cat >>%s/postgresql.conf <<'END'\n%s\nEND" % (self.data, "\n".join(lines)))

    def start(self):
        self.command(f"pg_ctl -s -w -D {self.data} -l {self.data}.log -o '-k {self.folder} -p 5433 -h \"\"' start >/dev/null")

    def stop(self):
        self.command(f"pg_ctl -s -w -m fast -D {self.data} stop >/dev/null")

    def sql(self, statement, database="postgres"):
        done = subprocess.run(["psql", "-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", database], input=statement,
                              env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]


def insert(cluster, first, count):
    cluster.sql(f"""INSERT INTO measurement SELECT i * 1000, 'tag ' || i % 7, ARRAY[i, 'NaN', NULL, 1e300 / i]::float8[]
                    FROM generate_series({first}, {first + count - 1}) i""")
