// What tensors themselves ask of the device: fill, cast, memory format, sum. (Backend's other half.) And cast as an operation.
#include <cmath>

#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/transpose.h"
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
  if (is_aligned(x) && is_aligned(y)) launch_map(device, x.numel(), Cast<From, To, n>{span<From>(x), mutable_span<To>(y)});
  else launch_map(device, x.numel(), Cast<From, To, 1>{span<From>(x), mutable_span<To>(y)});
}

bool converts(DType from, DType to) { return (is_kernel_dtype(from) || from == DType::u8) && is_kernel_dtype(to); }

const char* declines_cast(const ExecContext&, const ops::CastArgs& args) {
  return converts(args.x.dtype(), args.y.dtype()) ? nullptr : "only from u8, f32, bf16 and f16 to the last three";
}
void cast_kernel(ExecContext&, ops::CastArgs& args) { device_backend(args.x.device()).cast(args.x, args.y); }

}  // namespace

void register_conversions(KernelSet& set) { set.select.cast.add({"cuda", declines_cast, cast_kernel}); }

void Backend::fill(Tensor& y, double value) {
  gpu::Device& device = device_of(y);
  if (value == 0 && !std::signbit(value)) return device.set_bytes(y.mutable_raw(), 0, y.bytes());
  const Tensor element = Tensor::scalar(value, y.dtype());  // the host knows every conversion
  visit_size(y.dtype(), [&](auto zero) {
    using Bits = decltype(zero);
    launch_map(device, y.numel(), Fill<Bits>{mutable_span<Bits>(y), *static_cast<const Bits*>(element.raw())});
  });
}

void Backend::cast(const Tensor& x, Tensor& y) {
  GRAFT_CHECK(converts(x.dtype(), y.dtype()), x.device(), ": no cast from ",
              name_of(x.dtype()), " to ", name_of(y.dtype()), " there");
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
    launch_transpose<Bits>(device_of(x), span<Bits>(x), mutable_span<Bits>(y), x.size(0), to_last ? channels : pixels, to_last ? pixels : channels);
  });
}

void Backend::add(const Tensor& a, const Tensor& b, Tensor& y) {
  kernels_.binary.forward(current_context(), {a, b, {ops::Binary::add}, y});
}

}  // namespace graft::cuda
