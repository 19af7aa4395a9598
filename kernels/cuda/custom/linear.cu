// Linear layers and stacks of matrix products on the tiled product, in float32.
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/bias_gradient.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/device/product.h"
#include "graft/kernels/cuda/register.h"

namespace graft::cuda {
namespace {

// A matrix in memory: element (i, j) at i * down + j * across.
template <class T>
struct Matrix {
  Span<const T> elements;
  int64_t down, across;
  GRAFT_HD float at(int64_t i, int64_t j) const {
    return to_float(elements.load(i * down + j * across));
  }
};

template <class T>
struct MatrixProblem {
  static constexpr const char* name = "linear";
  Matrix<T> left, right;
  Span<const T> bias;  // [n] or empty
  Span<T> y;           // [m, n]
  int64_t n;
  GRAFT_HD float a(int64_t, int64_t i, int64_t step) const { return left.at(i, step); }
  GRAFT_HD float b(int64_t, int64_t step, int64_t j) const { return right.at(step, j); }
  GRAFT_HD void store(int64_t, int64_t, int64_t i, int64_t j, float value) const {
    y.store(i * n + j, from_float<T>(value + (bias ? to_float(bias.load(j)) : 0.f)));
  }
};

// y [m, n] = left [m, k] * right [k, n] + bias.
template <class T>
void product(gpu::Device& device, int64_t m, int64_t n, int64_t k, const Matrix<T>& left,
             const Matrix<T>& right, Span<const T> bias, Span<T> y) {
  launch_product(device, {m, n, k, 1, std::max<int64_t>(k, 1)},
                 MatrixProblem<T>{left, right, bias, y, n});
}

const char* declines_types(const Tensor& x, const Tensor* weight, const Tensor* bias) {
  if (weight && weight->dtype() != x.dtype()) return "the weight has another dtype";
  if (bias && bias->dtype() != x.dtype()) return "the bias has another dtype";
  return declines_dtype(x);
}

const char* declines_forward(const ExecContext&, const ops::LinearForwardArgs& args) {
  return declines_types(args.x, &args.weight, args.bias);
}

void forward(ExecContext&, ops::LinearForwardArgs& args) {
  const int64_t m = args.x.size(0), k = args.x.size(1), n = args.weight.size(0);
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    product<T>(device_of(args.x), m, n, k, {span<T>(args.x), k, 1}, {span<T>(args.weight), 1, k},
               span<T>(args.bias), mutable_span<T>(args.y));
  });
}

const char* declines_backward_data(const ExecContext&, const ops::LinearBackwardDataArgs& args) {
  return declines_types(args.dy, &args.weight, nullptr);
}

void backward_data(ExecContext&, ops::LinearBackwardDataArgs& args) {
  const int64_t m = args.dy.size(0), k = args.dy.size(1), n = args.weight.size(1);
  visit_kernel_dtype(args.dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    product<T>(device_of(args.dy), m, n, k, {span<T>(args.dy), k, 1}, {span<T>(args.weight), n, 1},
               {}, mutable_span<T>(args.dx));
  });
}

const char* declines_backward_weight(const ExecContext&,
                                     const ops::LinearBackwardWeightArgs& args) {
  return declines_types(args.dy, args.dweight, args.dbias);
}

void backward_weight(ExecContext&, ops::LinearBackwardWeightArgs& args) {
  const gpu::OperationName name("linear backward-weight");
  const int64_t rows = args.dy.size(0), out = args.dy.size(1), in = args.x.size(1);
  if (args.dweight)
    visit_kernel_dtype(args.dy.dtype(), [&](auto zero) {
      using T = decltype(zero);
      product<T>(device_of(args.dy), out, in, rows, {span<T>(args.dy), 1, out},
                 {span<T>(args.x), in, 1}, {}, mutable_span<T>(*args.dweight));
    });
  if (args.dbias) linear_bias_gradient(args.dy, *args.dbias);
}

}  // namespace

void register_linear(KernelSet& set) {
  set.linear.forward.add({"cuda_tiled", declines_forward, forward});
  set.linear.backward_data.add({"cuda_tiled", declines_backward_data, backward_data});
  set.linear.backward_weight.add({"cuda_tiled", declines_backward_weight, backward_weight});
}

}  // namespace graft::cuda
