"""Gradients of imported graphs against PyTorch. Needs torch, onnx, numpy.

    cmake --build build/dev --target graph_gradients
    python tests/conformance/run_gradients.py [--tool build/dev/graph_gradients] [--light FOLDER] [--work FOLDER] [MODEL.onnx ...]

--light: the folder of light_*.onnx, each with the seeded weights of run_networks.py. The gradient of mean(y^2) with respect
to every parameter is compared with that of the same nodes interpreted by torch (torch_graph.py) in double: relative L2
distance a tensor, at most 1e-3 (tensors whose gradient is below 1e-6 of the largest are left out). In float32 a ReLU or a
maximum whose inputs lie within rounding of each other may fall the other way and moves early gradients by more than that,
torch's as well as graft's: so up to --seeds random images are tried until one has no such tie, and torch's own distance
between float32 and double is shown; run_layers.py counts such ties. Exit 1 when a network has none.
"""
import argparse
import pathlib
import subprocess
import sys

import numpy as np
import onnx
import torch

from run_networks import ROOT, reweight
from torch_graph import TorchGraph


def torch_gradients(path, x, dtype, names):
    graph = TorchGraph(path, dtype)
    y = graph.run(torch.from_numpy(x).to(dtype), names)  # what graft folded at import is a computed value here
    (y * y).mean().backward()
    return {name: np.zeros(p.shape) if p.grad is None else p.grad.double().numpy() for name, p in graph.parameters.items() if name in names}


def distances(found, expected):
    """[(relative distance, name)], the largest first, of the gradients that are more than rounding."""
    scale = max(np.linalg.norm(expected[name]) for name in found)
    sizes = {name: np.linalg.norm(expected[name]) for name in found}
    return sorted(((float(np.linalg.norm(found[n] - expected[n]) / sizes[n]), n) for n in found if sizes[n] >= 1e-6 * scale), reverse=True)


def compare(options, path, seed):
    graph = TorchGraph(path)
    shape = [d.dim_value or 2 for d in next(i for i in graph.graph.input if i.name == graph.input).type.tensor_type.shape.dim]
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    np.save(options.work / "x.npy", x)
    subprocess.run([options.tool, path, options.work / "x.npy", options.work / "gradients.npz"], check=True)
    with np.load(options.work / "gradients.npz") as file:
        found = {name: file[name] for name in file.files}
    exact = torch_gradients(path, x, torch.float64, found)
    rounded = torch_gradients(path, x, torch.float32, found)
    return distances(found, exact), distances(rounded, exact)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", type=pathlib.Path)
    parser.add_argument("--tool", default=ROOT / "build" / "dev" / "graph_gradients")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--light", type=pathlib.Path)
    parser.add_argument("--work", default=ROOT / "build" / "networks", type=pathlib.Path)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    models, failed = list(options.models), False
    for path in sorted(options.light.glob("light_*.onnx")) if options.light else []:
        models.append(options.work / path.name)
        reweight(path, models[-1])
    for path in models:
        for seed in range(options.seeds):
            ours, torchs = compare(options, path, seed)
            print(f"{path.stem:24} seed {seed} {len(ours):4} gradients: largest distance {ours[0][0]:.1e} ({ours[0][1]}), median {ours[len(ours) // 2][0]:.1e}; "
                  f"torch's own in float32 {torchs[0][0]:.1e}", flush=True)
            if ours[0][0] <= 1e-3:
                break
        else:
            failed = True
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
