#!/usr/bin/python3
"""Roles of PostgreSQL under tokens, and the audit trail (docs/security.md)."""
import atexit
import hashlib
import json
import os
import signal
import sys
import threading

from events import Events
from historiand import CONNINFO, Server, message, new_table, run, sql, temporary_directory, wait_for
from test_pooler import Pooler

READER = f"hr_{os.getpid()}"
STRANGER = f"hs {os.getpid()}"      # names may need quotes
ANALYST = f'ha"{os.getpid()}'
WRITER = f"hw_{os.getpid()}"


def ident(name):
    return '"' + name.replace('"', '""') + '"'


def line(name, scope, role=None):
    escaped = role and role.replace(" ", "%20")
    return f"{name} {scope} {'role=' + escaped + ' ' if role else ''}sha256:{hashlib.sha256(name.encode()).hexdigest()}\n"


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def reloaded(server):
    """Does the server log nothing but errors? A slow read would be a warning."""
    before = len(server.log)
    server.process.send_signal(signal.SIGHUP)
    server.get("/tags")
    server.get("/tags")
    return len(server.log) == before


class World:
    """A table with a row of each of two tags, roles, and a server whose tokens are the names of their lines."""

    def __init__(self):
        self.table = new_table()
        for role in (READER, STRANGER, ANALYST):
            sql(f"CREATE ROLE {ident(role)}; GRANT {ident(role)} TO CURRENT_USER")
            atexit.register(lambda role=role: sql(f"DROP OWNED BY {ident(role)}; DROP ROLE {ident(role)}"))
        sql(f"CALL historian.grant_reader('{self.table}', '{READER}')")
        sql(f"""GRANT SELECT ON {self.table} TO {ident(ANALYST)}; ALTER TABLE {self.table} ENABLE ROW LEVEL SECURITY;
            CREATE POLICY of_a ON {self.table} TO {ident(ANALYST)} USING (tag = 'a');
            CREATE POLICY all_rows ON {self.table} TO {READER} USING (true)""")
        self.tokens = os.path.join(temporary_directory(), "tokens")
        with open(self.tokens, "w", encoding="utf-8") as file:
            file.write(line("own", "admin") + line("reader", "read", READER) + line("stranger", "read", STRANGER) +
                       line("analyst", "read", ANALYST) + line("nobody", "read", "no_such_role") + line("pg", "admin", READER) +
                       line("norole", "admin", "no_such_role"))
        os.chmod(self.tokens, 0o600)
        self.server = Server(self.table, tokens_file=self.tokens, max_queries="1", log_format="json", threads="1")
        for tag in "ab":
            assert self.ask("own", "/save?ack=committed", json.dumps(message(5, tag, [1.5])).encode()).status == 204

    def ask(self, name, target, body=None, method=None, server=None):
        return (server or self.server).request(method or ("POST" if body else "GET"), target, body, {"Authorization": "Bearer " + name})


world = None


def shared():
    global world
    world = world or World()
    return world


READS = ("/api?tag=a&start=0&end=9", "/tags", "/tags/a", "/latest", "/stale", "/export?tag=a", "/export?tag=a&format=csv&layout=wide",
         "/export?tag=a&tag=b", "/export?prefix=a", "/export?all=true", "/export?all=true&format=csv&layout=wide")


def test_grants():
    """A token with a role reads what the role may: grants decide, and 403 says what is missing"""
    for target in READS:
        assert shared().ask("own", target).status == 200, target
        answer = shared().ask("stranger", target)
        assert answer.status == 403 and answer.json()["sqlstate"] == "42501", (target, answer)
        # the only connection is the server's own again
        assert shared().ask("own", target).status == 200, target


def test_policies():
    """Row-level security holds for all routes that read"""
    def exported(name, tag):
        answer = shared().ask(name, "/export?tag=" + tag)
        assert answer.status == 200, answer
        return answer.body.count(b"\n")
    assert [exported(name, tag) for name in ("own", "reader", "analyst") for tag in "ab"] == [1, 1, 1, 1, 1, 0]
    assert [exported(name, "b") for name in ("analyst", "own", "analyst", "reader")] == [0, 1, 0, 1]
    for name, rows in (("own", 2), ("reader", 2), ("analyst", 1)):
        answer = shared().ask(name, "/export?all=true&format=csv")
        assert answer.body.count(b"\n") == rows + 1 and (b",b," in answer.body) == (rows == 2), answer
    answer = shared().ask("analyst", "/export?tag=a&tag=b")
    assert answer.status == 404 and 'never stored: "b"' in answer.json()["detail"], answer
    assert shared().ask("analyst", "/export?prefix=b").body == b"" and shared().ask("reader", "/export?prefix=b").body.count(b"\n") == 1
    for target in ("/api?tag=a&start=0&end=9&samples=1", "/latest?tag=a", "/tags/a"):
        answer = shared().ask("analyst", target)
        assert answer.status == 200 and answer.body == shared().ask("reader", target).body, (target, answer)
    assert shared().ask("analyst", "/api?tag=a&tag=b&start=0&end=9&samples=1").body.count(b"1.5") == 1
    assert shared().ask("analyst", "/latest").body.count(b"1.5") == 1
    answer = shared().ask("analyst", "/api?tag=b&start=0&end=9")
    assert answer.status == 404 and b"1.5" not in answer.body, answer
    assert b"1.5" not in shared().ask("analyst", "/latest?tag=b").body
    assert [tag["tag"] for tag in shared().ask("analyst", "/tags").json()["tags"]] == ["a"]
    # a policy on more than the tag is applied to each row
    sql(f"CREATE POLICY early ON {shared().table} AS RESTRICTIVE TO {ident(ANALYST)} USING (time < 5)")
    try:
        answer = shared().ask("analyst", "/api?tag=a&start=0&end=9&samples=1")
        assert answer.status == 404 and b"1.5" not in answer.body, answer
        assert shared().ask("reader", "/api?tag=a&start=0&end=9&samples=1").status == 200
    finally:
        sql(f"DROP POLICY early ON {shared().table}")


def test_streams():
    """While one commit comes after the other, streams of each role get their samples, not only those of the first one"""
    path = os.path.join(temporary_directory(), "tokens")
    write(path, line("own", "admin") + line("reader", "read", READER) + line("analyst", "read", ANALYST))
    os.chmod(path, 0o600)
    server = Server(shared().table, tokens_file=path, threads="1", expect_ready=False)
    streams = [Events(server.port, "tag=a", headers={"Authorization": "Bearer " + name}) for name in ("reader", "analyst", "own")]
    assert [stream.head.status for stream in streams] == [200] * 3
    got = [0] * 3
    ended = threading.Event()

    def save():
        client = server.connect()
        for t in range(10, 10 ** 6):
            if ended.is_set():
                return
            body = json.dumps(message(t, "a", [t])).encode()
            assert client.request("POST", "/save?ack=committed", body, {"Authorization": "Bearer own"}).status == 204

    def take(number):
        while not ended.is_set() and streams[number].event() is not None:
            got[number] += 1
    threads = [threading.Thread(target=save)] + [threading.Thread(target=take, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        wait_for("samples in each of the streams", lambda: min(got) >= 20)
        assert threads[0].is_alive()
    finally:
        ended.set()
        threads[0].join()
        server.stop()


def test_unknown_role():
    """A role that is not there, or not historiand's to take, is the server's fault; nothing is read without it"""
    for target in READS:
        answer = shared().ask("nobody", target)
        assert answer.status == 500 and 'role "no_such_role" does not exist' in answer.json()["detail"], (target, answer)
    sql(f"CREATE ROLE {WRITER} LOGIN BYPASSRLS; CALL historian.grant_writer('{shared().table}', '{WRITER}_g'); GRANT {WRITER}_g TO {WRITER}")
    # BYPASSRLS, because COPY does not go into a table whose policies hold for the role that loads
    atexit.register(lambda: sql(f"DROP OWNED BY {WRITER}_g; DROP ROLE {WRITER}, {WRITER}_g"))
    plain = Server(shared().table, conninfo=CONNINFO.replace("user=postgres", "user=" + WRITER), tokens_file=shared().tokens)
    for target in READS[:1] + READS[4:5]:
        answer = shared().ask("reader", target, server=plain)
        assert answer.status == 500 and "permission denied to set role" in answer.json()["detail"], (target, answer)
        assert shared().ask("own", "/export?tag=a", server=plain).status == 200
    # with the group roles alone it loads and reads; and takes the role once it is a member
    assert shared().ask("own", "/save?ack=committed", json.dumps(message(6, "a", [2])).encode(), server=plain).status == 204
    sql(f"GRANT {READER} TO {WRITER}")
    for target in READS[4:5]:
        wait_for("the role", lambda: shared().ask("reader", target, server=plain).status == 200)
    assert plain.stop() == 0


def test_pooler():
    """A role does not stay on a server that PgBouncer gives to others"""
    pooler = Pooler()
    pooled = Server(shared().table, conninfo=pooler.conninfo, read_database=pooler.conninfo, tokens_file=shared().tokens, max_queries="1")
    for _ in range(5):
        for target in ("/export?tag=b", "/tags/b"):
            assert shared().ask("stranger", target, server=pooled).status == 403
            assert shared().ask("own", target, server=pooled).status == 200
            assert shared().ask("nobody", target, server=pooled).status == 500
            assert shared().ask("own", target, server=pooled).status == 200
    assert pooled.stop() == 0


def test_audit():
    """A change has a line in the log and a row in SQL, with the token's name"""
    body = b'{"names": ["flow"]}'
    assert shared().ask("own", "/tags/a%20b", body, "PUT").status == 204
    assert shared().ask("reader", "/tags/a%20b", b'{"names": ["other"]}', "PUT").status == 403
    assert shared().ask("pg", "/tags/a%20b", b'{"names": ["other"]}', "PUT").status == 403, "the role may not, whatever the scope"
    lines = wait_for("the line", lambda: [json.loads(entry) for entry in shared().server.log if '"level":"audit"' in entry])
    assert [(entry["action"], entry["tag"], entry["token"], entry["peer"]) for entry in lines] == [("set metadata", "a b", "own", "127.0.0.1")], lines
    assert lines[0]["request_id"]
    rows = sql(f"SELECT action, tag, actor, rows FROM historian.audit WHERE relid = '{shared().table}'::regclass")
    assert rows == [["set metadata", "a b", "own", "1"]], rows
    # the session that made it does not keep the name
    sql(f"SELECT historian.set_tag('{shared().table}', 'a', '{{}}')")
    config = os.path.join(temporary_directory(), "config")
    write(config, "log-format = json\n")
    open_ = Server(shared().table, config=config)
    write(config, "log-format = json\nlog-level = error\n")
    open_.process.send_signal(signal.SIGHUP)
    wait_for("the reload", lambda: open_.get("/livez") and reloaded(open_))
    assert open_.request("PUT", "/tags/b", body).status == 204
    wait_for("the line", lambda: any('"level":"audit"' in entry and '"tag":"b"' in entry for entry in open_.log))
    rows = sql(f"SELECT coalesce(actor, 'none') FROM historian.audit WHERE relid = '{shared().table}'::regclass ORDER BY time")
    assert rows == [["own"], ["none"]], rows


def test_changes():
    """Changes of samples happen in the token's role and under its name; what a writer's privileges do not allow is 403"""
    def audited():
        return sql("SELECT action, tag, actor, coalesce(rows, -1), coalesce(detail, '') FROM historian.audit "
                   f"WHERE relid = '{shared().table}'::regclass AND action NOT LIKE '%metadata' ORDER BY time")
    changes = [("PUT", "/samples?tag=z&start=0&end=9", b'[{"time": 1, "values": [1]}, {"time": 2, "values": [2]}]'),
               ("PUT", "/samples?tag=z&start=0&end=9", b'{"time": 1, "values": [1]}'), ("POST", "/tags/z/rename", b'{"to": "y"}'),
               ("DELETE", "/samples?tag=y&start=0&end=9", None), ("DELETE", "/tags/y", None)]
    for method, target, body in changes:
        answer = shared().ask("pg", target, body, method)
        assert answer.status == (404 if "rename" in target else 403), answer
        assert "rename" in target or answer.json()["sqlstate"] == "42501", answer
    assert audited() == []
    for method, target, body in changes:
        answer = shared().ask("own", target, body, method)
        assert answer.status == 200, answer
    assert audited() == [["replace", "z", "own", "2", ""], ["delete", "z", "own", "2", ""], ["replace", "z", "own", "1", ""],
                         ["rename", "z", "own", "1", "to y"], ["delete", "y", "own", "1", ""]], audited()
    def logged():
        # a thread reads the log
        lines = [json.loads(entry) for entry in shared().server.log if '"level":"audit"' in entry]
        return len(lines) >= 5 and lines[-2]["action"] == lines[-1]["action"] == "delete" and lines
    lines = wait_for("the lines", logged)
    assert [(entry["action"], entry["tag"], entry.get("to"), entry["token"]) for entry in lines[-5:]] == [
        ("replace", "z", None, "own"), ("replace", "z", None, "own"), ("rename", "z", "y", "own"), ("delete", "y", None, "own"),
        ("delete", "y", None, "own")], lines
    answer = shared().ask("norole", "/tags/y", None, "DELETE")
    assert answer.status == 500 and 'role "no_such_role" does not exist' in answer.json()["detail"], answer


def test_corrector():
    """A role with the privileges that docs/security.md names may change samples, and only those of the token's prefix"""
    role, table = f"hc_{os.getpid()}", new_table()
    sql(f"""CALL historian.grant_writer('{table}', '{role}'); GRANT DELETE, UPDATE ON {table} TO {role};
        CREATE ROLE {role}_login LOGIN; GRANT {role} TO {role}_login; CALL historian.grant_writer('{table}', '{role}_login')""")
    atexit.register(lambda: sql(f"DROP OWNED BY {role}, {role}_login; DROP ROLE {role}, {role}_login"))
    tokens = os.path.join(temporary_directory(), "tokens")
    write(tokens, line("laboratory", "admin:lab/", role))
    os.chmod(tokens, 0o600)
    server = Server(table, conninfo=CONNINFO.replace("user=postgres", f"user={role}_login"), tokens_file=tokens)
    body = b'[{"time": 1, "values": [1]}, {"time": 2, "values": [2]}]'
    assert shared().ask("laboratory", "/samples?tag=lab/a&start=0&end=9", body, "PUT", server).json()["written"] == 2
    assert shared().ask("laboratory", "/tags/lab/a", b'{"names": ["x"]}', "PUT", server).status == 204
    assert shared().ask("laboratory", "/tags/lab/a/rename", b'{"to": "lab/b"}', "POST", server).json()["samples"] == 2
    assert shared().ask("laboratory", "/tags/lab/b/rename", b'{"to": "b"}', "POST", server).status == 403
    assert shared().ask("laboratory", "/samples?tag=lab/b&start=0&end=2", None, "DELETE", server).json()["removed"] == 1
    assert shared().ask("laboratory", "/tags/lab/b", None, "DELETE", server).json()["removed"] == 1
    assert sql(f"SELECT DISTINCT user_name, actor FROM historian.audit WHERE relid = '{table}'::regclass AND action <> 'set metadata'") == [[role, "laboratory"]]
    assert server.stop() == 0


def test_learned_names():
    """Points of line protocol are no change of metadata"""
    assert shared().ask("own", "/write", b"cpu,host=a user=1,idle=2 7\ncpu,host=b user=1 7").status == 204
    assert sql(f"SELECT count(*) FROM historian.audit WHERE relid = '{shared().table}'::regclass AND tag LIKE 'cpu%'") == [["0"]]


if __name__ == "__main__":
    run(sys.modules[__name__])
