#!/usr/bin/env python3
"""Writes what torchvision's feature networks are and compute, for tests/models/feature_network_test.cpp:
  feature_networks.txt          a line a network: name, how many parameters, buffers and numbers, SHA-256 of their listing
  feature_networks.safetensors  logits and summaries of gradients of a loss, in float64, batch norms on running statistics

Weights and images are make_networks.py's formula. Usage: make_feature_networks.py. Needs torch, torchvision, safetensors."""
import hashlib
import os

import torch
import torch.nn.functional as F
import torchvision
from safetensors.torch import save_file

from make_networks import HERE, fill, image, labels, summaries

NAMES = ["vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn", "squeezenet1_0", "squeezenet1_1",
         "mobilenet_v2", "densenet121", "densenet161", "densenet169", "densenet201", "mobilenet_v3_small",
         "mobilenet_v3_large", "efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4"]
# Of two 64x64 images the logits, and of some the gradients of a loss.
STEPPED = ["squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "densenet121", "mobilenet_v3_small", "efficientnet_b0"]
ANSWERED = ["mobilenet_v3_large", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4"]


def listing(model):
    lines = [f"parameter {n} [{','.join(str(e) for e in p.shape)}]\n" for n, p in model.named_parameters()]
    return lines + [f"buffer {n} [{','.join(str(e) for e in b.shape)}]\n" for n, b in model.named_buffers()]


class LinearHead(torch.nn.Module):
    """What graft makes when it cuts a network: the features up to `count` children, pooled, and "fc"."""

    def __init__(self, model, count, channels, classes):
        super().__init__()
        self.features = model.features[:count]
        self.fc = torch.nn.Linear(channels, classes)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


def step(out, name, model, x, classes):
    fill(model).double().eval()
    x = x.double()
    logits = model(x)
    F.cross_entropy(logits, labels(2, classes)).backward()
    out[name + ".logits"] = logits.detach()
    out[name + ".gradients"] = summaries((n, p.grad) for n, p in model.named_parameters())
    print(name, logits[0, :3].tolist())


def main():
    with open(os.path.join(HERE, "feature_networks.txt"), "w") as file:
        for name in NAMES:
            model = getattr(torchvision.models, name)()
            numbers = sum(p.numel() for p in model.parameters())
            digest = hashlib.sha256("".join(listing(model)).encode()).hexdigest()
            file.write(f"{name} {len(list(model.parameters()))} {len(list(model.buffers()))} {numbers} {digest}\n")
    out = {}
    for name in STEPPED:
        step(out, name, getattr(torchvision.models, name)(num_classes=10), image(name, 2, 3, 64, 64), 10)
    with torch.no_grad():
        for name in ANSWERED:
            model = fill(getattr(torchvision.models, name)(num_classes=10)).double().eval()
            out[name + ".logits"] = model(image(name, 2, 3, 64, 64).double())
    step(out, "vgg11_bn.cut", LinearHead(torchvision.models.vgg11_bn(num_classes=1), 15, 256, 10), image("vgg", 2, 3, 32, 32), 10)
    with torch.no_grad():
        out["vgg11.logits"] = fill(torchvision.models.vgg11(num_classes=10)).eval()(image("vgg", 2, 3, 32, 32)).double()
    save_file({k: v.contiguous() for k, v in out.items()}, os.path.join(HERE, "feature_networks.safetensors"))


if __name__ == "__main__":
    main()
