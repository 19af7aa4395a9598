"""Writes small Keras models as .tflite files and SavedModels, and what TensorFlow computes with them, for
tests/models/tflite_test.cpp and saved_model_test.cpp.

  ../data/tflite/NAME.tflite       as TensorFlow's converter wrote it
  ../data/saved_model/NAME/        as Keras' export wrote it, without what only debuggers read
  ../data/tflite/answers.safetensors, ../data/saved_model/answers.safetensors
      NAME.x, NAME.y    images [N,C,H,W] and answers (of the TFLite interpreter without delegates, and of serving_default)
      NAME.z            the same before the last softmax or sigmoid; NAME_fp16 and its like have NAME's x and z
      NAME.r            what z is multiplied by before it is summed for the step's gradients
      NAME.w.I, NAME.d.I  a trained tensor in graft's order of axes, and its gradient (norms in their inference form)

Needs tensorflow-cpu 2.21 (Keras 3.15), numpy, safetensors. Run in this folder: python make_tensorflow.py
--all: SavedModels of more of the models, which are not kept in the repository; --ops: lists the operators of each file.
"""
import os
import shutil
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import keras
import numpy as np
import tensorflow as tf
from safetensors.numpy import save_file

L, ops = keras.layers, keras.ops
TFLITE, SAVED = "../data/tflite", "../data/saved_model"
answers = {"tflite": {}, "saved": {}}


def seeded(model, seed):
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        kind = weight.path.split("/")[-1]
        if "seed" in kind:
            continue
        value = rng.uniform(-1, 1, size=weight.shape)
        if kind == "gamma":
            value = 0.8 + 0.3 * value
        elif kind == "moving_variance":
            value = 1 + 0.5 * value
        elif len(weight.shape) >= 2:
            value *= np.sqrt(3.0 / np.prod(weight.shape[:-1])) if "depthwise" not in weight.path else 0.5
        else:
            value *= 0.3
        weight.assign(value.astype("float32"))


def plain():
    x = i = L.Input((12, 12, 3), name="image")
    x = L.Conv2D(6, 3, padding="same", name="conv1")(x)
    x = L.BatchNormalization(name="norm1")(x)
    x = L.ReLU(name="relu1")(x)
    x = L.MaxPooling2D(2, name="pool1")(x)
    x = L.Conv2D(8, 3, activation="relu", name="conv2")(x)
    x = L.Flatten(name="flat")(x)
    return i, L.Dense(5, name="logits")(x), "softmax"


def mobile():
    def block(x, filters, stride, name):
        y = L.Conv2D(12, 1, use_bias=False, name=name + "_expand")(x)
        y = L.BatchNormalization(name=name + "_expand_norm")(y)
        y = L.ReLU(6.0, name=name + "_expand_relu")(y)
        y = L.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False, name=name + "_depthwise")(y)
        y = L.BatchNormalization(name=name + "_norm")(y)
        y = L.ReLU(6.0, name=name + "_relu")(y)
        y = L.Conv2D(filters, 1, use_bias=False, name=name + "_project")(y)
        y = L.BatchNormalization(name=name + "_project_norm")(y)
        return L.Add(name=name + "_add")([x, y]) if stride == 1 else y

    i = L.Input((16, 16, 3), name="image")
    x = L.Conv2D(6, 3, strides=2, padding="same", activation="relu6", name="stem")(i)
    x = block(x, 6, 1, "b1")
    x = block(x, 8, 2, "b2")
    x = L.GlobalAveragePooling2D(name="pool")(x)
    x = L.Dropout(0.2, name="dropout")(x)
    return i, L.Dense(4, name="logits")(x), "softmax"


def residual():
    x = i = L.Input((10, 10, 3), name="image")
    x = L.Conv2D(6, 3, padding="same", name="conv0")(x)
    y = L.BatchNormalization(name="preact", epsilon=1e-4)(x)
    y = L.ReLU(name="relu0")(y)
    y = L.Conv2D(6, 3, padding="same", use_bias=False, name="conv1")(y)
    y = L.BatchNormalization(name="norm1", scale=False)(y)
    x = L.Add(name="add1")([x, y])
    x = L.ReLU(name="relu1")(x)
    y = L.Conv2D(8, 3, strides=2, padding="same", dilation_rate=1, name="conv2")(x)
    z = L.Conv2D(8, 1, strides=2, name="short")(x)
    x = L.Subtract(name="sub")([y, z])
    gate = L.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    gate = L.Conv2D(8, 1, activation="sigmoid", name="excite")(gate)
    x = L.Multiply(name="gate")([x, gate])
    x = L.AveragePooling2D(2, name="pool")(x)
    x = L.Flatten(name="flat")(x)
    return i, L.Dense(3, name="logits")(x), "sigmoid"


def pads():
    x = i = L.Input((9, 11, 3), name="image")
    x = L.ZeroPadding2D(((1, 2), (0, 3)), name="zeros")(x)
    x = L.Conv2D(6, 3, activation="relu", name="conv1")(x)
    y = ops.pad(x, [[0, 0], [1, 1], [2, 1], [0, 0]], mode="reflect")
    y = L.Conv2D(4, 3, strides=2, activation="tanh", name="conv2")(y)
    z = L.Conv2D(4, (3, 2), strides=2, padding="same", dilation_rate=1, name="conv3")(x)
    z = L.Conv2D(4, 3, dilation_rate=2, padding="same", name="dilated")(z)
    y = L.Cropping2D(((0, 0), (1, 0)), name="crop")(y)
    x = L.Concatenate(name="concat")([y, z])
    x = L.GlobalMaxPooling2D(name="pool")(x)
    return i, L.Dense(4, name="logits")(x), None


def pools():
    x = i = L.Input((13, 13, 3), name="image")
    x = L.Conv2D(4, 3, padding="same", activation="relu", name="conv1")(x)
    a = L.MaxPooling2D(3, strides=2, padding="same", name="max_same")(x)
    b = L.AveragePooling2D(3, strides=2, padding="same", name="average_same")(x)
    x = L.Average(name="both")([a, b])
    c = L.MaxPooling2D(2, name="max_valid")(x)
    d = L.AveragePooling2D(2, name="average_valid")(x)
    x = L.Maximum(name="larger")([c, d])
    x = L.Conv2D(6, 1, name="conv2")(x)
    x = ops.mean(x, axis=[1, 2]) + ops.max(x, axis=[1, 2])
    return i, L.Dense(4, name="logits")(x), "softmax"


def transposed():
    x = i = L.Input((6, 6, 3), name="image")
    x = L.Conv2D(4, 3, padding="same", activation="relu", name="conv1")(x)
    x = L.Conv2DTranspose(5, 3, strides=2, padding="same", activation="relu", name="up1")(x)
    x = L.Conv2DTranspose(4, 2, strides=2, padding="valid", use_bias=False, name="up2")(x)
    x = L.Conv2DTranspose(3, 4, strides=1, padding="same", name="up3")(x)
    x = L.GlobalAveragePooling2D(name="pool")(x)
    return i, L.Dense(3, name="logits")(x), "softmax"


def upsampling():
    x = i = L.Input((8, 8, 3), name="image")
    x = a = L.Conv2D(4, 3, padding="same", activation="relu", name="down1")(x)
    x = L.MaxPooling2D(2, name="pool")(x)
    x = L.Conv2D(6, 3, padding="same", activation="relu", name="down2")(x)
    y = L.UpSampling2D(2, name="nearest")(x)
    z = L.UpSampling2D(2, interpolation="bilinear", name="bilinear")(x)
    x = L.Concatenate(name="skip")([a, y, z])
    x = L.Conv2D(4, 3, padding="same", activation="relu", name="up")(x)
    return i, L.Conv2D(2, 1, name="logits")(x), None


def activations():
    x = i = L.Input((8, 8, 3), name="image")
    x = L.Conv2D(4, 3, padding="same", name="c1")(x)
    x = L.LeakyReLU(negative_slope=0.2, name="leaky")(x)
    x = L.Conv2D(4, 3, padding="same", name="c2")(x)
    x = L.PReLU(shared_axes=[1, 2], name="prelu")(x)
    x = L.Conv2D(4, 3, strides=2, padding="same", name="c3")(x)
    x = L.ELU(name="elu")(x)
    x = L.Conv2D(4, 1, activation="hard_silu", name="c4")(x)
    x = L.Conv2D(4, 1, activation="gelu", name="c5")(x)
    x = L.Conv2D(4, 1, activation="silu", name="c6")(x)
    x = L.Conv2D(4, 1, activation="tanh", name="c7")(x)
    x = L.Conv2D(4, 1, activation="sigmoid", name="c8")(x)
    x = ops.sqrt(ops.abs(x) + 0.5) + ops.exp(-x) - ops.square(x) + ops.log(2.0 + ops.abs(x)) / 3.0
    x = L.GlobalAveragePooling2D(name="pool")(x)
    x = L.Dense(6, activation="relu6", name="hidden")(x)
    return i, L.Dense(4, name="logits")(x), "softmax"


def dense():
    x = i = L.Input((6, 6, 3), name="image")
    x = L.Rescaling(1 / 127.5, offset=-1, name="rescale")(x)
    x = L.Flatten(name="flat")(x)
    x = L.Dense(16, activation="relu", name="hidden1")(x)
    x = L.Dense(12, activation="tanh", name="hidden2")(x)
    return i, L.Dense(5, name="logits")(x), "log_softmax"


def attention():
    """Patches as tokens: reshapes, transposes, products of two values, a layer norm, a split."""
    x = i = L.Input((8, 8, 3), name="image")
    x = L.Conv2D(8, 4, strides=4, name="patches")(x)
    x = L.Reshape((4, 8), name="tokens")(x)
    y = L.LayerNormalization(name="norm")(x)
    q, k, v = ops.split(L.Dense(24, name="qkv")(y), 3, axis=-1)

    def heads(t):
        return ops.transpose(ops.reshape(t, (-1, 4, 2, 4)), (0, 2, 1, 3))

    weights = ops.softmax(ops.matmul(heads(q), ops.transpose(heads(k), (0, 1, 3, 2))) * 0.5)
    y = ops.reshape(ops.transpose(ops.matmul(weights, heads(v)), (0, 2, 1, 3)), (-1, 4, 8))
    x = x + L.Dense(8, name="out")(y)
    x = x[:, 0] + ops.max(x, axis=1)
    return i, L.Dense(4, name="logits")(x), "softmax"


def with_end(end, z):
    return {"softmax": ops.softmax, "sigmoid": ops.sigmoid, "log_softmax": ops.log_softmax, None: lambda v: v}[end](z)


def to_graft(path, value):
    """graft's order of axes of a Keras variable."""
    part = path.split("/")[-1]
    if value.ndim == 4 and ("depthwise" in path):
        value = np.moveaxis(value, (-2, -1), (0, 1)).reshape(-1, 1, *value.shape[:2])
    elif value.ndim == 4:
        value = np.moveaxis(value, (-1, -2), (0, 1))
    elif value.ndim == 2 and part == "kernel":
        value = value.T
    return np.ascontiguousarray(value)


def images(model, name, count=2):
    shape = (count,) + model.inputs[0].shape[1:]
    rng = np.random.default_rng(len(name) + 11)
    top = 255 if name == "dense" else 1
    return rng.uniform(0, top, size=shape).astype("float32")


def first(x):
    return np.ascontiguousarray(np.moveaxis(np.asarray(x), -1, 1)) if np.ndim(x) == 4 else np.asarray(x)


def step(into, name, core, x, gradients):
    z = np.asarray(core(x, training=False))
    into[name + ".z"] = first(z)
    if not gradients:
        return
    r = np.random.default_rng(7).uniform(-1, 1, size=z.shape).astype("float32")
    into[name + ".r"] = first(r)
    variables = [v for v in core.trainable_variables]
    raw = [v.value for v in variables]
    with tf.GradientTape() as tape:
        tape.watch(raw)
        total = tf.reduce_sum(core(tf.constant(x), training=False) * r)
    for at, (v, d) in enumerate(zip(variables, tape.gradient(total, raw))):
        into[f"{name}.w.{at}"] = to_graft(v.path, v.numpy())
        into[f"{name}.d.{at}"] = to_graft(v.path, tf.convert_to_tensor(d).numpy())


def interpreted(content, x):
    interpreter = tf.lite.Interpreter(model_content=content,
                                      experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    interpreter.allocate_tensors()
    before, after = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    results = []
    for image in x:
        value = image[None]
        if before["dtype"] != np.float32:
            scale, zero = before["quantization"]
            info = np.iinfo(before["dtype"])
            value = np.clip(np.round(value / scale) + zero, info.min, info.max).astype(before["dtype"])
        interpreter.set_tensor(before["index"], value)
        interpreter.invoke()
        y = interpreter.get_tensor(after["index"])
        if after["dtype"] != np.float32:
            scale, zero = after["quantization"]
            y = ((y.astype("float32") - zero) * scale).astype("float32")
        results.append(y)
    if "--ops" in sys.argv:
        print("  ", [d["op_name"] for d in interpreter._get_ops_details()])
    return np.concatenate(results)


def built(name, make):
    keras.utils.clear_session()
    i, z, end = make()
    model, core = keras.Model(i, with_end(end, z), name=name), keras.Model(i, z)
    seeded(model, len(name))
    return model, core


def add_tflite(name, make, kind="float", gradients=False):
    model, core = built(name, make)
    x = images(model, name)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if kind != "float":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    if kind in ("int8", "uint8"):
        samples = np.concatenate([x] + [images(model, name + "more" * k) for k in range(1, 6)])
        converter.representative_dataset = lambda: ([s[None]] for s in samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = getattr(tf, kind)
    content = converter.convert()
    name = name if kind == "float" else f"{name}_{kind}"
    with open(f"{TFLITE}/{name}.tflite", "wb") as out:
        out.write(content)
    into = answers["tflite"]
    into[name + ".y"] = first(interpreted(content, x))
    if kind == "float":
        into[name + ".x"] = first(x)
        step(into, name, core, x, gradients)
    print(name, len(content), into[name + ".y"].shape)


def keep(list_of, wanted):
    kept = [item for item in list_of if wanted(item)]
    del list_of[:]
    list_of.extend(kept)


def without_debug(folder):
    """Drops what only debuggers and Python read, and what saves: sources' names, checked shapes, the object graph."""
    from tensorflow.core.protobuf import saved_model_pb2
    path = folder + "/saved_model.pb"
    saved = saved_model_pb2.SavedModel()
    with open(path, "rb") as file:
        saved.ParseFromString(file.read())
    meta = saved.meta_graphs[0]
    meta.meta_info_def.ClearField("stripped_op_list")
    meta.ClearField("object_graph_def")
    graphs = [meta.graph_def] + list(meta.graph_def.library.function)
    for graph in graphs:
        for node in getattr(graph, "node", None) or getattr(graph, "node_def"):
            node.ClearField("experimental_debug_info")
            for key in ("_output_shapes", "config_proto", "_construction_context", "executor_type", "config", "allow_soft_placement"):
                if key in node.attr:
                    del node.attr[key]
    if "serve" in meta.signature_def:
        del meta.signature_def["serve"]
    serves = any(n.name == "StatefulPartitionedCall_1" for n in meta.graph_def.node)
    saving = {n.name for n in meta.graph_def.node if "traced_save" in n.attr["f"].func.name}
    keep(meta.graph_def.node, lambda n: n.name not in saving and "serve_" not in n.name and not n.op.endswith("ReadVariableOp")
         and "Assign" not in n.op and "IsInitialized" not in n.op and not (n.name == "StatefulPartitionedCall" and len(saving) and serves))
    called = {n.attr["f"].func.name for g in graphs for n in (getattr(g, "node", None) or g.node_def) if "f" in n.attr}
    keep(meta.graph_def.library.function, lambda f: f.signature.name in called and "traced_save" not in f.signature.name)
    for function in meta.graph_def.library.function:
        function.ClearField("attr")
        function.ClearField("arg_attr")
    with open(path, "wb") as file:
        file.write(saved.SerializeToString(deterministic=True))
    for name in ("fingerprint.pb", "assets"):
        target = f"{folder}/{name}"
        shutil.rmtree(target) if os.path.isdir(target) else os.path.exists(target) and os.remove(target)


def add_saved(name, make, gradients=False):
    model, core = built(name, make)
    x = images(model, name)
    folder = f"{SAVED}/{name}"
    shutil.rmtree(folder, ignore_errors=True)
    model.export(folder, verbose=False)
    size = os.path.getsize(folder + "/saved_model.pb")
    without_debug(folder)
    into = answers["saved"]
    into[name + ".x"], into[name + ".y"] = first(x), first(model(x, training=False))
    step(into, name, core, x, gradients)
    print(name, "saved", size, os.path.getsize(folder + "/saved_model.pb"), into[name + ".y"].shape)


for folder in (TFLITE, SAVED):
    os.makedirs(folder, exist_ok=True)
for make in (pads, pools, transposed, upsampling, activations, dense, attention):
    add_tflite(make.__name__, make, gradients=True)
for make in (plain, mobile, residual):
    add_tflite(make.__name__, make)
add_tflite("mobile", mobile, "fp16")
add_tflite("dense", dense, "dynamic")
add_tflite("plain", plain, "int8")
add_tflite("mobile", mobile, "uint8")
add_tflite("residual", residual, "int8")
for make in (residual, pads, plain, upsampling, attention) if "--all" in sys.argv else (residual, pads):
    add_saved(make.__name__, make, gradients=True)


def add_seed():
    """A graph of constants and a called function for tests/fuzz, small enough to be mutated."""
    weight = tf.constant(np.random.default_rng(1).uniform(-1, 1, (3, 3, 3, 4)).astype("float32"))

    @tf.function(autograph=False)
    def inner(x):
        y = tf.nn.bias_add(tf.nn.conv2d(x, weight, 1, "SAME"), tf.constant([0.1, 0.2, 0.3, 0.4]))
        return tf.reshape(tf.nn.relu(y), (tf.shape(x)[0], -1))

    @tf.function(input_signature=[tf.TensorSpec((None, 4, 4, 3), name="image")], autograph=False)
    def outer(x):
        return {"y": tf.nn.softmax(inner(x))}

    module, folder = tf.Module(), tempfile.mkdtemp()
    module.outer = outer
    tf.saved_model.save(module, folder, signatures={"serving_default": outer})
    without_debug(folder)
    os.makedirs("../fuzz/corpus/saved_model", exist_ok=True)
    shutil.copy(folder + "/saved_model.pb", "../fuzz/corpus/saved_model/convolution.pb")
    shutil.copy(f"{SAVED}/pads/variables/variables.index", "../fuzz/corpus/saved_model/pads.index")
    os.makedirs("../fuzz/corpus/tflite", exist_ok=True)
    shutil.copy(f"{TFLITE}/pools.tflite", "../fuzz/corpus/tflite/")


add_seed()
save_file(answers["tflite"], f"{TFLITE}/answers.safetensors")
save_file(answers["saved"], f"{SAVED}/answers.safetensors")
