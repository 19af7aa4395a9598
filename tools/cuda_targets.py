#!/usr/bin/env python3
"""Lists for which GPUs a program carries code: reads the CUDA fat binaries in it, needs no CUDA tool.

Usage: tools/cuda_targets.py FILE [WANTED...]     WANTED: sm_90, compute_100 ... ; exit 1 when one is missing.
"""
import collections
import struct
import sys

MAGIC = struct.pack("<I", 0xBA55ED50)
KINDS = {1: "compute", 2: "sm"}  # PTX, machine code


def targets(data):
    """Counts of "sm_80", "compute_100" ... over all fat binaries of a file."""
    found = collections.Counter()
    at = data.find(MAGIC)
    while at >= 0:
        header, size = struct.unpack_from("<HQ", data, at + 6)
        entry, end = at + header, at + header + size
        while entry + 32 <= min(end, len(data)):
            kind, _, entry_header = struct.unpack_from("<HHI", data, entry)
            (payload,) = struct.unpack_from("<Q", data, entry + 8)
            (arch,) = struct.unpack_from("<I", data, entry + 28)
            if kind not in KINDS or entry_header < 32:
                break
            found[f"{KINDS[kind]}_{arch}"] += 1
            entry += entry_header + payload
        at = data.find(MAGIC, max(end, at + 4) if end <= len(data) else at + 4)
    return found


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as file:
        found = targets(file.read())
    print(", ".join(f"{name}: {count}" for name, count in sorted(found.items())) or "no code for GPUs")
    missing = [name for name in sys.argv[2:] if name not in found]
    if missing:
        sys.exit("missing: " + ", ".join(missing))


main()
