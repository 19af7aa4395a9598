#!/usr/bin/env python3
"""Writes PyTorch's values for the operations that imported graphs need, in the form of make_goldens.py (which see).

Case names, inputs and their order are those of tests/layers/*_test.cpp. Each family has its own seed, so that a new case
changes one file. Usage: make_graph_goldens.py [FAMILY ...]. Needs torch and safetensors; made with torch 2.15.
"""
import os
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from make_goldens import Family, Input, fixed, x


def indices(*shape, high):
    return Input(shape, labels=high)


def elementwise():  # formulas stand here where PyTorch's own backward rounds a constant to float32
    f = Family()

    def unary(name, function, low=-3.0, high=3.0, shape=(4, 11)):
        f.case(name, [Input(shape, low, high)], function)

    unary("reciprocal", torch.reciprocal, 0.2, 3)
    unary("floor", torch.floor)
    unary("ceil", torch.ceil)
    unary("round", torch.round)
    unary("sign", torch.sign)
    unary("erf", torch.erf)
    unary("sin", torch.sin)
    unary("cos", torch.cos)
    unary("tan", torch.tan, -1.3, 1.3)
    unary("asin", torch.asin, -0.95, 0.95)
    unary("acos", torch.acos, -0.95, 0.95)
    unary("atan", torch.atan)
    unary("sinh", torch.sinh)
    unary("cosh", torch.cosh)
    unary("asinh", torch.asinh)
    unary("acosh", torch.acosh, 1.1, 4)
    unary("atanh", torch.atanh, -0.95, 0.95)
    unary("softplus", F.softplus)
    unary("softplus_wide", lambda a: torch.logaddexp(a, a * 0), -60, 60)
    unary("softsign", F.softsign)
    unary("leaky_relu", lambda a: F.leaky_relu(a, 0.1))
    unary("elu", lambda a: F.elu(a, 0.7))
    unary("selu", F.selu)
    unary("celu", lambda a: torch.where(a < 0, 1.7 * torch.expm1(a / 1.7), a))
    unary("hard_sigmoid", lambda a: (a / 6 + 0.5).clamp(0, 1), -5, 5)
    unary("hard_sigmoid_onnx", lambda a: (0.2 * a + 0.5).clamp(0, 1), -4, 4)
    unary("hard_swish", F.hardswish, -5, 5)
    unary("thresholded_relu", lambda a: F.threshold(a, 0.8, 0))
    unary("shrink", lambda a: torch.where(a < -0.6, a + 0.2, torch.where(a > 0.6, a - 0.2, a * 0)))
    unary("clip", lambda a: a.clamp(-0.7, 1.2))
    unary("gelu", F.gelu)
    unary("gelu_tanh", lambda a: F.gelu(a, approximate="tanh"))
    unary("silu", F.silu, shape=(2, 3, 3, 2))
    unary("swish_alpha", lambda a: a * torch.sigmoid(1.7 * a))
    unary("mish", F.mish)

    def binary(name, function, a, b, alow=-2.0, ahigh=2.0, low=-2.0, high=2.0):
        f.case(name, [Input(a, alow, ahigh), Input(b, low, high)], function)

    binary("pow", torch.pow, (3, 7), (3, 7), 0.2, 3)
    binary("mod", torch.remainder, (3, 7), (7,), -5, 5, 0.7, 2)
    binary("fmod", torch.fmod, (3, 7), (7,), -5, 5, 0.7, 2)
    binary("min", torch.minimum, (2, 3, 4, 3), (1, 3, 1, 1))
    binary("max", torch.maximum, (2, 3, 4, 3), (2, 3, 4, 3))
    binary("prelu", lambda a, b: torch.where(a < 0, a * b, a), (2, 3, 4, 3), (3, 1, 1))

    def where(name, c, a, b):
        f.case(name, [indices(*c, high=2), Input(a), Input(b)], lambda m, u, v: torch.where(m != 0, u, v))

    where("where", (3, 4), (3, 4), (3, 4))
    where("where_broadcast", (3, 1), (2, 1, 4), ())
    where("where_image", (2, 1, 3, 4), (2, 3, 3, 4), (2, 3, 3, 4))
    return f


def movement():
    f = Family()

    def case(name, shape, function):
        f.case(name, [Input(shape)], function)

    case("transpose_matrix", (3, 5), lambda a: a.T)
    case("transpose_image", (2, 3, 4, 5), lambda a: a.permute(0, 2, 3, 1))
    case("transpose_swap", (2, 3, 4, 5), lambda a: a.permute(1, 0, 3, 2))
    case("transpose_rank5", (2, 3, 2, 3, 2), lambda a: a.permute(4, 2, 0, 3, 1))
    case("slice_image", (2, 3, 5, 6), lambda a: a[:, 1:, 1:4:2, -4:-1])
    case("slice_back", (4, 7), lambda a: a.flip((0, 1))[::2, 1:6:2])
    case("slice_empty", (3, 4), lambda a: a[:, 2:2])
    case("expand_rows", (5,), lambda a: a.expand(3, 5))
    case("expand_both", (3, 1), lambda a: a.expand(2, 3, 4))
    case("tile", (2, 3), lambda a: a.repeat(2, 3))
    case("reverse", (3, 4, 2), lambda a: a.flip((0, 2)))
    case("squeeze", (2, 1, 3, 1), lambda a: a.squeeze())
    case("unsqueeze", (2, 3), lambda a: a[:, None, :, None])
    case("pad_edge", (1, 2, 3, 4), lambda a: F.pad(a, (2, 1, 0, 3), mode="replicate"))
    case("pad_reflect", (1, 2, 3, 4), lambda a: F.pad(a, (2, 1, 0, 2), mode="reflect"))
    case("pad_wrap", (1, 2, 3, 4), lambda a: F.pad(a, (2, 1, 0, 3), mode="circular"))
    case("pad_edge_crop", (1, 2, 5, 4), lambda a: F.pad(a[:, :, 1:-2], (1, 2, 0, 0), mode="replicate"))
    case("depth_to_space_crd", (2, 8, 2, 3), lambda a: F.pixel_shuffle(a, 2))
    case("depth_to_space_dcr", (1, 12, 2, 3),
         lambda a: a.reshape(1, 2, 2, 3, 2, 3).permute(0, 3, 4, 1, 5, 2).reshape(1, 3, 4, 6))
    case("space_to_depth", (1, 3, 4, 6),
         lambda a: a.reshape(1, 3, 2, 2, 3, 2).permute(0, 3, 5, 1, 2, 4).reshape(1, 12, 2, 3))
    case("triu", (2, 4, 5), lambda a: a.triu(1))
    case("tril", (5, 4), lambda a: a.tril(-1))
    case("cast", (3, 4), lambda a: a * 1)
    return f


def indexing():
    f = Family()
    f.case("gather_rows", [x(5, 3), indices(4, high=5)], lambda a, i: a[i])
    f.case("gather_embedding", [x(7, 4), indices(2, 3, high=7)], lambda a, i: a[i])
    f.case("gather_channels", [x(2, 5, 3, 2), indices(4, high=5)], lambda a, i: a[:, i])
    f.case("gather_scalar", [x(3, 4), indices(high=3)], lambda a, i: a[i])
    f.case("gather_elements", [x(4, 3), indices(2, 3, high=4)], lambda a, i: a.gather(0, i))
    f.case("gather_elements_last", [x(2, 3, 5), indices(2, 2, 7, high=5)], lambda a, i: a.gather(2, i))
    f.case("gather_nd", [x(3, 3, 4), indices(5, 2, high=3)], lambda a, i: a[i[:, 0], i[:, 1]])
    f.case("gather_nd_batch", [x(2, 3, 4), indices(2, 5, 1, high=3)],
           lambda a, i: torch.stack([a[n][i[n, :, 0]] for n in range(2)]))
    place = torch.tensor([[1, 0, 2], [0, 2, 1]])
    f.case("scatter_elements", [x(3, 3), x(2, 3)], lambda a, u: a.scatter(0, place, u))
    f.case("scatter_elements_add", [x(3, 3), indices(4, 3, high=3), x(4, 3)], lambda a, i, u: torch.scatter_add(a, 0, i, u))
    f.case("scatter_elements_mul", [x(3, 4), indices(2, 4, high=3), x(2, 4)],
           lambda a, i, u: torch.scatter_reduce(a, 0, i, u, "prod"))
    f.case("scatter_elements_max", [x(3, 4), indices(2, 4, high=3), x(2, 4)],
           lambda a, i, u: torch.scatter_reduce(a, 0, i, u, "amax"))
    f.case("scatter_elements_min", [x(3, 4), indices(2, 4, high=3), x(2, 4)],
           lambda a, i, u: torch.scatter_reduce(a, 0, i, u, "amin"))
    f.case("scatter_nd", [x(4, 3), x(2, 3)], lambda a, u: a.index_put((torch.tensor([2, 0]),), u))
    f.case("scatter_nd_add", [x(4, 3, 2), indices(5, 1, high=4), x(5, 3, 2)],
           lambda a, i, u: a.index_put((i[:, 0],), u, accumulate=True))
    f.case("compress", [x(4, 3)], lambda a: a[[0, 2]])
    return f


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    families = [elementwise, movement, indexing]
    chosen = [f for f in families if len(sys.argv) < 2 or f.__name__ in sys.argv[1:]]
    for family in chosen:
        torch.manual_seed(20251124)
        path = os.path.join(folder, family.__name__ + ".safetensors")
        save_file(family().tensors, path)
        print(path, os.path.getsize(path))


if __name__ == "__main__":
    main()
