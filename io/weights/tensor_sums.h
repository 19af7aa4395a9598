// Checksums in a safetensors file's metadata: one a tensor, which covers its name, type and shape
// too, and one of all other metadata. Other programs see two entries that they need not know; a
// program that changes such a file drops both.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graft/io/weights/limits.h"

namespace graft::io {

using Metadata = std::map<std::string, std::string>;
using TensorSums = std::map<std::string, uint32_t>;

// {"name": "8 hex digits", ...} as JSON, and 8 hex digits.
inline constexpr const char* kTensorSumsKey = "graft.crc32c";
inline constexpr const char* kMetadataSumKey = "graft.metadata_crc32c";

// CRC-32C of "name\ndtype\n2,3\n" and the bytes as they stand in the file; dtype is safetensors'.
uint32_t tensor_sum(const std::string& name, const std::string& dtype,
                    const std::vector<int64_t>& extents, std::span<const std::byte> bytes);

// Adds both entries.
void put_sums(Metadata& metadata, const TensorSums& sums);
// Removes both entries and gives what they say of the tensors; nothing when neither is there.
// bad_input when the metadata is not what was written.
std::optional<TensorSums> take_sums(Metadata& metadata, MemoryBudget& budget);

// The end of a sentence about a wrong sum.
inline constexpr const char* kDamagedOrChanged =
    "the file is damaged, or was changed by a program that kept graft.crc32c and "
    "graft.metadata_crc32c in its metadata";

}  // namespace graft::io
