#!/usr/bin/env python3
"""Whole networks of keras.applications with random weights and statistics, saved in every format that Keras writes: graft
reads each, all are one network, and its answers (through the .onnx that graft writes, by onnxruntime, and by graft run)
are Keras' own within 1e-4 relative.

Usage: KERAS_BACKEND=torch check_networks.py GRAFT [NETWORK...]     (default: ResNet50 MobileNetV2 DenseNet121 VGG16; any other
function of keras.applications is read as the graph that its file describes)
Exit 1 when anything differs. Needs keras with a backend, numpy, onnxruntime."""
import os
import subprocess
import sys
import tempfile

import keras
import numpy as np
import onnxruntime


OWN = ["ResNet50", "MobileNetV2", "DenseNet121", "VGG16"]  # networks of graft's own


def randomise(model, seed):
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        for weight in layer.weights:
            shape = weight.shape
            if weight.name.endswith("kernel"):
                fan = np.prod(shape[:-1]) if len(shape) != 4 or shape[-1] != 1 else shape[0] * shape[1]
                value = rng.normal(size=shape) * np.sqrt(2 / fan)
            elif weight.name == "moving_variance":
                value = rng.uniform(0.5, 1.5, shape)
            elif weight.name == "gamma":
                value = rng.uniform(0.5, 1.0, shape)
            else:
                value = rng.normal(size=shape) * 0.1
            weight.assign(value.astype(np.float32))


def relative(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True)


def check(graft, name, folder):
    options = {} if name.startswith("VGG") else {"classifier_activation": None}
    model = getattr(keras.applications, name)(weights=None, classes=1000, **options)
    randomise(model, 1)
    x = np.random.default_rng(2).normal(size=(2, *model.input_shape[1:])).astype(np.float32)
    expected = np.asarray(model.predict(x, verbose=0))
    at = lambda file: os.path.join(folder, name + file)
    model.save(at(".keras"))
    model.save(at(".h5"))
    model.save_weights(at(".weights.h5"))
    print(name, run(graft, "convert", at(".keras"), at(".onnx")).stdout, sep="\n")
    image = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    session = onnxruntime.InferenceSession(at(".onnx"))
    answer = session.run(None, {session.get_inputs()[0].name: image})[0]
    np.save(at(".npy"), image)
    run(graft, "run", at(".onnx"), "--input", f"{session.get_inputs()[0].name}={at('.npy')}", "--output", at(".out"))
    own = np.load(os.path.join(at(".out"), session.get_outputs()[0].name + ".npy"))
    if not options:  # Keras gives probabilities
        softmax = lambda z: np.exp(z - z.max(1, keepdims=True)) / np.exp(z - z.max(1, keepdims=True)).sum(1, keepdims=True)
        answer, own = softmax(answer), softmax(own)
    differences = [relative(answer, expected), relative(own, expected)]
    print(f"{name}: onnxruntime {differences[0]:.2e}, graft {differences[1]:.2e} from Keras, relative")
    for other in (".h5", ".weights.h5") if name in OWN else (".h5",):
        print(f"{name}: .keras and {other}:", run(graft, "verify", at(".keras"), at(other)).stdout.strip().splitlines()[0])
    return max(differences)


def main():
    graft = sys.argv[1]
    worst = 0
    for name in sys.argv[2:] or OWN:
        with tempfile.TemporaryDirectory() as folder:
            worst = max(worst, check(graft, name, folder))
    sys.exit(0 if worst <= 1e-4 else "more than 1e-4 apart")


if __name__ == "__main__":
    main()
