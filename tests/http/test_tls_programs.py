#!/usr/bin/python3
"""historian-producer, historian-client and historian doctor over TLS: whom they trust, and what they say otherwise."""
import os
import socket
import ssl
import subprocess
import sys
import threading
import time

from certificates import Authority
from historiand import BINARY, CONNINFO, Server, count, rows, run, temporary_directory, wait_for

DIRECTORY = temporary_directory()
AUTHORITY = Authority(DIRECTORY)
OTHER = Authority(DIRECTORY, "other")
SERVED = AUTHORITY.issue("server", "/CN=localhost", server=True)
PRESS = AUTHORITY.issue("press", "/O=plant/CN=press")
STRANGER = OTHER.issue("stranger", "/CN=press")


class TlsServer(Server):
    """A server with a certificate; the suite itself asks it without looking at that."""

    def __init__(self, served=SERVED, own=None, **settings):
        self.context = ssl._create_unverified_context()     # pylint: disable=protected-access
        if own:
            self.context.load_cert_chain(*own)
        super().__init__(tls_certificate=served[0], tls_key=served[1], **settings)

    def connect(self, **options):
        client = super().connect(**options)
        client.socket = self.context.wrap_socket(client.socket, server_hostname="localhost")
        return client

    def logged(self, pattern, seconds=20.0):
        return super().logged(pattern.replace("http://", "https://"), seconds)


def execute(*command, environment=None):
    began = time.monotonic()
    done = subprocess.run([os.path.join(os.path.dirname(BINARY), command[0]), *command[1:]], capture_output=True, text=True,
                          timeout=60, env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL, check=False)
    done.seconds = time.monotonic() - began
    return done


def produce(url, *options, **keywords):
    return execute("historian-producer", "--url", url, "--rate", "1000", "--tags", "20", "--start", "-10", "--messages", "500", *options, **keywords)


def consume(url, *options, **keywords):
    return execute("historian-client", "--url", url, "--finished", "--duration", "1", "--max-p99-ms", "5000", *options, **keywords)


def doctor(url, *options, **keywords):
    return execute("historian", "doctor", "-d", CONNINFO, "-t", TABLE[0], "--url", url, "--min-free", "0", *options, **keywords)


TABLE = [None]
PROGRAMS = (produce, consume, doctor)


def refused(url, message, *options, **keywords):
    """Each program ends at once, and says why."""
    for program in PROGRAMS:
        done = program(url, *options, **keywords)
        assert done.returncode == 1 and message in done.stdout + done.stderr, (program, done)
        assert done.seconds < 8, (program, done.seconds)


def test_trust():
    """Each program works over https:// with --ca-file, by name and by address, and with the system's authorities"""
    server = TlsServer()
    TABLE[0] = server.table
    for host in ("localhost", "127.0.0.1"):
        url = f"https://{host}:{server.port}"
        done = produce(url, "--ca-file", AUTHORITY.certificate, "--seed", "1" if host == "localhost" else "2")
        assert done.returncode == 0 and "500 acknowledged" in done.stdout, done
        done = consume(url, "--ca-file", AUTHORITY.certificate)
        assert done.returncode == 0 and " 0 wrong" in done.stdout and " 0 errors" in done.stdout, done
        done = doctor(url, "--ca-file", AUTHORITY.certificate)
        assert "is ready" in done.stdout, done
    wait_for("the messages", lambda: count(server.table) >= 500)
    url = f"https://localhost:{server.port}"
    for program in PROGRAMS:     # OpenSSL's variable stands for the system's file
        done = program(url, environment={"SSL_CERT_FILE": AUTHORITY.certificate})
        assert done.returncode == 0, done
    server.stop()


def test_large_bodies():
    """Bodies of many records, and pipelined ones, arrive whole"""
    server = TlsServer()
    done = execute("historian-producer", "--url", f"https://localhost:{server.port}", "--ca-file", AUTHORITY.certificate, "--rate", "1000",
                   "--messages", "40000", "--start", "1700000000000000000", "--batch", "5000", "--ack", "committed")
    assert done.returncode == 0 and "40000 acknowledged" in done.stdout, done
    assert count(server.table, "tag ~ '^t[0-9]'") == 40000
    server.stop()


def test_distrust():
    """An untrusted, expired or otherwise named certificate is refused, with the reason and a cure"""
    server = TlsServer()
    url = f"https://localhost:{server.port}"
    TABLE[0] = server.table
    refused(url, "certificate is not trusted (unable to get local issuer certificate)", "--ca-file", OTHER.certificate)
    refused(url, "--ca-file must have the authority that signed it")
    for number, (served, message) in enumerate((
            (AUTHORITY.issue("expired", "/CN=localhost", server=True, days=-1), "certificate expired on"),
            (AUTHORITY.issue("elsewhere", "/CN=localhost", server=True, names="DNS:plant.example,IP:10.0.0.1"),
             "certificate is not for localhost but for DNS:plant.example, IP Address:10.0.0.1"),
            (AUTHORITY.issue("unnamed", "/CN=localhost", server=True, names="email:a@b.example"), "certificate is not for localhost but for email:a@b.example"))):
        another = TlsServer(served)
        refused(f"https://localhost:{another.port}", message, "--ca-file", AUTHORITY.certificate)
        if number == 1:
            refused(f"https://127.0.0.1:{another.port}", "certificate is not for 127.0.0.1 but", "--ca-file", AUTHORITY.certificate)
        assert not rows(another.table)
        another.stop()
    assert not rows(server.table)
    server.stop()


def greet(listener):
    while True:
        try:
            connection = listener.accept()[0]
        except OSError:
            return
        with connection:
            connection.sendall(b"220 mail.example ESMTP\r\n")
            connection.recv(9999)


def test_wrong_scheme():
    """http:// to a port of TLS, and https:// to one without, say so"""
    server = TlsServer()
    TABLE[0] = server.table
    refused(f"http://localhost:{server.port}", "https://")
    plain = Server()
    refused(f"https://localhost:{plain.port}", "the URL must begin with http://", "--ca-file", AUTHORITY.certificate)
    plain.stop()
    with socket.create_server(("127.0.0.1", 0)) as other:       # a port that speaks first, as mail servers do
        threading.Thread(target=greet, args=(other,), daemon=True).start()
        refused(f"https://127.0.0.1:{other.getsockname()[1]}", "does not speak TLS")
    server.stop()


def test_client_certificate():
    """--certificate and --key show who the client is; without one, or with a stranger's, the server's refusal is told"""
    server = TlsServer(own=PRESS, tls_client_ca=AUTHORITY.certificate)
    TABLE[0] = server.table
    url = f"https://localhost:{server.port}"
    trust = ("--ca-file", AUTHORITY.certificate)
    both = os.path.join(DIRECTORY, "press.pem")
    with open(both, "w", encoding="ascii") as target:
        for part in PRESS:
            with open(part, encoding="ascii") as source:
                target.write(source.read())
    for own in (("--certificate", PRESS[0], "--key", PRESS[1]), ("--certificate", both)):
        for program in PROGRAMS:
            done = program(url, *trust, *own)
            assert done.returncode == 0, done
    refused(url, "asks for a client certificate", *trust)
    refused(url, "does not accept this --certificate", *trust, "--certificate", STRANGER[0], "--key", STRANGER[1])
    assert server.stop() == 0


def test_options():
    """Files that cannot be used, and options that do not fit, end each program before it connects"""
    for options, message in (
            (("--ca-file", "/nothing"), "--ca-file: cannot use /nothing: No such file"),
            (("--ca-file", SERVED[1]), "--ca-file: cannot use"),
            (("--certificate", "/nothing"), "--certificate: cannot use /nothing"),
            (("--certificate", PRESS[0]), "--key: cannot use"),
            (("--certificate", PRESS[0], "--key", STRANGER[1]), "--key: cannot use"),
            (("--key", PRESS[1]), "--key needs --certificate")):
        for program in PROGRAMS:
            done = program("https://localhost:1", *options)
            assert done.returncode == 2 and message in done.stderr, done
    for program in PROGRAMS:
        done = program("http://localhost:1", "--ca-file", AUTHORITY.certificate)
        assert done.returncode == 2 and "for a URL that begins with https://" in done.stderr, done


def test_loss():
    """A server that goes away during a run and comes back is written to until everything is acknowledged"""
    server = TlsServer()
    url = f"https://localhost:{server.port}"
    producer = subprocess.Popen([os.path.join(os.path.dirname(BINARY), "historian-producer"), "--url", url, "--ca-file", AUTHORITY.certificate,
                                 "--rate", "500", "--tags", "20", "--duration", "4", "--ack", "committed"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for("messages", lambda: count(server.table) > 100)
    server.kill()
    time.sleep(0.5)
    again = TlsServer(table=server.table, listen=f"127.0.0.1:{server.port}")
    output, errors = producer.communicate(timeout=60)
    assert producer.returncode == 0 and " 0 refused" in output and "it is tried again" in errors, (output, errors)
    assert count(server.table, "tag ~ '^t[0-9]'") == 2000
    again.stop()


if __name__ == "__main__":
    run(sys.modules[__name__])
