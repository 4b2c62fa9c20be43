#!/usr/bin/python3
"""Answers compressed, answers that the client has already, files in the program."""
import gzip
import json
import sys
import time

from historiand import (Server, message, ndjson, request_bytes, run, sql, wait_for, HERE,
                        NDJSON)

server = None


def setup():
    global server
    if server is not None:
        return
    server = Server()
    body = ndjson([message(i * 1000, f"tag{i % 50}", [i / 7, -i]) for i in range(5000)])
    assert server.save(body, "?ack=committed", NDJSON).status == 204


READS = ("/api?tag=tag1&start=0&end=5000000", "/tags", "/latest", "/export?tag=tag1",
         "/export?tag=tag1&format=csv", "/export?tag=tag1&format=binary", "/", "/openapi.json",
         "/page/page.js")


def test_gzip():
    """every read is compressed where the client takes gzip, and only there"""
    setup()
    for path in READS:
        plain = server.get(path)
        assert plain.status == 200 and "content-encoding" not in plain.headers, (path, plain)
        assert plain.headers["vary"] == "Accept-Encoding", (path, plain)
        for accepted in ("gzip", "deflate, GZIP;q=0.5", "br;q=1.0, gzip ; q=0.05, *;q=0"):
            answer = server.request("GET", path, headers={"Accept-Encoding": accepted})
            assert answer.headers["content-encoding"] == "gzip", (path, accepted, answer)
            assert gzip.decompress(answer.body) == plain.body, (path, accepted)
            assert len(answer.body) < len(plain.body), (path, len(answer.body), len(plain.body))
        for refused in ("", "identity", "gzip;q=0", "gzip;q=0.000", "x-gzipped, br", "deflate"):
            answer = server.request("GET", path, headers={"Accept-Encoding": refused})
            assert "content-encoding" not in answer.headers, (path, refused, answer)
            assert answer.body == plain.body, (path, refused)


def test_short_answers_stay():
    """what is short is not compressed; an error neither"""
    setup()
    for path, status in (("/api?tag=tag1&start=0&end=1000&samples=1", 200), ("/api?start=0", 400)):
        answer = server.request("GET", path, headers={"Accept-Encoding": "gzip"})
        assert answer.status == status and "content-encoding" not in answer.headers, answer


def test_long_answers():
    """a long answer, which a worker compresses, is the same; also where clients leave meanwhile"""
    setup()
    path = "/api?tag=tag1&tag=tag2&start=0&end=5000000&samples=10000"
    plain = server.get(path)
    assert len(plain.body) > 500_000
    packed = {"Accept-Encoding": "gzip"}
    client = server.connect()
    for _ in range(3):
        answer = client.request("GET", path, headers=packed)
        assert gzip.decompress(answer.body) == plain.body
        assert client.request("GET", "/livez").body == b"alive\n"
    leavers = [server.connect() for _ in range(20)]
    for leaver in leavers:
        leaver.send(request_bytes("GET", path, headers=packed))
    for number, leaver in enumerate(leavers):
        time.sleep(number * 0.002)
        leaver.close()
    wait_for("the leavers' end", lambda: server.connections() == 1)
    assert gzip.decompress(client.request("GET", path, headers=packed).body) == plain.body


def test_large_export():
    """a compressed export of many chunks is whole, byte for byte"""
    own = Server()
    sql(f"INSERT INTO {own.table} SELECT i, 'big', ARRAY[i / 3.0, -i] "
        "FROM generate_series(1, 100000) i")
    path = "/export?tag=big"
    plain = own.get(path)
    packed = own.request("GET", path, headers={"Accept-Encoding": "gzip"})
    assert len(plain.body) > 3_000_000 and gzip.decompress(packed.body) == plain.body
    assert own.stop() == 0


def test_etag():
    """If-None-Match: 304 without a body for the same answer, 200 once a late message changed it"""
    setup()
    for path in ("/api?tag=tag1&start=0&end=5000000", "/tags", "/latest?tag=tag1"):
        for coding in ({}, {"Accept-Encoding": "gzip"}):
            first = server.request("GET", path, headers=coding)
            etag = first.headers["etag"]
            assert etag[0] == etag[-1] == '"', first
            for known in (etag, f'"other", {etag}', f"W/{etag}"):
                again = server.request("GET", path, headers={"If-None-Match": known, **coding})
                assert (again.status, again.body) == (304, b""), (path, known, again)
                assert again.headers["etag"] == etag and "content-length" not in again.headers
                assert again.headers["vary"] == "Accept-Encoding"
                assert "content-encoding" not in again.headers
            for unknown in ('"other"', etag[:-2] + '"', ""):
                again = server.request("GET", path, headers={"If-None-Match": unknown, **coding})
                assert again.status == 200 and again.body == first.body, (path, unknown, again)
    path = "/api?tag=tag1&start=0&end=5000000"
    plain, packed = (server.request("GET", path, headers=coding).headers["etag"]
                     for coding in ({}, {"Accept-Encoding": "gzip"}))
    assert plain != packed
    late = json.dumps(message(2_500_000, "tag1", [99, 99])).encode()
    assert server.save(late, "?ack=committed").status == 204
    again = server.request("GET", path, headers={"If-None-Match": plain})
    assert again.status == 200 and again.headers["etag"] != plain
    assert b"[99,99]" in again.body


def test_connection_after_304():
    """a connection goes on after 304"""
    setup()
    client = server.connect()
    etag = client.request("GET", "/tags").headers["etag"]
    client.send(b"GET /tags HTTP/1.1\r\nHost: x\r\nIf-None-Match: " + etag.encode() + b"\r\n\r\n")
    assert client.answer(head_only=True).status == 304
    assert client.request("GET", "/livez").body == b"alive\n"


def test_files():
    """the page and its files are those of the sources, and allow no other origin"""
    setup()
    page = server.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8", page
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';") and "http" not in policy, policy
    sources = f"{HERE}/../../proxy/page/"
    with open(sources + "index.html", "rb") as file:
        assert page.body == file.read()
    for name, kind in (("page.js", "text/javascript; charset=utf-8"), ("icon.svg", "image/svg+xml"),
                       ("page.css", "text/css; charset=utf-8"),
                       ("vendor/uplot/uPlot.iife.min.js", "text/javascript; charset=utf-8")):
        answer = server.get("/page/" + name.split("/")[-1])
        with open(sources + name, "rb") as file:
            assert answer.body == file.read(), name
        assert answer.headers["content-type"] == kind, answer
        etag = answer.headers["etag"]
        again = server.request("GET", "/page/" + name.split("/")[-1],
                               headers={"If-None-Match": etag})
        assert (again.status, again.body) == (304, b""), again
    assert server.get("/page/no-such.js").status == 404
    assert server.request("POST", "/").status == 405


if __name__ == "__main__":
    run(sys.modules[__name__])
