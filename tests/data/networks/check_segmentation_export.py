#!/usr/bin/env python3
"""torchvision's segmentation networks through graft, checked from outside: `graft convert` reads a state dict with random
weights and settled norms and writes ONNX; onnx's checker accepts it and onnxruntime's logits per pixel are PyTorch's within
1e-4 relative.

Usage: check_segmentation_export.py GRAFT [NAME...]     Needs torch, torchvision, onnx, onnxruntime, numpy.
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

DEFAULT = ["deeplabv3_resnet50", "fcn_resnet50"]


def check(graft, name, folder):
    torch.manual_seed(0)
    model = getattr(torchvision.models.segmentation, name)(
        weights=None, weights_backbone=None, num_classes=5, aux_loss=True)
    with torch.no_grad():
        model.train()(torch.randn(4, 3, 64, 64))  # running statistics that differ from 0 and 1
        model.eval()
        x = torch.randn(2, 3, 224, 224)
        expected = model(x)["out"].numpy()
    source, out = os.path.join(folder, name + ".pth"), os.path.join(folder, name + ".onnx")
    torch.save(model.state_dict(), source)
    subprocess.run([graft, "convert", source, out], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    onnx.checker.check_model(out, full_check=True)
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    answer = session.run(None, {"input": x.numpy()})[0]
    error = float(np.abs(answer - expected).max() / np.abs(expected).max())
    print(f"{name}: onnxruntime {error:.1e}")
    return error < 1e-4


def main():
    with tempfile.TemporaryDirectory() as folder:
        results = [check(sys.argv[1], name, folder) for name in sys.argv[2:] or DEFAULT]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
