// One vector register of the instruction set being compiled for. Internal linkage throughout: every translation unit
// has its own copy, so that the linker can never hand one set's code to another.
#pragma once
#include <cstdint>

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
typedef float UnalignedFloatVector __attribute__((vector_size(vector_bytes), aligned(4), may_alias));
typedef double UnalignedDoubleVector __attribute__((vector_size(vector_bytes), aligned(8), may_alias));

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
  static Register load(const double* p) { return *reinterpret_cast<const UnalignedDoubleVector*>(p); }
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
  static double multiply_add(double a, double b, double c) {
#if defined(__AVX2__)
    return __builtin_fma(a, b, c);
#else
    return a * b + c;
#endif
  }
};

}  // namespace
}  // namespace graft::cpu
