#!/usr/bin/python3
"""historian token: makes, lists and removes tokens, whatever else happens to the file."""
import hashlib
import os
import re
import stat
import subprocess
import threading

from command import HISTORIAN, done, historian, ok, path, same, write

FILE = path("tokens")


def token(action, *options, file=FILE):
    return historian("token", action, "--file", file, *options, database=None)


def text():
    with open(FILE, encoding="utf-8") as file:
        return file.read()


made = token("new", "--name", "a", "--scope", "write", "--prefix", "plant 1/%")
ok(re.fullmatch(r"hst_[A-Za-z0-9_-]{43}\n", made.stdout) and made.returncode == 0, "a token is printed", made.stdout + made.stderr)
same(text(), "a write:plant%%201/%%25 sha256:%s\n" % hashlib.sha256(made.stdout.strip().encode()).hexdigest(), "its hash is in the file")
same(stat.S_IMODE(os.stat(FILE).st_mode), 0o600, "which is for its owner alone")
ok("hst_" not in text(), "the token is not")

again = token("new", "--name", "a", "--scope", "read")
ok(again.returncode == 1 and again.stdout == "" and "remove it first" in again.stderr, "a name is taken once", again.stderr)
tokens = {token("new", "--name", "n%d" % i, "--scope", "read").stdout for i in range(5)}
same(len(tokens), 5, "tokens differ")

os.chmod(FILE, 0o640)
with open(FILE, "a", encoding="utf-8") as file:
    file.write("# a comment\n\n")
same(token("new", "--name", "b c", "--scope", "read,admin", "--role", "an alyst").returncode, 0, "names may have blanks")
ok("# a comment\n\nb%20c read,admin role=an%20alyst sha256:" in text(), "comments stay", text())
same(stat.S_IMODE(os.stat(FILE).st_mode), 0o640, "and the mode")
same(token("new", "--name", "gateway", "--scope", "write:x/", "--certificate").stdout, "", "a certificate has no token")
listed = token("list")
same([line.split()[0] for line in listed.stdout.splitlines()], ["a", "n0", "n1", "n2", "n3", "n4", "b", "gateway"], "list")
ok("sha256" not in listed.stdout and not re.search("[0-9a-f]{20}", listed.stdout), "it shows no hash", listed.stdout)
same(token("remove", "--name", "b c").returncode, 0, "remove")
ok("b%20c" not in text() and "# a comment" in text(), "only that is removed", text())
same(token("remove", "--name", "b c").returncode, 1, "what is not there cannot be removed")
same(token("list", file=path("nothing")).returncode, 1, "nor listed")

for name, options in (("no name", ["--scope", "read"]), ("no scope", ["--name", "x"]), ("a wrong scope", ["--name", "x", "--scope", "reed"]),
                      ("an empty scope", ["--name", "x", "--scope", "read,"]), ("an empty name", ["--name", "", "--scope", "read"]),
                      ("a long name", ["--name", "x" * 64, "--scope", "read"]), ("a long prefix", ["--name", "x", "--scope", "read", "--prefix", "x" * 257]),
                      ("a role none", ["--name", "x", "--scope", "read", "--role", "none"]), ("two prefixes", ["--name", "x", "--scope", "read:a", "--prefix", "b"]),
                      ("a line end", ["--name", "x\ny", "--scope", "read"])):
    before = text()
    result = token("new", *options)
    ok(result.returncode == 2 and result.stdout == "" and text() == before, name + " is a wrong command line", result.stdout + result.stderr)
same(historian("token", "make", "--file", FILE, database=None).returncode, 2, "an unknown action")

damaged = write("damaged", "nonsense\n")
result = token("new", "--name", "x", "--scope", "read", file=damaged)
ok(result.returncode == 1 and "line 1" in result.stderr and open(damaged).read() == "nonsense\n", "a damaged file is left alone", result.stderr)

link = path("link")
os.symlink(FILE, link)
same(token("new", "--name", "linked", "--scope", "read", file=link).returncode, 0, "through a link")
ok(os.path.islink(link) and "linked read" in text(), "which stays one")

# Many at a time: none is lost, and no reader sees half a file.
halves = []
stopped = threading.Event()


def look():
    while not stopped.is_set():
        if not re.fullmatch(r"(?:(?:#.*|\S+ \S+ (?:sha256:[0-9a-f]{64}|certificate))?\n)*", text()):
            halves.append(text())


looker = threading.Thread(target=look)
looker.start()
processes = [subprocess.Popen([HISTORIAN, "token", "new", "--file", FILE, "--name", "p%d" % i, "--scope", "read"], stdout=subprocess.PIPE)
             for i in range(20)]
same([process.wait(60) for process in processes], [0] * 20, "20 at a time")
stopped.set()
looker.join()
same(sorted(re.findall(r"^p\d+", text(), re.M)), sorted("p%d" % i for i in range(20)), "all are there")
same(halves, [], "and the file was always whole")

with open("/dev/full", "w", encoding="utf-8") as full:
    result = subprocess.run([HISTORIAN, "token", "new", "--file", FILE, "--name", "unseen", "--scope", "read"], stdout=full, stderr=subprocess.PIPE, timeout=60)
ok(result.returncode == 1 and b"remove it" in result.stderr, "a token that cannot be printed is told", result.stderr)
done()
