"""docs/operations.md: nginx before historiand, by the page's configuration: TLS, readers and writers, long bodies and
exports, pages of other sites."""
import atexit
import base64
import http.client
import json
import os
import re
import shutil
import ssl
import subprocess
import sys

import guide
from guide import ok, same, skip

sys.path.insert(0, os.path.join(guide.ROOT, "tests/e2e"))
import e2e      # pylint: disable=wrong-import-position

NAME = "historian.example.com"
START = 1767225600 * 10**9


def configuration():
    """The page's configuration, and its lines for the files of users."""
    with open(os.path.join(guide.ROOT, "docs/operations.md"), encoding="utf-8") as file:
        text = file.read()
    nginx = re.search(r"^   ```nginx\n(.*?)^   ```$", text, re.MULTILINE | re.DOTALL)[1]
    users = [line.strip() for line in text.splitlines() if line.strip().startswith("printf '") and "openssl passwd" in line]
    return nginx, users


def start(folder, historiand_port):
    """The port of an nginx with the page's configuration, in a folder of its own."""
    port = e2e.free_port()
    nginx, users = configuration()
    same(len(users), 2, "the page makes two files of users")
    for name, password in zip(users, ("reader's", "writer's")):
        command = name.replace("openssl passwd -6", f'openssl passwd -6 "{password}"').replace("/etc/nginx", folder)
        subprocess.run(["sh", "-euc", command], check=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=" + NAME,
                    "-addext", "subjectAltName=DNS:" + NAME, "-keyout", folder + "/key.pem", "-out", folder + "/certificate.pem"],
                   check=True, capture_output=True)
    for printed, here in (("127.0.0.1:8080", f"127.0.0.1:{historiand_port}"), ("listen 443 ", f"listen 127.0.0.1:{port} "),
                          ("/etc/ssl/historian", folder), ("/etc/nginx", folder)):
        assert printed in nginx, printed
        nginx = nginx.replace(printed, here)
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;\n" if os.getuid() == 0 else ""
    with open(folder + "/nginx.conf", "w", encoding="utf-8") as file:
        file.write(f"{user}daemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
                   f"http {{\naccess_log off;\n{paths}{nginx}}}\n")
    process = subprocess.Popen(["nginx", "-p", folder, "-e", folder + "/error.log", "-c", folder + "/nginx.conf"])
    atexit.register(lambda: (process.terminate(), process.wait()))
    context = ssl.create_default_context(cafile=folder + "/certificate.pem")

    def connect():
        """A connection to the proxy by its name, without a name server."""
        connection = http.client.HTTPSConnection(NAME, port, timeout=e2e.TIMEOUT_S, context=context)
        raw = http.client.socket.create_connection(("127.0.0.1", port))
        connection.sock = context.wrap_socket(raw, server_hostname=NAME)
        return connection

    def listening():
        try:
            return connect().close() is None
        except OSError:
            assert process.poll() is None, "nginx ended"
            return False
    guide.wait_for("nginx", listening)
    return port, connect


def main():
    if shutil.which("nginx") is None:
        skip("nginx before historiand", "nginx is missing")
        guide.done()
    place = guide.Place("guide_proxy", allowed_hosts=NAME)
    folder = place.folder + "/nginx"
    os.mkdir(folder)
    port, connect = start(folder, place.server.port)

    def ask(method, path, user=None, body=None, **headers):
        """(status, body, headers)"""
        passwords = {"ann": "reader's", "telegraf": "writer's", "mallory": "guess"}
        if user:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{passwords[user]}".encode()).decode()
        connection = connect()
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, text, answer.headers

    message = json.dumps({"time": START, "tag": "boiler", "values": [71.3]})
    same([ask("GET", "/readyz", user)[0] for user in (None, "mallory", "ann", "telegraf")], [401, 401, 200, 200],
         "a login is needed to read")
    same([ask("POST", "/save?ack=committed", user, message)[0] for user in (None, "mallory", "ann", "telegraf")],
         [401, 401, 401, 204], "and a writer's to write")
    same([ask("PUT", "/tags/boiler", user, '{"names": ["temperature"]}', Content_Type="application/json")[0]
          for user in ("ann", "telegraf")], [401, 204], "or to name values")
    same(ask("POST", "/write?precision=ns", "telegraf", f"cpu,host=h1 idle=98 {START}")[0], 204, "Telegraf writes with its password")
    status, text, headers = ask("GET", "/api?tag=boiler&start=2026-01-01T00:00:00Z&end=2026-01-01T00:00:01Z&samples=1", "ann")
    same((status, json.loads(text)["samples"][0]["values"]), (200, [71.3]), "a reader reads")
    ok(re.fullmatch("[0-9a-f]{32}", headers["X-Request-Id"]), "with the request's number of nginx", headers)
    same([ask("GET", "/tags", "ann", Origin=origin, Sec_Fetch_Site=site)[0] for origin, site in (
        (f"https://{NAME}:{port}", "same-origin"), ("https://evil.example", "cross-site"))], [200, 403],
         "the server's own page may ask, pages of other sites may not")
    same(ask("GET", "/", "ann")[2]["Content-Type"], "text/html; charset=utf-8", "the page is served")

    lines = "".join(f'{{"time":{START + i},"tag":"long","values":[{i},0.5,0.25,1e300]}}\n' for i in range(100000)).encode()
    status, text, _ = ask("POST", "/save?partial=true&ack=committed", "telegraf", iter([lines[i:i + 65536] for i in range(0, len(lines), 65536)]),
                          Content_Type="application/x-ndjson")
    same((status, text), (204, b""), "a body of %d MB goes through in pieces" % (len(lines) // 10**6))
    status, text, _ = ask("GET", "/export?tag=long&format=csv", "ann")
    same((status, text.count(b"\n")), (200, 100001), "and so does an export")
    same(ask("POST", "/save?precision=s", "telegraf", message)[0], 400, "errors come through")
    place.server.kill()
    same(ask("GET", "/readyz", "ann")[0], 502, "without historiand the answer is 502")
    guide.done()


main()
