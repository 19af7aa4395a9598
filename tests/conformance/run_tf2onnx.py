"""TensorFlow networks through tf2onnx graphs, against onnxruntime and Keras. Needs tensorflow (or tensorflow-cpu), tf2onnx, onnx,
onnxruntime, numpy; best in an environment of their own:

    python -m venv tf && tf/bin/pip install tensorflow-cpu tf2onnx onnxruntime
    cmake --build build/release --target graft_command
    tf/bin/python tests/conformance/run_tf2onnx.py [--graft build/release/bin/graft] [--opset N,...] [--work FOLDER] [NAME ...]

NAME: small (a CNN with batch norms, a depthwise convolution, SAME padding of strided layers and dropout), mobilenet_v2
(keras.applications, 224 px, 1000 classes); both with seeded random weights and statistics. Each is converted by tf2onnx (images
stay [N,H,W,C], as it writes them), once with an open batch; `graft run` and onnxruntime answer the same random images: the largest
difference, relative to the largest output, must be below 1e-4, and onnxruntime's from Keras' is shown. Then one epoch of `graft
finetune` on random images, all layers; the trained model leaves as .onnx, which onnx's checker accepts and which gives
graft's answers in onnxruntime within 1e-4. Exit 1 when anything fails.
"""
import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import tensorflow as tf
import tf2onnx

from run_networks import ROOT, compare, leave, onnx_input, reference, train


def small():
    layers = tf.keras.layers
    return tf.keras.Sequential([
        layers.Input((64, 64, 3)), layers.Conv2D(32, 3, 2, "same", use_bias=False), layers.BatchNormalization(), layers.ReLU(6.0),
        layers.DepthwiseConv2D(3, 2, "same", use_bias=False), layers.BatchNormalization(), layers.ReLU(), layers.Conv2D(64, 1), layers.LeakyReLU(),
        layers.MaxPooling2D(3, 2, "same"), layers.Conv2D(64, 3, padding="same", activation="relu"), layers.AveragePooling2D(2),
        layers.Flatten(), layers.Dropout(0.2), layers.Dense(32, activation="relu"), layers.Dense(10, activation="softmax")])


def mobilenet_v2():
    return tf.keras.applications.MobileNetV2(weights=None, classes=1000)


NETWORKS = {"small": small, "mobilenet_v2": mobilenet_v2}


def randomise(model):
    rng = np.random.default_rng(0)
    for layer in model.layers:
        for weight in layer.weights:
            shape, name = weight.shape, weight.path.split("/")[-1]
            if name == "kernel":  # a depthwise kernel's sum runs over its window alone
                fan = shape[0] * shape[1] if isinstance(layer, tf.keras.layers.DepthwiseConv2D) else np.prod(shape[:-1])
                value = rng.normal(size=shape) * np.sqrt(2 / fan)
            elif name in ("moving_variance", "gamma"):
                value = rng.uniform(0.5, 1.5, shape)
            else:
                value = rng.normal(size=shape) * 0.1
            weight.assign(value.astype(np.float32))


def convert(model, opset, out):
    """The function rather than the Keras object: tf2onnx's reading of Keras 3 models is incomplete."""
    side = model.input_shape[1:]
    signature = [tf.TensorSpec([None, *side], tf.float32, name="x")]
    tf2onnx.convert.from_function(tf.function(lambda x: model(x, training=False), input_signature=signature), input_signature=signature, opset=opset, output_path=str(out))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("networks", nargs="*", metavar="NAME", default=list(NETWORKS))
    parser.add_argument("--graft", default=ROOT / "build" / "release" / "bin" / "graft")
    parser.add_argument("--opset", default="11,13,17")
    parser.add_argument("--work", default=ROOT / "build" / "networks", type=pathlib.Path)
    options = parser.parse_args()
    options.freeze = "none"
    options.work.mkdir(parents=True, exist_ok=True)
    failed = False
    for name in options.networks:
        model = NETWORKS[name]()
        randomise(model)
        x = np.random.default_rng(1).normal(size=(2, *model.input_shape[1:])).astype(np.float32)
        expected = np.asarray(model(x, training=False))
        for opset in map(int, options.opset.split(",")):
            out = options.work / f"{name}_{opset}.onnx"
            convert(model, opset, out)
            source = float(np.abs(reference(out, {onnx_input(out): x}) - expected).max() / np.abs(expected).max())
            line, bad = f"{name} opset {opset}: onnxruntime from Keras {source:.1e}", False
            answer = compare(options, out, output_of(out), x)
            bad = isinstance(answer, str) or not answer < 1e-4
            line += f", graft from onnxruntime {answer if isinstance(answer, str) else f'{answer:.1e}'}"
            try:
                train(options, out, model.input_shape[1])
                left = leave(options)
                bad = bad or not left < 1e-4
                line += f", trained and exported {left:.1e}"
            except Exception as error:
                bad = True
                line += f", training: {error}"
            print(line, "FAILED" if bad else "", flush=True)
            failed = failed or bad
    sys.exit(1 if failed else 0)


def output_of(path):
    import onnx
    return onnx.load(path, load_external_data=False).graph.output[0].name


if __name__ == "__main__":
    main()
