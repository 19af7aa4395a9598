#!/usr/bin/env python3
"""Lists functions that public headers declare and that a shared libgraft would not export.

Usage: tools/check_exports.py LIBGRAFT [NAMES]   LIBGRAFT: libgraft.a or libgraft.so. NAMES: a file that gets all that is exported
A header is public when it says GRAFT_API or is included by one that does. Exit status 1 when there is any such function.
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("core", "kernels", "layers", "io", "models", "train", "api")


def public_headers():
    """Paths and texts of the public headers."""
    texts = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.h")):
            texts[str(path.relative_to(ROOT))] = path.read_text()
    todo = [name for name, text in texts.items() if "GRAFT_API" in text and name != "core/base/export.h"]
    found = set()
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        todo += [n for n in re.findall(r'#include "graft/([^"]+)"', texts[name]) if n in texts]
    return {name: re.sub(r"//[^\n]*", "", texts[name]) for name in sorted(found)}


def functions(library):
    """(mangled, demangled, is hidden) of the library's own global functions."""
    table = "--dyn-syms" if library.suffix != ".a" else "--syms"
    out = subprocess.run(["readelf", "-W", table, library], check=True, capture_output=True, text=True).stdout
    rows = []
    for line in out.splitlines():
        field = line.split()
        if len(field) >= 8 and field[3] == "FUNC" and field[4] == "GLOBAL" and field[6] != "UND":
            rows.append((field[7].split("@")[0], field[5] == "HIDDEN"))
    names = subprocess.run(["c++filt"], input="\n".join(mangled for mangled, _ in rows), check=True, capture_output=True,
                           text=True).stdout.splitlines()
    return [(mangled, name, hidden) for (mangled, hidden), name in zip(rows, names) if name.startswith("graft::")]


def unqualified(name):
    """graft::Tensor::of<int>(graft::Shape const&) -> ["graft", "Tensor", "of"]."""
    name = re.sub(r"\[abi:\w+\]", "", name)
    while True:
        shorter = re.sub(r"<[^<>]*>", "", name)
        if shorter == name:
            break
        name = shorter
    return re.split(r"::", name.split("(")[0].strip().split(" ")[-1])


def first_type(name):
    """A pattern for the first parameter's type, without its namespaces; "" for fundamental types and none."""
    parameter = name.split("(", 1)[1].split(",")[0].rstrip(")").split("<")[0]
    word = re.search(r"(?:\w+::)+(\w+)", parameter)
    return rf"\b{word.group(1)}\b" if word and not word.group(1).startswith(("basic_string", "__")) else ""


def main():
    library = Path(sys.argv[1])
    headers = public_headers()
    everything = functions(library)
    if not everything:
        sys.exit(f"{library}: has no functions of graft")
    faults = set()
    for _, name, hidden in everything:
        if not hidden:
            continue
        parts = unqualified(name)
        scope = parts[-2] if len(parts) > 1 else ""
        for header, text in headers.items():
            declared = re.search(rf"(?<![\w:.>]){re.escape(parts[-1])}\s*\([^)]*{first_type(name)}", text)
            inside = re.search(rf"\b(?:class|struct|namespace)\s+(?:GRAFT_API\s+)?(?:[\w:]+::)?{re.escape(scope)}\b", text)
            if declared and inside:
                faults.add(f"{header}: {name} is declared here and not exported: GRAFT_API is missing")
                break
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_text("".join(f"{m}\n" for m, _, hidden in everything if not hidden))
    for fault in sorted(faults):
        print(fault)
    print(f"{len(everything)} functions, {len(headers)} public headers, {len(faults)} not exported")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
