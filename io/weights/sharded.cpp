#include "graft/io/weights/sharded.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/json.h"
#include "graft/io/weights/formats.h"

namespace graft::io {
namespace {

constexpr int64_t kMostIndexBytes = int64_t{64} << 20;
constexpr size_t kMostShards = 1000;

bool is_number(std::string_view text) {
  return text.size() == 5 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// Each tensor's shard.
std::map<std::string, std::string> read_map(const std::string& index) {
  const std::string text = read_text_file(index, kMostIndexBytes);
  check_json(text, index);
  try {
    const auto j = nlohmann::json::parse(text);
    GRAFT_CHECK(j.is_object() && j.contains("weight_map") && j["weight_map"].is_object(), index,
                ": is a JSON file, but no index of weights (it has no weight_map)");
    return j["weight_map"].get<std::map<std::string, std::string>>();
  } catch (const nlohmann::json::exception& error) {
    bad_input(index, ": cannot be read as an index of weights: ", error.what());
  }
}

}  // namespace

std::string weights_in_folder(const std::string& folder) {
  for (const char* name : {"model.safetensors.index.json", "model.safetensors",
                           "pytorch_model.bin.index.json", "pytorch_model.bin"})
    if (const std::string path = join_path(folder, name); file_system().exists(path)) return path;
  bad_input(folder,
            ": is a folder without model.safetensors, its index or pytorch_model.bin; name the "
            "file of weights");
}

std::string index_of_shard(const std::string& path) {
  const std::string name = file_name(path);
  const size_t dot = name.rfind('.'), of = name.rfind("-of-");
  if (dot == std::string::npos || of == std::string::npos || of < 6 || dot != of + 9 ||
      !is_number(std::string_view(name).substr(of - 5, 5)) ||
      !is_number(std::string_view(name).substr(of + 4, 5)))
    return "";
  const std::string index =
      join_path(parent_path(path), name.substr(0, of - 6) + name.substr(dot) + ".index.json");
  GRAFT_CHECK(file_system().exists(index), path, ": is shard ", name.substr(of - 5, 5), " of ",
              name.substr(of + 4, 5), ", and ", file_name(index),
              ", which says what the others hold, is not beside it");
  return index;
}

WeightFile read_shards(const std::string& index, const ReadLimits& limits) {
  const std::map<std::string, std::string> shard_of = read_map(index);
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : shard_of) shards.insert(shard);
  GRAFT_CHECK(!shards.empty() && shards.size() <= kMostShards, index, ": names ", shards.size(),
              " shards");
  WeightFile whole;
  whole.path = index;
  whole.roots = {""};
  for (const std::string& shard : shards) {
    // A name beside the index; Hugging Face's cache has links there, which are followed.
    GRAFT_CHECK(!shard.empty() && shard.find('/') == std::string::npos && shard != "..", index,
                ": its shard '", shard, "' is no name of a file beside it");
    const std::string path = join_path(parent_path(index), shard);
    GRAFT_CHECK(file_system().exists(path), index, ": its shard ", shard, " is not beside it");
    const auto file = file_system().open_read(path);
    WeightFile part = read_weights(*file, limits);
    whole.format = part.format;
    for (const auto& [name, tensor] : part.tensors) {
      GRAFT_CHECK(!whole.tensors.contains(name), index, ": the tensor '", name,
                  "' stands in two shards");
      whole.tensors.add(name, tensor);
    }
    for (std::string& note : part.notes)
      if (std::find(whole.notes.begin(), whole.notes.end(), note) == whole.notes.end())
        whole.notes.push_back(std::move(note));
  }
  for (const auto& [tensor, shard] : shard_of)
    GRAFT_CHECK(whole.tensors.contains(tensor), index, ": its tensor '", tensor, "' is not in ",
                shard);
  whole.notes.push_back(str("the weights stand in ", shards.size(), " shards"));
  return whole;
}

}  // namespace graft::io
