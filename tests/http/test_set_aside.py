#!/usr/bin/python3
"""Loads with many bad rows: what others wait for, in which order rows come, who is told what."""
import json
import os
import random
import sys
import threading
import time

from historiand import (NDJSON, Relay, Server, count, message, ndjson, new_table, request_bytes,
                        rows, run, sql, temporary_directory, wait_for)


def checked_table(pace_ms, kind="heap"):
    """A table without negative values, where a row of a tag slow.. takes so long; shows the order of rows."""
    table = new_table(kind)
    if kind == "heap":
        sql(f"ALTER TABLE {table} ADD number bigint GENERATED ALWAYS AS IDENTITY")
    sql(f"ALTER TABLE {table} ADD CHECK (values[1] >= 0);"
        f"CREATE TABLE pace_{table} AS SELECT {pace_ms} / 1000.0 AS seconds;"
        f"CREATE FUNCTION pace_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"PERFORM pg_sleep(seconds) FROM pace_{table} WHERE seconds > 0; RETURN new; END $$; "
        f"CREATE TRIGGER pace BEFORE INSERT ON {table} FOR EACH ROW "
        f"WHEN (new.tag LIKE 'slow%') EXECUTE FUNCTION pace_{table}()")
    return table


def set_pace(table, pace_ms):
    sql(f"UPDATE pace_{table} SET seconds = {pace_ms} / 1000.0")


def half_bad(tag, total):
    """Every other value is refused."""
    return ndjson([message(i, tag, [i if i % 2 == 0 else -1]) for i in range(total)])


def send(server, body, query="?ack=committed"):
    """A client that waits for its answer."""
    client = server.connect(timeout=60)
    client.send(request_bytes("POST", "/save" + query, body, NDJSON))
    return client


def refused(server):
    return server.metric('historiand_rejected_total{reason="database"}')


def values_of(table, tag):
    """Of a tag, in the order in which they were loaded."""
    return [int(value[1:-1]) for value, in
            sql(f"SELECT values FROM {table} WHERE tag = '{tag}' ORDER BY number")]


def test_others_do_not_wait():
    """while thousands of bad rows are sifted out, the rows of others are committed"""
    total = 4000
    for kind in (None, "heap"):
        table = checked_table(5, kind)
        server = Server(table=table, commit_timeout="60s")
        # The trial takes 20 seconds at this pace.  The first one of the others is in the same load.
        offender = send(server, half_bad("slow", total))
        begin = time.monotonic()
        for i in range(5):
            assert server.save(message(i, "other", [i]), "?ack=committed").status == 204
        waited = time.monotonic() - begin
        # What is neither refused nor in the table is set aside.  The trial goes on meanwhile.
        assert refused(server) < total / 2
        at_most = total - refused(server) - count(table, "tag = 'slow'")
        wait_for("the metric", lambda: total / 4 < server.metric("historiand_set_aside_messages") <= at_most)
        assert waited < 10, waited
        assert count(table, "tag = 'other'") == 5
        set_pace(table, 0)
        answer = offender.answer()
        assert answer.status == 422 and answer.json()["rejected"] == total // 2, answer
        assert count(table, "tag = 'slow'") == total // 2
        wait_for("the end of it", lambda: server.metric("historiand_set_aside_messages") == 0)
        assert server.stop() == 0


def test_order_of_a_tag():
    """rows of a tag that is on trial come behind those before them, and who sent them is told then"""
    table = checked_table(5)
    path = os.path.join(temporary_directory(), "dead")
    server = Server(table=table, commit_timeout="60s", dead_letter_file=path)
    total = 2000
    offender = send(server, half_bad("slow", total))
    assert server.save(message(1, "other", [1]), "?ack=committed").status == 204
    followers = []
    for i in range(10):
        # One row for the tag on trial, which may be bad, and one for another tag.
        body = ndjson([message(0, "slow", [total + i if i % 3 else -1]), message(i, f"mine{i}", [i])])
        followers.append(send(server, body))
        assert server.save(message(2 + i, "other", [2 + i]), "?ack=committed").status == 204
    assert refused(server) < total / 2
    assert count(table, f"values[1] >= {total}") == 0
    set_pace(table, 0)
    assert offender.answer().json()["rejected"] == total // 2
    for i, follower in enumerate(followers):
        answer = follower.answer()
        assert answer.status == (204 if i % 3 else 422), (i, answer)
        if i % 3 == 0:
            assert answer.json()["rejected"] == 1, answer
    assert values_of(table, "slow") == list(range(0, total, 2)) + [total + i for i in range(10) if i % 3]
    assert values_of(table, "other") == list(range(1, 12))
    with open(path, encoding="utf-8") as lines:
        letters = [json.loads(line) for line in lines]
    assert sorted(letter["time"] for letter in letters) == [0] * 4 + list(range(1, total, 2))
    assert server.stop() == 0


def test_last_value_stays():
    """of two rows with the same tag and time the later one stays, though the first one was set aside"""
    table = checked_table(5, None)
    server = Server(table=table)
    total = 2000
    assert server.save(half_bad("slow", total), "", NDJSON).status == 202
    assert server.save(message(1, "other", [1]), "?ack=committed").status == 204
    later = ndjson([message(i, "slow", [10 ** 6 + i]) for i in range(total)])
    assert server.save(later, "", NDJSON).status == 202
    assert server.save(message(2, "other", [2]), "?ack=committed").status == 204
    assert refused(server) < total / 2
    set_pace(table, 0)
    wait_for("all rows", lambda: server.metric("historiand_messages_committed_total") ==
             total // 2 + total + 2)
    if count("pg_am", "amname = 'historian'"):      # other tables keep both
        assert rows(table, "tag = 'slow'") == [(i, "slow", f"{{{10 ** 6 + i}}}") for i in range(total)]
    assert server.stop() == 0


def test_wait_is_limited():
    """who waits for rows on trial is answered after --commit-timeout"""
    table = checked_table(5)
    server = Server(table=table, commit_timeout="1s")
    offender = send(server, half_bad("slow", 4000))
    answer = offender.answer()
    assert answer.status == 503 and "again is harmless" in answer.json()["detail"], answer
    wait_for("a commit in time", lambda: server.save(message(1, "other", [1]), "?ack=committed").status == 204)
    assert refused(server) < 2000
    set_pace(table, 0)
    wait_for("the rest", lambda: refused(server) == 2000)
    assert server.stop() == 0


def test_saved_at_the_end():
    """what is set aside when the process ends goes to the spool, and is loaded first by the next one"""
    table = checked_table(20)
    directory = temporary_directory()
    server = Server(table=table, spool_dir=directory)
    total = 3000
    assert server.save(half_bad("slow", total), "", NDJSON).status == 202
    assert server.save(message(1, "other", [1]), "?ack=committed").status == 204
    body = ndjson([message(0, "slow", [total + i]) for i in range(10)])
    assert server.save(body, "", NDJSON).status == 202
    assert server.save(message(2, "other", [2]), "?ack=committed").status == 204
    assert server.stop(15) == 0
    with open(os.path.join(directory, "dead-letters.ndjson"), encoding="utf-8") as lines:
        before = len(lines.readlines())
    assert 0 < before < total / 2
    set_pace(table, 0)
    server = Server(table=table, spool_dir=directory)
    assert server.save(message(3, "slow", [total + 10]), "?ack=committed").status == 204
    assert before + refused(server) == total / 2
    assert values_of(table, "slow") == list(range(0, total, 2)) + [total + i for i in range(11)]
    assert server.stop() == 0


def test_lost_at_commit_of_a_part():
    """a connection lost while a part of what is set aside commits: it is not loaded twice"""
    table = checked_table(2)
    relay = Relay()
    path = os.path.join(temporary_directory(), "dead")
    server = Server(table=table, conninfo=relay.conninfo, commit_timeout="60s", dead_letter_file=path)
    total = 2000
    offender = send(server, half_bad("slow", total))
    for number in range(4):
        done = refused(server)
        wait_for("a part", lambda n=done: refused(server) > n)
        relay.swallow = b"COMMIT\0"
        wait_for("the loss", lambda n=number: relay.swallowed == n + 1)
    assert refused(server) < total / 2
    set_pace(table, 0)
    assert offender.answer().json()["rejected"] == total // 2
    assert values_of(table, "slow") == list(range(0, total, 2))
    with open(path, encoding="utf-8") as lines:
        assert sorted(json.loads(line)["time"] for line in lines) == list(range(1, total, 2))
    assert server.stop() == 0


def test_at_random():
    """random batches of good and bad rows, backends that are ended: each good row once and in order"""
    seed = int(os.environ.get("SEED", random.randrange(10 ** 6)))
    print(f"# SEED={seed}")
    table = checked_table(0)
    server = Server(table=table, commit_timeout="60s")
    stop = threading.Event()
    sent = {}
    wrong = []

    def produce(number):
        chance = random.Random(seed + number)
        value = 0
        for _ in range(20):
            messages = []
            bad = 0
            share = chance.choice((0, 0, 0.01, 0.5, 1))
            tags = [f"{chance.choice(('slow', 'quick'))}{number}_{n}" for n in range(chance.randrange(1, 9))]
            for _ in range(chance.choice((1, 50, 1500))):
                tag = chance.choice(tags)
                is_bad = chance.random() < share
                value += 1
                bad += is_bad
                messages.append(message(value, tag, [-1 if is_bad else value]))
                if not is_bad:
                    sent.setdefault(tag, []).append(value)
            if chance.random() < 0.5:
                if server.save(ndjson(messages), "", NDJSON).status != 202:
                    wrong.append((number, "not accepted"))
                continue
            answer = send(server, ndjson(messages)).answer()
            told = answer.json()["rejected"] if answer.status == 422 else 0
            if answer.status != (422 if bad else 204) or told != bad:
                wrong.append((number, bad, answer))

    def end_backends():
        chance = random.Random(seed)
        # Loads take up to half a second, and must come to their end now and then.
        while not stop.wait(0.1 + 2 * chance.random()):
            sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                f"WHERE query LIKE '%{table}%' AND pid <> pg_backend_pid()")

    killer = threading.Thread(target=end_backends)
    threads = [threading.Thread(target=produce, args=(number,)) for number in range(6)]
    for thread in threads + [killer]:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    killer.join()
    print(f"# {sum('others go first' in line for line in server.log)} loads with rows set aside")
    assert not wrong, wrong
    total = sum(map(len, sent.values()))
    wait_for("all rows", lambda: server.metric("historiand_messages_committed_total") >= total, 60)
    assert server.stop() == 0
    for tag, values in sent.items():
        assert values_of(table, tag) == values, tag
    assert count(table) == total


if __name__ == "__main__":
    run(sys.modules[__name__])
