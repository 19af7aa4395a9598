"""Writes Keras models of any shape and what Keras computes with them, for tests/models/keras_graph_test.cpp.

  graphs/NAME.safetensors   a model as graft_read_hdf5 hands it on: variables by their path in the file, configuration and version
                            (initializers and their like are left out of the configuration)
  graphs/nested.keras, .h5  one of them as Keras itself wrote it, the archive deflated
  graphs/answers.safetensors
      NAME.x, NAME.y        images [N,C,H,W] and answers, behind the model's last activation
      NAME.r                what the answers of a step in training mode are multiplied by before they are summed
      NAME.d.TENSOR         the gradients of that sum, by the names and in the order of axes that graft has

Needs tensorflow-cpu (Keras 3 and Keras 2 as tf_keras), h5py, safetensors, numpy. Run in this folder: python make_graphs.py
"""
import json
import os
import tempfile
import zipfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import h5py
import keras
import numpy as np
import tensorflow as tf
import tf_keras
from safetensors.numpy import save_file

L = keras.layers
answers = {}


def seeded(model, name):
    rng = np.random.default_rng(len(name))
    for weight in model.weights:
        if not weight.dtype.startswith("float") if isinstance(weight.dtype, str) else not weight.dtype.is_floating:
            continue
        kind = weight.name.split("/")[-1].split(":")[0]
        value = rng.uniform(-1, 1, size=weight.shape)
        if kind in ("gamma",):
            value = 0.8 + 0.3 * value
        elif kind in ("moving_variance", "variance"):
            value = 1 + 0.5 * value
        elif len(weight.shape) >= 2 and kind != "embeddings":
            value *= np.sqrt(3.0 / np.prod(weight.shape[:-1])) if "depthwise" not in kind else 0.5
        else:
            value *= 0.3
        weight.assign(value.astype("float32"))


def without_noise(config):
    if isinstance(config, dict):
        drop = ("_initializer", "_regularizer", "_constraint")
        return {k: without_noise(v) for k, v in config.items()
                if not k.endswith(drop) and k not in ("build_config", "compile_config", "shared_object_id", "autocast", "sparse", "ragged")}
    return [without_noise(v) for v in config] if isinstance(config, list) else config


def dumped(path, name):
    """The file's data sets and what stands beside them, as tools/hdf5/dump.cpp writes them."""
    metadata, tensors = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        h5 = path
        if path.endswith(".keras"):
            with zipfile.ZipFile(path) as archive:
                metadata["keras.config"] = archive.read("config.json").decode()
                metadata["keras_version"] = json.loads(archive.read("metadata.json"))["keras_version"]
                h5 = archive.extract("model.weights.h5", folder)
        with h5py.File(h5) as file:
            for key in ("keras_version", "model_config"):
                if key in file.attrs:
                    metadata["keras.config" if key == "model_config" else key] = str(file.attrs[key])

            def visit(at, thing):
                if isinstance(thing, h5py.Dataset):
                    value = thing[()]
                    tensors[at] = np.asarray(value, value.dtype if value.dtype.kind == "f" else "int64")
                elif "name" in thing.attrs:
                    metadata["keras.name:" + at] = str(thing.attrs["name"])

            file.visititems(visit)
    metadata["keras.config"] = json.dumps(without_noise(json.loads(metadata["keras.config"])), separators=(",", ":"))
    save_file(tensors, f"graphs/{name}.safetensors", metadata)


def to_graft(layer, path, variable, value, first):
    """graft's name and layout of a trained variable; `first`: dense layers over maps."""
    part = variable.split("/")[-1].split(":")[0]
    kind = type(layer).__name__
    rank = value.ndim
    if part != "bias" and kind.startswith("Depthwise") or part == "depthwise_kernel":
        part = "depthwise_kernel"
        value = np.moveaxis(value, (-2, -1), (0, 1))
        value = value.reshape((-1, 1) + value.shape[2:])
    elif kind.startswith(("Conv", "Separable")) and part != "bias":
        value = np.moveaxis(value, (-1, -2), (0, 1))
    elif kind == "Dense" and part == "kernel" and path not in first:
        value = value.T
    elif kind == "PReLU" and rank == 3:
        value = np.moveaxis(value, -1, 0)
    return f"{path}/{part}", np.ascontiguousarray(value)


def add(name, model, x, suffix=".keras", gradients=(), matrices=(), channels_last=True):
    seeded(model, name)
    path = os.path.join(tempfile.mkdtemp(), "m" + suffix)
    model.save(path)
    dumped(path, name)
    if name == "nested":
        model.save("graphs/nested.h5")
        with zipfile.ZipFile(path) as whole, zipfile.ZipFile("graphs/nested.keras", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
            for member in whole.namelist():
                out.writestr(member, whole.read(member))
    x = x.astype("float32")
    y = np.asarray(model(x, training=False))
    answers[name + ".x"] = np.ascontiguousarray(np.moveaxis(x, -1, 1) if channels_last and x.ndim == 4 else x)
    answers[name + ".y"] = y
    if gradients:
        r = np.random.default_rng(7).uniform(-1, 1, size=y.shape).astype("float32")
        answers[name + ".r"] = r
        found = []

        def walk(m, around):
            for layer in m.layers:
                here = f"{around}/{layer.name}" if around else layer.name
                if hasattr(layer, "layers"):
                    walk(layer, here)
                else:
                    found.extend((layer, here, v) for v in layer.trainable_variables)

        walk(model, "")
        found = [f for f in found if f[1] in gradients]
        variables = [getattr(v, "value", v) if not callable(getattr(v, "value", None)) else v for _, _, v in found]
        with tf.GradientTape() as tape:
            tape.watch(variables)
            total = tf.reduce_sum(model(tf.constant(x), training=True) * r)
        for (layer, here, v), d in zip(found, tape.gradient(total, variables)):
            d = tf.convert_to_tensor(d).numpy()
            key, value = to_graft(layer, here, v.name, d, matrices)
            answers[f"{name}.d.{key}"] = value
    print(name, model.count_params(), y.shape, float(np.abs(y).mean()))


def images(n=3, h=9, w=8, c=3, seed=5):
    return np.random.default_rng(seed).uniform(-1, 1, size=(n, h, w, c))


def convolutions():
    x = i = keras.Input((9, 8, 3))
    x = L.Conv2D(6, 3, strides=2, padding="same", name="same")(x)
    x = L.BatchNormalization(name="norm")(x)
    x = L.ReLU(6.0, name="relu")(x)
    x = L.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2, name="depth")(L.UpSampling2D(2)(x))
    x = L.BatchNormalization(scale=False, epsilon=1e-2, name="unscaled")(x)
    x = L.SeparableConv2D(8, (3, 2), padding="same", depth_multiplier=2, activation="relu", name="separable")(x)
    x = L.Conv2D(8, 3, dilation_rate=2, padding="same", groups=2, use_bias=False, name="dilated")(x)
    x = L.Conv2D(5, (2, 3), strides=(2, 1), padding="valid", activation="swish", name="valid")(x)
    x = L.GlobalAveragePooling2D()(x)
    x = L.Dropout(0.0)(x)
    return keras.Model(i, L.Dense(4, name="predictions")(x), name="convolutions")


def transposed():
    x = i = keras.Input((5, 4, 3))
    a = L.Conv2DTranspose(4, 3, strides=2, padding="same", name="same")(x)
    b = L.Conv2DTranspose(4, 2, strides=2, padding="valid", name="valid")(x)
    c = L.Conv2DTranspose(4, 2, strides=3, padding="same", name="far")(x)
    d = L.Conv2DTranspose(4, 3, strides=2, padding="same", output_padding=1, name="added")(x)
    e = L.Conv2DTranspose(4, 2, strides=3, padding="valid", name="apart")(x)
    f = L.Conv2DTranspose(4, 4, strides=2, padding="same", name="even")(x)
    c = L.Cropping2D(((1, 4), (2, 2)))(c)
    e = L.Cropping2D(((5, 0), (0, 4)))(e)
    x = L.Concatenate()([a, b, c, d, e, f])
    x = L.Concatenate()([x, L.UpSampling2D((2, 2))(i), L.UpSampling2D((2, 2), interpolation="bilinear")(i)])
    x = L.ZeroPadding2D(((1, 0), (0, 2)))(x)
    x = L.MaxPooling2D(3, strides=2, padding="same")(x)
    x = L.AveragePooling2D((3, 2), strides=2, padding="same")(x)
    x = L.Flatten()(x)
    return keras.Model(i, L.Dense(4, name="predictions")(x), name="transposed")


def sequence():
    x = i = keras.Input((8, 8, 3))
    x = L.Reshape((-1, 6), name="reshape")(x)
    x = L.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="relu", name="causal")(x)
    x = L.Conv1D(6, 4, strides=3, padding="same", groups=2, name="same")(x)
    x = L.BatchNormalization(name="norm")(x)
    x = L.SeparableConv1D(6, 3, name="separable")(x)
    x = L.DepthwiseConv1D(3, padding="same", name="depth")(x)
    x = L.Conv1DTranspose(5, 3, strides=2, padding="same", name="transposed")(x)
    x = L.Cropping1D((1, 2))(L.ZeroPadding1D((2, 1))(L.UpSampling1D(2)(x)))
    x = L.MaxPooling1D(3, 2, padding="same")(x)
    x = L.AveragePooling1D(2)(x)
    x = L.Dense(7, activation="tanh", name="along")(x)
    a = L.GlobalMaxPooling1D()(x)
    b = L.GlobalAveragePooling1D()(x)
    x = L.Permute((2, 1))(L.RepeatVector(3)(L.Concatenate()([a, b])))
    x = L.Dense(2, name="rows")(x)
    return keras.Model(i, L.Dense(4, name="predictions")(L.Flatten()(x)), name="sequence")


def volume():
    x = i = keras.Input((8, 6, 3))
    x = L.Reshape((8, 6, 3, 1))(x)
    x = L.Conv3D(4, (3, 3, 2), strides=(2, 1, 1), padding="same", activation="elu", name="same")(x)
    x = L.BatchNormalization(name="norm")(x)
    x = L.MaxPooling3D((2, 2, 1))(x)
    x = L.Conv3DTranspose(4, 2, strides=(1, 2, 1), padding="same", name="transposed")(x)
    x = L.AveragePooling3D((1, 2, 2), padding="same")(x)
    x = L.Cropping3D((0, (0, 1), 0))(L.ZeroPadding3D((1, 0, 1))(L.UpSampling3D((1, 2, 1))(x)))
    x = L.Dense(5, name="channels")(x)
    x = L.Flatten()(L.GlobalAveragePooling3D(keepdims=True)(x))
    return keras.Model(i, L.Dense(4, name="predictions")(x), name="volume")


def norms():
    x = i = keras.Input((4, 6, 3))
    x = L.Conv2D(8, 3, padding="same", name="conv")(x)
    x = L.LayerNormalization(name="last")(x)
    x = L.GroupNormalization(4, name="groups")(x)
    x = L.LayerNormalization(axis=[1, 2, 3], center=False, name="whole")(x)
    x = L.LayerNormalization(axis=1, name="rows")(x)
    x = L.BatchNormalization(axis=1, name="by_row")(x)
    x = L.BatchNormalization(axis=2, scale=False, center=False, name="by_column")(x)
    x = L.GroupNormalization(-1, epsilon=1e-2, name="instances")(x)
    x = L.Conv2D(8, 2, activation="gelu", name="second")(x)
    x = L.GlobalMaxPooling2D()(x)
    x = L.BatchNormalization(momentum=0.9, name="vector")(x)
    return keras.Model(i, L.Dense(4, name="predictions")(x), name="norms")


FUNCTIONS = ["linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "sigmoid", "hard_sigmoid", "hard_silu", "tanh",
             "hard_tanh", "softmax", "log_softmax", "softplus", "softsign", "exponential", "mish", "log_sigmoid", "tanh_shrink", "hard_shrink",
             "soft_shrink", "squareplus"]


def activations():
    i = keras.Input((4, 4, 3))
    x = L.Rescaling(3.0)(L.Conv2D(3, 3, padding="same", name="conv")(i))
    found = [L.Activation(f, name="f_" + f)(x) for f in FUNCTIONS]
    found += [L.ReLU(max_value=2, negative_slope=0.1, threshold=0.5, name="general")(x), L.ReLU(max_value=1.5, negative_slope=0.2, name="capped")(x),
              L.ReLU(threshold=0.7, name="late")(x), L.LeakyReLU(negative_slope=0.2, name="leaky")(x), L.ELU(0.5, name="half")(x),
              L.PReLU(name="each")(x), L.PReLU(shared_axes=[1, 2], name="shared")(x), L.Softmax(axis=1, name="down")(x),
              L.Conv2D(3, 1, activation=L.LeakyReLU(negative_slope=0.3), name="within")(x), L.SpatialDropout2D(0.0, name="maps")(x),
              keras.ops.gelu(x), keras.activations.gelu(x, approximate=True), keras.activations.relu(x, negative_slope=0.25, max_value=1.0),
              keras.ops.leaky_relu(x, 0.15)]
    x = L.Concatenate()([L.GlobalAveragePooling2D()(f) for f in found])
    return keras.Model(i, L.Dense(4, name="predictions")(x), name="activations")


def merging():
    i = keras.Input((5, 6, 3))
    x = L.Conv2D(4, 3, padding="same", activation="relu", name="conv")(i)
    gate = L.GlobalAveragePooling2D(keepdims=True)(x)
    gate = L.Conv2D(4, 1, activation="hard_sigmoid", name="gate")(gate)
    y = L.Multiply()([x, gate])
    y = L.Add()([x, y, L.Conv2D(4, 1, name="side")(i)])
    vector = L.Dense(4, name="vector")(L.GlobalAveragePooling2D()(x))
    y = L.Add(name="spread")([y, vector])
    y = L.Concatenate(axis=1)([y, L.Subtract()([x, y]), L.Average()([x, y]), L.Maximum()([x, y]), L.Minimum()([x, y])])
    y = L.Concatenate(axis=-1)([y, y * 0.5 + 1.0, 1.0 - y, y / 2.0, keras.ops.maximum(y, 0.1)])
    z = L.Flatten()(L.AveragePooling2D(3)(y))
    a, b = L.Dense(6, name="left")(z), L.Dense(6, name="right")(z)
    seq = L.Reshape((-1, 4))(x)
    d = L.Flatten()(L.Dot(axes=1)([seq, seq]))
    z = L.Concatenate()([L.Dot(axes=1)([a, b]), a + b, a * b, d])
    return keras.Model(i, L.Dense(4, name="predictions")(z), name="merging")


def nested():
    inner_in = keras.Input((6, 6, 4))
    one = L.Conv2D(4, 3, padding="same", name="conv")
    y = one(L.ReLU()(one(inner_in)))
    inner = keras.Model(inner_in, [y, L.GlobalAveragePooling2D()(y)], name="inner")
    around_in = keras.Input((6, 6, 4))
    p, q = inner(around_in)
    around = keras.Model(around_in, [L.Add()([p, around_in]), q], name="around")
    stem = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(4, 3, activation="relu", name="conv"), L.BatchNormalization(name="norm")], name="stem")
    x = i = keras.Input((8, 8, 3))
    x = stem(x)
    x, a = around(x)
    x, b = around(x)
    s = keras.Sequential([L.GlobalMaxPooling2D(), L.Dense(4, activation="relu", name="d")], name="tail")
    z = L.Concatenate()([a, b, s(x), s(L.ReLU()(x))])
    return keras.Model(i, L.Dense(4, name="predictions")(z), name="nested")


def prepared():
    model = keras.Sequential([keras.Input((None, None, 3)), L.Resizing(8, 8), L.RandomFlip("horizontal"), L.Rescaling(1 / 127.5, offset=-1),
                              L.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.5, 0.6, 0.7]), L.GaussianNoise(0.1),
                              L.Conv2D(4, 3, activation="relu", name="conv"), L.MaxPooling2D(), L.Flatten(), L.Dropout(0.5),
                              L.Dense(1, activation="sigmoid", name="predictions")], name="prepared")
    return model


def embedding():
    x = i = keras.Input((4, 4, 1))
    x = L.Reshape((16,))(L.Rescaling(10.0)(x))
    x = L.Embedding(10, 6, name="table")(x)
    x = L.Conv1D(6, 3, activation="relu", name="conv")(x)
    x = L.GlobalAveragePooling1D()(x)
    return keras.Model(i, L.Dense(4, name="predictions")(x), name="embedding")


def unet():
    x = i = keras.Input((8, 8, 3))
    a = L.Conv2D(4, 3, padding="same", activation="relu", name="down1")(x)
    b = L.Conv2D(6, 3, padding="same", activation="relu", name="down2")(L.MaxPooling2D()(a))
    c = L.Conv2DTranspose(4, 2, strides=2, padding="same", name="up")(b)
    x = L.Conv2D(4, 3, padding="same", activation="relu", name="join")(L.Concatenate()([a, c]))
    return keras.Model(i, L.Conv2D(2, 1, activation="sigmoid", name="mask")(x), name="unet")


def channels_first():
    x = i = keras.Input((3, 8, 6))
    x = L.ZeroPadding2D(1, data_format="channels_first")(x)
    x = L.MaxPooling2D(2, data_format="channels_first")(x)
    x = L.BatchNormalization(axis=1, name="norm")(x)
    x = L.Flatten(data_format="channels_first")(x)
    return keras.Model(i, L.Dense(4, name="predictions")(x), name="channels_first")


def old(k):
    """Keras 2: hard_sigmoid of its own, a nested model that counts its calls from 1, TensorFlow's operators."""
    K = k.layers
    inner = k.Sequential([K.InputLayer((6, 6, 4)), K.Conv2D(4, 3, padding="same", name="conv"), K.LeakyReLU(0.2)], name="inner")
    x = i = k.Input((8, 8, 3))
    x = K.Conv2D(4, 3, activation="hard_sigmoid", name="conv")(x)
    x = K.BatchNormalization(name="norm")(x)
    x = inner(x)
    x = inner(x)
    x = K.DepthwiseConv2D(3, strides=2, padding="same", name="depth")(x)
    x = K.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)
    x = K.ThresholdedReLU(0.1)(x)
    d = K.Dense(5, activation="relu", name="shared")
    x = K.GlobalAveragePooling2D()(x)
    x = K.Concatenate()([d(x), d(K.ReLU()(x))])
    return k.Model(i, K.Dense(4, activation="softmax", name="predictions")(x), name="old")


if __name__ == "__main__":
    os.makedirs("graphs", exist_ok=True)
    add("convolutions", convolutions(), images(), gradients=("same", "norm", "depth", "separable", "dilated", "valid", "predictions"))
    add("transposed", transposed(), images(h=5, w=4), gradients=("same", "valid", "far", "added", "apart", "even"))
    add("sequence", sequence(), images(h=8), gradients=("causal", "same", "separable", "depth", "transposed", "along", "rows"), matrices=("rows",))
    add("volume", volume(), images(h=8, w=6), gradients=("same", "norm", "transposed", "channels"))
    add("norms", norms(), images(h=4, w=6), gradients=("conv", "last", "groups", "rows", "by_row", "instances", "vector"))
    add("activations", activations(), images(h=4, w=4), gradients=("conv", "each", "shared", "within"))
    add("merging", merging(), images(h=5, w=6), gradients=("conv", "gate", "vector", "left"))
    add("nested", nested(), images(h=8), gradients=("stem/conv", "stem/norm", "around/inner/conv", "tail/d"))
    add("nested_h5", nested(), images(h=8), suffix=".h5")
    add("prepared", prepared(), 255 * np.abs(images(h=8)))
    add("embedding", embedding(), np.floor(np.abs(images(h=4, w=4, c=1)) * 10) / 10 + 0.05, gradients=("table", "conv"))
    add("unet", unet(), images(h=8))
    add("channels_first", channels_first(), np.moveaxis(images(h=8, w=6), -1, 1), channels_last=False, gradients=("norm", "predictions"))
    add("old", old(tf_keras), images(h=8), suffix=".h5")
    add("old_keras", old(tf_keras), images(h=8))
    save_file({k: np.asarray(v, "float32") for k, v in answers.items()}, "graphs/answers.safetensors")
