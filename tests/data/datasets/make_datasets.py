"""Writes the small data sets of tests/io/datasets_test.cpp that C++ cannot write by itself: gzipped IDX files and .npz.

Needs numpy. Run in this folder: python make_datasets.py
"""
import gzip
import pathlib
import struct

import numpy as np

pathlib.Path("idx").mkdir(exist_ok=True)
pathlib.Path("idx_gz").mkdir(exist_ok=True)
for part, count in {"train": 20, "t10k": 6}.items():
    images = (np.arange(count * 4 * 5) * 7 % 256).astype(np.uint8)
    labels = (np.arange(count) % 3).astype(np.uint8)
    contents = {
        f"{part}-images-idx3-ubyte": struct.pack(">IIII", 0x803, count, 4, 5) + images.tobytes(),
        f"{part}-labels-idx1-ubyte": struct.pack(">II", 0x801, count) + labels.tobytes(),
    }
    for name, content in contents.items():
        pathlib.Path("idx", name).write_bytes(content)
        pathlib.Path("idx_gz", name + ".gz").write_bytes(gzip.compress(content, mtime=0))

rng = np.random.default_rng(3)
x = rng.integers(0, 256, (9, 4, 5, 3), np.uint8)
y = np.arange(9) % 3
np.savez("colour.npz", x=x, y=y)
np.savez_compressed("grey.npz", x=x[..., 0], y=y.astype(np.uint8))
bad = {
    "no_labels": dict(x=x), "floating_pixels": dict(x=x.astype(np.float32), y=y), "rank_2": dict(x=x[:, :, 0, 0], y=y),
    "four_channels": dict(x=np.zeros((9, 4, 5, 4), np.uint8), y=y), "fewer_labels": dict(x=x, y=y[:-1]), "floating_labels": dict(x=x, y=y * 1.0),
    "negative_label": dict(x=x, y=y - 1), "huge_label": dict(x=x, y=y + 2**40), "one_class": dict(x=x, y=y * 0), "no_samples": dict(x=x[:0], y=y[:0]),
}
for name, arrays in bad.items():
    np.savez_compressed(f"bad_{name}.npz", **arrays)
