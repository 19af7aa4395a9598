// A small residual network written with the functions alone, and its training step: for tests on a
// device, and for what fails there.
#pragma once
#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/kernels/ops/optimizer.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/batch_norm.h"
#include "graft/layers/functional/conv.h"
#include "graft/layers/functional/linear.h"
#include "graft/layers/functional/loss.h"
#include "graft/layers/functional/pool.h"
#include "graft/layers/functional/shape_change.h"
#include "graft/tests/kernels/cuda/device_check.h"

namespace graft::test {

struct Sizes {
  int64_t images = 4, channels = 8, extent = 8, classes = 5;
};

// conv, norm + ReLU, max-pool, conv, norm + residual + ReLU, global average, linear.
struct Network {
  Tensor stem, stem_weight, stem_bias, conv, conv_weight, conv_bias, head, head_bias;  // parameters
  Tensor stem_mean, stem_variance, conv_mean, conv_variance;  // running statistics
  DType dtype;

  Network(const Sizes& s, Device device, DType dtype_) : dtype(dtype_) {
    uint64_t stream = 10;
    const auto make = [&](const Shape& shape, double low, double high) {
      return to_device(test::distinct_values(shape, low, high, ++stream)
                           .to(DType::f32)
                           .to(MemoryFormat::channels_last),
                       device);
    };
    const int64_t c = s.channels;
    stem = make({c, 3, 3, 3}, -0.4, 0.4), stem_weight = make({c}, 0.5, 1.5),
    stem_bias = make({c}, -0.2, 0.2);
    conv = make({c, c, 3, 3}, -0.3, 0.3), conv_weight = make({c}, 0.5, 1.5),
    conv_bias = make({c}, -0.2, 0.2);
    head = make({s.classes, c}, -0.5, 0.5), head_bias = make({s.classes}, -0.1, 0.1);
    for (Tensor* t : {&stem_mean, &stem_variance, &conv_mean, &conv_variance})
      *t = Tensor::full({c}, 0.5, {.device = device});
    for (const Tensor& p : parameters()) set_requires_grad(p, true);
  }
  std::vector<Tensor> parameters() const {
    return {stem, stem_weight, stem_bias, conv, conv_weight, conv_bias, head, head_bias};
  }
  std::vector<Tensor> statistics() const {
    return {stem_mean, stem_variance, conv_mean, conv_variance};
  }

  Tensor loss(const Tensor& images, const Tensor& labels) const {
    using namespace functional;
    const BatchNormOptions training{.training = true, .relu = true};
    Tensor x = functional::conv(images, stem, {}, {ops::square_window(3, 1, 1)});
    x = batch_norm(x, stem_weight, stem_bias, stem_mean, stem_variance, training);
    x = max_pool(x, {ops::square_window(3, 2, 1)});
    const Tensor y = functional::conv(x, conv, {}, {ops::square_window(3, 1, 1)});
    x = batch_norm(y, conv_weight, conv_bias, conv_mean, conv_variance, training, x);
    x = flatten(global_average_pool(x));
    if (dtype != DType::f32)
      return cross_entropy(linear(x, head.to(dtype), head_bias.to(dtype)), labels);
    return cross_entropy(linear(x, head, head_bias), labels);
  }
};

struct Batch {
  Tensor images, labels;
  Batch(const Sizes& s, Device device, DType dtype) {
    images = to_device(test::distinct_values({s.images, 3, s.extent, s.extent}, -1, 1, 5)
                           .to(dtype)
                           .to(MemoryFormat::channels_last),
                       device);
    std::vector<int64_t> classes;
    for (int64_t i = 0; i < s.images; ++i) classes.push_back(i * 2 % s.classes);
    labels = to_device(Tensor::of<int64_t>({s.images}, classes), device);
  }
};

// Forward, backward and an SGD step with momentum; the step's numbers and slots live outside.
struct Trainer {
  Network network;
  std::vector<Tensor> slots;
  Tensor numbers;
  explicit Trainer(const Sizes& sizes)
      : network(sizes, kCuda, DType::f32),
        numbers(to_device(Tensor::of<float>({ops::kOptimizerNumbers}, {0.1f, 1, 1, 1}), kCuda)) {
    for (const Tensor& p : network.parameters()) slots.push_back(Tensor::zeros_like(p));
  }
  Tensor step(const Batch& batch) {
    for (const Tensor& p : network.parameters()) set_grad(p, {});
    const Tensor loss = network.loss(batch.images, batch.labels);
    backward(loss);
    std::vector<ops::OptimizerParameter> list;
    const std::vector<Tensor> parameters = network.parameters();
    for (size_t i = 0; i < parameters.size(); ++i)
      list.push_back({parameters[i], grad_of(parameters[i]), slots[i], {}, {}});
    const ops::OptimizerStepAttributes attributes{.momentum = 0.9, .max_norm = 5};
    kernels_for<ops::OptimizerKernels>(kCuda).step(current_context(), {list, numbers, attributes});
    return loss;
  }
};

}  // namespace graft::test
