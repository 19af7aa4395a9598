#include "graft/io/datasets/part_folders.h"

#include <algorithm>
#include <array>

#include "graft/core/base/error.h"

namespace graft::io {
namespace {

std::string plain_form(const std::string& name) {
  std::string form;
  for (const char c : name) {
    if (c == '_' || c == '-' || c == ' ') continue;
    form += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  for (const std::string_view around : {"seg", "set", "images", "data"}) {
    if (form.size() > around.size() && form.ends_with(around))
      form.resize(form.size() - around.size());
    if (around == "seg" && form.size() > 3 && form.starts_with(around)) form.erase(0, 3);
  }
  return form;
}

}  // namespace

PartRole part_role(const std::string& folder_name) {
  const std::string form = plain_form(folder_name);
  const auto is = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), form) != names.end();
  };
  if (is({"train", "training"})) return PartRole::train;
  if (is({"val", "valid", "validation", "dev"})) return PartRole::val;
  if (is({"test", "testing"})) return PartRole::test;
  return PartRole::none;
}

PartFolders sort_parts(const std::string& path, const std::vector<std::string>& folders) {
  PartFolders parts;
  for (const std::string& name : folders) {
    const PartRole role = part_role(name);
    if (role == PartRole::none) {
      parts.others.push_back(name);
      continue;
    }
    std::string& place = role == PartRole::train ? parts.train
                         : role == PartRole::val ? parts.val
                                                 : parts.test;
    GRAFT_CHECK(place.empty(), path, ": ", place, "/ and ", name, "/ both look like its ",
                role == PartRole::train ? "training"
                : role == PartRole::val ? "validation"
                                        : "test",
                " part; name one of them otherwise or give --val");
    place = name;
  }
  return parts;
}

}  // namespace graft::io
