#!/usr/bin/python3
"""Dashboards, data sources and alert rules: against their schemas, and every SQL query is run.

What needs Prometheus runs where promtool is installed, and in tests/compose, which runs the PromQL
of the dashboards too.
"""
import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import jsonschema
import yaml

import dashboards

sys.path.insert(0, os.path.join(dashboards.TOP, "tests/http"))
from historiand import run, sql      # pylint: disable=wrong-import-position

HERE = os.path.dirname(os.path.abspath(__file__))
NOW = time.time_ns()
START = NOW - 3600 * 10**9


def schema(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return json.load(file)


def test_dashboards_schema():
    """each dashboard is what Grafana reads; panels have ids of their own and do not overlap"""
    assert set(dashboards.load()) == {"operations.json", "analysts.json"}
    for name, dashboard in dashboards.load().items():
        jsonschema.validate(dashboard, schema("dashboard.schema.json"))
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(ids) == len(set(ids)), name
        cells = set()
        for panel in dashboard["panels"]:
            at = panel["gridPos"]
            assert at["x"] + at["w"] <= 24, panel["title"]
            for x in range(at["x"], at["x"] + at["w"]):
                for y in range(at["y"], at["y"] + at["h"]):
                    assert (x, y) not in cells, f"{name}: {panel['title']} overlaps"
                    cells.add((x, y))


def test_schema_refuses():
    """the schema refuses a panel without query, a foreign data source, a query of the wrong kind"""
    def broken(change):
        dashboard = dashboards.load()["analysts.json"]
        change(dashboard["panels"][0])
        try:
            jsonschema.validate(dashboard, schema("dashboard.schema.json"))
        except jsonschema.ValidationError:
            return True
        return False
    assert not broken(lambda panel: None)
    assert broken(lambda panel: panel.pop("targets"))
    assert broken(lambda panel: panel["datasource"].update(uid="other"))
    assert broken(lambda panel: panel["targets"][0].pop("rawSql"))
    assert broken(lambda panel: panel.update(gridPos={"x": 0, "y": 0, "w": 30, "h": 1}))


def test_data_sources():
    """data sources: the schema, the uids that dashboards use, no password in the file"""
    path = os.path.join(dashboards.TOP, "docker/grafana/provisioning/datasources/historian.yml")
    with open(path, encoding="utf-8") as file:
        sources = yaml.safe_load(file)
    jsonschema.validate(sources, schema("datasources.schema.json"))
    uids = {(source["type"], source["uid"]) for source in sources["datasources"]}
    for dashboard in dashboards.load().values():
        for what, target in dashboards.targets(dashboard):
            assert (target["datasource"]["type"], target["datasource"]["uid"]) in uids, what


def test_sql_queries():
    """every SQL query of the dashboards returns rows, with each method and moving window"""
    sql(f"""INSERT INTO measurement SELECT {START} + i * 10000000000, tag,
        ARRAY(SELECT 20 + k + sin(i / 10.0) FROM generate_series(1, 10) k)
        FROM generate_series(0, 359) i, unnest(ARRAY['boiler', 'o''brien "2"']) tag""")
    ran = 0
    for dashboard in dashboards.load().values():
        for what, query in dashboards.variable_queries(dashboard):
            assert ["boiler"] in sql(query), what
        for what, target in dashboards.targets(dashboard):
            if "rawSql" not in target:
                continue
            for tag in ("boiler", "o'brien \"2\""):
                for method in dashboards.choices(dashboard, "method"):
                    for window in dashboards.choices(dashboard, "window"):
                        query = dashboards.sql(target["rawSql"], START, NOW, {
                            "tag": tag, "method": method, "window": window}, 10000)
                        if "method" not in target["rawSql"] and method != "last" or \
                                "window:" not in target["rawSql"] and window != "1 minute":
                            continue
                        found = sql(query)
                        assert len(found) >= (10 if "number" in query else 1), (what, query)
                        ran += 1
    assert ran > 30, ran


def test_values():
    """the analysts' series are the stored values, one series a value"""
    dashboard = dashboards.load()["analysts.json"]
    target = dashboard["panels"][0]["targets"][0]
    found = sql("SELECT metric, round(value::numeric, 6) FROM (" + dashboards.sql(
        target["rawSql"], START, START + 100 * 10**9, {"tag": "boiler", "method": "last"},
        10000) + ") q ORDER BY 1, \"time\"")
    expected = sql(f"""SELECT 'value ' || to_char(k, 'FM00'), round(values[k]::numeric, 6)
        FROM measurement, generate_series(1, 10) k WHERE tag = 'boiler'
        AND time > {START} AND time <= {START} + 100000000000 ORDER BY 1, time""")
    assert found == expected and len(found) == 100, (found, expected)


def test_queries_of_the_docs():
    """docs/clients.md: the queries for Grafana and BI tools return rows, and read only the range that is shown"""
    with open(os.path.join(dashboards.TOP, "docs/clients.md"), encoding="utf-8") as file:
        queries = re.findall(r"^```sql\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)
    queries += [f"SELECT time, value FROM measurement_view WHERE tag = 'boiler' AND {condition}"
                for condition in ("$__unixEpochNanoFilter(time_ns)", "$__timeFilter(time)")]
    end = NOW // 10**9 * 10**9
    start = end - 600 * 10**9
    assert len(queries) >= 7, queries
    for query in queries:
        query = dashboards.sql(query, start, end, {}, 10000).replace("'2026-01-01'", dashboards.iso(start)) \
            .replace("'2026-02-01'", dashboards.iso(end))
        found = sql(query)
        assert found, query
        if "measurement_view" in query:
            plan = "\n".join(line[0] for line in sql("EXPLAIN (COSTS OFF) " + query))
            conditions = re.search(r"Historian Cond: (.*)", plan)[1]
            assert f"'{start}'" in conditions and re.search(f"<= '{str(end - 1)[:-12]}", conditions), plan
            assert "Filter" not in plan and "tag =" in conditions, plan
    one = sql(dashboards.sql(queries[0], start, end, {}))
    expected = sql(f"SELECT count(*) FROM measurement WHERE tag = 'boiler' AND time BETWEEN {start} AND {end} + 999")
    assert [[str(len(one))]] == expected, (len(one), expected)
    samples = sql(dashboards.sql(queries[1], start, end, {}, 10000))
    assert len(samples) == 60, samples


def test_metrics_known():
    """alerts and dashboards name only metrics that historiand exposes"""
    text = ""
    for name in ("base/metrics.c", "database/database_metrics.c", "watch/watchdog.c"):
        with open(os.path.join(dashboards.TOP, "proxy", name), encoding="utf-8") as file:
            text += file.read()
    with open(os.path.join(dashboards.TOP, "docker/prometheus/alerts.yml"),
              encoding="utf-8") as file:
        rules = yaml.safe_load(file)["groups"][0]["rules"]
    expressions = [rule["expr"] for rule in rules]
    for dashboard in dashboards.load().values():
        expressions += [target["expr"] for _, target in dashboards.targets(dashboard)
                        if "expr" in target]
    names = set(re.findall(r"historiand?_[a-z_]+", " ".join(expressions)))
    assert len(names) > 25
    for name in names:
        base = re.sub("_(bucket|sum|count)$", "", name)
        known = re.sub("^historiand?_", "", base)
        assert any(quoted in text for quoted in (f'"{known}"', f"'{known}'", f'"{base}"', f"'{base}'")), name


def test_alerts():
    """promtool: configuration and rules are valid, each alert fires for its cause only"""
    if not shutil.which("promtool"):
        print("# no promtool here (Debian: prometheus); make test-compose runs this")
        return
    docker = os.path.join(dashboards.TOP, "docker/prometheus")
    work = tempfile.mkdtemp(prefix="monitoring-")
    atexit.register(shutil.rmtree, work)
    shutil.copy(docker + "/alerts.yml", work)
    with open(docker + "/prometheus.yml", encoding="utf-8") as file:
        text = file.read()
    # it must be there to be checked; in the containers it is a secret
    credentials = re.search(r"credentials_file: (\S+)}", text).group(1)
    assert credentials.startswith("/run/secrets/prometheus/"), credentials
    with open(work + "/prometheus.yml", "w", encoding="utf-8") as file:
        file.write(text.replace(credentials, os.devnull))
    for command in (["check", "config", work + "/prometheus.yml"],
                    ["check", "rules", docker + "/alerts.yml"],
                    ["test", "rules", os.path.join(HERE, "alerts_test.yml")]):
        done = subprocess.run(["promtool", *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


run(sys.modules[__name__])
