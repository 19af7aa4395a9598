// Depthwise convolution's loops, vectorised along channels: a register's weights, or its sums, stay
// while the pixels go by. Included by the instruction sets' units only; everything has internal
// linkage.
#pragma once
#include "graft/kernels/cpu/isa/lanes.h"

namespace graft::cpu {
namespace {

// Nine products in the order of the filter. Regular taps leave three addresses to keep in
// registers.
template <class L, class T, class R>
inline R nine_products(const T* top, const T* middle, const T* bottom, int64_t tap_step,
                       const R (&weight)[9]) {
  R sum{};
  sum = Vector<T>::multiply_add(L::load(top), weight[0], sum);
  sum = Vector<T>::multiply_add(L::load(top + tap_step), weight[1], sum);
  sum = Vector<T>::multiply_add(L::load(top + 2 * tap_step), weight[2], sum);
  sum = Vector<T>::multiply_add(L::load(middle), weight[3], sum);
  sum = Vector<T>::multiply_add(L::load(middle + tap_step), weight[4], sum);
  sum = Vector<T>::multiply_add(L::load(middle + 2 * tap_step), weight[5], sum);
  sum = Vector<T>::multiply_add(L::load(bottom), weight[6], sum);
  sum = Vector<T>::multiply_add(L::load(bottom + tap_step), weight[7], sum);
  return Vector<T>::multiply_add(L::load(bottom + 2 * tap_step), weight[8], sum);
}

// What becomes of a pixel's sum.
template <class L, class T, class R>
inline void finish_depthwise(const DepthwiseArgs<T>& args, int64_t p, int64_t c, R sum, R bias) {
  sum += bias;
  if (args.residual) sum += L::load(args.residual + p * args.out_step + c);
  L::store(args.out + p * args.out_step + c,
           activated_lanes(sum, args.activation, Parameter<T>(0)));
}

template <class T>
void depthwise_nine(const DepthwiseArgs<T>& args) {
  for_lanes<T>(args.channels, [&](int64_t c, auto lanes) {
    using L = decltype(lanes);
    using R = typename L::Register;
    R weight[9], bias{};
    for (int t = 0; t < 9; ++t) weight[t] = L::load(args.weight + t * args.weight_step + c);
    if (args.bias) bias = L::load(args.bias + c);
    const T *top = args.taps[0] + c, *middle = args.taps[3] + c, *bottom = args.taps[6] + c;
    const int64_t step = args.step, tap_step = args.tap_step, pixels = args.pixels;
    for (int64_t p = 0; p < pixels; ++p) {
      finish_depthwise<L>(args, p, c, nine_products<L>(top, middle, bottom, tap_step, weight),
                          bias);
      top += step, middle += step, bottom += step;
    }
  });
}

// Any filter, some pixels to a load of the weight.
template <class T>
void depthwise_any(const DepthwiseArgs<T>& args) {
  constexpr int block = 4;
  const int64_t count = args.rows * args.columns;
  for_lanes<T>(args.channels, [&](int64_t c, auto lanes) {
    using L = decltype(lanes);
    using R = typename L::Register;
    R bias{};
    if (args.bias) bias = L::load(args.bias + c);
    int64_t p = 0;
    for (; p + block <= args.pixels; p += block) {
      R sum[block]{};
      for (int64_t t = 0; t < count; ++t) {
        const R weight = L::load(args.weight + t * args.weight_step + c);
        const T* in = args.taps[t] + p * args.step + c;
#pragma GCC unroll 4
        for (int i = 0; i < block; ++i)
          sum[i] = Vector<T>::multiply_add(L::load(in + i * args.step), weight, sum[i]);
      }
#pragma GCC unroll 4
      for (int i = 0; i < block; ++i) finish_depthwise<L>(args, p + i, c, sum[i], bias);
    }
    for (; p < args.pixels; ++p) {
      R sum{};
      for (int64_t t = 0; t < count; ++t)
        sum = Vector<T>::multiply_add(L::load(args.taps[t] + p * args.step + c),
                                      L::load(args.weight + t * args.weight_step + c), sum);
      finish_depthwise<L>(args, p, c, sum, bias);
    }
  });
}

template <class T>
void depthwise(const DepthwiseArgs<T>& args) {
  if (args.rows == 3 && args.columns == 3 && args.is_regular)
    depthwise_nine<T>(args);
  else
    depthwise_any<T>(args);
}

template <class T>
void depthwise_gradient_nine(const DepthwiseGradientArgs<T>& args) {
  for_lanes<T>(args.channels, [&](int64_t c, auto lanes) {
    using L = decltype(lanes);
    using R = typename L::Register;
    R sum[9];
    for (int t = 0; t < 9; ++t) sum[t] = L::load(args.sums + t * args.sum_step + c);
    const int64_t s = args.tap_step;
    const auto add = [&](int t, const T* in, R dy) __attribute__((always_inline)) {
      sum[t] = Vector<T>::multiply_add(L::load(in), dy, sum[t]);
    };
    for (int64_t i = 0; i < args.count; ++i) {
      const DepthwiseRun<T>& run = args.runs[i];
      if (!run.is_regular) {
        for (int64_t p = 0; p < run.pixels; ++p) {
          const R dy = L::load(run.dy + p * args.dy_step + c);
#pragma GCC unroll 9
          for (int t = 0; t < 9; ++t) add(t, run.taps[t] + p * args.step + c, dy);
        }
        continue;
      }
      const T *top = run.taps[0] + c, *middle = run.taps[3] + c, *bottom = run.taps[6] + c,
              *gradient = run.dy + c;
      for (int64_t p = 0; p < run.pixels; ++p) {
        const R dy = L::load(gradient);
        add(0, top, dy), add(1, top + s, dy), add(2, top + 2 * s, dy);
        add(3, middle, dy), add(4, middle + s, dy), add(5, middle + 2 * s, dy);
        add(6, bottom, dy), add(7, bottom + s, dy), add(8, bottom + 2 * s, dy);
        top += args.step, middle += args.step, bottom += args.step, gradient += args.dy_step;
      }
    }
    for (int t = 0; t < 9; ++t) L::store(args.sums + t * args.sum_step + c, sum[t]);
  });
}

// The sums of `Taps` taps, from tap `first` on.
template <int Taps, class L, class T>
inline void depthwise_gradient_taps(const DepthwiseGradientArgs<T>& args, int64_t first,
                                    int64_t c) {
  using R = typename L::Register;
  auto* sums = args.sums + first * args.sum_step + c;
  R sum[Taps];
  for (int t = 0; t < Taps; ++t) sum[t] = L::load(sums + t * args.sum_step);
  for (int64_t i = 0; i < args.count; ++i) {
    const DepthwiseRun<T>& run = args.runs[i];
    const T* in[Taps];
    for (int t = 0; t < Taps; ++t) in[t] = run.taps[first + t] + c;
    const T* gradient = run.dy + c;
    for (int64_t p = 0; p < run.pixels; ++p) {
      const R dy = L::load(gradient + p * args.dy_step);
#pragma GCC unroll 7
      for (int t = 0; t < Taps; ++t)
        sum[t] = Vector<T>::multiply_add(L::load(in[t] + p * args.step), dy, sum[t]);
    }
  }
  for (int t = 0; t < Taps; ++t) L::store(sums + t * args.sum_step, sum[t]);
}

template <class T>
void depthwise_gradient(const DepthwiseGradientArgs<T>& args) {
  if (args.rows == 3 && args.columns == 3) return depthwise_gradient_nine<T>(args);
  const int64_t count = args.rows * args.columns;
  for_lanes<T>(args.channels, [&](int64_t c, auto lanes) {
    using L = decltype(lanes);
    int64_t t = 0;
    if (args.columns == 7)
      for (; t + 7 <= count; t += 7) depthwise_gradient_taps<7, L, T>(args, t, c);
    for (; t + 5 <= count; t += 5) depthwise_gradient_taps<5, L, T>(args, t, c);
    for (; t + 2 <= count; t += 2) depthwise_gradient_taps<2, L, T>(args, t, c);
    for (; t < count; ++t) depthwise_gradient_taps<1, L, T>(args, t, c);
  });
}

}  // namespace
}  // namespace graft::cpu
