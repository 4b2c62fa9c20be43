#!/usr/bin/python3
"""Names of the fields of POST /write in historian.tag: learned once, by any number of servers, never over a person's."""
import random
import re
import sys
import threading

from historiand import CONNINFO, Server, new_table, run, sql, wait_for

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
    wait_for("the union", lambda: learned(server.table).get("system") == "{load1,load5,uptime}")
    wait_for("the others", lambda: len(learned(server.table)) == 4)
    sql(f"""UPDATE historian.tag SET names = '{{Mine}}' WHERE relid = '{server.table}'::regclass AND tag = 'mine';
        UPDATE historian.tag SET units = '{{m}}' WHERE relid = '{server.table}'::regclass AND tag = 'fixed'""")
    write(server, ["disk free=1,used=2 2", "mine a=1,b=2 2", "fixed a=1,b=2 2"])
    wait_for("more fields", lambda: learned(server.table, "learned") == {
        "system": "{load1,load5,uptime}", "disk": "{free,used}", "mine": "{a,b}", "fixed": "{a,b}"})
    assert learned(server.table) == {
        "system": "{load1,load5,uptime}", "disk": "{free,used}", "mine": "{Mine}", "fixed": "{a}"}


def test_fewer_fields():
    """a point that lacks a field has values under the names of others, as the documentation warns"""
    server = Server()
    write(server, ["pump flow=1,power=2,speed=3 1", "valve mode=1,open=2 1"])
    wait_for("the names", lambda: len(learned(server.table)) == 2)
    write(server, ["pump flow=4,speed=6 2", 'valve mode="manual",open=7 2', "pump speed=9 3", "pump flow=8 3"], query="?strings=ignore")
    assert server.get("/export?tag=pump&format=csv&columns=named").body == b"time,tag,flow,power,speed\n1,pump,1,2,3\n2,pump,4,6,\n3,pump,8,9,\n"
    assert server.get("/export?tag=valve&format=csv&columns=named").body == b"time,tag,mode,open\n1,valve,1,2\n2,valve,7,\n"
    comment = sql("SELECT obj_description('historian.create_view(text, text, regclass)'::regprocedure)")[0][0]
    assert "lacks a field has fewer values" in comment, comment


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


if __name__ == "__main__":
    run(sys.modules[__name__])
