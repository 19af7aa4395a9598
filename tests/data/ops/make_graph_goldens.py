#!/usr/bin/env python3
"""Writes PyTorch's values for the operations that imported graphs need, in the form of make_goldens.py (which see);
those of resize and roi_align are the onnx package's reference.

Case names, inputs and their order are those of tests/layers/*_test.cpp. Each family has its own seed, so that a new case
changes one file. Usage: make_graph_goldens.py [FAMILY ...]. Needs torch, safetensors and onnx; made with torch 2.15 and
onnx 1.23.
"""
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from onnx import helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.ops import op_resize
from safetensors.torch import save_file

from make_goldens import Family, Input, fixed, x


# The reference computes cubic weights in float32, because the node's attribute is one.
for name in ("_cubic_coeffs", "_cubic_coeffs_antialias"):
    setattr(op_resize, name, lambda ratio, scale, A, original=getattr(op_resize, name): original(ratio, scale, float(A)))


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


def matrices():
    f = Family()

    def case(name, a, b, function=torch.matmul):
        f.case(name, [x(*a), x(*b)], function)

    case("matmul", (3, 5), (5, 4))
    case("matmul_vectors", (5,), (5,))
    case("matmul_row", (5,), (2, 5, 3))
    case("matmul_column", (2, 3, 5), (5,))
    case("matmul_batch", (2, 3, 4, 5), (2, 3, 5, 2))
    case("matmul_broadcast", (2, 1, 4, 5), (3, 5, 2))
    case("matmul_tall", (2, 3, 5), (5, 4))
    case("matmul_wide", (3, 5), (2, 5, 4))
    case("matmul_one", (1, 1), (1, 7))
    f.case("gemm", [x(3, 5), x(5, 4), x(4)], lambda a, b, c: 0.5 * a @ b + 2 * c)
    f.case("gemm_transposed", [x(5, 3), x(4, 5), x(3, 1)], lambda a, b, c: a.T @ b.T + c)
    for name, equation, shapes in EINSUMS:
        f.case("einsum_" + name, [x(*s) for s in shapes], lambda *t, equation=equation: torch.einsum(equation, *t))
    return f


EINSUMS = [
    ("product", "ij,jk->ik", [(3, 4), (4, 2)]),
    ("implicit", "ij,jk", [(3, 4), (4, 2)]),
    ("transpose", "ijk->kij", [(2, 3, 4)]),
    ("trace", "ii", [(4, 4)]),
    ("diagonal", "bii->bi", [(2, 3, 3)]),
    ("sum", "ij->j", [(3, 4)]),
    ("outer", "i,j->ij", [(3,), (4,)]),
    ("batch", "bij,bjk->bik", [(2, 3, 4), (2, 4, 2)]),
    ("ellipsis", "...ij,...jk->...ik", [(2, 1, 3, 4), (3, 4, 2)]),
    ("inner", "i,i", [(5,), (5,)]),
    ("bilinear", "bn,anm,bm->ba", [(2, 3), (4, 3, 5), (2, 5)]),
    ("hadamard_sum", "ij,ij->i", [(3, 4), (3, 4)]),
    ("private_letters", "ijp,jqk->ki", [(2, 3, 2), (3, 2, 4)]),
]


def reductions():
    f = Family()

    def case(name, function, low=-2.0, high=2.0, shape=(2, 3, 4, 3)):
        f.case(name, [Input(shape, low, high)], function)

    case("prod", lambda a: a.prod(1))
    case("prod_all", lambda a: a.prod(), shape=(2, 3))
    case("l1", lambda a: a.abs().sum((1, 3)))
    case("l2", lambda a: a.square().sum((0, 2), keepdim=True).sqrt())
    case("log_sum", lambda a: a.sum(-1).log(), 0.1)
    case("log_sum_exp", lambda a: a.logsumexp((1, 2)), -9, 9)
    case("log_sum_exp_far", lambda a: a.logsumexp(0), 800, 1500)
    case("sum_square", lambda a: a.square().sum((2, 3)))
    case("cumulative_sum", lambda a: a.cumsum(1))
    case("cumulative_sum_back", lambda a: a.flip(2).cumsum(2).flip(2) - a)
    case("topk", lambda a: tuple(a.topk(2, 1)))
    case("bottomk", lambda a: tuple(a.topk(3, -1, largest=False)), shape=(4, 7))
    return f


def normalization():
    f = Family()

    def case(name, inputs, function, f32=None):
        f.case(name, [Input(s, -2, 3) for s in inputs], function)

    case("layer_norm", [(3, 7), (7,), (7,)], lambda a, w, b: F.layer_norm(a, (7,), w, b))
    case("layer_norm_axes", [(2, 3, 4), (3, 4), (3, 4)], lambda a, w, b: F.layer_norm(a, (3, 4), w, b, 1e-2))
    case("layer_norm_image", [(2, 3, 4, 3)], lambda a: F.layer_norm(a, (3, 4, 3)))
    case("rms_norm", [(3, 7), (7,)], lambda a, w: F.rms_norm(a, (7,), w, 1e-4))
    case("group_norm", [(2, 6, 3, 2), (6,), (6,)], lambda a, w, b: F.group_norm(a, 3, w, b))
    case("group_norm_line", [(2, 4, 5)], lambda a: F.group_norm(a, 2))
    case("instance_norm", [(2, 3, 4, 3), (3,), (3,)], lambda a, w, b: F.instance_norm(a, None, None, w, b))
    case("local_response_norm", [(2, 7, 3, 2)], lambda a: F.local_response_norm(a, 3, 0.2, 0.6, 1.5))
    case("local_response_norm_even", [(1, 5, 6)],
         lambda a: a / (2 + 0.1 * sum(F.pad(a * a, (0, 0, 1, 2))[:, i:i + 5] for i in range(4)) / 4) ** 0.75)
    case("lp_normalization", [(3, 4, 2)], lambda a: F.normalize(a, 2, 1))
    case("lp_normalization_1", [(3, 4)], lambda a: F.normalize(a, 1, -1))
    case("mean_variance", [(2, 3, 4, 3)],
         lambda a: (a - a.mean((0, 2, 3), True)) / (a.var((0, 2, 3), False, keepdim=True).sqrt() + 1e-9))
    return f


def by_onnx(node, shape, extra=()):
    """The affine function that an ONNX node is of its first input, as a PyTorch function: its matrix by columns."""
    inputs = ["x"] + [name for name, _ in extra]
    node.input[:] = inputs
    named = [helper.make_tensor_value_info(n, 0, None) for n in inputs]
    graph = helper.make_graph([node], "g", named, [helper.make_tensor_value_info("y", 0, None)])
    run = ReferenceEvaluator(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)]))

    def value(a):
        return run.run(None, {"x": a, **dict(extra)})[0]

    constant = value(np.zeros(shape))
    columns = [value(e.reshape(shape)) - constant for e in np.eye(int(np.prod(shape)))]
    matrix = torch.tensor(np.stack([c.ravel() for c in columns], 1))
    return lambda a: (matrix @ a.reshape(-1)).reshape(constant.shape) + torch.tensor(constant)


def image():
    f = Family()

    def transposed(name, xs, ws, bias=False, **options):
        function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(xs) - 3]
        inputs = [x(*xs), x(*ws)] + ([x(ws[1] * options.get("groups", 1))] if bias else [])
        f.case(name, inputs, lambda a, w, b=None: function(a, w, b, **options))

    transposed("conv_transpose", (2, 3, 4, 3), (3, 2, 3, 3))
    transposed("conv_transpose_up", (1, 4, 3, 4), (4, 3, 2, 2), True, stride=2)
    transposed("conv_transpose_padded", (2, 3, 4, 3), (3, 4, 3, 3), True, stride=2, padding=1, output_padding=1)
    transposed("conv_transpose_dilated", (1, 2, 3, 4), (2, 3, 2, 3), stride=(1, 2), dilation=2, padding=1)
    transposed("conv_transpose_groups", (2, 4, 3, 3), (4, 3, 3, 3), True, stride=2, padding=1, groups=2)
    transposed("conv_transpose_line", (2, 3, 5), (3, 2, 4), True, stride=3, padding=1, output_padding=2)
    transposed("conv_transpose_volume", (1, 2, 2, 3, 2), (2, 2, 2, 2, 3), stride=(2, 1, 2))

    def interpolated(name, shape, size, mode, align=None):
        f.case(name, [x(*shape)], lambda a: F.interpolate(a, size, mode=mode, align_corners=align))

    interpolated("interpolate_nearest", (1, 2, 3, 4), (7, 5), "nearest")
    interpolated("interpolate_linear", (2, 3, 5, 4), (3, 7), "bilinear", False)
    interpolated("interpolate_corners", (1, 2, 3, 4), (6, 1), "bilinear", True)
    interpolated("interpolate_cubic", (1, 2, 4, 5), (7, 3), "bicubic", False)
    interpolated("interpolate_volume", (1, 2, 2, 3, 2), (3, 2, 5), "trilinear", False)

    def resized(name, shape, scales, **attributes):
        node = helper.make_node("Resize", ["x", "", "scales"], ["y"], **attributes)
        f.case(name, [x(*shape)], resize_by_onnx(node, shape, scales, attributes))

    for name, scales, attributes in RESIZES:
        resized("resize_" + name, (1, 1, 4, 5), [1, 1] + scales, **attributes)

    def sampled(name, shape, out, span=1.3, **options):
        f.case(name, [x(*shape), Input((shape[0], *out, len(out)), -span, span)], lambda a, g: F.grid_sample(a, g, **options))

    sampled("grid_linear", (2, 3, 4, 5), (3, 2), align_corners=False)
    sampled("grid_linear_corners", (1, 2, 4, 5), (3, 2), align_corners=True)
    sampled("grid_border", (1, 2, 4, 5), (3, 2), padding_mode="border", align_corners=False)
    sampled("grid_reflection", (1, 2, 4, 5), (4, 3), 2.6, padding_mode="reflection", align_corners=False)
    sampled("grid_reflection_corners", (1, 2, 4, 5), (4, 3), 2.6, padding_mode="reflection", align_corners=True)
    sampled("grid_nearest", (1, 2, 4, 5), (3, 2), mode="nearest", align_corners=False)
    sampled("grid_cubic", (1, 2, 4, 5), (3, 2), mode="bicubic", align_corners=False)
    sampled("grid_cubic_border", (1, 2, 4, 5), (3, 2), mode="bicubic", padding_mode="border", align_corners=True)
    sampled("grid_volume", (1, 2, 2, 3, 4), (2, 1, 3), align_corners=False)
    f.case("affine_grid", [x(2, 2, 3)], lambda t: F.affine_grid(t, (2, 1, 3, 4), align_corners=False))
    f.case("affine_grid_volume", [x(1, 3, 4)], lambda t: F.affine_grid(t, (1, 1, 2, 3, 2), align_corners=True))

    boxes = np.array([[0.3, 0.7, 3.9, 5.2], [1.0, 2.0, 2.5, 3.0], [-1.0, -0.6, 7.5, 3.3]])
    images = np.array([1, 0, 1])
    for name, half, ratio in (("roi_align", "half_pixel", 2), ("roi_align_output_half", "output_half_pixel", 0)):
        node = helper.make_node("RoiAlign", ["x"], ["y"], output_height=3, output_width=2, sampling_ratio=ratio,
                                spatial_scale=0.75, coordinate_transformation_mode=half)
        f.case(name, [x(2, 2, 5, 6)], by_onnx(node, (2, 2, 5, 6), (("rois", boxes), ("batch", images))))

    f.case("average_pool_dilated", [x(1, 2, 5, 6)],
           lambda a: F.unfold(a, 2, dilation=(2, 3)).reshape(1, 2, 4, 9).mean(2).reshape(1, 2, 3, 3))
    f.case("global_max_pool", [x(2, 3, 4, 3)], lambda a: a.amax((2, 3), True))
    f.case("lp_pool", [Input((1, 2, 5, 4), 0.2, 2)], lambda a: F.lp_pool2d(a, 2, 2, 1))
    f.case("lp_pool_3", [Input((1, 2, 5, 6), 0.2, 2)], lambda a: F.lp_pool2d(a, 3, 3, 2))
    f.case("lp_pool_ceil", [Input((1, 2, 6), 0.2, 2)], lambda a: F.pad(a, (0, 1)).square().unfold(2, 3, 2).sum(-1).sqrt())
    f.case("global_lp_pool", [Input((2, 3, 4, 2), 0.2, 2)], lambda a: a.square().sum((2, 3), True).sqrt())
    f.case("max_unpool", [x(1, 2, 4, 6)],
           lambda a: F.max_unpool2d(*F.max_pool2d(a, 2, 2, return_indices=True), 2, 2))
    return f


RESIZES = [
    ("nearest", [1.7, 0.6], dict(mode="nearest")),
    ("nearest_ceil", [0.6, 2.3], dict(mode="nearest", nearest_mode="ceil", coordinate_transformation_mode="align_corners")),
    ("nearest_floor", [1.5, 0.8], dict(mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric")),
    ("nearest_prefer_ceil", [2.0, 0.5], dict(mode="nearest", nearest_mode="round_prefer_ceil")),
    ("linear", [1.7, 0.6], dict(mode="linear")),
    ("linear_symmetric", [1.6, 0.7], dict(mode="linear", coordinate_transformation_mode="half_pixel_symmetric")),
    ("linear_pytorch", [0.25, 0.2], dict(mode="linear", coordinate_transformation_mode="pytorch_half_pixel")),
    ("linear_antialias", [0.6, 0.4], dict(mode="linear", antialias=1)),
    ("cubic", [1.7, 0.8], dict(mode="cubic")),
    ("cubic_excluded", [1.7, 0.8], dict(mode="cubic", exclude_outside=1, cubic_coeff_a=-0.5)),
    ("cubic_antialias", [0.6, 0.5], dict(mode="cubic", antialias=1)),
    ("cubic_asymmetric", [1.3, 2.0], dict(mode="cubic", coordinate_transformation_mode="asymmetric")),
    ("crop", [1.0, 1.0], dict(mode="linear", coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=3.5)),
]
CROP = [0, 0, 0.4, -0.3, 1, 1, 1.2, 0.9]


def resize_by_onnx(node, shape, scales, attributes):
    roi = np.array(CROP if attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize" else [], np.float64)
    return by_onnx(node, shape, (("roi", roi), ("scales", np.array(scales, np.float64))))


def attention():
    f = Family()

    def case(name, shapes, function):
        f.case(name, [x(*s) for s in shapes], function)

    qkv = [(2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 2)]
    sdpa = F.scaled_dot_product_attention
    case("attention", qkv, sdpa)
    case("attention_scaled_mask", qkv + [(3, 4, 6)], lambda q, k, v, m: sdpa(q, k, v, m, scale=0.3))
    case("attention_causal", [(1, 2, 4, 3), (1, 2, 4, 3), (1, 2, 4, 3)], lambda q, k, v: sdpa(q, k, v, is_causal=True))
    case("attention_grouped", [(1, 4, 3, 2), (1, 2, 5, 2), (1, 2, 5, 3)], lambda q, k, v: sdpa(q, k, v, enable_gqa=True))
    case("attention_capped", qkv, lambda q, k, v: (0.7 * torch.tanh(q @ k.mT / 5 ** 0.5 / 0.7)).softmax(-1) @ v)
    heads = lambda t: t.reshape(2, -1, 2, 3).transpose(1, 2)
    case("attention_flat", [(2, 4, 6), (2, 5, 6), (2, 5, 6)],
         lambda q, k, v: sdpa(heads(q), heads(k), heads(v)).transpose(1, 2).reshape(2, 4, 6))
    case("attention_past", [(1, 2, 3, 2), (1, 2, 3, 2), (1, 2, 3, 2), (1, 2, 2, 2), (1, 2, 2, 2)],
         lambda q, k, v, pk, pv: sdpa(q, torch.cat((pk, k), 2), torch.cat((pv, v), 2), torch.ones(3, 5, dtype=torch.bool).tril(2)))
    # The first query may attend no key: zeros, and no gradient through it.
    rows = torch.tensor([[0, 0, 0], [1, 0, 1], [0, 1, 0]], dtype=torch.bool)
    case("attention_masked_row", [(1, 2, 3, 2)] * 3,
         lambda q, k, v: torch.cat((0 * q[:, :, :1], sdpa(q[:, :, 1:], k, v, rows[1:])), 2))
    case("attention_valid_keys", [(2, 1, 2, 3), (2, 1, 4, 3), (2, 1, 4, 3)],
         lambda q, k, v: sdpa(q, k, v, (torch.arange(4) < torch.tensor([3, 2])[:, None])[:, None, None]))

    def rotary(t, c, s, interleaved):
        a, b = (t[..., ::2], t[..., 1::2]) if interleaved else t.chunk(2, -1)
        pair = (c[:, None] * a - s[:, None] * b, s[:, None] * a + c[:, None] * b)
        return torch.stack(pair, -1).flatten(-2) if interleaved else torch.cat(pair, -1)

    case("rotary", [(2, 3, 4, 6), (2, 4, 3), (2, 4, 3)], lambda t, c, s: rotary(t, c, s, False))
    case("rotary_interleaved", [(1, 2, 3, 4), (1, 3, 2), (1, 3, 2)], lambda t, c, s: rotary(t, c, s, True))
    case("rotary_partial", [(1, 2, 3, 6), (1, 3, 2), (1, 3, 2)],
         lambda t, c, s: torch.cat((rotary(t[..., :4], c, s, False), t[..., 4:]), -1))
    case("rotary_flat", [(1, 3, 8), (5, 2), (5, 2)],
         lambda t, c, s: rotary(t.reshape(1, 3, 2, 4).transpose(1, 2), c[[4, 0, 2]][None], s[[4, 0, 2]][None],
                                False).transpose(1, 2).reshape(1, 3, 8))

    def nll(name, shape, labels, weighted=False, **options):
        inputs = [x(*shape), indices(*labels, high=shape[1])] + ([fixed(shape[1], low=0.2, high=2)] if weighted else [])
        f.case("nll_" + name, inputs, lambda a, t, w=None: F.nll_loss(a.log_softmax(1), t, w, **options))

    nll("mean", (3, 4), (3,))
    nll("weighted", (2, 3, 4), (2, 4), True)
    nll("ignored", (2, 3, 2, 3), (2, 2, 3), True, ignore_index=1)
    nll("ignored_sum", (4, 3), (4,), ignore_index=2, reduction="sum")
    nll("none", (2, 3, 4), (2, 4), True, ignore_index=0, reduction="none")
    return f


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    families = [elementwise, movement, indexing, matrices, reductions, normalization, image, attention]
    chosen = [f for f in families if len(sys.argv) < 2 or f.__name__ in sys.argv[1:]]
    for family in chosen:
        torch.manual_seed(20251124)
        path = os.path.join(folder, family.__name__ + ".safetensors")
        save_file(family().tensors, path)
        print(path, os.path.getsize(path))


if __name__ == "__main__":
    main()
