// MaskImage: an image file of values that stand for something: numbers and colors as they are
// stored, palettes not expanded.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::io {

enum class MaskForm : unsigned char { grey, palette, color };

struct GRAFT_API MaskImage {
  int64_t width = 0, height = 0;
  MaskForm form = MaskForm::grey;
  std::vector<uint32_t> values{};   // row by row: grey levels, palette indices or 0xRRGGBB
  std::vector<uint32_t> palette{};  // 0xRRGGBB of each index

  // The same value as a color, whatever the form.
  uint32_t color_of(uint32_t value) const;
};

// PNG (1 to 8 bits), BMP, GIF, PNM, WebP and TIFF; colors that are all grey are grey levels.
// bad_input for JPEG, whose values are not exact, for 16-bit samples, and for what decode_image
// refuses.
GRAFT_API MaskImage decode_mask(std::span<const std::byte> bytes, const std::string& name);

}  // namespace graft::io
