#!/usr/bin/python3
"""Every example of docs/http.md and docs/clients.md does what stands there."""
import json
import os
import re
import shutil
import subprocess
import sys

from historiand import HERE, Server, Skip, run

DOCS = os.path.join(HERE, "../../docs")
server = Server()
ADDRESS = "127.0.0.1:8080"


def read(name):
    with open(os.path.join(DOCS, name), encoding="utf-8") as file:
        return file.read()


def execute(command, text):
    """Runs an example against the server of this test; returns what it printed."""
    done = subprocess.run(command, input=text.replace(ADDRESS, f"127.0.0.1:{server.port}"),
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (text, done.stderr)
    return done.stdout


def shell(text):
    return execute(["sh", "-eu"], re.sub(r"\bcurl (?!-sS)", "curl -sS ", text))


def indented_blocks(text):
    """The blocks indented by four spaces; blank lines end one."""
    block = []
    for line in text.splitlines() + [""]:
        if line.startswith("    "):
            block.append(line[4:])
        elif block:
            yield "\n".join(block)
            block = []


def fenced_blocks(text):
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def as_json(text):
    """One JSON value over several lines, or one a line."""
    try:
        return json.loads(text)
    except ValueError:
        return [json.loads(line) for line in text.splitlines()]


def test_http():
    """docs/http.md: each command's answer is the one below it"""
    blocks = list(indented_blocks(read("http.md")))
    commands = [index for index, block in enumerate(blocks) if block.startswith("curl ")]
    # A log line has no command; what it leaves out is written as "..".
    answers = [index for index, block in enumerate(blocks)
               if block.startswith("{") and '".."' not in block]
    assert len(commands) >= 9, blocks
    for index in commands:
        output = shell(blocks[index])
        answered = index + 1 in answers
        expected = blocks[index + 1] if answered else ""
        if not answered:
            assert output == "", (blocks[index], output)
        else:
            assert as_json(output) == as_json(expected), (blocks[index], output, expected)
    assert all(index - 1 in commands for index in answers), "an answer without its command"


def test_routes():
    """docs/http.md and openapi.json name every route of the program, and no other"""
    sources = ""
    proxy = os.path.join(HERE, "../../proxy")
    for name in os.listdir(proxy):
        if name.startswith("route_") and name.endswith(".c"):
            with open(os.path.join(proxy, name), encoding="utf-8") as file:
                sources += file.read()
    routes = set(re.findall(r'\.path = "([^"]+)"', sources)) | {"/openapi.json"}
    described = json.loads(read("../proxy/routes/openapi.json"))["paths"]
    assert set(described) == routes, set(described) ^ routes
    page = read("http.md")
    for path, methods in described.items():
        for method in methods:
            assert f"`{method.upper()} {path}`" in page, (method, path)
        for other in {"GET", "POST", "PUT"} - {method.upper() for method in methods}:
            assert server.request(other, path, b"" if other != "GET" else None).status == 405, path


def test_openapi_served():
    """GET /openapi.json is proxy/routes/openapi.json"""
    answer = server.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.body.decode() == read("../proxy/routes/openapi.json")


def client_examples(language, command):
    """Runs the examples of a language in clients.md, after those of the shell before them."""
    blocks = fenced_blocks(read("clients.md"))
    ran = 0
    for (kind, text), following in zip(blocks, blocks[1:] + [("", "")]):
        if kind != language:
            continue
        ran += 1
        output = shell(text) if command is None else execute(command, text)
        expected = following[1] if following[0] == "text" else ""
        assert output.rstrip("\n") == expected.rstrip("\n"), (text, output, expected)
    assert ran > 0


def test_curl():
    """docs/clients.md: curl"""
    client_examples("sh", None)


def test_python():
    """docs/clients.md: Python"""
    client_examples("python", [sys.executable, "-"])


def test_r():
    """docs/clients.md: R"""
    if shutil.which("Rscript") is None:
        raise Skip("Rscript is missing")
    if subprocess.run(["Rscript", "-e", "library(jsonlite)"], capture_output=True).returncode != 0:
        raise Skip("R's package jsonlite is missing")
    client_examples("r", ["Rscript", "-"])


if __name__ == "__main__":
    run(sys.modules[__name__])
