#!/usr/bin/python3
"""Do includes point down only, as the module map of docs/architecture.md has it, and do the names of
public functions say where these are?"""
import os
import shutil
import subprocess
import sys
import tempfile
import traceback

import structure

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def nothing_wrong(wrong):
    assert not wrong, "\n".join(wrong)


def found(change):
    """What is wrong with a copy of the tree after a change, that is not wrong with the tree."""
    with tempfile.TemporaryDirectory(prefix="historian-structure-") as copy:
        for folder in (*structure.PROGRAMS, "tools", "docs"):
            shutil.copytree(os.path.join(TOP, folder), os.path.join(copy, folder),
                            ignore=lambda _, names: [name for name in names
                                                     if not name.endswith((".c", ".h", ".md"))
                                                     and "." in name])
        for name in ("META.json", "docker-compose.yml", "docker-compose.ha.yml", "CHANGELOG.md", "extension/historian.control"):
            shutil.copy(os.path.join(TOP, name), os.path.join(copy, name))
        change(copy)
        return sorted(set(all_wrong(copy)) - set(all_wrong(TOP)))


def all_wrong(top):
    return (structure.check_program(top, "extension") + structure.check_program(top, "proxy") +
            structure.check_codec(top) + structure.check_tools(top) +
            structure.check_names(top, "extension") + structure.check_names(top, "proxy") +
            structure.check_versions(top))


def adding(path, text):
    def change(top):
        with open(os.path.join(top, path), "a", encoding="utf-8") as file:
            file.write(text)
    return change


def replacing(path, old, new):
    def change(top):
        text = structure.read(top, path)
        assert old in text
        with open(os.path.join(top, path), "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))
    return change


def test_extension():
    """extension/: every file is in the map, and includes only what is below it"""
    nothing_wrong(structure.check_program(TOP, "extension"))


def test_proxy():
    """proxy/: every file is in the map, and includes only what is below it"""
    nothing_wrong(structure.check_program(TOP, "proxy"))


def test_codec():
    """codec/ includes nothing but itself and the C library"""
    nothing_wrong(structure.check_codec(TOP))


def test_tools():
    """tools/ includes at most the server's formats, and only in tools/historian/"""
    nothing_wrong(structure.check_tools(TOP))
    assert found(adding("tools/historian/import.c", '#include "load/spool.h"\n')) == [
        "tools/historian/import.c includes load/spool.h, which is not for it"]
    assert found(adding("tools/sender.c", '#include "base/memory.h"\n')) == [
        "tools/sender.c includes base/memory.h, which is not for it"]
    assert found(adding("proxy/main.c", '#include "../tools/options.h"\n')) == [
        "proxy/main.c includes ../tools/options.h of the tools"]


def test_names():
    """a public function's name begins with that of its file, of its type or of its family"""
    nothing_wrong(structure.check_names(TOP, "extension") + structure.check_names(TOP, "proxy"))


def test_versions():
    """the images and the extension have the product's version, and released versions a date"""
    nothing_wrong(structure.check_versions(TOP))
    version = structure.read(TOP, "META.json").split('"version": "')[1].split('"')[0]
    assert found(replacing("docker-compose.yml", f"pg_historian-load:{version}", "pg_historian-load:0.1")) == [
        f"docker-compose.yml has pg_historian-load:0.1, but META.json has {version}"]
    assert found(replacing("docker-compose.ha.yml", f"pg_historian_ha-etcd:{version}", "pg_historian_ha-etcd:0.1")) == [
        f"docker-compose.ha.yml has pg_historian_ha-etcd:0.1, but META.json has {version}"]
    assert found(adding("CHANGELOG.md", "## [0.0.1]\n")) == ["CHANGELOG.md has the heading [0.0.1]"]


def test_unchanged_copy():
    """a copy of the tree is as right as the tree"""
    assert found(lambda top: None) == []


def test_upward():
    """an include that points up to another folder is found"""
    assert found(adding("extension/store/store.c", '#include "write/writer.h"\n')) == [
        "extension/store/store.c includes write/writer.h, which is not below it"]
    assert found(adding("proxy/base/memory.c", '#  include "load/spool.h"\n')) == [
        "proxy/base/memory.c includes load/spool.h, which is not below it"]


def test_upward_within():
    """so is one to a file above it in its own folder, or beside it, whichever way it is spelt"""
    assert found(adding("extension/store/store.h", '#include "store/directory.h"\n')) == [
        "extension/store/store.h includes store/directory.h, which is not below it"]
    assert found(adding("extension/table/table_scan.c", '#include "scan_condition.h"\n')) == [
        "extension/table/table_scan.c includes scan_condition.h, which is not below it"]
    assert found(adding("extension/read/window.c", '#include "../read/leaves.h"\n')) == [
        "extension/read/window.c includes ../read/leaves.h, which is not below it"]


def test_impure_codec():
    """a file of codec/ that includes PostgreSQL, or another folder, is found"""
    assert found(adding("extension/codec/codec_for.c", '#include "postgres.h"\n')) == [
        "extension/codec/codec_for.c includes postgres.h, which is not of codec/"]
    assert found(adding("extension/codec/codec_for.c", "#include <pthread.h>\n")) == [
        "extension/codec/codec_for.c includes pthread.h, which is not of codec/"]
    assert found(adding("extension/codec/codec_for.c", '#include "compat.h"\n')) == [
        "extension/codec/codec_for.c includes compat.h, which is not of codec/"]


def test_other_program():
    """a file of one program that includes the other's is found"""
    assert found(adding("proxy/main.c", '#include "../extension/codec/codec.h"\n')) == [
        "proxy/main.c includes ../extension/codec/codec.h of another program"]
    assert found(adding("proxy/main.c", '#include "codec/codec.h"\n')) == [
        "proxy/main.c includes codec/codec.h of another program"]
    assert found(adding("extension/module.c", '#include "base/log.h"\n')) == [
        "extension/module.c includes base/log.h of another program"]


def test_map():
    """a file that the map leaves out is found, and a name in the map that is no file"""
    assert found(adding("extension/store/shelf.c", "")) == [
        "extension/store/shelf.c is not in the map"]
    assert found(replacing("docs/architecture.md", "`segment_sink`, `segment_list`",
                           "`segment_sink`, `segment_shelf`, `segment_list`")) == [
        "extension/store/segment_shelf is in the map, but there is no such file"]
    assert found(replacing("docs/architecture.md", "`segment_sink`, `segment_list`",
                           "`segment_sink`, `segment_list`, `store`")) == [
        "extension/store/store is in the map twice"]


def test_foreign_name():
    """a public function with the prefix of another file is found, declared, defined or renamed"""
    assert found(adding("extension/store/segment_list.h",
                        "extern uint64 segment_next_sequence(Relation rel);\n")) == [
        "extension/store/segment_list.h has segment_next_sequence(), "
        "whose prefix is of another file"]
    assert found(adding("proxy/http/http_reader.h",
                        "static inline int\nquery_begin(int x)\n{\n\treturn x;\n}\n")) == [
        "proxy/http/http_reader.h has query_begin(), whose prefix is of another file"]
    assert found(replacing("extension/write/deletion.h", "deletion_delete_range(",
                           "delete_range(")) == [
        "extension/write/deletion.h has delete_range(), whose prefix is of another file"]


def test_allowed_names():
    """types, families, singulars and listed prefixes are allowed; comments and types are no functions"""
    assert found(adding("extension/store/segment_list.h", """
/* other_thing(); */
#define ANY_MACRO(x) \\
	other_macro(x);
typedef bool (*SegmentTest) (const SegmentRef *ref);
pg_noreturn extern void segment_list_refuse(void);
extern void segment_ref_show(SegmentRef *ref) __attribute__((format(printf, 1, 2)));
""")) == []
    assert found(adding("proxy/http/http_reader.h", "extern void http_one(void);\n"
                        "extern void reader_two(void);\n")) == []


def test_suites():
    """tests/run --check tells a wrong name of a suite with the right ones, and runs none"""
    def check(*suites):
        return subprocess.run(["tests/run", "--check", *suites], cwd=TOP, capture_output=True, text=True, check=False)

    wrong = check("unit", "untit")
    assert wrong.returncode != 0 and "no suite untit; the suites are structure unit" in wrong.stderr, wrong.stderr
    right = check("unit", "page")
    assert (right.returncode, right.stdout) == (0, ""), right


def main():
    tests = [function for name, function in globals().items() if name.startswith("test_")]
    failed = 0
    print(f"1..{len(tests)}")
    for number, function in enumerate(tests, 1):
        try:
            function()
            print(f"ok {number} - {function.__doc__}", flush=True)
        except Exception:       # pylint: disable=broad-except
            failed += 1
            print(f"not ok {number} - {function.__doc__}", flush=True)
            for line in traceback.format_exc().splitlines():
                print("# " + line, flush=True)
    sys.exit(1 if failed else 0)


main()
