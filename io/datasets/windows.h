// Images in windows: each becomes as many samples of one size as cover it, so that a network of a
// fixed input sees all of it at its own scale.
#pragma once
#include <memory>
#include <vector>

#include "graft/io/datasets/dataset.h"

namespace graft::io {

// Along one axis: windows of `size` begin at `begins`; pixels [owns[i], owns[i + 1]) are the
// i-th's, in whose middle they lie most.
struct GRAFT_API WindowAxis {
  int64_t size = 0;
  std::vector<int64_t> begins{}, owns{};

  int64_t count() const { return static_cast<int64_t>(begins.size()); }
};
// Evenly over `extent` pixels, each over a quarter of the next at least. An extent that is smaller
// than a window has one, in whose middle it lies: it begins below 0.
GRAFT_API WindowAxis window_axis(int64_t extent, int64_t size);

// The windows of the images of a data set with maps, row by row, image after image; beyond an image
// they are black. In a window's map each pixel of the image counts once: where it is another
// window's it is kIgnoredPixel. Dataset::whole() tells which image a window is of.
GRAFT_API std::shared_ptr<const Dataset> windows_of(std::shared_ptr<const Dataset> dataset,
                                                    int64_t height, int64_t width);

// [left, left + width) x [top, top + height) of an image, and `beyond` where that reaches past it.
GRAFT_API Image window_of(const Image& image, int64_t left, int64_t top, int64_t width,
                          int64_t height, uint8_t beyond);

}  // namespace graft::io
