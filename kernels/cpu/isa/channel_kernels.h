// The engine's loops along channels, plain enough for the compiler to vectorise. Included by the instruction sets'
// units only; everything has internal linkage.
#pragma once
#include "graft/kernels/cpu/isa/tables.h"

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

template <class T, bool Residual, bool Relu>
void norm_apply_rows(const NormApplyArgs<T>& args) {
  const T* __restrict mean = args.mean;
  const T* __restrict scale = args.scale;
  const T* __restrict bias = args.bias;
  for (int64_t p = 0; p < args.pixels; ++p) {
    const T* __restrict x = args.x + p * args.channels;
    const T* __restrict residual = Residual ? args.residual + p * args.channels : nullptr;
    T* __restrict y = args.y + p * args.channels;
    for (int64_t c = 0; c < args.channels; ++c) {
      T value = (x[c] - mean[c]) * scale[c] + bias[c];
      if constexpr (Residual) value += residual[c];
      if constexpr (Relu) value = value <= T(0) ? T(0) : value;  // NaN stays
      y[c] = value;
    }
  }
}

template <class T>
void norm_apply(const NormApplyArgs<T>& args) {
  if (args.residual) args.relu ? norm_apply_rows<T, true, true>(args) : norm_apply_rows<T, true, false>(args);
  else args.relu ? norm_apply_rows<T, false, true>(args) : norm_apply_rows<T, false, false>(args);
}

template <class T, bool Masked>
void norm_sum_rows(const NormBackwardArgs<T>& args) {
  const T* __restrict mean = args.mean;
  T* __restrict sum_dy = args.sum_dy;
  T* __restrict sum_dy_x = args.sum_dy_x;
  for (int64_t p = 0; p < args.pixels; ++p) {
    const T* __restrict x = args.x + p * args.channels;
    const T* __restrict dy = args.dy + p * args.channels;
    const T* __restrict y = Masked ? args.y + p * args.channels : nullptr;
    for (int64_t c = 0; c < args.channels; ++c) {
      T g = dy[c];
      if constexpr (Masked) g = y[c] > T(0) ? g : T(0);
      sum_dy[c] += g;
      sum_dy_x[c] += g * (x[c] - mean[c]);
    }
  }
}

template <class T>
void norm_sums(const NormBackwardArgs<T>& args) {
  args.y ? norm_sum_rows<T, true>(args) : norm_sum_rows<T, false>(args);
}

template <class T, bool Masked, bool Input, bool Residual>
void norm_backward_rows(const NormBackwardArgs<T>& args) {
  const T* __restrict mean = args.mean;
  const T* __restrict scale = args.scale;
  const T* __restrict shift = args.shift;
  const T* __restrict slope = args.slope;
  for (int64_t p = 0; p < args.pixels; ++p) {
    const int64_t at = p * args.channels;
    const T* __restrict x = args.x + at;
    const T* __restrict dy = args.dy + at;
    const T* __restrict y = Masked ? args.y + at : nullptr;
    T* __restrict dx = Input ? args.dx + at : nullptr;
    T* __restrict dresidual = Residual ? args.dresidual + at : nullptr;
    for (int64_t c = 0; c < args.channels; ++c) {
      T g = dy[c];
      if constexpr (Masked) g = y[c] > T(0) ? g : T(0);
      if constexpr (Residual) dresidual[c] = g;
      if constexpr (Input) dx[c] = scale[c] * (g - shift[c] - (x[c] - mean[c]) * slope[c]);
    }
  }
}

template <class T, bool Masked>
void norm_backward_masked(const NormBackwardArgs<T>& args) {
  if (args.dx) args.dresidual ? norm_backward_rows<T, Masked, true, true>(args) : norm_backward_rows<T, Masked, true, false>(args);
  else if (args.dresidual) norm_backward_rows<T, Masked, false, true>(args);
}

template <class T>
void norm_backward(const NormBackwardArgs<T>& args) {
  args.y ? norm_backward_masked<T, true>(args) : norm_backward_masked<T, false>(args);
}

template <class T>
void max_rows(const T* const* rows, const int32_t* positions, int64_t count, int64_t channels, T* __restrict y,
              int32_t* __restrict where) {
  for (int64_t c = 0; c < channels; ++c) y[c] = count ? rows[0][c] : T(0);
  if (!where) {
    for (int64_t i = 1; i < count; ++i) {
      const T* __restrict row = rows[i];
      for (int64_t c = 0; c < channels; ++c) y[c] = (row[c] > y[c]) | (row[c] != row[c]) ? row[c] : y[c];
    }
    return;
  }
  for (int64_t c = 0; c < channels; ++c) where[c] = count ? positions[0] : -1;
  for (int64_t i = 1; i < count; ++i) {
    const T* __restrict row = rows[i];
    const int32_t position = positions[i];
    for (int64_t c = 0; c < channels; ++c) {
      const bool larger = (row[c] > y[c]) | (row[c] != row[c]);
      y[c] = larger ? row[c] : y[c];
      where[c] = larger ? position : where[c];
    }
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
