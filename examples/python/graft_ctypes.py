#!/usr/bin/env python3
"""graft from Python by ctypes: the C API (graft/capi/graft.h) of a shared libgraft, with numpy arrays where numpy is installed and
array.array where it is not.

    python3 graft_ctypes.py LIBGRAFT.so MODEL IMAGE...

As a module: import graft_ctypes as g; model = g.Graft("libgraft.so").load("model.safetensors"); model.predict(["photo.jpg"])
"""
import array
import ctypes as c
import sys

try:
    import numpy as np
except ImportError:
    np = None

ABI_VERSION = 1
OK, INTERNAL, USAGE, BAD_INPUT, RESOURCE, STOPPED = 0, 1, 2, 3, 4, 130
GREY, RGB, BGR, RGBA, BGRA = range(1, 6)
PRECISIONS = {"fp32": 0, "bf16": 1, "fp16": 2, "int8": 3}


class LoadOptions(c.Structure):
    _fields_ = [("size", c.c_size_t), ("precision", c.c_int32), ("threads", c.c_int32), ("device", c.c_char_p),
                ("prefix", c.c_char_p), ("output", c.c_char_p)]


class ModelInfo(c.Structure):
    _fields_ = [("size", c.c_size_t), ("task", c.c_char_p), ("network", c.c_char_p), ("preprocess", c.c_char_p),
                ("certificate", c.c_char_p), ("outputs", c.c_int64), ("input_channels", c.c_int64),
                ("input_height", c.c_int64), ("input_width", c.c_int64)]


class Image(c.Structure):
    _fields_ = [("size", c.c_size_t), ("path", c.c_char_p), ("bytes", c.c_void_p), ("byte_count", c.c_size_t),
                ("pixels", c.c_void_p), ("width", c.c_int64), ("height", c.c_int64), ("row_bytes", c.c_int64),
                ("order", c.c_int32)]


class Progress(c.Structure):
    _fields_ = [("size", c.c_size_t), ("phase", c.c_char_p), ("epoch", c.c_int64), ("epochs", c.c_int64),
                ("done", c.c_int64), ("total", c.c_int64), ("loss", c.c_double), ("score_name", c.c_char_p),
                ("score", c.c_double)]


OnProgress = c.CFUNCTYPE(c.c_int, c.c_void_p, c.POINTER(Progress))
OnNote = c.CFUNCTYPE(None, c.c_void_p, c.c_char_p)


class FinetuneOptions(c.Structure):
    _fields_ = [("size", c.c_size_t), ("task", c.c_char_p), ("freeze", c.c_char_p), ("validation", c.c_char_p),
                ("epochs", c.c_int64), ("batch", c.c_int64), ("learning_rate", c.c_double), ("seed", c.c_uint64),
                ("new_head", c.c_int32), ("threads", c.c_int32), ("folder", c.c_char_p), ("resume", c.c_int32),
                ("on_progress", OnProgress), ("on_note", OnNote), ("user", c.c_void_p), ("stop", c.c_void_p)]


class FinetuneResult(c.Structure):
    _fields_ = [("size", c.c_size_t), ("epochs", c.c_int64), ("best_epoch", c.c_int64), ("score", c.c_double),
                ("loss", c.c_double), ("score_name", c.c_char * 32)]


class Error(Exception):
    """What graft_last_error() said; status is BAD_INPUT and the like."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def text(value):
    return value.decode("utf-8", "replace") if value is not None else None


def encoded(value):
    return None if value is None else value.encode("utf-8", "surrogateescape")


def floats(count):
    """A buffer of floats, and its address."""
    values = np.empty(count, np.float32) if np is not None else array.array("f", bytes(4 * count))
    address = values.ctypes.data if np is not None else values.buffer_info()[0]
    return values, c.cast(address, c.POINTER(c.c_float))


def rows(values, count):
    """The buffer as `count` rows."""
    if np is not None:
        return values.reshape(count, -1)
    each = len(values) // count
    return [values[i * each:(i + 1) * each] for i in range(count)]


class Graft:
    """A loaded libgraft."""

    def __init__(self, path):
        lib = self.lib = c.CDLL(path)
        pointer, count, size = c.c_void_p, c.c_int64, c.c_size_t
        signatures = {  # arguments of the functions that return a status
            "graft_load": [c.c_char_p, c.POINTER(LoadOptions), c.POINTER(pointer)],
            "graft_describe": [pointer, c.POINTER(ModelInfo)],
            "graft_thresholds": [pointer, c.POINTER(c.c_double), size, c.POINTER(size)],
            "graft_warm_up": [pointer, count],
            "graft_predict": [pointer, c.POINTER(Image), size, c.POINTER(c.c_float), size, c.POINTER(c.c_int32)],
            "graft_said": [pointer, c.POINTER(c.c_float), size, count, c.POINTER(count), size, c.POINTER(size)],
            "graft_feature_count": [pointer, c.c_char_p, c.POINTER(size)],
            "graft_features": [pointer, c.c_char_p, c.POINTER(Image), size, c.POINTER(c.c_float), size],
            "graft_finetune": [c.c_char_p, c.c_char_p, c.POINTER(FinetuneOptions), c.POINTER(pointer),
                               c.POINTER(FinetuneResult)],
            "graft_save": [pointer, c.c_char_p],
            "graft_convert": [c.c_char_p, c.c_char_p, c.POINTER(LoadOptions)],
        }
        for name, arguments in signatures.items():
            getattr(lib, name).argtypes = arguments
            getattr(lib, name).restype = c.c_int32
        lib.graft_label.argtypes, lib.graft_label.restype = [pointer, count], c.c_char_p
        lib.graft_free.argtypes, lib.graft_free.restype = [pointer], None
        lib.graft_last_error.restype = lib.graft_version.restype = c.c_char_p
        if lib.graft_abi_version() != ABI_VERSION:
            raise Error(USAGE, f"{path}: ABI {lib.graft_abi_version()}, this module is for {ABI_VERSION}")

    @property
    def version(self):
        return text(self.lib.graft_version())

    def call(self, name, *arguments):
        status = getattr(self.lib, name)(*arguments)
        if status != OK:
            raise Error(status, text(self.lib.graft_last_error()))

    def load(self, path, precision="fp32", threads=0, device=None):
        options = LoadOptions(c.sizeof(LoadOptions), PRECISIONS[precision], threads, encoded(device))
        handle = c.c_void_p()
        self.call("graft_load", encoded(path), c.byref(options), c.byref(handle))
        return Model(self, handle)

    def convert(self, source, target):
        self.call("graft_convert", encoded(source), encoded(target), None)

    def finetune(self, weights, data, on_progress=None, on_note=None, **options):
        """A Model and a FinetuneResult. on_progress(Progress) stops the training by returning True; on_note(str);
        options: task, freeze, validation, epochs, batch, learning_rate, seed, new_head, threads, folder, resume."""
        asked = FinetuneOptions(size=c.sizeof(FinetuneOptions))
        for name, value in options.items():
            setattr(asked, name, encoded(value) if isinstance(value, str) else value)
        raised = []

        def tell(call):  # ctypes swallows exceptions of callbacks
            try:
                return 1 if call() else 0
            except BaseException as error:
                raised.append(error)
                return 1

        if on_progress:
            asked.on_progress = OnProgress(lambda _, p: tell(lambda: on_progress(p.contents)))
        if on_note:
            asked.on_note = OnNote(lambda _, sentence: tell(lambda: on_note(text(sentence))) and None)
        result, handle = FinetuneResult(size=c.sizeof(FinetuneResult)), c.c_void_p()
        try:
            self.call("graft_finetune", encoded(weights), encoded(data), c.byref(asked), c.byref(handle), c.byref(result))
        finally:
            if raised:
                raise raised[0]
        return Model(self, handle), result


class Model:
    """Any number of threads may use one at once: ctypes lets the others run meanwhile."""

    def __init__(self, graft, handle):
        self.graft, self.handle = graft, handle
        info = ModelInfo(size=c.sizeof(ModelInfo))
        graft.call("graft_describe", handle, c.byref(info))
        self.task, self.network, self.outputs = text(info.task), text(info.network), info.outputs
        self.preprocess, self.certificate = text(info.preprocess), text(info.certificate)
        self.input_shape = (info.input_channels, info.input_height, info.input_width)
        self.labels = [text(graft.lib.graft_label(handle, i)) for i in range(info.outputs)]

    def __del__(self):
        if getattr(self, "handle", None):
            self.graft.lib.graft_free(self.handle)

    def thresholds(self):
        found, values = c.c_size_t(), (c.c_double * max(1, self.outputs))()
        self.graft.call("graft_thresholds", self.handle, values, len(values), c.byref(found))
        return list(values[:found.value])

    def warm_up(self, batch=1):
        self.graft.call("graft_warm_up", self.handle, batch)

    def predict(self, images):
        """Rows of values, one for each image: a path, the bytes of an image file, or an array of u8 [H,W], [H,W,3] (RGB) or
        [H,W,4] (RGBA)."""
        values, at = floats(len(images) * self.outputs)
        if len(images) == 0:
            return values
        structs, _kept = self._images(images)
        self.graft.call("graft_predict", self.handle, structs, len(images), at, len(values), None)
        return rows(values, len(images))

    def said(self, row, most=1):
        """(label, value) of what the model says, by a row of predict()."""
        values, at = floats(self.outputs)
        values[:] = row
        indices, found = (c.c_int64 * max(1, self.outputs))(), c.c_size_t()
        self.graft.call("graft_said", self.handle, at, self.outputs, most, indices, len(indices), c.byref(found))
        return [(self.labels[i], float(values[i])) for i in indices[:found.value]]

    def features(self, images, stage=None):
        each = c.c_size_t()
        self.graft.call("graft_feature_count", self.handle, encoded(stage), c.byref(each))
        values, at = floats(len(images) * each.value)
        structs, _kept = self._images(images)
        self.graft.call("graft_features", self.handle, encoded(stage), structs, len(images), at, len(values))
        return rows(values, len(images)) if len(images) else values

    def save(self, path):
        self.graft.call("graft_save", self.handle, encoded(path))

    @staticmethod
    def _images(images):
        """The C structs, and what they point to."""
        structs, kept = (Image * max(1, len(images)))(), []
        for struct, image in zip(structs, images):
            struct.size = c.sizeof(Image)
            if isinstance(image, str):
                struct.path = encoded(image)
            elif isinstance(image, (bytes, bytearray)):
                data = bytes(image)
                kept.append(data)
                struct.bytes, struct.byte_count = c.cast(c.c_char_p(data), c.c_void_p), len(data)
            elif np is None:
                raise Error(USAGE, "arrays of pixels need numpy; without it images are paths or bytes of image files")
            else:
                pixels = np.asarray(image)
                channels = pixels.shape[2] if pixels.ndim == 3 else 1
                if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or channels not in (1, 3, 4):
                    raise Error(USAGE, f"pixels are u8 [H,W], [H,W,3] or [H,W,4], not {pixels.dtype} {list(pixels.shape)}")
                if pixels.strides[1] != channels or (pixels.ndim == 3 and pixels.strides[2] != 1):
                    pixels = np.ascontiguousarray(pixels)  # rows may have gaps, pixels may not
                kept.append(pixels)
                struct.pixels, struct.row_bytes = pixels.ctypes.data, pixels.strides[0]
                struct.height, struct.width = pixels.shape[0], pixels.shape[1]
                struct.order = {1: GREY, 3: RGB, 4: RGBA}[channels]
        return structs, kept


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    model = Graft(sys.argv[1]).load(sys.argv[2])
    images = sys.argv[3:]
    for image, row in zip(images, model.predict(images)):
        print(image, *(f"{label} {value:.4f}" for label, value in model.said(row)), sep="\t")


if __name__ == "__main__":
    main()
