// The engine's loops along channels, plain enough for the compiler to vectorise. Included by the
// instruction sets' units only; everything has internal linkage.
#pragma once
#include "graft/kernels/cpu/isa/depthwise_kernels.h"
#include "graft/kernels/cpu/isa/lanes.h"

namespace graft::cpu {
namespace {

// A block of rows that is read in strips comes from memory whole and in order first: strips alone
// would wait for it.
template <class T>
inline void fetch(const T* block, int64_t count) {
  for (int64_t i = 0; i < count; i += 64 / static_cast<int64_t>(sizeof(T)))
    __builtin_prefetch(block + i, 0, 2);
}

// In one pass: sums of the deviations from the first pixel, which is as near to the mean as any
// other.
template <class T>
void moments(const T* x, int64_t pixels, int64_t stride, int64_t channels, Parameter<T>* mean,
             Parameter<T>* squares) {
  const auto count = static_cast<Parameter<T>>(pixels);
  for_register_groups<T>(channels, [&](int64_t c, auto lanes, auto group) {
    using L = decltype(lanes);
    typename L::Register first[group.value]{}, sum[group.value]{}, square[group.value]{};
    for (int g = 0; g < group.value; ++g) first[g] = L::load(x + c + g * L::lanes);
    for (int64_t p = 1; p < pixels; ++p)
      for (int g = 0; g < group.value; ++g) {
        const auto deviation = L::load(x + p * stride + c + g * L::lanes) - first[g];
        sum[g] += deviation;
        square[g] += deviation * deviation;
      }
    for (int g = 0; g < group.value; ++g) {
      const auto shift = sum[g] / count, rest = square[g] - shift * sum[g];
      L::store(mean + c + g * L::lanes, first[g] + shift);
      L::store(squares + c + g * L::lanes, rest < Parameter<T>(0) ? decltype(rest){} : rest);
    }
  });
}

// Streaming is for whole registers at aligned addresses only.
template <bool Stream, class T, class Lanes>
inline void put(T* p, typename Lanes::Register v, Lanes) {
  if constexpr (Stream && Lanes::lanes > 1)
    Lanes::stream(p, v);
  else
    Lanes::store(p, v);
}
template <class T>
inline bool can_stream(const T* p, int64_t channels) {
  return channels % Vector<T>::lanes == 0 &&
         reinterpret_cast<uintptr_t>(p) % (Vector<T>::lanes * sizeof(T)) == 0;
}

template <class T, bool Residual, bool Relu, bool Stream>
void norm_apply_rows(const NormApplyArgs<T>& args) {
  for (int64_t p = 0; p < args.pixels; ++p) {
    const T* x = args.x + p * args.channels;
    const T* residual = Residual ? args.residual + p * args.channels : nullptr;
    T* y = args.y + p * args.channels;
    for_lanes<T>(args.channels, [&](int64_t c, auto lanes) {
      using L = decltype(lanes);
      auto value = (L::load(x + c) - L::load(args.mean + c)) * L::load(args.scale + c) +
                   L::load(args.bias + c);
      if constexpr (Residual) value += L::load(residual + c);
      if constexpr (Relu)
        value = value <= Parameter<T>(0) ? decltype(value){} : value;  // NaN stays
      put<Stream>(y + c, value, lanes);
    });
  }
  if constexpr (Stream) fence();
}

template <class T, bool Stream>
void norm_apply_all(const NormApplyArgs<T>& args) {
  if (args.residual)
    args.relu ? norm_apply_rows<T, true, true, Stream>(args)
              : norm_apply_rows<T, true, false, Stream>(args);
  else
    args.relu ? norm_apply_rows<T, false, true, Stream>(args)
              : norm_apply_rows<T, false, false, Stream>(args);
}
template <class T>
void norm_apply(const NormApplyArgs<T>& args) {
  if (args.stream && can_stream(args.y, args.channels))
    norm_apply_all<T, true>(args);
  else
    norm_apply_all<T, false>(args);
}

// Which elements of dy a ReLU let through: none asked, by the output, or by what the input gives.
enum class NormMask { none, output, input };

template <NormMask Mask, class L, class T>
inline typename L::Register masked(const NormBackwardArgs<T>& args, int64_t at, int64_t c,
                                   typename L::Register x_centred) {
  const typename L::Register g = L::load(args.dy + at);
  const typename L::Register zero{};
  if constexpr (Mask == NormMask::output)
    return L::load(args.y + at) > zero ? g : zero;
  else if constexpr (Mask == NormMask::input)
    return x_centred * L::load(args.scale + c) + L::load(args.bias + c) > zero ? g : zero;
  else
    return g;
}

template <class T, NormMask Mask, bool Residual, bool Stream>
void norm_sum_rows(const NormBackwardArgs<T>& args) {
  const int64_t count = args.pixels * args.channels;
  fetch(args.x, count);
  fetch(args.dy, count);
  if constexpr (Mask == NormMask::output) fetch(args.y, count);
  for_register_groups<T>(args.channels, [&](int64_t first, auto lanes, auto group) {
    using L = decltype(lanes);
    typename L::Register sum[group.value]{}, sum_x[group.value]{};
    for (int64_t p = 0; p < args.pixels; ++p)
      for (int g = 0; g < group.value; ++g) {
        const int64_t c = first + g * L::lanes, at = p * args.channels + c;
        const auto centred = L::load(args.x + at) - L::load(args.mean + c);
        const auto gradient = masked<Mask, L>(args, at, c, centred);
        if constexpr (Residual) put<Stream>(args.dresidual + at, gradient, lanes);
        sum[g] += gradient;
        sum_x[g] += gradient * centred;
      }
    for (int g = 0; g < group.value; ++g) {
      const int64_t c = first + g * L::lanes;
      L::store(args.sum_dy + c, L::load(args.sum_dy + c) + sum[g]);
      L::store(args.sum_dy_x + c, L::load(args.sum_dy_x + c) + sum_x[g]);
    }
  });
  if constexpr (Stream) fence();
}

template <class T, NormMask Mask>
void norm_sums_masked(const NormBackwardArgs<T>& args) {
  if (!args.dresidual)
    norm_sum_rows<T, Mask, false, false>(args);
  else if (args.stream && can_stream(args.dresidual, args.channels))
    norm_sum_rows<T, Mask, true, true>(args);
  else
    norm_sum_rows<T, Mask, true, false>(args);
}

template <class T>
void norm_sums(const NormBackwardArgs<T>& args) {
  if (args.y)
    norm_sums_masked<T, NormMask::output>(args);
  else if (args.bias)
    norm_sums_masked<T, NormMask::input>(args);
  else
    norm_sums_masked<T, NormMask::none>(args);
}

template <class T, NormMask Mask, bool Input, bool Residual, bool Stream>
void norm_backward_rows(const NormBackwardArgs<T>& args) {
  for (int64_t p = 0; p < args.pixels; ++p)
    for_lanes<T>(args.channels, [&](int64_t c, auto lanes) {
      using L = decltype(lanes);
      const int64_t at = p * args.channels + c;
      const auto centred = L::load(args.x + at) - L::load(args.mean + c);
      const auto g = masked<Mask, L>(args, at, c, centred);
      if constexpr (Residual) put<Stream>(args.dresidual + at, g, lanes);
      if constexpr (Input)
        put<Stream>(args.dx + at,
                    L::load(args.scale + c) *
                        (g - L::load(args.shift + c) - centred * L::load(args.slope + c)),
                    lanes);
    });
  if constexpr (Stream) fence();
}

template <class T, NormMask Mask, bool Stream>
void norm_backward_masked(const NormBackwardArgs<T>& args) {
  if (args.dx)
    args.dresidual ? norm_backward_rows<T, Mask, true, true, Stream>(args)
                   : norm_backward_rows<T, Mask, true, false, Stream>(args);
  else if (args.dresidual)
    norm_backward_rows<T, Mask, false, true, Stream>(args);
}

template <class T, bool Stream>
void norm_backward_all(const NormBackwardArgs<T>& args) {
  if (args.y)
    norm_backward_masked<T, NormMask::output, Stream>(args);
  else if (args.bias)
    norm_backward_masked<T, NormMask::input, Stream>(args);
  else
    norm_backward_masked<T, NormMask::none, Stream>(args);
}
template <class T>
void norm_backward(const NormBackwardArgs<T>& args) {
  const bool aligned = (!args.dx || can_stream(args.dx, args.channels)) &&
                       (!args.dresidual || can_stream(args.dresidual, args.channels));
  if (args.stream && aligned)
    norm_backward_all<T, true>(args);
  else
    norm_backward_all<T, false>(args);
}

template <class T>
void max_rows(const T* const* rows, const int32_t* positions, int64_t count, int64_t channels, T* y,
              int32_t* where) {
  for_lanes<T>(channels, [&](int64_t c, auto lanes) {
    using L = decltype(lanes);
    typename L::Register largest{};
    decltype(L::load_positions(where)) at{};
    at += count ? positions[0] : -1;
    if (count) largest = L::load(rows[0] + c);
    for (int64_t i = 1; i < count; ++i) {
      const typename L::Register row = L::load(rows[i] + c);
      const auto larger = (row > largest) | (row != row);
      largest = larger ? row : largest;
      if (where) at = larger ? at * 0 + positions[i] : at;
    }
    L::store(y + c, largest);
    if (where) L::store_positions(where + c, at);
  });
}

template <class T>
void mean_rows(const T* const* rows, int64_t count, int64_t channels, Parameter<T> divisor, T* y) {
  for_lanes<T>(channels, [&](int64_t c, auto lanes) {
    using L = decltype(lanes);
    typename L::Register sum{};
    for (int64_t i = 0; i < count; ++i) sum += L::load(rows[i] + c);
    L::store(y + c, sum / divisor);
  });
}

template <class T>
void max_gradient(const T* const* dy, const int32_t* const* where, int64_t count, int32_t position,
                  int64_t channels, T* dx) {
  for_lanes<T>(channels, [&](int64_t c, auto lanes) {
    using L = decltype(lanes);
    typename L::Register sum{};
    const typename L::Register zero{};
    for (int64_t i = 0; i < count; ++i)
      sum += L::load_positions(where[i] + c) == position ? L::load(dy[i] + c) : zero;
    L::store(dx + c, sum);
  });
}

template <class T>
void mean_gradient(const T* const* dy, const Parameter<T>* divisors, int64_t count,
                   int64_t channels, T* dx) {
  for_lanes<T>(channels, [&](int64_t c, auto lanes) {
    using L = decltype(lanes);
    typename L::Register sum{};
    for (int64_t i = 0; i < count; ++i) sum += L::load(dy[i] + c) / divisors[i];
    L::store(dx + c, sum);
  });
}

template <class T>
void activate(const T* x, int64_t count, bool six, T* y) {
  const Parameter<T> top = six ? Parameter<T>(6) : static_cast<Parameter<T>>(__builtin_inff());
  for_lanes<T>(count, [&](int64_t i, auto lanes) {
    using L = decltype(lanes);
    const typename L::Register zero{}, ceiling = zero + top, v = L::load(x + i),
                                       low = v <= zero ? zero : v;  // NaN stays
    L::store(y + i, low > ceiling ? ceiling : low);
  });
}

template <class T>
void activate_backward(const T* x, const T* dy, int64_t count, bool six, T* dx) {
  const Parameter<T> top = six ? Parameter<T>(6) : static_cast<Parameter<T>>(__builtin_inff());
  for_lanes<T>(count, [&](int64_t i, auto lanes) {
    using L = decltype(lanes);
    const typename L::Register zero{}, ceiling = zero + top, v = L::load(x + i);
    L::store(dx + i,
             (v > zero) & ((v < ceiling) | (ceiling > Parameter<T>(6))) ? L::load(dy + i) : zero);
  });
}

template <class T, class F>
inline void binary_elements(const T* a, bool one_a, const T* b, bool one_b, int64_t count, T* y,
                            F&& function) {
  const Parameter<T> first_a = OneElement<T>::load(a), first_b = OneElement<T>::load(b);
  for_lanes<T>(count, [&](int64_t i, auto lanes) {
    using L = decltype(lanes);
    const typename L::Register zero{};
    L::store(y + i, function(one_a ? zero + first_a : L::load(a + i),
                             one_b ? zero + first_b : L::load(b + i)));
  });
}

template <class T>
void binary(const T* a, bool one_a, const T* b, bool one_b, int64_t count, int function, T* y) {
  switch (function) {
    case 0:
      return binary_elements(a, one_a, b, one_b, count, y, [](auto p, auto q) { return p + q; });
    case 1:
      return binary_elements(a, one_a, b, one_b, count, y, [](auto p, auto q) { return p - q; });
    case 2:
      return binary_elements(a, one_a, b, one_b, count, y, [](auto p, auto q) { return p * q; });
    default:
      return binary_elements(a, one_a, b, one_b, count, y, [](auto p, auto q) { return p / q; });
  }
}

template <class T, class F>
inline void binary_row_loop(const T* a, int64_t a_step, const T* b, int64_t b_step, int64_t rows,
                            int64_t channels, T* y, F&& function) {
  for (int64_t r = 0; r < rows; ++r, a += a_step, b += b_step, y += channels)
    for_lanes<T>(channels, [&](int64_t c, auto lanes) {
      using L = decltype(lanes);
      L::store(y + c, function(L::load(a + c), L::load(b + c)));
    });
}

template <class T>
void binary_rows(const T* a, int64_t a_step, const T* b, int64_t b_step, int64_t rows,
                 int64_t channels, int function, T* y) {
  const auto loop = [&](auto&& f) { binary_row_loop(a, a_step, b, b_step, rows, channels, y, f); };
  switch (function) {
    case 0: return loop([](auto p, auto q) { return p + q; });
    case 1: return loop([](auto p, auto q) { return p - q; });
    case 2: return loop([](auto p, auto q) { return p * q; });
    default: return loop([](auto p, auto q) { return p / q; });
  }
}

template <class T>
void multiply_sums(const T* a, const T* b, int64_t rows, int64_t channels, Parameter<T>* sums) {
  for_register_groups<T>(channels, [&](int64_t c, auto lanes, auto group) {
    using L = decltype(lanes);
    typename L::Register sum[group.value];
    for (int g = 0; g < group.value; ++g) sum[g] = L::load(sums + c + g * L::lanes);
    for (int64_t r = 0; r < rows; ++r)
      for (int g = 0; g < group.value; ++g) {
        const int64_t at = r * channels + c + g * L::lanes;
        const typename L::Register v = L::load(a + at);
        sum[g] = b ? Vector<T>::multiply_add(v, L::load(b + at), sum[g]) : sum[g] + v;
      }
    for (int g = 0; g < group.value; ++g) L::store(sums + c + g * L::lanes, sum[g]);
  });
}

template <class T>
constexpr ChannelKernels<T> channel_kernels() {
  return {fetch<T>,         moments<T>,       norm_apply<T>,        norm_sums<T>,
          norm_backward<T>, max_rows<T>,      mean_rows<T>,         max_gradient<T>,
          mean_gradient<T>, activate<T>,      activate_backward<T>, binary<T>,
          binary_rows<T>,   multiply_sums<T>, depthwise<T>,         depthwise_gradient<T>};
}

}  // namespace
}  // namespace graft::cpu
