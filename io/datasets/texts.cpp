#include "graft/io/datasets/texts.h"

#include <algorithm>
#include <map>
#include <set>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/base/printable.h"
#include "graft/io/datasets/class_names.h"
#include "graft/io/datasets/image_files.h"
#include "graft/io/datasets/part_folders.h"

namespace graft::io {
namespace {

struct TextFile {
  ImageFile file;
  std::string text_path;  // "": there is none
};

std::string beside(const std::string& path) {
  const std::string extension = lower_extension(path);
  return path.substr(0, path.size() - extension.size()) + ".txt";
}

std::vector<TextFile> files_with_texts(const std::string& path, const FileKind& kind,
                                       PassedOver& passed_over) {
  std::vector<ImageFile> found;
  find_files(path, "", kind, found, passed_over);
  std::vector<TextFile> files;
  for (ImageFile& file : found) {
    std::string text = beside(file.path);
    if (!file_system().exists(text)) text.clear();
    files.push_back({std::move(file), std::move(text)});
  }
  return files;
}

int64_t texts_among(const std::vector<TextFile>& files) {
  return std::count_if(files.begin(), files.end(),
                       [](const TextFile& own) { return !own.text_path.empty(); });
}

// The part that the first folder of a name says: "train/a.wav".
PartRole role_of_name(const std::string& short_name) {
  const size_t slash = short_name.find('/');
  return slash == std::string::npos ? PartRole::none : part_role(short_name.substr(0, slash));
}

// The texts themselves are no files that were passed over.
void forget_texts(int64_t count, PassedOver& passed_over) {
  const auto at = passed_over.counts.find(".txt");
  if (at == passed_over.counts.end()) return;
  at->second -= count;
  if (at->second <= 0) passed_over.counts.erase(at);
}

}  // namespace

std::vector<std::string> characters_of(const std::string& text) {
  std::vector<std::string> characters;
  for (const char byte : text)
    if ((static_cast<unsigned char>(byte) & 0xc0) == 0x80 && !characters.empty())
      characters.back() += byte;
    else
      characters.emplace_back(1, byte);
  return characters;
}

std::string clean_text(const std::string& text, const std::string& what) {
  GRAFT_CHECK(std::ssize(text) <= kLongestText, what, ": the text has ", text.size(),
              " bytes, more than ", kLongestText);
  GRAFT_CHECK(is_utf8(text), what, ": the text is not UTF-8: ", printable(text.substr(0, 60)));
  std::string clean;
  for (const char byte : composed(text)) {
    const bool is_blank = byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
    GRAFT_CHECK(is_blank || (static_cast<unsigned char>(byte) >= 0x20 && byte != 0x7f), what,
                ": the text holds a control character: ", printable(text.substr(0, 60)));
    if (!is_blank)
      clean += byte;
    else if (!clean.empty() && clean.back() != ' ')
      clean += ' ';
  }
  if (clean.ends_with(' ')) clean.pop_back();
  return clean;
}

DataPart text_part(std::vector<LabelledFile> files, const FileKind& kind) {
  DataPart part;
  std::map<std::string, int64_t> place;
  for (const LabelledFile& file : files)
    for (std::string& character : characters_of(file.text.value_or("")))
      place.emplace(std::move(character), 0);
  for (auto& [character, number] : place) {
    number = std::ssize(part.classes);
    part.classes.push_back(character);
  }
  for (LabelledFile& file : files) {
    std::set<int64_t> labels;
    for (const std::string& character : characters_of(file.text.value_or("")))
      labels.insert(place.at(character));
    file.labels.emplace(labels.begin(), labels.end());
  }
  part.dataset = file_dataset(std::move(files), kind);
  return part;
}

std::string why_texts(const std::string& path, const FileKind& kind) {
  PassedOver ignored;
  const std::vector<TextFile> files = files_with_texts(path, kind, ignored);
  const int64_t with = texts_among(files);
  if (with == 0 || 2 * with < std::ssize(files)) return "";
  return str(with, " of its ", files.size(), " ", kind.many, " have a text beside them (.txt)");
}

DataParts read_text_folder(const std::string& path, const PartsWanted& wanted) {
  DataParts parts{.files = wanted.files, .answers = AnswerKind::text};
  const std::vector<TextFile> found = files_with_texts(path, wanted.files, parts.passed_over);
  const int64_t with = texts_among(found);
  GRAFT_CHECK(with > 0, path, ": none of its ", found.size(), " ", wanted.files.many,
              " has a text beside it (NAME.txt)");
  forget_texts(with, parts.passed_over);
  std::map<PartRole, std::vector<LabelledFile>> files;
  std::map<PartRole, std::string> names;
  std::string first_without;
  for (const TextFile& own : found) {
    if (own.text_path.empty()) {
      if (first_without.empty()) first_without = own.file.short_name;
      continue;
    }
    LabelledFile file{own.file.path, own.file.short_name};
    file.text = clean_text(read_text_file(own.text_path, 4 * kLongestText), own.text_path);
    const PartRole role = role_of_name(own.file.short_name);
    if (role != PartRole::none)
      names.emplace(role, own.file.short_name.substr(0, own.file.short_name.find('/')));
    files[role].push_back(std::move(file));
  }
  if (!first_without.empty())
    parts.notes.push_back(str(std::ssize(found) - with, " of ", found.size(), " ",
                              wanted.files.many,
                              " have no text beside them and are left out; the "
                              "first is ",
                              first_without));
  // Without a training part all are one, whatever their folders are called.
  if (files[PartRole::train].empty()) {
    std::vector<LabelledFile>& train = files[PartRole::train];
    train = std::move(files[PartRole::none]);
    files.erase(PartRole::none);
    names.erase(PartRole::train);
  }
  if (const auto other = files.find(PartRole::none); other != files.end())
    parts.notes.push_back(str(path, ": ", other->second.size(), " ", wanted.files.many,
                              " stand beside the parts and are not read"));
  const auto take = [&](PartRole role) {
    if (files[role].empty()) return DataPart();
    DataPart part = text_part(std::move(files[role]), wanted.files);
    part.name = names[role];
    return part;
  };
  parts.val = take(PartRole::val);
  parts.test = take(PartRole::test);
  if (wanted.need_train || (!parts.val.dataset && !parts.test.dataset))
    parts.train = take(PartRole::train);
  return parts;
}

}  // namespace graft::io
