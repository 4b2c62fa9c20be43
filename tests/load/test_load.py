"""Does historian-producer lose nothing, and does historian-client notice everything?

Both run against an in-memory server that is right, or wrong in one way each time.
"""
import concurrent.futures
import gzip
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

import fake_historiand

BUILD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build")
PRODUCER = os.path.join(BUILD, "historian-producer")
CLIENT = os.path.join(BUILD, "historian-client")
FLOOD = os.path.join(BUILD, "historian-flood")

count = 0
failed = 0


def ok(right, name, detail=""):
    global count, failed
    count += 1
    print("%sok %d - %s" % ("" if right else "not ", count, name))
    if not right:
        failed += 1
        for line in str(detail).splitlines():
            print("# " + line)
    sys.stdout.flush()


def produce(server, *options):
    return subprocess.run([PRODUCER, "--url", server.url, *options], capture_output=True,
                          text=True, timeout=60)


def read(server, *options):
    return subprocess.run([CLIENT, "--url", server.url, "--duration", "2", "--wait", "3",
                           "--samples", "50", *options],
                          capture_output=True, text=True, timeout=60, input=server.store.totals())


SKEWED = ("--rate", "1000", "--tags", "50")
PLANT = ("--workload", "plant", "--tags", "500")


def live(*options, workload=SKEWED, **arguments):
    """The client beside a running producer; returns its result and the server."""
    server = fake_historiand.start(**arguments)
    with subprocess.Popen([PRODUCER, "--url", server.url, "--start", "-10", *workload],
                          stdout=subprocess.PIPE, text=True) as producer:
        result = read(server, "--tags-top", "20", "--readers", "5", "--rate", "4", *options)
        producer.terminate()
        server.producer_output = producer.communicate()[0]
        server.producer_status = producer.returncode
    return result, server


def test_right():
    # 40 requests: the slowest one is the p99, and is this busy machine's, not the client's
    result, server = live("--max-p99-ms", "1000")
    ok(result.returncode == 0, "the client is content with a right server",
       result.stdout + result.stderr)
    ok(" 0 wrong" in result.stdout and "lag p50 2" in result.stdout,
       "it measures the server's delay of 200 ms as the lag", result.stdout)
    ok(server.producer_status == 0, "SIGTERM ends the producer with 0", server.producer_output)
    result = read(server, "--totals")
    ok(result.returncode == 0, "and the totals agree", result.stdout + result.stderr)
    result = read(server, "--finished")
    ok(result.returncode == 0, "also when it has ended", result.stdout + result.stderr)
    result = read(server)
    ok(result.returncode == 1 and "waits up to 3 s" in result.stderr and "waited 3 s for a running producer; with --finished" in result.stderr,
       "a client that waits for one that has ended says so, and the option that it lacks", result.stderr)

    # A second workload over the first: what was there before is known.
    produce(server, "--rate", "500", "--duration", "1", "--seed", "2", "--tags", "50")
    result = read(server, "--finished", "--window-min", "1", "--window-max", "2")
    ok(result.returncode == 0, "a second workload over the first is checked", result.stderr)


FAULTS = {
    "stale": "waited 3 s for the producer's latest",
    "wrong": "wrong: tag",
    "time": "wrong: tag",
    "slow": "FAILED",
    "lost": "wrong: tag",
    "unknown": "error: GET /api: 404",
}


def test_faults():
    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = {fault: pool.submit(live, fault=fault) for fault in FAULTS}
        late = pool.submit(live, delay=2.5)
    for fault, message in FAULTS.items():
        result, server = runs[fault].result()
        ok(result.returncode == 1 and message in result.stdout + result.stderr,
           "fault '%s' is noticed" % fault, result.stdout + result.stderr)
        if fault == "lost":
            result = read(server, "--totals")
            ok(result.returncode == 1, "the totals are wrong too", result.stdout)
    result, _ = late.result()
    ok(result.returncode == 1, "a lag of 2.5 s is noticed", result.stdout + result.stderr)


def test_plant():
    for phase in "spread", "at-once":
        result, server = live("--max-p99-ms", "1000", workload=(*PLANT, "--phase", phase))
        ok(result.returncode == 0, "%s: the client is content with a plant" % phase,
           result.stdout + result.stderr)
        result = read(server, "--totals")
        ok(result.returncode == 0 and " 0 tags wrong" in result.stdout, "and the totals agree",
           result.stdout + result.stderr)
        tag = next(tag for tag in server.store.tags if fake_historiand.is_of_workload(tag))
        del server.store.tags[tag][3]
        result = read(server, "--totals")
        ok(result.returncode == 1 and "wrong: %s has" % tag in result.stderr,
           "one lost message of one tag is noticed", result.stdout + result.stderr)
    for fault in "wrong", "lost":
        result, _ = live(workload=PLANT, fault=fault)
        ok(result.returncode == 1 and "wrong: tag" in result.stderr,
           "fault '%s' is noticed in a plant" % fault, result.stdout + result.stderr)
    server = fake_historiand.start()
    result = produce(server, "--workload", "plant", "--rate", "500", "--phase", "at-once",
                     "--start", "1700000000000000000", "--messages", "1500", "--batch", "70")
    found = {tag: [(row[0], len(row[2])) for row in rows] for tag, rows in server.store.tags.items()
             if fake_historiand.is_of_workload(tag)}
    times = [(1700000000000000000 + i * 1000000000, 1) for i in range(3)]
    ok(result.returncode == 0 and len(found) == 500 and all(rows == times for rows in found.values()),
       "at once: one value of each of 500 tags each second", result.stdout)
    for options in (["--phase", "at-once"], [*PLANT, "--rate", "10"]):
        result = produce(server, *options)
        ok(result.returncode == 2, "refused: " + " ".join(options), result.stderr)


def test_busy():
    for ack in "received", "committed":
        server = fake_historiand.start(fault="busy")
        result = produce(server, "--rate", "10000", "--duration", "1", "--batch", "100", "--ack", ack)
        ok(result.returncode == 0 and "10000 acknowledged" in result.stdout,
           "%s: 503 and lost connections delay but lose nothing" % ack, result.stdout)
        stored = sum(len(rows) for tag, rows in server.store.tags.items() if tag[0] == "t")
        ok(stored == 10000, "%s: 10,000 messages, once each" % ack, stored)


def test_sequence():
    first, second = fake_historiand.start(), fake_historiand.start()
    options = ["--start", "1700000000000000000", "--rate", "1000", "--seed", "9", "--messages", "3000"]
    produce(first, *options, "--batch", "1")
    produce(second, *options, "--batch", "1000", "--max-rate", "0")
    strip = lambda server: {tag: [(row[0], row[2]) for row in rows]
                            for tag, rows in server.store.tags.items() if tag[0] == "t"}
    ok(strip(first) == strip(second), "the same seed gives the same messages, singly or in batches")
    times = sorted(row[0] for tag, rows in first.store.tags.items() if tag[0] == "t" for row in rows)
    ok(times == [1700000000000000000 + i * 1000000 for i in range(3000)], "one each millisecond")


def test_file():
    server = fake_historiand.start()
    of_ms = fake_historiand.start()
    with tempfile.NamedTemporaryFile(suffix=".gz") as file:
        lines = [json.dumps({"time": i, "tag": "a" * 20, "values": [i / 7] * (i % 900)})
                 for i in range(1000)]
        file.write(gzip.compress("\n".join(lines).encode()))
        file.flush()
        result = produce(server, "--file", file.name, "--batch", "99")
        produce(of_ms, "--file", file.name, "--precision", "ms", "--ack", "committed")
    rows = server.store.tags.get("a" * 20, [])
    # several connections: batches may overtake each other
    ok(sorted((row[0], row[2]) for row in rows) == [(i, [i / 7] * (i % 900)) for i in range(1000)],
       "a gzip file with long lines and no last line feed is replayed", result.stdout)
    ok([row[0] for row in of_ms.store.tags.get("a" * 20, [])] == [i * 10 ** 6 for i in range(1000)],
       "--precision names the unit of its times", of_ms.store.tags.keys())
    for options in (["--precision", "ms"], ["--file", "x", "--precision", "m"]):
        result = produce(server, *options)
        ok(result.returncode == 2 and "precision" in result.stderr, "refused: " + " ".join(options), result.stderr)


def flood(server, *options):
    return subprocess.run([FLOOD, "--url", server.url, "--start", "1700000000000000000",
                           "--messages", "3000", "--distinct", "500", *options],
                          capture_output=True, text=True, timeout=60)


def test_flood():
    stored = []
    for options in (["--connections", "2", "--depth", "4"],
                    ["--connections", "3", "--format", "ndjson", "--batch", "100"]):
        server = fake_historiand.start()
        result = flood(server, *options)
        ok(result.returncode == 0 and result.stdout.startswith("accepted=3000 sent=3000 refused=0 "),
           "flood counts what was accepted: " + " ".join(options), result.stdout + result.stderr)
        times = sorted(row[0] for rows in server.store.tags.values() for row in rows)
        ok(times == [1700000000000000000 + i * 100000 for i in range(3000)],
           "each message has a time of its own, though the requests repeat", times[:3])
        stored.append(sorted((row[0], tag, row[2]) for tag, rows in server.store.tags.items()
                             for row in rows)[:500])
    ok(stored[0] == stored[1], "the messages are the same, singly or in batches")
    result = flood(fake_historiand.start(fault="busy"), "--connections", "1", "--messages", "4")
    ok(result.returncode == 1 and "refused=1 " in result.stdout, "a refusal is counted",
       result.stdout)


def test_wrong_port():
    """A port at which nothing listens is named, with the reason; -h and --version end at once."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))       # nobody else gets it, and it does not listen
        port = unused.getsockname()[1]
        for program in PRODUCER, CLIENT:
            began = time.monotonic()
            ended = subprocess.run([program, "--url", "http://127.0.0.1:%d" % port, "--duration", "1h"],
                                   capture_output=True, text=True, check=False, timeout=30)
            ok("127.0.0.1:%d: connection refused" % port in ended.stderr, "a wrong port is told", ended.stderr)
            ok(ended.returncode == 1 and "tried again" not in ended.stderr and time.monotonic() - began < 5,
               "and ends it at once", ended)
            began = time.monotonic()
            ended = subprocess.run([program, "--url", "http://127.0.0.1:%d" % port, "--duration", "1h", "--wait", "2"],
                                   capture_output=True, text=True, check=False, timeout=30)
            ok(ended.returncode == 1 and "refused; it is tried again" in ended.stderr and
               2 <= time.monotonic() - began < 15, "with --wait 2 after two seconds", ended)
            for wrong in port + 65536, 0, "x", "":      # the first is the same port in 16 bits
                ended = subprocess.run([program, "--url", "http://127.0.0.1:%s" % wrong, "--duration", "1h"],
                                       capture_output=True, text=True, check=False, timeout=10)
                ok(ended.returncode == 2 and "port is not a number from 1 to 65535" in ended.stderr,
                   "the port \"%s\" ends it at once" % wrong, ended.stderr)
    with open(os.path.join(BUILD, "../META.json"), encoding="utf-8") as meta:
        version = json.load(meta)["version"]
    for program in PRODUCER, CLIENT:
        shown = [subprocess.run([program, flag], capture_output=True, text=True, check=True).stdout
                 for flag in ("-h", "--help", "--version")]
        ok(shown[0] == shown[1] and shown[0].startswith("historian-"), "-h is --help", shown[0][:60])
        ok(shown[2] == "%s %s\n" % (os.path.basename(program), version), "--version", shown[2])


def test_late_server():
    """With --wait a server may come later; one that goes away is waited for while the run lasts, and a little longer."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    url = "http://127.0.0.1:%d" % port
    with subprocess.Popen([PRODUCER, "--url", url, "--wait", "60", "--duration", "2", "--rate", "500", "--tags", "20"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        line = running.stderr.readline()
        ok("it is tried again" in line, "it waits for the server", line)
        server = fake_historiand.start(port=port)
        output = running.communicate(timeout=60)
    ok(running.returncode == 0 and "1000 acknowledged" in output[0], "which then gets all", output)

    command = [PRODUCER, "--url", url, "--rate", "500", "--tags", "20", "--wait", "3"]
    with subprocess.Popen([*command, "--duration", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        wait_for_messages(server, 1100)
        server.vanish()
        began = time.monotonic()
        output = running.communicate(timeout=60)
    ok(running.returncode == 1 and "it is tried again" in output[1] and "it gives up" in output[1] and
       time.monotonic() - began > 2.5, "a server that does not come back is given up after --wait", output)
    ok("acknowledged" in output[0], "with the report", output)

    server = fake_historiand.start(port=port)
    with subprocess.Popen([*command[:-2], "--duration", "6"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        wait_for_messages(server, 100)
        store = server.store
        server.vanish()
        line = running.stderr.readline()
        ok("it is tried again" in line, "a loss in a run is told", line)
        fake_historiand.start(port=port).store = store
        output = running.communicate(timeout=60)
    stored = sum(len(rows) for tag, rows in store.tags.items() if tag[0] == "t")
    ok(running.returncode == 0 and " 3000 acknowledged" in output[0] and stored == 3000, "and loses nothing", (output, stored))

    server = fake_historiand.start(fault="forbidden")
    began = time.monotonic()
    ended = read(server, "--wait", "50")
    ok(ended.returncode == 1 and "with 401: no token" in ended.stderr and time.monotonic() - began < 20,
       "the client does not wait where the server refuses it", ended)


def wait_for_messages(server, messages):
    end = time.monotonic() + 30
    while server.store.messages < messages and time.monotonic() < end:
        time.sleep(0.01)


test_right()
test_faults()
test_plant()
test_busy()
test_sequence()
test_file()
test_flood()
test_wrong_port()
test_late_server()
print("1..%d" % count)
sys.exit(failed > 0)
