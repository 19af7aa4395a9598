// PixelWindow: a rectangle of whole pixels.
#pragma once
#include <cstdint>

namespace graft::io {

// Columns [left, right), rows [top, bottom).
struct PixelWindow {
  int64_t left = 0, top = 0, right = 0, bottom = 0;
  bool operator==(const PixelWindow&) const = default;
};

}  // namespace graft::io
