// A folder of class folders, as torchvision's ImageFolder reads it, with or without folders of
// parts (train, val, test) above them.
#include <algorithm>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/class_names.h"
#include "graft/io/datasets/file_dataset.h"
#include "graft/io/datasets/image_files.h"
#include "graft/io/datasets/part_folders.h"
#include "graft/io/datasets/sources.h"

namespace graft::io {
namespace {

std::vector<std::string> folders_in(const std::string& path) {
  std::vector<std::string> names;
  for (const DirectoryEntry& entry : file_system().list(path))
    if (entry.is_directory && !is_litter_folder(entry.name)) names.push_back(entry.name);
  return names;
}

bool holds_samples(const std::string& path, const FileKind& kind) {
  for (const DirectoryEntry& entry : file_system().list(path))
    if (entry.is_regular && entry.name[0] != '.' && kind.takes(entry.name)) return true;
  return false;
}

// What may have been a class or a part, and cannot be reached: a link whose disk is not there.
void doubt_unreachable(const std::string& path, std::vector<std::string>& doubts) {
  for (const DirectoryEntry& entry : file_system().list(path))
    if (!entry.unreachable.empty() && entry.name[0] != '.')
      doubts.push_back(str(join_path(path, entry.name), ": ", entry.unreachable,
                           ", so that nothing of it is read"));
}

// The samples of one class folder, all bearing `label`. False: the folder is empty.
bool read_class(const std::string& path, const std::string& name, int64_t label,
                std::vector<LabelledFile>& files, DataParts& parts) {
  std::vector<ImageFile> samples;
  PassedOver here;
  find_files(join_path(path, name), name, parts.files, samples, here);
  parts.passed_over.add(here);
  if (samples.empty()) {
    PassedOver loss = here;  // files that may be photos, in formats that are not read
    std::erase_if(loss.counts, [](const auto& entry) {
      return entry.first.ends_with("/") || entry.first == "hidden" || entry.first == "Thumbs.db" ||
             entry.first == "desktop.ini";
    });
    GRAFT_CHECK(loss.empty(), join_path(path, name), ": the class folder holds no ",
                parts.files.many, " that graft reads, but ", loss.to_text());
    return false;
  }
  for (ImageFile& sample : samples)
    files.push_back({std::move(sample.path), std::move(sample.short_name), label});
  return true;
}

DataPart read_part(const std::string& path, size_t least_classes, DataParts& parts) {
  DataPart part;
  std::vector<LabelledFile> files;
  std::vector<std::string> empty;
  count_beside_folders(path, parts.passed_over, parts.files);
  doubt_unreachable(path, parts.doubts);
  for (const std::string& name : folders_in(path)) {
    if (read_class(path, name, std::ssize(part.classes), files, parts))
      part.classes.push_back(name);
    else
      empty.push_back(name);
  }
  const std::string found = empty.empty()
                                ? std::string()
                                : str(" with ", parts.files.many, "; empty: ", short_list(empty));
  GRAFT_CHECK(part.classes.size() >= least_classes, path,
              ": a folder of class folders is needed (at least ",
              least_classes == 1 ? "one" : "two", "), it has ", part.classes.size(), found);
  if (!empty.empty())
    parts.notes.push_back(
        str(path, ": without ", parts.files.many, ", so no class: ", short_list(empty)));
  part.dataset = file_dataset(std::move(files), parts.files);
  return part;
}

// Archives unpack into one folder more: down to the first that holds more than one.
std::string unwrapped(std::string path, DataParts& parts) {
  for (int depth = 0; depth < 4; ++depth) {
    const auto folders = folders_in(path);
    if (folders.size() != 1 || part_role(folders[0]) != PartRole::none ||
        holds_samples(path, parts.files))
      break;
    const std::string inner = join_path(path, folders[0]);
    if (holds_samples(inner, parts.files) || folders_in(inner).empty()) break;
    parts.notes.push_back(str(path, " holds one folder only: ", folders[0], "/ is read"));
    count_beside_folders(path, parts.passed_over, parts.files);
    path = inner;
  }
  return path;
}

// Folders that all hold the same folders (two or more) and no samples are parts under other names.
std::vector<std::string> shared_folders(const std::string& path,
                                        const std::vector<std::string>& folders,
                                        const FileKind& kind) {
  std::vector<std::string> shared;
  for (size_t i = 0; i < folders.size(); ++i) {
    const std::string folder = join_path(path, folders[i]);
    const auto inner = folders_in(folder);
    if (inner.size() < 2 || holds_samples(folder, kind) || (i > 0 && inner != shared)) return {};
    shared = inner;
  }
  return folders.size() >= 2 ? shared : std::vector<std::string>();
}

// No part folders, or names that may be classes': what speaks against reading all as classes.
void doubt_classes(const std::string& path, const std::vector<std::string>& folders,
                   DataParts& parts) {
  const bool has_part_name = std::any_of(folders.begin(), folders.end(), [](const auto& name) {
    return part_role(name) != PartRole::none;
  });
  const auto shared = shared_folders(path, folders, parts.files);
  const std::string like_parts =
      shared.empty() ? std::string()
                     : str("its folders (", short_list(folders), ") all hold the same folders (",
                           short_list(shared), ")");
  GRAFT_CHECK(shared.empty() || !has_part_name, path, ": ", like_parts,
              ": these look like parts, not classes; name them train/ and val/, or give --data and "
              "--val");
  if (!shared.empty())
    parts.doubts.push_back(
        str(path, ": ", like_parts, ": if these are parts, name them train/ and val/"));
  else if (has_part_name)
    for (const std::string& name : folders)
      if (part_role(name) != PartRole::none)
        parts.doubts.push_back(
            str(path, ": ", name, "/ is named like a part of a data set, and is read as a class"));
}

bool are_parts(const std::string& path, const PartFolders& found, const FileKind& kind) {
  if (found.train.empty()) {
    const int named = !found.val.empty() + !found.test.empty();
    return named > 0 && found.others.empty();
  }
  if (!found.val.empty() || !found.test.empty()) return true;
  const std::string train = join_path(path, found.train);
  if (folders_in(train).empty() || holds_samples(train, kind)) return false;
  return std::all_of(found.others.begin(), found.others.end(), [&](const std::string& name) {
    std::vector<ImageFile> samples;
    PassedOver ignored;
    find_files(join_path(path, name), "", kind, samples, ignored);
    return samples.empty();
  });
}

// A test part without labels is no part of the work.
bool is_unlabelled(const std::string& folder, const FileKind& kind) {
  return folders_in(folder).empty() ||
         (holds_samples(folder, kind) && folders_in(folder).size() < 2);
}

}  // namespace

DataParts read_folder(const std::string& given, const PartsWanted& wanted) {
  DataParts parts{.files = wanted.files};
  const std::string path = unwrapped(given, parts);
  const auto least = static_cast<size_t>(wanted.need_train ? wanted.least_classes : 1);
  const auto folders = folders_in(path);
  PartFolders found;
  bool by_part = std::any_of(folders.begin(), folders.end(),
                             [](const auto& name) { return part_role(name) != PartRole::none; });
  if (by_part) {
    found = sort_parts(path, folders);
    by_part = are_parts(path, found, parts.files);
  }
  if (!by_part) {
    doubt_classes(path, folders, parts);
    parts.train = read_part(path, least, parts);
    return parts;
  }
  doubt_unreachable(path, parts.doubts);
  count_beside_folders(path, parts.passed_over, parts.files);
  for (const std::string& name : found.others)
    parts.notes.push_back(str(path, ": ", name, "/ stands beside the parts and is not read"));
  const auto part = [&](const std::string& name, size_t classes) {
    if (name.empty()) return DataPart();
    const std::string folder = join_path(path, name);
    if (name == found.test && is_unlabelled(folder, parts.files)) {
      parts.notes.push_back(str(folder,
                                ": has no class folders, so it is not read (graft predict "
                                "labels such ",
                                parts.files.is_images() ? "photos" : parts.files.many, ")"));
      return DataPart();
    }
    DataPart read = read_part(folder, classes, parts);
    read.name = name;
    return read;
  };
  parts.val = part(found.val, 1);
  parts.test = part(found.test, 1);
  if (wanted.need_train || (!parts.val.dataset && !parts.test.dataset))
    parts.train = part(found.train, least);
  return parts;
}

}  // namespace graft::io
