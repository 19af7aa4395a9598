// Softmax and normalisation along rows of memory. Sums are kept in sixteen and more partial sums
// and joined in a fixed order. Included by the instruction sets' units only; everything has
// internal linkage.
#pragma once
#include "graft/kernels/cpu/isa/lanes.h"
#include "graft/kernels/cpu/isa/vector_maths.h"

namespace graft::cpu {
namespace {

constexpr int row_sums = 4;

// join(a, b) of all lanes, in pairs.
template <class F>
inline float joined_lanes(FloatVector v, F&& join) {
  float parts[Vector<float>::lanes];
  Vector<float>::store(parts, v);
  for (int half = Vector<float>::lanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) parts[i] = join(parts[i], parts[i + half]);
  return parts[0];
}

// The sum of term(i, lanes as a type with load and store) over a row: whole registers from i on,
// then single elements.
template <class T, class F>
inline __attribute__((always_inline)) float row_sum(int64_t count, F&& term) {
  constexpr int lanes = Vector<T>::lanes;
  FloatVector sums[row_sums];
  repeat<row_sums>([&](auto k) __attribute__((always_inline)) { sums[k.value] = FloatVector{}; });
  int64_t i = 0;
  for (; i + row_sums * lanes <= count; i += row_sums * lanes)
    repeat<row_sums>([&](auto k) __attribute__((always_inline)) {
      sums[k.value] += term(i + k.value * lanes, Vector<T>{});
    });
  for (; i + lanes <= count; i += lanes) sums[0] += term(i, Vector<T>{});
  float rest = 0;
  for (; i < count; ++i) rest += term(i, OneElement<T>{});
  return joined_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]),
                      [](float a, float b) { return a + b; }) +
         rest;
}

// NaN wins.
template <class T>
inline float row_largest(const T* x, int64_t count) {
  constexpr int lanes = Vector<T>::lanes;
  const auto larger = [](float a, float b) { return b > a || b != b ? b : a; };
  int64_t i = 0;
  float top = OneElement<T>::load(x);
  if (count >= lanes) {
    FloatVector most = Vector<T>::load(x);
    for (i = lanes; i + lanes <= count; i += lanes) {
      const FloatVector v = Vector<T>::load(x + i);
      most = (v > most) | (v != v) ? v : most;
    }
    top = joined_lanes(most, larger);
  }
  for (; i < count; ++i) top = larger(top, OneElement<T>::load(x + i));
  return top;
}

inline FloatVector row_exp(FloatVector v) { return vector_exp(v); }
inline float row_exp(float v) { return vector_exp(Vector<float>::broadcast(v))[0]; }

template <class T>
void softmax_row(const T* x, int64_t count, T* y) {
  const float top = row_largest(x, count);
  const float sum = row_sum<T>(
      count, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
        using L = decltype(lanes);
        const auto e = row_exp(L::load(x + i) - top);
        if constexpr (sizeof(T) == 4) L::store(y + i, e);
        return e;
      });
  const float scale = 1 / sum;
  for_lanes<T>(
      count, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
        using L = decltype(lanes);
        if constexpr (sizeof(T) == 4)
          L::store(y + i, L::load(y + i) * scale);
        else
          L::store(y + i, row_exp(L::load(x + i) - top) * scale);
      });
}

// The sum of exp(x - top), of which the caller takes the logarithm: vector code has none.
template <class T>
void log_softmax_sum(const T* x, int64_t count, float* top, float* sum) {
  *top = row_largest(x, count);
  const float shift = *top;
  *sum = row_sum<T>(
      count, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
        return row_exp(decltype(lanes)::load(x + i) - shift);
      });
}
template <class T>
void subtract_row(const T* x, int64_t count, float top, float log_sum, T* y) {
  for_lanes<T>(
      count, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
        using L = decltype(lanes);
        L::store(y + i, L::load(x + i) - top - log_sum);
      });
}

template <class T>
void softmax_gradient_row(const T* y, const T* dy, int64_t count, bool log, T* dx) {
  if (log) {
    const float sum = row_sum<T>(
        count, [&](int64_t i, auto lanes)
                   __attribute__((always_inline)) { return decltype(lanes)::load(dy + i); });
    for_lanes<T>(
        count, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
          using L = decltype(lanes);
          L::store(dx + i, L::load(dy + i) - row_exp(L::load(y + i)) * sum);
        });
    return;
  }
  const float sum = row_sum<T>(
      count, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
        using L = decltype(lanes);
        return L::load(dy + i) * L::load(y + i);
      });
  for_lanes<T>(
      count, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
        using L = decltype(lanes);
        L::store(dx + i, L::load(y + i) * (L::load(dy + i) - sum));
      });
}

// The mean in two parts, so that what the first one's rounding leaves does not spoil deviations
// that are small beside it.
template <class T>
void deviations_row(const T* x, int64_t count, bool center, float* mean, float* rest,
                    float* squares) {
  const auto n = static_cast<float>(count);
  float first = 0, second = 0;
  if (center) {
    first =
        row_sum<T>(
            count, [&](int64_t i, auto lanes)
                       __attribute__((always_inline)) { return decltype(lanes)::load(x + i); }) /
        n;
    second = row_sum<T>(
                 count, [&](int64_t i, auto lanes) __attribute__((
                            always_inline)) { return decltype(lanes)::load(x + i) - first; }) /
             n;
  }
  *squares = row_sum<T>(
      count, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
        const auto d = decltype(lanes)::load(x + i) - first - second;
        return d * d;
      });
  *mean = first, *rest = second;
}
template <class T>
void normalize_row(const T* x, int64_t count, float mean, float rest, float scale, T* y) {
  for_lanes<T>(
      count, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
        using L = decltype(lanes);
        L::store(y + i, (L::load(x + i) - mean - rest) * scale);
      });
}

template <class T>
void normalize_gradient_row(const T* y, const T* dy, int64_t count, bool center, float scale,
                            T* dx) {
  const auto n = static_cast<float>(count);
  float mean = 0;
  if (center)
    mean =
        row_sum<T>(
            count, [&](int64_t i, auto lanes)
                       __attribute__((always_inline)) { return decltype(lanes)::load(dy + i); }) /
        n;
  const float along = row_sum<T>(
                          count,
                          [&](int64_t i, auto lanes) __attribute__((always_inline)) {
                            using L = decltype(lanes);
                            return L::load(dy + i) * L::load(y + i);
                          }) /
                      n;
  for_lanes<T>(
      count, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
        using L = decltype(lanes);
        L::store(dx + i, scale * (L::load(dy + i) - mean - L::load(y + i) * along));
      });
}

template <class T>
constexpr RowKernels<T> row_kernels() {
  return {softmax_row<T>,    log_softmax_sum<T>, subtract_row<T>,          softmax_gradient_row<T>,
          deviations_row<T>, normalize_row<T>,   normalize_gradient_row<T>};
}

}  // namespace
}  // namespace graft::cpu
