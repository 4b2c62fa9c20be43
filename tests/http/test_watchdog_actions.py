#!/usr/bin/python3
"""What the watchdog of silent tags does: webhook, program, NOTIFY, and their settings (docs/watchdog.md)."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

from historiand import CONNINFO, HERE, Server, run, sql, temporary_directory
from test_watchdog import QUICK, Receiver, gauge, need_extension, report, stale_now, wait_for


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_webhook_down():
    """a webhook that is down gets it later, in order"""
    need_extension()
    port = free_port()
    server = Server(stale_webhook=f"http://user:secret@127.0.0.1:{port}/hook", **QUICK)
    report(server, "a")
    wait_for("a is stale", lambda: gauge(server, "historian_stale_tags") == 1)
    server.logged("the webhook of silent tags has failed")
    report(server, "a", ago=-600)
    wait_for("a has returned", lambda: gauge(server, "historian_stale_tags") == 0)
    assert gauge(server, "historian_stale_untold") == 2
    # over a restart
    assert server.stop() == 0
    again = Server(server.table, stale_webhook=f"http://user:secret@127.0.0.1:{port}/hook", **QUICK)
    receiver = Receiver(port)
    receiver.wait([("a", "stale"), ("a", "returned")], 60)
    assert receiver.headers[0]["Authorization"].startswith("Basic ")
    wait_for("nothing is owed", lambda: gauge(again, "historian_stale_untold") == 0)
    assert not any("secret" in line for line in server.log + again.log), "a password in the log"


def test_bad_receivers():
    """a receiver that is slow, breaks the protocol, answers errors or sends elsewhere delays others, and is told again"""
    need_extension()
    elsewhere = Receiver()
    seen = []

    def misbehave(handler, event):
        seen.append(event["tag"])
        if seen.count(event["tag"]) > 1:
            return False
        if event["tag"] == "error":
            handler.send_error(500)
        elif event["tag"] == "refused":
            handler.send_error(400)
        elif event["tag"] == "redirect":
            handler.send_response(307)
            handler.send_header("Location", elsewhere.url)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        elif event["tag"] == "garbage":
            handler.wfile.write(b"\x00\xff" * 1000)
        elif event["tag"] == "closed":
            handler.connection.close()
        elif event["tag"] == "silent":
            time.sleep(6)
        elif event["tag"] == "drip":
            for byte in b"HTTP/1.1 204 No Content\r\nX: " + b"x" * 1000:
                handler.wfile.write(bytes([byte]))
                time.sleep(0.2)     # the status comes after the time limit
        else:
            return False
        handler.close_connection = True
        return True
    receiver = Receiver(behaviour=misbehave)
    server = Server(stale_webhook=receiver.url, stale_timeout="2s", **QUICK)
    tags = ["error", "refused", "redirect", "garbage", "closed", "silent", "drip", "good"]
    report(server, *tags)
    receiver.wait([(tag, "stale") for tag in tags], 60)
    assert elsewhere.events == [], "a redirection was followed"
    assert {tag: seen.count(tag) for tag in tags} == {tag: 1 if tag == "good" else 2 for tag in tags}, seen

    def endless(handler, event):
        seen.append("endless")
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            handler.wfile.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
    def told():
        return server.metric('historiand_stale_actions_total{action="webhook",result="told"}')
    wait_for("the last one is settled", lambda: told() == len(tags))
    receiver.behaviour = endless
    before = server.memory()
    report(server, "good", ago=-600)
    wait_for("it is told", lambda: told() > len(tags))
    wait_for("nothing is owed", lambda: gauge(server, "historian_stale_untold") == 0)
    assert seen.count("endless") == 1, "it was answered 200"
    assert server.memory() < before + (20 << 20)
    assert server.get("/livez").status == 200


def script(directory, text):
    path = os.path.join(directory, "alert")
    with open(path, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


def gone(pid):
    """Has a process ended, or is it a zombie?"""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def lines(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_command():
    """a program gets each transition as its input and in a variable, without a shell; it is tried again, or killed"""
    need_extension()
    directory = temporary_directory()
    path = script(directory, f"""cd {directory}
        read -r line
        [ "$line" = "$HISTORIAN_STALE" ] || exit 3
        env >environment
        echo "$1|$2|$#" >arguments
        ls /proc/self/fd >descriptors
        case $line in
            *fails*) [ -e failed ] || {{ touch failed; exit 1; }} ;;
            *hangs*) [ -e hung ] || {{ touch hung; sleep 1000 & echo $! >sleeper; wait; }} ;;
        esac
        echo "$line" >>told
        """)
    server = Server(stale_command=json.dumps([path, "a b", "$(id)"]), stale_timeout="2s", environment={"PGPASSWORD": "secret"}, **QUICK)
    odd = "$(touch x); '\"`"
    report(server, "fails", "hangs", odd)
    told = os.path.join(directory, "told")
    wait_for("all are told", lambda: len(lines(told)) == 3, 60)
    assert sorted(event["tag"] for event in lines(told)) == sorted(["fails", "hangs", odd])
    with open(os.path.join(directory, "environment"), encoding="utf-8") as file:
        environment = file.read()
    assert "secret" not in environment and "HISTORIAND" not in environment, environment
    with open(os.path.join(directory, "arguments"), encoding="utf-8") as file:
        assert file.read() == "a b|$(id)|2\n"
    with open(os.path.join(directory, "descriptors"), encoding="utf-8") as file:
        assert set(file.read().split()) <= {"0", "1", "2", "3"}
    assert not os.path.exists(os.path.join(directory, "x"))
    with open(os.path.join(directory, "sleeper"), encoding="ascii") as file:
        sleeper = file.read().strip()
    wait_for("what the program has started is killed, too", lambda: gone(sleeper))
    wait_for("no program is left, not even as a zombie", lambda: subprocess.run(
        ["ps", "--ppid", str(server.process.pid), "-o", "stat="], capture_output=True, text=True, check=False).stdout.strip() == "")


def test_command_at_the_end():
    """a program that hangs does not outlast the server, and its transition is told after the next start"""
    need_extension()
    directory = temporary_directory()
    pids, told = os.path.join(directory, "pids"), os.path.join(directory, "told")
    hangs = script(directory, f"echo $$ >>{pids}\nexec sleep 300")
    server = Server(stale_command=hangs, stale_timeout="30s", **QUICK)
    report(server, "a")
    wait_for("the program runs", lambda: lines(pids))
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    wait_for("the end of the programs", lambda: all(gone(pid) for pid in lines(pids)))
    Server(server.table, stale_command=script(directory, f"cat >>{told}"), **QUICK)
    wait_for("it is told", lambda: lines(told), 90)


def test_both_actions():
    """a webhook and a program each get every transition, and neither waits for the other"""
    need_extension()
    directory = temporary_directory()
    told = os.path.join(directory, "told")
    path = script(directory, f"cat >>{told}\n")
    port = free_port()
    server = Server(stale_webhook=f"http://127.0.0.1:{port}/", stale_command=path, **QUICK)
    report(server, "a")
    wait_for("the program is told", lambda: len(lines(told)) == 1)
    receiver = Receiver(port)
    receiver.wait([("a", "stale")])
    assert lines(told) == receiver.events


def test_notify():
    """NOTIFY tells it in the transaction that notes it"""
    need_extension()
    with subprocess.Popen(["psql", "-X", "-q", "-t", "-A", "-d", CONNINFO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as listener:
        listener.stdin.write('LISTEN "silent tags";\nSELECT 1;\n')
        listener.stdin.flush()
        assert listener.stdout.readline() == "1\n"
        server = Server(stale_notify="silent tags", **QUICK)
        report(server, 'a"b')
        wait_for("it is stale", lambda: gauge(server, "historian_stale_tags") == 1)
        report(server, 'a"b', ago=-600)
        wait_for("it has returned", lambda: gauge(server, "historian_stale_tags") == 0)
        output = listener.communicate("SELECT 2;\n")[0]
    events = [json.loads(line[line.index("{"):line.rindex("}") + 1]) for line in output.splitlines() if "payload" in line]
    assert [(event["tag"], event["state"]) for event in events] == [('a"b', "stale"), ('a"b', "returned")], output
    assert sql(f"SELECT count(*) FROM historian.stale_event WHERE relid = '{server.table}'::regclass") == [["0"]]


def test_settings():
    """wrong settings are refused; SIGHUP changes how long a tag may be silent"""
    need_extension()
    for setting, value in (("stale-webhook", "ftp://x/"), ("stale-webhook", "http://"), ("stale-webhook", "http://x/ y"), ("stale-webhook", "hook"),
                           ("stale-command", "alert"), ("stale-command", "/not/there"), ("stale-command", "[1]"), ("stale-command", "[]"),
                           ("stale-command", "   "), ("stale-notify", "x" * 64), ("stale-after", "5"), ("stale-interval", "1ms")):
        done = subprocess.run([os.environ.get("HISTORIAND", os.path.join(HERE, "../../build/historiand")), "--" + setting, value],
                              capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 2 and setting in done.stderr, (setting, value, done)
    receiver = Receiver()
    path = os.path.join(temporary_directory(), "config")

    def write(after):
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"stale-after = {after}\nstale-interval = 100ms\nstale-webhook = {receiver.url}\n")
    write("0s")
    server = Server(config=path)
    report(server, "a", "own")
    sql(f"INSERT INTO historian.tag (relid, tag, max_silence) VALUES ('{server.table}', 'own', '500 ms')")
    receiver.wait([("own", "stale")])
    assert stale_now(server) == ["own"]
    write("1s")
    server.process.send_signal(signal.SIGHUP)
    receiver.wait([("own", "stale"), ("a", "stale")])
    assert stale_now(server) == ["a", "own"]
    write("1h")
    server.process.send_signal(signal.SIGHUP)
    receiver.wait([("own", "stale"), ("a", "stale"), ("a", "returned")])


def test_page():
    """docs/watchdog.md: its command and its settings, and the members of what is told"""
    need_extension()
    with open(os.path.join(HERE, "../..", "docs/watchdog.md"), encoding="utf-8") as page:
        blocks = dict(re.findall(r"^ *```(\w+)\n(.*?)^ *```$", page.read(), re.MULTILINE | re.DOTALL))
    assert set(blocks) == {"sh", "ini", "json"}, blocks
    directory = temporary_directory()
    told = os.path.join(directory, "told")
    program = script(directory, f"echo $1 $2 >>{directory}/arguments\ncat >>{told}\n")
    receiver = Receiver()
    path = os.path.join(directory, "config")
    with open(path, "w", encoding="utf-8") as file:
        file.write(blocks["ini"].replace("https://alerts.example.com/historian", receiver.url).replace("/usr/local/bin/alert", program))
    server = Server(config=path, stale_interval="100ms")
    subprocess.run(["sh", "-eu"], input=blocks["sh"].replace("127.0.0.1:8080", f"127.0.0.1:{server.port}").replace('"1m"', '"1s"'),
                   text=True, check=True, timeout=20)
    report(server, "pump7")
    receiver.wait([("pump7", "stale")])
    wait_for("the program is told", lambda: lines(told) == receiver.events)
    assert list(receiver.events[0]) == list(json.loads(blocks["json"])), receiver.events
    with open(os.path.join(directory, "arguments"), encoding="utf-8") as file:
        assert file.read() == "--to plant\n"


if __name__ == "__main__":
    run(sys.modules[__name__])
