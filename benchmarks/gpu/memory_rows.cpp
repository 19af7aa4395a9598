#include <memory>

#include "graft/benchmarks/gpu/rows.h"
#include "graft/benchmarks/gpu/tensors.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/kernels/ops/batch_norm.h"
#include "graft/kernels/ops/conv.h"
#include "graft/kernels/ops/dropout.h"
#include "graft/kernels/ops/image_input.h"
#include "graft/kernels/ops/loss.h"
#include "graft/kernels/ops/pool.h"
#include "graft/kernels/ops/shape_change.h"
#include "graft/kernels/ops/unary.h"
#include "graft/kernels/registry.h"
#include "graft/models/architecture.h"
#include "graft/train/optimizer.h"

namespace graft::bench {
namespace {

// The activations that a row works on: a block's output in the first stage, the stem's, and the
// last block's.
Shape wide(const Sizes& s) { return {s.batch, 4 * s.width, s.image / 4, s.image / 4}; }
Shape stem(const Sizes& s) { return {s.batch, s.width, s.image / 2, s.image / 2}; }
Shape last(const Sizes& s) { return {s.batch, 32 * s.width, s.image / 32, s.image / 32}; }

double bytes_of(std::initializer_list<const Tensor*> tensors) {
  double sum = 0;
  for (const Tensor* t : tensors) sum += static_cast<double>(t->bytes());
  return sum;
}

Row image_input(const Sizes& s) {
  const Tensor pixels = noise({s.batch, s.image, s.image, 3}, DType::u8);
  Tensor y = unset({s.batch, 4, s.image, s.image});
  const ops::ImageInputAttributes attributes{
      1. / 255, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225, 1}, false};
  return {"image input", str("u8 ", pixels.shape(), " to bf16 ", y.shape()),
          bytes_of({&pixels, &y}), 0, [=]() mutable {
            kernels_for<ops::ImageInputKernels>(kGpu).forward(current_context(),
                                                              {pixels, nullptr, attributes, y});
          }};
}

struct Norm {
  Tensor x, mean, variance, weight, bias, other, y;
  ops::BatchNormAttributes attributes{1e-5, true, true};
  explicit Norm(const Sizes& s)
      : x(noise(wide(s))),
        mean(noise({x.size(1)}, DType::f32)),
        variance(Tensor::full({x.size(1)}, 0.3, {.device = kGpu})),
        weight(noise({x.size(1)}, DType::f32)),
        bias(noise({x.size(1)}, DType::f32)),
        other(noise(wide(s))),
        y(unset(wide(s))) {}
  const ops::BatchNormKernels& kernels() const { return kernels_for<ops::BatchNormKernels>(kGpu); }
  double bytes(int passes) const { return static_cast<double>(x.bytes()) * passes; }
};

Row norm_statistics(const Sizes& s) {
  Norm n(s);
  return {"batch norm statistics", str("x ", n.x.shape()), n.bytes(1), 0, [=]() mutable {
            n.kernels().statistics(current_context(), {n.x, n.mean, n.variance});
          }};
}
template <bool kResidual>
Row norm_apply(const Sizes& s) {
  Norm n(s);
  Tensor positive = unset({kResidual ? n.x.numel() / 8 : 0}, DType::u8);
  return {kResidual ? "batch norm apply + residual + relu" : "batch norm apply + relu",
          str("x ", n.x.shape()),
          n.bytes(kResidual ? 3 : 2) + static_cast<double>(positive.bytes()), 0, [=]() mutable {
            n.kernels().apply(current_context(), {n.x, n.mean, n.variance, &n.weight, &n.bias,
                                                  kResidual ? &n.other : nullptr, n.attributes, n.y,
                                                  kResidual ? &positive : nullptr});
          }};
}
// Two passes: the sums read x and dy, the gradients read them again and write dx. With a residual
// both read the ReLU's mask, a bit an element, and there is the residual's gradient to write.
template <bool kResidual>
Row norm_backward(const Sizes& s) {
  Norm n(s);
  Tensor dx = unset(wide(s)), dresidual = kResidual ? unset(wide(s)) : Tensor();
  Tensor dweight = unset(n.mean.shape(), DType::f32), dbias = unset(n.mean.shape(), DType::f32);
  const Tensor positive = noise({kResidual ? n.x.numel() / 8 : 0}, DType::u8);
  return {kResidual ? "batch norm backward + residual + relu" : "batch norm backward + relu",
          str("x ", n.x.shape()),
          n.bytes(kResidual ? 6 : 5) + 2 * static_cast<double>(positive.bytes()), 0, [=]() mutable {
            n.kernels().backward(current_context(),
                                 {n.x, nullptr, &n.bias, kResidual, n.other, n.mean, n.variance,
                                  &n.weight, n.attributes, &dx, kResidual ? &dresidual : nullptr,
                                  &dweight, &dbias, kResidual ? &positive : nullptr});
          }};
}

// The index of a maximum counts as the byte that it needs, not as the four that graft stores.
struct MaxPool {
  Tensor x, y, indices;
  ops::MaxPoolAttributes attributes{ops::square_window(3, 2, 1)};
  explicit MaxPool(const Sizes& s)
      : x(noise(stem(s))),
        y(unset({s.batch, s.width, s.image / 4, s.image / 4})),
        indices(unset(y.shape(), DType::i32)) {
    forward();
  }
  void forward() {
    kernels_for<ops::PoolKernels>(kGpu).max_forward(current_context(),
                                                    {x, attributes, y, &indices});
  }
  double bytes() const { return bytes_of({&x, &y}) + static_cast<double>(y.numel()); }
};
Row max_pool_forward(const Sizes& s) {
  MaxPool p(s);
  return {"max-pool", str("x ", p.x.shape()), p.bytes(), 0, [=]() mutable { p.forward(); }};
}
Row max_pool_backward(const Sizes& s) {
  MaxPool p(s);
  const Tensor dy = noise(p.y.shape());
  return {"max-pool backward", str("dx ", p.x.shape()), p.bytes(), 0, [=]() mutable {
            kernels_for<ops::PoolKernels>(kGpu).max_backward(current_context(),
                                                             {dy, p.indices, p.attributes, p.x});
          }};
}
Row global_pool(const Sizes& s) {
  const Tensor x = noise(last(s));
  Tensor y = unset({x.size(0), x.size(1), 1, 1});
  const ops::AdaptiveAveragePoolAttributes attributes;
  return {
      "global average pool", str("x ", x.shape()), bytes_of({&x, &y}), 0, [=]() mutable {
        kernels_for<ops::PoolKernels>(kGpu).adaptive_forward(current_context(), {x, attributes, y});
      }};
}
Row global_pool_backward(const Sizes& s) {
  const Tensor dy = noise({s.batch, 32 * s.width, 1, 1});
  Tensor dx = unset(last(s));
  const ops::AdaptiveAveragePoolAttributes attributes;
  return {"global average pool backward", str("dx ", dx.shape()), bytes_of({&dy, &dx}), 0,
          [=]() mutable {
            kernels_for<ops::PoolKernels>(kGpu).adaptive_backward(current_context(),
                                                                  {dy, attributes, dx});
          }};
}

Row relu(const Sizes& s) {
  const Tensor x = noise(wide(s));
  Tensor y = unset(wide(s));
  return {"relu", str("x ", x.shape()), bytes_of({&x, &y}), 0, [=]() mutable {
            kernels_for<ops::UnaryKernels>(kGpu).forward(
                current_context(), {x, ops::UnaryAttributes{ops::Unary::relu}, y});
          }};
}
Row add(const Sizes& s) {
  const Tensor a = noise(wide(s)), b = noise(wide(s));
  Tensor y = unset(wide(s));
  return {"add", str("a ", a.shape()), bytes_of({&a, &b, &y}), 0,
          [=]() mutable { device_backend(kGpu).add(a, b, y); }};
}
Row cast(const Sizes& s) {
  const Tensor x = noise(wide(s), DType::f32);
  Tensor y = unset(wide(s));
  return {"cast", str("f32 to bf16 ", x.shape()), bytes_of({&x, &y}), 0,
          [=]() mutable { device_backend(kGpu).cast(x, y); }};
}
Row reformat(const Sizes& s) {
  const Tensor x = noise(wide(s));
  Tensor y = Tensor::empty(wide(s), {.dtype = DType::bf16, .device = kGpu});
  return {"channels_last to contiguous", str("x ", x.shape()), bytes_of({&x, &y}), 0,
          [=]() mutable { device_backend(kGpu).reformat(x, y); }};
}
Row concat(const Sizes& s) {
  const Shape half{s.batch, 2 * s.width, s.image / 4, s.image / 4};
  const std::vector<Tensor> parts{noise(half), noise(half)};
  Tensor y = unset(wide(s));
  return {
      "concat channels", str("y ", y.shape()), bytes_of({&y, &y}), 0, [=]() mutable {
        kernels_for<ops::ShapeChangeKernels>(kGpu).concat_forward(current_context(), {parts, 1, y});
      }};
}
Row dropout(const Sizes& s) {
  const Tensor x = noise(wide(s));
  Tensor y = unset(wide(s));
  return {"dropout", str("x ", x.shape()), bytes_of({&x, &y}), 0, [=]() mutable {
            kernels_for<ops::DropoutKernels>(kGpu).apply(
                current_context(), {x, ops::DropoutAttributes{.probability = 0.5}, y});
          }};
}

struct Depthwise {
  Tensor x, y, weight;
  ops::ConvAttributes attributes;
  explicit Depthwise(const Sizes& s)
      : x(noise(wide(s))),
        y(noise(wide(s))),
        weight(noise({x.size(1), 1, 3, 3}, DType::f32)),
        attributes{ops::square_window(3, 1, 1), x.size(1)} {}
  const ops::ConvKernels& kernels() const { return kernels_for<ops::ConvKernels>(kGpu); }
};
Row depthwise(const Sizes& s) {
  Depthwise d(s);
  return {"depthwise 3x3", str("x ", d.x.shape()), bytes_of({&d.x, &d.y}), 0, [=]() mutable {
            d.kernels().forward(current_context(), {d.x, d.weight, nullptr, d.attributes, d.y});
          }};
}
Row depthwise_backward_data(const Sizes& s) {
  Depthwise d(s);
  return {"depthwise 3x3 backward-data", str("dx ", d.x.shape()), bytes_of({&d.x, &d.y}), 0,
          [=]() mutable {
            d.kernels().backward_data(current_context(), {d.y, d.weight, d.attributes, d.x});
          }};
}
Row depthwise_backward_weight(const Sizes& s) {
  Depthwise d(s);
  Tensor dweight = Tensor::empty_like(d.weight);
  return {
      "depthwise 3x3 backward-weight", str("x ", d.x.shape()), bytes_of({&d.x, &d.y}), 0,
      [=]() mutable {
        d.kernels().backward_weight(current_context(), {d.x, d.y, d.attributes, &dweight, nullptr});
      }};
}

Row cross_entropy(const Sizes& s) {
  const Tensor logits = noise({s.batch, s.classes}, DType::f32),
               labels = to_device(Tensor::zeros({s.batch}, {.dtype = DType::i64}), kGpu);
  Tensor loss = unset(Shape{}, DType::f32), gradient = unset(logits.shape(), DType::f32);
  const ops::CrossEntropyAttributes attributes;
  return {"cross-entropy and its gradient", str("logits ", logits.shape()),
          bytes_of({&logits, &gradient}), 0, [=]() mutable {
            kernels_for<ops::LossKernels>(kGpu).cross_entropy(
                current_context(), {logits, labels, nullptr, attributes, loss, &gradient});
          }};
}

// Weight and each slot read and written, gradient read; all in float32. `values` an element.
Row optimizer(const Sizes& s, const char* name, int values) {
  double bytes = 0;
  std::vector<NamedTensor> parameters;
  for (const NamedTensor& p :
       models::make_network(models::architecture_named(s.network))->parameters()) {
    parameters.push_back({p.name, noise(p.tensor.shape(), DType::f32)});
    set_requires_grad(parameters.back().tensor, true);
    set_grad(parameters.back().tensor, noise(p.tensor.shape(), DType::f32));
    bytes += static_cast<double>(p.tensor.bytes()) * values;
  }
  const size_t count = parameters.size();
  const std::shared_ptr<train::Optimizer> step = train::make_optimizer(parameters, {.name = name});
  return {str(name, " step"), str(count, " parameters of ", s.network), bytes, 0,
          [step, parameters] { step->step(1e-3); }};
}

}  // namespace

std::vector<RowMaker> memory_rows() {
  return {{"image input", image_input},
          {"batch norm statistics", norm_statistics},
          {"batch norm apply", norm_apply<false>},
          {"batch norm apply residual", norm_apply<true>},
          {"batch norm backward", norm_backward<false>},
          {"batch norm backward residual", norm_backward<true>},
          {"max-pool", max_pool_forward},
          {"max-pool backward", max_pool_backward},
          {"global average pool", global_pool},
          {"global average pool backward", global_pool_backward},
          {"relu", relu},
          {"add", add},
          {"cast", cast},
          {"reformat", reformat},
          {"concat", concat},
          {"dropout", dropout},
          {"depthwise", depthwise},
          {"depthwise backward-data", depthwise_backward_data},
          {"depthwise backward-weight", depthwise_backward_weight},
          {"cross-entropy", cross_entropy},
          {"sgd step", [](const Sizes& s) { return optimizer(s, "sgd", 5); }},
          {"adamw step", [](const Sizes& s) { return optimizer(s, "adamw", 7); }}};
}

}  // namespace graft::bench
