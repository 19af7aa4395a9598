#!/usr/bin/env python3
"""Fuzzes the reading of HDF5: damaged copies of small Keras files through `graft inspect`, which lets libhdf5 read them in a
process of its own. libhdf5 may crash there; the command must end with code 0 or 3 and say at most one sentence.

Usage: hdf5_process.py SECONDS [GRAFT] [SEED]     (default: build/dev/bin/graft; exit 1 when anything was found)
What is found lies in build/fuzz/found/hdf5-*. Standard library only.
"""
import collections
import pathlib
import random
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAGIC = [b"\x89HDF\r\n\x1a\n", b"OHDR", b"OCHK", b"TREE", b"SNOD", b"HEAP", b"GCOL", b"FRHP", b"FHDB", b"BTHD"]


def damage(data, rng):
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        at = rng.randrange(8, len(out))
        if rng.random() < 0.5:  # near a structure: that is where parsers are
            places = [i for m in MAGIC for i in [out.find(m, rng.randrange(len(out)))] if i >= 0]
            at = min(len(out) - 9, max(8, rng.choice(places) + rng.randrange(64))) if places else at
        kind = rng.randrange(6)
        if kind == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == 2:
            out[at : at + 8] = rng.choice([0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1, len(out), at]).to_bytes(8, "little")
        elif kind == 3:
            source, length = rng.randrange(len(out)), rng.randrange(1, 64)
            out[at : at + length] = out[source : source + length]
        elif kind == 4:
            del out[at : at + rng.randrange(1, 32)]
        else:
            del out[rng.randrange(len(out) // 2, len(out)) :]
        if len(out) < 32:
            break
    return bytes(out)


def main():
    seconds = float(sys.argv[1])
    graft = sys.argv[2] if len(sys.argv) > 2 else str(ROOT / "build/dev/bin/graft")
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    seeds = [path.read_bytes() for path in sorted((ROOT / "tests/data/keras").glob("*.h5"))]
    found = ROOT / "build/fuzz/found"
    found.mkdir(parents=True, exist_ok=True)
    file = found / f"hdf5-current-{rng.randrange(1 << 30)}.h5"
    outcomes, bad, begin, slowest = collections.Counter(), 0, time.time(), 0.0
    while time.time() - begin < seconds:
        file.write_bytes(damage(rng.choice(seeds), rng))
        started = time.time()
        result = subprocess.run([graft, "inspect", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=300)
        slowest = max(slowest, time.time() - started)
        said = result.stderr.decode(errors="replace")
        if result.returncode not in (0, 3) or said.count("\n") > 1 or (result.returncode == 3 and not said.startswith(f"graft: {file}: ")):
            bad += 1
            file.replace(found / f"hdf5-{bad}-{result.returncode}.h5")
            print("FOUND", result.returncode, said, flush=True)
        kind = "read" if result.returncode == 0 else "libhdf5 crashed" if "crashed" in said else "stopped" if "stopped" in said else "refused"
        outcomes[kind] += 1
    file.unlink(missing_ok=True)
    print(f"hdf5: {sum(outcomes.values())} files in {time.time() - begin:.0f} s, {dict(outcomes)}, slowest {slowest:.1f} s, {bad} findings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
