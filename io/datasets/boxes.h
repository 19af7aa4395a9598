// Boxes of objects in images: edges in pixels from the upper left corner, x to the right, y down.
#pragma once
#include <cstdint>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::io {

struct GRAFT_API Box {
  double left = 0, top = 0, right = 0, bottom = 0;

  double width() const { return right - left; }
  double height() const { return bottom - top; }
  double area() const { return width() * height(); }
  bool operator==(const Box&) const = default;
};

// An object of an image, as its annotation has it.
struct LabelledBox {
  Box box{};
  int64_t label = 0;
  bool difficult = false;  // Pascal VOC: finding it or not counts for nothing
  bool crowd = false;      // COCO: many objects together; so does any number found within
  double area = 0;         // COCO: of the object's own outline; 0: the box's

  bool counts() const { return !difficult && !crowd; }
};

// The objects of an image; width 0: they are not known.
struct BoxedImage {
  int64_t width = 0, height = 0;  // of the upright image
  std::vector<LabelledBox> boxes{};
};

GRAFT_API double intersection(const Box& a, const Box& b);  // in square pixels
// Intersection over union; 0 where both are empty.
GRAFT_API double overlap(const Box& a, const Box& b);
// What of it lies in [0,width] x [0,height]; of no width or height where that is nothing.
GRAFT_API Box clipped(const Box& box, double width, double height);

}  // namespace graft::io
