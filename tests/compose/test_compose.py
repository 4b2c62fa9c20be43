#!/usr/bin/python3
"""docker-compose.yml: the first result, the load, the monitoring, crashes, a standby promoted.

The tests build on each other and go through one project from its first start to its end.
"""
import json
import os
import sys
import threading
import time
import urllib.parse

from stack import PROJECT, TOP, Stack, run, wait_for

sys.path.insert(0, os.path.join(TOP, "tests/monitoring"))
import dashboards       # pylint: disable=wrong-import-position

SECONDS = int(os.environ.get("SECONDS_LONG", "15"))
# A short run is for a test machine that may be busy; the long one has the real limits.
LIMITS = [] if SECONDS >= 60 else ["--max-p99-ms", "5000", "--max-lag-ms", "5000"]
stack = Stack(WATCH_TAGS="boiler", ALLOWED_HOSTS="historian.example.com",
              PRODUCER_DURATION=str(SECONDS + 5), COMPOSE_PARALLEL_LIMIT="1")


def line(time_ns, tag, values):
    return json.dumps({"time": time_ns, "tag": tag, "values": values}).encode() + b"\n"


def last_value(tag):
    answer = stack.request(f"/api?tag={tag}&start=0&end={time.time_ns()}&samples=1")
    return answer.json()["samples"][0]["values"] if answer.status == 200 else answer


def test_first_result():
    """up -d --build, a POST, a GET"""
    stack.compose("up", "-d", "--build", profile=None, seconds=900)
    # "up -d" returns when the last container has started, not when its program listens
    stack.ready()
    answer = stack.request("/save", line(time.time_ns(), "boiler", [71.3, 1.02]))
    assert answer.status == 202, answer
    wait_for("the message", lambda: last_value("boiler") == [71.3, 1.02], 10)
    running = set(stack.compose("ps", "--services", "--status", "running").stdout.split())
    assert running == {"postgres", "historiand"}, running


def test_command():
    """the command historian is in the container of PostgreSQL, and finds nothing wrong"""
    assert "boiler" in stack.compose("exec", "-T", "postgres", "historian", "tags", "--format", "plain").stdout.split()
    stack.compose("exec", "-T", "postgres", "historian", "doctor", "--min-free", "0")


def test_names():
    """browsers may use the address, the service's name and ALLOWED_HOSTS, and no other name"""
    def status(host, **headers):
        return stack.request("/readyz", headers={"Host": host, **headers}).status
    browser = {"User-Agent": "Mozilla/5.0", "Accept-Language": "en"}
    for host in (f"127.0.0.1:{stack.port}", f"localhost:{stack.port}", "historiand:8080",
                 "historian.example.com"):
        assert status(host, **browser) == 200, host
    assert status("other.example.com", **browser) == 403
    assert status("other.example.com") == 200, "programs use any name"


def test_hardened():
    """no service runs as root, none can write to its root file system"""
    for service in ("postgres", "historiand"):
        assert stack.compose("exec", "-T", service, "id", "-u").stdout.strip() != "0"
        done = stack.compose("exec", "-T", service, "touch", "/etc/x", check=False)
        assert done.returncode != 0 and "Read-only" in done.stderr, done
    tokens = stack.compose("exec", "-T", "historiand", "cat", "/run/secrets/historiand/tokens").stdout
    assert [entry.split()[:2] for entry in tokens.splitlines()] == [["admin", "admin"], ["load", "read,write"], ["prometheus", "read"]]
    assert "hst_" not in tokens, "hashes only"
    secrets = stack.compose("exec", "-T", "historiand", "sh", "-c",
                            "cat $(ls -d /run/secrets/*/* | grep -v historiand/tokens)", check=False)
    password = secrets.stdout.strip()
    assert len(password) > 20 and len(password.splitlines()) == 1, "only its own password"
    assert secrets.stderr.count("Permission denied") == 2 + 3 + 2, secrets.stderr
    environment = stack.compose("exec", "-T", "historiand", "env").stdout
    assert password not in environment


def test_tokens():
    """with BIND_ADDRESS others need the token that was shown once; without it this machine needs none"""
    shown = [entry.split()[-1] for entry in stack.compose("logs", "--no-log-prefix", "secrets").stdout.splitlines()
             if "hst_" in entry]
    assert len(shown) == 1, shown
    bearer = {"Authorization": "Bearer " + shown[0]}
    stack.compose("build", "client", seconds=900)
    assert stack.request("/tags", headers={}).status == 200
    given = stack.environment
    stack.environment = {**given, "BIND_ADDRESS": "127.0.0.1"}
    stack.compose("up", "-d", profile=None)
    stack.ready()
    try:
        assert stack.request("/tags", headers={}).status == 401
        assert stack.request("/save", line(time.time_ns(), "boiler", [71.3, 1.02])).status == 401
        assert stack.request("/tags", headers=bearer).status == 200
        assert stack.request("/save", line(time.time_ns(), "boiler", [71.3, 1.02]), headers=bearer).status == 202
        stack.compose("run", "--rm", "-T", "--no-deps", "producer", "--messages", "1000", "--tags", "10")
        # docs/containers.md
        made = stack.compose("run", "--rm", "-T", "--no-deps", "-u", "998:998", "-v", f"{PROJECT}_secrets:/tokens", "--entrypoint", "historian",
                             "client", "token", "new", "--file", "/tokens/historiand/tokens", "--name", "telegraf", "--scope", "write")
        assert "hst_" in made.stdout, made
        stack.compose("kill", "-s", "HUP", "historiand")
        telegraf = {"Authorization": "Bearer " + made.stdout.split()[-1]}
        wait_for("the token", lambda: stack.request("/save", line(1, "boiler", [1]), headers=telegraf).status == 202, 20)
        assert stack.request("/tags", headers=telegraf).status == 403
    finally:
        stack.environment = given
        stack.compose("up", "-d", profile=None)
        stack.ready()
    assert stack.request("/tags", headers={}).status == 200
    again = stack.compose("logs", "--no-log-prefix", "secrets").stdout
    assert again.count("hst_") <= 1, "it is shown once"
    # the client's report counts the rows of its tags, which the producer has used here
    stack.sql("DELETE FROM measurement WHERE tag <> 'boiler'")


def test_monitoring_starts():
    """Prometheus of the profile monitoring takes its configuration, and every alert is tested"""
    stack.compose("build", "prometheus", seconds=600)
    stack.compose("up", "-d", "--no-deps", "prometheus")
    for command in (["check", "config", "/etc/prometheus/prometheus.yml"],
                    ["check", "rules", "/etc/prometheus/alerts.yml"],
                    ["test", "rules", "/w/tests/monitoring/alerts_test.yml"]):
        stack.compose("run", "--rm", "-T", "--no-deps", "-v", f"{os.path.realpath(TOP)}:/w:ro",
                      "--entrypoint", "promtool", "prometheus", *command)


def test_client_report():
    """the client's report at 10,000 messages/s: no value wrong, no limit exceeded, nothing lost"""
    done = stack.compose("run", "--rm", "-T", "client", "--duration", str(SECONDS), *LIMITS)
    print("".join("# " + text + "\n" for text in done.stdout.splitlines() if "client:" in text),
          end="")
    # not every engine passes the exit code on
    assert " 0 wrong" in done.stdout and " 0 errors" in done.stdout, done.stdout
    assert "client: FAILED" not in done.stdout, done.stdout
    wait_for("the producer's end", lambda: stack.state("producer", "Running") == "false")
    assert stack.state("producer", "ExitCode") == "0"
    totals = stack.compose("exec", "-T", "postgres", "totals").stdout
    done = stack.compose("run", "--rm", "-T", "--no-deps", "client", "--totals", stdin=totals)
    print("# " + done.stdout.strip())
    assert f"{10000 * (SECONDS + 5)} messages sent, {10000 * (SECONDS + 5)} stored" in done.stdout
    assert " 0 tags wrong" in done.stdout and "FAILED" not in done.stdout, done.stdout


def test_dashboard_sql():
    """every SQL query of the dashboards returns rows to the analyst, who cannot write"""
    end = time.time_ns()
    variables = {"tag": "t00000", "method": "time_average", "window": "10 seconds"}
    tag, = [row[0] for row in stack.sql("SELECT tag FROM historian.tags('measurement') "
                                        "ORDER BY samples DESC LIMIT 1")]
    variables["tag"] = tag
    for dashboard in dashboards.load().values():
        for what, query in dashboards.variable_queries(dashboard):
            assert stack.sql(query, role="analyst"), what
        for what, target in dashboards.targets(dashboard):
            if "rawSql" in target:
                query = dashboards.sql(target["rawSql"], end - 3600 * 10**9, end, variables)
                assert stack.sql(query, role="analyst"), (what, query)
    assert stack.sql("SELECT time, tag, value FROM measurement_view WHERE time > now() - interval '1 hour' LIMIT 1", role="analyst")
    done = stack.compose("exec", "-T", "postgres", "psql", "-U", "analyst", "-c",
                         "INSERT INTO measurement VALUES (1, 'x', '{1}')", check=False)
    assert done.returncode != 0


def test_down_and_up():
    """down and up again keep the data"""
    before = stack.sql("SELECT count(*), max(time) FROM measurement WHERE tag <> 'x'")
    stack.compose("stop", "historiand", "postgres")
    assert stack.state("historiand", "ExitCode") == "0"
    assert stack.state("postgres", "ExitCode") == "0"
    stack.compose("down")
    stack.compose("up", "-d", profile=None)
    stack.ready()
    assert stack.sql("SELECT count(*), max(time) FROM measurement WHERE tag <> 'x'") == before
    assert last_value("boiler") == [71.3, 1.02]


def test_drained():
    """stopped, historiand loads what it has acknowledged with 202, and ends within 10 s"""
    assert stack.request("/save", line(time.time_ns(), "drained", [1])).status == 202
    begin = time.monotonic()
    stack.compose("stop", "historiand")
    assert time.monotonic() - begin < 12 and stack.state("historiand", "ExitCode") == "0"
    assert stack.sql("SELECT count(*) FROM measurement WHERE tag = 'drained'") == [["1"]]
    stack.compose("start", "historiand")
    stack.ready()


def test_crashes():
    """historiand or postgres killed: both come back unaided, what got 204 is there"""
    for number, service in enumerate(("historiand", "postgres", "historiand", "postgres")):
        now = time.time_ns()
        assert stack.request("/save?ack=committed", line(now, "crash", [number])).status == 204
        pid = stack.state(service, "Pid")
        stack.murder(service)
        wait_for("the restart", lambda: stack.state(service, "Pid") not in ("0", pid))
        stack.ready()
        wait_for("the value", lambda: last_value("crash") == [number], 20)


class Load(threading.Thread):
    """Posts with ack=committed, a hundred messages at a time, and notes what got 204."""

    def __init__(self, tag):
        super().__init__(daemon=True)
        self.tag = tag
        self.acknowledged = []      # first times of batches
        self.late = 0               # of them since marked
        self.marked = self.stopping = False
        self.wrong = None

    def run(self):
        first = 0
        while not self.stopping:
            body = b"".join(line(first + i, self.tag, [first + i]) for i in range(100))
            answer = stack.request("/save?ack=committed", body)
            if answer.status == 204:
                self.acknowledged.append(first)
                self.late += self.marked
                first += 100
            elif answer.status in (0, 503):
                time.sleep(0.1)     # and the same again
            else:
                self.wrong = answer
                return


def synchronous(service):
    rows = stack.sql("SELECT application_name FROM pg_stat_replication WHERE sync_state = 'sync'",
                     service, check=False)
    return [row[0] for row in rows]


def test_standby():
    """the profile standby: a second server that every commit waits for"""
    stack.compose("up", "-d", profile="standby")
    wait_for("the synchronous standby", lambda: synchronous("postgres") == ["standby"])
    assert stack.request("/save?ack=committed", line(5, "both", [5])).status == 204
    assert stack.sql("SELECT values FROM measurement WHERE tag = 'both'", "standby") == [["{5}"]]
    stack.compose("up", "-d", "--no-deps", "prometheus")


def test_dashboard_promql():
    """every PromQL query of the dashboards returns rows, from a Prometheus that scraped"""
    def ask(query):
        path = "/api/v1/query?" + urllib.parse.urlencode({"query": query})
        answer = stack.request(path, port=stack.prometheus_port)
        return answer.json()["data"]["result"] if answer.status == 200 else []
    wait_for("the standby's lag", lambda: ask("historian_standby_lag_bytes"), 90)
    wait_for("rates", lambda: ask("rate(historian_compaction_merges_total[1m])"), 60)
    assert stack.request("/save?ack=committed", line(time.time_ns(), "a", [1])).status == 204
    for dashboard in dashboards.load().values():
        for what, target in dashboards.targets(dashboard):
            if "expr" in target:
                query = dashboards.promql(target["expr"], "2m")
                wait_for(f"{what}: {query}", lambda q=query: ask(q), 45)
    text = stack.request("/metrics").body.decode()
    done = stack.compose("run", "--rm", "-T", "--no-deps", "--entrypoint", "promtool",
                         "prometheus", "check", "metrics", stdin=text)
    assert not done.stdout.strip(), done.stdout


def test_promotion():
    """primary killed under load, standby promoted: nothing that got 204 is lost, writes go on"""
    loads = [Load(f"load{i}") for i in range(4)]
    for load in loads:
        load.start()
    wait_for("some load", lambda: all(len(load.acknowledged) > 5 for load in loads))
    stack.compose("kill", "-s", "SIGKILL", "postgres")
    stack.compose("stop", "postgres")       # or else some engines start it again
    wait_for("reads from the standby", lambda: last_value("boiler") == [71.3, 1.02], 20)
    assert stack.request("/readyz").status == 503
    print("# " + stack.compose("exec", "-T", "standby", "promote").stdout.strip())
    for load in loads:
        load.marked = True
    wait_for("commits on the new primary", lambda: all(load.late > 5 for load in loads), 60)
    for load in loads:
        load.stopping = True
    acknowledged = 0
    for load in loads:
        load.join()
        assert load.wrong is None, load.wrong
        stored = {int(row[0]) for row in stack.sql(
            f"SELECT time FROM measurement WHERE tag = '{load.tag}' AND values = ARRAY[time]::float8[]",
            "standby")}
        lost = [first + i for first in load.acknowledged for i in range(100)
                if first + i not in stored]
        assert not lost, f"{load.tag}: {len(lost)} acknowledged messages are lost: {lost[:5]}"
        acknowledged += 100 * len(load.acknowledged)
    print(f"# {acknowledged} messages got 204, all are there")


def test_old_primary():
    """the old primary is not served beside the new one; with a new volume it is its standby"""
    stack.compose("start", "postgres", check=False)
    wait_for("the refusal", lambda: "was promoted and takes writes" in stack.compose(
        "logs", "postgres").stdout)
    assert stack.request("/save?ack=committed", line(6, "both", [6])).status == 204
    stack.compose("rm", "-s", "-f", "postgres")
    stack.engine("volume", "rm", f"{PROJECT}_postgres")
    stack.compose("up", "-d", "--no-deps", "postgres")
    wait_for("the synchronous standby", lambda: synchronous("standby") == ["postgres"])
    assert stack.request("/save?ack=committed", line(7, "both", [7])).status == 204
    assert stack.sql("SELECT count(*) FROM measurement WHERE tag = 'both'") == [["3"]]


run(sys.modules[__name__])
