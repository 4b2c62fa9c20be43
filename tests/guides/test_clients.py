"""docs/clients.md: its programs run one after the other, and print what is printed; its queries for Grafana give rows
after Grafana's macros were put in; DuckDB's own queries are answered."""
import os
import re
import sys

import guide
from guide import ok, same

sys.path.insert(0, os.path.join(guide.ROOT, "tests/monitoring"))
import dashboards       # pylint: disable=wrong-import-position

START = 1767225600 * 10**9


def expected_of_grafana():
    """
    The rows of the page's queries in their order, computed here: an hour of a message a second of boiler and pump7, of
    which value 1 counts seconds.
    """
    seconds = range(3600)
    periods = [[second for second in seconds if begin < second <= begin + 600] for begin in range(0, 3600, 600)]
    return {
        "boiler": list(seconds),
        # Second 0 is before the first period: a period is (begin, end].
        "temperature": [sum(period) / len(period) for period in periods],
        "metric": [[f"2026-01-01 {(index + 1) // 6:02d}:{(index + 1) % 6}0:00+00", tag, str(period[-1])]
                   for index, period in enumerate(periods) for tag in ("boiler", "pump7")],
        "p95": [begin + 0.95 * 299 for begin in range(0, 3600, 300)],
    }


def grafana(place):
    place.sql(f"""INSERT INTO measurement SELECT {START} + s * 1000000000::bigint, tag, ARRAY[s, 2 * s]
                  FROM generate_series(0, 3599) s, (VALUES ('boiler'), ('pump7')) t (tag)""")
    expected = expected_of_grafana()
    queries = [text for _, kind, text in guide.blocks("clients.md") if kind == "sql" and "$__" in text]
    same(len(queries), 4, "queries for Grafana are on the page")
    for query in queries:
        statement = dashboards.sql(query, START, START + 3600 * 10**9, {}, 600000)
        rows = place.sql(f"SET timezone = 'UTC'; {statement}")
        if "metric" in query:
            same(sorted(rows), sorted(expected["metric"]), "Grafana: several tags")
        else:
            name = next(name for name in expected if re.search(rf"\bAS {name}\b", query))
            same([float(row[1]) for row in rows], expected[name], f"Grafana: the column {name}")


def bi_tools(place):
    query, = [text for _, kind, text in guide.blocks("clients.md") if kind == "sql" and "$__" not in text]
    same(sorted(place.sql(query)), [["2026-01-01 00:00:00+00", tag, "1799.5", "3599"] for tag in ("boiler", "pump7")],
         "BI tools: average and maximum of a day")


def duckdb(place):
    """
    What DuckDB's extension sends, which no package registry has: COPY of a SELECT with conditions. With its setting
    that the page names there is no ctid in it; a view has no pages, so that it sends none either.
    """
    conditions = "(\"tag\" = 'rig/pressure' AND \"time\" >= 1583748870000000000)"
    for relation, columns, where in (("measurement", '"time", "tag", "values"', " WHERE " + conditions),
                                     ("rig", '"time", "pressure"', "")):
        copied = place.run(["psql", "-X", "-c", f'COPY (SELECT {columns} FROM "public"."{relation}"{where}) TO STDOUT (FORMAT "csv");'], "")
        ok(copied.count("\n") >= 6, f"DuckDB: {relation} is copied", copied)
    same(place.sql("SELECT relpages FROM pg_class WHERE relname = 'rig'"), [["0"]], "DuckDB: a view has no pages")
    refused = place.sql("""DO $$ BEGIN
        PERFORM FROM measurement WHERE ctid BETWEEN '(0,0)'::tid AND '(4294967295,0)'::tid;
        RAISE EXCEPTION 'not refused';
        EXCEPTION WHEN feature_not_supported THEN
            IF sqlerrm NOT LIKE 'cannot use ctid of historian table%' THEN RAISE; END IF; END $$""")
    same(refused, [], "DuckDB: ctid is refused with the message that the page names")


def names_of_telegraf(place):
    """The names of a series' fields become those of its values."""
    tag = "modbus,host=edge1,name=Device,slave_id=1,type=holding_register"
    names = guide.wait_for("names", lambda: place.sql(f"SELECT names FROM historian.tag WHERE tag = '{tag}'"))
    same(names, [["{current,energy,power_factor,voltage}"]], "Telegraf: names of the fields")


def main():
    place = guide.Place("guide_clients")
    ok(guide.run_page(place, "clients.md", others=("sql", "toml")) >= 10, "most programs are there")
    names_of_telegraf(place)
    duckdb(place)
    grafana(place)
    bi_tools(place)
    guide.done()


main()
