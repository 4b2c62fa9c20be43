#!/usr/bin/python3
"""Names of the fields of POST /write in historian.tag: learned once, by any number of servers, never over a person's."""
import random
import re
import sys
import threading

from historiand import CONNINFO, Relay, Server, new_table, request_bytes, rows, run, sql, wait_for

SEED = random.randrange(2 ** 32)


def write(server, lines, status=204, query=""):
    answer = server.request("POST", "/write" + query, "\n".join(lines).encode())
    assert answer.status == status, answer


def learned(table, what="names"):
    """{tag: names} as SQL's text"""
    return dict(sql(f"SELECT tag, coalesce({what}::text, 'NULL') FROM historian.tag WHERE relid = '{table}'::regclass"))


def test_names():
    """a series has the names of its fields, in the order of its values, without their escapes"""
    server = Server()
    write(server, ["cpu,host=h1 user=1,idle=2,system=3 1", "mem free=1i 1", r"odd,a=\ b na\,me=1,x\=y=2,z\ w=3 1",
                   'text word="a",n=1 1', "größe höhe=1,ärger=2 1"], query="?strings=ignore")
    expected = {"cpu,host=h1": "{idle,system,user}", "mem": "{free}", "odd,a= b": '{"na,me",x=y,"z w"}', "text": "{n}",
                "größe": "{höhe,ärger}"}
    wait_for("the names", lambda: learned(server.table) == expected)
    assert learned(server.table, "learned") == expected
    # each value is the one that its name says
    assert sql(f"""SELECT v.name, m.values[v.element] FROM {server.table} m JOIN historian.tag_value v
        ON v.relid = '{server.table}'::regclass AND v.tag = m.tag WHERE m.tag = 'cpu,host=h1' ORDER BY 2""") == \
        [["user", "1"], ["idle", "2"], ["system", "3"]]
    assert server.get("/tags/mem").json()["names"] == ["free"]


def test_several_lines():
    """fields that come in several lines, or later, are named together; a name that was set stays"""
    server = Server()
    write(server, ["system load1=1,load5=2 1", "system uptime=3i 1", "disk free=1 1", "mine a=1 1", "fixed a=1 1"])
    assert learned(server.table)["system"] == "{load1,load5,uptime}" and len(learned(server.table)) == 4
    sql(f"""UPDATE historian.tag SET names = '{{Mine}}' WHERE relid = '{server.table}'::regclass AND tag = 'mine';
        UPDATE historian.tag SET units = '{{m}}' WHERE relid = '{server.table}'::regclass AND tag = 'fixed'""")
    write(server, ["disk blocks=3,free=1,used=2 2", "mine a=1,b=2 2", "fixed a=1,b=2 2"])
    assert learned(server.table, "learned") == {
        "system": "{load1,load5,uptime}", "disk": "{free,blocks,used}", "mine": "{a,b}", "fixed": "{a,b}"}
    assert learned(server.table) == {
        "system": "{load1,load5,uptime}", "disk": "{free,blocks,used}", "mine": "{Mine}", "fixed": "{a,b}"}


def exported(server, tag):
    """the lines of a tag in CSV with named columns"""
    return server.get(f"/export?tag={tag}&format=csv&columns=named").body.decode().splitlines()


def test_fewer_fields():
    """a point that lacks a field, or has a string for it, has its values under their own names"""
    server = Server()
    write(server, ["pump flow=1,power=2,speed=3 1", "pump flow=4,speed=6 2", "pump speed=9 3", "pump flow=8 3", "pump power=7 4", "pump flow=5 5"])
    assert rows(server.table) == [(1, "pump", "{1,2,3}"), (2, "pump", "{4,NULL,6}"), (3, "pump", "{8,NULL,9}"), (4, "pump", "{NULL,7}"), (5, "pump", "{5}")]
    assert exported(server, "pump") == ["time,tag,flow,power,speed", "1,pump,1,2,3", "2,pump,4,,6", "3,pump,8,,9", "4,pump,,7,", "5,pump,5,,"]
    write(server, ["valve mode=1,open=2 1"])
    write(server, ['valve mode="manual",open=7 2', 'valve mode="manual" 3'], query="?strings=ignore")
    assert exported(server, "valve") == ["time,tag,mode,open", "1,valve,1,2", "2,valve,,7"]
    # a field that comes later has the next place, also where its name would be first
    write(server, ["valve area=3,mode=5 4", "pump speed=1 6"])
    assert exported(server, "valve") == ["time,tag,mode,open,area", "1,valve,1,2,", "2,valve,,7,", "4,valve,5,,3"]
    # also before any place is known, and after a restart
    write(server, ["mixer speed=1 1", "mixer flow=2,speed=3 2", "mixer flow=4 3"])
    assert exported(server, "mixer")[1:] == ["1,mixer,,1", "2,mixer,2,3", "3,mixer,4,"]
    again = Server(table=server.table)
    write(again, ["mixer speed=5 4", "valve area=4 5", "new b=1 1", "pump power=2 7"])
    assert exported(again, "mixer")[-1] == "4,mixer,,5"
    assert exported(again, "valve")[-1] == "5,valve,,,4"
    view = f"v_{server.table}"
    sql(f"SET client_min_messages = error; SELECT historian.create_view('{view}', 'pump', '{server.table}')")
    assert sql(f"SELECT flow, power, speed FROM {view} ORDER BY time") == [
        ["1", "2", "3"], ["4", "", "6"], ["8", "", "9"], ["", "7", ""], ["5", "", ""], ["", "", "1"], ["", "2", ""]]
    sql(f"DROP VIEW {view}")


def test_names_set_before():
    """names that somebody set before the first point are the places of the fields, if one of them is a field"""
    server = Server()
    sql(f"""INSERT INTO historian.tag (relid, tag, names) VALUES ('{server.table}', 'set', '{{speed,NULL,flow}}'),
        ('{server.table}', 'labels', '{{Speed of the pump,Flow}}')""")
    write(server, ["set flow=1,power=2 1", "labels flow=1,power=2 1"])
    assert rows(server.table) == [(1, "labels", "{1,2}"), (1, "set", "{NULL,NULL,1,2}")]


def test_messages_stay():
    """places are for points alone: values of /save stay where they are"""
    server = Server()
    write(server, ["both b=1 1", "both a=1,b=2 2", ""])
    write(server, ["both c=3 3"])
    assert server.save(b'{"time": 4, "tag": "both", "values": [1, 2, 3]}', "?ack=committed").status == 204
    assert rows(server.table) == [(1, "both", "{NULL,1}"), (2, "both", "{1,2}"), (3, "both", "{NULL,NULL,3}"), (4, "both", "{1,2,3}")], rows(server.table)


def test_places_at_random():
    """two servers, restarts, and points with any of the fields: each value is under its name, whatever came first"""
    print(f"# seed {SEED}")
    generator = random.Random(SEED)
    table = new_table()
    points = {}
    lock = threading.Lock()

    def send(server, seed):
        order = random.Random(seed)
        for part in range(12):
            lines = []
            for _ in range(order.randrange(1, 300)):
                tag = f"m,h={order.randrange(60)}"
                fields = {f"f{n}": float(order.randrange(1000)) for n in order.sample(range(12 if part < 6 else 40), order.randrange(1, 8))}
                time_ns = 10 ** 18 + order.randrange(10 ** 15)
                with lock:
                    points[time_ns, tag] = fields
                lines.append(f"{tag} " + ",".join(f"{name}={value}" for name, value in fields.items()) + f" {time_ns}")
            write(server, lines, query=order.choice(["", "?partial=false"]))

    for turn in range(2):
        servers = [Server(table=table, threads=2, max_queries=4) for _ in range(2)]
        threads = [threading.Thread(target=send, args=(server, SEED + 10 * turn + i)) for i, server in enumerate(servers * 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for server in servers:
            assert not any("names of the fields" in line for line in server.log), server.log
            assert server.stop() == 0
    found = {}
    for time_ns, tag, name, value in sql(f"""SELECT m.time, m.tag, t.learned[e], m.values[e] FROM {table} m
            LEFT JOIN historian.tag t ON t.relid = '{table}'::regclass AND t.tag = m.tag, generate_subscripts(m.values, 1) e
            WHERE m.values[e] IS NOT NULL"""):
        found.setdefault((int(time_ns), tag), {})[name] = float(value)
    assert found == points, [(key, found.get(key), points.get(key)) for key in {*found, *points} if found.get(key) != points.get(key)][:5]


def test_away():
    """while PostgreSQL is away, points of known fields are taken, others are refused with 503, and nothing of them is stored"""
    relay = Relay()
    server = Server(conninfo=relay.conninfo, commit_timeout="1500ms")
    wait_for("a commit in time", lambda: server.request("POST", "/write", b"known a=1,b=2 1").status == 204)
    relay.cut()
    write(server, ["known b=3 2"], status=202, query="?ack=received")
    for query in ("?ack=received", "?ack=received&partial=false"):
        answer = server.request("POST", "/write" + query, b"known b=4,c=5 3\nunknown a=1 3")
        assert answer.status == 503 and "places of fields" in answer.json()["detail"] and "retry-after" in answer.headers, answer
    relay.mend()
    wait_for("the row", lambda: len(rows(server.table)) == 2)
    wait_for("places, and a commit in time", lambda: server.request("POST", "/write", b"known b=4,c=5 3").status == 204)
    assert rows(server.table) == [(1, "known", "{1,2}"), (2, "known", "{NULL,3}"), (3, "known", "{NULL,4,5}")]
    assert server.stop() == 0


def test_streamed():
    """a body that pauses: its points are stored once their places are known, and do not wait for more of it"""
    server = Server()
    client = server.connect()
    body = b"slow b=1 1\nslow a=1,b=2 2\n"
    client.send(request_bytes("POST", "/write", body + b"x" * 20)[:-20])
    wait_for("the rows", lambda: rows(server.table) == [(1, "slow", "{NULL,1}"), (2, "slow", "{1,2}")])
    client.close()


def test_many_series():
    """a body of many new series, and rows that are far wider than their points"""
    server = Server()
    for query in ("", "?partial=false"):
        lines = [f"s{i},q={len(query)} a{i % 7}=1,b{i % 5}={i} 1" for i in range(20000)]
        write(server, lines, query=query)
        write(server, [f"s{i},q={len(query)} g=2 2" for i in range(20000)], query=query)
    assert sql(f"SELECT count(*), count(*) FILTER (WHERE values[3] = 2), sum(values[2]) FROM {server.table}") == [
        ["80000", "40000", str(2 * sum(range(20000)))]]
    names = [f"f{i:04}" for i in range(950)]
    write(server, ["wide " + ",".join(f"{name}=1" for name in names) + " 1"])
    write(server, [f"wide f0949={i} {i}" for i in range(2, 3000)])
    assert sql(f"SELECT count(*), sum(values[950]), count(values[949]) FROM {server.table} WHERE tag = 'wide'") == [
        ["2999", str(1 + sum(range(2, 3000))), "1"]]
    answer = server.request("POST", "/write", ("wide " + ",".join(f"g{i}=1" for i in range(51)) + " 1\nwide f0003=1 3000").encode())
    assert answer.status == 400 and answer.json()["rejected"] == 1 and answer.json()["accepted"] == 1, answer
    assert server.stop() == 0


def test_refused_names():
    """a series with a name that historian.tag does not take has none, and the others have theirs"""
    server = Server()
    body = b"a n\xff=1 1\nb n\x07m=1 1\nc " + b"x" * 300 + b"=1 1\nd good=1 1"
    assert server.request("POST", "/write", body).status == 204
    wait_for("the good one", lambda: learned(server.table) == {"d": "{good}"})


def test_two_servers():
    """two servers that learn the same series at once, in different orders, agree and log nothing"""
    print(f"# seed {SEED}")
    generator = random.Random(SEED)
    table = new_table()
    servers = [Server(table=table, threads=2, max_queries=4) for _ in range(2)]
    most = {f"m{i}": generator.randrange(1, 20) for i in range(3000)}

    def send(server, seed):
        order = random.Random(seed)
        tags = sorted(most)
        for part in range(6):
            order.shuffle(tags)
            write(server, [f"{tag} " + ",".join(f"f{j:02}={j}" for j in range(most[tag] if part == 5 else order.randrange(1, most[tag] + 1)))
                           + f" {part}" for tag in tags])

    threads = [threading.Thread(target=send, args=(server, SEED + i)) for i, server in enumerate(servers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {tag: "{" + ",".join(f"f{j:02}" for j in range(count)) + "}" for tag, count in most.items()}

    def told():
        """A series for which there was no room in the list is told with its next point."""
        write(servers[0], [f"{tag} " + ",".join(f"f{j:02}={j}" for j in range(count)) + " 7" for tag, count in most.items()])
        return learned(table) == expected

    wait_for("all names", told, 60)
    for server in servers:
        assert not any("names of the fields" in line for line in server.log), server.log
        assert server.stop() == 0


def test_once():
    """a series is told once: nothing is written while its points go on, nor after a restart"""
    server = Server()
    write(server, ["once a=1,b=2 1"])
    wait_for("the names", lambda: learned(server.table) == {"once": "{a,b}"})
    place = sql(f"SELECT ctid, xmin, xmax FROM historian.tag WHERE relid = '{server.table}'::regclass")
    for i in range(20):
        write(server, [f"once a=1,b=2 {i}"])
    again = Server(table=server.table)
    write(again, ["once a=1,b=2 100", "another c=1 1"])
    wait_for("the other", lambda: len(learned(server.table)) == 2)
    assert sql(f"SELECT ctid, xmin, xmax FROM historian.tag WHERE relid = '{server.table}'::regclass AND tag = 'once'") == place


def test_later():
    """while the names cannot be kept rows are loaded, one warning is logged, and the names come later"""
    table = new_table()
    sql(f"""DO $$ BEGIN CREATE ROLE field_writer LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
        GRANT INSERT, SELECT ON {table} TO field_writer; REVOKE USAGE ON SCHEMA historian FROM PUBLIC""")
    conninfo = " ".join("user=field_writer" if part.startswith("user=") else part for part in CONNINFO.split())
    server = Server(table=table, conninfo=conninfo)
    try:
        write(server, ["late a=1 1"])
        server.logged("(?i)warning.*names of the fields of POST /write are not kept: permission denied for schema historian")
        assert sql(f"SELECT count(*) FROM {table}") == [["1"]]
    finally:
        sql("GRANT USAGE ON SCHEMA historian TO PUBLIC")
    wait_for("the names", lambda: learned(table) == {"late": "{a}"})
    assert len([line for line in server.log if re.search("names of the fields", line)]) == 1, server.log


def test_made_anew():
    """places that are gone from PostgreSQL are forgotten by a server that runs: the table made anew, or its rows of historian.tag deleted"""
    server = Server()

    def forgotten():
        return len([line for line in server.log if "places of fields are asked for again" in line])

    def placed(time, expected, fields="a=1,b=2"):
        """new points of both series have their values at these places"""
        write(server, [f"pump {fields} {time}", f"valve {fields} {time}"])
        assert rows(server.table, f"time = {time}") == [(time, "pump", expected), (time, "valve", expected)]

    placed(1, "{2}", fields="b=2")
    placed(2, "{2,1}")
    sql(f"TRUNCATE {server.table}")
    placed(3, "{2,1}")
    sql(f"DROP TABLE {server.table}; CREATE TABLE {server.table} (time bigint, tag text, values float8[]) USING historian")
    wait_for("the new table", lambda: forgotten() >= 1, 40)
    # the deletion of the rows of historian.tag may be told later than the new table
    wait_for("places anew", lambda: learned(server.table) == {"pump": "{a,b}", "valve": "{a,b}"} or placed(4, "{1,2}"), 40)
    placed(5, "{1,2}")
    sql(f"UPDATE historian.tag SET names = learned, learned = NULL WHERE relid = '{server.table}'::regclass AND tag = 'valve'")
    sql(f"DELETE FROM historian.tag WHERE relid = '{server.table}'::regclass AND tag = 'pump'")
    before = forgotten()
    wait_for("the deletion", lambda: forgotten() > before, 40)
    write(server, ["pump c=3,b=2 6"])
    assert learned(server.table, "learned")["pump"] == "{b,c}"
    assert rows(server.table, "time = 6") == [(6, "pump", "{2,3}")]
    assert server.stop() == 0


if __name__ == "__main__":
    run(sys.modules[__name__])
