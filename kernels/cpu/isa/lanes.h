// How the units' loops go along channels, in whole registers and then element by element, and what
// ends them. Included by the instruction sets' units only; everything has internal linkage.
#pragma once
#include "graft/kernels/cpu/isa/tables.h"
#include "graft/kernels/cpu/isa/vector.h"

namespace graft::cpu {
namespace {

template <class T>
using Parameter = typename ParameterOf<T>::type;

template <int N>
struct Constant {
  static constexpr int value = N;
};

// f(Constant<0>), f(Constant<1>), ... in source, not in a loop: an array that is indexed so is
// taken apart into registers before the loops around it are looked at.
template <int N, class F>
inline __attribute__((always_inline)) void repeat(F&& f) {
  if constexpr (N > 0) {
    repeat<N - 1>(f);
    f(Constant<N - 1>{});
  }
}

// Calls f(first channel, lanes as a type with load and store) for whole registers of a row, then
// for single elements.
template <class T, class F>
inline void for_lanes(int64_t channels, F&& f) {
  int64_t c = 0;
  for (; c + Vector<T>::lanes <= channels; c += Vector<T>::lanes) f(c, Vector<T>{});
  for (; c < channels; ++c) f(c, OneElement<T>{});
}

// Calls f(first channel, lanes, registers as a constant) for parts of a row that a loop over the
// rows keeps sums of in registers: summing in memory would wait for each store, and for every one
// that lies a multiple of 4 KiB from a load.
template <class T, class F>
inline void for_register_groups(int64_t channels, F&& f) {
  constexpr int group = 4, lanes = Vector<T>::lanes;
  int64_t c = 0;
  for (; c + group * lanes <= channels; c += group * lanes) f(c, Vector<T>{}, Constant<group>{});
  for (; c + lanes <= channels; c += lanes) f(c, Vector<T>{}, Constant<1>{});
  for (; c < channels; ++c) f(c, OneElement<T>{}, Constant<1>{});
}

template <class T>
inline T activated_element(T v, Activation activation) {
  if (activation == Activation::none) return v;
  v = v < T(0) ? T(0) : v;
  return activation == Activation::relu6 && v > T(6) ? T(6) : v;
}
template <class R, class T>
inline R activated_lanes(R v, Activation activation, T) {
  if constexpr (sizeof(R) == sizeof(T)) {
    return activated_element(v, activation);
  } else {
    if (activation == Activation::none) return v;
    const R zero{};
    v = Vector<T>::at_least(v, zero);
    return activation == Activation::relu6 ? Vector<T>::at_most(v, zero + T(6)) : v;
  }
}

}  // namespace
}  // namespace graft::cpu
