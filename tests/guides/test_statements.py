"""What README.md, docs/operations.md and docs/security.md show and no other test runs: an import, retention, roles, policies of rows
and the audit trail. Their statements run as they stand there, and do what the pages say."""
import atexit
import os
import re
import subprocess

import guide
from guide import ok, same

ROLES = ("historiand", "alice", "analyst", "corrector", "historian_writer", "historian_reader")


def text(name):
    with open(os.path.join(guide.ROOT, name), encoding="utf-8") as file:
        return file.read()


def readme(place):
    """The README's line for a CSV file."""
    line = re.search(r"^    build/(historian import .*)$", text("README.md"), re.MULTILINE)[1]
    with open(os.path.join(place.folder, "oven.csv"), "w", encoding="utf-8") as file:
        file.write("time,temperature,door\n2026-01-01T00:00:00Z,180.5,0\n2026-01-01T00:01:00Z,,1\n")
    place.run(["sh", "-euc", line.replace('"$(make -s conninfo)"', f'"{place.conninfo}"')], "")
    same(place.sql("SELECT time, values FROM measurement ORDER BY time"),
         [["1767225600000000000", "{180.5,0}"], ["1767225660000000000", "{NULL,1}"]], "README.md: both rows of the file")
    same(place.sql("SELECT names FROM historian.tag WHERE tag = 'oven'"), [["{temperature,door}"]], "with names")


def retention(place):
    """docs/operations.md: rows of each prefix are kept for as long as said, and this can be seen."""
    place.sql("""INSERT INTO measurement
                 SELECT (extract(epoch FROM now())::bigint - days * 86400) * 1000000000, tag, ARRAY[days]
                 FROM generate_series(0, 199) AS days, (VALUES ('other'), ('site1/energy/meter')) AS t (tag)""")
    page = text("docs/operations.md")
    storage = re.search(r"^    (ALTER TABLE measurement SET .*)$", page, re.MULTILINE)[1]
    policies = re.findall(r"^    (SELECT historian\.set_retention.*)$", page, re.MULTILINE)
    watching = re.search(r"^    (SELECT \* FROM historian\.stat_retention;)$", page, re.MULTILINE)[1]
    same(len(policies), 2, "the page has two policies")
    place.sql(storage + ";" + "\n".join(policies))
    # A day more or less, as the days began before the policies.
    guide.wait_for("the background worker", lambda: 89 <= int(place.sql("SELECT count(*) FROM measurement WHERE tag = 'other'")[0][0]) <= 91, 60)
    same(place.sql("SELECT count(*) FROM measurement WHERE tag = 'site1/energy/meter'"), [["200"]], "what has a longer policy stays")
    watched = [(row[3], row[4], row[-1]) for row in place.sql(watching)]
    same(sorted(watched), [("", "90 days", ""), ("site1/energy/", "10 years", "")], "both policies are seen, without an error")
    by_hand = re.search(r"`(SELECT historian\.drop_before\([^`]*\))`", page)[1]
    place.sql(by_hand)
    same(place.sql("SELECT count(*) FROM measurement WHERE tag = 'site1/energy/meter' AND values[1] > 91"), [["0"]], "drop_before by hand")


def refused(place, role, statement):
    done = subprocess.run(["psql", "-XAtq", "-c", f"SET ROLE {role}", "-c", statement], env=place.env, capture_output=True, text=True, check=False)
    return "permission denied" in done.stderr or "must be owner" in done.stderr


def security(place):
    """docs/security.md: what each role may do."""
    blocks = [body for _, kind, body in guide.blocks("security.md") if kind == "sql"]
    same(len(blocks), 4, "the page has four blocks of statements")
    place.sql("INSERT INTO measurement VALUES (1, 'north/1', '{1}'), (1, 'south/1', '{2}')")
    place.sql(blocks[0])
    change, read = "INSERT INTO measurement VALUES (2, 'north/1', '{3}')", "SELECT count(*) > 0 FROM measurement"
    same(place.sql(f"SET ROLE historiand; {change}; {read}"), [["t"]], "a writer writes and reads")
    ok(refused(place, "historiand", "DELETE FROM measurement"), "but does not delete")
    same(place.sql(f"SET ROLE alice; {read}"), [["t"]], "a reader reads")
    ok(refused(place, "alice", change), "but does not write")
    place.sql(blocks[1])
    same(place.sql("SET ROLE analyst; SELECT DISTINCT tag FROM measurement"), [["north/1"]], "a policy shows an analyst the north alone")
    place.sql(blocks[2])
    same(place.sql("SET ROLE historiand; SET ROLE corrector; DELETE FROM measurement WHERE tag = 'none'; SELECT 1"), [["1"]],
         "a corrector may delete, and historiand is a member of it")
    actions = {row[5] for row in place.sql(blocks[3])}
    ok("set retention" in actions, "the audit trail has the policies of retention", actions)


def drop_roles(before):
    for role in ROLES:
        if role not in before:
            guide.admin_sql(f"DROP ROLE IF EXISTS {role}")


def main():
    before = {row[0] for row in guide.admin_sql("SELECT rolname FROM pg_roles")}
    if not before.isdisjoint(ROLES[:4]):
        guide.skip("the pages' statements", "their roles exist already")
        guide.done()
    atexit.register(drop_roles, before)     # after the database, which goes first
    place = guide.Place("guide_statements")
    readme(place)
    retention(place)
    security(place)
    guide.done()


main()
