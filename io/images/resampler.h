// Resampler: resizes an image whose rows come one after another, into rows that are written as soon
// as they are known.
#pragma once
#include <vector>

#include "graft/io/images/isa/resample_table.h"
#include "graft/io/images/pixel_window.h"
#include "graft/io/images/resize.h"

namespace graft::io {

// One axis of a resize: outputs [begin, begin + out) of the `full` ones that cover the source range
// [low, high).
struct ResampleAxis {
  int64_t in = 0;
  double low = 0, high = 0;
  int64_t full = 0, begin = 0, out = 0;
};

// A ResizedWindow of an image of in_width x in_height as two axes; its results start at (left, top)
// of the window, whose rest is black. `empty`: the window lies outside of the image.
struct PlacedWindow {
  ResampleAxis x{}, y{};
  int64_t left = 0, top = 0;
  bool empty = false, framed = false;

  PlacedWindow(const ResizedWindow& window, int64_t in_width, int64_t in_height);
};

// Keeps its memory from one image to the next.
class Resampler {
 public:
  // Starts an image of `channels` (1 or 3) channels; results go to out, rows of axis_x.out *
  // channels bytes, `stride` apart.
  void start(const ResampleAxis& x, const ResampleAxis& y, int64_t channels,
             Interpolation interpolation, uint8_t* out, int64_t stride);
  // The part of the source that results depend on.
  const PixelWindow& needed() const { return needed_; }
  // The next row of needed(), from the top: its columns [left, right).
  void row(const uint8_t* pixels);
  // All of needed(), from an image in memory.
  void rows_of(const Image& image);

 private:
  // For every output the first source position and `taps` weights; positions never reach past the
  // source.
  struct Taps {
    int64_t taps = 0;
    std::vector<int32_t> first{}, weights{};

    void make(const ResampleAxis& axis, Interpolation interpolation);
  };

  Taps across_, down_;
  std::vector<uint8_t>
      ring_;  // resized rows that later results need; row y in place y % down_.taps
  std::vector<const uint8_t*> rows_;  // those of one result
  PixelWindow needed_;
  int64_t channels_ = 0, stride_ = 0, ring_stride_ = 0;
  int64_t next_in_ = 0, next_out_ = 0;
  uint8_t* out_ = nullptr;
  const ResampleTable* table_ = nullptr;
};

}  // namespace graft::io
