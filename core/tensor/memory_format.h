// Physical order of a tensor's elements: an explicit tag, never a guess. Shapes stay NCHW whatever
// the tag.
#pragma once
#include <string_view>

namespace graft {

enum class MemoryFormat : unsigned char {
  contiguous,     // last axis fastest (NCHW)
  channels_last,  // rank 4 only: N, H, W, C in memory
};

constexpr std::string_view name_of(MemoryFormat format) {
  return format == MemoryFormat::contiguous ? "contiguous" : "channels_last";
}

}  // namespace graft
