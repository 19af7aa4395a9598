#!/usr/bin/env python3
"""Saves one ResNet from PyTorch as .pth, .safetensors, .npz and .onnx (batch norms kept), lets `graft convert` turn each
into an .npz and compares the results' SHA-256: the four must be the same model, bit for bit.

Usage: check_formats.py GRAFT [ARCH]      e.g. check_formats.py build/dev/bin/graft resnet50
Prints one line per format; exit 1 when they differ. Needs torch, torchvision, onnx, safetensors, numpy."""
import hashlib
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torchvision
from safetensors.torch import save_file

from make_formats import export_onnx


def main():
    graft, arch = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "resnet50"
    torch.manual_seed(0)
    model = getattr(torchvision.models, arch)()
    model.train()
    with torch.no_grad():
        model(torch.randn(4, 3, 64, 64))  # running statistics that differ from 0 and 1
    model.eval()
    for module in model.modules():  # ONNX has no place for the count of batches
        if isinstance(module, torch.nn.BatchNorm2d):
            module.num_batches_tracked.zero_()
    state = model.state_dict()
    digests = set()
    with tempfile.TemporaryDirectory() as folder:
        at = lambda name: os.path.join(folder, name)
        torch.save(state, at("m.pth"))
        torch.save(state, at("legacy.pth"), _use_new_zipfile_serialization=False)
        save_file(state, at("m.safetensors"))
        np.savez(at("m.npz"), **{name: tensor.numpy() for name, tensor in state.items()})
        export_onnx(model, at("m.onnx"))
        for name in ("m.pth", "legacy.pth", "m.safetensors", "m.npz", "m.onnx"):
            native = ["--arch", arch] if name.endswith(".onnx") else []  # otherwise an .onnx is a graph with tensors of its own
            subprocess.run([graft, "convert", at(name), at("out.npz"), *native], check=True, stdout=subprocess.DEVNULL)
            with open(at("out.npz"), "rb") as file:
                digest = hashlib.sha256(file.read()).hexdigest()
            digests.add(digest)
            print(f"{arch} from {name:14} {digest}")
    if len(digests) != 1:
        sys.exit("the models differ")
    print("one model, bit for bit")


if __name__ == "__main__":
    main()
