"""docs/install.md: removing the extension keeps the rows of a table that was made a heap, and is refused before."""
import os
import re
import subprocess

import guide
from guide import ok, same


def main():
    place = guide.Place("guide_remove")
    place.sql("""INSERT INTO measurement SELECT i * 1000, 'tag ' || i % 7, ARRAY[i, NULL, 'NaN']::float8[] FROM generate_series(1, 20000) i;
                 INSERT INTO historian.tag (relid, tag, names, units) VALUES ('measurement', 'tag 1', '{flow}', '{m3/h}')""")
    checksum = "SELECT count(*), sum(hashtextextended(m::text, 0)::numeric) FROM measurement m"
    before = place.sql(checksum)
    refused = subprocess.run(["psql", "-X", "-c", "DROP EXTENSION historian"], env=place.env, capture_output=True, text=True, check=False)
    ok("table measurement depends on access method historian" in refused.stderr and "view measurement_view" in refused.stderr,
       "DROP EXTENSION is refused with a list while a table needs it", refused.stderr)
    place.server.stop()
    with open(os.path.join(guide.ROOT, "docs/install.md"), encoding="utf-8") as file:
        blocks = re.findall(r"^   ```sql\n(.*?)^   ```$", file.read(), re.MULTILINE | re.DOTALL)
    same(len(blocks), 2, "the page has two blocks of statements")
    for block in blocks:
        place.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1"], block)
    same(place.sql(checksum), before, "the rows are as before")
    same(place.sql("SELECT * FROM measurement_tag"), [["measurement", "tag 1", "", "{flow}", "{m3/h}", "", ""]], "and names of values are kept")
    same(place.sql("SELECT count(*) FROM pg_am WHERE amname = 'historian' UNION ALL "
                   "SELECT count(*) FROM pg_namespace WHERE nspname = 'historian' UNION ALL "
                   "SELECT count(*) FROM pg_proc WHERE probin LIKE '%historian%' UNION ALL "
                   "SELECT count(*) FROM pg_event_trigger"), [["0"]] * 4, "nothing of the extension is left in the database")
    guide.done()


main()
