#include "graft/io/images/pnm.h"

#include <algorithm>
#include <cstring>

namespace graft::io {
namespace {

// The header's numbers: white space and comments ("#" to the line's end) stand between them.
class Header {
 public:
  Header(std::span<const std::byte> bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  int64_t number(int64_t most) {
    skip();
    int64_t value = -1;
    for (; at_ < bytes_.size() && is_digit(byte()); ++at_) {
      value = std::max<int64_t>(value, 0) * 10 + (byte() - '0');
      GRAFT_CHECK(value <= most, name_, ": broken PNM: its header has a number beyond ", most);
    }
    GRAFT_CHECK(value >= 1, name_, ": broken PNM: its header cannot be read");
    return value;
  }

  // The samples: one white-space byte after the header's last number.
  std::span<const std::byte> samples() const {
    GRAFT_CHECK(at_ < bytes_.size() && is_space(byte()), name_,
                ": broken PNM: its header cannot be read");
    return bytes_.subspan(at_ + 1);
  }

 private:
  static bool is_digit(int c) { return c >= '0' && c <= '9'; }
  static bool is_space(int c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
  int byte() const { return std::to_integer<int>(bytes_[at_]); }

  void skip() {
    for (; at_ < bytes_.size() && (is_space(byte()) || byte() == '#'); ++at_)
      if (byte() == '#')
        while (at_ + 1 < bytes_.size() && byte() != '\n') ++at_;
  }

  std::span<const std::byte> bytes_;
  const std::string& name_;
  size_t at_ = 2;
};

}  // namespace

Image decode_pnm(std::span<const std::byte> bytes, const std::string& name) {
  const int64_t channels = bytes[1] == std::byte{'6'} ? 3 : 1;
  Header header(bytes, name);
  const int64_t width = header.number(INT32_MAX), height = header.number(INT32_MAX),
                most = header.number(65535);
  GRAFT_CHECK(width * height <= image_pixel_limit(), name, ": ", width, "x", height,
              " pixels, more than the limit of ", image_pixel_limit(), " (--max-pixels)");
  const int64_t count = width * height * channels, size = most < 256 ? 1 : 2;
  const std::span<const std::byte> samples = header.samples();
  GRAFT_CHECK(std::ssize(samples) >= count * size, name, ": broken PNM: it is truncated, ",
              samples.size(), " of ", count * size, " bytes are there");
  Image image{width, height, channels,
              Tensor::empty({height, width, channels}, {.dtype = DType::u8})};
  uint8_t* out = image.pixels.mutable_data<uint8_t>();
  if (most == 255) {
    std::memcpy(out, samples.data(), static_cast<size_t>(count));
    return image;
  }
  for (int64_t i = 0; i < count; ++i) {
    int64_t value = 0;  // big-endian
    for (int64_t k = 0; k < size; ++k)
      value = value << 8 | std::to_integer<int64_t>(samples[static_cast<size_t>(i * size + k)]);
    out[i] = static_cast<uint8_t>((std::min(value, most) * 255 + most / 2) / most);
  }
  return image;
}

}  // namespace graft::io
