// Element types as files store them, and their reading into tensors: graft's own, and the integers
// it widens.
#pragma once
#include <cstring>
#include <span>
#include <string_view>

#include "graft/core/base/function_ref.h"
#include "graft/core/tensor/tensor.h"
#include "graft/io/weights/limits.h"

namespace graft::io {

enum class StoredType : uint8_t {
  f64,
  f32,
  bf16,
  f16,
  i64,
  i32,
  i16,
  i8,
  u64,
  u32,
  u16,
  u8,
  boolean
};

int64_t stored_size(StoredType type);
std::string_view name_of(StoredType type);
DType widened(StoredType type);  // the tensor's type: i16, u16 -> i32; u32, u64 -> i64
bool is_widened(StoredType type);
StoredType stored_type(DType type);

std::string widened_note(int64_t tensors);  // for WeightFile::notes

// A shape from a file: rank, extents and number of elements within the limits. bad_input otherwise.
Shape checked_shape(std::span<const int64_t> extents, const ReadLimits& limits);

// A new tensor whose little-endian elements `fill` writes into the buffer it is given, in C order.
// Refuses booleans other than 0 and 1 and uint64 values that int64 cannot hold. The caller has
// checked that the bytes exist.
Tensor read_elements(StoredType type, const Shape& shape,
                     FunctionRef<void(std::span<std::byte>)> fill);

// Each element's bytes in the other order: big-endian to little-endian.
void swap_bytes(std::span<std::byte> bytes, size_t element_size);

// Elements from the order in which the first axis runs fastest to the one in which the last does.
void to_c_order(std::span<const std::byte> in, std::span<std::byte> out, const Shape& shape,
                size_t element_size);

inline std::span<std::byte> bytes_of(Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.mutable_raw()), static_cast<size_t>(tensor.bytes())};
}
inline std::span<const std::byte> bytes_of(const Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.raw()), static_cast<size_t>(tensor.bytes())};
}

// A little-endian value at `bytes`, which holds at least sizeof(T) bytes. graft runs on
// little-endian machines only.
template <class T>
T load(std::span<const std::byte> bytes) {
  GRAFT_ASSERT(bytes.size() >= sizeof(T));
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

// Runs f; an Error gets `context: ` before its message, unless it names the file already.
template <class F>
decltype(auto) in_context(const std::string& context, F&& f) {
  try {
    return f();
  } catch (const Error& error) {
    throw error.with_context(context);
  }
}

}  // namespace graft::io
