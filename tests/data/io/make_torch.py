"""Writes small PyTorch files of many kinds for tests/io/pytorch_test.cpp. Needs torch.

Run in this folder: python make_torch.py
"""
import collections
import os
import pickle
import zipfile

import numpy as np
import torch
from torch import nn

base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
shared = torch.arange(10, dtype=torch.int64)
weight = nn.Parameter(torch.full((2, 2), 3.0))
views = collections.OrderedDict(
    [
        ("transposed", base.transpose(0, 2)),
        ("slice", base[:, 1, ::2]),
        ("tail", shared[4:]),
        ("head", shared[:3]),
        ("whole", shared),
        ("expanded", torch.tensor([5.0, 6.0]).reshape(2, 1).expand(2, 3)),
        ("scalar", torch.tensor(2.5, dtype=torch.float64)),
        ("empty", torch.zeros(0, 4)),
        ("channels_last", torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last)),
        ("tied.a", weight),
        ("tied.b", weight),
        ("bf16", torch.tensor([1.5, -2.0], dtype=torch.bfloat16)),
        ("half", torch.tensor([0.5], dtype=torch.float16)),
        ("bool", torch.tensor([True, False])),
        ("int16", torch.tensor([-7], dtype=torch.int16)),
    ]
)
torch.save(views, "views.pth")
torch.save(views, "views_legacy.pth", _use_new_zipfile_serialization=False)
torch.save({"u16": torch.tensor([65535], dtype=torch.uint16)}, "uint16.pth")
torch.save({"c": torch.zeros(2, dtype=torch.complex64)}, "complex.pth")
torch.save({"f8": torch.zeros(2, dtype=torch.float8_e4m3fn)}, "float8.pth")
torch.save(torch.arange(3.0), "bare.pth")
torch.save([torch.zeros(1), {"x": torch.ones(2)}], "list.pth")
torch.save({"epoch": 3}, "no_tensors.pth")
torch.save(views, "protocol4.pth", pickle_protocol=4)

net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
net(torch.ones(3, 2)).sum().backward()
optimizer.step()
schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4])
checkpoint = {
    "epoch": 5,
    "arch": "tiny",
    "best": np.float64(0.5),
    "done": True,
    "nothing": None,
    "big": 2**70,
    "model_ema": {"module." + key: value for key, value in net.state_dict().items()},
    "state_dict": {"module." + key: value for key, value in net.state_dict().items()},
    "optimizer": optimizer.state_dict(),
    "schedule": schedule.state_dict(),
    "device": torch.device("cpu"),
    "shape": torch.Size([1, 2]),
}
torch.save(checkpoint, "checkpoint.pth")
torch.save(checkpoint, "checkpoint_legacy.pth", _use_new_zipfile_serialization=False)
torch.save(net, "whole_model.pth")
torch.jit.save(torch.jit.script(nn.Linear(1, 1)), "script.pt")
torch.save({"s": torch.eye(2).to_sparse()}, "sparse.pth")


class Evil:
    def __reduce__(self):
        return os.system, ("echo this must never run",)


torch.save({"w": torch.zeros(1), "x": Evil()}, "evil.pth")
torch.save({"w": torch.zeros(1), "x": Evil()}, "evil_legacy.pth", _use_new_zipfile_serialization=False)
with open("evil.pkl", "wb") as file:
    pickle.dump(Evil(), file, protocol=2)
with open("plain.pkl", "wb") as file:
    pickle.dump({"a": [1, 2.5, "x"]}, file, protocol=2)
# a PyTorch archive packed again by a zip program
with zipfile.ZipFile("bare.pth") as source, zipfile.ZipFile("deflated.pth", "w", zipfile.ZIP_DEFLATED) as target:
    for name in source.namelist():
        target.writestr(name, source.read(name))
