// Files whose names say their labels or their part, by regular expressions of the user's.
#include <map>
#include <optional>
#include <regex>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/class_names.h"
#include "graft/io/datasets/file_dataset.h"
#include "graft/io/datasets/sources.h"
#include "graft/io/datasets/texts.h"

namespace graft::io {
namespace {

constexpr size_t kLongestName = 1000;  // std::regex recurses over what it searches

std::regex pattern_of(const std::string& text, const char* flag) {
  GRAFT_CHECK(text.size() <= kLongestName, flag, ": the pattern has ", text.size(), " letters");
  try {
    return std::regex(text, std::regex::ECMAScript);
  } catch (const std::regex_error&) {
    bad_input(flag, ": '", text, "' is no regular expression (ECMAScript)");
  }
}

// What the pattern finds in a name: its first group, or where it has none the match; nothing where
// it is not found.
std::optional<std::string> found_in(const std::string& name, const std::regex& pattern,
                                    const char* flag) {
  if (name.size() > kLongestName) return std::nullopt;
  std::smatch match;
  try {
    if (!std::regex_search(name, match, pattern)) return std::nullopt;
  } catch (const std::regex_error&) {
    bad_input(flag, ": the pattern is too costly to search for in ", name);
  }
  return match.size() > 1 ? match[1].str() : match[0].str();
}

// "train/a.wav" of "data/train/a.wav" in "data".
std::string below(const std::string& name, const std::string& folder) {
  const std::string start = folder.ends_with('/') ? folder : folder + "/";
  return name.starts_with(start) ? name.substr(start.size()) : name;
}

using NamedFile = std::pair<ImageFile*, std::string>;

// What is found is the text, not a label.
DataParts named_texts(std::vector<NamedFile> named, DataParts parts) {
  std::vector<LabelledFile> files;
  for (auto& [file, text] : named) {
    files.push_back({std::move(file->path), std::move(file->short_name)});
    files.back().text = clean_text(text, files.back().path);
  }
  parts.answers = AnswerKind::text;
  parts.notes.push_back(str("texts from the files' names: ", files.front().text.value_or(""),
                            " of ", files.front().short_name, " and so on"));
  parts.train = text_part(std::move(files), parts.files);
  return parts;
}

}  // namespace

DataParts read_named_files(const std::string& path, const std::string& label_pattern,
                           const PartsWanted& wanted) {
  const std::regex pattern = pattern_of(label_pattern, "--label-pattern");
  DataParts parts{.files = wanted.files};
  std::vector<ImageFile> found;
  find_files(path, "", wanted.files, found, parts.passed_over);
  std::map<std::string, int64_t> labels;
  std::vector<NamedFile> labelled;
  std::string first_without;
  for (ImageFile& file : found) {
    const auto label = found_in(file.short_name, pattern, "--label-pattern");
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
  if (wanted.answers == AnswerKind::text) return named_texts(std::move(labelled), std::move(parts));
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
  const std::regex pattern = pattern_of(text, "--val-pattern");
  GRAFT_CHECK(!data.val, path, ": has a validation part; --val-pattern is for data without one");
  std::vector<int64_t> rest, held;
  for (int64_t i = 0; i < data.train->size(); ++i)
    (found_in(below(data.train->name(i), path), pattern, "--val-pattern") ? held : rest)
        .push_back(i);
  GRAFT_CHECK(!held.empty() && !rest.empty(), path, ": --val-pattern ", text, " is found in ",
              held.empty() ? "none" : "all", " of the ", data.train->size(), " ", data.files.many);
  data.val = subset(data.train, held);
  data.train = subset(data.train, rest);
  data.notes.push_back(str("the ", held.size(), " ", data.files.many,
                           " whose names have --val-pattern are the validation part"));
}

}  // namespace graft::io
