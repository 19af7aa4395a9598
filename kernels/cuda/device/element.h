// Elements of kernels: 16-byte groups of them, and their conversion to and from float, the type all
// sums are kept in.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "graft/core/tensor/half.h"
#include "graft/kernels/cuda/device/host_device.h"
#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

namespace graft::cuda {

// N neighbours that one instruction moves.
template <class T, int N>
struct alignas(sizeof(T) * N) Group {
  T v[N];
};

// How many elements 16 bytes hold.
template <class T>
inline constexpr int kGroup = 16 / static_cast<int>(sizeof(T));

GRAFT_HD uint32_t bits_of(float value) {
#ifdef __CUDA_ARCH__
  return __float_as_uint(value);
#else
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
#endif
}
GRAFT_HD float float_of(uint32_t bits) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(bits);
#else
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
#endif
}

// value between low and high; a NaN stays.
GRAFT_HD float clamped(float value, float low, float high) {
#ifdef __CUDA_ARCH__
  float result;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(value), "f"(low));
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(result), "f"(high));
  return result;
#else
  return value != value ? value : value > low ? (value < high ? value : high) : low;
#endif
}

// 1 / sqrt(value); the GPU's is within 2 units of the last place.
GRAFT_HD float inverse_root(float value) {
#ifdef __CUDA_ARCH__
  return rsqrtf(value);
#else
  return 1.f / std::sqrt(value);
#endif
}

GRAFT_HD float to_float(float value) { return value; }
GRAFT_HD float to_float(uint8_t value) { return static_cast<float>(value); }
GRAFT_HD float to_float(bfloat16 value) {
  return float_of(static_cast<uint32_t>(value.bits) << 16);
}
GRAFT_HD float to_float(float16 value) {
#ifdef __CUDA_ARCH__
  return __half2float(__ushort_as_half(value.bits));
#else
  return static_cast<float>(value);
#endif
}

// Rounds to nearest even. The bits are those of core/tensor/half.h on both sides; a NaN may have
// others.
template <class T>
GRAFT_HD T from_float(float value) {
  if constexpr (std::is_same_v<T, float>) {
    return value;
  } else if constexpr (std::is_same_v<T, bfloat16>) {
    bfloat16 result;
#ifdef __CUDA_ARCH__
    result.bits = __bfloat16_as_ushort(__float2bfloat16_rn(value));
#else
    const uint32_t u = bits_of(value);
    if ((u & 0x7fffffffu) > 0x7f800000u)
      result.bits = static_cast<uint16_t>((u >> 16) | 0x40u);
    else
      result.bits = static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
#endif
    return result;
  } else {
    static_assert(std::is_same_v<T, float16>);
#ifdef __CUDA_ARCH__
    float16 result;
    result.bits = __half_as_ushort(__float2half_rn(value));
    return result;
#else
    return float16(value);
#endif
  }
}

// A group as 32-bit words, for what is chosen before it is taken apart: the compiler then chooses
// words, not halves of them.
template <class T, int N>
struct Words {
  static_assert(sizeof(T) * N % 4 == 0);
  uint32_t v[sizeof(T) * N / 4];
};

// The elements as floats: two bfloat16 of a word cost a shift and a mask.
template <class T, int N>
GRAFT_HD void to_floats(const Words<T, N>& words, float* values) {
  if constexpr (std::is_same_v<T, bfloat16>) {
    for (int j = 0; j < N / 2; ++j) {
      values[2 * j] = float_of(words.v[j] << 16);
      values[2 * j + 1] = float_of(words.v[j] & 0xffff0000u);
    }
  } else {
    Group<T, N> group;
    memcpy(static_cast<void*>(&group), &words, sizeof group);
    for (int j = 0; j < N; ++j) values[j] = to_float(group.v[j]);
  }
}
template <class T, int N>
GRAFT_HD void to_floats(const Group<T, N>& group, float* values) {
  if constexpr (sizeof(T) * N % 4 == 0) {
    Words<T, N> words;
    memcpy(&words, &group, sizeof words);
    to_floats(words, values);
  } else {
    for (int j = 0; j < N; ++j) values[j] = to_float(group.v[j]);
  }
}

}  // namespace graft::cuda
