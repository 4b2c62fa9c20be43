"""dashboards.py: the queries of Grafana's dashboards, with the macros put in as Grafana does."""
import datetime
import glob
import json
import os
import re

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
DIRECTORY = os.path.join(TOP, "docker/grafana/dashboards")


def load():
    """{file name: dashboard}"""
    result = {}
    for path in sorted(glob.glob(DIRECTORY + "/*.json")):
        with open(path, encoding="utf-8") as file:
            result[os.path.basename(path)] = json.load(file)
    return result


def targets(dashboard):
    """(what it is, target) of each query of the panels."""
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield f"{dashboard['title']}, {panel['title']}, {target['refId']}", target


def variable_queries(dashboard):
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield f"{dashboard['title']}, variable {variable['name']}", variable["query"]


def choices(dashboard, name):
    """The values of a variable with a fixed list."""
    for variable in dashboard["templating"]["list"]:
        if variable["name"] == name:
            return [option["value"] for option in variable["options"]]
    raise KeyError(name)


def iso(time_ns):
    return datetime.datetime.fromtimestamp(time_ns // 10**9, datetime.timezone.utc).strftime("'%Y-%m-%dT%H:%M:%SZ'")


def sql(text, start_ns, end_ns, variables, interval_ms=1000):
    """Fails where something is left that Grafana would have put in."""
    start, end = iso(start_ns), iso(end_ns)
    macros = {"$__unixEpochNanoFrom()": str(start_ns), "$__unixEpochNanoTo()": str(end_ns),
              "$__timeFrom()": start, "$__timeTo()": end,
              "$__interval_ms": str(interval_ms), "$__interval": f"{interval_ms}ms"}
    for macro, value in macros.items():
        text = text.replace(macro, value)
    text = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 BETWEEN {start} AND {end}", text)
    text = re.sub(r"\$__unixEpochNanoFilter\((\w+)\)", rf"\1 >= {start_ns} AND \1 <= {end_ns}", text)
    text = re.sub(r"\$__timeGroupAlias\((\w+), '(\d+)m'\)",
                  lambda group: "floor(extract(epoch from {0})/{1})*{1} AS \"time\"".format(group[1], int(group[2]) * 60), text)
    for name, value in variables.items():
        quoted = "'" + value.replace("'", "''") + "'"
        text = text.replace("${" + name + ":sqlstring}", quoted)
    assert not re.search(r"\$\{|\$_|\$[a-z]", text), f"a macro is left: {text}"
    return text


def promql(text, rate_interval="1m"):
    text = text.replace("$__rate_interval", rate_interval)
    assert "$" not in text, f"a macro is left: {text}"
    return text
