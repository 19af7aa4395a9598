#!/usr/bin/env python3
"""Compares the C functions that libgraft shows with capi/graft.map, the list of all there are.

Usage: tools/check_c_symbols.py LIBGRAFT   libgraft.a or libgraft.so
A function of C is a global, visible symbol that is not mangled. Also compared: what capi/graft.h declares. Exit status 1 when
any of the three differ.
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What the linker and the compiler's runtime put into shared libraries.
NOT_OURS = re.compile(r"_init|_fini|__bss_start|_edata|_end|__(asan|ubsan|tsan|odr_asan|gcov|sanitizer)_.*|GRAFT_C_\d+")


def listed():
    text = re.sub(r"#[^\n]*", "", (ROOT / "capi/graft.map").read_text())
    return set(re.findall(r"\b(\w+);", text))


def declared():
    text = re.sub(r"//[^\n]*", "", (ROOT / "capi/graft.h").read_text())
    return set(re.findall(r"^GRAFT_C_API[^(;]*?\b(\w+)\(", text, re.MULTILINE))


def shown(library):
    table = "--syms" if library.suffix == ".a" else "--dyn-syms"
    out = subprocess.run(["readelf", "-W", table, library], check=True, capture_output=True, text=True).stdout
    names = set()
    for line in out.splitlines():
        field = line.split()
        if len(field) < 8 or field[4] not in ("GLOBAL", "WEAK") or field[5] != "DEFAULT" or field[6] == "UND":
            continue
        name = field[7].split("@")[0]
        if not name.startswith("_Z") and not NOT_OURS.fullmatch(name):
            names.add(name)
    return names


def main():
    library = Path(sys.argv[1])
    faults = []
    known = listed()
    for what, names in (("capi/graft.h declares", declared()), (f"{library.name} shows", shown(library))):
        faults += [f"{what} {name}, which capi/graft.map does not list" for name in sorted(names - known)]
        faults += [f"capi/graft.map lists {name}, which is not what {what}" for name in sorted(known - names)]
    print("\n".join(faults + [f"{len(known)} C functions, {len(faults)} faults"]))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
