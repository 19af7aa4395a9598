"""Writes one small state dict in every format graft reads, for tests/io. Needs torch, numpy, safetensors, onnx.

Run in this folder: python make_weights.py
"""
import collections

import numpy as np
import onnx
import safetensors.torch
import torch
from onnx import numpy_helper

rng = np.random.default_rng(20)


def values(shape, dtype):
    if dtype == np.bool_:
        return rng.integers(0, 2, shape).astype(np.bool_)
    if np.issubdtype(dtype, np.floating):
        return rng.standard_normal(shape).astype(dtype)
    return rng.integers(-100 if np.issubdtype(dtype, np.signedinteger) else 0, 100, shape).astype(dtype)


arrays = collections.OrderedDict(
    [
        ("conv1.weight", values((4, 3, 3, 3), np.float32)),
        ("bn1.running_var", values((4,), np.float64)),
        ("bn1.num_batches_tracked", np.array(7, np.int64)),
        ("fc.weight", values((5, 4), np.float16)),
        ("empty", np.zeros((0, 3), np.float32)),
        ("index", values((3,), np.int32)),
        ("small", values((2, 2), np.int8)),
        ("pixels", values((2, 3), np.uint8)),
        ("mask", values((7,), np.bool_)),
        ("special", np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45], np.float32)),
    ]
)
tensors = collections.OrderedDict((name, torch.from_numpy(array.copy())) for name, array in arrays.items())

np.savez("same.npz", **arrays)
np.savez_compressed("same_deflated.npz", **arrays)
safetensors.torch.save_file(dict(tensors), "same.safetensors", metadata={"format": "pt", "made by": "make_weights.py"})
torch.save(tensors, "same.pth")
torch.save(tensors, "same_legacy.pth", _use_new_zipfile_serialization=False)
identity = onnx.helper.make_node("Identity", ["conv1.weight"], ["y"])
graph = onnx.helper.make_graph(
    [identity], "same", [], [onnx.helper.make_tensor_value_info("y", 1, [4, 3, 3, 3])],
    initializer=[numpy_helper.from_array(array, name) for name, array in arrays.items()],
)
onnx.save(onnx.helper.make_model(graph, producer_name="make_weights"), "same.onnx")

# numpy's other forms: Fortran order, wider and unsigned integers, version 3 header, a 0-dim array
np.savez(
    "forms.npz", fortran=np.asfortranarray(np.arange(24, dtype=np.float32).reshape(2, 3, 4)),
    int16=np.array([-5, 300], np.int16), uint16=np.array([65535], np.uint16), uint32=np.array([4294967295], np.uint32),
    uint64=np.array([2**63 - 1], np.uint64), scalar=np.array(2.5),
)
np.save("object.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
np.save("big_endian.npy", np.arange(3, dtype=">f4"))
np.save("uint64_too_large.npy", np.array([2**63], np.uint64))
np.save("structured.npy", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")]))
with open("version3.npy", "wb") as file:
    np.lib.format.write_array(file, np.arange(6, dtype=np.int32).reshape(2, 3), version=(3, 0))

# safetensors' 16-bit, unsigned and 8-bit floating types
wide = {"bf16": torch.tensor([1.5, -2.0], dtype=torch.bfloat16), "u16": torch.tensor([65535], dtype=torch.uint16),
        "u32": torch.tensor([4294967295], dtype=torch.uint32), "u64": torch.tensor([5], dtype=torch.uint64),
        "i16": torch.tensor([-3], dtype=torch.int16)}
safetensors.torch.save_file(wide, "wide.safetensors")
safetensors.torch.save_file({"w": torch.zeros(4, dtype=torch.float8_e4m3fn)}, "float8.safetensors")
