// The launching side's helpers: tensors as spans, the three dtypes that the kernels do, and why a kernel declines.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/cuda/backend.h"
#include "graft/kernels/cuda/device/span.h"

namespace graft::cuda {

template <class T>
Span<const T> span(const Tensor& tensor) {
  return {static_cast<const T*>(tensor.raw()), tensor.bytes() / static_cast<int64_t>(sizeof(T))};
}
template <class T>
Span<T> mutable_span(Tensor& tensor) {
  return {static_cast<T*>(tensor.mutable_raw()), tensor.bytes() / static_cast<int64_t>(sizeof(T))};
}
// Empty for null.
template <class T>
Span<const T> span(const Tensor* tensor) {
  return tensor ? span<T>(*tensor) : Span<const T>{};
}
template <class T>
Span<T> mutable_span(Tensor* tensor) {
  return tensor ? mutable_span<T>(*tensor) : Span<T>{};
}

inline bool is_kernel_dtype(DType dtype) { return dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::f16; }

// Calls f(T{}) with the C++ type of f32, bf16 or f16.
template <class F>
void visit_kernel_dtype(DType dtype, F&& f) {
  if (dtype == DType::f32) f(float{});
  else if (dtype == DType::bf16) f(bfloat16{});
  else f(float16{});
}

// Tensors start at 16 bytes unless they are part of a batch of odd size.
inline bool is_aligned(const Tensor& tensor) { return reinterpret_cast<uintptr_t>(tensor.raw()) % 16 == 0; }
inline bool is_aligned(const Tensor* tensor) { return !tensor || is_aligned(*tensor); }

inline const char* declines_dtype(const Tensor& x) { return is_kernel_dtype(x.dtype()) ? nullptr : "only f32, bf16 and f16"; }
inline const char* declines_image(const Tensor& x) {
  if (const char* reason = declines_dtype(x)) return reason;
  if (x.rank() != 4) return "only two spatial axes";
  return x.format() == MemoryFormat::channels_last ? nullptr : "memory order is not channels_last";
}
// Parameters, statistics and their gradients.
inline const char* declines_parameter(const Tensor* parameter) {
  return parameter && parameter->dtype() != DType::f32 ? "a parameter is not f32" : nullptr;
}

// Calls f(std::integral_constant<int, N>) with N elements of 16 bytes, or 1 where `grouped` is false.
template <class T, class F>
void visit_group(bool grouped, F&& f) {
  if (grouped) f(std::integral_constant<int, kGroup<T>>{});
  else f(std::integral_constant<int, 1>{});
}

}  // namespace graft::cuda
