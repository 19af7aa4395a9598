#include "graft/io/images/gif.h"

#include <algorithm>
#include <array>
#include <utility>

namespace graft::io {
namespace {

using Palette = std::array<std::array<uint8_t, 3>, 256>;

// Source: GIF89a specification. Bounded reads of its blocks.
class GifReader {
 public:
  GifReader(std::span<const std::byte> bytes, const std::string& name)
      : bytes_(bytes), name_(name) {}

  int byte() {
    if (at_ >= bytes_.size()) truncated();
    return std::to_integer<int>(bytes_[at_++]);
  }
  int word() {
    const int low = byte();
    return low | byte() << 8;
  }
  void skip(size_t count) {
    if (count > bytes_.size() - at_) truncated();
    at_ += count;
  }
  void skip_blocks() {
    for (int size = byte(); size != 0; size = byte()) skip(static_cast<size_t>(size));
  }
  bool at_end() const { return at_ >= bytes_.size(); }

  void palette(Palette& colors, int flags) {
    const int count = 2 << (flags & 7);
    for (int i = 0; i < count; ++i)
      for (uint8_t& level : colors[static_cast<size_t>(i)]) level = static_cast<uint8_t>(byte());
  }

  // Palette indices of the next image's `count` pixels, unpacked from LZW (appendix F).
  std::vector<uint8_t> pixels(int64_t count);
  // What is left of the data behind them.
  void skip_rest() {
    skip(static_cast<size_t>(std::exchange(block_, 0)));
    skip_blocks();
  }

  [[noreturn]] void broken(const char* why) const { bad_input(name_, ": broken GIF: ", why); }

 private:
  [[noreturn]] void truncated() const { broken("it is truncated"); }

  // The next bit of the data sub-blocks; false at their end.
  bool bits(int width, int& code) {
    while (held_ < width) {
      if (block_ == 0) {
        block_ = byte();
        if (block_ == 0) return false;
      }
      --block_;
      buffer_ |= static_cast<uint32_t>(byte()) << held_;
      held_ += 8;
    }
    code = static_cast<int>(buffer_ & ((1u << width) - 1));
    buffer_ >>= width;
    held_ -= width;
    return true;
  }

  std::span<const std::byte> bytes_;
  const std::string& name_;
  size_t at_ = 0;
  int block_ = 0, held_ = 0;
  uint32_t buffer_ = 0;
};

std::vector<uint8_t> GifReader::pixels(int64_t count) {
  constexpr int kMost = 4096;
  const int least = byte();
  if (least < 1 || least > 8) broken("its code size is none");
  const int clear = 1 << least, end = clear + 1;
  std::array<uint16_t, kMost> before{};  // the code that a code's string goes on from
  std::array<uint8_t, kMost> last{}, first{};
  for (int i = 0; i < clear; ++i)
    last[static_cast<size_t>(i)] = first[static_cast<size_t>(i)] = static_cast<uint8_t>(i);
  std::vector<uint8_t> out, reversed;
  int width = least + 1, next = end + 1, previous = -1, code = 0;
  while (std::ssize(out) < count) {
    if (!bits(width, code)) broken("pixels are missing");
    if (code == end) broken("pixels are missing");
    if (code == clear) {
      width = least + 1, next = end + 1, previous = -1;
      continue;
    }
    if (code > next || (code == next && previous < 0) || (previous < 0 && code > end))
      broken("its codes are damaged");
    const bool is_new = code == next;
    reversed.clear();
    if (is_new) reversed.push_back(first[static_cast<size_t>(previous)]);
    for (int c = is_new ? previous : code;; c = before[static_cast<size_t>(c)]) {
      reversed.push_back(last[static_cast<size_t>(c)]);
      if (c < clear) break;
    }
    if (previous >= 0 && next < kMost) {
      const auto entry = static_cast<size_t>(next++);
      before[entry] = static_cast<uint16_t>(previous);
      first[entry] = first[static_cast<size_t>(previous)];
      last[entry] = reversed.back();
      if (next == 1 << width && width < 12) ++width;
    }
    out.insert(out.end(), reversed.rbegin(), reversed.rend());
    previous = code;
  }
  out.resize(static_cast<size_t>(count));
  return out;
}

// Rows of an interlaced image come in four passes.
std::vector<int64_t> row_order(int64_t height, bool interlaced) {
  std::vector<int64_t> rows;
  if (!interlaced) {
    for (int64_t y = 0; y < height; ++y) rows.push_back(y);
    return rows;
  }
  constexpr std::array<std::array<int64_t, 2>, 4> passes = {{{0, 8}, {4, 8}, {2, 4}, {1, 2}}};
  for (const auto& [begin, step] : passes)
    for (int64_t y = begin; y < height; y += step) rows.push_back(y);
  return rows;
}

// Whether another image follows; damage behind the first is none of it.
bool has_another_frame(GifReader reader) {
  try {
    reader.skip_rest();
    while (!reader.at_end()) {
      const int kind = reader.byte();
      if (kind == 0x2c) return true;
      if (kind != 0x21) return false;
      reader.byte();
      reader.skip_blocks();
    }
  } catch (const Error&) {
  }
  return false;
}

}  // namespace

Image decode_gif(std::span<const std::byte> bytes, const std::string& name) {
  GifReader reader(bytes, name);
  reader.skip(6);
  const int64_t width = reader.word(), height = reader.word();
  const int flags = reader.byte(), background = reader.byte();
  reader.skip(1);
  if (width < 1 || height < 1) reader.broken("it has no pixels");
  GRAFT_CHECK(width * height <= image_pixel_limit(), name, ": ", width, "x", height,
              " pixels, more than the limit of ", image_pixel_limit(), " (--max-pixels)");
  Palette colors{};
  if (flags & 0x80) reader.palette(colors, flags);
  int transparent = -1;
  for (int kind = reader.byte(); kind != 0x2c; kind = reader.byte()) {
    if (kind != 0x21) reader.broken("it holds no image");
    if (reader.byte() == 0xf9) {  // graphic control: flags, delay, the transparent index
      const int size = reader.byte();
      if (size != 4) reader.broken("its graphic control is none");
      const int control = reader.byte();
      reader.skip(2);
      const int index = reader.byte();
      if (control & 1) transparent = index;
    }
    reader.skip_blocks();
  }
  const int64_t left = reader.word(), top = reader.word(), w = reader.word(), h = reader.word();
  const int image_flags = reader.byte();
  if (w < 1 || h < 1 || left + w > width || top + h > height)
    reader.broken("its first frame lies outside of the picture");
  if (image_flags & 0x80) reader.palette(colors, image_flags);
  const std::vector<uint8_t> indices = reader.pixels(w * h);
  Image image{width, height, 3, Tensor::empty({height, width, 3}, {.dtype = DType::u8})};
  uint8_t* out = image.pixels.mutable_data<uint8_t>();
  const auto& ground = colors[static_cast<size_t>(transparent >= 0 ? transparent : background)];
  if (w * h < width * height)
    for (int64_t i = 0; i < width * height; ++i)
      std::copy(ground.begin(), ground.end(), out + 3 * i);
  const uint8_t* in = indices.data();
  for (const int64_t y : row_order(h, (image_flags & 0x40) != 0)) {
    uint8_t* to = out + ((top + y) * width + left) * 3;
    for (int64_t x = 0; x < w; ++x, to += 3)
      std::copy(colors[*in].begin(), colors[*in].end(), to), ++in;
  }
  if (has_another_frame(reader)) image.remark = "the first of several frames is read";
  return image;
}

}  // namespace graft::io
