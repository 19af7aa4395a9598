"""How far graft's float32 values lie from double, layer by layer. Needs torch, onnx, numpy.

    cmake --build build/release --target graft_command
    python tests/conformance/run_layers.py [--graft build/release/bin/graft] [--light FOLDER] [--seed N] [--all] [MODEL.onnx ...]

Each graph (--light: with the seeded weights of run_networks.py) runs on one random image in `graft run` with the results of every Conv, Relu and
MaxPool, and what a MaxPool reads, as outputs, once as it is and once with GRAFT_WINOGRAD=off, in torch's float32, and in torch's double. Printed for each:
the largest error of a layer, relative to the layer's largest value, and how many decisions fell the other way than in double: a
ReLU that opens or closes, a maximum taken from another place. One such decision moves gradients by a finite amount, however small
the error that turned it (run_gradients.py). --all: a line a layer.
"""
import argparse
import os
import pathlib
import subprocess

import numpy as np
import onnx
import torch
import torch.nn.functional as F

from run_networks import ROOT, reweight
from torch_graph import TorchGraph, padded, window

SHOWN = ("Conv", "Relu", "MaxPool")


def with_outputs(path, out):
    """The graph with the shown nodes' results as outputs, named by number."""
    model = onnx.load(path)
    graph = model.graph
    pooled = {n.input[0] for n in graph.node if n.op_type == "MaxPool"}
    shown = [(n, n.output[0]) for n in graph.node if n.op_type in SHOWN or n.output[0] in pooled]
    del graph.output[1:]
    known = graph.output[0].name
    graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for _, name in shown if name != known)
    onnx.save(model, out)
    return shown


def in_torch(path, x, dtype):
    graph = TorchGraph(path, dtype)
    names = {n.output[0] for n in graph.graph.node} - {graph.graph.output[0].name}
    graph.run(torch.from_numpy(x).to(dtype), names)
    return {name: p.detach() for name, p in graph.parameters.items() if name in names}


def in_graft(options, path, winograd):
    environment = {k: v for k, v in os.environ.items() if k != "GRAFT_WINOGRAD"} | ({} if winograd else {"GRAFT_WINOGRAD": "off"})
    out = options.work / "layers"
    subprocess.run([options.graft, "run", path, "--input", options.work / "x.npy", "--output", out], check=True, env=environment, capture_output=True)
    return lambda name: torch.from_numpy(np.load(out / (name.replace("/", "_") + ".npy")))


def argmax(node, x):
    """Where each maximum is taken."""
    a = {i.name: onnx.helper.get_attribute_value(i) for i in node.attribute}
    kernel, stride, pads = window(a, x)
    return F.max_pool2d(padded(x, pads, float("-inf")), kernel, stride, ceil_mode=bool(a.get("ceil_mode", 0)), return_indices=True)


def turned(node, exact, value, found):
    """Decisions of a ReLU or a maximum that differ."""
    if node.op_type == "Relu":
        return int(((exact[node.output[0]] > 0) != (found > 0)).sum())
    if node.op_type == "MaxPool":
        largest, places = argmax(node, exact[node.input[0]])
        return int(((argmax(node, value(node.input[0]).double())[1] != places) & (largest != 0)).sum())
    return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", type=pathlib.Path)
    parser.add_argument("--graft", default=ROOT / "build" / "release" / "bin" / "graft")
    parser.add_argument("--light", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--work", default=ROOT / "build" / "networks", type=pathlib.Path)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    models = list(options.models)
    for path in sorted(options.light.glob("light_*.onnx")) if options.light else []:
        models.append(options.work / path.name)
        reweight(path, models[-1])
    for path in models:
        widened = options.work / "layers.onnx"
        shown = with_outputs(path, widened)
        graph = onnx.load(path).graph
        stored = {i.name for i in graph.initializer}
        shape = [d.dim_value or 2 for d in next(i for i in graph.input if i.name not in stored).type.tensor_type.shape.dim]
        x = np.random.default_rng(options.seed).normal(size=shape).astype(np.float32)
        np.save(options.work / "x.npy", x)
        exact, rounded = in_torch(path, x, torch.float64), in_torch(path, x, torch.float32)
        for title, value in (("graft", in_graft(options, widened, True)), ("graft, GRAFT_WINOGRAD=off", None), ("torch", lambda name: rounded[name])):
            value = value or in_graft(options, widened, False)
            worst, flips, decisions = (0.0, ""), 0, 0
            for node, name in shown:
                if name not in exact or node.input[0] not in exact:
                    continue
                found = value(name).double()
                error = float((found - exact[name]).abs().max() / exact[name].abs().max())
                count = turned(node, exact, value, found)
                flips += count
                decisions += exact[name].numel() if node.op_type in ("Relu", "MaxPool") else 0
                worst = max(worst, (error, name))
                if options.all:
                    print(f"    {title:26} {node.op_type:8} {name:24} {error:.1e} {count or ''}")
            print(f"{path.stem:24} {title:26} largest error of a layer {worst[0]:.1e} ({worst[1]}), {flips} of {decisions} decisions turned", flush=True)


if __name__ == "__main__":
    main()
