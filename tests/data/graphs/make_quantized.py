"""A small classifier quantized by onnxruntime in its three ways, and onnxruntime's answers.
pip install numpy onnx onnxruntime; python make_quantized.py: quantized_{qdq,qoperator,dynamic}.onnx and
quantized.npz (x, and an answer a file; `float` is the classifier's own)."""
import os
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper as h, numpy_helper as nh
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

rng = np.random.default_rng(7)


def weight(name, *shape):
    fan = np.prod(shape[1:])
    return nh.from_array((rng.standard_normal(shape) * (2 / fan) ** 0.5).astype(np.float32), name)


def classifier():
    nodes = [
        h.make_node("Conv", ["images", "w1", "b1"], ["c1"], name="c1", strides=[2, 2], pads=[1, 1, 1, 1]),
        h.make_node("Relu", ["c1"], ["r1"], name="r1"),
        h.make_node("MaxPool", ["r1"], ["m"], name="m", kernel_shape=[2, 2], strides=[2, 2]),
        h.make_node("Conv", ["m", "w2", "b2"], ["c2"], name="c2", pads=[1, 1, 1, 1]),
        h.make_node("Relu", ["c2"], ["r2"], name="r2"),
        h.make_node("Conv", ["m", "w3", "b3"], ["c3"], name="c3"),
        h.make_node("Relu", ["c3"], ["r3"], name="r3"),
        h.make_node("Add", ["r2", "r3"], ["s"], name="s"),
        h.make_node("Concat", ["s", "r3"], ["j"], name="j", axis=1),
        h.make_node("GlobalAveragePool", ["j"], ["p"], name="p"),
        h.make_node("Flatten", ["p"], ["f"], name="f"),
        h.make_node("Gemm", ["f", "w4", "b4"], ["logits"], name="fc", transB=1),
    ]
    graph = h.make_graph(
        nodes, "small",
        [h.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 16, 16])],
        [h.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 5])],
        [weight("w1", 8, 3, 3, 3), weight("b1", 8), weight("w2", 8, 8, 3, 3), weight("b2", 8), weight("w3", 8, 8, 1, 1),
         weight("b3", 8), weight("w4", 5, 16), weight("b4", 5)])
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], ir_version=8)


class Images(CalibrationDataReader):
    def __init__(self):
        self.left = [rng.uniform(-2, 2, (1, 3, 16, 16)).astype(np.float32) for _ in range(16)]

    def get_next(self):
        return {"images": self.left.pop()} if self.left else None


def answers(path, x):
    options = ort.SessionOptions()  # as the nodes say it, not as onnxruntime would fuse them
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, {"images": x})[0]


with tempfile.TemporaryDirectory() as folder:
    source = os.path.join(folder, "float.onnx")
    onnx.save(classifier(), source)
    quantize_static(source, "quantized_qdq.onnx", Images(), quant_format=QuantFormat.QDQ, per_channel=True,
                    weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8)
    quantize_static(source, "quantized_qoperator.onnx", Images(), quant_format=QuantFormat.QOperator,
                    weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8)
    quantize_dynamic(source, "quantized_dynamic.onnx", weight_type=QuantType.QUInt8)
    x = rng.uniform(-2, 2, (4, 3, 16, 16)).astype(np.float32)
    np.savez_compressed("quantized.npz", x=x, float=answers(source, x),
                        **{k: answers(f"quantized_{k}.onnx", x) for k in ("qdq", "qoperator", "dynamic")})
