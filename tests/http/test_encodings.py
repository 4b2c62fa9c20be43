#!/usr/bin/python3
"""Databases and connections that are not UTF-8: what is written is what is read, or it is refused."""
import re
import sys
import urllib.parse

from historiand import CONNINFO, Server, message, new_table, run, sql

READS = ("/api?tag={}&start=0&end=5&samples=1", "/api?tag={}&tag=a&start=0&end=5&samples=1", "/export?tag={}",
         "/export?tag={}&format=csv", "/latest?tag={}", "/tags?prefix={}")


def check(server, tag, stored):
    """A tag is stored and read back, or refused for what it is."""
    answer = server.save(message(1, tag, [1]), "?ack=committed")
    assert answer.status == (204 if stored else 422), (tag, answer)
    assert stored or answer.json()["sqlstate"] == "22P05", answer
    for read in READS:
        answer = server.get(read.format(urllib.parse.quote(tag)))
        assert answer.status == (200 if stored else 400), (read, answer)
        assert not stored or tag in answer.body.decode(), (read, answer)


def other_database(encoding, refused):
    name = f"encoding_{encoding.lower()}"
    conninfo = re.sub(r"dbname=\S+", f"dbname={name}", CONNINFO)
    sql(f"DROP DATABASE IF EXISTS {name}")
    sql(f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    sql(f"\\connect {name}\nCREATE EXTENSION historian;\n"
        "CREATE TABLE measurement (time bigint, tag text, values float8[]) USING historian")
    server = Server(table="measurement", conninfo=conninfo)
    for tag in ("a", "é", "漢", "\U0001f600"):
        check(server, tag, tag not in refused)
    assert [row["tag"] for row in server.get("/tags").json()["tags"]] == sorted(
        {"a", "é", "漢", "\U0001f600"} - set(refused))
    assert server.stop() == 0
    sql(f"DROP DATABASE {name}")


def test_latin1():
    """LATIN1 has some characters, and refuses the others"""
    other_database("LATIN1", ("漢", "\U0001f600"))


def test_sql_ascii():
    """SQL_ASCII keeps the bytes"""
    other_database("SQL_ASCII", ())


def test_client_encoding():
    """the connection string does not change what bytes mean"""
    table = new_table()
    server = Server(table=table, conninfo=CONNINFO + " client_encoding=LATIN1")
    check(server, "é", True)
    assert sql(f"SELECT encode(convert_to(tag, 'UTF8'), 'hex') FROM {table}") == [["é".encode().hex()]]
    assert server.stop() == 0


if __name__ == "__main__":
    run(sys.modules[__name__])
