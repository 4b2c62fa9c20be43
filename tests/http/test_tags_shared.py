#!/usr/bin/python3
"""Batches share the names of tags: what a message of one value takes, and which row wins while names come and go."""
import os
import random
import sys

from historiand import NDJSON, Server, message, ndjson, new_table, rows, run, wait_for

AWAY = "host=/nonexistent dbname=x"
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(10**9)))
TAGS = 100000


def plant_tag(number):
    return "rotterdam/crude-distillation/compressor-%05d/sensor-%02d" % (number // 20, number % 20)


def test_bytes_of_a_message():
    """one value of each of 100,000 tags takes 28 bytes of the buffer, however often the tags come"""
    server = Server(conninfo=AWAY, expect_ready=False, max_buffered_bytes="256MiB")
    for second in range(1, 4):
        body = ndjson(message(second, plant_tag(i), [i / 100]) for i in range(TAGS))
        assert server.save(body, "", NDJSON).status == 202
        used = server.metric("historiand_buffer_bytes") / (second * TAGS)
        print(f"# {used:.1f} bytes a message after second {second}", flush=True)
        # the last block of 256 KiB may be nearly empty
        assert 28 <= used < 28 + (256 << 10) / (second * TAGS), used
    grown = server.memory()
    body = ndjson(message(9, plant_tag(i), [i / 100]) for i in range(TAGS))
    for _ in range(10):
        assert server.save(body, "", NDJSON).status == 202
    used = (server.memory() - grown) / (10 * TAGS)
    print(f"# {used:.1f} bytes of memory for each of {10 * TAGS} more", flush=True)
    assert used < 36, used
    server.kill()


def test_last_one_wins():
    """tags that come and go, in small and large bodies: of two rows with one time the later one stays"""
    print(f"# SEED={SEED}", flush=True)
    chance = random.Random(SEED)
    table = new_table()
    server = Server(table=table, flush_interval="50ms", max_buffered_bytes="8MiB")
    expected = {}
    for round_number in range(30):
        # a window of tags that moves on, so that most of the names known are not used any more
        first = round_number * 3000
        messages = []
        for i in range(chance.choice([1, 3, 5000, 9000])):
            tag = plant_tag(first + chance.randrange(6000))
            key = chance.randrange(3)
            values = [round_number * 100000 + i] * chance.randrange(4)
            messages.append(message(key, tag, values))
            expected[tag, key] = "{%s}" % ",".join(map(str, values))
        answer = server.save(ndjson(messages), "?ack=committed" if round_number % 3 == 0 else "", NDJSON)
        assert answer.status in (202, 204), answer
    wait_for("an empty buffer", lambda: server.metric("historiand_buffer_bytes") == 0)
    found = {(tag, time): values for time, tag, values in rows(table)}
    assert len(found) == len(expected), (len(found), len(expected))
    wrong = [(key, found.get(key), values) for key, values in expected.items()
             if found.get(key) != values]
    assert not wrong, wrong[:3]
    assert server.stop() == 0


if __name__ == "__main__":
    run(sys.modules[__name__])
