#!/usr/bin/env python3
"""Lists for which GPUs a program carries code: reads the CUDA fat binaries in it, needs no CUDA tool.

Usage: tools/cuda_targets.py FILE [WANTED...]     WANTED: sm_90, compute_100, sm_90:HGMMA (an instruction of its code) ... ; exit 1
when one is missing.
"""
import collections
import struct
import sys

MAGIC = struct.pack("<I", 0xBA55ED50)
KINDS = {1: "compute", 2: "sm"}  # PTX, machine code
# Low twelve bits of an instruction's 16 bytes, read off cuobjdump's listing: products of a warpgroup, copies by tensor maps.
OPCODES = {0x9F0: "HGMMA", 0x5B4: "UTMALDG", 0x3B4: "UTMALDG"}


def instructions(cubin):
    """Names of OPCODES that stand in the code sections of an ELF image; of one that is compressed, none."""
    if cubin[:4] != b"\x7fELF":
        return set()
    (table,) = struct.unpack_from("<Q", cubin, 40)
    entry, count = struct.unpack_from("<HH", cubin, 58)
    found = set()
    for i in range(count):
        kind, flags = struct.unpack_from("<IQ", cubin, table + i * entry + 4)
        at, size = struct.unpack_from("<QQ", cubin, table + i * entry + 24)
        if kind == 1 and flags & 4:  # bits of the program, executable
            found.update(OPCODES.get(word & 0xFFF) for (word,) in struct.iter_unpack("<Q8x", cubin[at:at + size // 16 * 16]))
    return found - {None}


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
            if kind == 2:
                found.update(f"sm_{arch}:{name}" for name in instructions(data[entry + entry_header:entry + entry_header + payload]))
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
