#!/usr/bin/python3
"""Where the server listens: several addresses, sockets in the file system, health apart; --insecure."""
import json
import os
import socket
import stat
import subprocess

from certificates import Authority
from historiand import BINARY, CONNINFO, Client, Server, message, new_table, rows, run, temporary_directory, wait_for


class UnixClient(Client):
    def __init__(self, path):       # pylint: disable=super-init-not-called
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.buffer = b""


def at(server, what):
    """The port of a further listener, from the log."""
    return int(server.logged(what).group(1))


def refused(*flags, environment=None):
    done = subprocess.run([BINARY, "--database", CONNINFO, *flags], capture_output=True, text=True, timeout=20, check=False,
                          env={**os.environ, **(environment or {})})
    assert done.returncode in (1, 2), done
    return done.stderr


def test_several():
    """--listen takes several addresses, as a list or repeated, and each serves everything"""
    path = os.path.join(temporary_directory(), "historiand.socket")
    config = os.path.join(temporary_directory(), "historiand.conf")
    with open(config, "w", encoding="ascii") as file:
        file.write(f"listen = 127.0.0.1:0\nlisten = [::1]:0\nlisten = unix:{path}\n")
    lists = ({"listen": f"127.0.0.1:0, [::1]:0, unix:{path}"}, {"listen": "None", "config": config})
    for number, settings in enumerate(lists):
        for threads in (1, 3):
            server = Server(threads=threads, **settings)
            six = at(server, r"listening on http://\[::1\]:(\d+)")
            server.logged(f"listening on unix:{path}")
            for i in range(20):
                clients = [server.connect(), UnixClient(path)]
                six_client = Client.__new__(Client)
                six_client.socket, six_client.buffer = socket.create_connection(("::1", six), 20), b""
                for client in clients + [six_client]:
                    assert client.request("GET", "/livez").status == 200, (number, threads, i)
                    body = json.dumps(message(i + 1, "a", [1])).encode()
                    assert client.request("POST", "/save?ack=committed", body).status == 204
                    client.close()
            wait_for("all connections closed", lambda: server.connections() == 0)     # pylint: disable=cell-var-from-loop
            assert server.stop() == 0
    # As flags, the later ones join the first.
    done = refused("--listen", "127.0.0.1:0", "--listen", "nonsense", "--listen=[::1]:0")
    assert '"nonsense"' in done, done
    assert "more than 16" in refused(*["--listen=127.0.0.1:0"] * 17)
    assert "no address" in refused("--listen", "")


def test_unix_socket():
    """a socket in the file system has the mode 0660; a stale file is replaced, any other is not"""
    path = os.path.join(temporary_directory(), "historiand.socket")
    server = Server(listen=f"127.0.0.1:0,unix:{path}")
    mode = os.stat(path).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660, oct(mode)
    said = refused("--listen", f"unix:{path}", "--table", server.table)
    assert "Address already in use" in said, said
    assert UnixClient(path).request("GET", "/livez").status == 200
    body = json.dumps(message(1, "log", [1])).encode()
    assert UnixClient(path).request("POST", "/save?ack=committed", body).status == 204
    server.kill()
    assert os.path.exists(path)
    server = Server(table=server.table, listen=f"127.0.0.1:0,unix:{path}")
    assert UnixClient(path).request("GET", "/livez").status == 200
    assert server.stop() == 0
    os.unlink(path)
    with open(path, "w", encoding="ascii") as file:
        file.write("mine")
    said = refused("--listen", f"unix:{path}", "--table", server.table)
    assert "File exists" in said, said
    with open(path, encoding="ascii") as file:
        assert file.read() == "mine"
    assert "absolute path" in refused("--listen", "unix:relative")
    assert "107 bytes" in refused("--listen", "unix:/" + "a" * 107)


def test_health():
    """--listen-health has health and metrics alone, without token and TLS"""
    directory = temporary_directory()
    certificate, key = Authority(directory).issue("server", "/CN=localhost", server=True)
    tokens = os.path.join(directory, "tokens")
    with open(tokens, "w", encoding="ascii") as file:
        file.write("")
    os.chmod(tokens, 0o600)
    path = os.path.join(directory, "health.socket")
    table = new_table()
    process = subprocess.Popen([BINARY, "--listen", "127.0.0.1:0", "--listen-health", f"127.0.0.1:0,unix:{path}", "--table", table,
                                "--database", CONNINFO, "--tokens-file", tokens, "--tls-certificate", certificate,
                                "--tls-key", key], stderr=subprocess.PIPE, text=True)
    try:
        said = ""
        while said.count("listening on") < 3:
            line = process.stderr.readline()
            assert line, said
            said += line
        assert said.count("health and metrics alone") == 2, said
        port = int(said.split("listening on http://127.0.0.1:")[1].split(",")[0])
        wait_for("readyz", lambda: Client(port).request("GET", "/readyz").status == 200)
        for client in (Client(port), UnixClient(path)):
            for target in ("/livez", "/healthz", "/readyz", "/health", "/metrics", "/ping"):
                answer = client.request("GET", target)
                assert answer.status in (200, 204), (target, answer)
            for target in ("/", "/tags", "/api", "/export", "/openapi.json", "/nothing"):
                answer = client.request("GET", target)
                assert answer.status == 404 and b"--listen-health" in answer.body, (target, answer)
            answer = client.request("POST", "/save", json.dumps(message(1, "a", [1])).encode())
            assert answer.status == 404, answer
        assert rows(table) == []
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_insecure():
    """beyond loopback the server starts with tokens, client certificates or --insecure alone"""
    said = refused("--listen", "0.0.0.0:0")
    assert said.count("\n") == 1 and "0.0.0.0:0" in said, said
    for cure in ("--tokens-file", "--tls-client-ca", "--insecure"):
        assert cure in said, said
    assert "--insecure" in refused("--listen", "127.0.0.1:0", "--listen", "[::]:0")
    assert "neither on nor off" in refused("--insecure=maybe")
    for settings in ({"insecure": "on"}, {"environment": {"HISTORIAND_INSECURE": "on"}}):
        server = Server(listen="0.0.0.0:0", **settings)
        server.logged(r"everybody who reaches 0\.0\.0\.0:0 may read and write.*--insecure")
        assert server.stop() == 0
    # As a flag it needs no value, wherever it is.
    for flags in (["--insecure", "--listen", "0.0.0.0:0"], ["--listen", "0.0.0.0:0", "--insecure"]):
        done = subprocess.run([BINARY, "--database", CONNINFO, "--table", new_table(), "--check-config", *flags],
                              capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, done
    # Health tells nothing that needs it, and loopback is as it was.
    server = Server(listen_health="0.0.0.0:0")
    assert not [line for line in server.log if "everybody" in line]
    assert server.stop() == 0


if __name__ == "__main__":
    import sys
    run(sys.modules[__name__])
