"""events.py: clients of GET /stream, and what they are sent."""
import json
import urllib.parse

from historiand import DEADLINE, NDJSON, Client, message, ndjson, request_bytes


class Events:
    """One client of /stream; what it got is in samples."""

    def __init__(self, port, query, last_id=None, timeout=DEADLINE, headers=None, receive_bytes=None):
        headers = dict(headers or {})
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        self.client = Client(port, timeout, receive_bytes)
        self.client.send(request_bytes("GET", "/stream?" + query, None, headers))
        self.head = self.client.answer(head_only=True)
        self.pieces = self.client.chunks() if self.head and self.head.status == 200 else iter(())
        self.text = ""
        self.last_id = last_id
        self.comments = 0

    def block(self):
        """The fields of the next event, {} for a comment; None at the end of the stream."""
        while "\n\n" not in self.text:
            piece = next(self.pieces, None)
            if piece is None:
                return None
            self.text += piece.decode()
        block, self.text = self.text.split("\n\n", 1)
        if block.startswith(":"):
            self.comments += 1
            return {}
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        self.last_id = fields.get("id", self.last_id)
        return fields

    def event(self):
        """The next (event, id, data); None at the end of the stream."""
        while (fields := self.block()) == {}:
            pass
        if fields is None:
            return None
        return fields.get("event", "message"), fields.get("id"), json.loads(fields["data"])

    def sample(self):
        kind, _, data = self.event()
        assert kind == "message", (kind, data)
        return data["tag"], data["time"], data["values"]

    def take(self, count):
        return [self.sample() for _ in range(count)]

    def close(self):
        self.client.close()


def follow(server, *tags, last_id=None, receive_bytes=None, **more):
    query = urllib.parse.urlencode([("tag", tag) for tag in tags] + list(more.items()))
    events = Events(server.port, query, last_id, receive_bytes=receive_bytes)
    assert events.head.status == 200, events.head
    return events


def post(server, samples, ack="committed"):
    answer = server.save(ndjson([message(t, tag, values) for tag, t, values in samples]), f"?precision=ns&ack={ack}", NDJSON)
    assert answer.status in (202, 204), answer
