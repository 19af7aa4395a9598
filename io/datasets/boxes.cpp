#include "graft/io/datasets/boxes.h"

#include <algorithm>

namespace graft::io {

double intersection(const Box& a, const Box& b) {
  const double width = std::min(a.right, b.right) - std::max(a.left, b.left);
  const double height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  return width > 0 && height > 0 ? width * height : 0;
}

double overlap(const Box& a, const Box& b) {
  const double both = intersection(a, b);
  const double all = a.area() + b.area() - both;
  return all > 0 ? both / all : 0;
}

Box clipped(const Box& box, double width, double height) {
  Box inside;
  inside.left = std::clamp(box.left, 0.0, width);
  inside.top = std::clamp(box.top, 0.0, height);
  inside.right = std::clamp(box.right, inside.left, width);
  inside.bottom = std::clamp(box.bottom, inside.top, height);
  return inside;
}

}  // namespace graft::io
