#!/usr/bin/env python3
"""Writes cut18.pth and cut18.onnx: torchvision's ResNet-18 up to layer1, one set of weights in two formats. (graft writes
the other two itself.) The weights are make_networks.py's formula in steps of 1/64, so that git stores them in little.

Usage: make_formats.py. Needs torch, torchvision, onnx; made with torch 2.11."""
import os

import torch
import torchvision

from make_networks import HERE, fill


class Cut(torch.nn.Module):
    def __init__(self, whole):
        super().__init__()
        self.conv1, self.bn1, self.relu, self.maxpool, self.layer1 = whole.conv1, whole.bn1, whole.relu, whole.maxpool, whole.layer1

    def forward(self, x):
        return self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(x)))))


def export_onnx(model, path):
    """Batch norms are kept as nodes: nothing is folded."""
    torch.onnx.export(model, torch.zeros(1, 3, 64, 64), path, opset_version=17, dynamo=False, do_constant_folding=False,
                      training=torch.onnx.TrainingMode.PRESERVE, input_names=["x"], output_names=["y"],
                      dynamic_axes={"x": {0: "n"}, "y": {0: "n"}})


def main():
    model = Cut(fill(torchvision.models.resnet18())).eval()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_((tensor * 64).round() / 64)
        # Two equal batch norms: the exporter stores them once, behind Identity nodes.
        model.layer1[1].bn1.load_state_dict(model.layer1[0].bn1.state_dict())
    torch.save(model.state_dict(), os.path.join(HERE, "cut18.pth"))
    export_onnx(model, os.path.join(HERE, "cut18.onnx"))


if __name__ == "__main__":
    main()
