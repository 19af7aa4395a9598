// Files whose names say their labels or their part, by regular expressions of the user's.
#include <map>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/class_names.h"
#include "graft/io/datasets/file_dataset.h"
#include "graft/io/datasets/name_pattern.h"
#include "graft/io/datasets/sources.h"

namespace graft::io {
namespace {

// "train/a.wav" of "data/train/a.wav" in "data".
std::string below(const std::string& name, const std::string& folder) {
  const std::string start = folder.ends_with('/') ? folder : folder + "/";
  return name.starts_with(start) ? name.substr(start.size()) : name;
}

}  // namespace

DataParts read_named_files(const std::string& path, const std::string& label_pattern,
                           const PartsWanted& wanted) {
  const NamePattern pattern("--label-pattern", label_pattern);
  DataParts parts{.files = wanted.files};
  std::vector<ImageFile> found;
  find_files(path, "", wanted.files, found, parts.passed_over);
  std::map<std::string, int64_t> labels;
  std::vector<std::pair<ImageFile*, std::string>> labelled;
  std::string first_without;
  for (ImageFile& file : found) {
    const auto label = pattern.find(file.short_name);
    if (!label || label->empty()) {
      if (first_without.empty()) first_without = file.short_name;
      continue;
    }
    labels.emplace(*label, 0);
    labelled.emplace_back(&file, *label);
  }
  GRAFT_CHECK(!labelled.empty(), path, ": --label-pattern ", label_pattern,
              " is found in none of the ", found.size(), " ", wanted.files.many, " below it",
              first_without.empty() ? "" : str("; the first is ", first_without));
  if (labelled.size() < found.size())
    parts.notes.push_back(
        str(found.size() - labelled.size(), " of ", found.size(), " ", wanted.files.many,
            " are left out: --label-pattern is not in their names; the first is ", first_without));
  for (auto& [label, number] : labels) {
    number = std::ssize(parts.train.classes);
    parts.train.classes.push_back(label);
  }
  GRAFT_CHECK(std::ssize(labels) >= wanted.least_classes || !wanted.need_train, path,
              ": --label-pattern ", label_pattern,
              " finds one label only: ", parts.train.classes.front());
  std::vector<LabelledFile> files;
  for (auto& [file, label] : labelled)
    files.push_back({std::move(file->path), std::move(file->short_name), labels.at(label)});
  parts.notes.push_back(str("labels from the files' names: ", short_list(parts.train.classes)));
  parts.train.dataset = file_dataset(std::move(files), wanted.files);
  return parts;
}

void split_by_name(OpenedData& data, const std::string& path, const std::string& text) {
  const NamePattern pattern("--val-pattern", text);
  GRAFT_CHECK(!data.val, path, ": has a validation part; --val-pattern is for data without one");
  std::vector<int64_t> rest, held;
  for (int64_t i = 0; i < data.train->size(); ++i)
    (pattern.find(below(data.train->name(i), path)) ? held : rest).push_back(i);
  GRAFT_CHECK(!held.empty() && !rest.empty(), path, ": --val-pattern ", text, " is found in ",
              held.empty() ? "none" : "all", " of the ", data.train->size(), " ", data.files.many);
  data.val = subset(data.train, held);
  data.train = subset(data.train, rest);
  data.notes.push_back(str("the ", held.size(), " ", data.files.many,
                           " whose names have --val-pattern are the validation part"));
}

}  // namespace graft::io
