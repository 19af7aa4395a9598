// GreyWindow: which of many grey values become black, which white, and the levels between.
#pragma once
#include <cstdint>
#include <string>

#include "graft/core/base/export.h"

namespace graft::io {

// centre - width / 2 and less is black, centre + width / 2 and more is white. width 0: none.
struct GRAFT_API GreyWindow {
  double centre = 0, width = 0;

  bool is_given() const { return width > 0; }
  // 0 to 255, the nearest of ((value - centre) / width + 1/2) x 255; 0 of what is no number.
  // Source: DICOM PS3.3 C.11.2.1.3.2, LINEAR_EXACT.
  uint8_t level(double value) const;
  bool operator==(const GreyWindow&) const = default;
};

// "40,400": centre and width, above 0. bad_input for another text.
GRAFT_API GreyWindow grey_window(const std::string& text);

// What is said of an image that a window is not for.
inline constexpr const char* kNoWindowRemark =
    "no grey of more than 8 bits: it is taken as it is, without the window";
// And of grey of more than 8 bits that is read without one.
inline constexpr const char* kUpperHalfRemark =
    "16-bit grey: the upper 8 of the 16 bits are taken (--window CENTRE,WIDTH chooses others)";

}  // namespace graft::io
