#!/usr/bin/env python3
"""Writes what Keras computes with whole networks of keras.applications, for tests/models/keras_names_test.cpp:
  <network>.txt           a line a tensor: layer/part and its shape, in Keras' layout
  networks.safetensors    answers to a formula's images

Weights and images are a formula of (name, index) that the test repeats bit for bit, so that none are stored.
Usage: KERAS_BACKEND=torch make_networks.py. Needs keras with a backend, numpy, safetensors, torch."""
import os
import sys

import keras
import numpy as np
from safetensors.numpy import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "networks"))
from make_networks import centred  # noqa: E402

# Name, application, side of the images, with its classifier.
NETWORKS = [("resnet50", "ResNet50", 64, True), ("mobilenet_v2", "MobileNetV2", 64, True), ("mobilenet_v2_odd", "MobileNetV2", 75, True),
            ("densenet121", "DenseNet121", 64, True), ("vgg16_features", "VGG16", 64, False)]


def formula(name, shape):
    c = centred(name, shape)
    if len(shape) == 4:
        return c * np.sqrt(6.0 / (shape[0] * shape[1] * shape[3]))
    if len(shape) == 2:
        return c * np.sqrt(3.0 / shape[0])
    if name.endswith("moving_variance"):
        return 1 + 0.5 * c
    return 0.75 + 0.25 * c if name.endswith("gamma") else 0.1 * c


def build(application, side, top):
    options = {"classes": 10, "classifier_activation": None} if top else {"include_top": False, "pooling": "avg"}
    return getattr(keras.applications, application)(weights=None, input_shape=(side, side, 3), **options)


def fill(model):
    names = []
    for layer in model.layers:
        for weight in layer.weights:
            name = f"{layer.name}/{weight.name}"
            weight.assign(formula(name, weight.shape).astype(np.float32))
            names.append((name, tuple(weight.shape)))
    return names


def image(name, side):
    return (2 * centred(name, (2, 3, side, side))).astype(np.float32)


if __name__ == "__main__":
    answers = {}
    for name, application, side, top in NETWORKS:
        model = build(application, side, top)
        names = fill(model)
        answers[name] = np.asarray(model.predict(image(name, side).transpose(0, 2, 3, 1), verbose=0))
        print(name, answers[name].shape, answers[name][0, :3])
        if name.endswith("_odd"):
            continue
        with open(os.path.join(HERE, name + ".txt"), "w") as file:
            for tensor, shape in names:
                file.write(f"{tensor} {' '.join(str(e) for e in shape)}\n")
    save_file(answers, os.path.join(HERE, "networks.safetensors"))
