// safetensors: 8 bytes of header length, a JSON header, then the data, which it must cover without
// gap or overlap. Rules: https://github.com/huggingface/safetensors#format and the 2023 audit
// (duplicate keys, checked products).
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "graft/core/tensor/device_backend.h"
#include "graft/io/checksums.h"
#include "graft/io/json.h"
#include "graft/io/weights/formats.h"
#include "graft/io/weights/stored_type.h"
#include "graft/io/weights/tensor_sums.h"

namespace graft::io {
namespace {

struct TensorEntry {
  std::string name;
  std::string dtype;
  std::vector<int64_t> extents;
  std::vector<int64_t> offsets;
  bool has_extents = false;
};

// Walks the header's JSON without building a tree: {name: {"dtype": "F32", "shape": [..],
// "data_offsets": [b, e]}} and {"__metadata__": {string: string}}. Every departure from that form
// throws.
class HeaderParser final : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderParser(const ReadLimits& limits, MemoryBudget& budget) : limits_(limits), budget_(budget) {}

  std::vector<TensorEntry> entries;
  std::map<std::string, std::string> metadata;

  bool null() override { reject("null"); }
  bool boolean(bool) override { reject("a boolean"); }
  bool number_float(double, const std::string&) override { reject("a fraction"); }
  bool binary(nlohmann::json::binary_t&) override { reject("binary data"); }
  bool number_integer(int64_t value) override {
    GRAFT_CHECK(value >= 0, "the header has the negative number ", value);
    return number_unsigned(static_cast<uint64_t>(value));
  }
  bool number_unsigned(uint64_t value) override {
    if (!in_array_) reject("a number");
    GRAFT_CHECK(value <= static_cast<uint64_t>(INT64_MAX), "the header has the number ", value,
                ", which is too large");
    std::vector<int64_t>& list =
        field_ == "shape" ? entries.back().extents : entries.back().offsets;
    GRAFT_CHECK(list.size() < 64, "tensor '", entries.back().name, "': ", field_, " is too long");
    list.push_back(static_cast<int64_t>(value));
    return true;
  }
  bool string(std::string& value) override {
    if (in_array_ || depth_ != 2) reject("a string");
    budget_.charge(static_cast<int64_t>(value.size()));
    if (in_metadata_) {
      metadata[field_] = value;
    } else {
      if (field_ != "dtype") reject("a string");
      entries.back().dtype = value;
    }
    return true;
  }
  bool start_object(size_t) override {
    if (in_array_ || depth_ >= 2) reject("an object");
    ++depth_;
    return true;
  }
  bool end_object() override {
    if (depth_ == 2 && !in_metadata_) check_complete(entries.back());
    if (depth_ == 2) fields_.clear();
    --depth_;
    in_metadata_ = false;
    return true;
  }
  bool start_array(size_t) override {
    if (in_array_ || depth_ != 2 || in_metadata_ || (field_ != "shape" && field_ != "data_offsets"))
      reject("a list");
    if (field_ == "shape") entries.back().has_extents = true;
    in_array_ = true;
    return true;
  }
  bool end_array() override {
    in_array_ = false;
    return true;
  }
  bool key(std::string& name) override {
    budget_.charge(static_cast<int64_t>(name.size()) + 300);
    if (depth_ == 2) {
      GRAFT_CHECK(in_metadata_ || name == "dtype" || name == "shape" || name == "data_offsets",
                  "tensor '", entries.back().name, "' has the unknown field '", name, "'");
      GRAFT_CHECK(fields_.insert(name).second, "the header has the key '", name,
                  "' twice in one object");
      field_ = name;
      return true;
    }
    GRAFT_CHECK(names_.insert(name).second, "the header has the tensor '", name, "' twice");
    in_metadata_ = name == "__metadata__";
    if (in_metadata_) return true;
    GRAFT_CHECK(static_cast<int64_t>(name.size()) <= limits_.name_bytes, "a tensor's name has ",
                name.size(), " bytes");
    GRAFT_CHECK(static_cast<int64_t>(entries.size()) < limits_.tensors, "more than ",
                limits_.tensors, " tensors");
    entries.emplace_back().name = name;
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) override {
    bad_input("the header is not JSON (at its byte ", position, ")");
  }

 private:
  [[noreturn]] void reject(const char* what) const {
    bad_input("the header has ", what, " where the format has none, near '", field_, "'");
  }
  static void check_complete(const TensorEntry& entry) {
    GRAFT_CHECK(!entry.dtype.empty() && entry.has_extents && entry.offsets.size() == 2, "tensor '",
                entry.name, "': needs dtype, shape and data_offsets of two numbers");
  }

  const ReadLimits& limits_;
  MemoryBudget& budget_;
  std::set<std::string> names_, fields_;
  std::string field_;
  int depth_ = 0;
  bool in_array_ = false;
  bool in_metadata_ = false;
};

StoredType type_from_name(const std::string& name) {
  static const std::map<std::string, StoredType> known = {
      {"F64", StoredType::f64},     {"F32", StoredType::f32}, {"BF16", StoredType::bf16},
      {"F16", StoredType::f16},     {"I64", StoredType::i64}, {"I32", StoredType::i32},
      {"I16", StoredType::i16},     {"I8", StoredType::i8},   {"U64", StoredType::u64},
      {"U32", StoredType::u32},     {"U16", StoredType::u16}, {"U8", StoredType::u8},
      {"BOOL", StoredType::boolean}};
  const auto found = known.find(name);
  GRAFT_CHECK(found != known.end(), "the element type ", name.substr(0, 40), " is not supported");
  return found->second;
}

const char* type_name(DType type) {
  switch (type) {
    case DType::f64: return "F64";
    case DType::f32: return "F32";
    case DType::bf16: return "BF16";
    case DType::f16: return "F16";
    case DType::i64: return "I64";
    case DType::i32: return "I32";
    case DType::i8: return "I8";
    case DType::u8: return "U8";
    case DType::boolean: break;
  }
  return "BOOL";
}

// Data in the order of offsets must start at 0 and run on without gap or overlap to the end of the
// file.
void check_coverage(const std::vector<TensorEntry>& entries, int64_t data_bytes) {
  std::vector<const TensorEntry*> by_offset;
  for (const TensorEntry& entry : entries) by_offset.push_back(&entry);
  std::sort(by_offset.begin(), by_offset.end(),
            [](const auto* a, const auto* b) { return a->offsets < b->offsets; });
  int64_t position = 0;
  for (const TensorEntry* entry : by_offset) {
    GRAFT_CHECK(entry->offsets[0] == position, "tensor '", entry->name, "' starts at byte ",
                entry->offsets[0], " of the data, ", position,
                " was expected (tensors may not overlap or leave gaps)");
    GRAFT_CHECK(entry->offsets[1] >= position, "tensor '", entry->name, "' ends before it starts");
    position = entry->offsets[1];
  }
  GRAFT_CHECK(position <= data_bytes, "is truncated: the header describes ", position,
              " bytes of data, the file has ", data_bytes);
  GRAFT_CHECK(position == data_bytes, "has ", data_bytes - position,
              " bytes after the last tensor");
}

// Damage to a tensor that has a sum is named. Graft's own files had none at first.
class SumCheck {
 public:
  SumCheck(WeightFile& file, size_t tensors, MemoryBudget& budget) {
    const bool is_ours = std::any_of(file.metadata.begin(), file.metadata.end(),
                                     [](const auto& e) { return e.first.starts_with("graft."); });
    sums_ = take_sums(file.metadata, budget);
    if (!sums_ && is_ours)
      file.notes.push_back(
          "the file carries no checksums (it was written by an older graft, or changed by another "
          "program), so damage to it would not be seen");
    if (sums_ && verifies_checksums)
      GRAFT_CHECK(sums_->size() == tensors, "has ", tensors, " tensors and checksums of ",
                  sums_->size(), ": ", kDamagedOrChanged);
  }
  void operator()(const TensorEntry& entry, std::span<const std::byte> bytes) const {
    if (!sums_ || !verifies_checksums) return;
    const auto found = sums_->find(entry.name);
    GRAFT_CHECK(found != sums_->end(), "has no checksum: ", kDamagedOrChanged);
    GRAFT_CHECK(found->second == tensor_sum(entry.name, entry.dtype, entry.extents, bytes),
                "its checksum is wrong: ", kDamagedOrChanged);
  }

 private:
  std::optional<TensorSums> sums_;
};

WeightFile read_whole_safetensors(File& file, const ReadLimits& limits) {
  const int64_t size = file.size();
  GRAFT_CHECK(size >= 8, "is truncated: ", size, " bytes cannot hold a safetensors header");
  std::array<std::byte, 8> prefix;
  file.read_at(0, prefix);
  const auto header_bytes = static_cast<int64_t>(load<uint64_t>(prefix));
  GRAFT_CHECK(header_bytes >= 2 && header_bytes <= limits.safetensors_header_bytes,
              "the header's length ", load<uint64_t>(prefix), " is outside of 2 to ",
              limits.safetensors_header_bytes);
  GRAFT_CHECK(header_bytes <= size - 8, "is truncated: a header of ", header_bytes,
              " bytes does not fit into ", size);
  MemoryBudget budget(size);
  HeaderParser parser(limits, budget);
  {
    std::string header(static_cast<size_t>(header_bytes), '\0');
    file.read_at(8, std::as_writable_bytes(std::span(header)));
    GRAFT_CHECK(header[0] == '{', "the header does not start with '{'");
    check_json(header, "the header");
    nlohmann::json::sax_parse(header, &parser);
  }
  const int64_t data_begin = 8 + header_bytes;
  check_coverage(parser.entries, size - data_begin);

  WeightFile result;
  result.path = file.path();
  result.format = "safetensors";
  result.metadata = std::move(parser.metadata);
  const SumCheck check_sum(result, parser.entries.size(), budget);
  int64_t widened_tensors = 0;
  for (TensorEntry& entry : parser.entries) {
    Tensor tensor = in_context(str("tensor '", entry.name, "'"), [&] {
      const StoredType type = type_from_name(entry.dtype);
      const Shape shape = checked_shape(entry.extents, limits);
      const int64_t bytes = checked_mul(shape.numel(), stored_size(type));
      GRAFT_CHECK(entry.offsets[1] - entry.offsets[0] == bytes, "has ",
                  entry.offsets[1] - entry.offsets[0], " bytes, shape ", shape, " of ", entry.dtype,
                  " needs ", bytes);
      widened_tensors += is_widened(type);
      return read_elements(type, shape, [&](std::span<std::byte> out) {
        if (!out.empty()) file.read_at(data_begin + entry.offsets[0], out);
        check_sum(entry, out);
      });
    });
    result.tensors.add(std::move(entry.name), std::move(tensor));
  }
  if (widened_tensors > 0) result.notes.push_back(widened_note(widened_tensors));
  return result;
}

}  // namespace

WeightFile read_safetensors(File& file, const ReadLimits& limits) {
  WeightFile result = in_context(file.path(), [&] { return read_whole_safetensors(file, limits); });
  result.roots = {""};
  return result;
}

void write_safetensors(const std::string& path, const StateDict& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<std::pair<std::string, Tensor>> by_size;
  for (const auto& [name, tensor] : tensors) {
    GRAFT_CHECK(tensor.defined(), path, ": tensor '", name, "' is undefined");
    GRAFT_CHECK(name != "__metadata__", path,
                ": no tensor can be named __metadata__ in a safetensors file");
    by_size.emplace_back(name, to_device(tensor, {}).to(MemoryFormat::contiguous));
  }
  std::sort(by_size.begin(), by_size.end(), [](const auto& a, const auto& b) {
    const int64_t size_a = size_of(a.second.dtype()), size_b = size_of(b.second.dtype());
    return size_a != size_b ? size_a > size_b : a.first < b.first;
  });
  nlohmann::json header = nlohmann::json::object();  // a sorted map
  TensorSums sums;
  int64_t position = 0;
  std::vector<std::span<const std::byte>> parts(1);
  for (const auto& [name, tensor] : by_size) {
    const std::vector<int64_t> extents(tensor.shape().begin(), tensor.shape().end());
    const int64_t end = checked_add(position, tensor.bytes());
    header[name] = {{"dtype", type_name(tensor.dtype())},
                    {"shape", extents},
                    {"data_offsets", {position, end}}};
    position = end;
    parts.push_back(bytes_of(tensor));
    sums[name] = tensor_sum(name, type_name(tensor.dtype()), extents, parts.back());
  }
  std::string text;
  try {
    Metadata with_sums = metadata;
    put_sums(with_sums, sums);
    header["__metadata__"] = with_sums;
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    bad_input(path, ": a name or the metadata is not valid UTF-8");
  }
  text.resize(static_cast<size_t>(round_up(static_cast<int64_t>(text.size()), 8)), ' ');
  const uint64_t length = text.size();
  GRAFT_CHECK(static_cast<int64_t>(length) <= ReadLimits{}.safetensors_header_bytes, path,
              ": the header would have ", length, " bytes, more than the format allows");
  text.insert(0, reinterpret_cast<const char*>(&length), sizeof(length));
  parts[0] = std::as_bytes(std::span(text));
  write_file_atomically(path, parts);
}

}  // namespace graft::io
