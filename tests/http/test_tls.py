#!/usr/bin/python3
"""TLS: what is spoken, certificates of clients, reload, and what hostile clients do to it."""
import atexit
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

from certificates import Authority, openssl
from historiand import (BINARY, Client, NDJSON, Server, message, ndjson, new_table, request_bytes, rows, run,
                        temporary_directory, wait_for)

DIRECTORY = temporary_directory()
AUTHORITY = Authority(DIRECTORY)
OTHER = Authority(DIRECTORY, "other")
SERVED = AUTHORITY.issue("server", "/CN=localhost", server=True)
RSA = AUTHORITY.issue("rsa", "/CN=localhost", server=True, key_type="rsa")
PRESS = AUTHORITY.issue("press", "/O=plant/CN=press")
STRANGER = OTHER.issue("stranger", "/CN=press")
NAMELESS = AUTHORITY.issue("nameless", "/O=plant")
TWO_NAMES = AUTHORITY.issue("two", "/CN=press/CN=admin")


def trusting(certificate=None, version=None):
    """A client's settings: it trusts the authority, and has a certificate of its own or none."""
    context = ssl.create_default_context(cafile=AUTHORITY.certificate)
    if certificate:
        context.load_cert_chain(*certificate)
    if version:
        context.minimum_version = context.maximum_version = version
    return context


class TlsClient(Client):
    def __init__(self, port, context=None, session=None, timeout=20.0):   # pylint: disable=super-init-not-called
        plain = socket.create_connection(("127.0.0.1", port), timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = (context or trusting()).wrap_socket(plain, server_hostname="localhost", session=session,
                                                          suppress_ragged_eofs=False)
        self.buffer = b""


class TlsServer(Server):
    """A server that serves over TLS, with files of its own that a test may replace."""

    def __init__(self, served=SERVED, context=None, **settings):
        own = temporary_directory()
        self.files = os.path.join(own, "server.crt"), os.path.join(own, "server.key")
        self.context = context
        self.put(served)
        super().__init__(tls_certificate=self.files[0], tls_key=self.files[1], **settings)

    def put(self, files):
        for source, target in zip(files, self.files):
            shutil.copy(source, target + ".new")
            os.rename(target + ".new", target)

    def connect(self, **options):
        return TlsClient(self.port, **{"context": self.context, **options})

    def logged(self, pattern, seconds=20.0):
        return super().logged(pattern.replace("http://", "https://"), seconds)

    def reload(self):
        before = len(self.log)
        self.process.send_signal(signal.SIGHUP)
        wait_for("the reload", lambda: [line for line in self.log[before:] if "certificate" in line])
        return "".join(self.log[before:])


server = None


def the_server():
    global server       # pylint: disable=global-statement
    if server is None:
        server = TlsServer(max_body_bytes="64MiB")
    return server


def s_client(port, *arguments, stdin=""):
    """openssl s_client with a request to be sent, or nothing; returns all that it printed."""
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", AUTHORITY.certificate,
                           *arguments], input=stdin, capture_output=True, text=True, timeout=20, check=False)


def test_versions():
    """TLS 1.2 and 1.3 are spoken, older versions are refused"""
    port = the_server().port
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        client = TlsClient(port, trusting(version=version))
        assert client.request("GET", "/livez").status == 200
        assert client.socket.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
        client.close()
    for old in ("-tls1", "-tls1_1"):
        done = s_client(port, old, "-cipher", "ALL:@SECLEVEL=0")
        assert done.returncode != 0 and "Cipher is (NONE)" in done.stdout, (old, done.stdout, done.stderr)
        assert "alert protocol version" in done.stderr, (old, done.stderr)


def test_old_hello():
    """a ClientHello of SSL 3 or SSL 2 is refused"""
    hello = bytes.fromhex("0300") + b"\0" * 32 + b"\0" + b"\0\x04\0\x0a\0\x05" + b"\x01\0"
    ssl3 = b"\x16\x03\x00" + struct.pack(">H", len(hello) + 4) + b"\x01" + struct.pack(">I", len(hello))[1:] + hello
    ssl2 = bytes.fromhex("802e0100020015000000100100800200800300800400800500800600400700c0") + b"\0" * 16
    for data in (ssl3, ssl2):
        with socket.create_connection(("127.0.0.1", the_server().port), 20) as raw:
            raw.sendall(data)
            answer = b""
            try:
                while more := raw.recv(4096):
                    answer += more
            except ConnectionResetError:
                pass
            assert answer == b"" or answer[0] == 21, answer     # nothing, or an alert


def test_ciphers():
    """no cipher without forward secrecy or authenticated encryption, no compression"""
    for kind in (SERVED, RSA):
        own = TlsServer(kind)
        for cipher in ("RC4", "3DES", "NULL", "EXPORT", "aNULL", "kRSA", "AES128-SHA", "ECDHE+SHA1", "ECDHE+SHA256:ECDHE+SHA384:!AESGCM:!CHACHA20"):
            done = s_client(own.port, "-tls1_2", "-cipher", cipher + ":@SECLEVEL=0")
            assert done.returncode != 0, (cipher, done.stdout)
        for cipher in ("ECDHE+AES128:!SHA1:!SHA256", "ECDHE+AESGCM", "ECDHE+CHACHA20"):
            done = s_client(own.port, "-tls1_2", "-cipher", cipher)
            assert "Verify return code: 0 (ok)" in done.stdout, (cipher, done.stdout, done.stderr)
            assert "Compression: NONE" in done.stdout and "Temp Key" in done.stdout, done.stdout
        own.stop()


def test_renegotiation():
    """a client cannot negotiate anew on an open connection"""
    process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{the_server().port}", "-tls1_2"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output, _ = process.communicate("R\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n", timeout=20)
    assert "Secure Renegotiation IS supported" in output, output
    assert re.search("no renegotiation|unexpected message|handshake failure", output), output


def test_protocols():
    """ALPN chooses http/1.1, and a client that offers other protocols only is told so"""
    context = trusting()
    context.set_alpn_protocols(["h2", "http/1.1"])
    client = TlsClient(the_server().port, context)
    assert client.socket.selected_alpn_protocol() == "http/1.1"
    client.close()
    context = trusting()
    context.set_alpn_protocols(["h2"])
    try:
        TlsClient(the_server().port, context)
        raise AssertionError("h2 was taken")
    except ssl.SSLError as error:
        assert "no application protocol" in str(error).lower().replace("_", " "), error


def test_resumption():
    """a session is resumed by its ticket"""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = trusting(version=version)
        first = TlsClient(the_server().port, context)
        assert first.request("GET", "/livez").status == 200
        assert not first.socket.session_reused
        second = TlsClient(the_server().port, context, session=first.socket.session)
        assert second.request("GET", "/livez").status == 200
        assert second.socket.session_reused, version
        first.close()
        second.close()


def test_bodies():
    """large bodies go both ways, also to a client that reads slowly, and pipelined requests"""
    own = the_server()
    messages = [message(1_700_000_000_000_000_000 + i, "big", [float(i)] * 10) for i in range(200_000)]
    body = ndjson(messages)
    answer = own.request("POST", "/save?ack=committed", body, NDJSON)
    assert answer.status == 204, answer
    client = own.connect()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    answer = client.request("GET", "/export?tag=big&format=ndjson&start=1700000000000000000&end=1700000000001000000")
    assert answer.status == 200, answer
    got = [json.loads(line) for line in answer.body.splitlines()]
    assert len(got) == len(messages) and got[12345]["values"] == messages[12345]["values"]
    client.send(b"".join(request_bytes("POST", "/save?ack=committed", json.dumps(message(i, "piped", [i])).encode())
                         for i in range(1, 201)))
    for i in range(200):
        assert client.answer().status == 204, i
    client.close()
    assert len(rows(own.table, "tag = 'piped'")) == 200


def test_plain_http():
    """HTTP without TLS gets an answer that says so, and TLS sent to a plain port an error"""
    own = the_server()
    for method in ("GET", "POST", "OPTIONS"):
        client = Client(own.port)
        answer = client.request(method, "/livez", b"{}" if method == "POST" else None)
        assert answer.status == 400 and "https://" in answer.json()["detail"], answer
        assert client.closed()
        client.close()
    plain = Server(table=own.table)
    try:
        TlsClient(plain.port)
        raise AssertionError("a plain port spoke TLS")
    except ssl.SSLError:
        pass
    assert plain.get("/livez").status == 200
    plain.stop()


def test_ends():
    """each side's end is told by close_notify; half a body that ends is not stored"""
    own = the_server()
    client = own.connect()
    assert client.request("GET", "/livez", headers={"Connection": "close"}).status == 200
    assert client.socket.recv(1) == b""     # without close_notify this raises SSLEOFError
    client.close()

    # Its last bytes, and that they are the last, in one piece: the answer still comes.
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting().wrap_bio(incoming, outgoing, server_hostname="localhost")
    raw = socket.create_connection(("127.0.0.1", own.port), 20)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            raw.sendall(outgoing.read())
            incoming.write(raw.recv(65536))
    tls.write(request_bytes("POST", "/save?ack=committed", json.dumps(message(1, "ended", [1])).encode()))
    try:
        tls.unwrap()
    except ssl.SSLWantReadError:
        pass
    raw.sendall(outgoing.read())
    received = b""
    while more := raw.recv(65536):
        incoming.write(more)
        try:
            received += tls.read(65536)
        except ssl.SSLError:
            pass
    assert received.startswith(b"HTTP/1.1 204"), received
    raw.close()
    assert len(rows(own.table, "tag = 'ended'")) == 1

    body = json.dumps(message(1, "truncated", [1])).encode()
    for end in ("fin", "reset"):
        client = own.connect()
        client.send(request_bytes("POST", "/save", body)[:-3])
        if end == "reset":
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(client.socket.detach())
    wait_for("all connections closed", lambda: own.connections() == 0)
    assert rows(own.table, "tag = 'truncated'") == []


def test_client_certificates():
    """with --tls-client-ca a certificate of that authority is needed, and its common name is the client"""
    own = TlsServer(context=trusting(PRESS), tls_client_ca=AUTHORITY.certificate, log_format="json", log_level="debug")
    assert own.save(message(1, "a", [1])).status == 202
    line = json.loads(own.logged(r'(\{.*"path":"/save".*\})').group(1))
    assert line["token"] == "press", line
    for certificate, cause in ((None, "peer did not return a certificate"), (STRANGER, "unable to get"),
                               (NAMELESS, "common name"), (TWO_NAMES, "common name")):
        try:
            client = TlsClient(own.port, trusting(certificate))
            client.send(request_bytes("GET", "/livez"))
            answer = client.answer()
            assert answer is None, f"let in: {certificate}, {answer}"
        except (ssl.SSLError, ConnectionError):
            pass
        own.logged(f"TLS failed.*{cause}|{cause}.*TLS failed")
    # A session that is resumed has the name, too.
    context = trusting(PRESS)
    first = TlsClient(own.port, context)
    assert first.request("GET", "/livez").status == 200
    again = TlsClient(own.port, context, session=first.socket.session)
    assert again.request("GET", "/tags").status == 200 and again.socket.session_reused
    wait_for("the name", lambda: [entry for entry in own.log if '"/tags"' in entry and '"token":"press"' in entry])
    own.stop()


def test_certificates_beside_tokens():
    """with --tokens-file a client has a token, or a certificate that the file names"""
    tokens = os.path.join(temporary_directory(), "tokens")
    with open(tokens, "w", encoding="ascii") as file:
        file.write("press write:press/ certificate\n")
    os.chmod(tokens, 0o600)
    unknown = AUTHORITY.issue("unknown", "/CN=unknown")
    own = TlsServer(expect_ready=False, context=trusting(PRESS), tls_client_ca=AUTHORITY.certificate, tokens_file=tokens)
    assert wait_for("a save", lambda: own.save(message(1, "press/a", [1])).status == 202)
    assert own.save(message(1, "other/a", [1])).status == 403
    assert own.get("/tags").status == 403
    for context in (trusting(), trusting(unknown)):
        client = TlsClient(own.port, context)
        assert client.request("GET", "/livez").status == 200
        assert client.request("POST", "/save", b"{}").status == 401
        client.close()
    own.stop()


def serial(port):
    with socket.create_connection(("127.0.0.1", port), 20) as raw:
        with trusting().wrap_socket(raw, server_hostname="localhost") as tls:
            return tls.getpeercert()["serialNumber"]


def test_reload():
    """SIGHUP under load takes a new certificate; no request fails, no connection is dropped"""
    own = TlsServer(threads=2)
    others = [AUTHORITY.issue(f"next{i}", "/CN=localhost", server=True) for i in range(3)]
    stopping = threading.Event()
    counts = [0] * 8
    failures = []

    def load(place):
        kept = place % 2 == 0
        client = own.connect()
        try:
            while not stopping.is_set():
                if not kept:
                    client.close()
                    client = own.connect()
                answer = client.request("POST", "/save", json.dumps(message(counts[place] + 1, f"load{place}", [1])).encode())
                assert answer.status == 202, answer
                counts[place] += 1
        except Exception as error:      # pylint: disable=broad-except
            failures.append(repr(error))

    threads = [threading.Thread(target=load, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    seen = {serial(own.port)}
    for files in others:
        own.put(files)
        log = own.reload()
        assert "it ends" in log, log
        seen.add(serial(own.port))
        before = list(counts)
        wait_for("more requests", lambda: all(now > then + 5 for now, then in zip(counts, before)) or failures)
    good = serial(own.port)
    for damage in (lambda data: b"", lambda data: data[:len(data) // 2], lambda data: b"nonsense", None):
        for place in (0, 1):
            with open(own.files[place], "rb") as file:
                whole = file.read()
            if damage is None:
                os.unlink(own.files[place])
            else:
                with open(own.files[place], "wb") as file:
                    file.write(damage(whole))
            log = own.reload()
            assert "stays as it is" in log and ("tls-certificate" in log or "tls-key" in log), log
            assert serial(own.port) == good
            with open(own.files[place], "wb") as file:
                file.write(whole)
    shutil.copy(SERVED[1], own.files[1])    # the key of another certificate
    assert "tls-key" in own.reload()
    assert serial(own.port) == good
    stopping.set()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert len(seen) == 4, seen
    wait_for("all rows", lambda: len(rows(own.table, "tag LIKE 'load%'")) == sum(counts))
    own.stop()


def test_wrong_settings():
    """settings that cannot work end the start, with the file's name"""
    encrypted = os.path.join(DIRECTORY, "encrypted.key")
    openssl("ec", "-in", SERVED[1], "-aes256", "-passout", "pass:secret", "-out", encrypted)
    for settings, text in ((["--tls-certificate", SERVED[0]], "both"),
                           (["--tls-client-ca", AUTHORITY.certificate], "needs tls-certificate"),
                           (["--tls-certificate", "/nowhere", "--tls-key", SERVED[1]], "/nowhere"),
                           (["--tls-certificate", SERVED[0], "--tls-key", encrypted], encrypted),
                           (["--tls-certificate", SERVED[0], "--tls-key", RSA[1]], RSA[1]),
                           (["--tls-certificate", SERVED[0], "--tls-key", SERVED[1], "--tls-client-ca", SERVED[1]], SERVED[1])):
        for check in ([], ["--check-config"]):
            done = subprocess.run([BINARY, "--listen", "127.0.0.1:0", *settings, *check], capture_output=True, text=True,
                                  stdin=subprocess.DEVNULL, timeout=20, check=False)
            assert done.returncode == 2 and text in done.stderr, (settings, done)


def test_handshake_limits():
    """a handshake that does not end, or is too long, ends the connection"""
    own = TlsServer(header_timeout="500ms")
    raw = socket.create_connection(("127.0.0.1", own.port), 20)
    raw.sendall(b"\x16\x03\x01\x02\x00\x01")
    start = time.monotonic()
    assert raw.recv(1) == b"" and time.monotonic() - start < 10
    raw.close()
    raw = socket.create_connection(("127.0.0.1", own.port), 20)     # it sends nothing
    assert raw.recv(1) == b""
    raw.close()
    # A ClientHello that claims to have megabytes, in records of the largest size.
    raw = socket.create_connection(("127.0.0.1", own.port), 20)
    sent = 0
    try:
        raw.sendall(b"\x16\x03\x01\x40\x00" + b"\x01\xff\xff\xff" + b"\0" * 16380)
        while sent < 8 << 20:
            raw.sendall(b"\x16\x03\x01\x40\x00" + b"\0" * 16384)
            sent += 16389
    except OSError:
        pass
    assert sent < 8 << 20
    raw.close()
    wait_for("all connections closed", lambda: own.connections() == 0)
    own.stop()


def recorded_hello():
    """A right ClientHello as Python's OpenSSL sends it."""
    outgoing = ssl.MemoryBIO()
    tls = trusting().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def mutate(chance, hello):
    """Bytes to send: noise, or a hello that is cut, changed, repeated or followed by noise."""
    kind = chance.randrange(6)
    if kind == 0:
        return chance.randbytes(chance.randrange(1, 4000))
    data = bytearray(hello)
    if kind == 1:
        return bytes(data[:chance.randrange(len(data))])
    for _ in range(chance.randrange(1, 8)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    if kind == 2:
        return bytes(data)
    if kind == 3:
        return bytes(data) + hello
    if kind == 4:
        return hello + b"\x16\x03\x03" + struct.pack(">H", 400) + chance.randbytes(chance.randrange(500))
    return hello + bytes([chance.choice([20, 21, 22, 23, 24, 255])]) + b"\x03\x03\x00\x20" + chance.randbytes(32)


def test_fuzzed_handshakes():
    """random, cut, changed and fragmented handshakes end their connection, and nothing else"""
    rounds = int(os.environ.get("HANDSHAKES", "400"))
    seed = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
    print(f"# SEED={seed} HANDSHAKES={rounds}", flush=True)
    chance = random.Random(seed)
    own = TlsServer(header_timeout="1s")
    hello = recorded_hello()
    witness = own.connect()
    memory = None
    for number in range(rounds):
        raw = socket.create_connection(("127.0.0.1", own.port), 20)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = mutate(chance, hello)
        piece = chance.choice([len(data) + 1, len(data) + 1, 100, 7])
        try:
            for place in range(0, len(data), piece):
                raw.sendall(data[place:place + piece])
            if chance.randrange(2) == 0:
                raw.shutdown(socket.SHUT_WR)
                raw.recv(4096)
        except OSError:
            pass
        raw.close()
        if number % 20 == 0:
            assert witness.request("GET", "/livez").status == 200, number
        if number == rounds // 2:
            memory = own.memory()
    witness.close()
    wait_for("all connections closed", lambda: own.connections() == 0)
    assert own.memory() <= memory + (16 << 20), (memory, own.memory())
    assert own.stop() == 0


def test_broken_records():
    """a record that was changed on its way ends the connection, and nothing of it is taken"""
    own = the_server()
    chance = random.Random(7)
    for _ in range(20):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = trusting().wrap_bio(incoming, outgoing, server_hostname="localhost")
        raw = socket.create_connection(("127.0.0.1", own.port), 20)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.sendall(outgoing.read())
                incoming.write(raw.recv(65536))
        raw.sendall(outgoing.read())
        tls.write(request_bytes("POST", "/save", json.dumps(message(1, "broken", [1])).encode()))
        data = bytearray(outgoing.read())
        data[chance.randrange(5, len(data))] ^= 1 << chance.randrange(8)
        raw.sendall(data)
        try:
            while raw.recv(65536):
                pass
        except ConnectionResetError:
            pass
        raw.close()
    wait_for("all connections closed", lambda: own.connections() == 0)
    assert rows(own.table, "tag = 'broken'") == []
    assert own.metric('historiand_connections_closed_total{reason="tls"}') >= 20


if __name__ == "__main__":
    import sys
    run(sys.modules[__name__])
