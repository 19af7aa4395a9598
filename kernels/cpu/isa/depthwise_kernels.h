// The depthwise convolution's loop, vectorised along channels: a register's weights stay while the
// pixels go by. Included by the instruction sets' units only; everything has internal linkage.
#pragma once
#include "graft/kernels/cpu/isa/winograd_kernels.h"

namespace graft::cpu {
namespace {

// Taps > 0: that many, unrolled.
template <class T, int Taps>
void depthwise_run(const DepthwiseArgs<T>& args) {
  for_lanes<T>(args.channels, [&](int64_t c, auto lanes) {
    using L = decltype(lanes);
    using R = typename L::Register;
    const int64_t count = Taps > 0 ? Taps : args.count;
    R weight[Taps > 0 ? Taps : 1];
    for (int t = 0; t < Taps; ++t) weight[t] = L::load(args.weight + t * args.channels + c);
    R bias{};
    if (args.bias) bias = L::load(args.bias + c);
    for (int64_t p = 0; p < args.pixels; ++p) {
      R sum{};
      if constexpr (Taps > 0) {
#pragma GCC unroll 25
        for (int t = 0; t < Taps; ++t)
          sum = Vector<T>::multiply_add(L::load(args.taps[t] + p * args.step + c), weight[t], sum);
      } else {
        for (int64_t t = 0; t < count; ++t)
          sum = Vector<T>::multiply_add(L::load(args.taps[t] + p * args.step + c),
                                        L::load(args.weight + t * args.channels + c), sum);
      }
      sum += bias;
      if (args.residual) sum += L::load(args.residual + p * args.channels + c);
      L::store(args.out + p * args.channels + c, activated_lanes(sum, args.activation, T(0)));
    }
  });
}

template <class T>
void depthwise(const DepthwiseArgs<T>& args) {
  if (args.count == 9)
    depthwise_run<T, 9>(args);
  else
    depthwise_run<T, 0>(args);
}

}  // namespace
}  // namespace graft::cpu
