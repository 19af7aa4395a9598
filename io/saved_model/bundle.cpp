#include "graft/io/saved_model/bundle.h"

#include <algorithm>

#include "graft/core/base/crc32c.h"
#include "graft/io/saved_model/proto.h"

namespace graft::io::saved_model {
namespace {

// https://github.com/google/leveldb/blob/main/doc/table_format.md
constexpr uint64_t kTableMagic = 0xdb4775248b80fb57;
constexpr size_t kFooterBytes = 48, kTrailerBytes = 5;
constexpr int64_t kMostIndexBytes = int64_t{256} << 20, kMostShards = 10'000;

uint32_t masked(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8u; }

uint64_t take_number(Bytes& from) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    GRAFT_CHECK(!from.empty(), "its table is damaged: a number is cut off");
    const auto byte = std::to_integer<uint64_t>(from[0]);
    from = from.subspan(1);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  bad_input("its table is damaged: a number of more than ten bytes");
}

Bytes take_bytes(Bytes& from, uint64_t count) {
  GRAFT_CHECK(count <= from.size(), "its table is damaged: ", count, " bytes wanted of ",
              from.size());
  const Bytes part = from.first(count);
  from = from.subspan(count);
  return part;
}

std::string text_of_bytes(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The block that a handle (offset, size) stands for, its checksum checked.
Bytes block_at(Bytes table, Bytes& handle) {
  const uint64_t offset = take_number(handle), size = take_number(handle);
  GRAFT_CHECK(offset <= table.size() && size <= table.size() - offset &&
                  table.size() - offset - size >= kTrailerBytes,
              "its table is damaged: a block at ", offset, " of ", size, " bytes");
  const Bytes with_type = table.subspan(offset, size + 1),
              trailer = table.subspan(offset + size, kTrailerBytes);
  GRAFT_CHECK(trailer[0] == std::byte{0}, "its table is compressed, which graft does not read");
  GRAFT_CHECK(load<uint32_t>(trailer.subspan(1)) == masked(crc32c(with_type)),
              "its table is damaged: the checksum of the block at ", offset, " is wrong");
  return table.subspan(offset, size);
}

// Each key and value of a block, in order.
template <class Use>
void each_entry(Bytes block, const Use& use) {
  GRAFT_CHECK(block.size() >= 4, "its table is damaged: a block of ", block.size(), " bytes");
  const uint64_t restarts = load<uint32_t>(block.last(4));
  GRAFT_CHECK(restarts <= (block.size() - 4) / 4, "its table is damaged: ", restarts,
              " restarts in a block");
  Bytes rest = block.first(block.size() - 4 - restarts * 4);
  std::string key;
  while (!rest.empty()) {
    const uint64_t shared = take_number(rest), own = take_number(rest), size = take_number(rest);
    GRAFT_CHECK(shared <= key.size() && own <= 65'536, "its table is damaged: a key");
    key.resize(shared);
    key += text_of_bytes(take_bytes(rest, own));
    use(key, take_bytes(rest, size));
  }
}

BundleEntry read_entry(Bytes message) {
  BundleEntry entry;
  for (WireReader reader(message); reader.next();) switch (reader.field()) {
      case 1: entry.type = reader.integer(); break;
      case 2: entry.dims = read_proto_shape(reader.bytes()).dims; break;
      case 3: entry.shard = reader.integer(); break;
      case 4: entry.offset = reader.integer(); break;
      case 5: entry.size = reader.integer(); break;
      case 6: reader.fixed<uint32_t>([&](uint32_t crc) { entry.crc = crc; }); break;
      case 7: entry.sliced = true; break;
      default: break;
    }
  return entry;
}

void read_header(Bytes message, BundleIndex& index) {
  for (WireReader reader(message); reader.next();) {
    if (reader.field() == 1) index.shards = reader.integer();
    if (reader.field() == 2)
      GRAFT_CHECK(reader.integer() == 0, "was written by a big-endian machine");
  }
  GRAFT_CHECK(index.shards >= 1 && index.shards <= kMostShards, "stands in ", index.shards,
              " files");
}

std::string shard_path(const std::string& prefix, int64_t shard, int64_t shards) {
  const auto padded = [](int64_t n) {
    const std::string digits = str(n);
    return std::string(5 - std::min<size_t>(digits.size(), 5), '0') + digits;
  };
  return str(prefix, ".data-", padded(shard), "-of-", padded(shards));
}

class BundleReader {
 public:
  BundleReader(const std::string& prefix, const BundleIndex& index, const ReadLimits& limits)
      : prefix_(prefix), index_(index), limits_(limits) {}

  Tensor read(const BundleEntry& entry) {
    const auto type = stored_type_of(entry.type);
    GRAFT_CHECK(type, "its elements are of TensorFlow's type ", entry.type,
                ", which graft does not have");
    GRAFT_CHECK(!entry.sliced, "is stored in slices, which graft does not read");
    GRAFT_CHECK(entry.shard >= 0 && entry.shard < index_.shards, "stands in file ", entry.shard,
                " of ", index_.shards);
    const Shape shape = checked_shape(entry.dims, limits_);
    GRAFT_CHECK(entry.offset >= 0 && entry.size == checked_mul(shape.numel(), stored_size(*type)),
                "its shape ", shape, " does not fit its ", entry.size, " bytes");
    auto& file = files_[entry.shard];
    if (!file) file = file_system().open_read(shard_path(prefix_, entry.shard, index_.shards));
    GRAFT_CHECK(entry.offset <= file->size() && entry.size <= file->size() - entry.offset,
                "lies outside of ", file->path());
    return read_elements(*type, shape, [&](std::span<std::byte> out) {
      file->read_at(entry.offset, out);
      GRAFT_CHECK(masked(crc32c(out)) == entry.crc, "is damaged: its checksum is wrong");
    });
  }

 private:
  const std::string& prefix_;
  const BundleIndex& index_;
  const ReadLimits& limits_;
  std::map<int64_t, std::unique_ptr<File>> files_;
};

}  // namespace

BundleIndex parse_bundle_index(std::span<const std::byte> bytes, const ReadLimits& limits) {
  GRAFT_CHECK(bytes.size() >= kFooterBytes, "is truncated: ", bytes.size(), " bytes");
  Bytes footer = bytes.last(kFooterBytes);
  GRAFT_CHECK(load<uint64_t>(footer.last(8)) == kTableMagic,
              "is no index of a checkpoint, or its end is damaged");
  take_number(footer);  // of the block of filters
  take_number(footer);
  MemoryBudget budget(std::ssize(bytes));
  BundleIndex index;
  bool has_header = false;
  each_entry(block_at(bytes, footer), [&](const std::string&, Bytes handle) {
    each_entry(block_at(bytes, handle), [&](const std::string& key, Bytes value) {
      budget.charge(std::ssize(key) + static_cast<int64_t>(sizeof(BundleEntry)) + 128);
      GRAFT_CHECK(std::ssize(key) <= limits.name_bytes, "a name of ", key.size(), " bytes");
      GRAFT_CHECK(std::ssize(index.entries) < limits.tensors, "holds more than ", limits.tensors,
                  " tensors");
      if (key.empty()) {
        read_header(value, index);
        has_header = true;
      } else {
        index.entries[key] = read_entry(value);
      }
    });
  });
  GRAFT_CHECK(has_header, "is no index of a checkpoint: it has no header");
  return index;
}

StateDict read_bundle(const std::string& prefix, const std::vector<std::string>& keys,
                      const ReadLimits& limits, std::vector<std::string>& notes) {
  const std::string path = prefix + ".index";
  const std::vector<std::byte> bytes = read_file(path, kMostIndexBytes);
  const BundleIndex index = in_context(path, [&] { return parse_bundle_index(bytes, limits); });
  BundleReader reader(prefix, index, limits);
  StateDict tensors;
  int64_t widened_tensors = 0;
  for (const std::string& key : keys) {
    const auto found = index.entries.find(key);
    if (found == index.entries.end() || tensors.contains(key)) continue;
    const auto type = stored_type_of(found->second.type);
    if (!type) continue;  // texts: the description of Python's objects
    widened_tensors += is_widened(*type);
    in_context(str(path, ": variable '", key, "'"),
               [&] { tensors.add(key, reader.read(found->second)); });
  }
  if (widened_tensors > 0) notes.push_back(widened_note(widened_tensors));
  return tensors;
}

}  // namespace graft::io::saved_model
