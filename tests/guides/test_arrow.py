"""GET /export?format=arrow: two million rows, bit for bit as COPY has them, by two independent readers: Arrow's own in JavaScript, and
the one in Rust, by parquet-wasm, whose Parquet DuckDB reads."""
import os
import subprocess

import guide
from guide import ok, same, skip

ROWS = 2_000_000
WIDTH = 10
TAG = "site/area/unit/größe"
START = 1_600_000_000 * 10 ** 9

# Values are NULL here and there, missing at the end of some rows, zeros with either sign, denormal, and of any magnitude. No row is wider
# than the names; random() is seeded, so that a failure can be repeated.
FILL = f"""
SELECT setseed(0.52);
INSERT INTO measurement SELECT {START} + i * 1000003::bigint, '{TAG}', (ARRAY[
    20 + (i % 977) / 10.0, 5.5, i, CASE WHEN i % 11 = 0 THEN NULL ELSE -i / 7.0 END, (random() - 0.5) * 10 ^ (random() * 600 - 300),
    CASE i % 5 WHEN 0 THEN 0 WHEN 1 THEN '-0'::float8 WHEN 2 THEN 5e-324 WHEN 3 THEN 1.7976931348623157e308 ELSE ln(i + 1) END,
    sqrt(i), i % 2, CASE WHEN i > 1000000 THEN NULL ELSE i END, 3.25]::float8[])[1:CASE WHEN i % 1000 = 7 THEN (i / 1000 % 11)::integer ELSE 10 END]
FROM generate_series(1, {ROWS}) i;
INSERT INTO historian.tag (relid, tag, names) VALUES ('measurement', '{TAG}', '{{"Temp, \\"inner\\"",level,time}}');
"""
NAMES = ['Temp, "inner"', "level", "time_3"] + [f"value_{i}" for i in range(4, WIDTH + 1)]


def save(place, name, parameters):
    """Exports into a file."""
    url = place.here(f"http://{guide.ADDRESS}/export")
    place.run(["curl", "-sS", "--fail", "-o", name, "-G", url, "--data-urlencode", f"tag={TAG}", "-d", f"format=arrow{parameters}"], "")


def copy(place, name):
    """The same rows as PostgreSQL sends them, in their order."""
    with open(os.path.join(place.folder, name), "wb") as file:
        subprocess.run(["psql", "-X", "-c", f"COPY (SELECT time, tag, values FROM measurement WHERE tag = '{TAG}' ORDER BY time) TO STDOUT (FORMAT binary)"],
                       stdout=file, check=True, env=place.env, timeout=guide.TIMEOUT_S)


def compare(place, reader, arrows):
    """What the reader found different, and how many rows it compared."""
    return place.run(["node", "--max-old-space-size=4096", os.path.join(guide.HERE, "compare_arrow.js"), reader, arrows, "rows.pgcopy", *NAMES], "").strip()


def main():
    modules = 'require("apache-arrow"); require("parquet-wasm"); require("@duckdb/node-api")'
    if not guide.succeeds("node", "-e", modules):
        skip("Arrow", "node or a package of npm is missing")
        guide.done()
        return
    place = guide.Place("guide_arrow")
    place.sql(FILL)
    copy(place, "rows.pgcopy")
    save(place, "rows.arrows", "")
    same(compare(place, "apache-arrow", "rows.arrows"), f"{ROWS} rows are the same", "apache-arrow: all bits of two million rows")
    save(place, "integers.arrows", "&time=integer")
    same(compare(place, "parquet-wasm", "integers.arrows"), f"{ROWS} rows are the same", "parquet-wasm and DuckDB: all bits of two million rows")
    # the comparison notices a bit
    path = os.path.join(place.folder, "rows.arrows")
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 1000 // 8 * 8)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    try:
        ok(compare(place, "apache-arrow", "rows.arrows") != f"{ROWS} rows are the same", "a changed bit is noticed")
    except AssertionError as error:
        ok("differs" in str(error), "a changed bit is noticed", error)
    guide.done()


main()
