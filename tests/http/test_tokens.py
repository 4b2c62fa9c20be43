#!/usr/bin/python3
"""Tokens: who may do what (docs/http.md, "Tokens")."""
import base64
import hashlib
import json
import os
import re
import signal
import socket
import sys

from historiand import (BINARY, CONNINFO, NDJSON, Server, message, ndjson, new_table, request_bytes, rows, run, sql,
                        temporary_directory, wait_for)

import subprocess

TOKENS = {name: f"hst_{name}_{os.urandom(16).hex()}" for name in
          ("reader", "writer", "admin", "both", "own", "ownall", "gone")}


def digest(token):
    return hashlib.sha256(token.encode()).hexdigest()


def line(name, scope, token=None):
    return f"{name} {scope} sha256:{digest(token or TOKENS[name])}\n"


LINES = ("# tokens of the tests\n\n" + line("reader", "read") + line("writer", "write") + line("admin", "admin") +
         line("both", "read,write") + line("own", "write:plant1/") + line("ownall", "read,write:plant1/"))


def write(path, text, mode=0o600):
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path + ".new", mode)
    os.rename(path + ".new", path)


class Guarded(Server):
    """A server that asks for tokens."""

    def __init__(self, text=LINES, **settings):
        self.path = os.path.join(temporary_directory(), "tokens")
        write(self.path, text)
        super().__init__(tokens_file=self.path, log_format="json", log_level="debug", **settings)

    def as_(self, name, method, target, body=None, headers=None):
        own = {"Authorization": "Bearer " + TOKENS.get(name, name)} if name else {}
        return self.request(method, target, body, {**own, **(headers or {})})

    def reload(self, text, mode=0o600):
        write(self.path, text, mode)
        before = len(self.log)
        self.process.send_signal(signal.SIGHUP)
        wait_for("the reload", lambda: any("the settings were read again" in entry for entry in self.log[before:]))
        return lambda pattern: wait_for(pattern, lambda: [entry for entry in self.log[before:] if re.search(pattern, entry)])


server = None


def shared():
    global server
    if server is None:
        server = Guarded()
        for tag in ("plant1/a", "plant1/b", "plant2/a", "other"):
            answer = server.as_("writer", "POST", "/save?ack=committed", json.dumps(message(5, tag, [1.5])).encode())
            assert answer.status == 204, answer
    return server


OPEN = ("/livez", "/healthz", "/readyz", "/health", "/ping", "/", "/openapi.json", "/page/page.js")
READS = ("/api?tag=other&start=0&end=9", "/tags", "/tags/other", "/latest", "/latest?tag=other", "/stale", "/export?tag=other",
         "/summary?tag=other&start=0&end=9", "/metrics")
BODY = json.dumps(message(6, "other", [2])).encode()
PUT = ("PUT", "/tags/other", b'{"description": "x"}')
CHANGES = (PUT, ("PUT", "/samples?tag=other&start=100&end=200", b'{"time": 150, "values": [1]}'),
           ("DELETE", "/samples?tag=other&start=100&end=200", None), ("DELETE", "/tags/gone", None))


def test_without_a_token():
    """Without a token there is health, the page and its files, and 401 for everything else"""
    for path in OPEN:
        answer = shared().get(path)
        assert answer.status in (200, 204), (path, answer)
    for method, target, body in [("GET", path, None) for path in READS] + [
            ("HEAD", path, None) for path in READS] + [
            ("POST", "/save", BODY), ("POST", "/write", b"other v=1 7"), ("POST", "/api/v2/write", b"other v=1 7"),
            ("GET", "/query?q=SHOW+DATABASES", None), ("POST", "/query", b"q=SHOW+DATABASES"),
            ("POST", "/tags/other/rename", b'{"to": "another"}')] + list(CHANGES):
        answer = shared().request(method, target, body)
        assert answer.status == 401, (method, target, answer)
        assert answer.headers["www-authenticate"] == \
            'Bearer realm="historian", Basic realm="historian", charset="UTF-8"', answer
    assert rows(shared().table, "time > 5") == []


def test_scopes():
    """Each scope is enough for its requests, and for no others; 403 names what is missing"""
    for path in READS:
        for name, status in (("reader", 200), ("both", 200), ("admin", 200), ("writer", 403)):
            answer = shared().as_(name, "GET", path)
            assert answer.status == status, (name, path, answer)
    answer = shared().as_("writer", "GET", "/tags")
    assert 'error="insufficient_scope", scope="read"' in answer.headers["www-authenticate"], answer
    assert answer.json()["detail"] == 'the token "writer" does not have the scope read', answer
    for target, body in (("/save", BODY), ("/write?ack=received", b"other v=1 8"), ("/api/v2/write?ack=received", b"other v=1 9")):
        for name, status in (("reader", 403), ("both", 202), ("admin", 202), ("writer", 202)):
            answer = shared().as_(name, "POST", target, body)
            assert answer.status == status, (name, target, answer)
    for change in CHANGES + (("POST", "/tags/gone/rename", b'{"to": "another"}'),):
        for name, status in (("reader", 403), ("both", 403), ("writer", 403), ("admin", 204 if change == PUT else 404 if "rename" in change[1] else 200)):
            answer = shared().as_(name, *change)
            assert answer.status == status, (name, change, answer)
            assert status != 403 or 'scope="admin"' in answer.headers["www-authenticate"], answer
    for name in ("reader", "writer", "own"):
        assert shared().as_(name, "GET", "/query?q=SHOW+DATABASES").status == 200, name


def test_ways():
    """Bearer, Basic and Token in any case; a wrong one is 401, whatever is wrong"""
    token = TOKENS["reader"]
    basic = base64.b64encode(("anybody:" + token).encode()).decode()
    nobody = base64.b64encode((":" + token).encode()).decode()
    for header in (f"Bearer {token}", f"bearer {token}", f"BEARER  {token}", f"Token {token}", f"token {token}",
                   f"Basic {basic}", f"basic {basic.rstrip('=')}", f"Basic {nobody}"):
        assert shared().request("GET", "/tags", None, {"Authorization": header}).status == 200, header
    user = base64.b64encode((token + ":").encode()).decode()
    for header in ("Bearer", "Bearer ", token, f"Bearer {token}x", f"Bearer {token[:-1]}", f"Bearer {token.upper()}",
                   f"Bearer x{token}", f"Bearer {digest(token)}", f"Digest {token}", f"Basic {token}", "Basic !!!!",
                   f"Basic {user}", f"Basic {base64.b64encode(token.encode()).decode()}", "Bearer " + "x" * 9000,
                   f"Bearer {token},Bearer {token}", "Basic " + base64.b64encode(b"a:" + b"x" * 380).decode(), "Basic ===="):
        answer = shared().request("GET", "/tags", None, {"Authorization": header})
        assert answer.status == 401, (header, answer)
        assert 'error="invalid_token"' in answer.headers["www-authenticate"], answer
    client = shared().connect()
    client.send(f"GET /tags HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    assert client.answer().status == 401
    client.close()


def test_parameters_are_not_tokens():
    """A token in an address does not count"""
    for target in (f"/tags?token={TOKENS['reader']}", f"/write?u=a&p={TOKENS['writer']}"):
        assert shared().request("POST" if "write" in target else "GET", target, b"x v=1" if "write" in target else None).status == 401


def test_one_connection():
    """Requests of one connection are each their own token's, also pipelined, and none inherits one"""
    client = shared().connect()
    client.send(b"".join(request_bytes("GET", "/tags", None, {"Authorization": "Bearer " + TOKENS[name]} if name else {})
                         for name in ("reader", None, "writer", "reader", "gone", "admin", None)))
    assert [client.answer().status for _ in range(7)] == [200, 401, 403, 200, 401, 200, 401]
    client.close()


def test_prefix_writes():
    """A token with a prefix writes only tags that have it: a strict body is refused, of a partial one the rows"""
    def save(body, query="", name="own", headers=None):
        return shared().as_(name, "POST", "/save?ack=committed" + query, body, headers)

    good, bad = message(20, "plant1/c", [1]), message(20, "plant2/c", [1])
    assert save(json.dumps(good).encode()).status == 204
    for body, headers, place in ((json.dumps(bad), {}, {}), (json.dumps([good, bad]), {}, {"index": 1}),
                                 (ndjson([good, bad]).decode(), NDJSON, {"line": 2}),
                                 (json.dumps(message(20, "plant1", [1])), {}, {}), (json.dumps(message(20, "Plant1/", [1])), {}, {})):
        answer = save(body.encode(), headers=headers)
        assert answer.status == 403, answer
        assert answer.json()["field"] == "tag" and place.items() <= answer.json().items(), answer
    for body, headers in ((json.dumps([bad, good, bad]), {}), (ndjson([bad, good, bad]).decode(), NDJSON)):
        answer = save(body.encode(), "&partial=true", headers=headers)
        assert answer.status == 207 and answer.json()["accepted"] == 1 and answer.json()["rejected"] == 2, answer
        assert {error["detail"] for error in answer.json()["errors"]} == {"the token that was sent is not for this tag"}
    answer = save(json.dumps(bad).encode(), "&partial=true")
    assert answer.status == 207 and answer.json()["accepted"] == 0, answer
    answer = shared().as_("own", "POST", "/write", b"plant1/d v=1 20\nplant2/d v=1 20\nplant1/d,a=b v=1 20\n")
    assert answer.status == 400 and answer.json()["accepted"] == 2 and answer.json()["rejected"] == 1, answer
    answer = shared().as_("own", "POST", "/write?partial=false", b"plant1/e v=1 20\nplant2/e v=1 20\n")
    assert answer.status == 403, answer
    assert sorted(tag for _, tag, _ in rows(shared().table, "time = 20")) == ["plant1/c", "plant1/d", "plant1/d,a=b"]


def test_prefix_changes():
    """A token with a prefix changes only tags that have it; a rename needs it for both names"""
    guarded = Guarded(LINES + line("keeper", "admin:plant1/", "hst_keeper"))
    for tag in ("plant1/a", "plant2/a"):
        assert guarded.as_("writer", "POST", "/save?ack=committed", json.dumps(message(5, tag, [1.5])).encode()).status == 204
    before = rows(guarded.table)
    for method, target, body in (("PUT", "/samples?tag=plant2/a&start=0&end=9", b""), ("DELETE", "/samples?tag=plant2/a&start=0&end=9", None),
                                 ("DELETE", "/tags/plant2/a", None), ("DELETE", "/tags/plant1", None),
                                 ("POST", "/tags/plant2/a/rename", b'{"to": "plant1/b"}'), ("POST", "/tags/plant1/a/rename", b'{"to": "plant2/b"}'),
                                 ("PUT", "/tags/plant2/a", b"{}"), ("GET", "/summary?tag=plant2/a&start=0&end=9", None)):
        answer = guarded.as_("hst_keeper", method, target, body)
        assert answer.status == 403 and "plant1/" in answer.json()["detail"], (method, target, answer)
    assert rows(guarded.table) == before
    assert guarded.as_("hst_keeper", "POST", "/tags/plant1/a/rename", b'{"to": "plant1/b"}').status == 200
    assert guarded.as_("hst_keeper", "GET", "/summary?tag=plant1/b&start=0&end=9").json()["values"][0]["count"] == 1
    assert guarded.as_("hst_keeper", "DELETE", "/tags/plant1/b").json() == {"tag": "plant1/b", "removed": 1}


def test_prefix_merge():
    """Nor does it add fields to a point of another tag"""
    assert shared().as_("writer", "POST", "/write", b"plant2/m a=1 21").status == 204
    assert shared().as_("own", "POST", "/write", b"plant2/m b=2 21").status == 400
    assert rows(shared().table, "time = 21") == [(21, "plant2/m", "{1}")]


def test_prefix_reads():
    """A token with a prefix reads only tags that have it, and is told of no others"""
    for target in ("/api?tag=plant1/a&start=0&end=9", "/api?tag=plant1/a&tag=plant1/b&start=0&end=9", "/export?tag=plant1/a",
                   "/latest?tag=plant1/a", "/tags/plant1/a", "/tags/plant1%2Fa", "/api?tag=plant1/a&start=0&end=9&format=csv"):
        assert shared().as_("ownall", "GET", target).status == 200, target
    for target in ("/api?tag=plant2/a&start=0&end=9", "/api?tag=plant1/a&tag=plant2/a&start=0&end=9", "/export?tag=plant2/a",
                   "/latest?tag=plant2/a", "/latest?tag=plant1/a&tag=other", "/tags/plant2/a", "/tags/other", "/tags/plant1",
                   "/api?tag=never&start=0&end=9", "/api?tag=plant2/a&format=csv&start=0&end=9"):
        answer = shared().as_("ownall", "GET", target)
        assert answer.status == 403, (target, answer)
        assert answer.json()["detail"] == 'the token "ownall" is for tags that begin with "plant1/"', answer
    def names(target, member):
        return [entry["tag"] for entry in shared().as_("ownall", "GET", target).json()[member]]
    assert [tag for tag in names("/tags", "tags") if not tag.startswith("plant1/")] == []
    assert {"plant1/a", "plant1/b"} <= set(names("/tags", "tags"))
    assert "plant1/a" in names("/tags?prefix=pl", "tags") and "plant2/a" not in names("/tags?prefix=pl", "tags")
    assert names("/tags?prefix=plant1/a", "tags") == ["plant1/a"]
    assert names("/tags?prefix=plant2", "tags") == []
    assert {"plant1/a", "plant1/b"} <= set(names("/latest", "latest")) and "other" not in names("/latest", "latest")
    silent = [entry["tag"] for entry in shared().as_("ownall", "GET", "/stale").json()["stale"]]
    assert silent == []
    sql(f"INSERT INTO historian.tag (relid, tag, max_silence) SELECT '{shared().table}', unnest(ARRAY['plant1/a', 'plant2/a', 'other']), '1 s'"
        " ON CONFLICT (relid, tag) DO UPDATE SET max_silence = excluded.max_silence")
    assert names("/stale", "stale") == ["plant1/a"] and names("/stale?prefix=plant2", "stale") == []


def test_metrics():
    """Metrics count requests by the token's name; a token with a prefix sees neither names nor the database's"""
    guarded = Guarded(watch_tags="watched-tag", metrics_interval="100ms")
    body = json.dumps(message(5, "watched-tag", [1])).encode()
    assert guarded.as_("writer", "POST", "/save?ack=committed", body).status == 204
    wait_for("the watched tag", lambda: b"watched-tag" in guarded.as_("admin", "GET", "/metrics").body)
    for name in ("reader", "reader", "own"):
        guarded.as_(name, "GET", "/tags")
    guarded.get("/tags")
    text = guarded.as_("admin", "GET", "/metrics").body.decode()
    for wanted in ('historiand_token_requests_total{token="reader",result="served"} 2',
                   'historiand_token_requests_total{token="own",result="refused"} 1',
                   "historiand_unauthorized_total 1"):
        assert wanted + "\n" in text, (wanted, text)
    hidden = guarded.as_("ownall", "GET", "/metrics").body.decode()
    assert "historiand_messages_received_total" in hidden
    assert "token" not in hidden and "watched-tag" not in hidden, hidden

    guarded.stop()


def test_names_are_bounded():
    """Many tokens have few labels"""
    names = [f"n{i}" for i in range(200)]
    guarded = Guarded("".join(line(name, "read", name + "-token") for name in names))
    for name in names:
        assert guarded.as_(name + "-token", "GET", "/tags").status == 200
    text = guarded.as_("n0-token", "GET", "/metrics").body.decode()
    assert len(re.findall(r"historiand_token_requests_total\{token=", text)) == 100, text
    assert 'historiand_token_requests_total{other="true",result="served"} 150\n' in text, text
    guarded.stop()


def test_log():
    """The log has names of tokens and never a token, nor does an answer or /metrics"""
    guarded = Guarded()
    answers = [guarded.as_(name, *request) for name in ("reader", "own", "gone") for request in (
        ("GET", "/tags"), ("GET", "/api?tag=other"), ("POST", "/save", BODY), PUT, ("GET", "/nothing"), ("DELETE", "/tags"),
        ("GET", "/tags?x=1"))]
    basic = base64.b64encode(("a:" + TOKENS["gone"]).encode()).decode()
    answers.append(guarded.request("GET", "/tags", None, {"Authorization": "Basic " + basic}))
    answers.append(guarded.as_("admin", "GET", "/metrics"))
    client = guarded.connect()
    client.send(f"GET /tags HTTP/1.1\r\nAuthorization: Bearer {TOKENS['reader']}\r\nHost: a b\r\n\r\n".encode())
    answers.append(client.answer())
    client.close()
    refused = [json.loads(entry) for entry in guarded.log if "request refused" in entry]
    assert {entry.get("token", "") for entry in refused} >= {"reader", "own", ""}, refused
    assert all(entry["status"] in (401, 403) and entry["peer"] == "127.0.0.1" and entry["level"] == "warning" for entry in refused)
    guarded.stop()
    text = "".join(guarded.log) + "".join(f"{answer.headers}{answer.body}" for answer in answers)
    for secret in list(TOKENS.values()) + [basic] + [digest(token) for token in TOKENS.values()]:
        assert secret not in text, secret


def test_reload():
    """SIGHUP reads the tokens again, and drops no connection; a damaged file changes nothing"""
    guarded = Guarded()
    client = guarded.connect()

    def status(name):
        return client.request("GET", "/tags", None, {"Authorization": "Bearer " + TOKENS[name]}).status

    waiting = guarded.connect()
    body = ndjson([message(1, "plant1/w", [1])])
    waiting.send(request_bytes("POST", "/save?ack=committed", None, {
        **NDJSON, "Authorization": "Bearer " + TOKENS["own"], "Content-Length": str(2 * len(body))}) + body)
    assert [status("reader"), status("gone")] == [200, 401]
    logged = guarded.reload(line("reader", "write") + line("gone", "read"))
    logged('"action":"add token","token":"gone","scope":"read"')
    assert '"level":"audit"' in logged('"action":"change token","token":"reader","scope":"write"')[0]
    logged('"action":"remove token","token":"own"')
    assert [status("reader"), status("gone"), status("admin")] == [403, 200, 401]
    # a request that had begun goes on with what it was allowed
    waiting.send(body)
    assert waiting.answer().status == 204
    for broken, why in (("reader read\n", "line 1: the hash is missing"), (line("reader", "read") + line("reader", "read"), "line 2: the name is there before"),
                        (line("a", "read", "t") + line("b", "read", "t"), "the token is there before"), (line("a", "reed", "t"), "a scope is read, write or admin"),
                        (line("a", "read", "t").replace("sha256:", "sha256:0"), "64 hexadecimal digits"), ("\0", "NUL"), ("x" * 5000, "too long"),
                        (line("a", "read:%zz", "t"), "a prefix has at most"), (line("a", "read", "t")[:-1] + " more\n", "behind the hash"),
                        ("".join(line(f"n{i}", "read", f"t{i}") for i in range(1001)), "line 1001: there are more than 1000 tokens")):
        guarded.reload(broken)(re.escape(why) + ".*the tokens stay as they are")
        assert [status("reader"), status("gone"), status("admin")] == [403, 200, 401], broken
        assert guarded.get("/readyz").status == 200
    guarded.reload(LINES, 0o622)("others than its owner may write it")
    os.unlink(guarded.path)
    os.mkdir(guarded.path)
    guarded.process.send_signal(signal.SIGHUP)
    guarded.logged("is no file|Is a directory")
    assert status("gone") == 200
    os.rmdir(guarded.path)
    guarded.reload("")
    wait_for("no token is left", lambda: status("gone") == 401)
    client.close()
    waiting.close()
    guarded.stop()


def test_start():
    """A file that is missing or wrong is an error at the start, and for --check-config"""
    path = os.path.join(temporary_directory(), "tokens")
    for text in (None, "nonsense\n"):
        if text is not None:
            write(path, text)
        for more in ([], ["--check-config"]):
            done = subprocess.run([BINARY, "--tokens-file", path, "--listen", "127.0.0.1:0", *more], capture_output=True, text=True,
                                  timeout=20, check=False)
            assert done.returncode == 2 and "tokens-file: " in done.stderr, done


def test_pages_of_other_sites():
    """A token does not let a page of another site in, but a preflight needs none"""
    answer = shared().as_("admin", "GET", "/tags", None, {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"})
    assert answer.status == 403 and "pages of other sites" in answer.json()["detail"], answer
    open_ = Guarded(cors_origin="https://friend.example")
    answer = open_.request("OPTIONS", "/save", None, {"Origin": "https://friend.example", "Access-Control-Request-Method": "POST",
                                                      "Access-Control-Request-Headers": "authorization"})
    assert answer.status == 204 and "Authorization" in answer.headers["access-control-allow-headers"], answer
    answer = open_.request("GET", "/tags", None, {"Origin": "https://friend.example"})
    assert answer.status == 401 and answer.headers["access-control-allow-origin"] == "https://friend.example", answer
    open_.stop()


def test_not_ready():
    """Why the server is not ready is told to a token only"""
    guarded = Guarded(expect_ready=False, table="not_there_" + str(os.getpid()))
    detail = wait_for("the reason", lambda: guarded.as_("reader", "GET", "/readyz").status == 503 and
                      "not_there" in guarded.as_("reader", "GET", "/readyz").json()["detail"])
    assert detail
    for path in ("/readyz", "/health"):
        assert b"not_there" not in guarded.get(path).body, path
    guarded.stop()


def test_programs():
    """historian-producer, historian-client and historian doctor send the token of a file or of the environment"""
    guarded = Guarded(flush_interval="50ms")
    build = os.path.dirname(BINARY)
    url = f"http://127.0.0.1:{guarded.port}"
    path = os.path.join(temporary_directory(), "token")
    write(path, TOKENS["both"] + "\n")

    def execute(*command, token=None):
        environment = {**os.environ, **({"HISTORIAN_TOKEN": token} if token else {})}
        return subprocess.run([os.path.join(build, command[0]), *command[1:]], capture_output=True, text=True, timeout=60,
                              env=environment, stdin=subprocess.DEVNULL, check=False)

    load = ("historian-producer", "--url", url, "--rate", "1000", "--tags", "20", "--start", "-10", "--messages", "500")
    assert execute(*load).returncode != 0
    assert execute(*load, token=TOKENS["reader"]).returncode != 0
    assert rows(guarded.table) == []
    done = execute(*load, "--token-file", path)
    assert done.returncode == 0, done
    assert execute(*load, token=TOKENS["writer"]).returncode == 0
    wait_for("the messages", lambda: len(rows(guarded.table)) >= 500)
    for token in (None, TOKENS["both"]):
        done = execute("historian", "doctor", "-d", CONNINFO, "-t", guarded.table, "--url", url, "--min-free", "0", token=token)
        assert "is ready" in done.stdout, done
    for wrong in (("--token-file", "/nothing"), ("--token-file", "/dev/null")):
        assert execute(*load, *wrong).returncode == 2, wrong
    assert execute(*load, token="a b").returncode == 2
    guarded.stop()


def test_expect():
    """A body that may not be sent is not asked for"""
    client = shared().connect()
    client.send(request_bytes("POST", "/save", None, {"Content-Length": "100", "Expect": "100-continue"}))
    answer = client.answer()
    assert answer.status == 401 and answer.headers["connection"] == "close", answer
    client.close()


if __name__ == "__main__":
    run(sys.modules[__name__])
