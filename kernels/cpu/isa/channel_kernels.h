// The engine's loops along channels, plain enough for the compiler to vectorise. Included by the instruction sets'
// units only; everything has internal linkage.
#pragma once
#include "graft/kernels/cpu/isa/tables.h"
#include "graft/kernels/cpu/isa/vector.h"

namespace graft::cpu {
namespace {

template <class T>
void moments(const T* x, int64_t pixels, int64_t channels, T* __restrict mean, T* __restrict squares) {
  for (int64_t c = 0; c < channels; ++c) mean[c] = squares[c] = T(0);
  for (int64_t p = 0; p < pixels; ++p) {
    const T* __restrict row = x + p * channels;
    for (int64_t c = 0; c < channels; ++c) mean[c] += row[c];
  }
  for (int64_t c = 0; c < channels; ++c) mean[c] /= static_cast<T>(pixels);
  for (int64_t p = 0; p < pixels; ++p) {
    const T* __restrict row = x + p * channels;
    for (int64_t c = 0; c < channels; ++c) squares[c] += (row[c] - mean[c]) * (row[c] - mean[c]);
  }
}

// Calls f(first channel, lanes as a type with load and store) for whole registers of a row, then for single elements.
template <class T>
struct OneElement {
  using Register = T;
  static T load(const T* p) { return *p; }
  static void store(T* p, T v) { *p = v; }
};
template <class T, class F>
inline void for_lanes(int64_t channels, F&& f) {
  int64_t c = 0;
  for (; c + Vector<T>::lanes <= channels; c += Vector<T>::lanes) f(c, Vector<T>{});
  for (; c < channels; ++c) f(c, OneElement<T>{});
}

// Streaming is for whole registers at aligned addresses only.
template <bool Stream, class T, class Lanes>
inline void put(T* p, typename Lanes::Register v, Lanes) {
  if constexpr (Stream && sizeof(typename Lanes::Register) > sizeof(T)) Lanes::stream(p, v);
  else Lanes::store(p, v);
}
template <class T>
inline bool can_stream(const T* p, int64_t channels) {
  return channels % Vector<T>::lanes == 0 && reinterpret_cast<uintptr_t>(p) % vector_bytes == 0;
}

template <class T, bool Residual, bool Relu, bool Stream>
void norm_apply_rows(const NormApplyArgs<T>& args) {
  for (int64_t p = 0; p < args.pixels; ++p) {
    const T* x = args.x + p * args.channels;
    const T* residual = Residual ? args.residual + p * args.channels : nullptr;
    T* y = args.y + p * args.channels;
    for_lanes<T>(args.channels, [&](int64_t c, auto lanes) {
      using L = decltype(lanes);
      auto value = (L::load(x + c) - L::load(args.mean + c)) * L::load(args.scale + c) + L::load(args.bias + c);
      if constexpr (Residual) value += L::load(residual + c);
      if constexpr (Relu) value = value <= T(0) ? decltype(value){} : value;  // NaN stays
      put<Stream>(y + c, value, lanes);
    });
  }
  if constexpr (Stream) fence();
}

template <class T, bool Stream>
void norm_apply_all(const NormApplyArgs<T>& args) {
  if (args.residual) args.relu ? norm_apply_rows<T, true, true, Stream>(args) : norm_apply_rows<T, true, false, Stream>(args);
  else args.relu ? norm_apply_rows<T, false, true, Stream>(args) : norm_apply_rows<T, false, false, Stream>(args);
}
template <class T>
void norm_apply(const NormApplyArgs<T>& args) {
  if (args.stream && can_stream(args.y, args.channels)) norm_apply_all<T, true>(args);
  else norm_apply_all<T, false>(args);
}

// Which elements of dy a ReLU let through: none asked, by the output, or by what the input gives.
enum class NormMask { none, output, input };

template <NormMask Mask, class L, class T>
inline typename L::Register masked(const NormBackwardArgs<T>& args, int64_t at, int64_t c, typename L::Register x_centred) {
  const typename L::Register g = L::load(args.dy + at);
  const typename L::Register zero{};
  if constexpr (Mask == NormMask::output) return L::load(args.y + at) > T(0) ? g : zero;
  else if constexpr (Mask == NormMask::input) return x_centred * L::load(args.scale + c) + L::load(args.bias + c) > T(0) ? g : zero;
  else return g;
}

template <class T, NormMask Mask, bool Residual, bool Stream>
void norm_sum_rows(const NormBackwardArgs<T>& args) {
  for (int64_t p = 0; p < args.pixels; ++p)
    for_lanes<T>(args.channels, [&](int64_t c, auto lanes) {
      using L = decltype(lanes);
      const int64_t at = p * args.channels + c;
      const auto centred = L::load(args.x + at) - L::load(args.mean + c);
      const auto g = masked<Mask, L>(args, at, c, centred);
      if constexpr (Residual) put<Stream>(args.dresidual + at, g, lanes);
      L::store(args.sum_dy + c, L::load(args.sum_dy + c) + g);
      L::store(args.sum_dy_x + c, L::load(args.sum_dy_x + c) + g * centred);
    });
  if constexpr (Stream) fence();
}

template <class T, NormMask Mask>
void norm_sums_masked(const NormBackwardArgs<T>& args) {
  if (!args.dresidual) norm_sum_rows<T, Mask, false, false>(args);
  else if (args.stream && can_stream(args.dresidual, args.channels)) norm_sum_rows<T, Mask, true, true>(args);
  else norm_sum_rows<T, Mask, true, false>(args);
}

template <class T>
void norm_sums(const NormBackwardArgs<T>& args) {
  if (args.y) norm_sums_masked<T, NormMask::output>(args);
  else if (args.bias) norm_sums_masked<T, NormMask::input>(args);
  else norm_sums_masked<T, NormMask::none>(args);
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
        put<Stream>(args.dx + at, L::load(args.scale + c) * (g - L::load(args.shift + c) - centred * L::load(args.slope + c)), lanes);
    });
  if constexpr (Stream) fence();
}

template <class T, NormMask Mask, bool Stream>
void norm_backward_masked(const NormBackwardArgs<T>& args) {
  if (args.dx) args.dresidual ? norm_backward_rows<T, Mask, true, true, Stream>(args) : norm_backward_rows<T, Mask, true, false, Stream>(args);
  else if (args.dresidual) norm_backward_rows<T, Mask, false, true, Stream>(args);
}

template <class T, bool Stream>
void norm_backward_all(const NormBackwardArgs<T>& args) {
  if (args.y) norm_backward_masked<T, NormMask::output, Stream>(args);
  else if (args.bias) norm_backward_masked<T, NormMask::input, Stream>(args);
  else norm_backward_masked<T, NormMask::none, Stream>(args);
}
template <class T>
void norm_backward(const NormBackwardArgs<T>& args) {
  const bool aligned = (!args.dx || can_stream(args.dx, args.channels)) && (!args.dresidual || can_stream(args.dresidual, args.channels));
  if (args.stream && aligned) norm_backward_all<T, true>(args);
  else norm_backward_all<T, false>(args);
}

// One register of channels: the maximum stays in it while the rows go by. Positions need lanes of the same width.
template <class T, bool Where>
inline void max_of_register(const T* const* rows, const int32_t* positions, int64_t count, int64_t c, T* y, int32_t* where) {
  using V = Vector<T>;
  typename V::Register largest = V::load(rows[0] + c);
  decltype(largest > largest) at{};
  if constexpr (Where) at += positions[0];
  for (int64_t i = 1; i < count; ++i) {
    const typename V::Register row = V::load(rows[i] + c);
    const auto larger = (row > largest) | (row != row);
    largest = larger ? row : largest;
    if constexpr (Where) at = larger ? at * 0 + positions[i] : at;
  }
  V::store(y + c, largest);
  if constexpr (Where) __builtin_memcpy(where + c, &at, sizeof at);
}

template <class T>
void max_rows(const T* const* rows, const int32_t* positions, int64_t count, int64_t channels, T* __restrict y,
              int32_t* __restrict where) {
  int64_t whole = 0;
  if (count > 0) {
    if (!where) {
      for (; whole + Vector<T>::lanes <= channels; whole += Vector<T>::lanes) max_of_register<T, false>(rows, positions, count, whole, y, where);
    } else if constexpr (sizeof(T) == sizeof(int32_t)) {
      for (; whole + Vector<T>::lanes <= channels; whole += Vector<T>::lanes) max_of_register<T, true>(rows, positions, count, whole, y, where);
    }
  }
  for (int64_t c = whole; c < channels; ++c) {
    T largest = count ? rows[0][c] : T(0);
    int32_t at = count ? positions[0] : -1;
    for (int64_t i = 1; i < count; ++i) {
      const bool larger = (rows[i][c] > largest) | (rows[i][c] != rows[i][c]);
      largest = larger ? rows[i][c] : largest;
      at = larger ? positions[i] : at;
    }
    y[c] = largest;
    if (where) where[c] = at;
  }
}

template <class T>
void mean_rows(const T* const* rows, int64_t count, int64_t channels, T divisor, T* __restrict y) {
  for (int64_t c = 0; c < channels; ++c) y[c] = T(0);
  for (int64_t i = 0; i < count; ++i) {
    const T* __restrict row = rows[i];
    for (int64_t c = 0; c < channels; ++c) y[c] += row[c];
  }
  for (int64_t c = 0; c < channels; ++c) y[c] /= divisor;
}

template <class T>
void add_share(const T* __restrict x, int64_t channels, T divisor, T* __restrict y) {
  for (int64_t c = 0; c < channels; ++c) y[c] += x[c] / divisor;
}

template <class T>
void activate(const T* __restrict x, int64_t count, bool six, T* __restrict y) {
  const T top = six ? T(6) : static_cast<T>(__builtin_inff());
  for (int64_t i = 0; i < count; ++i) {
    const T low = x[i] <= T(0) ? T(0) : x[i];  // NaN stays
    y[i] = low > top ? top : low;
  }
}

template <class T>
void activate_backward(const T* __restrict x, const T* __restrict dy, int64_t count, bool six, T* __restrict dx) {
  if (six) {
    for (int64_t i = 0; i < count; ++i) dx[i] = (x[i] > T(0)) & (x[i] < T(6)) ? dy[i] : T(0);
  } else {
    for (int64_t i = 0; i < count; ++i) dx[i] = x[i] > T(0) ? dy[i] : T(0);
  }
}

template <class T, bool OneA, bool OneB>
void binary_elements(const T* __restrict a, const T* __restrict b, int64_t count, int function, T* __restrict y) {
  switch (function) {
    case 0:
      for (int64_t i = 0; i < count; ++i) y[i] = a[OneA ? 0 : i] + b[OneB ? 0 : i];
      break;
    case 1:
      for (int64_t i = 0; i < count; ++i) y[i] = a[OneA ? 0 : i] - b[OneB ? 0 : i];
      break;
    case 2:
      for (int64_t i = 0; i < count; ++i) y[i] = a[OneA ? 0 : i] * b[OneB ? 0 : i];
      break;
    default:
      for (int64_t i = 0; i < count; ++i) y[i] = a[OneA ? 0 : i] / b[OneB ? 0 : i];
  }
}

template <class T>
void binary(const T* a, bool one_a, const T* b, bool one_b, int64_t count, int function, T* y) {
  if (one_a) binary_elements<T, true, false>(a, b, count, function, y);
  else if (one_b) binary_elements<T, false, true>(a, b, count, function, y);
  else binary_elements<T, false, false>(a, b, count, function, y);
}

template <class T>
constexpr ChannelKernels<T> channel_kernels() {
  return {moments<T>,   norm_apply<T>, norm_sums<T>, norm_backward<T>,     max_rows<T>,
          mean_rows<T>, add_share<T>,  activate<T>,  activate_backward<T>, binary<T>};
}

}  // namespace
}  // namespace graft::cpu
