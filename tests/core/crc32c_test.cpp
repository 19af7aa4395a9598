// CRC-32C against its published values and against itself without the processor's instruction.
#include "graft/core/base/crc32c.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace graft {
namespace {

std::span<const std::byte> bytes_in(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// RFC 3720, B.4, and the usual check value.
TEST(Crc32c, PublishedValues) {
  std::string rising;
  for (char c = 0; c < 32; ++c) rising += c;
  const std::vector<std::pair<std::string, uint32_t>> cases = {
      {"", 0},
      {"123456789", 0xe3069283},
      {std::string(32, '\0'), 0x8a9136aa},
      {std::string(32, '\xff'), 0x62a8ab43},
      {rising, 0x46dd794e}};
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(crc32c(bytes_in(text)), expected) << text;
    EXPECT_EQ(crc32c_portable(bytes_in(text)), expected) << text;
  }
}

TEST(Crc32c, BothWaysAgreeInAnyPieces) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(i * i * 31 + i / 7);
  const auto all = bytes_in(text);
  for (size_t begin = 0; begin < 9; ++begin)
    for (size_t end = begin; end <= all.size(); end += 7) {
      const auto part = all.subspan(begin, end - begin);
      const uint32_t whole = crc32c(part);
      EXPECT_EQ(crc32c_portable(part), whole);
      const size_t cut = part.size() / 3;
      EXPECT_EQ(crc32c(part.subspan(cut), crc32c(part.first(cut))), whole);
    }
}

TEST(Crc32c, EveryFlippedBitChangesIt) {
  std::string text = "a tensor's bytes, and some more";
  const uint32_t sum = crc32c(bytes_in(text));
  for (size_t bit = 0; bit < 8 * text.size(); ++bit) {
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << bit % 8));
    EXPECT_NE(crc32c(bytes_in(text)), sum) << bit;
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << bit % 8));
  }
}

}  // namespace
}  // namespace graft
