#include "graft/io/input_geometry.h"

#include <cmath>

#include "graft/io/datasets/dataset.h"
#include "graft/io/images/resize.h"
#include "graft/io/normaliser.h"

namespace graft::io {

int64_t AxisGeometry::under(int64_t input_pixel) const {
  const auto place =
      static_cast<int64_t>(std::floor(begin + (static_cast<double>(input_pixel) + 0.5) * step));
  return place >= 0 && place < extent ? place : -1;
}

void InputGeometry::place_map(const Image& map, int64_t width, int64_t height, uint8_t* out) const {
  GRAFT_CHECK(map.width == x.extent && map.height == y.extent && map.channels == 1, "a map of ",
              map.width, "x", map.height, " pixels beside an image of ", x.extent, "x", y.extent);
  std::vector<int64_t> columns;
  for (int64_t i = 0; i < width; ++i) columns.push_back(x.under(mirrored ? width - 1 - i : i));
  const uint8_t* pixels = map.pixels.data<uint8_t>();
  for (int64_t j = 0; j < height; ++j) {
    const int64_t row = y.under(j);
    for (const int64_t column : columns)
      *out++ = row < 0 || column < 0 ? kIgnoredPixel : pixels[row * map.width + column];
  }
}

namespace {

Box mirrored_box(const Box& box, double width) {
  return {width - box.right, box.top, width - box.left, box.bottom};
}

}  // namespace

Box InputGeometry::placed(const Box& box, double width) const {
  const Box there{(box.left - x.begin) / x.step, (box.top - y.begin) / y.step,
                  (box.right - x.begin) / x.step, (box.bottom - y.begin) / y.step};
  return mirrored ? mirrored_box(there, width) : there;
}

Box InputGeometry::of_image(const Box& box, double width) const {
  const Box there = mirrored ? mirrored_box(box, width) : box;
  return clipped({x.begin + there.left * x.step, y.begin + there.top * y.step,
                  x.begin + there.right * x.step, y.begin + there.bottom * y.step},
                 static_cast<double>(x.extent), static_cast<double>(y.extent));
}

namespace {

AxisGeometry axis_of(int64_t extent, int64_t full, int64_t first) {
  const double step = static_cast<double>(extent) / static_cast<double>(full);
  return {extent, static_cast<double>(first) * step, step};
}

// padded_to(): how many black columns and rows stand in front, and the sides with them.
struct Frame {
  int64_t left = 0, top = 0, width = 0, height = 0;
};
Frame frame_of(int64_t width, int64_t height, int64_t columns, int64_t rows) {
  const bool by_width = width * rows > columns * height;
  Frame frame{0, 0, by_width ? width : height * columns / rows,
              by_width ? width * rows / columns : height};
  frame.left = (frame.width - width) / 2;
  frame.top = (frame.height - height) / 2;
  return frame;
}

}  // namespace

InputGeometry input_geometry(const Preprocess& preprocess, const Augment& augment, int64_t width,
                             int64_t height, CountedRandom* random) {
  const int64_t rows = preprocess.size, columns = preprocess.input_width();
  InputGeometry geometry;
  if (random && preprocess.own_scale) {
    const ResizedWindow window = random_window(preprocess, width, height, *random);
    geometry.x = axis_of(width, window.full_width, window.x0);
    geometry.y = axis_of(height, window.full_height, window.y0);
  } else if (random && augment.crops()) {
    const Frame frame =
        preprocess.pad ? frame_of(width, height, columns, rows) : Frame{0, 0, width, height};
    const ResizeBox box =
        random_box(frame.width, frame.height, augment_for(preprocess, augment), *random);
    geometry.x = {width, box.left - static_cast<double>(frame.left),
                  (box.right - box.left) / static_cast<double>(columns)};
    geometry.y = {height, box.top - static_cast<double>(frame.top),
                  (box.bottom - box.top) / static_cast<double>(rows)};
  } else {
    const ResizedWindow window = kept_window(preprocess, width, height);
    geometry.x = axis_of(width, window.full_width, window.x0);
    geometry.y = axis_of(height, window.full_height, window.y0);
  }
  geometry.mirrored = random && augment.flip && random->uniform() < 0.5;
  return geometry;
}

}  // namespace graft::io
