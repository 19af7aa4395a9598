#!/usr/bin/env python3
"""Exports networks with `graft convert IN OUT.onnx` and checks them from outside: onnx's checker accepts the file,
onnxruntime's answer is PyTorch's within 1e-4 relative; and a graft .safetensors of a ResNet loads into torchvision with
strict=True and answers the same.

Usage: check_export.py GRAFT [ARCH...]     Needs torch, torchvision, onnx, onnxruntime, safetensors, numpy.
Prints one line a network; exit 1 when one fails."""
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
import torch
import torchvision
from safetensors.torch import load_file

DEFAULT = ["resnet18", "resnet50", "squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "densenet121", "vgg11_bn", "vgg11"]


def relative(a, b):
    return float(np.abs(a - b).max() / np.abs(b).max())


def check(graft, arch, folder):
    torch.manual_seed(0)
    model = getattr(torchvision.models, arch)(num_classes=10)
    with torch.no_grad():
        model.train()(torch.randn(8, 3, 64, 64))  # running statistics that differ from 0 and 1
        model.eval()
        x = torch.randn(2, 3, 224, 224)
        expected = model(x).numpy()
    source, out = os.path.join(folder, arch + ".pth"), os.path.join(folder, arch)
    torch.save(model.state_dict(), source)
    for extension in (".onnx", ".safetensors"):
        subprocess.run([graft, "convert", source, out + extension], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    onnx.checker.check_model(out + ".onnx", full_check=True)
    session = onnxruntime.InferenceSession(out + ".onnx", providers=["CPUExecutionProvider"])
    error = relative(session.run(None, {"input": x.numpy()})[0], expected)
    twin = getattr(torchvision.models, arch)(num_classes=10).eval()
    twin.load_state_dict(load_file(out + ".safetensors"), strict=True)
    with torch.no_grad():
        back = relative(twin(x).numpy(), expected)
    print(f"{arch}: onnxruntime {error:.1e}, torchvision from safetensors {back:.1e}")
    return error < 1e-4 and back < 1e-6


def main():
    with tempfile.TemporaryDirectory() as folder:
        results = [check(sys.argv[1], arch, folder) for arch in sys.argv[2:] or DEFAULT]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
