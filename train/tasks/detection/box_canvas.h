// An image on which boxes are drawn, with a number at each where that is wished.
#pragma once
#include <cstdint>

#include "graft/io/datasets/boxes.h"
#include "graft/io/images/image.h"

namespace graft::train {

// Of a class; the colors come again after eight: red, green, blue, orange, purple, cyan, magenta,
// lime. 0xRRGGBB.
GRAFT_API uint32_t box_color(int64_t label);
// Of an identity: far from those of its neighbors, and never dark.
GRAFT_API uint32_t identity_color(int64_t id);

class GRAFT_API BoxCanvas {
 public:
  // A copy in color. Error(bad_input) for an image without pixels.
  explicit BoxCanvas(const io::Image& photo);
  int64_t line_width() const;  // that suits the image, in pixels
  // The edges of a box, inwards; what lies outside of the image is not drawn. Edges that are not
  // finite draw nothing.
  void draw(const io::Box& box, uint32_t color);
  // Digits in white on the color, within the box's upper left corner.
  void draw_number(const io::Box& box, int64_t number, uint32_t color);
  io::Image take() { return std::move(image_); }

 private:
  struct Area {
    int64_t left, top, right, bottom;
  };
  void fill(const Area& area, uint32_t color);
  io::Image image_;
};

// The photo with its objects, each in its class's color; those that count for nothing (difficult,
// crowds) in grey.
GRAFT_API io::Image with_boxes(const io::Image& photo, const io::BoxedImage& objects);

}  // namespace graft::train
