// PyTorch's two file formats: a zip archive (since 1.6) and a row of pickles followed by raw
// storages (before). Layout: torch/serialization.py, _save and _legacy_save.
#include <algorithm>
#include <set>

#include "graft/io/checksums.h"
#include "graft/io/weights/formats.h"
#include "graft/io/weights/pytorch_tensors.h"
#include "graft/io/weights/zip.h"

namespace graft::io {
namespace {

// One pickle from byte `offset` on. The buffer grows until the pickle ends, so that a large file is
// not read twice.
struct LoadedPickle {
  std::vector<std::byte> bytes;
  Pickle pickle;
};

LoadedPickle load_pickle(File& file, int64_t offset, int64_t available, const ReadLimits& limits) {
  LoadedPickle result;
  const int64_t most = std::min(available, limits.pickle_bytes);
  for (int64_t count = std::min<int64_t>(most, 1 << 20);; count = std::min(most, count * 4)) {
    result.bytes.resize(static_cast<size_t>(count));
    if (count > 0) file.read_at(offset, result.bytes);
    MemoryBudget budget(count);
    if (auto pickle = parse_pickle(result.bytes, limits, budget)) {
      result.pickle = std::move(*pickle);
      return result;
    }
    GRAFT_CHECK(count < available, "is truncated inside a pickle");
    GRAFT_CHECK(count < most, "its pickle has more than ", limits.pickle_bytes, " bytes");
  }
}

const ZipMember* find_member(const std::vector<ZipMember>& members, const std::string& name) {
  for (const ZipMember& member : members)
    if (member.name == name) return &member;
  return nullptr;
}

WeightFile read_zip_checked(File& file, const ReadLimits& limits) {
  const std::vector<ZipMember> members = read_zip_directory(file, limits);
  const ZipMember* data = nullptr;
  for (const ZipMember& member : members) {
    const bool is_data =
        member.name == "data.pkl" || (member.name.ends_with("/data.pkl") &&
                                      std::count(member.name.begin(), member.name.end(), '/') == 1);
    GRAFT_CHECK(!is_data || data == nullptr, "has two data.pkl members");
    if (is_data) data = &member;
  }
  GRAFT_CHECK(data != nullptr, "has no data.pkl, so it is not a PyTorch file");
  const std::string root = data->name.substr(0, data->name.size() - 8);
  WeightFile result;
  result.path = file.path();
  result.format = "pytorch-zip";
  std::map<std::string, StorageRecord, std::less<>> storages;
  std::vector<std::string> code;
  for (const ZipMember& member : members) {
    if (member.name.starts_with(root + "code/") && code.empty())
      code.push_back("a TorchScript program");
    if (&member != data && !member.name.starts_with(root + "data/")) continue;
    GRAFT_CHECK(!member.deflated, "the zip member '", member.name,
                "' is compressed, which PyTorch files are not");
    if (member.name.starts_with(root + "data/"))
      storages[member.name.substr(root.size() + 5)] = {member.data_offset, member.size};
  }
  if (const ZipMember* order = find_member(members, root + "byteorder")) {
    std::string text(static_cast<size_t>(std::min<int64_t>(order->size, 16)), '\0');
    file.read_at(order->data_offset, std::as_writable_bytes(std::span(text)));
    GRAFT_CHECK(text == "little", "was written on a big-endian machine, which is not supported");
  }
  for (const ZipMember& member : members) {
    const bool checked = verifies_checksums && member.crc != 0 &&
                         !member.deflated;  // torch can be told to leave checksums out
    GRAFT_CHECK(!checked || crc_of_range(file, member.data_offset, member.size) == member.crc,
                "the zip member '", member.name, "' is damaged: its checksum differs");
  }
  const LoadedPickle loaded = load_pickle(file, data->data_offset, data->size, limits);
  collect_tensors({loaded.pickle, storages, file, limits, code}, result);
  return result;
}

constexpr std::string_view legacy_magic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19",
                                        10);  // torch's MAGIC_NUMBER
constexpr int64_t legacy_protocol = 1001;

// The list of storage keys, then per storage its number of elements and the elements.
std::map<std::string, StorageRecord, std::less<>> read_legacy_storages(File& file, int64_t position,
                                                                       const Pickle& object,
                                                                       const ReadLimits& limits) {
  std::map<std::string_view, StorageUse> uses;
  for (const PickleValue& value : object.values) {
    if (value.kind != PickleKind::storage) continue;
    const StorageUse use = storage_use(object, value);
    const StorageUse& first = uses.emplace(use.key, use).first->second;
    GRAFT_CHECK(first.type == use.type && first.numel == use.numel,
                "describes a storage in two ways");
  }
  const LoadedPickle loaded = load_pickle(file, position, file.size() - position, limits);
  const PickleValue& keys = loaded.pickle.at(loaded.pickle.root);
  GRAFT_CHECK(keys.kind == PickleKind::list, "is damaged: the list of storages is missing");
  position += loaded.pickle.bytes;
  std::map<std::string, StorageRecord, std::less<>> storages;
  for (const uint32_t index : keys.items) {
    const PickleValue& key = loaded.pickle.at(index);
    const auto use = key.kind == PickleKind::text ? uses.find(key.text) : uses.end();
    GRAFT_CHECK(use != uses.end(), "is damaged: it lists a storage that no tensor uses");
    std::array<std::byte, 8> count;
    GRAFT_CHECK(position <= file.size() - 8, "is truncated before storage '",
                key.text.substr(0, 100), "'");
    file.read_at(position, count);
    GRAFT_CHECK(load<int64_t>(count) == use->second.numel, "storage '", key.text.substr(0, 100),
                "' should have ", use->second.numel, " elements, the file has ",
                load<int64_t>(count));
    position += 8;
    const int64_t bytes = checked_mul(use->second.numel, stored_size(use->second.type));
    GRAFT_CHECK(bytes <= file.size() - position, "is truncated inside storage '",
                key.text.substr(0, 100), "'");
    GRAFT_CHECK(storages.emplace(std::string(key.text), StorageRecord{position, bytes}).second,
                "is damaged: it lists a storage twice");
    position += bytes;
  }
  GRAFT_CHECK(position == file.size(), "has ", file.size() - position,
              " bytes after its last tensor");
  return storages;
}

WeightFile read_legacy_checked(File& file, const ReadLimits& limits) {
  const int64_t size = file.size();
  int64_t position = 0;
  const auto next = [&] {
    LoadedPickle loaded = load_pickle(file, position, size - position, limits);
    position += loaded.pickle.bytes;
    return loaded;
  };
  {
    const LoadedPickle magic = next();
    const PickleValue& value = magic.pickle.at(magic.pickle.root);
    const bool has_arrays =
        std::any_of(magic.pickle.values.begin(), magic.pickle.values.end(),
                    [](const PickleValue& v) { return v.kind == PickleKind::array; });
    if (has_arrays && magic.pickle.bytes == size) {
      WeightFile arrays;
      arrays.path = file.path();
      arrays.format = "pickle";
      const std::map<std::string, StorageRecord, std::less<>> none;
      collect_tensors({magic.pickle, none, file, limits}, arrays);
      return arrays;
    }
    GRAFT_CHECK(
        value.kind == PickleKind::big_integer && value.text == legacy_magic,
        "is a Python pickle, but not one that torch.save wrote",
        magic.pickle.foreign.empty() ? "" : "; it contains code: ", names_of_code(magic.pickle),
        magic.pickle.foreign.empty() ? "" : ", which graft does not run");
  }
  {
    const LoadedPickle protocol = next();
    const PickleValue& value = protocol.pickle.at(protocol.pickle.root);
    GRAFT_CHECK(value.kind == PickleKind::integer && value.integer == legacy_protocol,
                "has an unknown PyTorch protocol");
  }
  {
    const LoadedPickle system = next();
    const PickleValue* little =
        system.pickle.find(system.pickle.at(system.pickle.root), "little_endian");
    GRAFT_CHECK(little == nullptr || (little->kind == PickleKind::boolean && little->integer == 1),
                "was written on a big-endian machine, which is not supported");
  }
  const LoadedPickle object = next();
  WeightFile result;
  result.path = file.path();
  result.format = "pytorch-legacy";
  const auto storages = read_legacy_storages(file, position, object.pickle, limits);
  collect_tensors({object.pickle, storages, file, limits}, result);
  return result;
}

}  // namespace

WeightFile read_pytorch_zip(File& file, const ReadLimits& limits) {
  return in_context(file.path(), [&] { return read_zip_checked(file, limits); });
}

WeightFile read_pytorch_legacy(File& file, const ReadLimits& limits) {
  return in_context(file.path(), [&] { return read_legacy_checked(file, limits); });
}

}  // namespace graft::io
