#!/usr/bin/env python3
"""Writes what PyTorch computes with whole networks, for tests/models/*_test.cpp:
  resnet18_names.txt, resnet50_names.txt   torchvision's parameters and buffers: kind, name, shape
  networks.safetensors                     logits, losses, summaries of gradients and updates
  cifar.safetensors                        synthetic images and what the CIFAR ResNet-20 and -56 say of them

Weights and images are a formula of (name, index) that tests/support/network_formula.h repeats bit for bit, so that none
are stored. All is computed in float64 unless said. A tensor's summary is its norm, eight projections on random signs
and its first, middle and last element: from the projections of two tensors follows the norm of their difference.

Usage: make_networks.py [FOLDER WITH resnet56 .th]. Needs torch, torchvision, safetensors; made with torch 2.11.
"""
import collections
import glob
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..", "..")
torch.use_deterministic_algorithms(True)


def hashes(name, count):
    """splitmix64 of FNV-1a(name) + index * the golden ratio."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(h) + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def centred(name, shape):
    """Uniform in [-1, 1), multiples of 2^-23."""
    count = int(np.prod(shape))
    return (2 * ((hashes(name, count) >> np.uint64(40)).astype(np.float64) / 2**24) - 1).reshape(shape)


def formula(name, shape):
    c = centred(name, shape)
    if len(shape) == 4:
        c = c * np.sqrt(6.0 / (shape[0] * shape[2] * shape[3]))  # He, fan out
    elif len(shape) == 2:
        c = c * np.sqrt(3.0 / shape[1])
    elif name.endswith("running_var"):
        c = 1 + 0.5 * c
    elif name.endswith("weight"):
        c = 0.75 + 0.25 * c
    else:
        c = 0.1 * c
    return torch.from_numpy(c.astype(np.float32))


def fill(model):
    state = model.state_dict()
    for name, tensor in state.items():
        if not name.endswith("num_batches_tracked"):
            tensor.copy_(formula(name, tuple(tensor.shape)))
    return model


def image(name, *shape):
    return torch.from_numpy((2 * centred(name, shape)).astype(np.float32))


def labels(count, classes):
    return (torch.arange(count) * 7 + 3) % classes


def summary(name, tensor):
    values = tensor.detach().double().numpy().ravel()
    bits = hashes("projection " + name, values.size)
    row = [np.sqrt((values * values).sum())]
    for j in range(8):
        row.append(np.where((bits >> np.uint64(j)) & np.uint64(1), values, -values).sum())
    return row + [values[0], values[values.size // 2], values[-1]]


def summaries(tensors):
    return torch.tensor([summary(name, tensor) for name, tensor in tensors], dtype=torch.float64)


def float_buffers(model):
    return [(n, b) for n, b in model.named_buffers() if not n.endswith("num_batches_tracked")]


def write_names(arch):
    model = getattr(torchvision.models, arch)()
    with open(os.path.join(HERE, arch + "_names.txt"), "w") as out:
        for kind, tensors in (("parameter", model.named_parameters()), ("buffer", model.named_buffers())):
            for name, tensor in tensors:
                out.write(f"{kind} {name} [{','.join(str(e) for e in tensor.shape)}]\n")


def resnet50(out, name, training):
    """One step of SGD. In float32 PyTorch's own gradients are 2 % off when batch norms use these small batches'
    statistics (ReLUs flip), so that case is for float64. On running statistics they are 2e-6 off, with images for which
    nothing flips: of "image 0" to "image 149", 0 keeps every ReLU's input and every max pool's lead farthest from zero,
    7.5 times PyTorch's root mean square float32 error in that layer ("image", 0.8 times, was 1.5 % off on AVX-512)."""
    model = fill(torchvision.models.resnet50()).double().train(training)
    x, target = image("image 0", 2, 3, 64, 64).double(), labels(2, 1000)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    logits = model(x)
    loss = F.cross_entropy(logits, target)
    loss.backward()
    out[name + ".logits"] = logits.detach()
    out[name + ".loss"] = loss.detach()
    out[name + ".gradients"] = summaries((n, p.grad) for n, p in model.named_parameters())
    out[name + ".buffers"] = summaries(float_buffers(model))
    optimizer.step()
    out[name + ".parameters"] = summaries(model.named_parameters())
    out[name + ".updates"] = summaries((n, p.detach() - before[n]) for n, p in model.named_parameters())


def resnet50_v1(out):
    """Caffe's variant: stride in the first 1x1, stem pool padded at the end only, other eps, cut after layer2, grey."""
    model = torchvision.models.resnet50()
    model.conv1 = torch.nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    for layer in (model.layer2, model.layer3, model.layer4):
        layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 1e-3
    fill(model).double().eval()
    with torch.no_grad():
        a = F.relu(model.bn1(model.conv1(image("grey", 1, 1, 48, 40).double())))
        a = F.max_pool2d(F.pad(a, (0, 1, 0, 1), value=float("-inf")), 3, 2)
        out["resnet50_v1.features"] = model.layer2(model.layer1(a)).mean((2, 3))


def training(out, name, make_optimizer, dtype, frozen):
    """20 steps of ResNet-18 on four 32x32 images."""
    model = fill(torchvision.models.resnet18(num_classes=10)).to(dtype)
    x, target = image("image", 4, 3, 32, 32).to(dtype), labels(4, 10)
    model.train(not frozen)
    if frozen:
        for n, p in model.named_parameters():
            p.requires_grad_(n.startswith("fc."))
    optimizer = make_optimizer([p for p in model.parameters() if p.requires_grad])
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(name, losses)
    out[name] = torch.tensor(losses, dtype=torch.float64)


class CifarBlock(torch.nn.Module):
    """Option A of He et al. 2016, section 4.2, with the names of the akamaster checkpoints."""

    def __init__(self, inner, outer, stride):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(outer)
        self.conv2 = torch.nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(outer)
        self.more = outer - inner

    def forward(self, a):
        shortcut = F.pad(a[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more // 2)) if self.more else a
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(a))))) + shortcut)


class CifarResNet(torch.nn.Module):
    def __init__(self, depth, classes=10):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(16)
        inner = 16
        for stage, outer in enumerate((16, 32, 64)):
            blocks = []
            for block in range((depth - 2) // 6):
                blocks.append(CifarBlock(inner, outer, 2 if stage and not block else 1))
                inner = outer
            setattr(self, f"layer{stage + 1}", torch.nn.Sequential(*blocks))
        self.linear = torch.nn.Linear(64, classes)

    def forward(self, a):
        a = F.relu(self.bn1(self.conv1(a)))
        a = self.layer3(self.layer2(self.layer1(a)))
        return self.linear(a.mean((2, 3)))


def cifar_images():
    """Eight coloured blobs on gradients, bytes as an image file holds them."""
    rows, columns = np.mgrid[0:32, 0:32] / 31.0
    images = np.zeros((8, 3, 32, 32), np.uint8)
    for i in range(8):
        c = centred(f"blob {i}", (3, 6))
        for channel, (gx, gy, height, px, py, size) in enumerate(c):
            blob = np.exp(-((columns - 0.5 - px / 3) ** 2 + (rows - 0.5 - py / 3) ** 2) / (0.02 + 0.06 * (size + 1)))
            images[i, channel] = np.clip(127 + 60 * gx * columns + 60 * gy * rows + 120 * height * blob, 0, 255)
    return torch.from_numpy(images)


def cifar(folder):
    images = cifar_images()
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = ((images.double() / 255) - mean.double()[:, None, None]) / deviation.double()[:, None, None]
    out = {"images": images}
    files = {20: os.path.join(ROOT, "examples", "pretrained", "cifar10_resnet20.th")}
    for path in glob.glob(os.path.join(folder, "*56*.th")):
        files[56] = path
    for depth, path in files.items():
        checkpoint = torch.load(path, map_location="cpu", weights_only=False)
        state = collections.OrderedDict((k.removeprefix("module."), v) for k, v in checkpoint["state_dict"].items())
        model = CifarResNet(depth)
        model.load_state_dict(state)
        model.double().eval()
        with torch.no_grad():
            out[f"resnet{depth}.logits"] = model(x)
        print(depth, out[f"resnet{depth}.logits"].argmax(1).tolist())
    save_file(out, os.path.join(HERE, "cifar.safetensors"))


def main():
    for arch in ("resnet18", "resnet50"):
        write_names(arch)
    out = {}
    resnet50(out, "resnet50.evaluation", False)
    resnet50(out, "resnet50.training", True)
    resnet50_v1(out)
    sgd = lambda p: torch.optim.SGD(p, lr=0.002, momentum=0.9)
    adam = lambda p: torch.optim.Adam(p, lr=1e-4)
    training(out, "resnet18.sgd", sgd, torch.float64, False)
    training(out, "resnet18.adam", adam, torch.float64, False)
    training(out, "resnet18.frozen_backbone", lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9), torch.float32, True)
    save_file({k: v.contiguous() for k, v in out.items()}, os.path.join(HERE, "networks.safetensors"))
    cifar(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "..", "shared", "data", "models", "cifar10_resnet_akamaster"))


if __name__ == "__main__":
    main()
