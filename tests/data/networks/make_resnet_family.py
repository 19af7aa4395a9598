#!/usr/bin/env python3
"""Writes what torchvision and timm compute with the ResNet family, for tests/models/resnet_family_test.cpp:
  resnet_family.txt          a line a name of graft: whose it is, parameters, buffers, numbers, SHA-256 of their listing
  resnet_family.safetensors  NAME.logits of two 32x32 images, in float64, batch norms on running statistics; for small
                             networks of each kind also summaries of gradients of a loss

Weights and images are make_networks.py's formula. Usage: make_resnet_family.py NAME ... (graft's names). Needs torch,
torchvision, timm, safetensors."""
import hashlib
import os
import sys

import timm
import torch
import torch.nn.functional as F
import torchvision
from safetensors.torch import save_file
from timm.models.resnet import BasicBlock, Bottleneck, ResNet

from make_feature_networks import listing
from make_networks import HERE, fill, image, labels, summaries

# One block a stage, each kind once; the test has the same list.
SMALL = {
    "grouped": dict(block=Bottleneck, cardinality=8, base_width=8),
    "wide": dict(block=Bottleneck, base_width=96),
    "deep": dict(block=Bottleneck, stem_width=32, stem_type="deep", avg_down=True),
    "tiered": dict(block=BasicBlock, stem_width=32, stem_type="deep_tiered", avg_down=True),
    "squeeze": dict(block=BasicBlock, block_args=dict(attn_layer="se")),
    "eca": dict(block=Bottleneck, block_args=dict(attn_layer="eca")),
}


def made(name, classes):
    """The network under a name, and whose it is."""
    if hasattr(torchvision.models, name):
        return getattr(torchvision.models, name)(num_classes=classes), "torchvision"
    return timm.create_model(name, num_classes=classes), "timm"


def main():
    out = {}
    with open(os.path.join(HERE, "resnet_family.txt"), "w") as file:
        for name in sys.argv[1:]:
            model, whose = made(name, 10)
            numbers = sum(p.numel() for p in model.parameters())
            digest = hashlib.sha256("".join(listing(model)).encode()).hexdigest()
            file.write(f"{name} {whose} {len(list(model.parameters()))} {len(list(model.buffers()))} {numbers} {digest}\n")
            with torch.no_grad():
                out[name + ".logits"] = fill(model).double().eval()(image(name, 2, 3, 32, 32).double())
            print(name, whose, out[name + ".logits"][0, :3].tolist())
    for name, options in SMALL.items():
        model = fill(ResNet(layers=[1, 1, 1, 1], num_classes=10, **options)).double().eval()
        logits = model(image(name, 2, 3, 64, 64).double())
        F.cross_entropy(logits, labels(2, 10)).backward()
        out[name + ".logits"] = logits.detach()
        out[name + ".gradients"] = summaries((n, p.grad) for n, p in model.named_parameters())
        print(name, logits[0, :3].tolist())
    save_file({k: v.contiguous() for k, v in out.items()}, os.path.join(HERE, "resnet_family.safetensors"))


if __name__ == "__main__":
    main()
