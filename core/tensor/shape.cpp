#include "graft/core/tensor/shape.h"

#include <algorithm>

namespace graft {

Shape::Shape(std::span<const int64_t> extents) {
  GRAFT_CHECK(extents.size() <= max_rank, "a tensor has at most ", max_rank, " axes, got ",
              extents.size());
  rank_ = static_cast<int>(extents.size());
  bool empty = false;
  for (size_t i = 0; i < extents.size(); ++i) {
    GRAFT_CHECK(extents[i] >= 0, "negative extent ", extents[i], " on axis ", i);
    extents_[i] = extents[i];
    empty = empty || extents[i] == 0;
  }
  for (const int64_t extent : extents)
    if (extent != 0)
      numel_ =
          checked_mul(numel_, extent);  // the product of an empty shape must not overflow either
  if (empty) numel_ = 0;
}

int64_t Shape::at(int axis) const {
  const int index = axis < 0 ? axis + rank_ : axis;
  GRAFT_CHECK(index >= 0 && index < rank_, "axis ", axis, " is outside of shape ", *this);
  return (*this)[index];
}

Shape Shape::with(int axis, int64_t extent) const {
  std::array<int64_t, max_rank> copy = extents_;
  copy[static_cast<size_t>(axis)] = extent;
  return Shape(std::span<const int64_t>(copy.data(), static_cast<size_t>(rank_)));
}

int64_t Shape::product(int begin_axis, int end_axis) const {
  int64_t result = 1;
  for (int axis = begin_axis; axis < end_axis; ++axis) result = checked_mul(result, (*this)[axis]);
  return result;
}

bool Shape::operator==(const Shape& other) const {
  return std::equal(begin(), end(), other.begin(), other.end());
}

std::string Shape::to_string() const { return str("[", join(extents(), ","), "]"); }

}  // namespace graft
