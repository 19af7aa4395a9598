// Extents of a tensor: up to 8 axes kept inline, non-negative, with a checked product.
#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "graft/core/base/checked_math.h"

namespace graft {

class GRAFT_API Shape {
 public:
  static constexpr int max_rank = 8;

  Shape() = default;  // rank 0: one element
  // bad_input when an extent is negative, the rank exceeds 8 or the product overflows.
  Shape(std::initializer_list<int64_t> extents)
      : Shape(std::span(extents.begin(), extents.size())) {}
  explicit Shape(std::span<const int64_t> extents);

  int rank() const { return rank_; }
  int64_t operator[](int axis) const {
    return extents_[static_cast<size_t>(axis)];
  }  // 0 <= axis < rank
  // Like operator[], but checks, and counts negative axes from the end.
  int64_t at(int axis) const;
  int64_t numel() const { return numel_; }
  std::span<const int64_t> extents() const { return {extents_.data(), static_cast<size_t>(rank_)}; }
  auto begin() const { return extents_.begin(); }
  auto end() const { return extents_.begin() + rank_; }

  Shape with(int axis, int64_t extent) const;           // a copy with one extent replaced
  int64_t product(int begin_axis, int end_axis) const;  // product of extents [begin, end)
  bool operator==(const Shape& other) const;
  std::string to_string() const;  // "[2,3,224,224]"

 private:
  std::array<int64_t, max_rank> extents_{};
  int rank_ = 0;
  int64_t numel_ = 1;
};

}  // namespace graft
