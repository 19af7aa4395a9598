#!/usr/bin/env python3
"""Writes PyTorch's forward results and gradients for the operations' test cases: one safetensors file per family.

Case names, inputs and their order are those of tests/layers/*_test.cpp. Per case: in0.. (float32 values, or int64
labels), dy (the gradient put into the first output), out0.. and grad<i> of every input with a gradient (computed in
float64). Usage: make_goldens.py [FOLDER]. Needs torch and safetensors; made with torch 2.11.
"""
import os
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.manual_seed(20240611)
torch.set_num_threads(1)


class Input:
    def __init__(self, shape, low=-1.0, high=1.0, grad=True, labels=0):
        self.grad = grad and not labels
        if labels:
            self.value = torch.randint(0, labels, shape)
        else:
            self.value = (torch.rand(shape) * (high - low) + low).float()


def fixed(*shape, low=-1.0, high=1.0):
    return Input(shape, low, high, grad=False)


def x(*shape, low=-1.0, high=1.0):
    return Input(shape, low, high)


class Family:
    def __init__(self):
        self.tensors = {}

    def case(self, name, inputs, function):
        leaves = []
        for i, item in enumerate(inputs):
            self.tensors[f"{name}.in{i}"] = item.value
            leaf = item.value if item.value.dtype == torch.int64 else item.value.double()
            leaves.append(leaf.requires_grad_(True) if item.grad else leaf)
        outputs = function(*leaves)
        if not isinstance(outputs, tuple):
            outputs = (outputs,)
        dy = (torch.rand(outputs[0].shape) * 2 - 1).float()
        outputs[0].backward(dy.double())
        self.tensors[f"{name}.dy"] = dy
        for i, output in enumerate(outputs):
            self.tensors[f"{name}.out{i}"] = output.detach().clone().contiguous()
        for i, item in enumerate(inputs):
            if item.grad:
                self.tensors[f"{name}.grad{i}"] = leaves[i].grad.contiguous()


def conv():
    f = Family()

    def case(name, xs, ws, stride=1, padding=0, dilation=1, groups=1, bias=False, pads=None, grad=(True, True)):
        axes = len(xs) - 2

        def run(a, w, b=None):
            if pads:  # F.pad's order: last axis first, (begin, end) each
                a = F.pad(a, pads)
            return (F.conv1d, F.conv2d, F.conv3d)[axes - 1](a, w, b, stride, 0 if pads else padding, dilation, groups)

        inputs = [Input(xs, grad=grad[0]), Input(ws, grad=grad[1])] + ([x(ws[0])] if bias else [])
        f.case(name, inputs, run)

    case("k1", (2, 5, 4, 3), (7, 5, 1, 1))
    case("k1_stride2", (2, 5, 5, 4), (7, 5, 1, 1), 2)
    case("k3_pad1_bias", (2, 3, 5, 4), (4, 3, 3, 3), 1, 1, bias=True)
    case("k3_stride2_odd", (2, 3, 7, 5), (5, 3, 3, 3), 2, 1)
    case("k3_stride2_even", (1, 3, 6, 8), (5, 3, 3, 3), 2, 1)
    case("k3_no_padding", (3, 2, 3, 3), (4, 2, 3, 3))
    case("k7_stride2_stem", (1, 3, 11, 9), (4, 3, 7, 7), 2, 3)
    case("k3_dilated", (1, 2, 7, 8), (3, 2, 3, 3), 1, 2, 2, bias=True)
    case("k3_dilated_stride", (2, 2, 9, 8), (3, 2, 3, 3), 2, 3, 3)
    case("groups2", (2, 4, 5, 5), (6, 2, 3, 3), 1, 1, 1, 2, bias=True)
    case("depthwise", (2, 5, 5, 4), (5, 1, 3, 3), 1, 1, 1, 5)
    case("depthwise_multiplier2_stride2", (1, 3, 6, 5), (6, 1, 3, 3), 2, 1, 1, 3, bias=True)
    case("asymmetric", (2, 3, 6, 5), (4, 3, 3, 2), (2, 1), dilation=(1, 2), bias=True, pads=(3, 1, 0, 2))
    case("kernel_covers_padded_input", (2, 2, 2, 3), (3, 2, 4, 5), 1, 1)
    case("padding_exceeds_kernel", (1, 2, 3, 2), (2, 2, 1, 1), 1, 2, bias=True)
    case("stride_exceeds_kernel", (2, 2, 8, 7), (3, 2, 2, 2), 3)
    case("one_pixel", (1, 6, 1, 1), (5, 6, 1, 1), bias=True)
    case("one_channel", (1, 1, 6, 6), (1, 1, 3, 3), 1, 1)
    case("many_channels", (2, 33, 3, 3), (35, 33, 1, 1))
    case("many_channels_k3", (1, 17, 4, 3), (18, 17, 3, 3), 1, 1)
    case("many_pixels", (1, 4, 19, 23), (3, 4, 3, 3), 1, 1)
    case("line", (2, 3, 9), (4, 3, 3), 2, 1, bias=True)
    case("line_dilated_groups", (1, 4, 10), (6, 2, 3), 1, 2, 2, 2)
    case("volume", (1, 2, 4, 3, 5), (3, 2, 2, 3, 3), (2, 1, 1), dilation=(1, 2, 1), bias=True, pads=(0, 0, 3, 1, 0, 2))
    case("frozen_weight", (2, 3, 4, 4), (4, 3, 3, 3), 1, 1, grad=(True, False))
    case("image_input", (2, 3, 6, 6), (4, 3, 3, 3), 2, 1, bias=True, grad=(False, True))
    case("bias_only", (2, 3, 4, 4), (4, 3, 3, 3), 1, 1, bias=True, grad=(False, False))
    case("grey_image", (2, 1, 6, 5), (4, 1, 3, 3), 1, 1)
    case("one_output_channel", (2, 3, 4, 5), (1, 3, 3, 3), 1, 1, bias=True)
    case("one_output_pixel", (2, 3, 3, 4), (5, 3, 3, 4))
    case("one_input_pixel", (2, 5, 1, 1), (3, 5, 3, 3), 1, 2)
    return f


def batch_norm():
    f = Family()

    def case(name, shape, training=True, affine=True, residual=False, relu=False, affine_grad=True, x_grad=True, eps=1e-5,
             momentum=0.1):
        c = shape[1]

        def run(a, mean, variance, *rest):
            mean, variance = mean.clone(), variance.clone()
            weight, bias = rest[:2] if affine else (None, None)
            y = F.batch_norm(a, mean, variance, weight, bias, training, momentum, eps)
            if residual:
                y = y + rest[-1]
            return (F.relu(y) if relu else y), mean, variance

        inputs = [Input(shape, -2, 3, grad=x_grad), fixed(c), fixed(c, low=0.2, high=2)]
        if affine:
            inputs += [Input((c,), -1.5, 2, grad=affine_grad), Input((c,), grad=affine_grad)]
        if residual:
            inputs.append(Input(shape))
        f.case(name, inputs, run)

    case("training", (3, 4, 3, 5))
    case("training_relu", (2, 3, 4, 3), relu=True)
    case("training_residual", (2, 3, 3, 3), residual=True)
    case("training_residual_relu", (2, 5, 3, 4), residual=True, relu=True)
    case("training_no_affine", (3, 3, 3, 3), affine=False)
    case("training_frozen_affine", (3, 3, 3, 3), relu=True, affine_grad=False)
    case("training_image", (2, 3, 4, 4), x_grad=False)
    case("training_one_sample", (1, 6, 3, 3))
    case("training_eps_momentum", (4, 2, 2, 3), eps=0.1, momentum=0.3)
    case("training_rank2", (7, 5))
    case("training_line", (2, 3, 7), relu=True)
    case("training_volume", (2, 3, 2, 3, 2), residual=True, relu=True)
    case("training_many_channels", (2, 35, 3, 2), relu=True)
    case("evaluation", (2, 4, 3, 5), False)
    case("evaluation_relu", (2, 3, 4, 3), False, relu=True)
    case("evaluation_residual", (1, 3, 3, 3), False, residual=True)
    case("evaluation_residual_relu", (1, 17, 2, 3), False, residual=True, relu=True)
    case("evaluation_no_affine", (2, 3, 3, 2), False, affine=False)
    case("evaluation_one_value", (1, 3, 1, 1), False)
    case("evaluation_rank2", (1, 5), False)
    return f


def linear():
    f = Family()

    def case(name, m, i, o, bias=True, grad=(True, True)):
        inputs = [Input((m, i), grad=grad[0]), Input((o, i), grad=grad[1])] + ([x(o)] if bias else [])
        f.case(name, inputs, F.linear)

    case("odd", 3, 5, 7)
    case("no_bias", 4, 6, 3, bias=False)
    case("one_sample", 1, 9, 4)
    case("one_output", 5, 4, 1)
    case("one_feature", 2, 1, 3)
    case("wide", 3, 67, 35)
    case("tall", 37, 8, 10)
    case("frozen_weight", 3, 5, 4, grad=(True, False))
    case("features_input", 3, 5, 4, grad=(False, True))
    case("no_samples", 0, 5, 4)
    return f


def pool():
    f = Family()

    def case(name, shape, function):
        f.case(name, [Input(shape)], function)

    low = float("-inf")
    case("max_k2", (2, 3, 4, 6), lambda a: F.max_pool2d(a, 2, 2))
    case("max_k3_stride2_stem", (2, 3, 7, 8), lambda a: F.max_pool2d(a, 3, 2, 1))
    case("max_k3_overlapping", (1, 2, 5, 4), lambda a: F.max_pool2d(a, 3, 1, 1))
    case("max_caffe_stem", (1, 3, 8, 6), lambda a: F.max_pool2d(F.pad(a, (0, 1, 0, 1), value=low), 3, 2))
    case("max_ceil", (1, 2, 6, 7), lambda a: F.max_pool2d(a, 3, 2, ceil_mode=True))
    case("max_ceil_padded", (2, 2, 6, 5), lambda a: F.max_pool2d(a, 3, 2, 1, ceil_mode=True))
    case("max_ceil_stride3", (1, 2, 7, 9), lambda a: F.max_pool2d(a, 2, 3, ceil_mode=True))
    case("max_dilated", (1, 2, 8, 7), lambda a: F.max_pool2d(a, 3, 1, 1, 2))
    case("max_asymmetric", (2, 3, 5, 6), lambda a: F.max_pool2d(F.pad(a, (1, 0, 0, 2), value=low), (3, 2), (1, 2)))
    case("max_one_pixel", (1, 5, 1, 1), lambda a: F.max_pool2d(a, 1, 1))
    case("max_many_channels", (1, 35, 4, 3), lambda a: F.max_pool2d(a, 3, 2, 1))
    case("max_line", (2, 3, 9), lambda a: F.max_pool1d(a, 3, 2, 1))
    case("max_volume", (1, 2, 4, 5, 3),
         lambda a: F.max_pool3d(F.pad(a, (1, 0, 1, 0, 0, 2), value=low), (3, 2, 2), (1, 2, 1)))
    case("average_k2", (2, 3, 4, 6), lambda a: F.avg_pool2d(a, 2, 2))
    case("average_padded", (2, 3, 5, 6), lambda a: F.avg_pool2d(a, 3, 2, 1))
    case("average_padding_not_counted", (2, 3, 5, 6), lambda a: F.avg_pool2d(a, 3, 2, 1, count_include_pad=False))
    case("average_ceil", (1, 2, 6, 7), lambda a: F.avg_pool2d(a, 3, 2, ceil_mode=True))
    case("average_ceil_padded", (2, 2, 6, 5), lambda a: F.avg_pool2d(a, 3, 2, 1, ceil_mode=True))
    case("average_ceil_padded_not_counted", (2, 2, 6, 5),
         lambda a: F.avg_pool2d(a, 3, 2, 1, ceil_mode=True, count_include_pad=False))
    case("average_asymmetric", (2, 3, 5, 6), lambda a: F.avg_pool2d(F.pad(a, (1, 0, 0, 2)), (3, 2), (1, 2)))
    case("average_option_a_shortcut", (1, 4, 5, 6), lambda a: a[:, :, ::2, ::2])
    case("average_line", (2, 3, 9), lambda a: F.avg_pool1d(a, 4, 3, 2, count_include_pad=False))
    case("average_volume", (1, 2, 4, 5, 3), lambda a: F.avg_pool3d(F.pad(a, (1, 0, 1, 0, 0, 2)), (3, 2, 2), (1, 2, 1)))
    case("average_many_channels", (1, 35, 4, 3), lambda a: F.avg_pool2d(a, 2, 2))
    case("adaptive_even", (2, 3, 6, 4), lambda a: F.adaptive_avg_pool2d(a, (3, 2)))
    case("adaptive_uneven", (1, 3, 7, 5), lambda a: F.adaptive_avg_pool2d(a, (3, 4)))
    case("adaptive_up", (2, 2, 2, 3), lambda a: F.adaptive_avg_pool2d(a, (5, 4)))
    case("adaptive_vgg", (1, 2, 4, 3), lambda a: F.adaptive_avg_pool2d(a, 7))
    case("adaptive_global", (2, 5, 3, 4), lambda a: F.adaptive_avg_pool2d(a, 1))
    case("adaptive_one_pixel", (1, 5, 1, 1), lambda a: F.adaptive_avg_pool2d(a, 1))
    case("adaptive_many_channels", (2, 35, 3, 3), lambda a: F.adaptive_avg_pool2d(a, 1))
    case("adaptive_line", (2, 3, 7), lambda a: F.adaptive_avg_pool1d(a, 3))
    case("adaptive_volume", (1, 2, 5, 4, 3), lambda a: F.adaptive_avg_pool3d(a, (2, 3, 2)))
    return f


def unary():
    f = Family()

    def case(name, function, shape, low=-1.0, high=1.0):
        f.case(name, [Input(shape, low, high)], function)

    case("relu", F.relu, (2, 3, 5, 4))
    case("relu_vector", F.relu, (131,))
    case("relu_channels", F.relu, (1, 35, 2, 3))
    case("relu6", F.relu6, (2, 3, 5, 4), -4, 10)
    case("sigmoid", torch.sigmoid, (3, 37), -9, 9)
    case("sigmoid_image", torch.sigmoid, (1, 3, 3, 5), -4, 4)
    case("tanh", torch.tanh, (2, 3, 3, 5), -4, 4)
    case("neg", torch.neg, (2, 3, 3, 2))
    case("exp", torch.exp, (41,), -3, 3)
    case("log", torch.log, (2, 19), 0.1, 5)
    case("sqrt", torch.sqrt, (2, 19), 0.1, 5)
    case("abs", torch.abs, (2, 3, 3, 3))
    case("relu_scalar", F.relu, ())
    case("relu_empty", F.relu, (0, 3))
    return f


def binary():
    f = Family()
    image = (2, 3, 4, 5)

    def case(name, function, a, b, low=-1.0, high=1.0, grad=(True, True)):
        f.case(name, [Input(a, grad=grad[0]), Input(b, low, high, grad=grad[1])], function)

    case("add", torch.add, image, image)
    case("sub", torch.sub, image, image)
    case("mul", torch.mul, image, image)
    case("div", torch.div, image, image, 0.3, 2)
    case("add_per_channel", torch.add, image, (1, 3, 1, 1))
    case("mul_per_channel", torch.mul, image, (1, 3, 1, 1))
    case("mul_squeeze_excite", torch.mul, image, (2, 3, 1, 1))
    case("sub_channel_from_left", torch.sub, (1, 3, 1, 1), image)
    case("div_per_channel", torch.div, image, (3, 1, 1), 0.3, 2)
    case("mul_spatial_mask", torch.mul, image, (2, 1, 4, 5))
    case("add_scalar", torch.add, image, ())
    case("mul_scalar", torch.mul, image, (1,))
    case("add_row", torch.add, (5, 7), (7,))
    case("mul_outer", torch.mul, (5, 1), (1, 6))
    case("add_one_frozen", torch.add, image, image, grad=(True, False))
    case("mul_one_frozen", torch.mul, image, image, grad=(False, True))
    case("mul_many_channels", torch.mul, (1, 35, 2, 3), (1, 35, 1, 1))
    case("add_rank5", torch.add, (2, 1, 3, 2, 2), (2, 2))
    return f


def shape_change():
    f = Family()
    f.case("reshape_image", [x(2, 3, 4, 5)], lambda a: a.reshape(2, 12, 5))
    f.case("reshape_to_image", [x(6, 20)], lambda a: a.reshape(2, 3, 4, 5))
    f.case("reshape_scalar", [x(1, 1, 1, 1)], lambda a: a.reshape(()))
    f.case("reshape_one_pixel", [x(2, 5, 1, 1)], lambda a: a.reshape(2, 5))
    f.case("flatten", [x(2, 3, 2, 3)], lambda a: a.flatten(1))
    f.case("flatten_pooled", [x(3, 5, 1, 1)], lambda a: a.flatten(1))
    f.case("flatten_all", [x(2, 3, 2)], lambda a: a.flatten())
    f.case("flatten_spatial", [x(2, 3, 2, 3)], lambda a: a.flatten(2))
    f.case("concat_channels", [x(2, 3, 4, 3), x(2, 1, 4, 3), x(2, 4, 4, 3)], lambda *a: torch.cat(a, 1))
    f.case("concat_batch", [x(1, 3, 2, 3), x(2, 3, 2, 3)], lambda *a: torch.cat(a, 0))
    f.case("concat_columns", [x(2, 3, 2, 3), x(2, 3, 2, 2)], lambda *a: torch.cat(a, 3))
    f.case("concat_one_frozen", [fixed(2, 2, 3, 3), x(2, 3, 3, 3)], lambda *a: torch.cat(a, 1))
    f.case("concat_vectors", [x(5), x(3), x(1)], lambda *a: torch.cat(a, 0))
    f.case("concat_single", [x(2, 3)], lambda a: torch.cat([a], 1))
    f.case("pad_image", [x(1, 2, 3, 4)], lambda a: F.pad(a, (2, 3, 1, 0)))
    f.case("pad_channels", [x(2, 3, 2, 3)], lambda a: F.pad(a, (0, 0, 0, 0, 2, 3)))
    f.case("pad_value", [x(2, 3)], lambda a: F.pad(a, (0, 2, 1, 0), value=1))
    f.case("pad_crop", [x(1, 2, 5, 6)], lambda a: F.pad(a, (-2, 1, -1, -2)))
    f.case("pad_volume", [x(1, 2, 2, 3, 2)], lambda a: F.pad(a, (2, 0, 0, 1, 1, 1)))
    f.case("pad_nothing", [x(2, 3)], lambda a: a * 1)
    return f


def softmax():
    f = Family()

    def case(name, shape, axis, log=False, span=3):
        f.case(name, [Input(shape, -span, span)], lambda a: (F.log_softmax if log else F.softmax)(a, axis))

    case("softmax_rows", (3, 7), 1)
    case("softmax_channels", (2, 5, 3, 2), 1)
    case("softmax_batch", (4, 3), 0)
    case("softmax_last", (2, 3, 5), -1)
    case("softmax_one_class", (3, 1), 1)
    case("softmax_wide_range", (2, 9), 1, span=60)
    case("log_softmax_rows", (3, 7), 1, True)
    case("log_softmax_channels", (2, 5, 3, 2), 1, True)
    case("log_softmax_wide_range", (2, 9), 1, True, 200)
    return f


def loss():
    f = Family()

    def cross_entropy(name, rows=5, classes=4, smoothing=0.0, reduction="mean", soft=False, weighted=False):
        target = fixed(rows, classes, low=0) if soft else Input((rows,), labels=classes)
        inputs = [Input((rows, classes), -3, 3), target] + ([fixed(classes, low=0.1, high=2)] if weighted else [])
        f.case(name, inputs, lambda a, t, w=None: F.cross_entropy(a, t, w, reduction=reduction, label_smoothing=smoothing))

    def pair(name, function, shape, reduction, span=3):
        f.case(name, [Input(shape, -span, span), fixed(*shape, low=0)], lambda a, t: function(a, t, reduction=reduction))

    cross_entropy("labels")
    cross_entropy("labels_sum", reduction="sum")
    cross_entropy("labels_one_sample", 1, 7)
    cross_entropy("labels_many_classes", 3, 101)
    cross_entropy("labels_one_class", 3, 1)
    cross_entropy("labels_smoothed", smoothing=0.1)
    cross_entropy("labels_weighted", weighted=True)
    cross_entropy("labels_weighted_sum", reduction="sum", weighted=True)
    cross_entropy("labels_weighted_smoothed", smoothing=0.2, weighted=True)
    cross_entropy("soft", soft=True)
    cross_entropy("soft_sum", reduction="sum", soft=True)
    cross_entropy("soft_smoothed", smoothing=0.1, soft=True)
    cross_entropy("soft_weighted", soft=True, weighted=True)
    cross_entropy("soft_weighted_smoothed", smoothing=0.3, soft=True, weighted=True)
    pair("mse", F.mse_loss, (3, 5), "mean")
    pair("mse_sum", F.mse_loss, (2, 3, 2, 3), "sum")
    pair("bce", F.binary_cross_entropy_with_logits, (3, 5), "mean")
    pair("bce_sum", F.binary_cross_entropy_with_logits, (2, 3, 2, 3), "sum")
    pair("bce_wide_range", F.binary_cross_entropy_with_logits, (4, 4), "mean", 50)
    return f


def reduce():
    f = Family()
    f.case("sum_all", [x(2, 3, 4, 5)], torch.sum)
    f.case("sum_rows", [x(5, 7)], lambda a: a.sum(1))
    f.case("sum_columns_kept", [x(5, 7)], lambda a: a.sum(0, keepdim=True))
    f.case("sum_two_axes", [x(2, 3, 4, 3)], lambda a: a.sum((0, 2)))
    f.case("mean_all", [x(3, 5, 3)], torch.mean)
    f.case("mean_spatial", [x(2, 3, 4, 5)], lambda a: a.mean((2, 3)))
    f.case("mean_channels_kept", [x(2, 3, 4, 5)], lambda a: a.mean(1, keepdim=True))
    f.case("mean_negative_axis", [x(2, 3, 4)], lambda a: a.mean(-1))
    f.case("max_all", [x(2, 3, 3, 3)], torch.amax)
    f.case("max_channels", [x(2, 5, 3, 3)], lambda a: a.amax(1))
    f.case("min_rows_kept", [x(4, 6)], lambda a: a.amin(1, keepdim=True))
    f.case("min_two_axes", [x(2, 3, 4, 3)], lambda a: a.amin((1, 3)))
    f.case("sum_scalar", [x()], torch.sum)
    f.case("sum_axis_of_one", [x(3, 1, 2)], lambda a: a.sum(1))
    return f


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    for family in (conv, batch_norm, linear, pool, unary, binary, shape_change, softmax, loss, reduce):
        path = os.path.join(folder, family.__name__ + ".safetensors")
        save_file(family().tensors, path)
        print(path, os.path.getsize(path))


if __name__ == "__main__":
    main()
