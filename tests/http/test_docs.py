#!/usr/bin/python3
"""The documentation is true: examples give the answers that are printed, settings have the defaults that are
named, links lead somewhere."""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from historiand import BINARY, CONNINFO, HERE, Server, Skip, run, sql

ROOT = os.path.normpath(os.path.join(HERE, "../.."))
DOCS = os.path.join(ROOT, "docs")
server = Server()
ADDRESS = "127.0.0.1:8080"


def read(name):
    with open(os.path.join(DOCS, name), encoding="utf-8") as file:
        return file.read()


def shell(text):
    """Runs an example against the server of this test; returns what it printed."""
    text = re.sub(r"\bcurl (?!-sS)", "curl -sS ", text).replace(ADDRESS, f"127.0.0.1:{server.port}")
    done = subprocess.run(["sh", "-eu"], input=text, capture_output=True, text=True, timeout=60,
                          cwd=os.environ.get("HISTORIAN_TEST_DIR"))
    assert done.returncode == 0, (text, done.stderr)
    return done.stdout


def indented_blocks(text):
    """The blocks indented by four spaces; blank lines end one."""
    block = []
    for line in text.splitlines() + [""]:
        if line.startswith("    "):
            block.append(line[4:])
        elif block:
            yield "\n".join(block)
            block = []


def as_json(text):
    """One JSON value over several lines, or one a line; other text as it is."""
    if not text.startswith(("{", "[")):
        return text.rstrip("\n")
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
               if block.startswith(("{", "time,")) and '".."' not in block]
    assert len(commands) >= 9, blocks
    for index in commands:
        output = shell(blocks[index])
        answered = index + 1 in answers
        expected = blocks[index + 1] if answered else ""
        if not answered:
            assert output == "", (blocks[index], output)
        else:
            # how many segments there are depends on when the server loaded
            output, expected = (re.sub(r'"(bytes|segments)":[1-9]\d*', r'"\1":1', text) for text in (output, expected))
            assert as_json(output) == as_json(expected), (blocks[index], output, expected)
    assert all(index - 1 in commands for index in answers), "an answer without its command"


def test_routes():
    """docs/http.md and openapi.json name every route of the program, and no other"""
    sources = ""
    for name in glob.glob(os.path.join(ROOT, "proxy/routes/route_*.c")):
        with open(name, encoding="utf-8") as file:
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


def pages():
    """The Markdown files of the repository, without those that a build or a test tool brought."""
    files = shutil.which("git") and subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "*.md"],
                                                   capture_output=True, text=True, check=False).stdout.split()
    return files or [os.path.relpath(name, ROOT) for name in
                     glob.glob(os.path.join(ROOT, "*.md")) + glob.glob(os.path.join(DOCS, "**/*.md"), recursive=True)]


def without_code(text):
    """Fenced blocks and code spans may contain what looks like a heading or a link."""
    return re.sub(r"`[^`\n]*`", lambda span: "`" + re.sub(r"[][]", "", span[0][1:-1]) + "`",
                  re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def anchors(text):
    """The anchors of a page, as GitHub makes them of its headings."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", without_code(text), re.MULTILINE):
        heading = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        anchor = re.sub(r"[^\w\- ]", "", heading).replace(" ", "-")
        found.add(next(name for name in [anchor] + [f"{anchor}-{i}" for i in range(1, 99)]
                       if name not in found))
    return found


def test_links():
    """every relative link of every page leads to a file, and to a heading that is there"""
    seen = 0
    for page in pages():
        with open(os.path.join(ROOT, page), encoding="utf-8") as file:
            text = without_code(file.read())
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            seen += 1
            path, _, anchor = target.partition("#")
            path = os.path.normpath(os.path.join(ROOT, os.path.dirname(page), path)
                                    if path else os.path.join(ROOT, page))
            assert os.path.exists(path), (page, target)
            if anchor:
                with open(path, encoding="utf-8") as file:
                    assert anchor in anchors(file.read()), (page, target)
    assert seen > 50, seen


# The test, in tests/, that runs the fenced blocks of a page, or says there why one is not run.
RUN_BY = {
    "docs/change-data.md": "guides/test_changes.py",
    "docs/clients.md": "guides/test_clients.py",
    "docs/command.md": "command/test_command_docs.py",
    "docs/install.md": "guides/test_remove.py",
    "docs/methods.md": "http/test_docs.py",
    "docs/migrate.md": "guides/test_migrate.py",
    "docs/monitoring.md": "guides/test_alerts.py",
    "docs/operations.md": "guides/test_proxy.py",
    "docs/security.md": "guides/test_statements.py",
    "docs/sql.md": "http/test_docs.py",
    "docs/tags.md": "http/test_docs.py",
    "docs/tutorial.md": "e2e/test_run.py",
    "docs/watchdog.md": "http/test_watchdog_actions.py",
}


def test_blocks_are_run():
    """a test runs the fenced blocks of each page that has some with statements, commands, programs or settings"""
    with_blocks = set()
    for page in ["README.md"] + sorted(glob.glob("docs/*.md", root_dir=ROOT)):
        with open(os.path.join(ROOT, page), encoding="utf-8") as file:
            kinds = set(re.findall(r"^ *```(\w+)$", file.read(), re.MULTILINE))
        if kinds - {"text", "csv"}:
            with_blocks.add(page)
    assert with_blocks == set(RUN_BY), with_blocks ^ set(RUN_BY)
    for page, name in RUN_BY.items():
        with open(os.path.join(ROOT, "tests", name), encoding="utf-8") as file:
            # as an argument, which it is not in the table above
            assert re.search(rf"\(.*\b{re.escape(os.path.basename(page))}\"", file.read()), (page, name)


def test_index():
    """docs/README.md leads to every page of docs/, docs/adr/README.md to every decision"""
    for folder in ("docs", "docs/adr"):
        with open(os.path.join(ROOT, folder, "README.md"), encoding="utf-8") as file:
            linked = set(re.findall(r"\]\(([^)#\s]+)", file.read()))
        there = {name for name in os.listdir(os.path.join(ROOT, folder)) if name.endswith(".md")}
        assert there - linked == {"README.md"}, (folder, there - linked)


def test_decisions():
    """every decision has the headings of the template, and the index has its title and number"""
    wanted = ["Status", "Context", "Decision", "Alternatives", "Consequences"]
    index = read("adr/README.md")
    for name in sorted(os.listdir(os.path.join(DOCS, "adr"))):
        if name == "README.md":
            continue
        text = read("adr/" + name)
        headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert headings in (wanted, wanted + ["Measurements"]), (name, headings)
        title = re.match(r"# (\d{4}): (.*)\n", text)
        assert title and title[1] == name[:4] and f"| [{title[1]}]({name}) | {title[2]} |" in index, (name, title)


def rows_of_settings():
    """The first two cells of each line of the tables of docs/settings.md that names a setting."""
    rows = {}
    for name, default in re.findall(r"^\| `([^`]+)` \| ([^|]*) \|", read("settings.md"), re.MULTILINE):
        assert name not in rows, name
        rows[name] = default.strip().strip("`")
    return rows


def test_settings_of_historiand():
    """docs/settings.md has every setting of historiand --help, with its default"""
    text = subprocess.run([BINARY, "--help"], capture_output=True, text=True, check=True).stdout
    settings = dict(re.findall(r"^  --([a-z-]+), HISTORIAND_\w+ \(default ([^)]*)\)$", text, re.MULTILINE))
    assert len(settings) > 30, settings
    rows = {name[2:]: default for name, default in rows_of_settings().items() if name.startswith("--")}
    assert rows == settings, set(rows.items()) ^ set(settings.items())


def test_settings_of_the_extension():
    """docs/settings.md has every setting of the extension, with its default"""
    if sql("SELECT count(*) FROM pg_am WHERE amname = 'historian'") == [["0"]]:
        raise Skip("the extension is missing")
    settings = {name: default for name, default in
                sql("LOAD 'historian'; SELECT name, CASE unit WHEN 'kB' THEN pg_size_pretty(boot_val::int * 1024::bigint) "
                    "ELSE coalesce(nullif(boot_val || coalesce(unit, ''), ''), 'empty') END FROM pg_settings WHERE name LIKE 'historian.%'")}
    assert len(settings) >= 8, settings
    rows = {name: default.replace("MB", " MB") for name, default in rows_of_settings().items()
            if name.startswith("historian.")}
    assert rows == settings, set(rows.items()) ^ set(settings.items())


def psql(text, *options):
    """Runs psql in the schema pages; returns the lines that it printed."""
    done = subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-P", "footer=off", *options, "-d", CONNINFO],
                          input=text, capture_output=True, text=True, timeout=60,
                          env=dict(os.environ, PGOPTIONS="-c search_path=pages,public -c timezone=UTC"))
    assert done.returncode == 0 and done.stderr == "", (text, done.stderr)
    return [line.rstrip() for line in done.stdout.rstrip("\n").splitlines()]


def psql_block(kind, block):
    """
    Runs the statements of a block.  In a block of "=# STATEMENT;" the lines below a statement are what psql
    prints, but for the spaces of plans.  Returns how many were compared.
    """
    compared = 0
    if kind == "sql":
        psql(block.replace("CREATE EXTENSION historian;", ""))
    for statement, expected in re.findall(r"^=# (.*?;)\n(.*?)(?=^=# |\Z)", block, re.MULTILINE | re.DOTALL):
        if "ANALYZE" in statement:
            # The numbers are those of another table, and perhaps no row is removed; what is numbered is the same.
            # PostgreSQL 18 tells of buffers unasked.
            got, expected = ([word for word in re.findall(r"[A-Z][A-Za-z ]+:|\([A-Z]\w+\)", text)
                              if word not in ("Rows Removed by Filter:", "Buffers:", "Planning:")]
                             for text in ("\n".join(psql(statement, "-t")), expected))
        elif statement.startswith("EXPLAIN"):
            got, expected = " ".join(psql(statement, "-t")).split(), expected.split()
        else:
            got, expected = psql(statement), [line.rstrip() for line in expected.splitlines()]
        assert got == expected, (statement, got, expected)
        compared += 1
    if kind == "" and not re.search(r"^=# ", block, re.MULTILINE):
        what_is_not_a_session(block)
        compared += 1
    return compared


SHORT_TYPES = {"timestamptz": "timestamp with time zone", "float8": "double precision"}


def arguments(text):
    """[(name, type)] of the arguments of a signature."""
    found = []
    for argument in filter(None, map(str.strip, re.split(r",", text))):
        name, kind = re.match(r'("?\w+"?) (\S+)', argument).groups()
        plain = kind.rstrip("[]")
        found.append((name.strip('"'), SHORT_TYPES.get(plain, plain) + kind[len(plain):]))
    return found


def check_signature(name, text, result):
    """A function with these arguments is there, with and without what stands in brackets."""
    there = [([tuple(argument.split("=")) for argument in row[0].split("|")], int(row[1]), row[2]) for row in sql(
        "SELECT (SELECT string_agg(proargnames[i] || '=' || format_type(proargtypes[i - 1], NULL), '|' ORDER BY i) "
        "FROM generate_series(1, pronargs) i), pronargdefaults, pg_get_function_result(oid) FROM pg_proc "
        f"WHERE pronamespace = 'historian'::regnamespace AND proname = '{name}'")]
    for form in {re.sub(r"\[,[^]]*\]", "", text), re.sub(r"\[(,[^]]*)\]", r"\1", text)}:
        given = arguments(form)
        matching = [returned for taken, defaults, returned in there
                    if taken[:len(given)] == given and len(taken) - len(given) <= defaults]
        assert matching, (name, form, there)
        if result and "SETOF" not in result:
            assert set(matching) == {result}, (name, form, matching)


def what_is_not_a_session(block):
    """Signatures, which the catalog must have; what a function prints, by its columns; statements, whose rows come back."""
    signatures = re.findall(r"^historian\.(\w+)\(((?:[^()]|\(\))*)\)\s*(?:RETURNS (.*))?$", block, re.MULTILINE)
    if signatures:
        for name, text, result in signatures:
            check_signature(name, " ".join(text.split()), result)
    elif block.startswith("SELECT "):
        psql(f"BEGIN; {block} ROLLBACK;")
    else:
        columns = [column.strip() for column in block.splitlines()[0].split("|")]
        assert sql("SELECT proargnames[2:] FROM pg_proc WHERE proname = 'compact' AND pronamespace = 'historian'::regnamespace") == \
            [["{" + ",".join(columns) + "}"]], block


def psql_examples(name):
    """Runs the statements of a page in their order, in a schema of their own."""
    if sql("SELECT count(*) FROM pg_am WHERE amname = 'historian'") == [["0"]]:
        raise Skip("the extension is missing")
    compared = 0
    sql("CREATE SCHEMA pages")
    try:
        for kind, block in re.findall(r"^```(\w*)\n(.*?)^```$", read(name), re.MULTILINE | re.DOTALL):
            compared += psql_block(kind, block)
    finally:
        sql("DROP SCHEMA pages CASCADE")
    return compared


def test_sql():
    """docs/sql.md: its statements run, and print what is printed"""
    assert psql_examples("sql.md") >= 5


def test_tags():
    """docs/tags.md: its statements and commands run in their order, and print what is printed"""
    if sql("SELECT count(*) FROM pg_am WHERE amname = 'historian'") == [["0"]]:
        raise Skip("the extension is missing")
    sql("CREATE SCHEMA pages; CREATE TABLE pages.measurement (time bigint, tag text, values float8[]) USING historian")
    named = Server(table="pages.measurement")
    environment = dict(os.environ, PGOPTIONS="-c search_path=pages,public -c timezone=UTC")
    for setting in CONNINFO.split():
        name, _, value = setting.partition("=")
        environment["PG" + {"dbname": "database"}.get(name, name).upper()] = value
    compared = 0
    before = ""
    try:
        with tempfile.TemporaryDirectory() as directory:
            for kind, text in re.findall(r"^```(\w*)\n(.*?)^```$", read("tags.md"), re.MULTILINE | re.DOTALL):
                if kind == "sh":
                    done = subprocess.run(["sh", "-eu"], cwd=directory, env=environment, capture_output=True, text=True,
                                          timeout=60, input=text.replace(ADDRESS, f"127.0.0.1:{named.port}"))
                    assert done.returncode == 0 and done.stderr == "", (text, done.stderr)
                elif kind == "text" and before == "sh":
                    assert done.stdout.rstrip("\n") == text.rstrip("\n"), (done.stdout, text)
                    compared += 1
                elif kind == "text":
                    with open(os.path.join(directory, "tags.csv"), "w", encoding="utf-8") as file:
                        file.write(text)
                elif kind in ("", "sql"):
                    for macro, value in (("$__timeFilter(time)", "time BETWEEN '2026-01-01' AND '2026-01-02'"),
                                         ("$__unixEpochNanoFrom()", "1767225600000000000"), ("$__unixEpochNanoTo()", "1767312000000000000")):
                        text = text.replace(macro, value)    # as Grafana does
                    compared += psql_block(kind, text)
                before = kind
    finally:
        named.stop()
        sql("DROP SCHEMA pages CASCADE")
    assert compared >= 5, compared


def test_methods():
    """docs/methods.md: each example gives the samples below it"""
    assert psql_examples("methods.md") >= 20


if __name__ == "__main__":
    run(sys.modules[__name__])
