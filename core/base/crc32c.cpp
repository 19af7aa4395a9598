#include "graft/core/base/crc32c.h"

#include <array>
#include <cstring>

namespace graft {
namespace {

constexpr uint32_t kCastagnoli = 0x82f63b78;  // reflected

// kCrcTables[k][b]: what the byte b does to the sum when k bytes follow it.
constexpr auto kCrcTables = [] {
  std::array<std::array<uint32_t, 256>, 8> tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t sum = byte;
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1) != 0 ? kCastagnoli : 0);
    tables[0][byte] = sum;
  }
  for (size_t k = 1; k < 8; ++k)
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 255];
    }
  return tables;
}();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t crc32c_sse(std::span<const std::byte> bytes,
                                                      uint32_t sum) {
  uint64_t state = ~sum;
  const std::byte* p = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; left -= 8, p += 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    state = __builtin_ia32_crc32di(state, word);
  }
  auto narrow = static_cast<uint32_t>(state);
  for (; left > 0; --left, ++p)
    narrow = __builtin_ia32_crc32qi(narrow, std::to_integer<unsigned char>(*p));
  return ~narrow;
}
#endif

}  // namespace

uint32_t crc32c_portable(std::span<const std::byte> bytes, uint32_t sum) {
  uint32_t state = ~sum;
  const std::byte* p = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; left -= 8, p += 8) {
    uint64_t word;  // little endian, as every machine that graft runs on
    std::memcpy(&word, p, 8);
    word ^= state;
    state = 0;
    for (size_t k = 0; k < 8; ++k) state ^= kCrcTables[7 - k][(word >> (8 * k)) & 255];
  }
  for (; left > 0; --left, ++p)
    state = (state >> 8) ^ kCrcTables[0][(state ^ std::to_integer<uint32_t>(*p)) & 255];
  return ~state;
}

uint32_t crc32c(std::span<const std::byte> bytes, uint32_t sum) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) return crc32c_sse(bytes, sum);
#endif
  return crc32c_portable(bytes, sum);
}

}  // namespace graft
