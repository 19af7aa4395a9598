// The launching side's helpers: tensors as spans, and the three dtypes that the kernels do.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/cuda/backend.h"
#include "graft/kernels/cuda/custom/declines.h"
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

// Calls f(T{}) with the C++ type of f32, bf16 or f16.
template <class F>
void visit_kernel_dtype(DType dtype, F&& f) {
  if (dtype == DType::f32)
    f(float{});
  else if (dtype == DType::bf16)
    f(bfloat16{});
  else
    f(float16{});
}

// Calls f(T{}) with the C++ type of an integer dtype or bool.
template <class F>
void visit_integer_dtype(DType dtype, F&& f) {
  switch (dtype) {
    case DType::i64: return f(int64_t{});
    case DType::i32: return f(int32_t{});
    case DType::i8: return f(int8_t{});
    case DType::u8: return f(uint8_t{});
    default: return f(bool{});
  }
}
// Of any dtype but f64.
template <class F>
void visit_number_dtype(DType dtype, F&& f) {
  if (is_floating(dtype))
    visit_kernel_dtype(dtype, f);
  else
    visit_integer_dtype(dtype, f);
}

// Calls f(integer) with an unsigned type of the dtype's size: moving needs no more.
template <class F>
void visit_size(DType dtype, F&& f) {
  switch (size_of(dtype)) {
    case 1: return f(uint8_t{});
    case 2: return f(uint16_t{});
    case 4: return f(uint32_t{});
    default: return f(uint64_t{});
  }
}

// Calls f(std::integral_constant<int, N>) with N elements of 16 bytes, or 1 where `grouped` is
// false.
template <class T, class F>
void visit_group(bool grouped, F&& f) {
  if (grouped)
    f(std::integral_constant<int, kGroup<T>>{});
  else
    f(std::integral_constant<int, 1>{});
}

}  // namespace graft::cuda
