"""Whole networks against onnxruntime. Needs torch, torchvision, onnx, onnxruntime, numpy (onnxscript for dynamo's exporter).

    cmake --build build/dev --target graft_command
    python tests/conformance/run_networks.py [--graft build/dev/bin/graft] [--light FOLDER] [--exports NAME,...] [--work FOLDER]

--light: the folder of light_*.onnx (their weights are constants): each is given seeded He-normal weights and random batch-norm
statistics. --exports: torchvision networks with random weights and statistics, exported by PyTorch's TorchScript-based and
dynamo-based exporters, each with an open batch and with a fixed batch of 2. Each graph runs in `graft run` and in onnxruntime
on the same random images: the largest difference, relative to the largest output, must be below 1e-4. Exports also train:
one epoch of `graft finetune` on random images (all layers; --freeze: what stays frozen). The model then leaves as .onnx: onnx's
checker accepts it, the card is in it, and onnxruntime's answer to prepared images is graft's within 1e-4. Exit 1 when anything fails.
"""
import argparse
import json
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


def export(name, kind, batch, out):
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
    x = torch.randn(2, 3, 224, 224)
    names = {"input_names": ["x"], "output_names": ["y"]}
    if kind == "script":
        axes = {"x": {0: "N"}, "y": {0: "N"}} if batch == "open" else None
        torch.onnx.export(model, x, out, dynamo=False, dynamic_axes=axes, **names)
    else:
        shapes = ({0: torch.export.Dim("N")},) if batch == "open" else None
        torch.onnx.export(model, (x,), out, dynamo=True, dynamic_shapes=shapes, verbose=False, external_data=False, **names)


def graft(options, *arguments):
    """stdout; RuntimeError with graft's last line when it fails."""
    done = subprocess.run([options.graft, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return done.stdout


def train(options, path, side, batch):
    """One epoch from the exported graph."""
    rng = np.random.default_rng(1)
    np.savez(options.work / "photos.npz", x=rng.integers(0, 256, (12, 64, 64, 3), np.uint8), y=np.arange(12) % 2)
    graft(options, "finetune", "--weights", path, "--data", options.work / "photos.npz", "--out", options.work / "run", "--overwrite", "--freeze", options.freeze,
          "--epochs", "1", "--batch", str(batch), "--image-size", side, "--lr", "0.0001")
    metrics = [json.loads(line) for line in open(options.work / "run" / "metrics.jsonl")]
    if not all(np.isfinite(m["loss"]) for m in metrics):
        raise RuntimeError(f"the loss is {metrics[-1]['loss']}")


def leave(options):
    """The largest relative difference between graft and onnxruntime on the trained model as .onnx."""
    trained, out = options.work / "run" / "model.safetensors", options.work / "trained.onnx"
    graft(options, "convert", trained, out)
    onnx.checker.check_model(str(out), full_check=True)
    model = onnx.load(out)
    if "graft.card" not in {p.key for p in model.metadata_props}:
        raise RuntimeError("the card is not in the exported file")
    name, declared = model.graph.output[0].name, model.graph.input[0].type.tensor_type.shape.dim
    side = declared[2].dim_value or 224
    x = np.random.default_rng(2).normal(size=(2, 3, side, side)).astype(np.float32)
    found = reference(out, {onnx_input(out): x})
    np.save(options.work / "x.npy", x)
    verified = json.loads(graft(options, "verify", trained, out, "--json"))
    if not verified["same_answers"]:
        raise RuntimeError("graft verify: the .onnx is another network")
    graft(options, "run", out, "--input", options.work / "x.npy", "--output", options.work / "out")
    expected = np.load(options.work / "out" / (name.replace("/", "_") + ".npy"))
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--graft", default=ROOT / "build" / "dev" / "bin" / "graft")
    parser.add_argument("--light", type=pathlib.Path)
    parser.add_argument("--exports", default=EXPORTS)
    parser.add_argument("--batch", default="open,fixed")
    parser.add_argument("--freeze", default="none")
    parser.add_argument("--remove", action="store_true", help="the exported files, each after its turn")
    parser.add_argument("--work", default=ROOT / "build" / "networks", type=pathlib.Path)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    x = np.random.default_rng(0).normal(size=(2, 3, 224, 224)).astype(np.float32)
    failed = 0

    def tell(name, answer, trained=""):
        nonlocal failed
        bad = isinstance(answer, str) or not answer < 1e-4 or trained
        failed += bool(bad)
        print(f"{name:64} {answer if isinstance(answer, str) else f'{answer:.1e}'} {('training: ' + trained) if trained else ''} {'FAILED' if bad else ''}", flush=True)

    for path in sorted(options.light.glob("light_*.onnx")) if options.light else []:
        out = options.work / path.name
        reweight(path, out)
        tell(path.stem, compare(options, out, onnx.load(out).graph.output[0].name, x[:1]))
        os.remove(out)
    for name in filter(None, options.exports.split(",")):
        for kind, batch in [(k, b) for k in ("script", "dynamo") for b in options.batch.split(",")]:
            title, out = f"{name} {kind} {batch}", options.work / f"{name}_{kind}_{batch}.onnx"
            try:
                if not out.exists():
                    export(name, kind, batch, out)
            except Exception as error:
                tell(title, f"torch failed: {type(error).__name__}: {str(error)[:300]}")
                continue
            answer, trained = compare(options, out, "y", x), ""
            try:
                # vgg flattens a map; deeplab resizes to the size, and by dynamo the batch, that a fixed export stores
                train(options, out, 224 if name.startswith(("vgg", "deeplab")) else 64, 2 if batch == "fixed" else 4)
                left = leave(options)
                trained = "" if left < 1e-4 else f"onnxruntime differs by {left:.1e}"
                title += f" (trained, exported: {left:.1e})"
            except Exception as error:
                trained = str(error)
            tell(title, answer, trained)
            if options.remove:
                os.remove(out)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
