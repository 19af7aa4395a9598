// One vector register of the instruction set being compiled for. Internal linkage throughout: every
// translation unit has its own copy, so that the linker can never hand one set's code to another.
#pragma once
#include <cstdint>

#include "graft/kernels/cpu/isa/tables.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace graft::cpu {
namespace {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

typedef float FloatVector __attribute__((vector_size(vector_bytes)));
typedef double DoubleVector __attribute__((vector_size(vector_bytes)));
typedef float UnalignedFloatVector
    __attribute__((vector_size(vector_bytes), aligned(4), may_alias));
typedef double UnalignedDoubleVector
    __attribute__((vector_size(vector_bytes), aligned(8), may_alias));
// Positions beside floats and beside doubles: 32 bits in memory, as wide as the element in a
// register.
typedef int32_t IntVector __attribute__((vector_size(vector_bytes)));
typedef int64_t LongVector __attribute__((vector_size(vector_bytes)));
typedef int32_t UnalignedIntVector
    __attribute__((vector_size(vector_bytes), aligned(4), may_alias));
typedef int32_t UnalignedHalfIntVector
    __attribute__((vector_size(vector_bytes / 2), aligned(4), may_alias));
// bfloat16: half a register in memory, a register of floats in use.
typedef uint32_t WordVector __attribute__((vector_size(vector_bytes)));
typedef uint16_t HalfWordVector __attribute__((vector_size(vector_bytes / 2)));
typedef uint16_t UnalignedHalfWordVector
    __attribute__((vector_size(vector_bytes / 2), aligned(2), may_alias));

template <class T>
struct Vector;

// After stream(): what was streamed comes before what this thread writes next.
inline void fence() {
#if defined(__AVX2__)
  _mm_sfence();
#endif
}

template <>
struct Vector<float> {
  using Register = FloatVector;
  static constexpr int lanes = vector_bytes / 4;
  static IntVector load_positions(const int32_t* p) {
    return *reinterpret_cast<const UnalignedIntVector*>(p);
  }
  static void store_positions(int32_t* p, IntVector v) {
    *reinterpret_cast<UnalignedIntVector*>(p) = v;
  }
  static Register load(const float* p) { return *reinterpret_cast<const UnalignedFloatVector*>(p); }
  static void store(float* p, Register v) { *reinterpret_cast<UnalignedFloatVector*>(p) = v; }
  // Past the caches, to an address aligned to the register; fence() before others may read it.
  static void stream(float* p, Register v) {
#if defined(__AVX512F__)
    _mm512_stream_ps(p, (__m512)v);
#elif defined(__AVX2__)
    _mm256_stream_ps(p, (__m256)v);
#else
    store(p, v);
#endif
  }
  static Register broadcast(float v) { return v - Register{}; }
  static Register multiply_add(Register a, Register b, Register c) {
#if defined(__AVX512F__)
    return (Register)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
    return (Register)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
  }
  // NaN stays, and so does a zero's sign.
  static Register at_least(Register v, Register low) {
#if defined(__AVX512F__)
    return (Register)_mm512_max_ps((__m512)low, (__m512)v);
#elif defined(__AVX2__)
    return (Register)_mm256_max_ps((__m256)low, (__m256)v);
#else
    return v < low ? low : v;
#endif
  }
  static Register at_most(Register v, Register high) {
#if defined(__AVX512F__)
    return (Register)_mm512_min_ps((__m512)high, (__m512)v);
#elif defined(__AVX2__)
    return (Register)_mm256_min_ps((__m256)high, (__m256)v);
#else
    return v > high ? high : v;
#endif
  }
  static float multiply_add(float a, float b, float c) {
#if defined(__AVX2__)
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
  }
};

template <>
struct Vector<double> {
  using Register = DoubleVector;
  static constexpr int lanes = vector_bytes / 8;
  static LongVector load_positions(const int32_t* p) {
    return __builtin_convertvector(*reinterpret_cast<const UnalignedHalfIntVector*>(p), LongVector);
  }
  static void store_positions(int32_t* p, LongVector v) {
    *reinterpret_cast<UnalignedHalfIntVector*>(p) =
        __builtin_convertvector(v, UnalignedHalfIntVector);
  }
  static Register load(const double* p) {
    return *reinterpret_cast<const UnalignedDoubleVector*>(p);
  }
  static void store(double* p, Register v) { *reinterpret_cast<UnalignedDoubleVector*>(p) = v; }
  // Past the caches, to an address aligned to the register; fence() before others may read it.
  static void stream(double* p, Register v) {
#if defined(__AVX512F__)
    _mm512_stream_pd(p, (__m512d)v);
#elif defined(__AVX2__)
    _mm256_stream_pd(p, (__m256d)v);
#else
    store(p, v);
#endif
  }
  static Register broadcast(double v) { return v - Register{}; }
  static Register multiply_add(Register a, Register b, Register c) {
#if defined(__AVX512F__)
    return (Register)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__AVX2__)
    return (Register)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
    return a * b + c;
#endif
  }
  // NaN stays, and so does a zero's sign.
  static Register at_least(Register v, Register low) {
#if defined(__AVX512F__)
    return (Register)_mm512_max_pd((__m512d)low, (__m512d)v);
#elif defined(__AVX2__)
    return (Register)_mm256_max_pd((__m256d)low, (__m256d)v);
#else
    return v < low ? low : v;
#endif
  }
  static Register at_most(Register v, Register high) {
#if defined(__AVX512F__)
    return (Register)_mm512_min_pd((__m512d)high, (__m512d)v);
#elif defined(__AVX2__)
    return (Register)_mm256_min_pd((__m256d)high, (__m256d)v);
#else
    return v > high ? high : v;
#endif
  }
  static double multiply_add(double a, double b, double c) {
#if defined(__AVX2__)
    return __builtin_fma(a, b, c);
#else
    return a * b + c;
#endif
  }
};

inline float widen_element(Bf16 v) {
  return __builtin_bit_cast(float, static_cast<uint32_t>(v) << 16);
}
inline Bf16 round_element(float v) {  // to nearest, ties to even; a NaN stays one
  const uint32_t u = __builtin_bit_cast(uint32_t, v);
  return static_cast<Bf16>(v != v ? (u >> 16) | 0x40U : (u + 0x7fffU + ((u >> 16) & 1U)) >> 16);
}

// Images in bfloat16 beside vectors of floats: both are a register of floats.
template <>
struct Vector<Bf16> : Vector<float> {
  using Vector<float>::load;
  using Vector<float>::store;
  using Vector<float>::stream;
  static Register load(const Bf16* p) {
    return (Register)(__builtin_convertvector(*reinterpret_cast<const UnalignedHalfWordVector*>(p),
                                              WordVector)
                      << 16);
  }
  static HalfWordVector rounded(Register v) {
#if defined(__AVX512BF16__)
    return (HalfWordVector)_mm512_cvtneps_pbh((__m512)v);
#else
    const WordVector u = (WordVector)v,
                     bits = v == v ? u + 0x7fffU + ((u >> 16) & 1U) : u | 0x400000U;
    return __builtin_convertvector(bits >> 16, HalfWordVector);
#endif
  }
  static void store(Bf16* p, Register v) {
    *reinterpret_cast<UnalignedHalfWordVector*>(p) = rounded(v);
  }
  static void stream(Bf16* p, Register v) {
#if defined(__AVX512F__)
    _mm256_stream_si256(reinterpret_cast<__m256i*>(p), (__m256i)rounded(v));
#elif defined(__AVX2__)
    _mm_stream_si128(reinterpret_cast<__m128i*>(p), (__m128i)rounded(v));
#else
    store(p, v);
#endif
  }
};

// The same for one element: what is left over behind whole registers.
template <class T>
struct OneElement {
  using Register = typename ParameterOf<T>::type;
  static constexpr int lanes = 1;
  static Register load(const Register* p) { return *p; }
  static void store(Register* p, Register v) { *p = v; }
  static int32_t load_positions(const int32_t* p) { return *p; }
  static void store_positions(int32_t* p, int32_t v) { *p = v; }
};
template <>
struct OneElement<Bf16> : OneElement<float> {
  using OneElement<float>::load;
  using OneElement<float>::store;
  static float load(const Bf16* p) { return widen_element(*p); }
  static void store(Bf16* p, float v) { *p = round_element(v); }
};

}  // namespace
}  // namespace graft::cpu
