"""structure.py: holds the #include lines against the module map of docs/architecture.md, and the
names of public functions against the names of their files.

The map has a table for each program, from the top to the ground. A file may include what a later
row names, and nothing else of the project. "Room" is what a row names: a .c file, a .h file or both.

The name of a public function, which is one that a header declares, begins with the name of that
header, or its singular, or a type that the header defines. FAMILIES and PREFIXES list what else it
may begin with.
"""
import os
import re

PROGRAMS = ("extension", "proxy")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)
# What libraries bring; not a part of this project.
NOT_OURS = ("proxy/page/vendor",)
# Families of files: any of them may use the bare first word, or leave it out (http_reader: reader_).
FAMILIES = {"extension/codec": "codec", "extension/read": "method", "proxy/database": "pg",
            "proxy/http": "http"}
# Further prefixes of single headers.
PREFIXES = {
    "extension/compat.h": ("historian",),       # in the place of PostgreSQL's functions
    "extension/codec/codec_bits.h": ("cursor",),    # of a ByteCursor
    "extension/table/compaction_worker.h": ("historian_compaction",),   # PostgreSQL calls by name
    "proxy/ingest/stage.h": ("staged", "value"),    # of a StagedMessage, and of its values
    "proxy/http/http_close.h": ("connection",),     # the last that is done with a connection
}


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def room(path):
    return re.sub(r"\.[ch]$", "", path)


def sources(top, program):
    """The program's C files, by their paths from the top."""
    found = []
    for folder, _, names in os.walk(os.path.join(top, program)):
        folder = os.path.relpath(folder, top)
        if not folder.startswith(NOT_OURS):
            found += [os.path.join(folder, name) for name in names if name.endswith((".c", ".h"))]
    return sorted(found)


def module_map(top, program):
    """Rooms and their rows, in the order of the program's table, and what is wrong with it."""
    text = read(top, "docs/architecture.md").split("## Module map")[1].split("\n## ")[0]
    table = text.split(f"### {program}/")[1].split("\n### ")[0]
    rows = {}
    wrong = []
    folder = None
    folders = []
    for number, line in enumerate(re.findall(r"^\|(.*)\|$", table, re.M)[2:]):
        cells = [cell.strip() for cell in line.split("|")]
        if cells[0]:
            folder = cells[0].strip("`").rstrip("/")
            folder = program if folder == program else os.path.join(program, folder)
            if folder in folders and folder != program:
                wrong.append(f"{folder}/ is at two places of the map")
            folders.append(folder)
        for name in re.findall(r"`([^`]+)`", cells[1]):
            path = os.path.join(folder, name)
            if path in rows:
                wrong.append(f"{path} is in the map twice")
            if not any(os.path.exists(os.path.join(top, path + end)) for end in (".c", ".h")):
                wrong.append(f"{path} is in the map, but there is no such file")
            rows[path] = number
    if not rows:
        wrong.append(f"the map has no table for {program}/")
    return rows, wrong


def includes(top, program, path):
    """What a file includes, as (spelling, path of the file in its own program or None)."""
    for quote, name in INCLUDE.findall(read(top, path)):
        places = [os.path.join(program, name)]
        if quote == '"':
            places.insert(0, os.path.normpath(os.path.join(os.path.dirname(path), name)))
        ours = [place for place in places if os.path.isfile(os.path.join(top, place))]
        yield name, ours[0] if ours else None


def check_program(top, program):
    """Everything that is wrong with a program's includes and its table, one line each."""
    rows, wrong = module_map(top, program)
    others = [other for other in PROGRAMS if other != program]
    for path in sources(top, program):
        if room(path) not in rows:
            wrong.append(f"{path} is not in the map")
            continue
        for name, target in includes(top, program, path):
            if any(name.startswith(f"{other}/") or f"../{other}/" in name
                   or target is None and os.path.isfile(os.path.join(top, other, name))
                   or target is not None and target.startswith(f"{other}/")
                   for other in others):
                wrong.append(f"{path} includes {name} of another program")
            elif target is None or room(target) == room(path):
                continue
            elif room(target) in rows and rows[room(target)] <= rows[room(path)]:
                wrong.append(f"{path} includes {name}, which is not below it")
    return wrong


def check_codec(top):
    """codec/ is pure C: it includes itself and the C library."""
    wrong = []
    library = {"float.h", "immintrin.h", "limits.h", "math.h", "stdbool.h", "stddef.h", "stdint.h",
               "stdlib.h", "string.h"}
    for path in sources(top, "extension/codec"):
        for name, target in includes(top, "extension", path):
            if not (target or "").startswith("extension/codec/") and name not in library:
                wrong.append(f"{path} includes {name}, which is not of codec/")
    return wrong


def public_functions(text):
    """The names of the functions that a header declares or defines."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"^[ \t]*#(\\\n|.)*", "", text, flags=re.M)
    braces = 1
    while braces:
        text, braces = re.subn(r"\{[^{}]*\}", ";", text)
    for declaration in text.split(";"):
        words = declaration.split(maxsplit=1)
        name = re.search(r"\b(?!__attribute__|pg_attribute)(\w+)[ \t]*\(", declaration)
        if name and words[0] != "typedef" and "ssert" not in name[1]:
            yield name[1]


def prefixes(path, text):
    """What the names of a header's functions may begin with."""
    name = room(os.path.basename(path))
    found = [name, name.removesuffix("s"), *PREFIXES.get(path, ())]
    for type_name in re.findall(r"^(?:typedef\b[^;{(]*?|\})\s*\b([A-Z]\w*)\s*;", text, re.M):
        found.append(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type_name).lower())
    family = FAMILIES.get(os.path.dirname(path))
    if family and name.startswith(f"{family}_"):
        found += [family, name.removeprefix(f"{family}_")]
    return found


def check_names(top, program):
    """Public functions whose names do not say where they are."""
    wrong = []
    for path in sources(top, program):
        if path.endswith(".h"):
            text = read(top, path)
            begins = prefixes(path, text)
            wrong += [f"{path} has {name}(), whose prefix is of another file"
                      for name in public_functions(text)
                      if not any(name == begin or name.startswith(f"{begin}_")
                                 for begin in begins)]
    return wrong


# What tools/historian/ may include of the server (ADR 0029); the other tools include nothing of it.
SHARED = ("proxy/arrow/", "proxy/base/", "proxy/ingest/", "proxy/load/copy_format.h", "proxy/database/sql_failure.h")


def check_tools(top):
    """The tools include the server's formats at most, and the server nothing of theirs."""
    wrong = []
    for path in sources(top, "tools"):
        own = os.path.dirname(path)
        for name in (name for quote, name in INCLUDE.findall(read(top, path)) if quote == '"'):
            places = [os.path.normpath(os.path.join(own, name)), os.path.join("tools", name),
                      os.path.join("proxy", name)]
            target = next((place for place in places if os.path.isfile(os.path.join(top, place))), name)
            allowed = ("tools/", *SHARED) if own == "tools/historian" else ("tools/",)
            if not target.startswith(allowed) or own == "tools" and target.startswith("tools/historian/"):
                wrong.append(f"{path} includes {name}, which is not for it")
    for path in sources(top, "proxy"):
        wrong += [f"{path} includes {name} of the tools" for _, name in INCLUDE.findall(read(top, path))
                  if "tools/" in name]
    return wrong


def check_versions(top):
    """The images and the extension have the version of META.json, and each released version a date."""
    wrong = []
    version = re.search(r'^\t"version": "(.*)",$', read(top, "META.json"), re.M)[1]
    for name in ("docker-compose.yml", "docker-compose.ha.yml"):
        for image, tag in re.findall(r"image: (pg_historian\w*-\w+):?(\S*)", read(top, name)):
            if tag != version:
                wrong.append(f"{name} has {image}:{tag}, but META.json has {version}")
    default = re.search(r"default_version = '(.*)'", read(top, "extension", "historian.control"))[1]
    if not version.startswith(default + "."):
        wrong.append(f"historian.control has {default}, but META.json has {version}")
    headings = re.findall(r"^## (.*)$", read(top, "CHANGELOG.md"), re.M)
    for number, heading in enumerate(headings):
        if not (heading == "[Unreleased]" and number == 0 or
                re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading)):
            wrong.append(f"CHANGELOG.md has the heading {heading}")
    return wrong
