"""make run, from outside: start, stop, start again, beside another one, and in awkward places."""
import json
import os
import pty
import re
import signal
import subprocess

import e2e
from e2e import ok, same

MESSAGE = b'{"time":%d,"tag":"run","values":[1.5,2.5]}'


def start_stop():
    with e2e.Run(command=("make", "run")) as run:
        same(run.post(MESSAGE % 1, "?ack=committed")[0], 204, "a message is committed")
        same(run.post(MESSAGE % 2)[0], 202, "another one is received only")
        output = run.output()
        for word in "http://127.0.0.1:%d" % run.port, "curl -i", "/api?tag=", "psql \"host=":
            ok(word in output, "make run prints %s" % word, output)
        conninfo = subprocess.run(["make", "-s", "conninfo"], cwd=e2e.ROOT, env=run.env,
                                  stdout=subprocess.PIPE, text=True).stdout.strip()
        ok("psql \"%s\"" % conninfo in output, "make -s conninfo prints the same", conninfo)
        nowhere = subprocess.run(["scripts/conninfo"], cwd=e2e.ROOT, env=dict(run.env, DATADIR=run.datadir + "/no"),
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        ok(nowhere.returncode == 0 and "no server of make run has its data in %s/no;" % run.datadir in nowhere.stderr,
           "and says where no server is", nowhere.stderr)
        other = e2e.Run(port=run.port)
        ok(other.process.wait(e2e.TIMEOUT_S) == 1 and
           "port %d is taken" % run.port in other.output(), "a taken port is said", other.output())
        for wrong in "abc", "0", "65536":
            other = e2e.Run(port=wrong)
            ok(other.process.wait(e2e.TIMEOUT_S) == 1 and "is not a port" in other.output() and
               not os.path.exists(other.datadir), "the port \"%s\" is refused before anything is made"
               % wrong, other.output())
        other = e2e.Run(datadir=run.datadir)
        ok(other.process.wait(e2e.TIMEOUT_S) == 1 and "in use" in other.output(),
           "a data directory in use is said", other.output())
        postmaster = run.postmaster()
        with e2e.Run() as beside:
            ok(beside.get("/readyz")[0] == 200 and run.get("/readyz")[0] == 200,
               "two copies run beside each other")
            same(beside.sql("SELECT count(*) FROM measurement"), "0", "each with data of its own")
        # make itself dies of the signal, as make does, once what it runs has ended.
        same(run.stop(), -signal.SIGTERM, "SIGTERM to make ends it")
        ok(e2e.has_ended(postmaster), "PostgreSQL has ended")
    stopped_cleanly(run, "and was shut down cleanly")
    return run


def readme():
    """The README's first lines to type, as they stand there but for the port."""
    with open(os.path.join(e2e.ROOT, "README.md")) as file:
        text = file.read().split("In another terminal", 1)[1]
    lines = []
    for line in text.split("\n\n")[1].splitlines():
        lines.append(line.strip())
    with e2e.Run() as run:
        script = "\n".join(lines).replace(":8080", ":%d" % run.port)
        env = dict(run.env, PATH=e2e.bindir() + ":" + os.environ["PATH"])
        shell = subprocess.run(["bash", "-ec", script], cwd=e2e.ROOT, env=env, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    ok(shell.returncode == 0 and "202 Accepted" in shell.stdout, "the README's POST works",
       script + "\n" + shell.stdout)
    # How many depends on how long the machine takes.
    ok(re.search(r'("values":null\}.*){3}"values":\[71\.3,1\.02\]\}\]\}', shell.stdout),
       "its GET answers with nulls, and then the message", shell.stdout)
    ok("| boiler |" in shell.stdout, "its psql shows the row", shell.stdout)


def tutorial():
    """The commands of docs/tutorial.md, one after the other; below a command is what it prints."""
    with open(os.path.join(e2e.ROOT, "docs/tutorial.md")) as file:
        text = file.read()
    blocks = re.findall(r"^```(sh|text)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    commands = [(command, following[1] if following[0] == "text" else "")
                for (kind, command), following in zip(blocks, blocks[1:] + [("", "")]) if kind == "sh"]
    (install, _), (start, _) = commands[:2]
    same(start, "make run\n", "the tutorial starts with make run")
    simulated = install.replace("sudo apt-get install", "apt-get install --simulate")
    same(subprocess.run(["sh", "-ec", simulated], stdout=subprocess.DEVNULL).returncode, 0,
         "the packages that it installs before are there")
    with e2e.Run(command=start.split()) as run:
        env = dict(run.env, PATH=e2e.bindir() + ":" + os.environ["PATH"])
        for command, expected in commands[2:]:
            here = command.replace(":8080", ":%d" % run.port).replace("historian-producer ", "historian-producer --url http://127.0.0.1:%d " % run.port)
            shell = subprocess.run(["sh", "-ec", here.replace("--duration 10m", "--duration 3")], cwd=e2e.ROOT,
                                   env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            took = r" in [\d.]+ s, \d+ rows/s"    # of historian import
            ok(shell.returncode == 0 and (not expected or
                                          re.sub(took, "", shell.stdout.strip()) == re.sub(took, "", expected.strip())),
               "the tutorial: " + command.splitlines()[0], "%d\n%s" % (shell.returncode, shell.stdout))
        os.remove(os.path.join(e2e.ROOT, "oven.csv"))
        live = "rotterdam/crude-distillation/pump-00000/valve"
        for tag in "oven", live:
            ok("#tag=" + tag in text and run.get("/tags/" + tag)[0] == 200 and
               json.loads(run.get("/tags/" + tag)[1])["samples"] > 0, "the tutorial's chart of %s has samples" % tag)
    same(len(commands), 13, "every command of the tutorial was run")


def stopped_cleanly(run, name):
    """PostgreSQL says so a moment after the removal of its lock file, which is its end to pg_ctl."""
    def last_line():
        with open(os.path.join(run.datadir, "postgresql.log")) as file:
            return "database system is shut down" in file.read().splitlines()[-1]

    ok(e2e.wait_until(last_line, "PostgreSQL says that it is shut down"), name)


def start_again(run):
    with e2e.Run(datadir=run.datadir) as again:
        same(again.sql("SELECT count(*) FROM measurement"), "2", "both messages are there again")
        same(again.stop(signal.SIGINT), 0, "SIGINT ends it with 0")
    stopped_cleanly(again, "and PostgreSQL cleanly")


def control_c(run):
    """Ctrl-C on a terminal, where make is in the same group."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(e2e.ROOT)
        os.execvpe("make", ["make", "run"], dict(run.env))
    output = b""
    while b"Ctrl-C" not in output:
        output += os.read(terminal, 4096)
    os.write(terminal, b"\x03")
    try:
        while True:
            output += os.read(terminal, 4096)
    except OSError:
        pass
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    same(status, 0, "Ctrl-C ends make run with 0")
    ok(b"***" not in output, "and make complains of nothing", output.decode())
    stopped_cleanly(run, "PostgreSQL has ended cleanly")


def awkward_places():
    for what, name in ("a path of 200 bytes", "d" * 100 + "/" + "e" * 90), ("a blank and a quote", "it's here"):
        with e2e.Run(datadir=os.path.join(e2e.new_directory(), name)) as run:
            same(run.post(MESSAGE % 1, "?ack=committed")[0], 204, "%s: works" % what)
            same(run.sql("SELECT count(*) FROM measurement"), "1", "%s: psql too" % what)
    if os.getuid() == 0:
        private = e2e.new_directory()
        os.chmod(private, 0o700)
        with e2e.Run(datadir=os.path.join(private, "data")) as run:
            same(run.sql("SELECT count(*) FROM measurement"), "0",
                 "a directory that only root may enter: works")
            ok(os.path.islink(run.datadir) and run.datadir + " is a link to" in run.output(),
               "and it is said where the data is", run.output())
        place = os.path.realpath(run.datadir)
        subprocess.run(["rm", "-rf", place, private], check=True)


run = start_stop()
start_again(run)
control_c(run)
awkward_places()
readme()
tutorial()
e2e.done()
