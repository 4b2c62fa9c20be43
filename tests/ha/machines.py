"""machines.py: machines that are network namespaces on one bridge, and what can go wrong with them.

The test runs in namespaces of its own (tests/ha/run): network, mounts, processes, IPC.  Whatever it starts ends
with it, no packet leaves it, and the processes of a machine are those of its network namespace.
"""
import errno
import os
import signal
import struct
import subprocess
import threading
import time

WORK = os.environ["HA_WORK"]
NETWORK = "10.99.0."


def sh(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def wait_for(what, condition, seconds=60, every=0.2):
    """Polls until condition() is true; fails with what it waited for."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < end, f"waited {seconds} s in vain for: {what}"
        time.sleep(every)


def wait_while_moving(what, condition, progress, still_seconds, seconds):
    """Polls until condition() is true, as long as progress() changes now and then; fails with what it last was.

    A machine that is busy with other work makes what recovers slow, and that is no fault; to stand still is one.
    """
    begin = moved = time.monotonic()
    last = progress()
    while not condition():
        time.sleep(0.5)
        current, now = progress(), time.monotonic()
        if current != last:
            last, moved = current, now
        assert now - moved < still_seconds, f"nothing moves since {still_seconds} s, waiting for {what}: {last}"
        assert now - begin < seconds, f"waited {seconds} s in vain for {what}: {last}"
    return True


def make_bridge():
    sh("ip", "link", "set", "lo", "up")
    sh("ip", "link", "add", "br0", "type", "bridge")
    sh("ip", "addr", "add", NETWORK + "1/24", "dev", "br0")
    sh("ip", "link", "set", "br0", "up")


class Machine:
    """One machine; command is its service, which is started again some time after its end.

    Its disk is memory, of a size that can be used up, unless disk_mb is None: then it is the real one.
    """

    number = 10

    def __init__(self, name, user, disk_mb):
        self.name, self.user = name, user
        Machine.number += 1
        self.address = NETWORK + str(Machine.number)
        self.directory = os.path.join(WORK, name)
        os.makedirs(self.directory)
        if disk_mb is not None:
            sh("mount", "-t", "tmpfs", "-o", f"size={disk_mb}m,mode=755", name, self.directory)
        sh("chown", user, self.directory)
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
        self.ns = f"/proc/{self.holder.pid}/ns/net"
        own = os.readlink("/proc/self/ns/net")
        wait_for("a namespace", lambda: os.readlink(self.ns) != own, 10, 0.01)
        self.ns_id = os.readlink(self.ns)
        outer = f"v{Machine.number}"
        sh("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", str(self.holder.pid))
        sh("ip", "link", "set", outer, "master", "br0", "up")
        self.inside("ip", "addr", "add", self.address + "/24", "dev", "eth0")
        self.inside("ip", "link", "set", "eth0", "up")
        self.inside("ip", "link", "set", "lo", "up")
        self.command, self.environment = None, {}
        self.process = None
        self.down_until = 0.0
        self.stopping = False
        self.watcher = None

    def inside(self, *command):
        return sh("nsenter", "--net=" + self.ns, *command)

    def _start(self):
        with open(os.path.join(WORK, self.name + ".log"), "ab") as log:
            self.process = subprocess.Popen(
                ["nsenter", "--net=" + self.ns, "setpriv", "--reuid", self.user, "--regid", self.user,
                 "--clear-groups", *self.command],
                env={**os.environ, **self.environment}, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, cwd=self.directory, start_new_session=True)

    def start(self, command, **environment):
        """Starts the service and sees to it from then on, as an init system does."""
        self.command, self.environment = command, environment
        self._start()
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.watcher.start()

    def _watch(self):
        while not self.stopping:
            if self.process.poll() is not None:
                if time.monotonic() >= self.down_until:
                    self._start()
            time.sleep(0.5)

    def pids(self):
        found = []
        for entry in os.listdir("/proc"):
            try:
                if entry.isdigit() and int(entry) != self.holder.pid and \
                        os.readlink(f"/proc/{entry}/ns/net") == self.ns_id:
                    found.append(int(entry))
            except OSError:
                pass
        return found

    def signal(self, number, program=None):
        """To all of the machine's processes, or to those of one program."""
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/comm", encoding="ascii") as file:
                    name = file.read().strip()
                if program in (None, name):
                    os.kill(pid, number)
            except OSError:
                pass

    def kill(self, down_seconds):
        """Power off: every process at once; the service starts again down_seconds later."""
        self.down_until = time.monotonic() + down_seconds
        self.signal(signal.SIGSTOP)     # or else some would see others end
        self.signal(signal.SIGKILL)

    def restart(self, down_seconds=0.0):
        """As an init system does: SIGTERM, and the service starts again after its end."""
        self.down_until = time.monotonic() + down_seconds
        self.process.terminate()

    def stop(self, seconds=60):
        """The service ends, and stays away until start()."""
        self.stopping = True
        self.watcher.join()
        self.process.terminate()
        self.process.wait(seconds)
        self.stopping = False

    def cut(self, *chains):
        """Drops what comes in (INPUT), what goes out (OUTPUT), or both, without a word."""
        for chain in chains:
            device = "-i" if chain == "INPUT" else "-o"
            self.inside("iptables", "-w", "-A", chain, device, "eth0", "-j", "DROP")

    def mend(self):
        self.inside("iptables", "-w", "-F")

    def fill(self):
        """Takes all room on the disk; what others free is free."""
        with open(os.path.join(self.directory, "filler"), "wb", buffering=0) as file:
            for size in (2**20, 2**12):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def empty(self):
        try:
            os.unlink(os.path.join(self.directory, "filler"))
        except FileNotFoundError:
            pass

    def step_clock(self, seconds):
        """The clock of the machine's processes is late or early by so much from now on."""
        with open(self.clock_path(), "r+b") as file:
            file.write(struct.pack("=q", seconds))

    def clock_path(self):
        return os.path.join(WORK, self.name + ".clock")

    def clock_environment(self):
        """What gives the service's processes a clock that can step, as NAME=VALUE."""
        with open(self.clock_path(), "wb") as file:
            file.write(bytes(8))
        return ["LD_PRELOAD=" + os.path.join(WORK, "clock_step.so"), "CLOCK_STEP_FILE=" + self.clock_path()]
