"""An in-memory stand-in for historiand, slow and simple, with faults on demand.

Messages become visible `delay` seconds after they came. `fault` spoils what is read or stored;
see FAULTS. Used to test that historian-client notices.
"""
import bisect
import json
import socket
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlparse

FAULTS = ("none", "lost", "stale", "wrong", "time", "slow", "busy", "unknown", "forbidden")


def is_of_workload(tag):
    return not tag.startswith(("historian-", "probe-"))


UNITS = {"ns": 1, "us": 10 ** 3, "ms": 10 ** 6, "s": 10 ** 9}


class Store:
    def __init__(self, delay=0.2, fault="none"):
        assert fault in FAULTS
        self.delay = delay
        self.fault = fault
        self.lock = threading.Lock()
        self.tags = {}  # tag -> sorted list of (time, arrival, values)
        self.messages = 0
        self.posts = 0

    def save(self, text, unit=1):
        now = time.monotonic()
        with self.lock:
            for line in text.splitlines():
                message = json.loads(line)
                self.messages += 1
                if self.fault == "lost" and is_of_workload(message["tag"]) and self.messages % 5 == 0:
                    continue
                rows = self.tags.setdefault(message["tag"], [])
                row = (message["time"] * unit, now, message["values"])
                at = bisect.bisect_left(rows, row[:1])
                if at < len(rows) and rows[at][0] == row[0]:
                    rows[at] = row
                else:
                    rows.insert(at, row)

    def last(self, tag, at):
        """The values of the last visible message at or before a time."""
        if self.fault == "stale" and is_of_workload(tag):
            at = min(at, time.time_ns() - 4_000_000_000)
        visible = time.monotonic() - self.delay
        rows = self.tags[tag]
        i = bisect.bisect_right(rows, (at, float("inf"))) - 1
        while i >= 0 and rows[i][1] > visible:
            i -= 1
        return rows[i][2] if i >= 0 else None

    def api(self, tag, start, end, samples):
        with self.lock:
            if tag not in self.tags or (self.fault == "unknown" and tag == "t0001"):
                return None
            answer = []
            for i in range(1, samples + 1):
                at = start + i * (end - start) // samples
                values = self.last(tag, at)
                if values and self.fault == "wrong" and is_of_workload(tag) and i == samples > 1:
                    values = values[:-1] + [values[-1] + 0.01]
                answer.append({"time": at + (self.fault == "time"), "values": values})
        return {"tagName": tag, "start": start, "end": end, "samples": answer}

    def totals(self):
        """Lines of tag, count, first and last time."""
        with self.lock:
            return "".join("%s\t%d\t%d\t%d\n" % (tag, len(rows), rows[0][0], rows[-1][0])
                           for tag, rows in sorted(self.tags.items()))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def do_POST(self):
        store = self.server.store
        body = self.rfile.read(int(self.headers["Content-Length"]))
        unit = UNITS[parse_qs(urlparse(self.path).query).get("precision", ["ns"])[0]]
        store.posts += 1
        if store.fault == "busy" and store.posts % 7 == 3:
            self.answer(503, Retry_After="1")
        elif store.fault == "busy" and store.posts % 7 == 5:
            store.save(body.decode(), unit)
            self.close_connection = True  # stored, but nobody will know
        else:
            store.save(body.decode(), unit)
            self.answer(204 if "ack=committed" in self.path else 202)

    def do_GET(self):
        url = urlparse(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        store = self.server.store
        if store.fault == "forbidden":
            self.answer(401, b"no token")
            return
        if store.fault == "slow":
            time.sleep(0.15)
        found = store.api(query["tag"], int(query["start"]), int(query["end"]),
                          int(query.get("samples", 1000)))
        if found is None:
            self.answer(404)
        else:
            self.answer(200, json.dumps(found).encode(), Content_Type="application/json")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 100

    def __init__(self, *arguments):
        self.open = set()
        super().__init__(*arguments)

    def handle_error(self, *_):
        pass

    def process_request(self, request, client_address):
        self.open.add(request)
        super().process_request(request, client_address)

    def vanish(self):
        """Stops listening, and breaks all connections."""
        self.shutdown()
        self.server_close()
        for connection in self.open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def start(port=0, **arguments):
    """Starts a server on a port, or a free one; returns it, with its URL and store."""
    server = Server(("127.0.0.1", port), Handler)
    server.store = Store(**arguments)
    server.url = "http://127.0.0.1:%d" % server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
