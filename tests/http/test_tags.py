#!/usr/bin/python3
"""GET /tags against what was posted."""
import random
import sys
import urllib.parse

from historiand import Server, insert, message, ndjson, new_table, run, sql, NDJSON

server = None
series = {}
SEED = random.randrange(2 ** 32)


def setup():
    """Some tags whose rows are known."""
    global server
    if server is not None:
        return
    print(f"# seed {SEED}")
    generator = random.Random(SEED)
    server = Server()
    for tag in ("a1", "a10", "a2", "b%_", "größe \"q\"\\", "z\x01"):
        series[tag] = {generator.randrange(-2 ** 63, 2 ** 63): [generator.uniform(-1, 1)]
                       for _ in range(generator.randrange(1, 300))}
    messages = [message(t, tag, v) for tag, points in series.items() for t, v in points.items()]
    generator.shuffle(messages)
    for _ in range(2):      # the second load replaces every row
        # a tag with a control character comes by SQL only
        by_sql = [m for m in messages if not m["tag"].isprintable()]
        assert server.save(ndjson([m for m in messages if m not in by_sql]), "?ack=committed&precision=ns",
                           NDJSON).status == 204
        insert(server.table, by_sql)


def expected(prefix="", form=int):
    return [{"tag": tag, "first": form(min(series[tag])), "last": form(max(series[tag])),
             "samples": len(series[tag])}
            for tag in sorted(series, key=str.encode) if tag.startswith(prefix)]


def test_tags():
    """all tags in byte order with exact times and counts"""
    setup()
    answer = server.get("/tags")
    assert answer.status == 200 and answer.headers["content-type"] == "application/json", answer
    assert answer.json() == {"tags": expected()}


def test_string_times():
    """times as strings on request"""
    setup()
    assert server.get("/tags?time=string").json()["tags"] == expected(form=str)
    assert server.get("/tags?time=integer").json()["tags"] == expected()


def test_prefix():
    """a prefix is compared as it stands, without wildcards"""
    setup()
    for prefix in ("a", "a1", "a10", "%", "b%", "b_", "_", "", "grö", "nobody", "größe \"q\"\\"):
        answer = server.get("/tags?" + urllib.parse.urlencode({"prefix": prefix}))
        assert answer.json()["tags"] == expected(prefix), (prefix, answer)


def test_refusals():
    """bad parameters get 400 that names them"""
    setup()
    for query, word in (("tag=a", "tag"), ("prefix=a&prefix=b", "prefix"), ("time=iso", "time"),
                        ("prefix=%ff", "prefix"), ("prefix=a%00", "prefix"), ("x=1", "prefix")):
        answer = server.get("/tags?" + query)
        assert answer.status == 400 and word in answer.json()["detail"], (query, answer)
    assert server.request("POST", "/tags", b"{}").status == 405


def test_empty_and_missing():
    """an empty table has no tags; without the table there is an error with its sqlstate"""
    table = new_table()
    other = Server(table=table)
    assert other.get("/tags").json() == {"tags": []}
    sql(f"DROP TABLE {table}")
    answer = other.get("/tags")
    assert answer.status == 500 and answer.json()["sqlstate"] == "42P01", answer


if __name__ == "__main__":
    run(sys.modules[__name__])
