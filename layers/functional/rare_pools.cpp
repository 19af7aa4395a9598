// Pools made of other functions: global maximum, p-norms, maxima with their places and back.
#include "graft/core/autograd/record.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/kernels/ops/binary.h"
#include "graft/kernels/ops/pool.h"
#include "graft/kernels/ops/reduce.h"
#include "graft/kernels/ops/select.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/image.h"
#include "graft/layers/functional/indexing.h"
#include "graft/layers/functional/movement.h"
#include "graft/layers/functional/reduce.h"
#include "graft/layers/functional/trace_step.h"

namespace graft::functional {
namespace {

std::vector<int> spatial_axes(const char* op, const Tensor& x) {
  GRAFT_CHECK(x.rank() >= 3, op, ": ", x.shape(), " has no spatial axes");
  std::vector<int> axes;
  for (int axis = 2; axis < x.rank(); ++axis) axes.push_back(axis);
  return axes;
}

Tensor to_power(const Tensor& x, double p) {
  if (p == 1) return x;
  return p == 2 ? mul(x, x) : binary(x, Tensor::scalar(p, x.dtype()), ops::Binary::pow);
}

Tensor root(const Tensor& x, double p) {
  return p == 1 ? x : p == 2 ? sqrt(x) : to_power(x, 1 / p);
}

// Reads where the maxima lie (as max_pool's gradient would learn it).
struct PoolPlacesAttributes {
  static constexpr std::string_view id = "max_pool_indices";
  ops::MaxPoolAttributes pool;
  bool column_major = false;
};

// Places in a plane of x to places in x [N,C,...]. column_major: the first spatial axis counts
// fastest. Without a trace.
Tensor places_in_tensor(const Tensor& in_plane, const Shape& x, bool column_major) {
  TensorOptions options = in_plane.options();
  options.dtype = DType::i64;
  const auto number = [&](int64_t value) {
    return Tensor::full(Shape{}, static_cast<double>(value),
                        {.dtype = DType::i64, .device = options.device});
  };
  const auto apply = [&](ops::Binary function, const Tensor& a, const Tensor& b) {
    Tensor y = Tensor::empty(in_plane.shape(), options);
    kernels_for<ops::BinaryKernels>(in_plane).forward(current_context(), {a, b, {function}, y});
    return y;
  };
  using ops::Binary;
  Tensor places = Tensor::empty(in_plane.shape(), options);
  kernels_for<ops::SelectKernels>(in_plane).cast(current_context(), {in_plane, places});
  if (column_major) {
    Tensor rest = places;
    places = Tensor::zeros(in_plane.shape(), options);
    for (int axis = x.rank() - 1; axis >= 2; --axis) {
      const Tensor extent = number(std::max<int64_t>(x[axis], 1));
      places =
          apply(Binary::add, places,
                apply(Binary::mul, apply(Binary::mod, rest, extent), number(x.product(2, axis))));
      rest = apply(Binary::div, rest, extent);
    }
  }
  std::vector<int64_t> by_plane(static_cast<size_t>(in_plane.rank()), 1);
  by_plane[0] = x[0], by_plane[1] = x[1];
  const Tensor planes =
      to_device(range(int64_t{0}, x[0] * x[1], int64_t{1}, DType::i64), options.device)
          .reshape(Shape(std::span<const int64_t>(by_plane)));
  return apply(Binary::add, places, apply(Binary::mul, planes, number(x.product(2, x.rank()))));
}

Replay refuse_pool_places(const ReplaySite&) {
  return Replay::refused("its results count elements of the whole batch");
}

}  // namespace

Tensor global_max_pool(const Tensor& x) {
  return to_format(reduce(x, {ops::Reduce::max, spatial_axes("global_max_pool", x), true}),
                   x.format());
}

Tensor global_lp_pool(const Tensor& x, double p) {
  GRAFT_CHECK(p > 0, "global_lp_pool: p is ", p);
  const Tensor sum =
      reduce(to_power(abs(x), p), {ops::Reduce::sum, spatial_axes("global_lp_pool", x), true});
  return to_format(root(sum, p), x.format());
}

Tensor lp_pool(const Tensor& x, const ops::Window& window, double p, bool ceil_mode) {
  GRAFT_CHECK(p > 0, "lp_pool: p is ", p);
  const Shape shape = ops::pool_output_shape("lp_pool", x.shape(), window, ceil_mode);
  // The sum over windows is a convolution of each channel with ones; ceil_mode is more padding at
  // the end.
  ops::ConvAttributes sum{window, x.size(1)};
  std::vector<int64_t> ones{x.size(1), 1};
  for (int axis = 0; axis < window.axes; ++axis) {
    const auto i = static_cast<size_t>(axis);
    const int64_t reach =
        (shape[axis + 2] - 1) * window.stride[i] + (window.kernel[i] - 1) * window.dilation[i] + 1;
    sum.window.pad_end[i] =
        std::max(window.pad_end[i], reach - x.shape()[axis + 2] - window.pad_begin[i]);
    ones.push_back(window.kernel[i]);
  }
  const Tensor weight = Tensor::full(Shape(std::span<const int64_t>(ones)), 1,
                                     {.dtype = x.dtype(), .device = x.device()});
  return root(conv(to_power(abs(x), p), weight, {}, sum), p);
}

PoolWithIndices max_pool_with_indices(const Tensor& x, const ops::MaxPoolAttributes& attributes,
                                      bool column_major) {
  PoolWithIndices result{max_pool(x, attributes), Tensor()};
  TensorOptions options = result.y.options();
  options.dtype = DType::i32;
  Tensor again = Tensor::empty_like(result.y), in_plane = Tensor::empty(result.y.shape(), options);
  kernels_for<ops::PoolKernels>(x).max_forward(current_context(),
                                               {x, attributes, again, &in_plane});
  result.indices = places_in_tensor(in_plane, x.shape(), column_major);
  trace_step(PoolPlacesAttributes{attributes, column_major}, refuse_pool_places, {x},
             result.indices);
  return result;
}

Tensor max_unpool(const Tensor& x, const Tensor& indices, const Shape& shape) {
  GRAFT_CHECK(indices.shape() == x.shape(), "max_unpool: indices ", indices.shape(), " for ",
              x.shape());
  const Tensor zeros = Tensor::zeros({shape.numel()}, {.dtype = x.dtype(), .device = x.device()});
  const Tensor flat =
      scatter_elements(zeros, reshape(indices, {x.numel()}), reshape(x, {x.numel()}));
  return to_format(reshape(flat, shape), x.format());
}

}  // namespace graft::functional
