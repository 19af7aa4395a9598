"""Writes node_cases.npz: ONNX node cases that tests/models/onnx_cases_test.cpp runs. Needs onnx (1.23.2) and numpy.

    python tests/conformance/run_node_cases.py ...        (writes build/onnx_cases/node)
    python tests/data/graphs/pack_cases.py build/onnx_cases/node LIST

LIST names the candidates, one a line (those that pass). Kept are the cases without an expansion into other operators
whose files take at most 1,500 bytes: an array of bytes a case, a line "PATH SIZE" for each of its files, an empty line, and the files.
"""
import pathlib
import sys

import numpy as np

folder, names = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).read_text().split()
arrays = {}
for name in sorted(names):
    files = sorted(p for p in (folder / name).rglob("*") if p.is_file())
    if name.endswith("_expanded") or "_expanded_" in name or sum(p.stat().st_size for p in files) > 1500:
        continue
    table = "".join(f"{p.relative_to(folder / name)} {p.stat().st_size}\n" for p in files)
    arrays[name] = np.frombuffer(table.encode() + b"\n" + b"".join(p.read_bytes() for p in files), np.uint8)
np.savez_compressed(pathlib.Path(__file__).parent / "node_cases.npz", **arrays)
print(len(arrays), "cases")
