"""pairs_lines: compares what the benchmarks of two versions printed, for tests/bench/pairs.

    pairs_lines.py --header
    pairs_lines.py NAME FOLDER    FOLDER has what NAME.base.ROUND and NAME.here.ROUND printed

For each line that both versions have: the medians of both, and the ratios of the rounds, greater where this version
is better.
"""
import glob
import os
import re
import statistics
import sys

NUMBER = r"\d[\d,]*(?:\.\d+)?"
FORMAT = "%-9s %-58s %12s %12s %-7s %7s %16s"

# What the columns of a series of the codec are, from the last one back.
SERIES = ((-1, "find + value", "ns"), (-2, "open", "ns"), (-3, "decode", "million/s"), (-4, "encode to fit", "million/s"),
          (-5, "encode", "million/s"), (2, "bytes with page", "bytes"))


def number(text):
    return float(text.replace(",", ""))


def lines_of_ingest(text):
    """Lines of say(): what, goal and figure in columns. The first figure counts, of a lag the 99th hundredth."""
    for line in text.splitlines():
        what, figure = line[:56].strip(), line[91:149].strip()
        match = re.search(rf"p99 ({NUMBER})", figure) if figure.startswith("p50") else \
            re.match(rf"({NUMBER})\s*(\S*)", figure)
        if match and what not in ("", "what"):
            unit = "ms" if figure.startswith("p50") else match[2].rstrip(",:")
            yield what, number(match[1]), unit


def lines_of_codec(text):
    """Lines of a series, with many figures, and of goals."""
    for line in text.splitlines():
        goal = re.match(rf"  (\S.*?)\s+[<>]=?\s+{NUMBER}\s+({NUMBER}) (.*?)\s+(?:met|NOT MET)$", line)
        series = re.match(rf"(\S.{{21}})((?:\s+{NUMBER}){{9,11}})$", line)
        if goal:
            yield goal[1], number(goal[2]), "million/s" if goal[3].startswith("million") else goal[3].strip()
        elif series:
            figures = [number(figure) for figure in series[2].split()]
            for place, what, unit in SERIES:
                yield f"{series[1].strip()}: {what}", figures[place], unit


def lines_of_late(text):
    """Sentences that begin with what they are of: figures with units, and at last milliseconds."""
    for line in text.splitlines():
        name, _, figures = line.partition(": ")
        if figures.startswith("median ms"):
            yield f"{name}: reads", number(figures.rsplit(" ", 1)[1]), "ms"
        elif " MB WAL" in figures:
            for figure, what in re.findall(rf"({NUMBER}) (MB WAL|MB pages|bytes a row|MB table)", figures):
                yield f"{name}: {what}", number(figure), ""


def lines_of_table(text):
    """Lines of a name and figures, the first of which counts."""
    for line in text.splitlines():
        match = re.match(rf"\s*(\S.*?)\s\s+({NUMBER})(?:\s+(ms)\b|\s|$)", line)
        if match:
            yield match[1], number(match[2]), match[3] or "bytes"


def read(name, path):
    """{what: (figure, unit)}; lines of the same name, as of several tables, are numbered."""
    lines = {"codec": lines_of_codec, "query": lines_of_table, "late": lines_of_late, "size": lines_of_table}
    with open(path, encoding="utf-8") as file:
        text = file.read()
    found = {}
    for what, figure, unit in lines.get(name, lines_of_ingest)(text):
        times = sum(1 for other in found if other == what or other.startswith(what + " #"))
        found[what + (f" #{times + 1}" if times else "")] = figure, unit
    return found


def compare(name, folder):
    rounds = len(glob.glob(os.path.join(folder, name + ".here.*")))
    both = [[read(name, os.path.join(folder, f"{name}.{version}.{i}")) for version in ("base", "here")]
            for i in range(rounds)]
    compared = 0
    for what, (_, unit) in both[0][1].items():
        if not all(what in version and version[what][0] > 0 for pair in both for version in pair):
            continue
        base, here = ([pair[i][what][0] for pair in both] for i in (0, 1))
        ratios = [h / b if unit.endswith("/s") else b / h for b, h in zip(base, here)]
        print(FORMAT % (name, what[:58], f"{statistics.median(base):.2f}", f"{statistics.median(here):.2f}", unit,
                        f"{statistics.median(ratios):.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}"), flush=True)
        compared += 1
    if not compared:
        sys.exit(f"pairs_lines: no line of {name} was understood")


if __name__ == "__main__":
    if sys.argv[1:] == ["--header"]:
        print(FORMAT % ("", "line", "former", "this", "", "ratio", "of the rounds"), flush=True)
    else:
        compare(*sys.argv[1:])
