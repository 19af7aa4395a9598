"""PyTorch's side of tasks.py: the network of a model file of graft (a ResNet-18, whole or cut after a stage), trained by a recipe."""
import json
import math

import numpy as np
import torch
from torch import nn

from resnet_torch import STAGES, ResNet

IN_BLOCK = {"conv1": "body.0", "bn1": "body.1", "conv2": "body.3", "bn2": "body.4", "downsample.0": "shortcut.0",
            "downsample.1": "shortcut.1"}


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    types = {"F32": np.float32, "I64": np.int64}
    metadata = header.pop("__metadata__", {})
    return {name: torch.from_numpy(np.frombuffer(data[slice(*t["data_offsets"])], types[t["dtype"]]).reshape(t["shape"]).copy())
            for name, t in header.items()}, metadata


def own_name(name, blocks):
    """torchvision's name of a ResNet's tensor in resnet_torch.py."""
    if name.startswith("conv1."):
        return name.replace("conv1", "features.0")
    if name.startswith("bn1."):
        return name.replace("bn1", "features.1")
    if not name.startswith("layer"):
        return name
    layer, block, rest = name.split(".", 2)
    module, tensor = rest.rsplit(".", 1)
    place = 4 + sum(blocks[:int(layer[5:]) - 1]) + int(block)
    return f"features.{place}.{IN_BLOCK[module]}.{tensor}"


def network_of(path, outputs):
    tensors, metadata = read_safetensors(path)
    stages = max(int(name[5]) for name in tensors if name.startswith("layer"))
    network = ResNet("resnet18", outputs, stages)
    network.load_state_dict({own_name(name, STAGES["resnet18"]): tensor for name, tensor in tensors.items()})
    return network, metadata


class Images:
    """Grey pixels as the model's card says they enter the network: as wide as it, its mean and deviation, the channel repeated."""

    def __init__(self, pixels, preprocess):
        side = preprocess["size"]
        if pixels.shape[1:] != (side, side) or preprocess["bgr"] or preprocess["channels"] != 3:
            raise SystemExit(f"the model's preprocessing is not the one that is compared here: {preprocess}")
        self.pixels = torch.from_numpy(pixels)
        self.scale = preprocess["scale"]
        self.mean, self.deviation = (torch.tensor(preprocess[k], dtype=torch.float32).view(1, 3, 1, 1) for k in ("mean", "deviation"))

    def __getitem__(self, index):
        x = (self.pixels[index].unsqueeze(1).float() * self.scale - self.mean) / self.deviation
        return x.contiguous(memory_format=torch.channels_last)

    def __len__(self):
        return len(self.pixels)


def answers(network, images, batch=100):
    network.eval()
    with torch.no_grad():
        return torch.cat([network(images[i:i + batch]) for i in range(0, len(images), batch)]).double().numpy()


def rate(recipe, step, steps_an_epoch):
    """Linear warm-up, then half a cosine, step by step."""
    warmup, steps = recipe.warmup * steps_an_epoch, recipe.epochs * steps_an_epoch
    if step < warmup:
        return recipe.lr * (step + 1) / warmup
    return recipe.lr * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


def train(network, images, targets, loss, recipe, seed, judge):
    """judge(network) after each epoch: a tuple, the larger the better; the network is left as it was after the best one, of equals
    the last. What each epoch was judged."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.from_numpy(targets).float()
    optimizer = torch.optim.SGD(network.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    network.to(memory_format=torch.channels_last)
    steps_an_epoch, step, judged, kept = math.ceil(len(images) / recipe.batch), 0, [], None
    for _ in range(recipe.epochs):
        network.train()
        for index in torch.randperm(len(images), generator=generator).split(recipe.batch):
            optimizer.param_groups[0]["lr"] = rate(recipe, step, steps_an_epoch)
            optimizer.zero_grad()
            loss(network(images[index]), targets[index]).backward()
            optimizer.step()
            step += 1
        judged.append(judge(network))
        if judged[-1] >= max(judged):
            kept = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(kept)
    return judged


def bce():
    return nn.BCEWithLogitsLoss()


def mse():
    return nn.MSELoss()
