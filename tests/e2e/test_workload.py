"""Producer and client against the real server: nothing lost, no value wrong.

Limits of time are wide here, since a test machine may be busy; "make demo" has the real ones.
"""
import os
import subprocess

import e2e
from e2e import ok

BUILD = os.path.join(e2e.ROOT, "build")


def client(run, *options, **arguments):
    return subprocess.run([BUILD + "/historian-client", "--url", "http://127.0.0.1:%d" % run.port,
                           "--max-p99-ms", "5000", "--max-lag-ms", "5000", *options],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **arguments)


with e2e.Run() as run:
    producer = subprocess.Popen([BUILD + "/historian-producer", "--url",
                                 "http://127.0.0.1:%d" % run.port, "--rate", "2000", "--start", "-30",
                                 "--peak-rate", "20000", "--peak-every", "5", "--duration", "40"],
                                stdout=subprocess.PIPE, text=True)
    result = client(run, "--duration", "5", "--window-min", "1", "--window-max", "60")
    ok(result.returncode == 0, "live: every value of every answer is right", result.stdout)
    output = producer.communicate()[0]
    ok(producer.returncode == 0, "every message is acknowledged", output)
    totals = run.psql("COPY (SELECT tag, count(*), min(time), max(time) FROM measurement "
                      "GROUP BY tag) TO STDOUT")
    result = client(run, "--totals", input=totals.decode())
    ok(result.returncode == 0, "every tag has its messages", result.stdout)
    result = client(run, "--finished", "--duration", "3", "--window-min", "1", "--window-max", "60")
    ok(result.returncode == 0, "afterwards: every value of every answer is right", result.stdout)
e2e.done()
