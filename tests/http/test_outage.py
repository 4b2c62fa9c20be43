#!/usr/bin/python3
"""PostgreSQL away, slow, or refusing rows: nothing acknowledged is lost, nothing is blocked."""
import gzip
import json
import os
import sys
import threading
import time

from historiand import (Lock, NDJSON, Relay, Server, count, message, ndjson, new_table,
                        request_bytes, rows, run, sql, temporary_directory, wait_for)


def test_commit_means_commit():
    """ack=committed answers after the commit: the row is visible at once"""
    server = Server(flush_interval="1h", commit_delay="20ms")
    for i in range(20):
        # within the time limit of a client, which is far less than an hour
        assert server.save(message(i, "a", [i]), "?ack=committed").status == 204
        assert count(server.table) == i + 1
    assert server.save(message(99, "b", [1])).status == 202
    assert count(server.table, "tag = 'b'") == 0
    assert server.stop() == 0
    assert count(server.table, "tag = 'b'") == 1


def test_group_commit():
    """a thousand waiting requests share a few commits"""
    server = Server(flush_interval="1h")
    clients = [server.connect() for _ in range(50)]
    for number, client in enumerate(clients):
        client.send(b"".join(request_bytes(
            "POST", "/save?ack=committed", json.dumps(message(i, f"g{number}", [i])).encode())
            for i in range(20)))
    for client in clients:
        assert all(client.answer().status == 204 for _ in range(20))
    assert count(server.table) == 1000
    assert server.metric("historiand_loads_total") < 50
    assert server.stop() == 0


def test_database_away():
    """with PostgreSQL away messages are accepted up to the bound, then 503; it catches up alone"""
    relay = Relay()
    server = Server(conninfo=relay.conninfo, max_buffered_bytes="2MiB")
    relay.cut()
    wait_for("not ready", lambda: not server.ready())
    assert server.get("/livez").status == 200
    accepted = 0
    while True:
        body = ndjson([message(accepted + i, "a", [i] * 10) for i in range(1000)])
        answer = server.save(body, "", NDJSON)
        if answer.status == 503:
            break
        assert answer.status == 202, answer
        accepted += 1000
        assert accepted < 100000
    assert int(answer.headers["retry-after"]) >= 1 and "buffer" in answer.json()["detail"]
    assert accepted > 10000
    assert server.get("/api?tag=a&start=0&end=1").status == 503
    relay.mend()
    wait_for("all rows", lambda: count(server.table) == accepted)
    wait_for("ready", lambda: server.ready())
    assert server.save(body, "?ack=committed", NDJSON).status == 204
    wait_for("queries", lambda: server.get("/api?tag=a&start=0&end=1").status == 200)
    assert server.metric("historiand_database_reconnects_total") == 1
    assert server.stop() == 0


def test_lost_at_commit():
    """a connection lost while waiting for the commit: what was committed is found out, not sent again"""
    relay = Relay()
    table = new_table("heap")
    server = Server(table=table, conninfo=relay.conninfo)
    relay.swallow = b"COMMIT\0"     # PostgreSQL has committed, nobody hears of it
    body = [message(i, "a", [i]) for i in range(3)]
    assert server.save(body, "?ack=committed").status == 204
    assert relay.swallowed == 1
    # A table that keeps the last of (tag, time) would hide a resend; in a plain one it would show.
    assert sorted(r[0] for r in rows(table)) == [0, 1, 2]
    assert server.stop() == 0


def test_commit_time_limit():
    """a wait for a commit is limited; the messages are loaded later all the same"""
    relay = Relay()
    server = Server(conninfo=relay.conninfo, commit_timeout="300ms")
    relay.cut()
    answer = server.save(message(1, "a", [1]), "?ack=committed")
    assert answer.status == 503 and "again is harmless" in answer.json()["detail"], answer
    relay.mend()
    wait_for("the row", lambda: count(server.table) == 1)
    assert server.stop() == 0


def test_stalled_load():
    """a load without progress is broken off and sent again"""
    server = Server(table=new_table("heap"), load_timeout="500ms")
    lock = Lock(server.table)
    assert server.save(message(1, "a", [1])).status == 202
    server.logged("made no progress")
    lock.let_go()
    wait_for("the row", lambda: count(server.table) >= 1)
    assert server.stop() == 0


def test_table_missing():
    """a missing table or privilege is waited for: nothing is lost"""
    table = new_table("heap")
    sql(f"ALTER TABLE {table} RENAME TO {table}_away")
    server = Server(table=table, expect_ready=False)
    assert server.save(message(1, "a", [1])).status == 202
    server.logged("does not take rows now.*42P01")
    wait_for("not ready", lambda: not server.ready())
    sql(f"ALTER TABLE {table}_away RENAME TO {table}")
    wait_for("the row", lambda: count(table) == 1)
    assert server.stop() == 0


def test_internal_error():
    """an internal error of PostgreSQL's is not a row's fault: the load is sent again until it works"""
    path = os.path.join(temporary_directory(), "dead")
    server = rejecting_server(
        "CREATE FUNCTION refuse_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE 'out of order' USING ERRCODE = 'XX000'; END $$; "
        "CREATE TRIGGER refuse BEFORE INSERT ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION refuse_{table}()", path)
    client = server.connect()
    client.send(request_bytes("POST", "/save?ack=committed",
                              ndjson([message(i, "a", [i]) for i in range(10)]), NDJSON))
    server.logged("does not take rows now.*XX000")
    sql(f"DROP TRIGGER refuse ON {server.table}")
    assert client.answer().status == 204
    assert count(server.table) == 10
    assert server.metric('historiand_rejected_total{reason="database"}') == 0
    assert not os.path.exists(path)
    assert server.stop() == 0


def rejecting_server(check, dead_letters):
    table = new_table("heap")
    sql(check.format(table=table))
    return Server(table=table, dead_letter_file=dead_letters)


def reject_and_check(server, dead_letters, bad):
    """Saves 10,000 rows with bad ones among them, and others beside."""
    good = [message(i, f"r{i % 50}", [i]) for i in range(10000) if i not in bad]
    client = server.connect()
    everything = ndjson([message(i, f"r{i % 50}", [-1 if i in bad else i])
                         for i in range(10000)])
    client.send(request_bytes("POST", "/save?ack=committed", everything, NDJSON))
    other = server.save(message(77777, "other", [1]), "?ack=committed")
    answer = client.answer()
    assert other.status == 204, other
    assert answer.status == 422, answer
    problem = answer.json()
    assert problem["rejected"] == len(bad) and problem["sqlstate"] == "23514", problem
    assert count(server.table, "tag <> 'other'") == len(good)
    assert count(server.table, "tag = 'other'") == 1
    with open(dead_letters, encoding="utf-8") as lines:
        letters = [json.loads(line) for line in lines]
    assert sorted(letter["time"] for letter in letters) == sorted(bad)
    assert all(letter["sqlstate"] == "23514" and letter["values"] == [-1] for letter in letters)
    assert server.metric('historiand_rejected_total{reason="database"}') == len(bad)
    server.logged("rejected the row of tag")
    assert server.stop() == 0


def test_rejected_rows():
    """rows that break a constraint go to the dead-letter file; all others are committed"""
    path = os.path.join(temporary_directory(), "dead")
    server = rejecting_server("ALTER TABLE {table} ADD CHECK (values[1] >= 0)", path)
    reject_and_check(server, path, {0, 1, 17, 4999, 5000, 9998, 9999})


def test_rejected_late():
    """the same where PostgreSQL notices only at the end and names the wrong row"""
    path = os.path.join(temporary_directory(), "dead")
    server = rejecting_server(
        "CREATE FUNCTION refuse_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF new.values[1] < 0 THEN RAISE 'no' USING ERRCODE = 'check_violation', CONSTRAINT = 'late'; "
        "END IF; "
        "RETURN NULL; END $$; "
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION refuse_{table}()", path)
    reject_and_check(server, path, {3, 4, 7000})


PARTLY_BAD = (ndjson([message(1, "good", [1])]) + b"{}\n" + ndjson([message(2, "refused", [-1])]) +
              b"no\n")


def check_invalid(problem):
    """The lines of PARTLY_BAD that are no messages."""
    assert problem["accepted"] == 2 and problem["invalid"] == 2, problem
    assert [error["line"] for error in problem["errors"]] == [2, 4], problem
    assert all(error["detail"] for error in problem["errors"]), problem


def test_partial_rejected():
    """partial=true: an answer about the database's refusal still lists the lines that were bad"""
    path = os.path.join(temporary_directory(), "dead")
    server = rejecting_server("ALTER TABLE {table} ADD CHECK (values[1] >= 0)", path)
    answer = server.save(PARTLY_BAD, "?partial=true&ack=committed", NDJSON)
    assert answer.status == 422, answer
    assert answer.json()["rejected"] == 1 and answer.json()["sqlstate"] == "23514", answer
    check_invalid(answer.json())
    assert [tag for _, tag, _ in rows(server.table)] == ["good"]
    assert server.stop() == 0


def test_partial_unknown():
    """the same where the commit is not known yet"""
    relay = Relay()
    server = Server(conninfo=relay.conninfo, commit_timeout="300ms")
    relay.cut()
    answer = server.save(PARTLY_BAD, "?partial=true&ack=committed", NDJSON)
    assert answer.status == 503 and "again is harmless" in answer.json()["detail"], answer
    check_invalid(answer.json())
    relay.mend()
    wait_for("the rows", lambda: count(server.table) == 2)
    assert server.stop() == 0


def test_left_in_partial_body():
    """a client that leaves in the middle of a body whose rows are refused disturbs nobody"""
    path = os.path.join(temporary_directory(), "dead")
    server = rejecting_server("ALTER TABLE {table} ADD CHECK (values[1] >= 0)", path)
    for number in range(3):
        client = server.connect()
        request = request_bytes("POST", "/save?partial=true&ack=committed",
                                ndjson([message(number, "bad", [-1])]) * 2, NDJSON)
        client.send(request[:-5])
        wait_for("its refusal", lambda n=number: server.metric(
            'historiand_rejected_total{reason="database"}') == n + 1)
        client.close()
        wait_for("its end", lambda: server.connections() == 0)
        assert server.save(message(number, "good", [1]), "?ack=committed").status == 204
    assert server.stop() == 0


def fill_spool(server, total, start=0):
    """Saves messages until total are accepted."""
    for first in range(start, start + total, 1000):
        body = ndjson([message(first + i, f"s{i % 10}", [first + i] * 10) for i in range(1000)])
        wait_for("202", lambda b=body: server.save(b, "", NDJSON).status == 202)


def test_spool():
    """what memory has no room for goes to the spool and is loaded in order afterwards"""
    relay = Relay()
    directory = temporary_directory()
    server = Server(conninfo=relay.conninfo, max_buffered_bytes="2MiB", spool_dir=directory)
    relay.cut()
    wait_for("not ready", lambda: not server.ready())
    fill_spool(server, 60000)
    assert server.metric("historiand_messages_spooled_total") > 10000
    wait_for("spool_bytes", lambda: server.metric("historiand_spool_bytes") > 1000000)
    # One row again and again: the last one must win, wherever the others are.
    for i in range(3):
        wait_for("202", lambda v=i: server.save(message(-1, "again", [v])).status == 202)
        fill_spool(server, 10000, 100000 * (i + 1))
    wait_for("202", lambda: server.save(message(-1, "again", [3])).status == 202)
    relay.mend()
    wait_for("all rows", lambda: count(server.table, "tag <> 'again'") == 90000)
    wait_for("the last row", lambda: server.get("/api?tag=again&start=-2&end=-1&samples=1").json()
             ["samples"][0]["values"] == [3])
    wait_for("an empty spool", lambda: in_spool(directory) == [])
    assert server.stop() == 0


def test_spool_after_restart():
    """a server that stops or dies with a spool: the next one loads it; damage is noticed"""
    relay = Relay()
    directory = temporary_directory()
    table = new_table()
    settings = {"table": table, "conninfo": relay.conninfo, "max_buffered_bytes": "2MiB",
                "spool_dir": directory}
    server = Server(**settings)
    relay.cut()
    wait_for("not ready", lambda: not server.ready())
    fill_spool(server, 30000)
    assert server.stop() == 0
    server.logged("stopped; [0-9]+ bytes are in the spool")
    server = Server(expect_ready=False, **settings)
    server.logged("found [0-9]+ spool files")
    second = Server.__new__(Server)
    try:
        second.__init__(expect_ready=False, **settings)
        raise AssertionError("two servers share a spool")
    except AssertionError as error:
        assert "in use by another process" in str(error), error
    fill_spool(server, 30000, 50000)
    server.kill()
    relay.mend()
    files = sorted(name for name in in_spool(directory) if not name.endswith(".new"))
    with open(os.path.join(directory, files[-1]), "r+b") as last:
        last.seek(os.path.getsize(last.name) - 100)
        last.truncate()
    spooled = sum(1 for _ in files)
    server = Server(**settings)
    server.logged("is damaged.*too early")
    wait_for("an empty spool", lambda: all(name.endswith(".damaged")
                                           for name in in_spool(directory)))
    kept = count(table)
    # All of the first server's; of the second one's what it had put to disk before it died.
    assert count(table, "time < 50000") == 30000, count(table, "time < 50000")
    assert 30000 < kept < 60000 and spooled > 3, kept
    assert server.stop() == 0


def in_spool(directory):
    """What is in a spool besides the mark up to where its files are loaded."""
    return [name for name in os.listdir(directory) if name != "loaded"]


def spooled(directory):
    """The files of a spool, oldest first."""
    return sorted(os.path.join(directory, name) for name in os.listdir(directory)
                  if name.startswith("spool-") and not name.endswith((".new", ".damaged")))


def server_with_spool(relay, directory, files, **settings):
    """One whose loading connection is cut, with some files and a waiting request in its spool.

    Returns it, the waiting client and how many messages were accepted.
    """
    server = Server(conninfo=relay.conninfo, max_buffered_bytes="1MiB", spool_dir=directory,
                    commit_timeout="60s", **settings)
    relay.cut()
    wait_for("not ready", lambda: not server.ready())
    waiting = server.connect(timeout=60)
    body = ndjson([message(i, "waits", [i] * 10) for i in range(1000)])
    waiting.send(request_bytes("POST", "/save?ack=committed", body, NDJSON))
    wait_for("the messages", lambda: server.metric("historiand_messages_received_total") == 1000)
    total = 0
    while len(spooled(directory)) < files:
        fill_spool(server, 1000, total)
        total += 1000
    return server, waiting, 1000 + total


def test_spool_cannot_be_opened():
    """a spool file that cannot be opened is tried again: nothing is lost, nothing called damaged"""
    relay = Relay()
    directory = temporary_directory()
    server, waiting, total = server_with_spool(relay, directory, 4)
    first = spooled(directory)[0]
    os.rename(first, os.path.join(directory, "aside"))
    os.symlink("loop", os.path.join(directory, "loop"))
    os.symlink("loop", first)
    relay.mend()
    server.logged("cannot open.*trying again")
    server.logged("connected to PostgreSQL")
    os.rename(os.path.join(directory, "aside"), first)
    assert waiting.answer().status == 204
    assert count(server.table, "tag = 'waits'") == 1000
    wait_for("all rows", lambda: count(server.table) == total)
    assert server.metric('historiand_rejected_total{reason="spool"}') == 0
    wait_for("an empty spool", lambda: in_spool(directory) == ["loop"])
    assert server.stop() == 0


def test_spool_unreadable():
    """a spool file that stays unreadable is set aside: what stands behind it is loaded"""
    relay = Relay()
    directory = temporary_directory()
    server, waiting, total = server_with_spool(relay, directory, 3, load_timeout="1s")
    first = spooled(directory)[0]
    os.unlink(first)
    os.mkdir(first)     # it opens, and cannot be read
    relay.mend()
    server.logged("cannot read.*trying again")
    answer = waiting.answer()
    assert answer.status == 503 and "may be lost" in answer.json()["detail"], answer
    lost = server.metric('historiand_rejected_total{reason="spool"}')
    assert lost >= 1000
    wait_for("what is left", lambda: count(server.table) == total - lost)
    wait_for("it set aside", lambda: in_spool(directory) ==
             [os.path.basename(first) + ".damaged"])
    assert server.stop() == 0


def test_spool_damaged_while_waiting():
    """rows lost with a damaged spool file are counted, and never said to be committed"""
    relay = Relay()
    directory = temporary_directory()
    server, waiting, total = server_with_spool(relay, directory, 3)
    with open(spooled(directory)[0], "r+b") as first:
        first.truncate(100)
    relay.mend()
    server.logged("is damaged .*too early.*: 0 rows could be read")
    answer = waiting.answer()
    assert answer.status == 503 and "may be lost" in answer.json()["detail"], answer
    lost = server.metric('historiand_rejected_total{reason="spool"}')
    assert lost >= 1000, lost     # that request's, and what else came into its file
    wait_for("what is left", lambda: count(server.table) == total - lost)
    assert server.save(message(1, "later", [1]), "?ack=committed").status == 204
    assert server.stop() == 0


def test_lost_while_writing_dead_letters():
    """the loading connection lost while rejected rows are written: they are written once"""
    path = os.path.join(temporary_directory(), "dead")
    os.mkfifo(path)     # a slow disk: opening it waits for a reader
    server = rejecting_server("ALTER TABLE {table} ADD CHECK (values[1] >= 0)", path)
    client = server.connect()
    client.send(request_bytes("POST", "/save?ack=committed",
                              json.dumps(message(1, "bad", [-1])).encode()))
    server.logged("rejected the row of tag")
    connected = sum("connected to PostgreSQL" in line for line in server.log)
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COMMIT%' "
        "AND application_name = 'historiand' AND datname = current_database()")
    wait_for("a new connection", lambda: sum("connected to PostgreSQL" in line
                                             for line in server.log) > connected)
    assert server.save(message(2, "good", [1])).status == 202
    with open(path, encoding="utf-8") as letters:
        assert client.answer().status == 422
        assert len(letters.readlines()) == 1
    wait_for("the row", lambda: count(server.table) == 1)
    assert server.stop() == 0


def test_partial_waits_for_room():
    """partial=true: the body is not read on while the buffer is full, and goes on afterwards"""
    relay = Relay()
    server = Server(conninfo=relay.conninfo, max_buffered_bytes="1MiB")
    lines = 60000
    body = b"".join(b'{"time":%d,"tag":"p%d","values":[1,2,3,4,5,6,7,8,9,0]}\n' % (i, i % 10)
                    for i in range(lines))
    for headers, data in ((NDJSON, body),
                          (dict(NDJSON, **{"Content-Encoding": "gzip"}), gzip.compress(body))):
        sql(f"TRUNCATE {server.table}")
        relay.cut()
        wait_for("not ready", lambda: not server.ready())
        client = server.connect()
        thread = threading.Thread(target=client.send, args=(
            request_bytes("POST", "/save?partial=true", data, headers),))
        thread.start()
        wait_for("a full buffer", lambda: server.metric("historiand_buffer_bytes") > 900000)
        time.sleep(0.3)     # it must stay that way
        assert server.metric("historiand_buffer_bytes") < 1600000
        relay.mend()
        assert client.answer().status == 202
        thread.join()
        wait_for("all rows", lambda: count(server.table) == lines)
    assert server.stop() == 0


def test_partial_gives_up():
    """a body that cannot go on is answered 503 with what was accepted"""
    relay = Relay()
    server = Server(conninfo=relay.conninfo, max_buffered_bytes="1MiB", commit_timeout="500ms")
    relay.cut()
    body = b'{"time":1,"tag":"p","values":[1,2,3,4,5,6,7,8,9,0]}\n' * 30000
    answer = server.save(body, "?partial=true", NDJSON)
    assert answer.status == 503, answer
    accepted = int(answer.json()["detail"].split("; ")[1].split(" ")[0])
    assert 1000 < accepted < 30000
    relay.mend()
    wait_for("the accepted rows", lambda: server.metric(
        "historiand_messages_committed_total") == accepted)
    assert server.stop() == 0


def fill_buffer(server):
    """Saves until there is no room for 50 more messages; returns how many were accepted."""
    for accepted in range(0, 100000, 50):
        body = ndjson([message(accepted + i, "fill", [i] * 10) for i in range(50)])
        if server.save(body, "", NDJSON).status == 503:
            return accepted
    raise AssertionError("the buffer has no end")


def partial_request(lines):
    """70 lines and their head come in one read of 4 KiB, which is short because the buffer is full"""
    body = b"".join(b'{"time":%d,"tag":"p","values":[1,2,3,4,5,6,7,8,9,0]}\n' % i
                    for i in range(lines))
    return request_bytes("POST", "/save?partial=true", body, NDJSON), len(body)


def test_partial_end_blocked_before_half_a_request():
    """a partial body whose end waited for room, and half of the next request behind it"""
    relay = Relay()
    server = Server(conninfo=relay.conninfo, max_buffered_bytes="1MiB")
    load = relay.hold(b"COPY ")
    fill_buffer(server)
    received = server.metric("historiand_received_bytes_total")
    request, length = partial_request(70)
    following = request_bytes("POST", "/save", ndjson([message(i, "q", [i]) for i in range(3)]),
                              NDJSON)
    client = server.connect()
    client.send(request + following[:-20])
    wait_for("the body", lambda: server.metric("historiand_received_bytes_total") ==
             received + length)
    load.set()
    assert client.answer().status == 202
    wait_for("its rows", lambda: count(server.table, "tag = 'p'") == 70)
    # They are visible a moment before the server learns of their commit and has room again.
    wait_for("room", lambda: server.metric("historiand_buffer_bytes") < 500000)
    client.send(following[-20:] + request_bytes("GET", "/livez"))
    assert client.answer().status == 202
    assert client.answer().status == 200
    wait_for("the next rows", lambda: count(server.table, "tag = 'q'") == 3)
    assert server.stop() == 0


def test_partial_gives_up_behind_another():
    """a body that cannot go on behind an unanswered request is answered once, in its turn"""
    for lines in (70, 3000):        # the end is blocked; the body is
        relay = Relay()
        server = Server(conninfo=relay.conninfo, max_buffered_bytes="1MiB",
                        commit_timeout="500ms")
        load = relay.hold(b"COPY ")
        query = relay.hold(b"historian.downsample")
        fill_buffer(server)
        client = server.connect()
        client.send(request_bytes("GET", "/api?tag=fill&start=0&end=9&samples=1") +
                    partial_request(lines)[0] + request_bytes("GET", "/livez"))
        # Nothing behind an unanswered read is begun.
        query.set()
        answer = client.answer()
        assert answer.status in (200, 404), answer
        answer = client.answer()
        assert answer.status == 503 and answer.headers["connection"] == "close", answer
        said = int(answer.json()["detail"].split("; ")[1].split(" ")[0])
        assert client.closed()
        load.set()
        assert server.stop() == 0
        assert count(server.table, "tag = 'p'") == said


def test_blocked_behind_a_commit():
    """a partial body that waits for room behind an unanswered commit goes on after it, in order"""
    relay = Relay()
    server = Server(conninfo=relay.conninfo, max_buffered_bytes="1MiB")
    load = relay.hold(b"COPY ")
    client = server.connect()
    client.send(request_bytes("POST", "/save?ack=committed",
                              json.dumps(message(1, "first", [1])).encode()))
    wait_for("it", lambda: server.metric("historiand_messages_received_total") == 1)
    accepted = fill_buffer(server)
    request, length = partial_request(3000)
    received = server.metric("historiand_received_bytes_total")
    client.send(request + request_bytes("GET", "/livez"))
    wait_for("a part of the body", lambda: server.metric("historiand_received_bytes_total") >
             received)
    time.sleep(0.2)     # it must stay that way: neither is answered, nor is the rest read
    assert server.metric("historiand_received_bytes_total") < received + length
    load.set()
    assert [client.answer().status for _ in range(3)] == [204, 202, 200]
    wait_for("all rows", lambda: count(server.table) == 1 + accepted + 3000)
    assert server.stop() == 0


def test_drain():
    """SIGTERM under load: every message that got an answer is in the table"""
    drain_under_load(Server(flush_interval="1h"), False)


def test_drain_of_threads():
    """the same with several loops, and a new connection for each message"""
    for _ in range(3):
        drain_under_load(Server(flush_interval="1h", threads=4), True)


def drain_under_load(server, connect_anew):
    answered = []
    stop = threading.Event()

    def produce(number):
        client = server.connect()
        i = 0
        try:
            while not stop.is_set():
                answer = client.request("POST", "/save", json.dumps(
                    message(i, f"d{number}", [i])).encode())
                if answer is None:
                    break
                assert answer.status == 202
                answered.append((i, number))
                i += 1
                if connect_anew:
                    client.close()
                    client = server.connect()
                elif answer.headers.get("connection") == "close":
                    break
        except OSError:
            pass

    threads = [threading.Thread(target=produce, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    wait_for("some load", lambda: len(answered) > 2000)
    begin = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begin < 10
    stop.set()
    for thread in threads:
        thread.join()
    stored = set((t, int(tag[1:])) for t, tag, _ in rows(server.table))
    assert set(answered) <= stored and len(stored) - len(answered) <= 8


def test_drain_without_database():
    """SIGTERM with PostgreSQL away and no spool: it says what is lost, within ten seconds"""
    relay = Relay()
    server = Server(conninfo=relay.conninfo)
    relay.cut()
    wait_for("not ready", lambda: not server.ready())
    assert server.save(ndjson([message(i, "a", [1]) for i in range(7)]), "", NDJSON).status == 202
    assert server.stop() == 1
    server.logged("7 buffered messages, which are lost")


if __name__ == "__main__":
    run(sys.modules[__name__])
