"""cluster.py: a PostgreSQL of a test's own, which it may restart, crash and stop for a while."""
import atexit
import os
import signal
import subprocess

import historiand
from historiand import temporary_directory, wait_for

TOP = os.path.join(historiand.HERE, "../..")


def process_state(pid):
    """The state of proc(5), a letter."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0]


class Cluster:
    """Is started, and then the one that historiand.Server and historiand.sql use."""

    def __init__(self):
        directory = temporary_directory()
        os.chmod(directory, 0o755)
        self.data = os.path.join(directory, "data")
        self.environment = {**os.environ, "DATADIR": self.data}
        self.stopped = []
        atexit.register(self.end)
        self.do("create")
        with open(f"{self.data}/pgdata/postgresql.conf", "a", encoding="ascii") as settings:
            settings.write("fsync = off\n")
        self.do("start")
        historiand.CONNINFO = subprocess.run(["bash", "-c", ". scripts/common.sh && conninfo historian"], check=True, cwd=TOP,
                                             env=self.environment, capture_output=True, text=True).stdout.strip()

    def do(self, action):
        """scripts/cluster: start, stop, or kill, which is a crash."""
        subprocess.run([os.path.join(TOP, "scripts/cluster"), action], check=True, env=self.environment, cwd=TOP,
                       stdout=subprocess.DEVNULL)

    def restart(self, crash=False):
        self.do("kill" if crash else "stop")
        self.do("start")

    def processes(self):
        with open(f"{self.data}/pgdata/postmaster.pid", encoding="ascii") as file:
            postmaster = int(file.readline())
        with open(f"/proc/{postmaster}/task/{postmaster}/children", encoding="ascii") as file:
            return [postmaster] + [int(child) for child in file.read().split()]

    def hang(self):
        """From now on no process of it does anything; the sockets stay open."""
        # the postmaster first, which could start another one meanwhile
        self.stopped = self.processes()[:1]
        os.kill(self.stopped[0], signal.SIGSTOP)
        wait_for("the postmaster to stop", lambda: process_state(self.stopped[0]) == "T")
        self.stopped = self.processes()
        for process in self.stopped:
            os.kill(process, signal.SIGSTOP)

    def go_on(self):
        while self.stopped:
            try:
                os.kill(self.stopped.pop(), signal.SIGCONT)
            except ProcessLookupError:
                pass

    def end(self):
        self.go_on()
        self.do("kill")
