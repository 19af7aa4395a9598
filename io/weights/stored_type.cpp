#include "graft/io/weights/stored_type.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <vector>

namespace graft::io {

static_assert(std::endian::native == std::endian::little,
              "files are little-endian and read as they are");

int64_t stored_size(StoredType type) {
  switch (type) {
    case StoredType::f64:
    case StoredType::i64:
    case StoredType::u64: return 8;
    case StoredType::f32:
    case StoredType::i32:
    case StoredType::u32: return 4;
    case StoredType::bf16:
    case StoredType::f16:
    case StoredType::i16:
    case StoredType::u16: return 2;
    default: return 1;
  }
}

std::string_view name_of(StoredType type) {
  switch (type) {
    case StoredType::i16: return "int16";
    case StoredType::u64: return "uint64";
    case StoredType::u32: return "uint32";
    case StoredType::u16: return "uint16";
    default: return graft::name_of(widened(type));
  }
}

DType widened(StoredType type) {
  switch (type) {
    case StoredType::f64: return DType::f64;
    case StoredType::f32: return DType::f32;
    case StoredType::bf16: return DType::bf16;
    case StoredType::f16: return DType::f16;
    case StoredType::i64:
    case StoredType::u64:
    case StoredType::u32: return DType::i64;
    case StoredType::i32:
    case StoredType::i16:
    case StoredType::u16: return DType::i32;
    case StoredType::i8: return DType::i8;
    case StoredType::u8: return DType::u8;
    case StoredType::boolean: break;
  }
  return DType::boolean;
}

bool is_widened(StoredType type) {
  return type == StoredType::i16 || type == StoredType::u16 || type == StoredType::u32 ||
         type == StoredType::u64;
}

StoredType stored_type(DType type) {
  switch (type) {
    case DType::f64: return StoredType::f64;
    case DType::f32: return StoredType::f32;
    case DType::bf16: return StoredType::bf16;
    case DType::f16: return StoredType::f16;
    case DType::i64: return StoredType::i64;
    case DType::i32: return StoredType::i32;
    case DType::i8: return StoredType::i8;
    case DType::u8: return StoredType::u8;
    case DType::boolean: break;
  }
  return StoredType::boolean;
}

std::string widened_note(int64_t tensors) {
  return str(tensors, tensors == 1 ? " tensor" : " tensors",
             " of int16 or unsigned integers widened to int32 or int64");
}

Shape checked_shape(std::span<const int64_t> extents, const ReadLimits& limits) {
  const Shape shape(extents);
  for (const int64_t extent : extents)
    GRAFT_CHECK(extent < limits.extent, "shape ", shape, " has an extent of ", extent,
                ", beyond the limit");
  GRAFT_CHECK(shape.numel() < limits.elements, "shape ", shape,
              " has more elements than the limit");
  return shape;
}

namespace {

template <class To, class From>
void widen_elements(std::span<const std::byte> in, Tensor& tensor) {
  To* out = tensor.mutable_data<To>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    const From value = load<From>(in.subspan(static_cast<size_t>(i) * sizeof(From)));
    if constexpr (std::is_same_v<From, uint64_t>)
      GRAFT_CHECK(value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()),
                  "the uint64 value ", value, " is too large for int64");
    out[i] = static_cast<To>(value);
  }
}

}  // namespace

Tensor read_elements(StoredType type, const Shape& shape,
                     FunctionRef<void(std::span<std::byte>)> fill) {
  Tensor tensor = Tensor::empty(shape, {.dtype = widened(type)});
  if (!is_widened(type)) {
    fill(bytes_of(tensor));
    if (type == StoredType::boolean)
      for (const std::byte b : bytes_of(std::as_const(tensor)))
        GRAFT_CHECK(b <= std::byte{1}, "a boolean has the value ", std::to_integer<int>(b));
    return tensor;
  }
  std::vector<std::byte> buffer(static_cast<size_t>(checked_mul(shape.numel(), stored_size(type))));
  fill(buffer);
  switch (type) {
    case StoredType::i16: widen_elements<int32_t, int16_t>(buffer, tensor); break;
    case StoredType::u16: widen_elements<int32_t, uint16_t>(buffer, tensor); break;
    case StoredType::u32: widen_elements<int64_t, uint32_t>(buffer, tensor); break;
    default: widen_elements<int64_t, uint64_t>(buffer, tensor); break;
  }
  return tensor;
}

void swap_bytes(std::span<std::byte> bytes, size_t element_size) {
  for (size_t at = 0; at + element_size <= bytes.size(); at += element_size)
    std::reverse(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                 bytes.begin() + static_cast<std::ptrdiff_t>(at + element_size));
}

void to_c_order(std::span<const std::byte> in, std::span<std::byte> out, const Shape& shape,
                size_t element_size) {
  std::array<int64_t, Shape::max_rank> index{}, strides{};
  int64_t stride = 1, source = 0;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    strides[static_cast<size_t>(axis)] = stride;
    stride *= shape[axis];
  }
  for (size_t done = 0; done < out.size(); done += element_size) {
    std::memcpy(out.data() + done, in.data() + static_cast<size_t>(source) * element_size,
                element_size);
    for (int a = shape.rank(); a-- > 0;) {
      const auto axis = static_cast<size_t>(a);
      source += strides[axis];
      if (++index[axis] < shape[a]) break;
      source -= strides[axis] * shape[a];
      index[axis] = 0;
    }
  }
}

}  // namespace graft::io
