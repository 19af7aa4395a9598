"""Writes the seeds of the fuzz targets into corpus/<target>/, from the test data and a few files of its own.

Needs numpy, torch, safetensors, pillow (through the scripts under tests/data). Run in this folder: python make_corpus.py
"""
import gzip
import io
import json
import pathlib
import shutil
import struct

import numpy as np
import safetensors.numpy
import torch

data = pathlib.Path("../data")
shutil.rmtree("corpus", ignore_errors=True)


def seed(target, name, content):
    folder = pathlib.Path("corpus", target)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def copies(target, pattern, most=3000):
    for path in sorted(data.glob(pattern)):
        if path.stat().st_size <= most:
            seed(target, path.name, path.read_bytes())


copies("safetensors", "io/*.safetensors")
copies("npz", "io/*.npz")
copies("npz", "io/*.npy")
copies("onnx", "io/onnx/*.onnx")
copies("onnx", "io/same.onnx")
copies("pytorch", "io/*_legacy.pth")
copies("mxnet", "io/*.params")
for pattern in ["*.jpg", "*.bmp", "p*.png", "bits.png", "grey_alpha.png", "grey.pgm"]:
    copies("image", "images/" + pattern, 1900)
small = np.arange(6, dtype=np.float32).reshape(2, 3)
for name, content in {"plain": {"w": torch.tensor(small)}, "nested": {"epoch": 3, "state_dict": {"module.w": torch.tensor(small, dtype=torch.float16)}}}.items():
    buffer = io.BytesIO()
    torch.save(content, buffer)
    seed("pytorch", name + ".pth", buffer.getvalue())

idx = struct.pack(">IIII", 0x803, 4, 2, 2) + bytes(range(16))
labels = struct.pack(">II", 0x801, 4) + bytes([0, 1, 0, 1])
seed("dataset", "idx", b"i" + idx + b"|||" + labels)
seed("dataset", "idx_gz", b"i" + gzip.compress(idx, mtime=0) + b"|||" + gzip.compress(labels, mtime=0))
seed("dataset", "cifar10", b"c" + b"".join(bytes([label]) + bytes(3072) for label in [1, 2, 1]))
seed("dataset", "cifar100", b"C" + b"".join(bytes([5, label]) + bytes(3072) for label in [1, 2, 1]) + b"|||apple\nbear\r\n")
seed("dataset", "csv", b'\xef\xbb\xbfpath,label\r\na.pgm,x\r\n"a.pgm","y ""z"""\na.pgm,x\n')
for name in ["colour", "grey"]:
    seed("dataset", name + "_npz", b"n" + (data / f"datasets/{name}.npz").read_bytes())

preprocess = {"bgr": False, "channels": 3, "deviation": [0.229, 0.224, 0.225], "interpolation": "bilinear", "mean": [0.485, 0.456, 0.406],
              "resize_to": 256, "scale": 1 / 255, "size": 224}
lineage = {"graft_version": "0.1.0", "source_format": "npz", "source_naming": "torchvision names", "source_sha256": "ab", "data_sha256": "cd",
           "recipe": {"epochs": 3, "lr": 0.01}}
resnet = {"family": "resnet", "name": "resnet18", "depths": [2, 2, 2, 2], "bottleneck": False, "stride_in_3x3": True, "eps": 1e-5,
          "pool_pad_begin": 1, "pool_pad_end": 1, "in_channels": 3, "stages": 3, "classes": 2}
cifar = {"family": "cifar_resnet", "depth": 20, "in_channels": 3, "classes": 10, "eps": 1e-5}
seed("json", "preprocess", json.dumps(preprocess).encode())
for name, architecture, names in [("resnet", resnet, ["ant", "b\u00e9e"]), ("cifar", cifar, [])]:
    card = {"card_version": 1, "architecture": architecture, "preprocess": preprocess, "preprocess_known": True, "labels": names,
            "neutral_norms": ["bn1"], "lineage": lineage}
    seed("json", name, json.dumps(card).encode())

description = {"version": 1, "recipe": "{}", "identity": "x", "instruction_set": "avx2", "epoch": 2, "best_epoch": 1, "best_accuracy": 0.5,
               "history": [{"epoch": 1, "loss": 0.5, "train_accuracy": 0.5, "val_accuracy": 0.5, "lr": 0.1, "images_per_s": 10.0, "seconds": 1.0}]}
tensors = {"model/w": small, "best/w": small, "optim/w/momentum": small, "optim/step": np.array(7)}
seed("checkpoint", "run", safetensors.numpy.save(tensors, {"format": "pt", "graft.checkpoint": json.dumps(description)}))
