// Elements between any two dtypes, as ops/select.h says: the bits that the CPU gives.
#pragma once
#include <limits>

#include "graft/kernels/cuda/device/element.h"

namespace graft::cuda {

template <class T>
inline constexpr bool is_half = std::is_same_v<T, bfloat16> || std::is_same_v<T, float16>;

// What arithmetic on a T runs in: int64 for integers and bool, float for the rest but double.
template <class T>
using Wide = std::conditional_t<std::is_integral_v<T>, int64_t,
                                std::conditional_t<std::is_same_v<T, double>, double, float>>;

template <class T>
GRAFT_HD Wide<T> widen(T value) {
  if constexpr (is_half<T>)
    return to_float(value);
  else
    return static_cast<Wide<T>>(value);
}

// Integers wrap around, 16-bit floats round to nearest, bool is != 0.
template <class T, class A>
GRAFT_HD T narrow(A value) {
  if constexpr (is_half<T>)
    return from_float<T>(static_cast<float>(value));
  else if constexpr (std::is_same_v<T, bool>)
    return value != A(0);
  else
    return static_cast<T>(value);
}

// The largest and smallest To; literals, because numeric_limits is the host's.
template <class To>
GRAFT_HD To saturated(double value) {
  constexpr To most = std::is_signed_v<To>
                          ? static_cast<To>((uint64_t{1} << (8 * sizeof(To) - 1)) - 1)
                          : static_cast<To>(~To(0));
  constexpr To least = std::is_signed_v<To> ? static_cast<To>(-most - 1) : To(0);
  if (value != value) return 0;
  if (value >= static_cast<double>(most)) return most;
  return value <= static_cast<double>(least) ? least : static_cast<To>(value);
}

template <class To, class From>
GRAFT_HD To cast_element(From value) {
  const auto wide = widen(value);
  if constexpr (std::is_integral_v<To> && !std::is_same_v<To, bool> && !std::is_integral_v<From>)
    return saturated<To>(static_cast<double>(wide));
  else
    return narrow<To>(wide);
}

}  // namespace graft::cuda
