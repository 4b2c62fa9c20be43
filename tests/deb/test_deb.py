"""The installed packages in the Debian root that is the argument: what README.Debian says, the unit
as systemd would start it, and the main job.  tests/deb/run makes the root; nothing else has the
network here, so that the ports are those of the packages' own settings."""
import glob
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

ROOT = sys.argv[1]
TIMEOUT_S = 60
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

_count = 0
_failed = 0


def ok(right, name, detail=""):
    global _count, _failed
    _count += 1
    _failed += not right
    print("%sok %d - %s" % ("" if right else "not ", _count, name))
    if not right:
        print("\n".join("# " + line for line in str(detail).splitlines()[-40:]))
    sys.stdout.flush()


def chroot(*command, **keywords):
    """(exit status, output)"""
    done = subprocess.run(["chroot", ROOT, "env", "-i", "PATH=" + PATH, "LC_ALL=C.UTF-8", *command],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **keywords)
    return done.returncode, done.stdout


def read(path):
    with open(ROOT + path) as file:
        return file.read()


def allowed_calls(filters):
    """The system calls that a unit's SystemCallFilter lines leave, in their order (systemd.exec)."""
    def expand(name):
        if not name.startswith("@"):
            return {name}
        lines = chroot("systemd-analyze", "syscall-filter", name)[1].splitlines()[1:]
        return set().union(*(expand(line.strip()) for line in lines
                             if line.strip() and "#" not in line))
    allowed = set()
    for line in filters:
        names = set().union(*map(expand, line.lstrip("~").split()))
        allowed = allowed - names if line.startswith("~") else allowed | names
    return allowed


class Unit:
    """The unit's program, started as systemd would start it, as far as that goes without it."""

    def __init__(self):
        self.settings = {}
        for line in read("/lib/systemd/system/historiand.service").splitlines():
            name, equals, value = line.partition("=")
            if equals and not line.startswith("#"):
                self.settings[name] = value
        self.messages = []
        path = ROOT + "/run/notify"
        if os.path.exists(path):
            os.remove(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        os.chdir(ROOT + "/run")  # a socket's path has an end
        self.socket.bind("notify")
        os.chmod("notify", 0o777)
        user = self.settings["User"]
        state = "/var/lib/" + self.settings["StateDirectory"]
        chroot("install", "-d", "-o", user, "-g", user, "-m",
               self.settings["StateDirectoryMode"], state)
        self.log = open(os.path.dirname(ROOT) + "/historiand.log", "w+")
        self.process = subprocess.Popen(
            ["chroot", ROOT, "env", "-i", "PATH=" + PATH, "NOTIFY_SOCKET=/run/notify",
             "WATCHDOG_USEC=30000000", "STATE_DIRECTORY=" + state,
             "setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs",
             "--bounding-set=-all"] + self.settings["ExecStart"].split(),
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def wait_for(self, message):
        """Until the program has notified it; False where it does not."""
        deadline = time.monotonic() + TIMEOUT_S
        while message not in self.messages and time.monotonic() < deadline:
            self.socket.settimeout(0.5)
            try:
                self.messages.append(self.socket.recv(4096).decode())
            except socket.timeout:
                if self.process.poll() is not None:
                    return False
        return message in self.messages

    def output(self):
        self.log.seek(0)
        return self.log.read()


def request(method, path, body=None):
    """(status, body)"""
    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=TIMEOUT_S)
    connection.request(method, path, body)
    response = connection.getresponse()
    return response.status, response.read()


def readme_debian(version):
    """The lines to type as root in README.Debian, but for systemctl: there is no systemd here."""
    block = read("/usr/share/doc/historiand/README.Debian").split("on this machine:\n\n")[1]
    for line in block.split("\n\n")[0].splitlines():
        line = line.strip()
        if line == "systemctl restart postgresql":
            line = "pg_ctlcluster %s main restart" % version
        elif line.startswith("systemctl"):
            ok(line == "systemctl enable --now historiand", "README.Debian then enables historiand")
            continue
        status, output = chroot("sh", "-c", line)
        ok(status == 0 and "ERROR" not in output, "README.Debian: " + line, output)


def main_job():
    now = time.time_ns()
    body = '{"time":%d,"tag":"boiler","values":[71.3,1.02]}' % now
    status, answer = request("POST", "/save?ack=committed", body)
    ok(status == 204, "a message is committed", answer)
    status, answer = request("GET", "/api?tag=boiler&start=%d&end=%d&samples=2" % (now - 10, now))
    ok(status == 200 and [sample["values"] for sample in json.loads(answer)["samples"]] ==
       [None, [71.3, 1.02]], "and read back", answer)
    status, output = chroot("runuser", "-u", "historiand", "--", "historian", "export", "-d", "host=/run/postgresql dbname=historian",
                            "--precision", "ns", "boiler")
    ok(status == 0 and output == "time,tag,value_1,value_2\n%d,boiler,71.3,1.02\n" % now, "historian exports it", output)
    status, output = chroot("historian", "doctor", "-d", "host=/run/postgresql dbname=historian user=historiand", "-U", "nobody7")
    ok(status == 1 and "cure: " in output, "historian doctor has a cure for a role that is not there", output)
    status, output = chroot("historian-producer", "--rate", "10000", "--duration", "10")
    ok(status == 0, "historian-producer sends 10,000 messages/s", output)
    status, output = chroot("historian-client", "--finished", "--duration", "5")
    ok(status == 0, "historian-client finds every value that it checks", output)


def retention():
    """A policy is kept by the background worker of the packages."""
    def psql(statement):
        return chroot("runuser", "-u", "postgres", "--", "psql", "-XAtc", statement, "historian")
    status, output = psql("INSERT INTO measurement VALUES (historian.to_ns(now() - interval '91 days'), 'old', '{1}');"
                          "SELECT historian.set_retention('measurement', '90 days')")
    ok(status == 0, "a retention policy is made", output)
    deadline = time.monotonic() + TIMEOUT_S
    wanted = (0, "1\n")
    kept = "SELECT rows_removed FROM historian.stat_retention WHERE last_error IS NULL"
    while psql(kept) != wanted and time.monotonic() < deadline:
        time.sleep(0.2)
    ok(psql(kept) == wanted and psql("SELECT count(*) FROM measurement WHERE tag = 'old'") == (0, "0\n"),
       "and kept: the old row is removed", psql("SELECT * FROM historian.stat_retention"))


def remove(version):
    """docs/install.md, "Remove": its statements and commands in their order; there is no systemd here."""
    with open(os.path.join(os.path.dirname(__file__), "../../docs/install.md")) as file:
        section = file.read().split("## Remove\n")[1].split("\n## ")[0]
    commands = 0
    for sql, command in re.findall(r"^   ```sql\n(.*?)^   ```$|^       (\S[^\n]*)$", section, re.M | re.S):
        if sql:
            command = "runuser -u postgres -- psql -v ON_ERROR_STOP=1 historian -c \"%s\"" % "\" -c \"".join(
                statement.replace('"', '\\"') for statement in sql.strip().split("\n"))
        command = re.sub("^systemctl restart postgresql$", "pg_ctlcluster %s main restart" % version, command)
        command = re.sub("^apt-get purge", "apt-get purge -y", command)
        if command.startswith("systemctl"):
            continue
        if command == "runuser -u postgres -- dropdb historian":
            count = chroot("runuser", "-u", "postgres", "--", "psql", "-XAtc",
                           "SELECT count(*) > 100000 FROM measurement", "historian")
            ok(count == (0, "t\n"), "the rows that were kept are there without the packages", count)
            ok(not os.path.exists(ROOT + "/etc/historiand/historiand.conf") and
               os.path.exists(ROOT + "/var/lib/historiand"), "settings are gone, the spool stays")
        status, output = chroot("sh", "-c", command)
        ok(status == 0 and "ERROR" not in output, "removal: " + command.split("\n")[0], output)
        commands += 1
    ok(commands == 11, "all commands of the page were run", commands)
    left = chroot("sh", "-c", "ls -d /usr/lib/postgresql/*/lib/historian* /usr/share/historiand /etc/historiand "
                  "/var/lib/historiand /usr/bin/historian* 2>/dev/null")[1]
    ok(left == "", "nothing is left", left)
    ok("historiand" not in read("/etc/passwd"), "nor a user", read("/etc/passwd"))
    status, output = chroot("pg_ctlcluster", version, "main", "stop")
    ok(status == 0, "PostgreSQL stops", output)


def main():
    version, = [os.path.basename(path) for path in glob.glob(ROOT + "/usr/lib/postgresql/*")]
    for page in "man8/historiand.8", "man1/historian.1", "man1/historian-producer.1", "man1/historian-client.1":
        ok(os.path.exists("%s/usr/share/man/%s.gz" % (ROOT, page)), "there is a man page " + page)
    for name in "sql.md", "examples/alerts.yml", "examples/dashboards/operations.json":
        ok(os.path.exists("%s/usr/share/doc/historiand/%s" % (ROOT, name)), "the documentation has " + name)
    status, output = chroot("systemd-analyze", "verify", "--man=no",
                            "/lib/systemd/system/historiand.service")
    ok(status == 0 and "historiand.service:" not in output, "systemd-analyze verify", output)
    status, output = chroot("systemd-analyze", "security", "--offline=true", "--threshold=20",
                            "/lib/systemd/system/historiand.service")
    ok(status == 0, "systemd-analyze security: exposure at most 2.0", output)
    allowed = allowed_calls(re.findall("^SystemCallFilter=(.*)$", read(
        "/lib/systemd/system/historiand.service"), re.M))
    ok("setpriority" in allowed and "sched_setscheduler" not in allowed,
       "the unit lets --load-nice set a priority")
    entry = re.search(r"^historiand:[^:]*:(\d+):", read("/etc/passwd"), re.M)
    ok(entry and int(entry[1]) < 1000, "historiand is a system user", read("/etc/passwd"))
    owner = os.stat(ROOT + "/etc/historiand/tokens")
    status, output = chroot("setpriv", "--reuid", "historiand", "--regid", "historiand", "--clear-groups", "historian", "token", "list",
                            "--file", "/etc/historiand/tokens")
    ok(status == 0 and output.split()[:2] == ["admin", "admin"] and owner.st_uid == 0 and owner.st_mode & 0o777 == 0o640,
       "the installation has made a token, which historiand reads and does not write", output)
    links = glob.glob(ROOT + "/etc/systemd/system/*/historiand.service")
    ok(links == [], "nothing is enabled before there is a database", links)

    chroot("pg_ctlcluster", version, "main", "start")
    readme_debian(version)
    status, output = chroot("setpriv", "--reuid", "historiand", "--regid", "historiand",
                            "--clear-groups", "historiand", "--config",
                            "/etc/historiand/historiand.conf", "--check-config")
    ok(status == 0 and "valid" in output, "--check-config takes the configuration", output)
    unit = Unit()
    try:
        ok(unit.wait_for("READY=1"), "READY=1 is notified", unit.output())
        deadline = time.monotonic() + TIMEOUT_S
        while request("GET", "/readyz")[0] != 200 and time.monotonic() < deadline:
            time.sleep(0.05)
        ok(request("GET", "/readyz")[0] == 200, "the database is reached", unit.output())
        main_job()
        ok(unit.wait_for("WATCHDOG=1"), "WATCHDOG=1 is notified", unit.messages)
        unit.process.send_signal(signal.SIGTERM)
        ok(unit.wait_for("STOPPING=1"), "SIGTERM: STOPPING=1 is notified", unit.output())
        ok(unit.process.wait(TIMEOUT_S) == 0, "and it ends with 0", unit.output())
    finally:
        unit.process.kill()
        unit.process.wait()
    count = chroot("runuser", "-u", "postgres", "--", "psql", "-XAtc",
                   "SELECT count(*) > 100000 FROM measurement", "historian")
    ok(count == (0, "t\n"), "the table has all of it", count)
    retention()
    remove(version)
    print("1..%d" % _count)
    sys.exit(_failed > 0)


main()
