// Keras files: HDF5 through the reader that a program lends, and the .keras archive around it.
#include "graft/io/weights/hdf5.h"

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>

#include "graft/io/json.h"
#include "graft/io/weights/formats.h"
#include "graft/io/weights/stored_type.h"
#include "graft/io/weights/zip.h"

namespace graft::io {
namespace {

std::atomic<Hdf5Reader> lent_reader{nullptr};

constexpr int64_t kConfigBytes = 64 << 20, kMetadataBytes = 1 << 20;

std::vector<std::byte> unpacked(File& file, const std::vector<ZipMember>& members,
                                const std::string& name, int64_t limit) {
  for (const ZipMember& member : members) {
    if (member.name != name) continue;
    GRAFT_CHECK(member.size <= limit, "its ", name, " has ", member.size,
                " bytes, more than the limit of ", limit);
    std::vector<std::byte> bytes(static_cast<size_t>(member.size));
    ZipReader reader(file, member);
    reader.read(bytes);
    reader.finish();
    return bytes;
  }
  bad_input("has no ", name, ", so it is no Keras model");
}

// The version of Keras in an archive's metadata.json; "" where it does not say.
std::string version_of(File& file, const std::vector<ZipMember>& members) {
  const bool stands_there =
      std::any_of(members.begin(), members.end(),
                  [](const ZipMember& member) { return member.name == "metadata.json"; });
  if (!stands_there) return "";
  const auto bytes = unpacked(file, members, "metadata.json", kMetadataBytes);
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  check_json(text, "its metadata.json");
  const auto json = nlohmann::json::parse(text, nullptr, false);
  const auto version = json.is_object() ? json.find("keras_version") : json.end();
  return json.is_object() && version != json.end() && version->is_string()
             ? version->get<std::string>()
             : "";
}

}  // namespace

void set_hdf5_reader(Hdf5Reader reader) { lent_reader = reader; }

WeightFile read_hdf5(File& file, const ReadLimits& limits) {
  const Hdf5Reader reader = lent_reader;
  if (reader == nullptr)
    bad_input(file.path(),
              ": is an HDF5 file (Keras), which the graft command reads and the library does not: "
              "graft convert makes a .safetensors of it");
  WeightFile result = in_context(file.path(), [&] { return reader(file, limits); });
  result.path = file.path();
  result.format = "hdf5";
  result.roots = {""};
  return result;
}

WeightFile read_keras_archive(File& file, const ReadLimits& limits) {
  return in_context(file.path(), [&] {
    const auto members = read_zip_directory(file, limits);
    const auto config = unpacked(file, members, "config.json", kConfigBytes);
    const auto weights = unpacked(file, members, "model.weights.h5", limits.file_bytes);
    MemoryFile inner(file.path(), weights);
    WeightFile result = read_hdf5(inner, limits);
    result.format = "keras";
    result.metadata[kKerasConfigKey] =
        std::string(reinterpret_cast<const char*>(config.data()), config.size());
    if (const std::string version = version_of(file, members); !version.empty())
      result.metadata[kKerasVersionKey] = version;
    return result;
  });
}

}  // namespace graft::io
