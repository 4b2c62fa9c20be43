#!/usr/bin/python3
"""The spool on a disk that is full, or after a power cut: nothing comes back, nothing is overwritten."""
import os
import shutil
import sys
import time

from historiand import (NDJSON, Server, count, message, ndjson, new_table, rows, run,
                        temporary_directory, wait_for)

AWAY = "host=/nonexistent dbname=x"


def files(directory):
    return sorted(name for name in os.listdir(directory) if name.startswith("spool-"))


def spool_some(directory, table, messages):
    """A server without PostgreSQL that stops with messages in its spool."""
    server = Server(table=table, conninfo=AWAY, expect_ready=False, spool_dir=directory)
    assert server.save(ndjson(messages), "", NDJSON).status == 202
    assert server.stop() == 0


def emptied(directory, table):
    """A server that has loaded what was in the spool."""
    server = Server(table=table, spool_dir=directory)
    wait_for("an empty spool", lambda: not [name for name in files(directory)
                                            if not name.endswith(".damaged")])
    return server


def processor_seconds(server):
    with open(f"/proc/{server.process.pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_disk_that_cannot_be_written():
    """a spool that cannot be written is tried again with back-off, logged once, and nothing is lost"""
    directory = os.path.join(temporary_directory(), "spool")
    table = new_table()
    server = Server(table=table, conninfo=AWAY, expect_ready=False, spool_dir=directory,
                    max_buffered_bytes="2MiB")
    shutil.rmtree(directory)    # nothing can be made in a directory that is gone
    body = ndjson([message(i, f"d{i % 50}", [i] * 10) for i in range(5000)])
    assert server.save(body, "", NDJSON).status == 202
    server.logged("cannot write .*trying again")
    lines, used = len(server.log), processor_seconds(server)
    time.sleep(3)
    assert processor_seconds(server) - used < 1
    assert sum("cannot write" in line for line in server.log) == 1, server.log
    assert len(server.log) - lines < 10, server.log     # the connection is tried again too
    assert server.metric("historiand_buffer_bytes") > 500000
    server.kill()


def test_power_cut():
    """a file that was loaded and is back after a power cut is not loaded over newer values"""
    directory = temporary_directory()
    table = new_table()
    for cut in range(2):        # the second one finds what the first one left
        spool_some(directory, table, [message(1, "a", [10 * cut + 1])])
        spooled = files(directory)
        assert len(spooled) == 1, spooled
        shutil.copy(os.path.join(directory, spooled[0]), directory + ".kept")
        server = emptied(directory, table)
        assert rows(table)[0] == (1, "a", f"{{{10 * cut + 1}}}")
        newer = message(1, "a", [10 * cut + 2])
        assert server.save(newer, "?ack=committed").status == 204
        server.kill()
        shutil.move(directory + ".kept", os.path.join(directory, spooled[0]))
        server = Server(table=table, spool_dir=directory)
        server.logged(spooled[0] + " was loaded before")
        assert server.save(message(2, "b", [cut]), "?ack=committed").status == 204
        assert rows(table)[0] == (1, "a", f"{{{10 * cut + 2}}}")
        assert not files(directory)
        assert server.stop() == 0


def test_torn_mark():
    """a power cut while the mark is written leaves the one before"""
    directory = temporary_directory()
    table = new_table()
    for value in range(3):
        spool_some(directory, table, [message(1, "a", [value])])
        server = emptied(directory, table)
        assert server.stop() == 0
    spool_some(directory, table, [message(2, "a", [9])])
    mark = os.path.join(directory, "loaded")
    with open(mark, "r+b") as file:
        slots = [file.read(512), file.read(512)]
        numbers = [int.from_bytes(slot[8:16], sys.byteorder) for slot in slots]
        assert abs(numbers[0] - numbers[1]) == 1, numbers
        file.seek(512 * numbers.index(max(numbers)) + 8)
        file.write(b"\xff" * 8)     # a number that its checksum does not know
    server = emptied(directory, table)
    assert rows(table) == [(1, "a", "{2}"), (2, "a", "{9}")]
    assert server.stop() == 0


def test_damaged_files_stay():
    """damaged files of several runs are kept beside each other"""
    directory = temporary_directory()
    table = new_table()
    for number in range(3):
        spool_some(directory, table, [message(i, f"run{number}", [i]) for i in range(1000)])
        fresh = [name for name in files(directory) if not name.endswith(".damaged")]
        with open(os.path.join(directory, fresh[0]), "r+b") as file:
            file.seek(os.path.getsize(file.name) // 2)
            file.write(b"?!")
        server = emptied(directory, table)
        server.logged("is damaged")
        assert server.stop() == 0
    found = []
    for name in files(directory):
        with open(os.path.join(directory, name), "rb") as file:
            data = file.read()
        found.append([b"run%d" % number in data for number in range(3)])
    assert sorted(found) == [[False, False, True], [False, True, False], [True, False, False]]


def test_age_of_what_is_spooled():
    """the age of the oldest message counts what is in the spool, and what an earlier process left"""
    directory = temporary_directory()
    table = new_table()
    server = Server(table=table, conninfo=AWAY, expect_ready=False, spool_dir=directory,
                    max_buffered_bytes="1MiB")
    begin = time.monotonic()
    taken = None        # the first ones came between both
    number = 0
    while not files(directory) or time.monotonic() - begin < 3:
        body = ndjson([message(number + i, f"o{i % 9}", [i] * 10) for i in range(500)])
        number += 500 if server.save(body, "", NDJSON).status == 202 else 0
        taken = taken or time.monotonic()
        time.sleep(0.05)
    least = time.monotonic() - taken
    age = server.metric("historiand_oldest_unflushed_age_seconds")
    assert least - 0.5 < age < time.monotonic() - begin + 0.5, age
    assert server.stop() == 0
    old = time.time() - 3600
    for name in files(directory):
        os.utime(os.path.join(directory, name), (old, old))
    server = Server(table=table, conninfo=AWAY, expect_ready=False, spool_dir=directory)
    wait_for("its age", lambda: 3599 < server.metric("historiand_oldest_unflushed_age_seconds"))
    assert server.stop() == 0
    server = emptied(directory, table)
    assert count(table) == number
    wait_for("no age", lambda: server.metric("historiand_oldest_unflushed_age_seconds") == 0)
    assert server.stop() == 0


if __name__ == "__main__":
    run(sys.modules[__name__])
