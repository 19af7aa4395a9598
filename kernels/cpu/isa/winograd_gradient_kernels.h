// The transforms of Winograd's weight gradient, the transposes of those in winograd_kernels.h: with
// y = transpose(A) [(G g transpose(G)) * (transpose(B) d B)] A, dg = transpose(G) [sum over tiles
// of (transpose(B) d B) * (A dy transpose(A))] G. Included by the instruction sets' units only;
// everything has internal linkage.
#pragma once
#include "graft/kernels/cpu/isa/channel_kernels.h"

namespace graft::cpu {
namespace {

// One axis of A dy transpose(A): four gradients of outputs, six frequencies.
template <class R>
inline void winograd_gradient_axis(const R* y, int64_t step, R* to, int64_t to_step) {
  const R y0 = y[0], y1 = y[step], y2 = y[2 * step], y3 = y[3 * step];
  const R even = y0 + y2, odd = y1 + y3, even2 = y0 + y2 * 4, odd2 = y1 * 2 + y3 * 8;
  to[0] = y0;
  to[to_step] = even + odd;
  to[2 * to_step] = even - odd;
  to[3 * to_step] = even2 + odd2;
  to[4 * to_step] = even2 - odd2;
  to[5 * to_step] = y3;
}

// One axis of transpose(G) m G: six frequencies, three taps.
template <class R, class T>
inline void winograd_taps_axis(const R* m, int64_t step, R* to, int64_t to_step, T) {
  const R m0 = m[0], m1 = m[step], m2 = m[2 * step], m3 = m[3 * step], m4 = m[4 * step],
          m5 = m[5 * step];
  const R sum = (m1 + m2) * T(-1.0 / 6), sum2 = m3 + m4;
  to[0] = m0 * T(0.25) + sum + sum2 * T(1.0 / 24);
  to[to_step] = (m2 - m1) * T(1.0 / 6) + (m3 - m4) * T(1.0 / 12);
  to[2 * to_step] = sum + sum2 * T(1.0 / 6) + m5;
}

template <class T>
void winograd_gradient(const T* const* pixels, int64_t channels, T* out, int64_t stride) {
  for_lanes<T>(channels, [&](int64_t c, auto lanes) {
    using L = decltype(lanes);
    using R = typename L::Register;
    R y[16], half[24], v[36];
    for (int i = 0; i < 16; ++i) y[i] = L::load(pixels[i] + c);
    for (int i = 0; i < 4; ++i) winograd_gradient_axis(y + i, 4, half + i, 4);
    for (int i = 0; i < 6; ++i) winograd_gradient_axis(half + 4 * i, 1, v + 6 * i, 1);
    for (int i = 0; i < 36; ++i) L::store(out + i * stride + c, v[i]);
  });
}

template <class T>
void winograd_taps(const T* m, int64_t stride, int64_t channels, T* taps, int64_t tap_stride) {
  for_lanes<T>(channels, [&](int64_t c, auto lanes) {
    using L = decltype(lanes);
    using R = typename L::Register;
    R f[36], half[18], g[9];
    for (int i = 0; i < 36; ++i) f[i] = L::load(m + i * stride + c);
    for (int i = 0; i < 6; ++i) winograd_taps_axis(f + i, 6, half + i, 6, T(0));
    for (int i = 0; i < 3; ++i) winograd_taps_axis(half + 6 * i, 1, g + 3 * i, 1, T(0));
    for (int i = 0; i < 9; ++i) L::store(taps + i * tap_stride + c, g[i]);
  });
}

template <class T>
constexpr WinogradGradientKernels<T> winograd_gradient_kernels() {
  return {winograd_gradient<T>, winograd_taps<T>};
}

}  // namespace
}  // namespace graft::cpu
