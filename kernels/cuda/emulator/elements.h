// Elements of the fake GPU's memory, of a dtype known at run time, for the fakes of libraries.
#pragma once
#include <cstddef>
#include <cstring>

#include "graft/core/tensor/dtype.h"
#include "graft/core/tensor/half.h"

namespace graft::cuda::emulator {

// Elements in memory, of one of the three types, as doubles.
class Elements {
 public:
  Elements(std::byte* data, DType type) : data_(data), type_(type) {}
  explicit operator bool() const { return data_ != nullptr; }
  double get(int64_t i) const {
    if (type_ == DType::f32) return at<float>(i);
    return type_ == DType::bf16 ? static_cast<float>(at<bfloat16>(i))
                                : static_cast<float>(at<float16>(i));
  }
  void set(int64_t i, double value) const {
    if (type_ == DType::f32)
      put(i, static_cast<float>(value));
    else if (type_ == DType::bf16)
      put(i, bfloat16(static_cast<float>(value)));
    else
      put(i, float16(static_cast<float>(value)));
  }

 private:
  template <class T>
  T at(int64_t i) const {
    T value;
    std::memcpy(&value, data_ + static_cast<size_t>(i) * sizeof(T), sizeof(T));
    return value;
  }
  template <class T>
  void put(int64_t i, T value) const {
    std::memcpy(data_ + static_cast<size_t>(i) * sizeof(T), &value, sizeof(T));
  }
  std::byte* data_;
  DType type_;
};

}  // namespace graft::cuda::emulator
