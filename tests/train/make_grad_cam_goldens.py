"""Writes grad_cam_goldens.h: PyTorch's Grad-CAM of the CIFAR-10 ResNet-20 that the repository carries. Needs PyTorch.

    python3 tests/train/make_grad_cam_goldens.py > tests/train/grad_cam_goldens.h
"""
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parents[2]


class Block(nn.Module):
    def __init__(self, inside, out, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inside, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.stride, self.more = stride, out - inside

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more // 2))
        return F.relu(y + x)


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        inside = 16
        for stage in range(3):
            out, blocks = 16 << stage, []
            for block in range(3):
                blocks.append(Block(inside, out, 2 if block == 0 and stage > 0 else 1))
                inside = out
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


def grad_cam(network, x, outputs, at):
    kept = {}

    def keep(module, inputs, result):
        result.retain_grad()
        kept["value"] = result

    hook = network.get_submodule(at).register_forward_hook(keep)
    logits = network(x)
    hook.remove()
    logits[torch.arange(len(outputs)), outputs].sum().backward()
    value = kept["value"]
    weights = value.grad.mean((2, 3), keepdim=True)
    return F.relu((weights * value).sum(1)).detach(), logits.detach()


network = ResNet20()
state = torch.load(ROOT / "examples/pretrained/cifar10_resnet20.th", map_location="cpu", weights_only=False)
state = state.get("state_dict", state)
network.load_state_dict({name.removeprefix("module."): value for name, value in state.items()})
network.eval()
# Two images that a formula gives: sin(0.1 (i + 1)) of the i-th element, scaled.
count = 2 * 3 * 32 * 32
x = torch.sin(0.1 * (torch.arange(count, dtype=torch.float64) + 1)).mul(1.5).float().reshape(2, 3, 32, 32)
outputs = [3, 7]


def array(name, values):
    print(f"inline const std::vector<float> {name} = {{{', '.join(f'{v:.7g}f' if '.' in f'{v:.7g}' or 'e' in f'{v:.7g}' else f'{v:.7g}.0f' for v in values.ravel().tolist())}}};")


print(f"// Grad-CAM of a ResNet-20 by PyTorch {torch.__version__}: made by make_grad_cam_goldens.py.")
print("#pragma once\n#include <vector>\n\n// clang-format off\nnamespace graft::train::goldens {\n")
last, logits = grad_cam(network, x, outputs, "layer3")
array("kCamLogits", logits)
array("kCamLayer3", last)  # [2,8,8]
array("kCamLayer2Conv", grad_cam(network, x, outputs, "layer2.1.conv2")[0][:, ::2, ::2])  # of [2,16,16] every second
print("\n}  // namespace graft::train::goldens\n// clang-format on")
