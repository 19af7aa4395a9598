"""Writes the seeds of the fuzz targets into corpus/<target>/, from the test data and a few files of its own.

Needs numpy, torch, safetensors, pillow (through the scripts under tests/data). Run in this folder: python make_corpus.py
"""
import gzip
import io
import json
import pathlib
import struct
import zipfile

import numpy as np
import onnx
from onnx import helper, numpy_helper
import safetensors.numpy
import torch

data = pathlib.Path("../data")  # what fuzzers found stays: files named found_* are nobody's output


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
copies("graph", "io/onnx/*.onnx")
copies("pytorch", "io/*_legacy.pth")
for name in ["cnn", "training"]:  # a graph's JSON, without what it says of modules
    with zipfile.ZipFile(data / f"pt2/{name}.pt2") as archive:
        program = json.loads(archive.read("archive/models/model.json"))
    for node in program["graph_module"]["graph"]["nodes"]:
        node["metadata"] = {}
    seed("exported", name + ".json", json.dumps(program, separators=(",", ":")).encode())
copies("mxnet", "io/*.params")
for pattern in ["*.jpg", "*.bmp", "p*.png", "bits.png", "grey_alpha.png", "grey.pgm"]:
    copies("image", "images/" + pattern, 1900)
for kind, names in {"gif": "*.gif", "webp": "*.webp", "tiff": "*.tif"}.items():
    copies(kind, "images/formats/" + names, 4000)
copies("dicom", "images/medical/*.dcm")
copies("nifti", "images/medical/*.nii*", 4000)
for path in sorted(pathlib.Path("corpus/image").glob("*.jpg")):
    if "exif_" not in path.name or path.name == "exif_6.jpg":
        seed("jpeg", path.name, bytes([10, 60, 60, 128]) + path.read_bytes())
small = np.arange(6, dtype=np.float32).reshape(2, 3)
for name, content in {"plain": {"w": torch.tensor(small)}, "nested": {"epoch": 3, "state_dict": {"module.w": torch.tensor(small, dtype=torch.float16)}},
                      "views": {"p": torch.nn.Parameter(torch.tensor(small)[:, ::2]), "lr": [0.1, (1, None, True)]}}.items():
    buffer = io.BytesIO()
    torch.save(content, buffer)
    seed("pytorch", name + ".pth", buffer.getvalue())

    with zipfile.ZipFile(buffer) as archive:
        seed("pickle", name, archive.read("archive/data.pkl") + b"|||" + archive.read("archive/data/0"))
def wav(encoding, bits, rate, channels, data, more=b""):
    form = struct.pack("<HHIIHH", encoding, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits) + more
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


ramp = bytes(range(0, 240))
seed("wav", "pcm16.wav", wav(1, 16, 8000, 1, ramp))
seed("wav", "pcm8_stereo.wav", wav(1, 8, 11025, 2, ramp))
seed("wav", "pcm24.wav", wav(1, 24, 44100, 1, ramp))
seed("wav", "float32.wav", wav(3, 32, 16000, 1, struct.pack("<30f", *[i / 30 for i in range(30)])))
guid = struct.pack("<HHIH", 22, 32, 0, 3) + bytes.fromhex("000000001000800000aa00389b71")
seed("wav", "extensible.wav", wav(0xFFFE, 32, 48000, 1, struct.pack("<30f", *[i / 30 for i in range(30)]), guid))
seed("wav", "pipe.wav", wav(1, 16, 8000, 1, ramp).replace(b"data\xf0\x00\x00\x00", b"data\xff\xff\xff\xff"))

idx = struct.pack(">IIII", 0x803, 4, 2, 2) + bytes(range(16))
labels = struct.pack(">II", 0x801, 4) + bytes([0, 1, 0, 1])
seed("idx", "idx", idx + b"|||" + labels)
seed("idx", "idx_gz", gzip.compress(idx, mtime=0) + b"|||" + gzip.compress(labels, mtime=0))
zeros = struct.pack(">IIII", 0x803, 2000, 3, 3) + bytes(18000)
seed("idx", "bomb", gzip.compress(zeros, mtime=0) + b"|||" + gzip.compress(struct.pack(">II", 0x801, 2000) + bytes(2000), mtime=0))
seed("cifar", "bomb", b"c" + gzip.compress(bytes(3073 * 2), mtime=0))
buffer = io.BytesIO()
np.savez_compressed(buffer, x=np.zeros((20, 20, 20), np.uint8), y=np.zeros(20, np.int64))
seed("npz", "bomb.npz", buffer.getvalue())
seed("npz_data", "bomb.npz", buffer.getvalue())
seed("cifar", "cifar10", b"c" + b"".join(bytes([label]) + bytes(3072) for label in [1, 2, 1]))
seed("cifar", "cifar100", b"C" + b"".join(bytes([5, label]) + bytes(3072) for label in [1, 2, 1]) + b"|||apple\nbear\r\n")
seed("csv", "csv", b'\xef\xbb\xbfpath,label\r\na.pgm,x\r\n"a.pgm","y ""z"""\na.pgm,x\n')
for name in ["colour", "grey"]:
    seed("npz_data", name + ".npz", (data / f"datasets/{name}.npz").read_bytes())

preprocess = {"bgr": False, "channels": 3, "deviation": [0.229, 0.224, 0.225], "interpolation": "bilinear", "mean": [0.485, 0.456, 0.406],
              "resize_to": 256, "scale": 1 / 255, "size": 224}
lineage = {"graft_version": "0.1.0", "source_format": "npz", "source_naming": "torchvision names", "source_sha256": "ab", "data_sha256": "cd",
           "recipe": {"epochs": 3, "lr": 0.01}}
resnet = {"family": "resnet", "name": "resnet18", "depths": [2, 2, 2, 2], "bottleneck": False, "stride_in_3x3": True, "eps": 1e-5,
          "pool_pad_begin": 1, "pool_pad_end": 1, "in_channels": 3, "stages": 3, "classes": 2}
cifar = {"family": "cifar_resnet", "depth": 20, "in_channels": 3, "classes": 10, "eps": 1e-5}
graph_nodes = [{"op": "Conv", "name": "c", "in": ["x", "w"], "out": ["y"], "attributes": {"pads": {"ints": [1, 1, 1, 1]}, "auto_pad": {"s": "NOTSET"}}},
               {"op": "Clip", "name": "", "domain": "a.b", "in": ["y"], "out": ["z"], "attributes": {"min": {"f": 0.5}, "l": {"strings": ["a"]},
                "f": {"floats": [0.25, 3]}, "i": {"i": 4}, "t": {"tensor": {"dtype": "int64", "shape": [2], "values": [1, 2]}},
                "u": {"tensor": {"dtype": "float32", "shape": [1], "values": [1.5]}}}}]
graph = {"family": "graph", "name": "net", "in_channels": 3, "classes": 2, "classifier_input": "y", "features": 8, "own_head": True, "pooled": False,
         "eps": 1e-5, "graph": {"opsets": {"": 17}, "outputs": ["z"], "stage_ends": ["y"], "nodes": graph_nodes,
         "inputs": [{"name": "x", "dtype": "float32", "dims": [-1, 3, 8, 8]}],
         "tensors": [{"name": "w", "role": "parameter", "dtype": "float32", "shape": [8, 3, 3, 3]}]}}
seed("card", "preprocess", json.dumps(preprocess).encode())
features = {"family": "features", "name": "vgg11", "in_channels": 3, "classes": 2, "cut": "", "linear_head": True, "eps": 1e-5}
for name, architecture, names in [("resnet", resnet, ["ant", "b\u00e9e"]), ("cifar", cifar, []), ("graph", graph, []), ("features", features, [])]:
    card = {"card_version": 1, "architecture": architecture, "preprocess": preprocess, "preprocess_known": True, "labels": names,
            "neutral_norms": ["bn1"], "lineage": lineage}
    seed("card", name, json.dumps(card).encode())

description = {"version": 1, "recipe": "{}", "identity": "x", "instruction_set": "avx2", "epoch": 2, "best_epoch": 1, "best_accuracy": 0.5,
               "history": [{"epoch": 1, "loss": 0.5, "train_accuracy": 0.5, "val_accuracy": 0.5, "lr": 0.1, "images_per_s": 10.0, "seconds": 1.0}]}
tensors = {"model/w": small, "best/w": small, "optim/w/momentum": small, "optim/step": np.array(7)}
seed("checkpoint", "run", safetensors.numpy.save(tensors, {"format": "pt", "graft.checkpoint": json.dumps(description)}))

# One small test case of every operator, its inputs made constants: reading it folds the operator away. And a whole network.
smallest = {}
for key, packed in np.load(data / "graphs/node_cases.npz").items():
    table, content = packed.tobytes().split(b"\n\n", 1)
    files, at = {}, 0
    for line in table.decode().split("\n"):
        file, size = line.rsplit(" ", 1)
        files[file] = content[at : at + int(size)]
        at += int(size)
    model = onnx.ModelProto.FromString(files["model.onnx"])
    del model.graph.value_info[:]
    for i, value in enumerate(list(model.graph.input)):
        tensor = onnx.TensorProto.FromString(files[f"test_data_set_0/input_{i}.pb"])
        tensor.name = value.name
        model.graph.initializer.append(tensor)
        model.graph.input.remove(value)
    text = model.SerializeToString()
    operator = model.graph.node[0].op_type if len(model.graph.node) == 1 else "function"
    if len(text) <= 600 and len(text) < len(smallest.get(operator, bytes(10000))):
        smallest[operator] = text
for operator, text in smallest.items():
    seed("graph", operator.lower() + ".onnx", text)

def constant(name, values):
    return numpy_helper.from_array(np.array(values), name)

nodes = [
    helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1]),
    helper.make_node("BatchNormalization", ["c", "s", "b", "b", "s"], ["n"]),
    helper.make_node("Relu", ["n"], ["r"]),
    helper.make_node("Shape", ["r"], ["shape"]),
    helper.make_node("Gather", ["shape", "zero"], ["batch"]),
    helper.make_node("Unsqueeze", ["batch", "axes"], ["batch1"]),
    helper.make_node("Concat", ["batch1", "rest"], ["target"], axis=0),
    helper.make_node("GlobalAveragePool", ["r"], ["p"]),
    helper.make_node("Reshape", ["p", "target"], ["f"]),
    helper.make_node("Gemm", ["f", "g", "s"], ["y"]),
]
tensors = [constant("w", np.ones((2, 1, 3, 3), np.float32)), constant("b", np.zeros(2, np.float32)), constant("s", np.ones(2, np.float32)),
           constant("zero", np.int64(0)), constant("axes", np.array([0])), constant("rest", np.array([-1])), constant("g", np.eye(2, dtype=np.float32))]
value = lambda name, shape: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
network = helper.make_graph(nodes, "net", [value("x", ["n", 1, 4, 4])], [value("y", ["n", 2])], tensors)
seed("graph", "network.onnx", helper.make_model(network, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString())

# Descriptions of Keras models, of both versions, without what layers do not need to be read.
UNREAD = {"dtype", "trainable", "module", "registered_name", "kwargs", "data_format", "seed", "use_bias", "shape", "optional"}

def shortened(config):
    if isinstance(config, dict):
        return {k: shortened(v) for k, v in config.items() if k not in UNREAD or k == "module" and ".ops." in str(v)}
    return [shortened(v) for v in config] if isinstance(config, list) else config

for model in ["channels_first", "embedding", "merging", "nested", "norms", "old", "prepared", "sequence", "transposed", "unet", "volume"]:
    with safetensors.safe_open(data / f"keras/graphs/{model}.safetensors", "np") as file:
        config = json.loads(file.metadata()["keras.config"])
    seed("keras", model + ".json", json.dumps(shortened(config), separators=(",", ":")).encode())

seed("vectors", "glove.txt", b"the 0.5 -1e-2 3\nof 1 2 3\ncaf\xc3\xa9 4 5 6\n")
seed("vectors", "word2vec.txt", b"2 3\nthe 1 2 3 \nof 4 5 6 \n")
seed("vectors", "word2vec.bin", b"2 3\nthe " + struct.pack("<3f", 1, 2, 3) + b"\nof " + struct.pack("<3f", 4, 5, 6) + b"\n")
seed("texts", "mixed.txt", "It's a caf\u00e9, n'est-ce pas? \u4e2d\u6587 \U0001f600\ufe0f".encode() + b"\xff\xc3")
seed("texts", "table.csv", b"id,text,label\n1,\"good, really\",pos\n2,bad,neg\n")
seed("texts", "lines.jsonl", b'{"text": "good", "label": "pos"}\n{"text": "bad"}\n')
seed("texts", "steps.json", b'{"length":6,"tokeniser":"words 1","vectors":"x","words":["a","b"]}')
