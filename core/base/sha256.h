// SHA-256 (FIPS 180-4): names files, data sets and frozen tensors. Not for secrets.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "graft/core/base/export.h"

namespace graft {

class GRAFT_API Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  // The digest as 64 lower-case hex digits. Call once, last.
  std::string hex();

 private:
  void block(const std::byte* data);

  std::array<uint32_t, 8> state_;
  std::array<std::byte, 64> buffer_{};
  uint64_t length_ = 0;  // in bytes
};

GRAFT_API std::string sha256_hex(std::span<const std::byte> bytes);
GRAFT_API std::string sha256_hex(std::string_view text);
// Of a file's content, read in pieces through file_system().
GRAFT_API std::string sha256_of_file(const std::string& path);

}  // namespace graft
