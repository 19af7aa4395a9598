"""Writes MXNet .params files by hand, from the published layout (mxnet's NDArray::Save), with the tensors of same.safetensors.

Needs numpy and safetensors (ml_dtypes for bfloat16). Run in this folder: python make_mxnet.py
"""
import struct

import ml_dtypes
import numpy as np
import safetensors.numpy

V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
TYPES = ["float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool", "int16", "uint16", "uint32", "uint64", "bfloat16"]


def array(a, version, storage=0):
    """One array; version 0: the oldest form, which begins with the rank. a is None: a place without an array."""
    shape = [] if a is None else a.shape
    if version == 0:
        out = struct.pack(f"<I{len(shape)}I", len(shape), *shape)
    else:
        out = struct.pack("<I", version)
        if version != V1:
            out += struct.pack("<i", storage)
        rank = -1 if a is None and version == V3 else len(shape)
        out += struct.pack(f"<i{len(shape)}q", rank, *shape)
    if a is None:
        return out
    return out + struct.pack("<iii", 1, 0, TYPES.index(a.dtype.name)) + np.ascontiguousarray(a).tobytes()


def params(arrays, names, version):
    out = struct.pack("<QQQ", 0x112, 0, len(arrays)) + b"".join(array(a, version) for a in arrays)
    out += struct.pack("<Q", len(names))
    return out + b"".join(struct.pack("<Q", len(n)) + n.encode() for n in names)


def write(name, content):
    with open(name, "wb") as file:
        file.write(content)


if __name__ == "__main__":
    same = safetensors.numpy.load_file("same.safetensors")
    whole = {n: a for n, a in same.items() if a.ndim > 0}  # before NumPy's shapes a scalar was no array
    kinds = [("aux:" if "running" in n else "arg:") + n for n in whole]
    write("same_v1.params", params(list(whole.values()), kinds, V1))
    write("same_v2.params", params(list(whole.values()), kinds, V2))
    write("same_legacy.params", params(list(whole.values()), list(whole), 0))
    write("same_v3.params", params(list(same.values()), list(same), V3))
    wide = [np.array([65535], np.uint16), np.array([-3], np.int16), np.array([1.5, -2], ml_dtypes.bfloat16), np.array([True, False]), None]
    write("unnamed.params", params(wide, [], V2))
    sparse = struct.pack("<QQQ", 0x112, 0, 1) + struct.pack("<Ii", V2, 1) + struct.pack("<iqiq", 1, 1, 1, 4)
    write("sparse.params", sparse)
