// Element-wise functions of integers and bool, and predicates of any number: an element a thread,
// arithmetic in int64.
#include <cmath>

#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/broadcast.h"
#include "graft/kernels/cuda/device/convert_element.h"
#include "graft/kernels/cuda/device/integer_math.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/register.h"

namespace graft::cuda {
namespace {

template <class T>
struct IntegerUnary {
  static constexpr const char* name = "unary forward, integers";
  static constexpr int group = 1;
  Span<const T> x;
  Span<T> y;
  ops::Unary function;
  int64_t low, high;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    y.store(i, narrow<T>(unary_integer(function, widen(x.load(i)), low, high)));
  }
};

template <class T>
struct UnaryPredicate {
  static constexpr const char* name = "unary forward, predicate";
  static constexpr int group = kGroup<T>;
  Span<const T> x;
  Span<bool> y;
  ops::Unary function;
  bool negative, positive;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const Group<T, M> v = x.template load_group<M>(i);
    Group<bool, M> truth;
    for (int j = 0; j < M; ++j)
      truth.v[j] = unary_predicate(function, widen(v.v[j]), negative, positive);
    y.template store_group<M>(i, truth);
  }
};

struct BroadcastIntegers {
  static constexpr const char* name = "binary forward, integers";
  ops::Binary function;
  template <class T>
  GRAFT_HD T operator()(T a, T b) const {
    return narrow<T>(binary_integer(function, widen(a), widen(b)));
  }
};

struct BroadcastPredicate {
  static constexpr const char* name = "binary forward, predicate, broadcast";
  ops::Binary function;
  template <class T>
  GRAFT_HD bool operator()(T a, T b) const {
    return binary_predicate(function, widen(a), widen(b));
  }
};

template <class T, int N>
struct BinaryPredicate {  // of tensors of one shape
  static constexpr const char* name = "binary forward, predicate";
  static constexpr int group = N;
  Span<const T> a, b;
  Span<bool> y;
  ops::Binary function;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const Group<T, M> u = a.template load_group<M>(i), v = b.template load_group<M>(i);
    Group<bool, M> truth;
    for (int j = 0; j < M; ++j)
      truth.v[j] = binary_predicate(function, widen(u.v[j]), widen(v.v[j]));
    y.template store_group<M>(i, truth);
  }
};

bool is_known(DType dtype) { return dtype != DType::f64; }

// The nearest int64 of a bound that may be infinite.
int64_t integer_bound(double bound) { return saturated<int64_t>(bound); }

const char* declines_unary_integers(const ExecContext&, const ops::UnaryForwardArgs& args) {
  if (is_floating(args.x.dtype())) return "only integers";
  return has_integer(args.attributes.function) ? nullptr : "no function of integers";
}
void unary_integers(ExecContext&, ops::UnaryForwardArgs& args) {
  const ops::UnaryAttributes& f = args.attributes;
  visit_integer_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch_map(
        device_of(args.x), args.x.numel(),
        IntegerUnary<T>{span<T>(args.x), mutable_span<T>(args.y), f.function,
                        integer_bound(std::ceil(f.alpha)), integer_bound(std::floor(f.beta))});
  });
}

const char* declines_unary_predicates(const ExecContext&, const ops::UnaryForwardArgs& args) {
  if (!is_known(args.x.dtype())) return "no f64";
  if (!is_aligned(args.x) || !is_aligned(args.y)) return "a tensor does not start at 16 bytes";
  return ops::is_predicate(args.attributes.function) ? nullptr : "only predicates";
}
void unary_predicates(ExecContext&, ops::UnaryForwardArgs& args) {
  const ops::UnaryAttributes& f = args.attributes;
  visit_number_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch_map(device_of(args.x), args.x.numel(),
               UnaryPredicate<T>{span<T>(args.x), mutable_span<bool>(args.y), f.function,
                                 f.alpha != 0, f.beta != 0});
  });
}

const char* declines_binary_integers(const ExecContext&, const ops::BinaryForwardArgs& args) {
  if (is_floating(args.a.dtype())) return "only integers";
  if (args.a.device() != args.b.device()) return "the inputs are on different devices";
  return ops::is_predicate(args.attributes.function) ? "only functions whose result is a number"
                                                     : nullptr;
}
void binary_integers(ExecContext&, ops::BinaryForwardArgs& args) {
  visit_integer_dtype(args.a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch_map(
        device_of(args.a), args.y.numel(),
        BinaryBroadcast<T, T, BroadcastIntegers>{span<T>(args.a),
                                                 span<T>(args.b),
                                                 mutable_span<T>(args.y),
                                                 {args.attributes.function},
                                                 Broadcast<2>::of({&args.a, &args.b}, args.y)});
  });
}

const char* declines_binary_predicates(const ExecContext&, const ops::BinaryForwardArgs& args) {
  if (!is_known(args.a.dtype())) return "no f64";
  if (args.a.device() != args.b.device()) return "the inputs are on different devices";
  return ops::is_predicate(args.attributes.function) ? nullptr : "only predicates";
}
void binary_predicates(ExecContext&, ops::BinaryForwardArgs& args) {
  const ops::Binary f = args.attributes.function;
  const auto like_y = [&](const Tensor& t) {
    return t.shape() == args.y.shape() && t.format() == args.y.format() && is_aligned(t);
  };
  visit_number_dtype(args.a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Span<const T> a = span<T>(args.a), b = span<T>(args.b);
    const Span<bool> y = mutable_span<bool>(args.y);
    gpu::Device& device = device_of(args.a);
    if (like_y(args.a) && like_y(args.b) && is_aligned(args.y))
      return launch_map(device, y.size, BinaryPredicate<T, kGroup<T>>{a, b, y, f});
    launch_map(device, y.size,
               BinaryBroadcast<T, bool, BroadcastPredicate>{
                   a, b, y, {f}, Broadcast<2>::of({&args.a, &args.b}, args.y)});
  });
}

}  // namespace

void register_integers(KernelSet& set) {
  set.unary.forward.add({"cuda_integers", declines_unary_integers, unary_integers});
  set.unary.forward.add({"cuda_predicates", declines_unary_predicates, unary_predicates});
  set.binary.forward.add({"cuda_integers", declines_binary_integers, binary_integers});
  set.binary.forward.add({"cuda_predicates", declines_binary_predicates, binary_predicates});
}

}  // namespace graft::cuda
