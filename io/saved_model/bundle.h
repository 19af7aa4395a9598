// TensorFlow's checkpoints of variables (a TensorBundle): an index, which is a table of LevelDB's
// format, and files of numbers.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "graft/core/base/export.h"
#include "graft/core/base/file_system.h"
#include "graft/core/tensor/state_dict.h"
#include "graft/io/weights/limits.h"

namespace graft::io::saved_model {

struct BundleEntry {
  int64_t type = 0;  // DataType
  std::vector<int64_t> dims{};
  int64_t shard = 0, offset = 0, size = 0;
  uint32_t crc = 0;
  bool sliced = false;
};

struct BundleIndex {
  int64_t shards = 1;
  std::map<std::string, BundleEntry> entries{};
};

// Every block's checksum is checked; compressed blocks are refused.
GRAFT_API BundleIndex parse_bundle_index(std::span<const std::byte> bytes,
                                         const ReadLimits& limits = {});

// Each of `keys` that the checkpoint `prefix` ("variables/variables") has as numbers.
GRAFT_API StateDict read_bundle(const std::string& prefix, const std::vector<std::string>& keys,
                                const ReadLimits& limits, std::vector<std::string>& notes);

}  // namespace graft::io::saved_model
