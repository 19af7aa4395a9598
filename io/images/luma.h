// Grey from colour: ITU-R 601 luma, rounded as PIL does.
#pragma once
#include <cstdint>

namespace graft::io {

inline void luma_row(const uint8_t* rgb, int64_t pixels, uint8_t* out) {
  for (int64_t i = 0; i < pixels; ++i)
    out[i] = static_cast<uint8_t>(
        (rgb[3 * i] * 19595 + rgb[3 * i + 1] * 38470 + rgb[3 * i + 2] * 7471 + 0x8000) >> 16);
}

}  // namespace graft::io
