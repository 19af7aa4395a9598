"""Writes small Keras files and hostile HDF5 files, for tests/tools/hdf5_test.cpp.

  tiny.h5, tiny.weights.h5, tiny.keras   one small model in Keras' three layouts (written by keras itself)
  tiny.npz                               its arrays, by layer and tensor
  resnet50_conv2.keras                   keras.applications' ResNet50 up to its first stage, weights of 16 levels, repacked deflated
  types.h5                               element types, a deflated data set, text
  bad_*.h5                               what must be refused

Needs keras with a backend, h5py, numpy. Run in this folder: KERAS_BACKEND=torch python make_files.py
"""
import os
import zipfile

import h5py
import keras
import numpy as np


def tiny():
    keras.utils.set_random_seed(1)
    x = image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.DepthwiseConv2D(3, use_bias=False, name="depth")(x)
    x = keras.layers.Dense(5, name="predictions")(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, x, name="tiny")
    for weight in model.weights:
        weight.assign(np.random.default_rng(len(weight.path)).normal(size=weight.shape).astype("float32"))
    return model


def resnet50_conv2(path):
    whole = keras.applications.ResNet50(weights=None, input_shape=(224, 224, 3))
    model = keras.Model(whole.inputs, whole.get_layer("conv2_block3_out").output, name="resnet50")
    rng = np.random.default_rng(3)
    for weight in model.weights:
        levels = rng.integers(0, 16, size=weight.shape) / 8 - 15 / 16  # 16 levels around 0
        fan = np.prod(weight.shape[:-1]) if len(weight.shape) == 4 else 0
        if fan:
            value = levels * np.sqrt(6 / fan)
        else:
            value = 1 + 0.5 * levels if weight.name in ("gamma", "moving_variance") else 0.1 * levels
        weight.assign(value.astype("float32"))
    model.save("whole.keras")
    with zipfile.ZipFile("whole.keras") as whole, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for name in whole.namelist():
            out.writestr(name, whole.read(name))
    os.remove("whole.keras")


if __name__ == "__main__":
    resnet50_conv2("resnet50_conv2.keras")
    model = tiny()
    model.save("tiny.h5")
    model.save_weights("tiny.weights.h5")
    model.save("tiny.keras")
    np.savez("tiny.npz", **{w.path.replace("/", "."): w.numpy() for w in model.weights})

    with h5py.File("types.h5", "w") as file:
        ramp = np.arange(6).reshape(2, 3)
        for name in ["float16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "uint16", ">f4", ">i2"]:
            file["t/" + name.replace(">", "big_")] = ramp.astype(name)
        file.create_dataset("deflated", data=np.zeros((64, 64), "float32"), chunks=(16, 16), compression="gzip")
        file["text"] = "not a number"
        file["scalar"] = np.float32(2.5)

    with h5py.File("bad_external_link.h5", "w") as file:
        file["passwords"] = h5py.ExternalLink("/etc/passwd", "/")
    with h5py.File("bad_soft_link.h5", "w") as file:
        file["a"] = h5py.SoftLink("/b")
    with h5py.File("bad_external_data.h5", "w") as file:
        file.create_dataset("a", (16,), "uint8", external=[("/etc/passwd", 0, 16)])
    with h5py.File("bad_virtual.h5", "w") as file:
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource("tiny.h5", "a", (4,))
        file.create_virtual_dataset("a", layout)
    with h5py.File("bad_fill_value.h5", "w") as file:
        file.create_dataset("a", (1 << 30,), "float32", chunks=(1 << 20,))
    with h5py.File("bad_cycle.h5", "w") as file:
        file.create_group("a")["again"] = file["/"]
    with h5py.File("bad_depth.h5", "w", libver="latest") as file:
        file.create_group("/".join("g" * 40))
