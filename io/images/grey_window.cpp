#include "graft/io/images/grey_window.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "graft/core/base/error.h"

namespace graft::io {

uint8_t GreyWindow::level(double value) const {
  const double at = ((value - centre) / width + 0.5) * 255;
  return std::isnan(at) ? uint8_t{0}
                        : static_cast<uint8_t>(std::lround(std::clamp(at, 0.0, 255.0)));
}

GreyWindow grey_window(const std::string& text) {
  GreyWindow window;
  const char* const end = text.data() + text.size();
  auto read = std::from_chars(text.data(), end, window.centre);
  bool fits = read.ec == std::errc() && read.ptr != end && *read.ptr == ',';
  if (fits) {
    read = std::from_chars(read.ptr + 1, end, window.width);
    fits = read.ec == std::errc() && read.ptr == end;
  }
  GRAFT_CHECK(fits && std::isfinite(window.centre) && std::isfinite(window.width) &&
                  std::abs(window.centre) < 1e30 && window.width > 1e-30 && window.width < 1e30,
              "'", text, "' is no window of grey values: expected CENTRE,WIDTH, as 40,400");
  return window;
}

}  // namespace graft::io
