// Element-wise functions of one and two tensors of floating-point numbers; two tensors of one
// shape, or broadcast by index.
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/broadcast.h"
#include "graft/kernels/cuda/custom/partial_sums.h"
#include "graft/kernels/cuda/device/function_math.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/register.h"

namespace graft::cuda {
namespace {

// F: the function, as an enumerator or, for those that networks are full of, as a type: nothing is
// then asked for an element.
template <class F, F kFrequent, class Call>
void visit_function(F function, Call&& call) {
  if (function == kFrequent)
    call(std::integral_constant<F, kFrequent>{});
  else
    call(function);
}

template <class T, int N, class F>
struct UnaryForward {
  static constexpr const char* name = "unary forward";
  static constexpr int group = N;
  Span<const T> x;
  Span<T> y;
  F function;
  float alpha, beta;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    float values[M];
    to_floats(x.template load_group<M>(i), values);
    Group<T, M> v;
    for (int j = 0; j < M; ++j)
      v.v[j] = from_float<T>(unary_value(function, values[j], alpha, beta));
    y.template store_group<M>(i, v);
  }
};

template <class T, int N>
struct UnaryBackward {
  static constexpr const char* name = "unary backward";
  static constexpr int group = N;
  Span<const T> x, y, dy;
  Span<T> dx;
  ops::Unary function;
  float alpha, beta;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const Group<T, M> u = x.template load_group<M>(i), r = y.template load_group<M>(i);
    Group<T, M> g = dy.template load_group<M>(i);
    for (int j = 0; j < M; ++j)
      g.v[j] = from_float<T>(to_float(g.v[j]) * unary_slope(function, to_float(u.v[j]),
                                                            to_float(r.v[j]), alpha, beta));
    dx.template store_group<M>(i, g);
  }
};

template <class T, int N, class F>
struct BinaryForward {
  static constexpr const char* name = "binary forward";
  static constexpr int group = N;
  Span<const T> a, b;
  Span<T> y;
  F function;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    float u[M], v[M];
    to_floats(a.template load_group<M>(i), u);
    to_floats(b.template load_group<M>(i), v);
    Group<T, M> result;
    for (int j = 0; j < M; ++j) result.v[j] = from_float<T>(binary_value(function, u[j], v[j]));
    y.template store_group<M>(i, result);
  }
};

struct BroadcastFloats {
  static constexpr const char* name = "binary forward, broadcast";
  ops::Binary function;
  template <class T>
  GRAFT_HD T operator()(T a, T b) const {
    return from_float<T>(binary_value(function, to_float(a), to_float(b)));
  }
};

template <class T, int N>
struct BinaryBackward {
  static constexpr const char* name = "binary backward";
  static constexpr int group = N;
  Span<const T> a, b, dy;
  Span<T> da, db;  // or empty
  ops::Binary function;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    Group<T, M> u = a.template load_group<M>(i), v = b.template load_group<M>(i);
    const Group<T, M> g = dy.template load_group<M>(i);
    for (int j = 0; j < M; ++j) {
      const Slopes slopes = binary_slopes(function, to_float(u.v[j]), to_float(v.v[j]));
      u.v[j] = from_float<T>(to_float(g.v[j]) * slopes.a);
      v.v[j] = from_float<T>(to_float(g.v[j]) * slopes.b);
    }
    if (da) da.template store_group<M>(i, u);
    if (db) db.template store_group<M>(i, v);
  }
};

// One input's gradient where the other one was stretched or lies in another order.
template <class T>
struct BinaryBroadcastBackward {
  static constexpr const char* name = "binary backward, broadcast";
  static constexpr int group = 1;
  Span<const T> a, b, dy;
  Span<T> to;
  ops::Binary function;
  bool of_a;
  Broadcast<3> walk;  // dy, a, b in the order of `to`
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const Offsets<3> from = walk.offsets(i);
    const Slopes slopes =
        binary_slopes(function, to_float(a.load(from.at[1])), to_float(b.load(from.at[2])));
    to.store(i, from_float<T>(to_float(dy.load(from.at[0])) * (of_a ? slopes.a : slopes.b)));
  }
};

// The gradient of a stretched input, as terms of sums.
template <class T>
struct StretchedGradient {
  static constexpr const char* name = "binary backward, stretched";
  Span<const T> a, b, dy;
  ops::Binary function;
  bool of_a;
  StretchedAxes<3> axes;  // dy, a, b
  GRAFT_HD float term(int64_t result, int64_t i) const {
    const Offsets<3> base = axes.kept.offsets(result), more = axes.summed.offsets(i);
    const Slopes slopes = binary_slopes(function, to_float(a.load(base.at[1] + more.at[1])),
                                        to_float(b.load(base.at[2] + more.at[2])));
    return to_float(dy.load(base.at[0] + more.at[0])) * (of_a ? slopes.a : slopes.b);
  }
};

template <class Args>
const char* declines_unary(const ExecContext&, const Args& args) {
  if (const char* reason = declines_dtype(args.x)) return reason;
  return has_unary(args.attributes.function) ? nullptr : "no function of floating-point numbers";
}

void unary_forward(ExecContext&, ops::UnaryForwardArgs& args) {
  const ops::UnaryAttributes& f = args.attributes;
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    visit_group<T>(is_aligned(args.x) && is_aligned(args.y), [&](auto n) {
      visit_function<ops::Unary, ops::Unary::relu>(f.function, [&](auto function) {
        launch_map(device_of(args.x), args.x.numel(),
                   UnaryForward<T, n(), decltype(function)>{
                       span<T>(args.x), mutable_span<T>(args.y), function,
                       static_cast<float>(f.alpha), static_cast<float>(f.beta)});
      });
    });
  });
}

void unary_backward(ExecContext&, ops::UnaryBackwardArgs& args) {
  const ops::UnaryAttributes& f = args.attributes;
  const bool aligned =
      is_aligned(args.x) && is_aligned(args.y) && is_aligned(args.dy) && is_aligned(args.dx);
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    visit_group<T>(aligned, [&](auto n) {
      launch_map(device_of(args.x), args.x.numel(),
                 UnaryBackward<T, n()>{span<T>(args.x), span<T>(args.y), span<T>(args.dy),
                                       mutable_span<T>(args.dx), f.function,
                                       static_cast<float>(f.alpha), static_cast<float>(f.beta)});
    });
  });
}

const char* declines_binary(const ExecContext&, const ops::BinaryForwardArgs& args) {
  if (const char* reason = declines_dtype(args.a)) return reason;
  if (args.a.device() != args.b.device()) return "the inputs are on different devices";
  return has_binary(args.attributes.function) ? nullptr : "no function of floating-point numbers";
}

void binary_forward(ExecContext&, ops::BinaryForwardArgs& args) {
  const bool plain = args.a.shape() == args.y.shape() && args.b.shape() == args.y.shape() &&
                     args.a.format() == args.y.format() && args.b.format() == args.y.format();
  visit_kernel_dtype(args.a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Span<const T> a = span<T>(args.a), b = span<T>(args.b);
    const Span<T> y = mutable_span<T>(args.y);
    gpu::Device& device = device_of(args.a);
    if (!plain)
      return launch_map(
          device, y.size,
          BinaryBroadcast<T, T, BroadcastFloats>{
              a, b, y, {args.attributes.function}, Broadcast<2>::of({&args.a, &args.b}, args.y)});
    visit_group<T>(is_aligned(args.a) && is_aligned(args.b) && is_aligned(args.y), [&](auto n) {
      visit_function<ops::Binary, ops::Binary::add>(args.attributes.function, [&](auto function) {
        launch_map(device, y.size, BinaryForward<T, n(), decltype(function)>{a, b, y, function});
      });
    });
  });
}

const char* declines_binary_backward(const ExecContext&, const ops::BinaryBackwardArgs& args) {
  if (const char* reason = declines_dtype(args.a)) return reason;
  return has_binary(args.attributes.function) ? nullptr : "this function has no gradient";
}

template <class T>
void stretched_gradient(const ops::BinaryBackwardArgs& args, bool of_a, Tensor& to) {
  const Span<const T> a = span<T>(args.a), b = span<T>(args.b), dy = span<T>(args.dy);
  const Tensor* const tensors[] = {&args.dy, &args.a, &args.b};
  const auto axes = StretchedAxes<3>::of(to, tensors, args.dy);
  if (axes.summed.count == 1)
    return launch_map(device_of(to), to.numel(),
                      BinaryBroadcastBackward<T>{a, b, dy, mutable_span<T>(to),
                                                 args.attributes.function, of_a, axes.kept});
  const bool across = axes.kept.axes > 0 && axes.kept.stride[0][0] == 1;
  launch_sums<T>(to, axes.summed.count, across,
                 StretchedGradient<T>{a, b, dy, args.attributes.function, of_a, axes});
}

void binary_backward(ExecContext&, ops::BinaryBackwardArgs& args) {
  const gpu::OperationName operation("binary backward");
  const auto like_dy = [&](const Tensor& t) {
    return t.shape() == args.dy.shape() && t.format() == args.dy.format();
  };
  const bool plain = like_dy(args.a) && like_dy(args.b);
  const bool aligned = is_aligned(args.a) && is_aligned(args.b) && is_aligned(args.dy) &&
                       is_aligned(args.da) && is_aligned(args.db);
  visit_kernel_dtype(args.a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (!plain) {
      if (args.da) stretched_gradient<T>(args, true, *args.da);
      if (args.db) stretched_gradient<T>(args, false, *args.db);
      return;
    }
    visit_group<T>(aligned, [&](auto n) {
      launch_map(device_of(args.a), args.dy.numel(),
                 BinaryBackward<T, n()>{span<T>(args.a), span<T>(args.b), span<T>(args.dy),
                                        mutable_span<T>(args.da), mutable_span<T>(args.db),
                                        args.attributes.function});
    });
  });
}

}  // namespace

void register_elementwise(KernelSet& set) {
  set.unary.forward.add({"cuda", declines_unary<ops::UnaryForwardArgs>, unary_forward});
  set.unary.backward.add({"cuda", declines_unary<ops::UnaryBackwardArgs>, unary_backward});
  set.binary.forward.add({"cuda", declines_binary, binary_forward});
  set.binary.backward.add({"cuda", declines_binary_backward, binary_backward});
}

}  // namespace graft::cuda
