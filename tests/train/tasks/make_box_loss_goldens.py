"""Writes box_loss_goldens.h: PyTorch's focal, GIoU and fit losses of made-up maps, with the gradient.

    python3 tests/train/tasks/make_box_loss_goldens.py > tests/train/tasks/box_loss_goldens.h
"""
import torch
import torch.nn.functional as F
import torchvision
from torchvision.ops import box_iou, generalized_box_iou_loss

N, C, H, W = 2, 3, 3, 4
torch.manual_seed(17)
maps = torch.randn(N, C + 5, H, W)
maps[0, C, 0, 0] = 6  # beyond the clamp
maps.requires_grad_()
labels = torch.randint(-1, C, (N, H, W))
labels[1, 2] = -1
edges = 0.3 + 3 * torch.rand(N, 4, H, W)  # in strides


def array(name, x):
    print(f"inline const std::vector<float> {name} = {{{', '.join(repr(float(v)) for v in x.flatten())}}};")


y, x = torch.meshgrid(torch.arange(H) + 0.5, torch.arange(W) + 0.5, indexing="ij")


def boxes(e):
    return torch.stack([x - e[:, 0], y - e[:, 1], x + e[:, 2], y + e[:, 3]], -1)


finds = labels >= 0
one_hot = F.one_hot(labels.clamp(min=0), C).permute(0, 3, 1, 2).float() * finds[:, None]
p = torch.sigmoid(maps[:, :C])
ce = F.binary_cross_entropy_with_logits(maps[:, :C], one_hot, reduction="none")
pt = p * one_hot + (1 - p) * (1 - one_hot)
loss = ((0.25 * one_hot + 0.75 * (1 - one_hot)) * (1 - pt) ** 2 * ce).sum()
said, meant = boxes(torch.exp(maps[:, C:C + 4].clamp(-4, 5)))[finds], boxes(edges)[finds]
loss = loss + generalized_box_iou_loss(said, meant, reduction="sum")
with torch.no_grad():
    iou = torch.diag(box_iou(said, meant)).clamp(0, 1)
loss = loss + F.binary_cross_entropy_with_logits(maps[:, C + 4][finds], iou, reduction="sum")
loss = loss / finds.flatten(1).sum(1).clamp(min=1).sum()
loss.backward()
places = torch.cat([labels[:, None].float(), torch.where(finds[:, None], edges, torch.ones(()))], 1)

print("// PyTorch's losses of made-up boxes, torchvision " + torchvision.__version__ +
      ": made by make_box_loss_goldens.py.")
print("#pragma once\n#include <vector>\n\n// clang-format off\nnamespace graft::train::goldens {\n")
print(f"inline constexpr int kMapImages = {N}, kMapClasses = {C}, kMapRows = {H}, kMapColumns = {W};")
array("kBoxOutputs", maps.detach())
array("kBoxPlaces", places)
print(f"inline constexpr double kBoxLoss = {float(loss.detach())!r};")
array("kBoxGradient", maps.grad)
print("\n}  // namespace graft::train::goldens\n// clang-format on")
