#!/usr/bin/python3
"""A table that publishes its changes: those of all requests, as logical decoding sends them, make the table anew."""
import json
import os
import random
import sys

from cluster import Cluster
from historiand import NDJSON, Server, message, ndjson, new_table, run, sql
from test_samples import Model, as_sql, rename, step, stored

SEED = int(os.environ.get("SEED", random.randrange(2 ** 32)))
SLOT = "follower"


class Copy:
    """What a consumer makes of the changes: {source: {tag: {time: values as SQL's text}}}."""

    def __init__(self):
        self.sources = {}
        self.ops = set()

    def apply(self, change):
        tags = self.sources.setdefault((change["schema"], change["table"]), {})
        self.ops.add(change["op"])
        if change["op"] == "insert":
            for entry in change["rows"]:
                tags.setdefault(entry["tag"], {}).update(
                    (time, as_sql(values)) for time, values in zip(entry["times"], entry["values"], strict=True))
        elif change["op"] == "delete":
            for entry in change["rows"]:
                had = tags.get(entry["tag"], {})
                gone = entry["times"] if "times" in entry else [t for t in had if entry["first"] <= t <= entry["last"]]
                for time in gone:
                    had.pop(time, None)
        else:
            assert change["op"] == "rename", change
            assert not tags.get(change["new_tag"]), change
            tags[change["new_tag"]] = tags.pop(change["tag"])

    def follow(self):
        for line, in sql(f"SELECT data FROM pg_logical_slot_get_changes('{SLOT}', NULL, NULL)"):
            change = json.loads(line)
            if change["op"] not in ("begin", "commit"):
                self.apply(change)

    def whole(self):
        """Of all sources: {tag: {time: values}}; a tag is in one partition only."""
        found = {}
        for tags in self.sources.values():
            for tag, had in tags.items():
                assert not had or tag not in found, tag
                if had:
                    found[tag] = had
        return found


def follow_random_requests(table, seed):
    """Returns the server, which has answered random requests whose changes made the table's rows, and the copy."""
    print(f"# SEED={seed}", flush=True)
    generator = random.Random(seed)
    server = Server(table=table, flush_interval="1h", commit_delay="1ms")
    model = Model()
    copy = Copy()
    sql(f"SELECT historian.publish_changes('{table}')")
    sql(f"SELECT pg_create_logical_replication_slot('{SLOT}', 'historian')")
    try:
        for turn in range(60):
            step(generator, server, model, ["a", "site/area 1/größe", "x" * 200, "c%2F\"'\\"])
            if generator.random() < 0.2:
                sql(f"SELECT count(*) FROM historian.compact('{table}')")
            # many tags at once, of which the table gets shared segments
            if turn % 20 == 10:
                given = [message(generator.randrange(40), f"unit-{n}/flow", [n]) for n in range(generator.choice([300, 5000]))]
                assert server.save(ndjson(given), "?ack=committed", NDJSON).status == 204
                model.save(given)
            if generator.random() < 0.3:
                copy.follow()
        server.save(ndjson([message(1, "end", [1])]), "?ack=committed", NDJSON)
        model.save([message(1, "end", [1])])
        assert rename(server, "end", "the end").json()["samples"] == model.rename("end", "the end")
        copy.follow()
    finally:
        sql(f"SELECT pg_drop_replication_slot('{SLOT}')")
    assert stored(table) == model.whole()
    assert copy.whole() == model.whole()
    return server, copy


def test_requests():
    """random saves, replacements, deletions and renames: a consumer of the changes has the rows of the table"""
    server, copy = follow_random_requests(new_table(), SEED)
    assert copy.ops == {"insert", "delete", "rename"}, copy.ops
    assert server.metric("historiand_bundle_loads_total") > 0
    assert server.stop() == 0


def test_partitions():
    """the same on a parent partitioned by hash of the tag, where a rename is a deletion and an insertion"""
    table = new_table()
    sql(f"DROP TABLE {table}; CREATE TABLE {table} (time bigint, tag text, values float8[]) PARTITION BY HASH (tag);"
        + "".join(f"CREATE TABLE {table}_{i} PARTITION OF {table} FOR VALUES WITH (MODULUS 2, REMAINDER {i}) USING historian;"
                  for i in range(2)))
    server, copy = follow_random_requests(table, SEED + 1)
    assert {"insert", "delete"} <= copy.ops, copy.ops
    assert server.stop() == 0


if __name__ == "__main__":
    cluster = Cluster()
    with open(f"{cluster.data}/pgdata/postgresql.conf", "a", encoding="ascii") as settings:
        settings.write("wal_level = logical\n")
        # minor versions since 2026 have it
        if sql("SELECT 1 FROM pg_settings WHERE name = 'output_plugin_libraries'"):
            settings.write("output_plugin_libraries = 'historian'\n")
    cluster.restart()
    run(sys.modules[__name__])
