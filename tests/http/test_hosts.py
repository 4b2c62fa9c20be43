#!/usr/bin/python3
"""Several hosts, reads from elsewhere than writes, and the password from a file."""
import os
import socket
import struct
import subprocess
import sys
import threading

from historiand import (BINARY, Relay, Server, message, run, temporary_directory, wait_for)


class PasswordTrap:
    """Speaks PostgreSQL as far as the password, notes it, and refuses."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.passwords = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            try:
                self.serve(client)
            except (OSError, struct.error):
                pass
            client.close()

    def serve(self, client):
        length, code = struct.unpack("!II", client.recv(8, socket.MSG_WAITALL))
        client.recv(length - 8, socket.MSG_WAITALL)
        assert code == 3 << 16, "sslmode and gssencmode are off"
        client.sendall(struct.pack("!cII", b"R", 8, 3))      # the password in clear, please
        _, length = struct.unpack("!cI", client.recv(5, socket.MSG_WAITALL))
        self.passwords.append(client.recv(length - 4, socket.MSG_WAITALL).rstrip(b"\0").decode())
        reason = b"SFATAL\0C28P01\0Mno\0\0"
        client.sendall(struct.pack("!cI", b"E", len(reason) + 4) + reason)


class Host(Relay):
    """A server that can stop listening: only then does libpq turn to the next host."""

    def __init__(self):
        super().__init__()
        self.port = self.listener.getsockname()[1]

    def accept(self):
        try:
            super().accept()
        except OSError:
            pass        # not listening any more

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def start(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.mend()
        threading.Thread(target=self.accept, daemon=True).start()


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def test_password_file():
    """the password comes from the file at each connection, without its line end"""
    trap = PasswordTrap()
    path = os.path.join(temporary_directory(), "password")
    write(path, "first secret\n")
    server = Server(conninfo=f"host=127.0.0.1 port={trap.port} user=u dbname=d sslmode=disable "
                    "gssencmode=disable", expect_ready=False, database_password_file=path)
    wait_for("the password", lambda: "first secret" in trap.passwords)
    write(path, "second")
    wait_for("the new password", lambda: "second" in trap.passwords)
    assert set(trap.passwords) == {"first secret", "second"}, trap.passwords
    os.remove(path)
    server.logged("cannot read the password from " + path)
    assert not any("secret" in line for line in server.log)
    write(path, "third")
    wait_for("the password that came back", lambda: "third" in trap.passwords)


def test_settings_named():
    """an unreadable password file and a broken read-database are named at start"""
    for flags, name in ((["--database-password-file", "/no/such/file"], "database-password-file"),
                        (["--read-database", "host=a garbage"], "read-database")):
        done = subprocess.run([BINARY, "--check-config", *flags], capture_output=True, text=True)
        assert done.returncode == 2 and f"historiand: {name}: " in done.stderr, done


def test_reads_go_elsewhere():
    """reads go on through --read-database while the database for writes is away, and the other way round"""
    writes, reads = Relay(), Relay()
    server = Server(conninfo=writes.conninfo, read_database=reads.conninfo)
    assert server.save(message(1, "a", [1]), "?ack=committed").status == 204
    assert server.get("/api?tag=a&start=0&end=2&samples=1").status == 200
    writes.cut()
    wait_for("not ready", lambda: not server.ready())
    answer = server.get("/api?tag=a&start=0&end=2&samples=1")
    assert answer.status == 200 and answer.json()["samples"][0]["values"] == [1], answer
    writes.mend()
    reads.cut()
    wait_for("ready", lambda: server.ready())
    assert server.save(message(2, "a", [2]), "?ack=committed").status == 204
    answer = server.get("/api?tag=a&start=0&end=3&samples=1")
    assert answer.status == 200 and answer.json()["samples"][0]["values"] == [2], answer
    writes.cut()
    wait_for("no reads", lambda: server.get("/api?tag=a&start=0&end=2").status == 503)


def test_reads_come_back():
    """of several hosts reads take the first that answers, and come back to it"""
    first, second = Host(), Host()
    both = first.conninfo.replace(f"host=127.0.0.1 port={first.port}",
                                  f"host=127.0.0.1,127.0.0.1 port={first.port},{second.port}")
    server = Server(read_database=both + " target_session_attrs=any",
                    read_connection_lifetime="300ms")
    assert server.save(message(1, "a", [1]), "?ack=committed").status == 204

    def read():
        return server.get("/api?tag=a&start=0&end=2&samples=1").status

    def reads_through(relay):
        before = len(relay.pairs)
        return lambda: read() == 200 and len(relay.pairs) > before

    wait_for("reads through the first", reads_through(first))
    assert not second.pairs
    first.stop()
    wait_for("reads through the second", reads_through(second))
    first.start()
    wait_for("reads through the first again", reads_through(first))


run(sys.modules[__name__])
