// What a reader of weight files accepts at most, and the count of memory it spends on structure.
#pragma once
#include <cstdint>

#include "graft/core/base/checked_math.h"
#include "graft/core/base/export.h"

namespace graft::io {

struct ReadLimits {
  int64_t file_bytes = int64_t{64} << 30;
  int64_t protobuf_bytes = int64_t{2} << 30;       // protobuf's own limit for one message
  int64_t safetensors_header_bytes = 100'000'000;  // the format's own limit
  int64_t npy_header_bytes = 64 << 10;
  int64_t pickle_bytes = 256 << 20;
  int64_t pickle_stack = 1 << 20;
  int64_t pickle_memo = 1 << 22;
  int64_t zip_members = 65'536;
  int64_t inflate_ratio = 1'100;  // deflate itself reaches 1,032
  int64_t tensors = 1'000'000;
  int64_t name_bytes = 4'096;
  int64_t extent = int64_t{1} << 40;
  int64_t elements = int64_t{1} << 47;
  int64_t nodes = 1'000'000;  // of an ONNX graph
  int nesting = 64;
};

// Charged before structure (nodes, strings, dictionary entries) is allocated, so that a file of
// many tiny records cannot cost more than `factor` times its size.
class GRAFT_API MemoryBudget {
 public:
  static constexpr int64_t base = 16 << 20;
  static constexpr int64_t factor = 16;
  explicit MemoryBudget(int64_t file_bytes, int64_t times = factor)
      : left_(checked_add(base, checked_mul(times, file_bytes))) {}
  void charge(int64_t bytes) {
    GRAFT_CHECK(bytes >= 0 && bytes <= left_,
                "unpacks to much more than its own size, so it is not read");
    left_ -= bytes;
  }

 private:
  int64_t left_;
};

}  // namespace graft::io
