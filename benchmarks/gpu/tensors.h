// Tensors on cuda:0 for measurements: values of no meaning, all different from their neighbours.
#pragma once
#include <algorithm>

#include "graft/core/runtime/random.h"
#include "graft/core/tensor/device_backend.h"

namespace graft::bench {

inline constexpr Device kGpu{DeviceType::cuda, 0};

inline Tensor unset(const Shape& shape, DType dtype = DType::bf16) {
  return Tensor::empty(
      shape, {.dtype = dtype,
              .format = shape.rank() == 4 ? MemoryFormat::channels_last : MemoryFormat::contiguous,
              .device = kGpu});
}

// A megabyte of noise, made on the host and repeated on the device. u8: bytes; floating types:
// uniform in (-1, 1).
inline Tensor noise(const Shape& shape, DType dtype = DType::bf16) {
  Tensor block = Tensor::empty({(1 << 20) / size_of(dtype)},
                               {.dtype = dtype == DType::u8 ? DType::u8 : DType::f32});
  CountedRandom random(0, RandomPurpose::synthetic);
  if (dtype == DType::u8) {
    for (uint8_t& value :
         std::span(block.mutable_data<uint8_t>(), static_cast<size_t>(block.numel())))
      value = static_cast<uint8_t>(random.below(256));
  } else {
    fill_uniform(block, -1, 1, random);
    block = block.to(dtype);
  }
  const Tensor there = to_device(block, kGpu);
  Tensor result = dtype == DType::u8 ? Tensor::empty(shape, {.dtype = dtype, .device = kGpu})
                                     : unset(shape, dtype);
  auto* out = static_cast<std::byte*>(result.mutable_raw());
  for (int64_t at = 0; at < result.bytes(); at += there.bytes())
    device_backend(kGpu).copy(kGpu, out + at, there.raw(),
                              std::min(there.bytes(), result.bytes() - at));
  return result;
}

}  // namespace graft::bench
