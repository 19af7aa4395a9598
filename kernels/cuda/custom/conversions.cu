// What tensors themselves ask of the device: fill, cast, memory format, sum. (Backend's other
// half.) And cast as an operation.
#include <cmath>

#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/transpose.h"
#include "graft/kernels/cuda/device/convert_element.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/register.h"

namespace graft::cuda {
namespace {

template <class Bits>
struct Fill {
  static constexpr const char* name = "fill";
  static constexpr int group = kGroup<Bits>;
  Span<Bits> y;
  Bits value;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    Group<Bits, M> v;
    for (int j = 0; j < M; ++j) v.v[j] = value;
    y.template store_group<M>(i, v);
  }
};

// Groups of the wider type's size, so that neither side moves less than its part of 16 bytes.
template <class From, class To, int N>
struct Cast {
  static constexpr const char* name = "cast";
  static constexpr int group = N;
  Span<const From> x;
  Span<To> y;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const Group<From, M> u = x.template load_group<M>(i);
    Group<To, M> v;
    for (int j = 0; j < M; ++j) v.v[j] = from_float<To>(to_float(u.v[j]));
    y.template store_group<M>(i, v);
  }
};

template <class From, class To>
void run_cast(const Tensor& x, Tensor& y) {
  constexpr int n = kGroup<From> < kGroup<To> ? kGroup<From> : kGroup<To>;
  gpu::Device& device = device_of(x);
  if (is_aligned(x) && is_aligned(y))
    launch_map(device, x.numel(), Cast<From, To, n>{span<From>(x), mutable_span<To>(y)});
  else
    launch_map(device, x.numel(), Cast<From, To, 1>{span<From>(x), mutable_span<To>(y)});
}

// Between any two types: the result's is known when it runs, so that one kernel a source is enough.
template <class From>
struct CastToAny {
  static constexpr const char* name = "cast";
  static constexpr int group = 1;
  Span<const From> x;
  void* y;
  int64_t size;
  DType dtype;
  template <class To>
  GRAFT_HD void store(int64_t i, From value) const {
    Span<To>{static_cast<To*>(y), size}.store(i, cast_element<To>(value));
  }
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const From value = x.load(i);
    switch (dtype) {
      case DType::f64: return store<double>(i, value);
      case DType::f32: return store<float>(i, value);
      case DType::bf16: return store<bfloat16>(i, value);
      case DType::f16: return store<float16>(i, value);
      case DType::i64: return store<int64_t>(i, value);
      case DType::i32: return store<int32_t>(i, value);
      case DType::i8: return store<int8_t>(i, value);
      case DType::u8: return store<uint8_t>(i, value);
      case DType::boolean: return store<bool>(i, value);
    }
  }
};

// What images and networks convert all the time, in 16-byte groups.
bool is_common(DType from, DType to) {
  return (is_kernel_dtype(from) || from == DType::u8) && is_kernel_dtype(to);
}

void cast_kernel(ExecContext&, ops::CastArgs& args) {
  device_backend(args.x.device()).cast(args.x, args.y);
}

}  // namespace

void register_conversions(KernelSet& set) { set.select.cast.add({"cuda", takes_all, cast_kernel}); }

void Backend::fill(Tensor& y, double value) {
  gpu::Device& device = device_of(y);
  if (value == 0 && !std::signbit(value)) return device.set_bytes(y.mutable_raw(), 0, y.bytes());
  const Tensor element = Tensor::scalar(value, y.dtype());  // the host knows every conversion
  visit_size(y.dtype(), [&](auto zero) {
    using Bits = decltype(zero);
    launch_map(device, y.numel(),
               Fill<Bits>{mutable_span<Bits>(y), *static_cast<const Bits*>(element.raw())});
  });
}

void Backend::cast(const Tensor& x, Tensor& y) {
  if (!is_common(x.dtype(), y.dtype()))
    return visit_dtype(x.dtype(), [&](auto from) {
      using From = decltype(from);
      launch_map(device_of(x), x.numel(),
                 CastToAny<From>{span<From>(x), y.mutable_raw(), y.numel(), y.dtype()});
    });
  visit_kernel_dtype(y.dtype(), [&](auto to) {
    using To = decltype(to);
    if (x.dtype() == DType::u8) return run_cast<uint8_t, To>(x, y);
    visit_kernel_dtype(x.dtype(), [&](auto from) {
      using From = decltype(from);
      if constexpr (!std::is_same_v<From, To>) run_cast<From, To>(x, y);
    });
  });
}

void Backend::reformat(const Tensor& x, Tensor& y) {
  const int64_t channels = x.size(1), pixels = x.size(2) * x.size(3);
  const bool to_last = y.format() == MemoryFormat::channels_last;
  visit_size(x.dtype(), [&](auto zero) {
    using Bits = decltype(zero);
    launch_transpose<Bits>(device_of(x), span<Bits>(x), mutable_span<Bits>(y), x.size(0),
                           to_last ? channels : pixels, to_last ? pixels : channels);
  });
}

void Backend::add(const Tensor& a, const Tensor& b, Tensor& y) {
  kernels_.binary.forward(current_context(), {a, b, {ops::Binary::add}, y});
}

}  // namespace graft::cuda
