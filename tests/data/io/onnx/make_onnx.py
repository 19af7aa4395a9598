"""Writes the ONNX models that tests/io/onnx_test.cpp reads. Needs onnx and numpy.

Run in this folder: python make_onnx.py
"""
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Every element type that graft reads, with values at the ends of its range where they fit.
VALUES = {
    "float32": (TensorProto.FLOAT, [0.5, -2.0, 3.25, 1e30]),
    "float64": (TensorProto.DOUBLE, [0.1, -2.0, 1e300, 4.0]),
    "float16": (TensorProto.FLOAT16, [0.5, -2.0, 65504.0, 6e-8]),
    "bfloat16": (TensorProto.BFLOAT16, [0.5, -2.0, 3.0, 2.0**100]),
    "int64": (TensorProto.INT64, [-(2**63), 2**63 - 1, 0, 7]),
    "int32": (TensorProto.INT32, [-(2**31), 2**31 - 1, 0, 7]),
    "int16": (TensorProto.INT16, [-(2**15), 2**15 - 1, 0, 7]),
    "int8": (TensorProto.INT8, [-128, 127, 0, 7]),
    "uint64": (TensorProto.UINT64, [0, 2**63 - 1, 1, 7]),
    "uint32": (TensorProto.UINT32, [0, 2**32 - 1, 1, 7]),
    "uint16": (TensorProto.UINT16, [0, 2**16 - 1, 1, 7]),
    "uint8": (TensorProto.UINT8, [0, 255, 1, 7]),
    "bool": (TensorProto.BOOL, [False, True, True, False]),
}


def model(graph, opset=17, ir=8, **more):
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir, **more)


def output(name="y", shape=(4,), kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def constants_graph(tensors, name="g"):
    return helper.make_graph([helper.make_node("Identity", [tensors[0].name], ["y"])], name, [], [output()], tensors)


def raw(tensor_type, values):
    return np.array(values, helper.tensor_dtype_to_np_dtype(tensor_type)).tobytes()


typed = [helper.make_tensor(name, kind, [2, 2], values) for name, (kind, values) in VALUES.items()]
stored = [helper.make_tensor(name, kind, [2, 2], raw(kind, values), raw=True) for name, (kind, values) in VALUES.items()]
for tensors in (typed, stored):
    tensors.append(helper.make_tensor("scalar", TensorProto.FLOAT, [], [2.5]))
    tensors.append(helper.make_tensor("empty", TensorProto.FLOAT, [0, 3], []))
    tensors.append(helper.make_tensor("text", TensorProto.STRING, [2], [b"one", b"t\x00w\xc3\xb6"]))
onnx.save(model(constants_graph(typed)), "typed_fields.onnx")
onnx.save(model(constants_graph(stored)), "raw_data.onnx")

# Types that graft has no tensors for.
for name in ["FLOAT8E4M3FN", "FLOAT8E5M2", "COMPLEX64", "COMPLEX128", "INT4", "UINT4", "FLOAT4E2M1"]:
    tensor = TensorProto(name="w", data_type=getattr(TensorProto, name), dims=[2], raw_data=bytes(16))
    onnx.save(model(constants_graph([tensor])), f"refused_{name.lower()}.onnx")

# An attribute of every kind, on an operator of a domain of our own.
inner = helper.make_graph([helper.make_node("Relu", ["x"], ["z"])], "inner", [], [output("z")])
small = helper.make_tensor("t", TensorProto.INT64, [2], [3, 4])
node = helper.make_node("Everything", ["x", "", "w"], ["y", "second"], name="all", domain="org.example")
node.attribute.extend([
    helper.make_attribute("f", 0.25), helper.make_attribute("i", -7), helper.make_attribute("s", "same"),
    helper.make_attribute("t", small), helper.make_attribute("g", inner),
    helper.make_attribute("fs", [1.5, -2.5]), helper.make_attribute("is", [1, -(2**63), 2**63 - 1]),
    helper.make_attribute("ss", ["a", "", "c"]), helper.make_attribute("ts", [small, small]),
    helper.make_attribute("gs", [inner, inner]),
    helper.make_attribute("tp", helper.make_tensor_type_proto(TensorProto.FLOAT, [1])),
    onnx.AttributeProto(name="none", type=onnx.AttributeProto.INTS),
])
untyped = node.attribute.add()  # as in files before 2017: no type field
untyped.name, untyped.i = "untyped", 9
weight = numpy_helper.from_array(np.arange(4, dtype=np.float32), "w")
graph = helper.make_graph(
    [node], "attributes",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, None, 4]),
     helper.make_tensor_sequence_value_info("seq", TensorProto.FLOAT, None)],
    [output(), output("second", None)], [weight], doc_string="a text", value_info=[output("middle", (2, 5), TensorProto.INT32)])
made = helper.make_model(
    graph, ir_version=9, producer_name="make_onnx", producer_version="1.2", domain="org.example.models", model_version=42,
    opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("org.example", 2)])
helper.set_model_props(made, {"author": "nobody", "empty": ""})
onnx.save(made, "attributes.onnx")

# If inside If: the graphs of attributes, which see the outer names.
def branch(name, nodes, out):
    return helper.make_graph(nodes, name, [], [output(out)], [numpy_helper.from_array(np.float32([len(name)]), name + "_w")])

deep = helper.make_node("If", ["c"], ["d"], then_branch=branch("deep_then", [helper.make_node("Neg", ["x"], ["d1"])], "d1"),
                        else_branch=branch("deep_else", [helper.make_node("Abs", ["x"], ["d2"])], "d2"))
top = helper.make_node("If", ["c"], ["y"], then_branch=branch("then", [deep], "d"),
                       else_branch=branch("else", [helper.make_node("Exp", ["x"], ["e"])], "e"))
onnx.save(model(helper.make_graph([top], "branches", [output("x"), output("c", (), TensorProto.BOOL)], [output()])), "branches.onnx")

# A model-local function with a default attribute and one that refers to it.
body = helper.make_node("LeakyRelu", ["a"], ["b"])
reference = body.attribute.add()
reference.name, reference.ref_attr_name, reference.type = "alpha", "slope", onnx.AttributeProto.FLOAT
function = helper.make_function("org.example", "Leaky", ["a"], ["b"], [body], [helper.make_opsetid("", 17)],
                                ["required"], [helper.make_attribute("slope", 0.125)])
call = helper.make_node("Leaky", ["x"], ["y"], domain="org.example", required=1)
onnx.save(model(helper.make_graph([call], "calls", [output("x")], [output()]), functions=[function]), "function.onnx")

# Weights as Constant nodes of every form, and initializers that are inputs too (IR 3, opset 6).
nodes = [helper.make_node("Constant", [], ["tensor"], value=small), helper.make_node("Constant", [], ["float"], value_float=1.5),
         helper.make_node("Constant", [], ["int"], value_int=-3), helper.make_node("Constant", [], ["floats"], value_floats=[1.0, 2.0]),
         helper.make_node("Constant", [], ["ints"], value_ints=[4, 5, 6]), helper.make_node("Constant", [], ["string"], value_string="s"),
         helper.make_node("Add", ["x", "w"], ["y"])]
onnx.save(model(helper.make_graph(nodes, "constants", [output("x"), output("w")], [output()], [weight]), opset=6, ir=3), "constants.onnx")

# External data: two tensors in one file at offsets.
first = numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3), "first")
second = numpy_helper.from_array(np.arange(5, dtype=np.int64) * 10, "second")
pathlib.Path("external.bin").unlink(missing_ok=True)  # onnx appends
onnx.save(model(constants_graph([first, second])), "external.onnx", save_as_external_data=True, location="external.bin", size_threshold=0)

with open("tensor.pb", "wb") as file:  # as stored with ONNX's own tests
    file.write(numpy_helper.from_array(np.float32([[1, 2], [3, 4]]), "input_0").SerializeToString())
