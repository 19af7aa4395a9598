"""fused.onnx: one graph with each operator that onnxruntime's optimizer makes, and fused.npz: its answers.
Run here: python make_fused.py (onnx, onnxruntime, numpy)."""
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(0)
weights, nodes, outputs = {}, [], []


def stored(name, *shape):
    weights[name] = random.standard_normal(shape).astype(np.float32)
    return name


def fused(op, inputs, count=1, domain="com.microsoft", **attributes):
    name = f"{op}_{len(nodes)}"
    named = [name] if count == 1 else [name, "", "", name + "_sum"]
    nodes.append(helper.make_node(op, inputs, named, name=name + "_node", domain=domain, **attributes))
    outputs.extend(n for n in named if n)


conv = ["image", stored("w", 4, 3, 3, 3), stored("b", 4)]
fused("FusedConv", conv, activation="Relu", pads=[1, 1, 1, 1])
fused("FusedConv", conv + [stored("z", 2, 4, 6, 6)], activation="Relu", pads=[1, 1, 1, 1])
fused("FusedConv", conv, activation="LeakyRelu", activation_params=[0.2])
fused("FusedConv", conv, activation="Clip", activation_params=[-0.5, 1.5])
fused("FusedConv", conv, activation="HardSigmoid", activation_params=[0.3, 0.4])
gemm = ["rows", stored("g", 5, 8), stored("c", 5)]
fused("FusedGemm", gemm, activation="Relu", transB=1)
fused("FusedGemm", gemm, activation="LeakyRelu", activation_alpha=0.3, transB=1, alpha=0.5)
fused("FusedMatMul", ["rows", stored("m", 8, 5)], alpha=0.25)
bias = stored("bias", 8)
fused("Gelu", ["rows"])
fused("BiasGelu", ["rows", bias])
fused("FastGelu", ["rows"])
fused("FastGelu", ["rows", bias])
fused("QuickGelu", ["rows"], alpha=1.5)
norm = [stored("gamma", 8), stored("beta", 8)]
skip = ["words", stored("skip", 1, 4, 8)]
fused("SkipLayerNormalization", skip + norm, epsilon=1e-6)
fused("SkipLayerNormalization", skip + norm + [bias], count=4)
fused("SkipSimplifiedLayerNormalization", skip + norm[:1] + [bias], count=4)
fused("SimplifiedLayerNormalization", ["words", "gamma"], domain="", axis=-1, epsilon=1e-5, stash_type=1)

inputs = {"image": (2, 3, 6, 6), "rows": (3, 8), "words": (1, 4, 8)}
graph = helper.make_graph(
    nodes, "fused", [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
    [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs],
    [numpy_helper.from_array(a, n) for n, a in weights.items()])
model = helper.make_model(graph, ir_version=8, opset_imports=[
    helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)])
onnx.save(model, "fused.onnx")
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
session = onnxruntime.InferenceSession("fused.onnx", options, providers=["CPUExecutionProvider"])
feeds = {n: random.standard_normal(s).astype(np.float32) for n, s in inputs.items()}
answers = dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds)))
np.savez("fused.npz", **feeds, **answers)
