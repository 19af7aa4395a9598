// Files of texts, a text a line, each file a class: pos.txt and neg.txt, or reviews.pos and
// reviews.neg.
#include <algorithm>
#include <map>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/class_names.h"
#include "graft/io/datasets/file_dataset.h"
#include "graft/io/datasets/sources.h"
#include "graft/io/datasets/text_list.h"

namespace graft::io {
namespace {

constexpr int64_t kMostLineBytes = int64_t{256} << 20;  // of a file

// A class's name and its file's; none where the folder has another form.
std::map<std::string, std::string> classes_of_files(const std::string& folder) {
  std::map<std::string, std::vector<std::string>> by_stem;
  std::map<std::string, std::string> texts;
  for (const DirectoryEntry& entry : file_system().list(folder)) {
    if (entry.is_directory && !is_litter_folder(entry.name)) return {};
    const std::string extension = lower_extension(entry.name);
    if (!entry.is_regular || entry.name[0] == '.' || extension.size() < 2) continue;
    const std::string stem = entry.name.substr(0, entry.name.size() - extension.size());
    by_stem[stem].push_back(entry.name);
    if (extension == ".txt") texts[stem] = entry.name;
  }
  for (const auto& [stem, files] : by_stem) {
    if (files.size() < 2) continue;
    std::map<std::string, std::string> classes;
    for (const std::string& file : files) classes[file.substr(stem.size() + 1)] = file;
    return classes;
  }
  return texts.size() >= 2 ? texts : std::map<std::string, std::string>();
}

// The lines that are not blank.
void add_lines(const std::string& path, const std::string& file, int64_t label,
               std::vector<LabelledFile>& samples) {
  const std::string bytes = read_text_file(path, kMostLineBytes);
  for (NamedText& line : lines_of(bytes, path)) {
    LabelledFile sample{line.name, file + line.name.substr(path.size()), label};
    sample.text = std::move(line.text);
    samples.push_back(std::move(sample));
  }
}

}  // namespace

bool is_line_folder(const std::string& path) { return !classes_of_files(path).empty(); }

DataParts read_line_files(const std::string& path, const PartsWanted& wanted) {
  DataParts parts{.files = wanted.files};
  std::vector<LabelledFile> samples;
  for (const auto& [name, file] : classes_of_files(path)) {
    add_lines(join_path(path, file), file, std::ssize(parts.train.classes), samples);
    parts.train.classes.push_back(name);
  }
  parts.notes.push_back(
      str(path, ": a text a line, each file a class: ", short_list(parts.train.classes)));
  parts.train.dataset = file_dataset(std::move(samples), wanted.files);
  return parts;
}

}  // namespace graft::io
