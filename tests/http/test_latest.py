#!/usr/bin/python3
"""GET /latest against what was posted."""
import random
import sys
import urllib.parse

from historiand import Server, message, ndjson, run, sql, NDJSON

server = None
latest = {}
SEED = random.randrange(2 ** 32)
TAGS = ("a1", "a10", "b%_", "größe \"q\"\\", "{x,y}", "NULL", "with space+plus")


def setup():
    """Some tags with many rows, loaded in random order."""
    global server
    if server is not None:
        return
    print(f"# seed {SEED}")
    generator = random.Random(SEED)
    server = Server()
    messages = []
    for tag in TAGS:
        points = {generator.randrange(-2 ** 63, 2 ** 63):
                  [generator.uniform(-1e9, 1e9) for _ in range(generator.randrange(12))]
                  for _ in range(generator.randrange(1, 300))}
        latest[tag] = max(points.items())
        messages += [message(t, tag, v) for t, v in points.items()]
    generator.shuffle(messages)
    assert server.save(ndjson(messages), "?ack=committed&precision=ns", NDJSON).status == 204


def expected(tags, form=int):
    return {"latest": [{"tag": tag, "time": form(latest[tag][0]), "values": latest[tag][1]}
                       for tag in sorted(tags, key=str.encode)]}


def get(tags, **more):
    answer = server.get("/latest?" + urllib.parse.urlencode(
        [("tag", tag) for tag in tags] + list(more.items())))
    assert answer.status == 200, answer
    return answer.json()


def test_all():
    """the last sample of every tag"""
    setup()
    assert server.get("/latest").json() == expected(TAGS)
    assert get([], time="string") == expected(TAGS, str)


def test_some():
    """of those asked for, each once, without those never stored"""
    setup()
    for tag in TAGS:
        assert get([tag]) == expected([tag]), tag
    assert get(TAGS[2:] + TAGS[2:4]) == expected(TAGS[2:])
    assert get(["nobody", TAGS[0], "a"]) == expected(TAGS[:1])
    assert get(["nobody"], time="string") == {"latest": []}


def test_later_load():
    """a load that is committed is there; null for what JSON has no number for"""
    setup()
    at = 2 ** 63 - 1
    sql(f"INSERT INTO {server.table} VALUES ({at}, 'later', '{{NaN,1,-Infinity}}')")
    assert get(["later"]) == {"latest": [{"tag": "later", "time": at, "values": [None, 1, None]}]}
    assert server.save(message(at, "later", [2.5]), "?ack=committed").status == 204
    assert get(["later"])["latest"][0]["values"] == [2.5]


def test_refusals():
    """bad parameters get 400 that names them"""
    setup()
    for query, word in (("tag=", "tag"), ("tag=a&tag=" + "x" * 257, "tag"), ("tag=%ff", "tag"),
                        ("tag=a%00", "tag"), ("time=iso", "time"), ("start=1", "tag, time")):
        answer = server.get("/latest?" + query)
        assert answer.status == 400 and word in answer.json()["detail"], (query, answer)


if __name__ == "__main__":
    run(sys.modules[__name__])
