#!/usr/bin/python3
"""docs/command.md: the examples print what is below them."""
import os
import re
import subprocess

from command import CONNINFO, HISTORIAN, ROOT, directory, done, e2e, ok, sql, write

FIGURES = re.compile(r"\d+\.\d+ s(, \d+ rows/s)?|\d+ bytes free|of \d+ ms")


def environment():
    """As a reader has it: the program in the PATH, and the database in variables."""
    env = dict(os.environ, PATH=":".join([os.path.dirname(HISTORIAN), e2e.bindir(), os.environ["PATH"]]))
    for part in re.findall(r"(\w+)=('(?:[^'\\]|\\.)*'|\S+)", CONNINFO):
        env[{"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}[part[0]]] = part[1].strip("'")
    return env


def main():
    with open(os.path.join(ROOT, "docs", "command.md"), encoding="utf-8") as file:
        text = file.read()
    sql("TRUNCATE measurement; DROP TABLE IF EXISTS copied; DELETE FROM historian.import_progress; DELETE FROM historian.tag")
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)
    for name, body in zip(("pumps.csv", "rig.csv"), [body for kind, body in blocks if kind == "csv"], strict=True):
        write(name, body)
    env = environment()
    for i, (kind, body) in enumerate(blocks):
        if kind != "sh":
            continue
        result = subprocess.run(["sh", "-euc", body], cwd=directory, env=env, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, timeout=60)
        ok(result.returncode == 0, "runs: " + body.splitlines()[0], result.stdout + result.stderr)
        if i + 1 < len(blocks) and blocks[i + 1][0] == "text":
            expected = FIGURES.sub("..", blocks[i + 1][1])
            printed = FIGURES.sub("..", result.stdout)
            ok(printed == expected, "prints what is below: " + body.splitlines()[0], printed)


main()
done()
