#!/usr/bin/env python3
"""Writes <name>.pt2, small seeded networks as torch.export.save leaves them (without stack traces and sample inputs),
and <name>.npz: three images x, their answers y in eval mode, and the gradients of mean(y^2) with respect to each parameter.

pip install torch torchvision numpy; run in this folder: python make_pt2.py [NAME ...]. Written with torch 2.11, torchvision 0.26.
"""
import io
import json
import sys
import zipfile

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.ops import StochasticDepth


class Cnn(nn.Module):
    """What the classifiers before transformers are made of."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.bn2 = nn.BatchNorm2d(8, eps=1e-3)
        self.squeeze = nn.Conv2d(8, 4, 1)
        self.excite = nn.Conv2d(4, 8, 1)
        self.project = nn.Conv2d(8, 8, 1)
        self.silu, self.hardswish, self.relu6 = nn.SiLU(inplace=True), nn.Hardswish(inplace=True), nn.ReLU6(inplace=True)
        self.drop = nn.Dropout(0.2, inplace=True)
        self.fc = nn.Linear(32, 5)

    def forward(self, x):
        x = self.pool(self.relu(self.bn1(self.conv1(x))))
        y = self.hardswish(self.bn2(self.depthwise(x)))
        s = self.relu(self.squeeze(F.adaptive_avg_pool2d(y, 1)))
        y = y * F.hardsigmoid(self.excite(s))
        y = self.project(y)
        y += x
        y = self.relu6(y) + self.silu(y * 0.5)
        y = F.avg_pool2d(y, 2, 1, ceil_mode=True)
        y = F.adaptive_avg_pool2d(y, (2, 2))
        return self.fc(self.drop(torch.flatten(y, 1)))


class Vit(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.positions = nn.Parameter(torch.randn(1, 17, 8))
        self.ln1, self.ln2 = nn.LayerNorm(8, eps=1e-6), nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        n = x.shape[0]
        x = self.patches(x).reshape(n, 8, 16).permute(0, 2, 1)
        x = torch.cat([self.token.expand(n, -1, -1), x], 1) + self.positions
        y = self.ln1(x)
        y, _ = self.attention(y, y, y, need_weights=False)
        x = x + self.drop(y)
        x = x + self.down(F.gelu(self.up(self.ln2(x))))
        return self.head(x[:, 0])


class Operators(nn.Module):
    """What is left of the list in docs/weights.md."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding="same")
        self.norm = nn.GroupNorm(2, 8)
        self.prelu = nn.PReLU(8)
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2)
        self.scale = nn.Parameter(torch.randn(8, 1, 1))
        self.mix = nn.Parameter(torch.randn(8, 8))
        self.register_buffer("table", torch.tensor([2, 0, 1]), persistent=False)
        self.fc = nn.Linear(26, 5)

    def forward(self, x):
        x = self.prelu(self.norm(self.conv(x)))
        n, c, h, w = x.shape
        a, b = x.chunk(2, 1)
        x = torch.cat([F.leaky_relu(a, 0.1), F.elu(b)], 1).view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
        x = F.avg_pool2d(F.pad(x, (1, 1, 0, 2), value=0.25), 2)
        x = self.up(x) * self.scale - 0.1 * x.abs().mean((2, 3), keepdim=True)
        x = F.pad(x, (1, 1, 1, 1), mode="reflect")
        x = F.interpolate(x, size=(9, 7), mode="bilinear", align_corners=False) / 2 + F.interpolate(x[:, :, :9, :7], scale_factor=1.0, mode="nearest")
        x = torch.einsum("nchw,cd->ndhw", x, self.mix).clamp(-3, 3)
        p, q = torch.split(x, [3, 5], 1)
        q = torch.sigmoid(q[:, 0:3]) + torch.roll(q[:, 2:5], (1, -2), (2, 3)).tanh()
        x = torch.stack([p, 1 - q, p.maximum(q)], 1).unbind(1)
        x = [x[0] ** 2, F.softplus(x[1]), (x[2] + 4).sqrt()]
        pooled = [F.adaptive_avg_pool2d(v, (1, 1)).flatten(1) for v in x] + [F.adaptive_avg_pool2d(x[0], (2, 2)).flatten(1)]
        pooled.append(F.adaptive_max_pool2d(x[1], 1).squeeze(-1).squeeze(-1)[:, self.table])
        pooled.append(F.pixel_shuffle(torch.cat([p, q[:, :1]], 1), 2).amax((2, 3)) * torch.exp(-p.mean((1, 2, 3)))[:, None])
        pooled.append(torch.where(p > 0, p, q).sum((2, 3)).log_softmax(-1)[:, :1])
        return self.fc(torch.cat(pooled, 1))


class Training(nn.Module):
    """Exported in training mode: batch statistics, live dropout, random depth."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 6, 3, stride=2), nn.BatchNorm2d(6)
        self.again, self.bn2 = nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6, affine=False)
        self.depth, self.drop, self.fc = StochasticDepth(0.3, "row"), nn.Dropout(0.3), nn.Linear(6, 4)

    def forward(self, x):
        x = F.relu(self.bn(self.conv(x)))
        x = x + self.depth(self.bn2(self.again(x)))
        return self.fc(self.drop(x.mean((2, 3))))


def swin():
    return SwinTransformer(patch_size=[2, 2], embed_dim=8, depths=[2, 1], num_heads=[2, 2], window_size=[3, 3], num_classes=3)


def settled(network):
    """Statistics that are not those of a new network."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.5)
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias)
    return network


def smaller(content):
    """The archive without stack traces and sample inputs."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(out, "w") as target:
        for info in source.infolist():
            data = source.read(info)
            if "sample_inputs" in info.filename or ".data/" in info.filename:
                continue
            if info.filename.endswith("models/model.json"):
                program = json.loads(data)
                for node in program["graph_module"]["graph"]["nodes"]:
                    node["metadata"] = {k: v for k, v in node["metadata"].items() if k == "nn_module_stack"}
                program["graph_module"]["module_call_graph"] = []
                program["guards_code"] = []
                data = json.dumps(program, separators=(",", ":")).encode()
            target.writestr(zipfile.ZipInfo(info.filename, (1980, 1, 1, 0, 0, 0)), data)
    return out.getvalue()


def write(name, network, size, batch=None, train=False, core=False):
    torch.manual_seed(len(name))
    network = settled(network)
    network.train(train)
    shapes = ({0: torch.export.Dim("batch", min=1)},) if batch is None else None
    program = torch.export.export(network, (torch.randn(batch or 2, 3, size, size),), dynamic_shapes=shapes)
    if core:
        program = program.run_decompositions()
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    with open(f"{name}.pt2", "wb") as file:
        file.write(smaller(buffer.getvalue()))
    network.eval()
    x = torch.randn(3, 3, size, size)
    y = network(x)
    (y ** 2).mean().backward()
    np.savez_compressed(f"{name}.npz", x=x.numpy(), y=y.detach().numpy(),
                        **{f"d/{k}": p.grad.numpy() for k, p in network.named_parameters()})
    print(name, len(program.graph.nodes), "nodes")


CASES = {
    "cnn": lambda: (Cnn(), 21),
    "vit": lambda: (Vit(), 16),
    "operators": lambda: (Operators(), 12),
    "swin": lambda: (swin(), 16),
    "vit_of_one": lambda: (Vit(), 16, 1),
    "training": lambda: (Training(), 9, None, True),
    "cnn_core": lambda: (Cnn(), 21, None, False, True),
    "vit_core": lambda: (Vit(), 16, None, False, True),
}

for name in sys.argv[1:] or CASES:
    torch.manual_seed(7)
    write(name, *CASES[name]())
