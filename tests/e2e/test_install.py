"""make install, make dist, the man pages, and META.json against the PGXN Meta Spec 1.0.0."""
import json
import os
import re
import shutil
import subprocess
import zipfile

import e2e
from e2e import ok, same, skip

SEMVER = r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-?[A-Za-z][-0-9A-Za-z]*)?"
TERM = r"[^\s/\\\x00-\x1f]{2,}"


def make(*arguments, cwd=e2e.ROOT):
    env = {name: value for name, value in os.environ.items()
           if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "DATADIR", "PORT")}
    return subprocess.run(["make", "-s", *arguments], cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def files_under(directory):
    return {os.path.relpath(os.path.join(path, name), directory)
            for path, _, names in os.walk(directory) for name in names}


def man_pages():
    done = subprocess.run(["scripts/man", "--check"], cwd=e2e.ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    ok(done.returncode == 0, "the man pages list what --help lists", done.stdout)
    names = {name for name in files_under(os.path.join(e2e.ROOT, "docs/man"))}
    same(names, {"historiand.8", "historian.1", "historian-producer.1", "historian-client.1"},
         "there is one for each program")


def install(pg_config, made_in=e2e.ROOT):
    """Where the extension goes is asked of a PG_CONFIG that answers with places of its own."""
    directory = e2e.new_directory()
    fake = os.path.join(directory, "pg_config")
    with open(fake, "w") as file:
        file.write("""#!/bin/sh
case $1 in
	--pkglibdir) echo /place/of/libraries ;;
	--sharedir) echo /place/of/postgresql/share ;;
	*) exec "%s" "$@" ;;
esac
""" % pg_config)
    os.chmod(fake, 0o755)
    stage = os.path.join(directory, "stage")
    done = make("install", "PG_CONFIG=" + fake, "DESTDIR=" + stage, "PREFIX=/opt/h", cwd=made_in)
    installed = {name for name in files_under(stage) if "/bitcode/" not in name}
    wanted = {"opt/h/bin/" + name for name in ("historiand", "historian", "historian-producer",
                                               "historian-client")}
    wanted |= {"opt/h/share/man/man8/historiand.8", "opt/h/share/man/man1/historian-client.1",
               "opt/h/share/man/man1/historian-producer.1", "opt/h/share/man/man1/historian.1",
               "opt/h/share/bash-completion/completions/historian", "place/of/libraries/historian.so",
               "place/of/postgresql/share/extension/historian.control"}
    wanted |= {"place/of/postgresql/share/extension/" + name
               for name in os.listdir(os.path.join(e2e.ROOT, "sql"))}
    ok(done.returncode == 0, "make install", done.stdout)
    same(installed, wanted, "puts everything under DESTDIR where PG_CONFIG and PREFIX say")
    done = make("uninstall", "PG_CONFIG=" + fake, "DESTDIR=" + stage, "PREFIX=/opt/h", cwd=made_in)
    same((done.returncode, files_under(stage)), (0, set()), "make uninstall removes all of it")


def meta():
    with open(os.path.join(e2e.ROOT, "META.json")) as file:
        meta = json.load(file)
    known = {"name", "version", "abstract", "maintainer", "license", "provides", "meta-spec",
             "description", "generated_by", "tags", "no_index", "prereqs", "release_status",
             "resources"}
    wrong = [key for key in meta if key not in known and not key.lower().startswith("x_")]
    for key in "name", "version", "abstract", "maintainer", "license", "provides", "meta-spec":
        if not meta.get(key):
            wrong.append(key)
    same(wrong, [], "META.json has the keys that it must have, and no unknown ones")
    ok(re.fullmatch(TERM, meta["name"]), "its name is a term", meta["name"])
    ok(re.fullmatch(SEMVER, meta["version"]), "its version is semantic", meta["version"])
    ok(meta["license"] in ("agpl_3", "apache_2_0", "bsd", "gpl_2", "gpl_3", "lgpl_2_1", "lgpl_3_0",
                           "mit", "mozilla_1_0", "mozilla_1_1", "postgresql", "unrestricted"),
       "its licence is one that the spec names", meta["license"])
    same(meta["meta-spec"], {"version": "1.0.0", "url": "https://pgxn.org/meta/spec.txt"},
         "it names its spec")
    ok(meta["release_status"] in ("stable", "testing", "unstable"), "release_status")
    ok(all(isinstance(tag, str) and 0 < len(tag) < 256 for tag in meta["tags"]), "tags")
    for name, extension in meta["provides"].items():
        ok(set(extension) <= {"abstract", "file", "docfile", "version"} and
           re.fullmatch(SEMVER, extension["version"]) and
           all(os.path.exists(os.path.join(e2e.ROOT, extension[key]))
               for key in ("file", "docfile")), "provides " + name, extension)
    for phase, kinds in meta["prereqs"].items():
        ok(phase in ("configure", "build", "test", "runtime", "develop") and
           set(kinds) <= {"requires", "recommends", "suggests", "conflicts"} and
           all(re.fullmatch(TERM, name) and re.fullmatch("(>=? ?)?" + SEMVER, version)
               for kind in kinds.values() for name, version in kind.items()),
           "prereqs of " + phase, kinds)

    with open(os.path.join(e2e.ROOT, "extension/historian.control")) as file:
        control = re.search(r"^default_version = '(.*)'", file.read(), re.M)[1]
    program = subprocess.check_output(["build/historiand", "--version"], cwd=e2e.ROOT, text=True)
    version = meta["version"]
    same((program, [meta["provides"]["historian"]["version"]], version.rpartition(".")[0]),
         ("historiand %s\n" % version, [version], control),
         "META.json, historiand and historian.control agree about the version")
    with open(os.path.join(e2e.ROOT, "CHANGELOG.md")) as file:
        dated = re.findall(r"^## \[(\d+\.\d+)\.0\] - \d{4}-\d\d-\d\d$", file.read(), re.M)
    released = [re.match(r"historian--([\d.]+)--", name)[1] for name in sorted(os.listdir(os.path.join(e2e.ROOT, "sql")))
                if name.count("--") == 2]
    same(sorted(dated)[:len(released)], released, "the changelog has a date for each version whose script is frozen")
    return meta


def dist(meta, pg_config):
    done = make("dist")
    name = "%s-%s" % (meta["name"], meta["version"])
    path = os.path.join(e2e.ROOT, "build", name + ".zip")
    ok(done.returncode == 0 and os.path.exists(path), "make dist makes %s.zip" % name, done.stdout)
    directory = e2e.new_directory()
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        for entry in archive.infolist():  # extract() alone forgets the permissions
            os.chmod(archive.extract(entry, directory), (entry.external_attr >> 16) & 0o777)
    ok(all(entry.startswith(name + "/") for entry in names) and name + "/META.json" in names,
       "everything in it is in one directory", names[:5])
    built = [entry for entry in names if re.search(r"\.(o|so|bc|pyc)$|/build/|/\.git/", entry)]
    same(built, [], "nothing in it was built")
    tree = os.path.join(directory, name)
    # Whether it builds does not depend on how well: without optimisation it takes a third.
    done = make("-j2", "all", "CFLAGS=-O0 -fPIC", "with_llvm=no", "PG_CONFIG=" + pg_config, cwd=tree)
    ok(done.returncode == 0, "what is in it builds", done.stdout)
    done = make("install", "CFLAGS=-O0 -fPIC", "with_llvm=no", "PG_CONFIG=" + pg_config,
                "DESTDIR=" + os.path.join(directory, "stage"), cwd=tree)
    ok(done.returncode == 0, "and installs", done.stdout)
    done = make("dist", cwd=tree)
    with zipfile.ZipFile(os.path.join(tree, "build", name + ".zip")) as archive:
        same(sorted(archive.namelist()), sorted(names), "and makes the same zip again, without git")


def sources_without_data():
    """make run leaves a link .data where PostgreSQL may not enter the checkout."""
    name = "what make run leaves is none of the sources"
    if shutil.which("git") is None:
        skip(name, "no git")
        return
    checkout, data, copy = e2e.new_directory(), e2e.new_directory(), e2e.new_directory()
    subprocess.run(["git", "init", "-q"], cwd=checkout, check=True)
    shutil.copy(os.path.join(e2e.ROOT, ".gitignore"), checkout)
    os.symlink(data, os.path.join(checkout, ".data"))
    subprocess.run([os.path.join(e2e.ROOT, "scripts/source-tree"), os.path.join(copy, "tree")],
                   cwd=checkout, check=True)
    same(os.listdir(os.path.join(copy, "tree")), [".gitignore"], name)


pg_config = os.path.join(e2e.bindir(), "pg_config")
man_pages()
sources_without_data()
install(pg_config)
dist(meta(), pg_config)
e2e.done()
