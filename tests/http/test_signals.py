#!/usr/bin/python3
"""No signal but SIGKILL, and those of a fault, loses what was acknowledged; SIGHUP reloads."""
import os
import re
import signal
import sys
import time

from historiand import Server, count, message, ndjson, run, temporary_directory, wait_for, NDJSON

STOPPING = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGXCPU")
IGNORED = ("SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGPWR",
           "SIGXFSZ", "SIGSTKFLT", "SIGCHLD", "SIGURG", "SIGWINCH", "SIGCONT")


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def fill(server, number):
    for i in range(number):
        assert server.save(message(i, "a", [i])).status == 202


def test_stopping():
    """each signal that asks for the end has what is buffered loaded, given again too"""
    for name in STOPPING:
        server = Server(flush_interval="1h")
        fill(server, 100)
        for _ in range(3):
            server.process.send_signal(getattr(signal, name))
        assert server.process.wait(10) == 0, name
        assert count(server.table) == 100, name
        server.reader.join(10)
        assert any(f"stopping on {name}" in line for line in server.log), server.log


def test_every_other():
    """no other signal ends the process, neither while it serves nor while it drains"""
    server = Server(flush_interval="1h")
    fill(server, 100)
    numbers = [getattr(signal, name) for name in IGNORED]
    numbers += [signal.SIGHUP, *range(signal.SIGRTMIN, signal.SIGRTMAX + 1)]
    for number in numbers:
        server.process.send_signal(number)
    assert server.get("/livez").status == 200
    assert count(server.table) == 0
    # a body under way keeps it draining
    client = server.connect()
    client.send(b"POST /save HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n{")
    wait_for("the connection", lambda: server.connections() == 1)
    server.process.send_signal(signal.SIGTERM)
    server.logged("stopping on SIGTERM")
    for number in numbers:
        server.process.send_signal(number)
    assert server.process.wait(15) == 0
    assert count(server.table) == 100


def test_reload():
    """SIGHUP takes over what may change, names what may not, and keeps all where one is wrong"""
    path = os.path.join(temporary_directory(), "config")
    write(path, "log-level = info\nmax-body-bytes = 1MiB\nmax-queries = 8\nslow-request = 1h\n")
    server = Server(flush_interval="1h", config=path)
    fill(server, 10)
    body = ndjson([message(i, "big", [i]) for i in range(100)])
    assert server.save(body, headers=NDJSON).status == 202
    write(path, "log-level = debug\nmax-body-bytes = 1KiB\nmax-queries = 9\nslow-request = 1h\n")
    server.process.send_signal(signal.SIGHUP)
    server.logged("the settings were read again")
    server.logged("max-queries has changed, which takes effect at the next start")
    assert not any("slow-request has changed" in line for line in server.log)
    assert server.save(body, headers=NDJSON).status == 413
    server.logged("path=/save status=413")
    write(path, "log-level = debug\nmax-body-bytes = much\n")
    server.process.send_signal(signal.SIGHUP)
    server.logged("line 2: max-body-bytes.*much")
    server.logged("the settings stay as they are")
    assert server.save(body, headers=NDJSON).status == 413
    os.remove(path)
    server.process.send_signal(signal.SIGHUP)
    server.logged("cannot open the configuration file")
    assert server.stop() == 0
    assert count(server.table) == 110


def test_reload_under_load():
    """nothing is lost while the settings are read again all the time"""
    path = os.path.join(temporary_directory(), "config")
    server = Server(flush_interval="20ms", config=write(path, "idle-timeout = 70s\n") or path,
                    threads=2)
    end = time.monotonic() + 2
    sent = 0
    client = server.connect()
    while time.monotonic() < end or sent < 100:
        write(path + ".new", f"idle-timeout = {60 + sent % 10}s\ncommit-delay = {sent % 5}ms\n")
        os.rename(path + ".new", path)
        server.process.send_signal(signal.SIGHUP)
        answer = client.request("POST", "/save" + ("?ack=committed" if sent % 7 == 0 else ""),
                                str(message(sent, "a", [1])).replace("'", '"').encode())
        assert answer.status in (202, 204), answer
        sent += 1
    assert server.stop() == 0
    assert count(server.table) == sent


def test_flush_interval_reload():
    """a shorter --flush-interval is in force after the next flush"""
    path = os.path.join(temporary_directory(), "config")
    write(path, "flush-interval = 200ms\n")
    server = Server(config=path, flush_interval=None)
    write(path, "flush-interval = 1h\n")
    server.process.send_signal(signal.SIGHUP)
    server.logged("read again")
    wait_for("the long interval", lambda: (
        server.save(message(1, "a", [1])).status == 202 and
        time.sleep(0.5) is None and
        not re.search(r"historiand_buffer_bytes 0\n", server.get("/metrics").body.decode())))
    assert server.stop() == 0


if __name__ == "__main__":
    run(sys.modules[__name__])
