"""An ONNX graph of an image network as a PyTorch program: TorchGraph(path).run(x) interprets the nodes with torch's
functions, TorchGraph.parameters are its weights as leaves. Classic networks only; an unknown operator is a KeyError.
Batch norms and dropouts are in eval mode, as in graft's graph_gradients."""
import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper


def window(a, x):
    """kernel, stride, pads (begin, end per axis) of a pooling or convolution node."""
    axes = x.dim() - 2
    kernel, stride = a.get("kernel_shape"), a.get("strides", [1] * axes)
    pads = a.get("pads", [0] * 2 * axes)
    if a.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER"):
        total = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(x.shape[2:], kernel, stride)]
        small, large = [t // 2 for t in total], [t - t // 2 for t in total]
        pads = small + large if a["auto_pad"] == b"SAME_UPPER" else large + small
    return kernel, stride, pads


def padded(x, pads, value):
    axes = len(pads) // 2
    flat = [p for axis in reversed(range(axes)) for p in (pads[axis], pads[axis + axes])]
    return F.pad(x, flat, value=value) if any(pads) else x


def conv(a, x, w, b=None):
    _, stride, pads = window({"kernel_shape": list(w.shape[2:]), **a}, x)
    return F.conv2d(padded(x, pads, 0.0), w, b, stride, 0, tuple(a.get("dilations", [1, 1])), a.get("group", 1))


def max_pool(a, x):
    kernel, stride, pads = window(a, x)
    return F.max_pool2d(padded(x, pads, float("-inf")), kernel, stride, ceil_mode=bool(a.get("ceil_mode", 0)))


def average_pool(a, x):
    kernel, stride, pads = window(a, x)
    total = F.avg_pool2d(padded(x, pads, 0.0), kernel, stride, divisor_override=1)
    counted = torch.ones_like(x[:1, :1])
    counted = padded(counted, pads, 1.0 if a.get("count_include_pad", 0) else 0.0)
    return total / F.avg_pool2d(counted, kernel, stride, divisor_override=1)


def norm(a, x, scale, bias, mean, variance):
    return F.batch_norm(x, mean.detach(), variance.detach(), scale, bias, False, 0.0, a.get("epsilon", 1e-5))


def reshape(a, x, shape=None):
    wanted = [int(n) for n in (shape if shape is not None else a["shape"])]
    return x.reshape([x.shape[i] if n == 0 else n for i, n in enumerate(wanted)])


def unsqueeze(a, x, axes=None):
    for axis in sorted(int(n) for n in (axes if axes is not None else a["axes"])):
        x = x.unsqueeze(axis)
    return x


def gemm(a, x, w, b=None):
    x, w = x.t() if a.get("transA", 0) else x, w.t() if a.get("transB", 0) else w
    y = a.get("alpha", 1.0) * (x @ w)
    return y if b is None else y + a.get("beta", 1.0) * b


def mean(a, x, axes=None):
    return x.mean([int(n) for n in (axes if axes is not None else a["axes"])], keepdim=bool(a.get("keepdims", 1)))


def pad(a, x, pads, value=None):
    axes, pads = x.dim(), [int(n) for n in pads]
    return F.pad(x, [p for axis in reversed(range(axes)) for p in (pads[axis], pads[axis + axes])], value=0.0 if value is None else float(value))


FUNCTIONS = {
    "Conv": conv, "MaxPool": max_pool, "AveragePool": average_pool, "BatchNormalization": norm, "Reshape": reshape, "Unsqueeze": unsqueeze, "Gemm": gemm, "ReduceMean": mean, "Pad": pad,
    "Relu": lambda a, x: F.relu(x), "Add": lambda a, x, y: x + y, "Mul": lambda a, x, y: x * y, "Sum": lambda a, *x: sum(x),
    "Concat": lambda a, *x: torch.cat(x, a["axis"]), "Dropout": lambda a, x, *_: x, "Identity": lambda a, x: x,
    "LRN": lambda a, x: F.local_response_norm(x, a["size"], a.get("alpha", 1e-4), a.get("beta", 0.75), a.get("bias", 1.0)),
    "GlobalAveragePool": lambda a, x: x.mean((2, 3), keepdim=True), "Flatten": lambda a, x: x.flatten(a.get("axis", 1)),
    "Transpose": lambda a, x: x.permute(a["perm"]), "Sigmoid": lambda a, x: x.sigmoid(), "Clip": lambda a, x, low=None, high=None: x.clamp(low, high),
    "Softmax": lambda a, x: x.softmax(a.get("axis", -1)), "MatMul": lambda a, x, y: x @ y,
}


class TorchGraph:
    def __init__(self, path, dtype=torch.float32):
        self.graph = onnx.load(path).graph
        self.values = {i.name: torch.from_numpy(np.array(numpy_helper.to_array(i))) for i in self.graph.initializer}
        self.parameters = {}
        for name, value in self.values.items():
            if value.is_floating_point():
                self.values[name] = self.parameters[name] = value.to(dtype).requires_grad_(True)
        self.input = next(i.name for i in self.graph.input if i.name not in self.values)

    def run(self, x, watched=()):
        """The first output. `watched`: values whose gradients are wanted too; they join the parameters."""
        values = {**self.values, self.input: x, "": None}
        for node in self.graph.node:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "Constant":
                values[node.output[0]] = torch.from_numpy(np.array(numpy_helper.to_array(attributes["value"])))
            else:
                values[node.output[0]] = FUNCTIONS[node.op_type](attributes, *[values[i] for i in node.input])
                if node.output[0] in watched:
                    values[node.output[0]].retain_grad()
                    self.parameters[node.output[0]] = values[node.output[0]]
        return values[self.graph.output[0].name]
