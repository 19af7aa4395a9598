// PixelGrid: which image, row and column a pixel's number means, without a division; tested
// exhaustively.
#pragma once
#include "graft/kernels/cuda/device/divisor.h"

namespace graft::cuda {

// Pixels of images, rows * columns each.
struct PixelGrid {
  Divisor by_rows, by_columns;
  struct Pixel {
    int image, row, column;
  };
  static PixelGrid of(int64_t rows, int64_t columns) {
    return {Divisor::of(rows), Divisor::of(columns)};
  }
  GRAFT_HD Pixel pixel(int64_t i) const {  // below 2^31
    const auto at = static_cast<uint32_t>(i), line = by_columns.quotient(at),
               image = by_rows.quotient(line);
    return {static_cast<int>(image), static_cast<int>(line - image * by_rows.divisor),
            static_cast<int>(at - line * by_columns.divisor)};
  }
  GRAFT_HD int64_t index(const Pixel& p) const {
    return (static_cast<int64_t>(p.image) * by_rows.divisor + p.row) * by_columns.divisor +
           p.column;
  }
};
inline constexpr int64_t kMostPixels = int64_t{1} << 31;

}  // namespace graft::cuda
