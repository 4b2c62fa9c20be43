"""A bad request leaves no trace, and the requests around it are untouched."""
import json

import e2e
from e2e import ok, same

GOOD = [{"time": i, "tag": "good", "values": [i, i / 10]} for i in range(6)]


def ndjson(messages):
    return "\n".join(message if isinstance(message, str) else json.dumps(message)
                     for message in messages).encode()


with e2e.Run() as run:
    connection = run.connection()
    bad = [
        ("values", '{"time":3,"tag":"bad","values":[1,"2"]}'),
        ("time", '{"time":"3","tag":"bad","values":[1]}'),
        ("tag", '{"time":3,"tag":"","values":[1]}'),
        ("time", '{"time":9223372036854775808,"tag":"bad","values":[1]}'),
    ]
    for number, (field, line) in enumerate(bad):
        before, after = ndjson(GOOD[number:number + 1]), ndjson(GOOD[number + 1:number + 2])
        body = ndjson([{"time": 1, "tag": "bad", "values": [1]},
                       {"time": 2, "tag": "bad", "values": [2]}, line,
                       {"time": 4, "tag": "bad", "values": [4]}])
        statuses = [run.post(before, connection=connection)[0]]
        status, problem = run.post(body, connection=connection)
        statuses += [status, run.post(after, "?ack=committed", connection=connection)[0]]
        same(statuses, [202, 400, 204], "%s: the bad one of three is refused" % line)
        problem = json.loads(problem)
        text = json.dumps(problem)
        ok(("line 3" in text or problem.get("line") == 3) and field in text,
           "and line 3 and the field %s are named" % field, text)
    rows = sorted((time, tag) for time, tag, _ in run.rows())
    same(rows, [(i, "good") for i in range(5)], "the good ones are stored, nothing of the bad ones")
    same(run.api("bad", 0, 10), None, "the bad tag was never stored")
e2e.done()
