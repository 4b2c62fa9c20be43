#!/usr/bin/python3
"""X-Historian-Commit: where the WAL is after a commit."""
import json
import re
import sys
import time

import historiand
from historiand import CONNINFO, Relay, Server, message, run, sql

POSITION = re.compile(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}")


def position(text):
    assert POSITION.fullmatch(text), text
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def here_now():
    """Where the WAL ends."""
    return position(sql("SELECT pg_current_wal_insert_lsn()")[0][0])


def test_commits_in_order():
    """each 204 has a position after its commit: no later than the end of the WAL, and later than all before"""
    server = Server()
    before = here_now()
    for number in range(5):
        answer = server.save(message(number, "a", [number]), "?ack=committed")
        assert answer.status == 204, answer
        here = position(answer.headers["x-historian-commit"])
        assert before < here <= here_now(), (before, here)
        before = here
    answer = server.request("POST", "/write?precision=s", b"cpu,host=a usage=1 1583748873")
    assert answer.status == 204 and position(answer.headers["x-historian-commit"]) > before, answer
    answer = server.save(b'[{"time":1,"tag":"","values":[]},{"time":1,"tag":"b","values":[1]}]',
                         "?ack=committed&partial=true")
    assert answer.status == 207 and position(answer.headers["x-historian-commit"]) > before, answer
    assert "x-historian-commit" not in server.save(message(9, "a", [1])).headers
    assert "x-historian-commit" not in server.save(b"[]", "?ack=committed").headers
    assert server.stop() == 0


def test_position_has_the_commit():
    """pg_walinspect finds the commit in the WAL before the position"""
    if sql("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_walinspect'") == [["0"]]:
        raise historiand.Skip("there is no pg_walinspect")
    server = Server()
    sql("CREATE EXTENSION IF NOT EXISTS pg_walinspect")
    start = sql("SELECT pg_current_wal_flush_lsn()")[0][0]
    answer = server.save(message(1, "a", [1]), "?ack=committed")
    end = answer.headers["x-historian-commit"]
    commits = sql(f"SELECT xid, end_lsn <= '{end}' FROM pg_get_wal_records_info('{start}', '{end}') "
                  "WHERE resource_manager = 'Transaction' AND record_type LIKE 'COMMIT%'")
    assert commits and commits[-1][1] == "t", commits
    assert server.stop() == 0


def test_asynchronous_commit():
    """where commits are not flushed the position is after them all the same"""
    server = Server(conninfo=CONNINFO + " options='-c synchronous_commit=off'")
    before = here_now()
    answer = server.save(message(1, "a", [1]), "?ack=committed")
    assert answer.status == 204 and position(answer.headers["x-historian-commit"]) > before, answer
    assert server.stop() == 0


def test_before_the_connection():
    """a request that waited for its commit before there was a connection waits for no flush"""
    relay = Relay()
    relay.cut()
    server = Server(conninfo=relay.conninfo, read_database=CONNINFO, expect_ready=False, flush_interval="1h")
    client = server.connect()
    client.send(historiand.request_bytes("POST", "/save?ack=committed",
                                          json.dumps(message(1, "a", [1])).encode()))
    server.logged("no connection to PostgreSQL for loading")
    time.sleep(0.1)
    relay.mend()
    assert client.answer().status == 204
    assert server.stop() == 0


run(sys.modules[__name__])
