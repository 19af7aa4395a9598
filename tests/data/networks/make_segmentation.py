#!/usr/bin/env python3
"""Writes what torchvision's segmentation networks compute, for tests/models/segmentation/torchvision_segmentation_test.cpp:
  segmentation.safetensors   NAME.logits [1,3,64,96], float32 of a float64 pass, batch norms on running statistics

Weights and images are make_networks.py's formula of torchvision's names. Needs torch, torchvision, safetensors."""
import os

import torch
import torchvision
from safetensors.torch import save_file

from make_networks import HERE, fill, image

NAMES = ["deeplabv3_resnet50", "deeplabv3_resnet101", "fcn_resnet50", "fcn_resnet101"]


def main():
    out = {}
    for name in NAMES:
        model = getattr(torchvision.models.segmentation, name)(
            weights=None, weights_backbone=None, num_classes=3, aux_loss=True)
        with torch.no_grad():
            logits = fill(model).double().eval()(image(name, 1, 3, 64, 96).double())["out"]
        out[name + ".logits"] = logits.float().contiguous()
        print(name, logits[0, :, 0, 0].tolist(), logits.std().item())
    save_file(out, os.path.join(HERE, "segmentation.safetensors"))


if __name__ == "__main__":
    main()
