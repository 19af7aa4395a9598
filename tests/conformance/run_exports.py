"""Exports torchvision's networks with random seeded weights by torch.export.save and compares graft's answers with PyTorch's.

    python tests/conformance/run_exports.py [--tool build/release/bin/graft] [--work FOLDER] [--bound 1e-4] [NETWORK ...]

A network is one of torchvision.models.list_models(), "seg:NAME" of torchvision.models.segmentation, or "timm:NAME". Without names:
every classifier of torchvision, smallest first, then deeplabv3_resnet50 and timm's vit_tiny_patch16_224 where timm is installed. One
line each: the network, its parameters in millions, the archive's MB, and the largest difference of two images' answers divided by the
largest answer. Batch norms get statistics that are not a new network's. Needs torch, torchvision, numpy. Exit 1 when one misses the bound.
"""
import argparse
import gc
import os
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import torch
import torchvision

warnings.filterwarnings("ignore")


def build(name):
    torch.manual_seed(0)
    if name.startswith("timm:"):
        import timm
        return timm.create_model(name[5:], pretrained=False)
    if name.startswith("seg:"):
        return torchvision.models.get_model(name[4:], weights=None, weights_backbone=None)
    options = {"googlenet": {"aux_logits": False, "init_weights": True}, "inception_v3": {"init_weights": True}}
    return torchvision.models.get_model(name, weights=None, **options.get(name, {}))


def settle(network):
    """Activations of a usual size through every layer, so that answers are not zeros."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    return network.eval()


def compare(name, options):
    network = settle(build(name))
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    side = 299 if name == "inception_v3" else 224
    x = torch.randn(2, 3, side, side)
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        path = os.path.join(folder, "m.pt2")
        with torch.no_grad():
            wanted = network(x)
        wanted = wanted["out"] if isinstance(wanted, dict) else wanted
        program = torch.export.export(network, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},))
        torch.export.save(program, path)
        del program, network
        gc.collect()
        np.save(os.path.join(folder, "x.npy"), x.numpy())
        answer = subprocess.run([options.tool, "run", path, "--input", os.path.join(folder, "x.npy"), "--output",
                                 os.path.join(folder, "out")], capture_output=True, text=True)
        if answer.returncode != 0:
            return f"{name}: {(answer.stderr or answer.stdout).strip().splitlines()[-1]}", False
        outputs = [np.load(os.path.join(folder, "out", f)) for f in sorted(os.listdir(os.path.join(folder, "out")))]
        got = next(y for y in outputs if y.shape == tuple(wanted.shape))
        apart = float(np.abs(got - wanted.numpy()).max() / np.abs(wanted.numpy()).max())
        return f"| {name} | {millions:.1f} | {os.path.getsize(path) / 1e6:.0f} | {apart:.1e} |", apart <= options.bound


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", default="build/release/bin/graft")
    parser.add_argument("--work", default=None)
    parser.add_argument("--bound", type=float, default=1e-4)
    parser.add_argument("networks", nargs="*")
    options = parser.parse_args()
    names = options.networks
    if not names:
        with torch.device("meta"):
            sizes = {n: sum(p.numel() for p in build(n).parameters()) for n in torchvision.models.list_models(torchvision.models)}
        names = sorted(sizes, key=sizes.get) + ["seg:deeplabv3_resnet50"]
        try:
            import timm  # noqa: F401
            names.append("timm:vit_tiny_patch16_224")
        except ImportError:
            pass
    missed = 0
    for name in names:
        began = time.time()
        try:
            line, good = compare(name, options)
        except Exception as error:  # one network's failure is a line of the table
            line, good = f"{name}: {str(error).splitlines()[0][:300]}", False
        missed += not good
        print(line, "" if good else "MISSED", f"{time.time() - began:.0f} s", flush=True)
    print(f"{len(names) - missed} of {len(names)} within {options.bound}")
    sys.exit(missed > 0)


main()
