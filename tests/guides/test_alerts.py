"""docs/monitoring.md: Debian's Prometheus with the page's settings scrapes historiand and knows the rules; an alert is
pending once historiand is away."""
import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request

import guide
from guide import ok, same, skip

sys.path.insert(0, os.path.join(guide.ROOT, "tests/e2e"))
import e2e      # pylint: disable=wrong-import-position


def checking():
    with open(os.path.join(guide.ROOT, "docs/monitoring.md"), encoding="utf-8") as file:
        return re.search(r"^ +(promtool .*)$", file.read(), re.MULTILINE)[1]


def main():
    if shutil.which("prometheus") is None:
        skip("Prometheus with the page's settings", "prometheus is missing")
        guide.done()
    place = guide.Place("guide_alerts", metrics_interval="1s")
    with open(os.path.join(guide.ROOT, "docs/monitoring.md"), encoding="utf-8") as file:
        settings = re.search(r"^   ```yaml\n(.*?)^   ```$", file.read(), re.MULTILINE | re.DOTALL)[1]
    settings = re.sub("^   ", "", settings, flags=re.MULTILINE)
    with open(place.folder + "/prometheus.yml", "w", encoding="utf-8") as file:
        file.write("global: {scrape_interval: 1s, evaluation_interval: 1s}\n" + place.here(settings))
    shutil.copy(os.path.join(guide.ROOT, "docker/prometheus/alerts.yml"), place.folder + "/historian.yml")
    ok("SUCCESS: 1 rule files found" in place.run(["sh", "-euc", checking().replace("/etc/prometheus", place.folder)], ""), "the page's promtool finds no fault")
    address = f"127.0.0.1:{e2e.free_port()}"
    process = subprocess.Popen(["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address={address}"],
                               cwd=place.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    atexit.register(lambda: (process.kill(), process.wait()))

    def ask(path):
        try:
            with urllib.request.urlopen(f"http://{address}/api/v1/{path}") as answer:
                return json.load(answer)["data"]
        except OSError:
            assert process.poll() is None, "prometheus ended"
            return None

    def value(metric):
        data = ask("query?query=" + metric)
        return data and [result["value"][1] for result in data["result"]]

    same(guide.wait_for("a scrape", lambda: value("historiand_database_connected"), 60), ["1"], "historiand is scraped")
    same(guide.wait_for("PostgreSQL's metrics", lambda: value("historian_compaction_enabled"), 60), ["1"], "and what PostgreSQL says")
    rules = {rule["name"] for group in ask("rules")["groups"] for rule in group["rules"]}
    with open(os.path.join(guide.ROOT, "docs/monitoring.md"), encoding="utf-8") as file:
        described = set(re.findall(r"^\| `(\w+)` \|", file.read(), re.MULTILINE))
    same(rules, described, "the page describes each alert")
    # a scrape of a busy machine may take longer than the second that it has
    ok(guide.wait_for("no alert", lambda: ask("alerts")["alerts"] == [], 60), "nothing is wrong at first")
    place.server.kill()
    away = guide.wait_for("an alert", lambda: [alert for alert in ask("alerts")["alerts"]
                                               if alert["labels"]["alertname"] == "HistoriandAway"], 60)
    ok(away[0]["state"] in ("pending", "firing"), "historiand is away: HistoriandAway", away)
    guide.done()


main()
