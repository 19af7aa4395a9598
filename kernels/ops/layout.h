// Change of memory layout as a recorded operation: the same elements in NCHW or NHWC order.
#pragma once
#include <string_view>

#include "graft/core/tensor/memory_format.h"

namespace graft::ops {

struct LayoutAttributes {
  static constexpr std::string_view id = "layout";
  MemoryFormat format = MemoryFormat::contiguous;
};

}  // namespace graft::ops
