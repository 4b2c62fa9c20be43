#!/usr/bin/python3
"""Browsers: what pages of other sites cause is refused, and programs need no setting."""
import json
import subprocess
import sys

from historiand import BINARY, Client, Server, count, message, run

ONE = json.dumps(message(1, "a", [1.5])).encode()
server = None


def setup():
    global server
    if server is None:
        server = Server()
        assert server.save(message(1, "kept", [1]), "?ack=committed").status == 204


def ask(target="/tags", method="GET", body=None, to=None, **headers):
    """A request with headers named as sec_fetch_site."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return (to or server).request(method, target, body, given)


def refused(answer, *words):
    assert answer.status == 403, answer
    assert answer.headers["content-type"] == "application/problem+json", answer
    assert "access-control-allow-origin" not in answer.headers, answer
    for word in words:
        assert word in answer.json()["detail"], answer
    return True


def test_sec_fetch_site():
    """what a browser says that another site made is refused; the same site's, and what people type, not"""
    setup()
    for site in ("same-origin", "none"):
        assert ask(Sec_Fetch_Site=site).status == 200, site
        assert ask("/save", "POST", ONE, Sec_Fetch_Site=site).status == 202, site
    for site in ("cross-site", "same-site", "Same-Origin", "nonsense", "same-origin, cross-site"):
        for target in ("/tags", "/api?tag=kept&start=0&end=9", "/export?tag=kept", "/latest", "/metrics", "/livez",
                       "/nothing", "/", "/page/page.js"):
            refused(ask(target, Sec_Fetch_Site=site), "Sec-Fetch-Site", "proxy")
        for target in ("/save", "/write", "/api/v2/write", "/query"):
            refused(ask(target, "POST", ONE, Sec_Fetch_Site=site), "Sec-Fetch-Site")
    client = server.connect()
    client.send(b"GET /tags HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin\r\n"
                b"sec-fetch-site: cross-site\r\n\r\n")
    refused(client.answer())


def test_links():
    """links to the page from other sites work, and only as links"""
    setup()
    link = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    for site in ("cross-site", "same-site"):
        for target in ("/", "/openapi.json", "/?x=1"):
            assert ask(target, Sec_Fetch_Site=site, **link).status == 200, target
        refused(ask("/tags", Sec_Fetch_Site=site, **link))
        refused(ask("/save", "POST", ONE, Sec_Fetch_Site=site, **link))
        refused(ask("/", "POST", ONE, Sec_Fetch_Site=site, **link))
        for mode, dest in (("navigate", "iframe"), ("no-cors", "document"), ("no-cors", "script")):
            refused(ask("/", Sec_Fetch_Site=site, Sec_Fetch_Mode=mode, Sec_Fetch_Dest=dest))


def test_origin():
    """an Origin must be this server, as Host names it"""
    setup()
    host = f"127.0.0.1:{server.port}"
    for origin, asked in ((f"http://{host}", host), (f"https://{host}", host), ("http://x", "x"),
                          ("http://x", "x:80"), ("http://x:80", "x"), ("https://x", "x:443"),
                          ("https://x:443", "x"), ("HTTP://X:8080", "x:8080"), ("http://[::1]:1", "[::1]:1")):
        assert ask("/save", "POST", ONE, Origin=origin, Host=asked).status == 202, origin
        assert ask(Origin=origin, Host=asked).status == 200, origin
    for origin, asked in (("null", host), ("https://evil.example", host), ("http://127.0.0.1", host),
                          ("http://127.0.0.1:1", host), (f"http://localhost:{server.port}", host),
                          (host, host), (f"file://{host}", host), (f"http://{host}/", host), ("x", "x"),
                          (f"http://{host}.evil.example", host), (f"http://u@{host}", host), ("http://", host),
                          (f"http://{host} http://{host}", host), (f"http://{host},http://{host}", host),
                          ("http://x", "x:443"), ("https://x", "x:80"), ("http://xx", "x"), ("http://x", "xx"),
                          ("null", "null"), ("http://\xe9", host), ("http://" + "x" * 300, "x" * 200)):
        refused(ask("/save", "POST", ONE, Origin=origin, Host=asked), "Origin", "--allowed-hosts")
        refused(ask(Origin=origin, Host=asked), "Origin")
    assert count(server.table, "tag NOT IN ('a', 'kept')") == 0


def test_preflight():
    """the question of another site's page whether it may is not granted"""
    setup()
    for target in ("/save", "/tags", "/", "*"):
        refused(ask(target, "OPTIONS", Origin="https://evil.example",
                    Access_Control_Request_Method="POST",
                    Access_Control_Request_Private_Network="true"))
    answer = ask("/save", "OPTIONS")
    assert answer.status == 204 and answer.headers["allow"] == "POST, OPTIONS", answer


KNOWN = ("127.0.0.1", "127.0.0.1:8080", "127.0.0.2", "10.1.2.3", "[::1]", "[fe80::1]:8080", "localhost",
         "LOCALHOST:8080", "localhost.", "a.localhost", "historiand:8080", "plant-1", "a_b", "plant-1.local",
         "plant.corp", "a.home.arpa", "historian.internal:8080", "x")
STRANGERS = ("evil.example", "evil.example:8080", "evil.example.", "127.0.0.1.evil.example", "localhost.evil.example",
             "1.2.3", "local.evil.example", "evil.notlocal", "xn--e1aybc.example", "127.0.0.1evil.example")


def test_rebinding():
    """on loopback a name that a stranger may have is refused, whoever asks"""
    setup()
    for host in KNOWN:
        assert ask(Host=host).status == 200, host
        assert ask("/save", "POST", ONE, Host=host).status == 202, host
    for host in STRANGERS:
        name = host.split(":")[0]
        for target in ("/tags", "/export?tag=kept", "/api?tag=kept&start=0&end=9", "/", "/livez"):
            refused(ask(target, Host=host), name, "--allowed-hosts")
        refused(ask("/save", "POST", ONE, Host=host))
        refused(ask("/save", "POST", ONE, Host=host, Origin="http://" + host, Sec_Fetch_Site="same-origin"))
        refused(ask("http://" + host + "/tags", Host="x"))
    client = server.connect()
    client.send(b"GET /livez HTTP/1.0\r\n\r\n")
    assert client.answer().status == 200


def test_each_request_of_a_connection():
    """a Host that was right in one request says nothing about another's, nor a wrong one"""
    setup()
    client = server.connect()
    for host in ("127.0.0.1:1", "127.0.0.1:1", "evil.example", "127.0.0.1:1", "127.0.0.1:1.evil.example",
                 "127.0.0.1", "evil.example", "evil.example", "a" * 80, "a" * 80, "a" * 62 + ".b", "a" * 80 + ".b",
                 "127.0.0.1:1", "127.0.0.1:12"):
        for target in (f"/tags HTTP/1.1\r\nHost: {host}", f"http://{host}/tags HTTP/1.1\r\nHost: 127.0.0.1:1"):
            client.send(f"GET {target}\r\n\r\n".encode())
            answer = client.answer()
            if host.startswith("127.0.0.1:1.evil"):
                assert answer.status == 400, answer     # not a port
                client = server.connect()
            elif ".b" in host or "evil" in host:
                refused(answer, host)
            else:
                assert answer.status == 200, (host, answer)
    # the other marks of a browser are looked at in each request, too
    for mark in ("Origin: http://evil.example", "Sec-Fetch-Site: cross-site"):
        client.send(f"GET /tags HTTP/1.1\r\nHost: 127.0.0.1:12\r\n{mark}\r\n\r\n".encode())
        refused(client.answer())


class Wide(Server):
    """One that listens on all addresses; asked at 127.0.0.1."""

    def __init__(self, **settings):
        super().__init__(listen="0.0.0.0:0", insecure="on", **settings)


def test_beyond_loopback():
    """elsewhere programs may use any name, and browsers only known ones"""
    setup()
    wide = Wide()
    for host in KNOWN + STRANGERS:
        assert ask(Host=host, to=wide, User_Agent="Telegraf/1.30").status == 200, host
        assert ask("/save", "POST", ONE, Host=host, to=wide).status == 202, host
    for mark in ({"User_Agent": "Mozilla/5.0 (X11)"}, {"Accept_Language": ""}, {"Accept_Language": "en"},
                 {"Sec_Fetch_Site": "same-origin"}, {"Origin": "http://evil.example:8080"}):
        for host in KNOWN:
            if "Origin" not in mark:
                assert ask(Host=host, to=wide, **mark).status == 200, (host, mark)
        refused(ask(Host="evil.example:8080", to=wide, **mark), "evil.example", "--allowed-hosts")
    client = wide.connect()
    for agent, status in (("Telegraf/1.30", 200), ("Mozilla/5.0 (X11)", 403), ("Telegraf/1.30", 200)):
        client.send(f"GET /tags HTTP/1.1\r\nHost: evil.example\r\nUser-Agent: {agent}\r\n\r\n".encode())
        assert client.answer().status == status, agent
    assert wide.stop() == 0


def test_allowed_hosts():
    """--allowed-hosts names more, with or without ports and what is below"""
    setup()
    given = Server(allowed_hosts="historian.example.com, .example.org ,proxy.example.net:8443")
    for host in ("historian.example.com", "historian.example.com:8080", "HISTORIAN.example.com.", "example.org",
                 "a.b.example.org:80", "proxy.example.net:8443", "127.0.0.1", "x"):
        assert ask(Host=host, to=given).status == 200, host
    for host in ("evil.example", "a.historian.example.com", "notexample.org", "example.com", "proxy.example.net",
                 "proxy.example.net:80", "org.example"):
        refused(ask(Host=host, to=given))
    # a proxy that gives its own Host: the origin is one of those names, and only at its own port
    for origin in ("https://historian.example.com", "http://historian.example.com:80", "https://a.example.org",
                   "https://proxy.example.net:8443"):
        assert ask("/save", "POST", ONE, Host="127.0.0.1:8080", Origin=origin, to=given).status == 202, origin
    for origin in ("https://historian.example.com:3000", "https://evil.example", "https://proxy.example.net",
                   "https://a.example.org:8080", "null"):
        refused(ask("/save", "POST", ONE, Host="127.0.0.1:8080", Origin=origin, to=given))
    assert given.stop() == 0
    every = Server(allowed_hosts="*")
    assert ask(Host="evil.example", to=every).status == 200
    refused(ask(Host="evil.example", Origin="https://other.example", to=every))
    refused(ask(Host="evil.example", Sec_Fetch_Site="cross-site", to=every))
    assert every.stop() == 0
    for wrong in ("https://a.example", "a b/c", "a.example/", "*.example.com", ".", "a:b"):
        done = subprocess.run([BINARY, "--check-config", "--allowed-hosts", wrong], capture_output=True, text=True,
                              check=False)
        assert done.returncode == 2 and "allowed-hosts" in done.stderr, (wrong, done)


FRIENDS = "https://dashboards.example.com, http://plant-1:3000 ,http://[::1]:8000"


def varies(answer):
    return any(name == "vary" and "Origin" in value for name, value in answer.headers.items())


def test_cors():
    """pages of the origins of --cors-origin may read and write; others, and all without the setting, may not"""
    setup()
    given = Server(cors_origin=FRIENDS)
    assert given.save(message(1, "kept", [1]), "?ack=committed").status == 204
    cross = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "cors", "Sec_Fetch_Dest": "empty"}
    etag = ask("/latest?tag=kept", to=given).headers["etag"]
    for origin in ("https://dashboards.example.com", "https://DASHBOARDS.example.com:443", "http://plant-1:3000", "http://[::1]:8000"):
        for target, status in (("/tags", 200), ("/api?tag=kept&start=0&end=9&precision=ns", 200), ("/export?tag=kept", 200),
                               ("/latest", 200), ("/metrics", 200), ("/livez", 200), ("/", 200), ("/openapi.json", 200),
                               ("/nothing", 404), ("/api?tag=none", 404), ("/tags?x=1", 400)):
            answer = ask(target, to=given, Origin=origin, **cross)
            assert answer.status == status, (origin, target, answer)
            assert answer.headers["access-control-allow-origin"] == origin, answer
            assert "etag" in answer.headers["access-control-expose-headers"].lower(), answer
            assert "access-control-allow-credentials" not in answer.headers, answer
            assert varies(answer), answer
        answer = ask("/save", "POST", ONE, to=given, Origin=origin, **cross)
        assert answer.status == 202 and answer.headers["access-control-allow-origin"] == origin, answer
        answer = ask("/latest?tag=kept", to=given, Origin=origin, If_None_Match=etag, **cross)
        assert answer.status == 304 and answer.headers["access-control-allow-origin"] == origin, answer
    for origin in ("http://dashboards.example.com", "https://dashboards.example.com:8443", "https://a.dashboards.example.com",
                   "https://dashboards.example.com.evil.example", "http://plant-1", "http://plant-1:3001", "https://plant-1:3000",
                   "https://evil.example", "null", "https://dashboards.example.com/"):
        for to in (given, server):
            refused(ask("/tags", to=to, Origin=origin, **cross))
            refused(ask("/save", "POST", ONE, to=to, Origin=origin))
            refused(ask("/save", "OPTIONS", to=to, Origin=origin, Access_Control_Request_Method="POST"))
    refused(ask("/tags", to=server, Origin="https://dashboards.example.com"), "--cors-origin")
    # without an Origin nothing says whose page it is; a name of DNS rebinding stays one
    refused(ask("/tags", to=given, **cross), "--cors-origin")
    answer = ask("/tags", to=given, Host="evil.example", Origin="https://dashboards.example.com", **cross)
    assert answer.status == 403 and "evil.example" in answer.json()["detail"], answer
    # caches must know that the answer to others has other headers
    assert varies(ask("/tags", to=given)) and "access-control-allow-origin" not in ask("/tags", to=given).headers
    assert not varies(ask("/tags")) and not varies(ask("/tags", Origin=f"http://127.0.0.1:{server.port}"))
    assert given.stop() == 0


def test_cors_preflight():
    """a browser's question is answered for every path, with the methods that it takes"""
    given = Server(cors_origin=FRIENDS)
    origin = "https://dashboards.example.com"
    for path in ask("/nothing", to=given).json()["paths"]:
        answer = ask(path, "OPTIONS", to=given, Origin=origin, Access_Control_Request_Method="POST",
                     Access_Control_Request_Headers="content-type", Access_Control_Request_Private_Network="true")
        assert answer.status == 204 and answer.body == b"", (path, answer)
        assert answer.headers["access-control-allow-origin"] == origin and varies(answer), answer
        assert answer.headers["access-control-allow-methods"] + ", OPTIONS" == answer.headers["allow"], answer
        for header in ("content-type", "content-encoding", "if-none-match", "last-event-id"):
            assert header in answer.headers["access-control-allow-headers"].lower().split(", "), answer
        assert answer.headers["access-control-allow-private-network"] == "true", answer
        assert int(answer.headers["access-control-max-age"]) > 0, answer
        assert "access-control-allow-methods" not in ask(path, "OPTIONS", to=given).headers
    answer = ask("/nothing", "OPTIONS", to=given, Origin=origin, Access_Control_Request_Method="GET")
    assert answer.status == 404 and answer.headers["access-control-allow-origin"] == origin, answer
    assert given.stop() == 0
    for wrong in ("*", "null", "dashboards.example.com", "https://*.example.com", "https://.example.com", "https://a.example/",
                  "https://a.example/path", "ftp://a.example", "https://", "https://a.example https://b.example", "https://a:b"):
        done = subprocess.run([BINARY, "--check-config", "--cors-origin", wrong], capture_output=True, text=True, check=False)
        assert done.returncode == 2 and "cors-origin" in done.stderr, (wrong, done)


def test_headers():
    """every answer forbids guessing its type and use by other sites; the page has a strict policy"""
    setup()
    for target in ("/tags", "/nothing", "/", "/livez", "/metrics", "/export?tag=kept", "/api?tag=none", "/openapi.json"):
        answer = ask(target)
        assert answer.headers["x-content-type-options"] == "nosniff", answer
        assert answer.headers["cross-origin-resource-policy"] == "same-origin", answer
        assert answer.headers["referrer-policy"] == "no-referrer", answer
        assert answer.headers["content-security-policy"].startswith("default-src "), answer
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], answer
    answer = ask("/save", "POST", b'{"time":1,"tag":"kept","values":[]}')
    assert answer.status == 202 and answer.headers["x-content-type-options"] == "nosniff", answer
    assert "content-security-policy" not in answer.headers, answer
    client = Client(server.port)
    client.send(b"nonsense\r\n\r\n")
    answer = client.answer()
    assert answer.headers["x-content-type-options"] == "nosniff", answer
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], answer
    policy = ask("/").headers["content-security-policy"]
    for part in ("default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "object-src 'none'",
                 "form-action 'none'"):
        assert part in policy, policy
    assert "unsafe" not in policy


def test_nobody_else_is_concerned():
    """curl and libraries work as before, on loopback without any setting"""
    setup()
    url = f"http://127.0.0.1:{server.port}"
    for base in (url, f"http://localhost:{server.port}"):
        done = subprocess.run(["curl", "-sS4", "-w", "%{http_code}", "-d", ONE.decode(), base + "/save"],
                              capture_output=True, text=True, check=True)
        assert done.stdout == "202", done
        done = subprocess.run(["curl", "-sS4", base + "/tags?prefix=kept"], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["tags"][0]["tag"] == "kept", done
    answer = ask("/save", "POST", ONE, User_Agent="Mozilla/5.0", Accept_Language="de")
    assert answer.status == 202, answer


if __name__ == "__main__":
    run(sys.modules[__name__])
