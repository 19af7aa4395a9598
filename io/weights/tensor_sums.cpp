#include "graft/io/weights/tensor_sums.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "graft/core/base/crc32c.h"
#include "graft/io/checksums.h"
#include "graft/io/json.h"

namespace graft::io {
namespace {

uint32_t sum_of(const std::string& text, uint32_t before = 0) {
  return crc32c(std::as_bytes(std::span(text)), before);
}

std::string eight_digits(uint32_t sum) {
  std::string text;
  for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[(sum >> shift) & 15];
  return text;
}

uint32_t sum_in(const std::string& text) {
  uint32_t sum = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), sum, 16);
  GRAFT_CHECK(text.size() == 8 && error == std::errc() && end == text.data() + 8,
              "a checksum in its metadata is not one: ", kDamagedOrChanged);
  return sum;
}

// Of all entries but its own.
uint32_t metadata_sum(const Metadata& metadata) {
  uint32_t sum = 0;
  for (const auto& [key, value] : metadata)
    if (key != kMetadataSumKey)
      sum = sum_of(str(key.size(), " ", key, value.size(), " ", value), sum);
  return sum;
}

// Flat text of names and digits; a tree of it takes some eight times its size.
TensorSums sums_in(const std::string& text, MemoryBudget& budget) {
  budget.charge(checked_mul(8, static_cast<int64_t>(text.size())));
  check_json(text, "its list of checksums");
  TensorSums sums;
  try {
    const auto list = nlohmann::json::parse(text);
    for (const auto& [name, sum] : list.items()) sums[name] = sum_in(sum.get<std::string>());
  } catch (const nlohmann::json::exception&) {
    bad_input("its list of checksums cannot be read: ", kDamagedOrChanged);
  }
  return sums;
}

}  // namespace

uint32_t tensor_sum(const std::string& name, const std::string& dtype,
                    const std::vector<int64_t>& extents, std::span<const std::byte> bytes) {
  return crc32c(bytes, sum_of(str(name, "\n", dtype, "\n", join(extents, ","), "\n")));
}

void put_sums(Metadata& metadata, const TensorSums& sums) {
  nlohmann::json list = nlohmann::json::object();
  for (const auto& [name, sum] : sums) list[name] = eight_digits(sum);
  metadata[kTensorSumsKey] = list.dump();
  metadata[kMetadataSumKey] = eight_digits(metadata_sum(metadata));
}

std::optional<TensorSums> take_sums(Metadata& metadata, MemoryBudget& budget) {
  const auto list = metadata.find(kTensorSumsKey), own = metadata.find(kMetadataSumKey);
  if (list == metadata.end() && own == metadata.end()) return std::nullopt;
  GRAFT_CHECK(list != metadata.end() && own != metadata.end(),
              "has half of its checksums: ", kDamagedOrChanged);
  if (verifies_checksums)
    GRAFT_CHECK(sum_in(own->second) == metadata_sum(metadata),
                "its metadata does not fit its checksum: ", kDamagedOrChanged);
  TensorSums sums = sums_in(list->second, budget);
  metadata.erase(list);
  metadata.erase(own);
  return sums;
}

}  // namespace graft::io
