#!/usr/bin/python3
"""What a synchronous standby costs: a single node beside a pair, in one run.  See tests/bench/ha.

Both have the settings of docs/ha.md, disks on this machine's file system and a historiand of their own.  They take turns, and
what is measured is the ratio of each round; the one that waits does nothing.
"""
import os
import re
import statistics
import subprocess
import sys

from machines import Machine, sh, wait_for
from stack import BIN, TOP, USER, Stack

ROUNDS = int(os.environ.get("ROUNDS") or 5)
MESSAGES = int(os.environ.get("MESSAGES") or 500000)
LENGTH = int(os.environ.get("SECONDS_LONG") or 20)
RATE = int(os.environ.get("RATE") or 2000)


class Side:
    def __init__(self, name, node, proxy, stack):
        self.name, self.node, self.proxy, self.stack = name, node, proxy, stack
        self.url = f"http://{proxy.address}:8080"

    def tool(self, name, *options, check=True):
        done = subprocess.run([os.path.join(TOP, "build", name), "--url", self.url, *map(str, options)],
                              capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{self.name}: {name}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def clean(self):
        self.stack.sql(self.node(), "TRUNCATE measurement")
        self.stack.sql(self.node(), "CHECKPOINT")

    def committed(self, batch, connections, messages):
        """Messages a second, as fast as they are committed."""
        self.clean()
        begin = os.times().elapsed
        self.tool("historian-producer", "--start", "-24h", "--rate", max(1, messages // 86400), "--messages", messages, "--max-rate", 0,
                  "--batch", batch, "--connections", connections, "--pipeline", 1, "--ack", "committed")
        return messages / (os.times().elapsed - begin)

    def reads(self):
        """p99 of GET and of the lag, in ms, while messages come in."""
        self.clean()
        with subprocess.Popen([os.path.join(TOP, "build/historian-producer"), "--url", self.url, "--rate", str(RATE), "--duration",
                               str(LENGTH + 15), "--ack", "committed"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as producer:
            text = self.tool("historian-client", "--duration", LENGTH, "--rate", 10, "--window-min", 1, "--window-max", 60,
                             "--max-p99-ms", 10000, "--max-lag-ms", 10000, "--probe-every", 100)
            producer.terminate()
        latency = re.search(r"latency p50 ([\d.]+) ms, p95 [\d.]+ ms, p99 ([\d.]+) ms", text)
        lag = re.search(r"lag p50 (\d+) ms, p99 (\d+) ms", text)
        assert latency and lag, text
        return float(latency[2]), float(lag[1]), float(lag[2])

    def figures(self):
        p99, lag, lag_p99 = self.reads()
        return {"messages/s committed, 16 connections, 5,000 a request": self.committed(5000, 16, MESSAGES),
                "messages/s committed, 16 connections, 100 a request": self.committed(100, 16, MESSAGES // 5),
                "messages/s committed, one client, 100 a request": self.committed(100, 1, MESSAGES // 50),
                f"GET p99 at {RATE} messages/s, ms": p99,
                f"lag p50 at {RATE} messages/s, ms": lag,
                f"lag p99 at {RATE} messages/s, ms": lag_p99}


def start_alone(stack):
    """PostgreSQL without Patroni and without a standby, with the settings of the nodes."""
    machine = Machine("alone", USER, None)
    environment = stack.node_environment(machine)
    run = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"]
    data = machine.directory + "/data"
    sh(*run, BIN + "/initdb", "-D", data, "-U", "postgres", "--data-checksums", "--encoding=UTF8", "--locale=C.UTF-8")
    with open(data + "/postgresql.conf", "a", encoding="ascii") as file:
        file.write(f"include '{stack.conf}/postgresql.conf'\nunix_socket_directories = '{machine.directory}/run'\n"
                   f"hba_file = '{stack.conf}/pg_hba.conf'\nident_file = '{stack.conf}/pg_ident.conf'\n")
    machine.start([BIN + "/postgres", "-D", data])
    ready = lambda: subprocess.run([BIN + "/pg_isready", "-q", "-h", machine.directory + "/run"], check=False).returncode == 0  # noqa: E731
    wait_for("the single node", ready, 60)
    subprocess.run([*run, stack.bin + "/setup-database"], env={**os.environ, **environment}, check=True,
                   stdout=subprocess.DEVNULL)
    return machine


def main():
    stack = Stack(2, real_disks=True)
    stack.start()
    alone = start_alone(stack)
    proxy = stack.proxies[1]
    proxy.stop()
    stack.start_proxy(proxy, [alone])
    sides = [Side("single", lambda: alone, proxy, stack), Side("pair", stack.primary, stack.proxies[0], stack)]
    for side in sides:
        wait_for("a 204 of the " + side.name, lambda s=side: "acknowledged" in s.tool(
            "historian-producer", "--messages", 1, "--ack", "committed", check=False), 30)
    rounds = []
    for number in range(ROUNDS):
        turn = {}
        for side in sides if number % 2 == 0 else sides[::-1]:
            turn[side.name] = side.figures()
        rounds.append(turn)
    print(f"{ROUNDS} rounds in turn, median; the ratio is the median of those of the rounds")
    print(f"{'':54} {'single':>10} {'pair':>10} {'pair/single':>12}   from, to")
    for what in rounds[0]["single"]:
        ours = [turn["pair"][what] for turn in rounds]
        theirs = [turn["single"][what] for turn in rounds]
        ratios = sorted(a / b if b else float("inf") for a, b in zip(ours, theirs))
        print(f"{what:54} {statistics.median(theirs):>10,.1f} {statistics.median(ours):>10,.1f} "
              f"{statistics.median(ratios):>10.2f} x   {ratios[0]:.2f}, {ratios[-1]:.2f}", flush=True)


try:
    main()
except AssertionError as error:
    print(error, file=sys.stderr)
    sys.exit(1)
