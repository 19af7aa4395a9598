// An input that stands for two files.
#pragma once
#include <algorithm>
#include <array>
#include <utility>

#include "graft/tests/fuzz/target.h"

namespace graft::fuzz {

// Split at its first "|||".
inline std::pair<Bytes, Bytes> split_files(Bytes bytes) {
  constexpr std::array<std::byte, 3> mark{std::byte{'|'}, std::byte{'|'}, std::byte{'|'}};
  const auto found = std::search(bytes.begin(), bytes.end(), mark.begin(), mark.end());
  const auto first = bytes.first(static_cast<size_t>(found - bytes.begin()));
  return {first, bytes.subspan(std::min(bytes.size(), first.size() + 3))};
}

}  // namespace graft::fuzz
