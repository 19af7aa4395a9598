// Why a CUDA kernel declines: what most of them ask of their tensors. For the host compiler too.
#pragma once
#include "graft/core/tensor/tensor.h"

namespace graft::cuda {

inline bool is_kernel_dtype(DType dtype) {
  return dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::f16;
}

// Tensors start at 16 bytes unless they are part of a batch of odd size.
inline bool is_aligned(const Tensor& tensor) {
  return reinterpret_cast<uintptr_t>(tensor.raw()) % 16 == 0;
}
inline bool is_aligned(const Tensor* tensor) { return !tensor || is_aligned(*tensor); }

inline const char* declines_dtype(const Tensor& x) {
  return is_kernel_dtype(x.dtype()) ? nullptr : "only f32, bf16 and f16";
}
inline const char* declines_image(const Tensor& x) {
  if (const char* reason = declines_dtype(x)) return reason;
  if (x.rank() != 4) return "only two spatial axes";
  return x.format() == MemoryFormat::channels_last ? nullptr : "memory order is not channels_last";
}
// Parameters, statistics and their gradients.
inline const char* declines_parameter(const Tensor* parameter) {
  return parameter && parameter->dtype() != DType::f32 ? "a parameter is not f32" : nullptr;
}

}  // namespace graft::cuda
