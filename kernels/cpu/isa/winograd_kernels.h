// The transforms of Winograd's F(4x4, 3x3), vectorised along channels. Included by the instruction
// sets' units only; everything has internal linkage. Source of the matrices: Lavin & Gray, "Fast
// Algorithms for Convolutional Neural Networks", 2015, with the points 0, 1, -1, 2, -2 and
// infinity.
#pragma once
#include "graft/kernels/cpu/isa/channel_kernels.h"

namespace graft::cpu {
namespace {

// One axis of transpose(B) d B: six inputs, six frequencies.
template <class R>
inline void winograd_input_axis(const R* d, int64_t step, R* to, int64_t to_step) {
  const R d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step],
          d5 = d[5 * step];
  const R even = d4 - d2 * 4, odd = d3 - d1 * 4, even2 = d4 - d2, odd2 = (d3 - d1) * 2;
  to[0] = d0 * 4 - d2 * 5 + d4;
  to[to_step] = even + odd;
  to[2 * to_step] = even - odd;
  to[3 * to_step] = even2 + odd2;
  to[4 * to_step] = even2 - odd2;
  to[5 * to_step] = d1 * 4 - d3 * 5 + d5;
}

// One axis of transpose(A) m A: six frequencies, four outputs.
template <class R>
inline void winograd_output_axis(const R* m, int64_t step, R* to, int64_t to_step) {
  const R m0 = m[0], m1 = m[step], m2 = m[2 * step], m3 = m[3 * step], m4 = m[4 * step],
          m5 = m[5 * step];
  const R sum = m1 + m2, difference = m1 - m2, sum2 = m3 + m4, difference2 = m3 - m4;
  to[0] = m0 + sum + sum2;
  to[to_step] = difference + difference2 * 2;
  to[2 * to_step] = sum + sum2 * 4;
  to[3 * to_step] = difference + difference2 * 8 + m5;
}

// One axis of G g transpose(G): three taps, six frequencies.
template <class R, class T>
inline void winograd_weight_axis(const R* g, int64_t step, R* to, int64_t to_step, T) {
  const R g0 = g[0], g1 = g[step], g2 = g[2 * step];
  const R sum = (g0 + g2) * T(-1.0 / 6), sum2 = g0 * T(1.0 / 24) + g2 * T(1.0 / 6);
  to[0] = g0 * T(0.25);
  to[to_step] = sum - g1 * T(1.0 / 6);
  to[2 * to_step] = sum + g1 * T(1.0 / 6);
  to[3 * to_step] = sum2 + g1 * T(1.0 / 12);
  to[4 * to_step] = sum2 - g1 * T(1.0 / 12);
  to[5 * to_step] = g2;
}

template <class T>
void winograd_input(const T* const* pixels, int64_t channels, T* out, int64_t stride) {
  for_lanes<T>(channels, [&](int64_t c, auto lanes) {
    using L = decltype(lanes);
    using R = typename L::Register;
    R d[36], half[36], v[36];
    for (int i = 0; i < 36; ++i) d[i] = L::load(pixels[i] + c);
    for (int i = 0; i < 6; ++i) winograd_input_axis(d + i, 6, half + i, 6);
    for (int i = 0; i < 6; ++i) winograd_input_axis(half + 6 * i, 1, v + 6 * i, 1);
    for (int i = 0; i < 36; ++i) L::store(out + i * stride + c, v[i]);
  });
}

template <class T>
void winograd_weight(const T* taps, int64_t tap_stride, int64_t count, T* out, int64_t stride) {
  for_lanes<T>(count, [&](int64_t c, auto lanes) {
    using L = decltype(lanes);
    using R = typename L::Register;
    R g[9], half[18], u[36];
    for (int i = 0; i < 9; ++i) g[i] = L::load(taps + i * tap_stride + c);
    for (int i = 0; i < 3; ++i) winograd_weight_axis(g + i, 3, half + i, 3, T(0));
    for (int i = 0; i < 6; ++i) winograd_weight_axis(half + 3 * i, 1, u + 6 * i, 1, T(0));
    for (int i = 0; i < 36; ++i) L::store(out + i * stride + c, u[i]);
  });
}

template <class T>
void winograd_output(const WinogradOutputArgs<T>& args) {
  for_lanes<T>(args.channels, [&](int64_t c, auto lanes) {
    using L = decltype(lanes);
    using R = typename L::Register;
    R m[36], half[24], y[16];
    for (int i = 0; i < 36; ++i) m[i] = L::load(args.m + i * args.m_stride + c);
    for (int i = 0; i < 6; ++i) winograd_output_axis(m + i, 6, half + i, 6);
    for (int i = 0; i < 4; ++i) winograd_output_axis(half + 6 * i, 1, y + 4 * i, 1);
    R bias{};
    if (args.bias) bias = L::load(args.bias + c);
    for (int i = 0; i < args.rows; ++i)
      for (int j = 0; j < args.columns; ++j) {
        const int64_t at = i * args.out_row + j * args.out_pixel + c;
        R value = y[4 * i + j] + bias;
        if (args.residual) value += L::load(args.residual + at);
        L::store(args.out + at, activated_lanes(value, args.activation, T(0)));
      }
  });
}

template <class T>
constexpr WinogradKernels<T> winograd_kernels() {
  return {winograd_input<T>, winograd_weight<T>, winograd_output<T>};
}

}  // namespace
}  // namespace graft::cpu
