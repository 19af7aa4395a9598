"""Whole networks against onnxruntime. Needs torch, torchvision, onnx, onnxruntime, numpy (onnxscript for dynamo's exporter).

    cmake --build build/dev --target graft_command
    python tests/conformance/run_networks.py [--graft build/dev/bin/graft] [--light FOLDER] [--exports NAME,...] [--work FOLDER]

--light: the folder of light_*.onnx (their weights are constants): each is given seeded He-normal weights and random batch-norm
statistics. --exports: torchvision networks with random weights and statistics, exported by PyTorch's TorchScript-based and
dynamo-based exporters. Each graph runs in `graft run` and in onnxruntime on the same random images: the largest difference,
relative to the largest output, must be below 1e-4. Exports also train: one epoch of `graft finetune --freeze none` on random
images. Exit 1 when anything fails.
"""
import argparse
import logging
import os
import pathlib
import subprocess
import sys
import warnings

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
ROOT = pathlib.Path(__file__).resolve().parents[2]
EXPORTS = "resnet18,resnet50,mobilenet_v2,densenet121,squeezenet1_1,vgg11_bn,efficientnet_b0,convnext_tiny,deeplabv3_resnet50"


def reference(path, feed):
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, feed)[0]


def compare(options, path, name, x):
    """The largest relative difference, or a sentence."""
    np.save(options.work / "x.npy", x)
    done = subprocess.run([options.graft, "run", path, "--input", options.work / "x.npy", "--output", options.work / "out"], capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip()
    y = np.load(options.work / "out" / (name.replace("/", "_") + ".npy"))
    expected = reference(path, {onnx_input(path): x})
    return float(np.abs(y - expected).max() / np.abs(expected).max())


def onnx_input(path):
    graph = onnx.load(path, load_external_data=False).graph
    stored = {i.name for i in graph.initializer}
    return next(i.name for i in graph.input if i.name not in stored)


def reweight(path, out):
    """Constant weights become random ones: He-normal filters, norms near neutral. A final Softmax, which may hide
    differences behind one sure class, goes."""
    model = onnx.load(path)
    graph, rng = model.graph, np.random.default_rng(0)
    shapes = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    roles = {}
    for node in graph.node:
        for i, name in enumerate(node.input):
            roles.setdefault(name, (node.op_type, i))
    kept, made = [], []
    for node in graph.node:
        if node.op_type != "ConstantOfShape":
            kept.append(node)
            continue
        shape = shapes[node.input[0]]
        op, i = roles.get(node.output[0], ("", 0))
        if op == "BatchNormalization":
            value = rng.uniform(0.5, 1.5, shape) if i in (1, 4) else rng.normal(0, 0.1, shape)
        elif len(shape) >= 2:
            value = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        else:
            value = rng.normal(0, 0.1, shape) + (1 if op in ("Unsqueeze", "Mul") else 0)
        made.append(numpy_helper.from_array(value.astype(np.float32), node.output[0]))
    if kept[-1].op_type == "Softmax":
        graph.output[0].name = kept.pop().input[0]
        graph.output[0].type.tensor_type.ClearField("shape")
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(made)
    model.ir_version = max(model.ir_version, 4)
    onnx.save(model, out)


def export(name, kind, out):
    import torch
    import torchvision

    torch.manual_seed(0)
    if name.startswith("deeplab"):
        class Out(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.network = torchvision.models.segmentation.deeplabv3_resnet50(weights=None, weights_backbone=None)

            def forward(self, x):
                return self.network(x)["out"]
        model = Out()
    else:
        model = getattr(torchvision.models, name)(weights=None)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    model.eval()
    x = torch.randn(1, 3, 224, 224)
    if kind == "script":
        torch.onnx.export(model, x, out, dynamo=False, input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "N"}, "y": {0: "N"}})
    else:
        torch.onnx.export(model, (x,), out, dynamo=True, input_names=["x"], output_names=["y"], dynamic_shapes=({0: torch.export.Dim("N")},), verbose=False)


def train_step(options, path, side):
    """'' or why an epoch of fine-tuning everything failed."""
    rng = np.random.default_rng(1)
    np.savez(options.work / "photos.npz", x=rng.integers(0, 256, (12, 64, 64, 3), np.uint8), y=np.arange(12) % 2)
    done = subprocess.run([options.graft, "finetune", "--weights", path, "--data", options.work / "photos.npz", "--out", options.work / "run", "--overwrite", "--freeze",
                           "none", "--epochs", "1", "--batch", "4", "--image-size", str(side), "--lr", "0.0001"], capture_output=True, text=True)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--graft", default=ROOT / "build" / "dev" / "bin" / "graft")
    parser.add_argument("--light", type=pathlib.Path)
    parser.add_argument("--exports", default=EXPORTS)
    parser.add_argument("--work", default=ROOT / "build" / "networks", type=pathlib.Path)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    x = np.random.default_rng(0).normal(size=(2, 3, 224, 224)).astype(np.float32)
    failed = 0

    def tell(name, answer, trained=""):
        nonlocal failed
        bad = isinstance(answer, str) or not answer < 1e-4 or trained
        failed += bool(bad)
        print(f"{name:40} {answer if isinstance(answer, str) else f'{answer:.1e}'} {('training: ' + trained) if trained else ''} {'FAILED' if bad else ''}", flush=True)

    for path in sorted(options.light.glob("light_*.onnx")) if options.light else []:
        out = options.work / path.name
        reweight(path, out)
        tell(path.stem, compare(options, out, onnx.load(out).graph.output[0].name, x[:1]))
        os.remove(out)
    for name in filter(None, options.exports.split(",")):
        for kind in ("script", "dynamo"):
            out = options.work / f"{name}_{kind}.onnx"
            try:
                if not out.exists():
                    export(name, kind, out)
            except Exception as error:
                tell(f"{name} {kind}", "the export failed: " + str(error)[:100])
                continue
            tell(f"{name} {kind}", compare(options, out, "y", x), train_step(options, out, 224 if name.startswith("vgg") else 64))
    sys.exit(1 if failed else 0)


main()
