// Folders of images with a file of boxes each, of the same name but for the extension: Pascal VOC's
// .xml, YOLO's .txt.
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/annotation_text.h"
#include "graft/io/datasets/box_sources.h"
#include "graft/io/datasets/class_names.h"
#include "graft/io/datasets/image_files.h"

namespace graft::io {
namespace {

constexpr int64_t kAnnotationLimit = int64_t{8} << 20, kYoloNamesLimit = int64_t{1} << 20;
constexpr int kMostFolders = 4;  // that archives wrap around a data set
constexpr const char* kLists = "ImageSets/Main";

bool is_called_as(const std::string& name, std::initializer_list<std::string_view> known) {
  std::string lower;
  for (const char c : name) lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return std::find(known.begin(), known.end(), lower) != known.end();
}
bool named_for_images(const std::string& name) {
  return is_called_as(name, {"images", "image", "imgs", "img", "jpegimages", "photos"});
}
bool named_for_annotations(const std::string& name) {
  return is_called_as(name, {"annotations", "annotation", "annots", "labels", "label", "xml",
                             "xmls", "bboxes", "boxes"});
}
// Not of an image.
bool is_other_text(const std::string& name) {
  return is_called_as(
      name, {"classes.txt", "names.txt", "train.txt", "val.txt", "test.txt", "trainval.txt",
             "readme.txt", "readme.roboflow.txt", "readme.dataset.txt", "notes.json"});
}

// Images and their boxes: in two folders, or in one.
struct BoxFolders {
  PartRole role = PartRole::train;
  std::string images{}, annotations{}, name{};
  std::string list{};  // a file of the names that belong to the part; "": all do
};

// The files of boxes below a folder, by their names without extension.
struct BoxFiles {
  std::string extension{};
  std::map<std::string, std::string> paths{};
};

void add_box_files(const std::string& folder, const std::string& below, BoxFiles& files) {
  for (const DirectoryEntry& entry : file_system().list(folder)) {
    const std::string name = below.empty() ? entry.name : join_path(below, entry.name);
    if (entry.is_directory && !is_litter_folder(entry.name)) {
      add_box_files(join_path(folder, entry.name), name, files);
    } else if (const std::string extension = lower_extension(entry.name);
               entry.is_regular && entry.name[0] != '.' &&
               (extension == ".xml" || (extension == ".txt" && !is_other_text(entry.name)))) {
      if (files.extension.empty()) files.extension = extension;
      if (extension == files.extension)
        files.paths.emplace(name.substr(0, name.size() - extension.size()),
                            join_path(folder, entry.name));
    }
  }
}

std::vector<std::string> names_of_folders(const std::string& path) {
  std::vector<std::string> names;
  for (const DirectoryEntry& entry : file_system().list(path))
    if (entry.is_directory && !is_litter_folder(entry.name)) names.push_back(entry.name);
  return names;
}

// Whether files of boxes stand in the folder itself.
bool has_box_files(const std::string& path) {
  for (const DirectoryEntry& entry : file_system().list(path))
    if (const std::string extension = lower_extension(entry.name);
        entry.is_regular &&
        (extension == ".xml" || (extension == ".txt" && !is_other_text(entry.name))))
      return true;
  return false;
}

// The folders of a part, or of all: side by side within `path`, or `path` itself.
bool find_folders(const std::string& path, BoxFolders& found) {
  for (const std::string& name : names_of_folders(path)) {
    if (named_for_images(name) && found.images.empty()) found.images = join_path(path, name);
    if (named_for_annotations(name) && found.annotations.empty())
      found.annotations = join_path(path, name);
  }
  if (found.images.empty() && has_box_files(path)) found.images = path;
  if (!found.images.empty() && found.annotations.empty() && has_box_files(found.images))
    found.annotations = found.images;
  return !found.images.empty() && !found.annotations.empty();
}

// ImageSets/Main/train.txt and its like; trainval.txt where there is no train.txt.
std::vector<BoxFolders> listed_parts(const std::string& path, const BoxFolders& whole) {
  std::vector<BoxFolders> parts;
  const auto add = [&](PartRole role, const char* name) {
    const std::string list = join_path(path, str(kLists, "/", name, ".txt"));
    if (!file_system().exists(list)) return false;
    parts.push_back({role, whole.images, whole.annotations, name, list});
    return true;
  };
  if (!add(PartRole::train, "train") && !add(PartRole::train, "trainval")) return {};
  if (parts[0].name == "train") add(PartRole::val, "val");
  add(PartRole::test, "test");
  return parts;
}

// images/train beside labels/train.
std::vector<BoxFolders> parts_inside(const BoxFolders& whole) {
  std::vector<BoxFolders> parts;
  for (const std::string& name : names_of_folders(whole.images)) {
    const PartRole role = part_role(name);
    const std::string beside = join_path(whole.annotations, name);
    if (role != PartRole::none && file_system().is_directory(beside))
      parts.push_back({role, join_path(whole.images, name), beside, name, ""});
  }
  return parts;
}

std::vector<BoxFolders> find_box_folders(const std::string& path) {
  BoxFolders whole;
  if (find_folders(path, whole)) {
    for (auto parts : {listed_parts(path, whole), parts_inside(whole)})
      if (!parts.empty()) return parts;
    return {whole};
  }
  std::vector<BoxFolders> parts;
  for (const std::string& name : names_of_folders(path)) {
    BoxFolders part{part_role(name), "", "", name, ""};
    if (part.role != PartRole::none && find_folders(join_path(path, name), part))
      parts.push_back(std::move(part));
  }
  return parts;
}

std::string within_wrappers(std::string path) {
  for (int depth = 0; depth < kMostFolders && find_box_folders(path).empty(); ++depth) {
    const std::vector<std::string> folders = names_of_folders(path);
    if (folders.size() != 1) break;
    path = join_path(path, folders[0]);
  }
  return path;
}

// The folder of the data set whose ImageSets/Main/NAME.txt the path is; "": it is no such file.
std::string set_of_list(const std::string& path) {
  const std::string lists = parent_path(path);
  if (file_system().is_directory(path) || lower_extension(path) != ".txt" ||
      file_name(lists) != "Main" || file_name(parent_path(lists)) != "ImageSets")
    return "";
  return parent_path(parent_path(lists));
}

// The parts of a folder, or the one of a list.
std::vector<BoxFolders> wanted_parts(const std::string& path) {
  if (const std::string set = set_of_list(path); !set.empty()) {
    BoxFolders whole{PartRole::train, "", "", "", path};
    if (!find_folders(set, whole)) return {};
    return {whole};
  }
  if (!file_system().is_directory(path)) return {};
  return find_box_folders(within_wrappers(path));
}

// The first word of each line: lists may say 1 or -1 behind it.
std::set<std::string> listed_names(const std::string& path) {
  std::set<std::string> names;
  std::string name;
  bool is_in_name = true;
  for (const char c : read_text_file(path, kYoloNamesLimit * 64) + "\n") {
    if (c == '\n') {
      if (!name.empty()) names.insert(name);
      name.clear();
      is_in_name = true;
    } else if (c == ' ' || c == '\t' || c == '\r') {
      is_in_name = is_in_name && name.empty();
    } else if (is_in_name) {
      name += c;
    }
  }
  return names;
}

std::vector<std::string> yolo_names(const std::vector<std::string>& folders, std::string& file) {
  for (const std::string& folder : folders)
    for (const char* name : {"data.yaml", "data.yml", "dataset.yaml", "classes.txt", "obj.names",
                             "classes.names", "names.txt"}) {
      file = join_path(folder, name);
      if (!file_system().exists(file)) continue;
      std::vector<std::string> names =
          parse_yolo_names(read_text_file(file, kYoloNamesLimit), file);
      if (!names.empty()) return names;
    }
  file.clear();
  return {};
}

AnnotatedFile read_annotation(const std::string& path, const std::vector<std::string>& names) {
  AnnotatedFile file;
  try {
    const std::string text = read_text_file(path, kAnnotationLimit);
    file = lower_extension(path) == ".xml" ? parse_voc(text, path) : parse_yolo(text, names, path);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::bad_input) throw;
    file.fault = error.what();
  }
  file.annotation = path;
  return file;
}

AnnotatedPart read_boxed_part(const BoxFolders& folders, const std::vector<std::string>& names,
                              DataParts& parts) {
  AnnotatedPart part{{}, folders.name};
  std::vector<ImageFile> images;
  PassedOver passed_over;
  find_images(folders.images, "", images, passed_over);
  BoxFiles files;
  add_box_files(folders.annotations, "", files);
  if (folders.annotations == folders.images) passed_over.counts.erase(files.extension);
  parts.passed_over.add(passed_over);
  const bool is_listed = !folders.list.empty();
  const std::set<std::string> listed =
      is_listed ? listed_names(folders.list) : std::set<std::string>();
  std::vector<std::string> without;
  for (const ImageFile& image : images) {
    const std::string stem = image.short_name.substr(
        0, image.short_name.size() - lower_extension(image.short_name).size());
    if (is_listed && !listed.contains(stem)) continue;
    const auto found = files.paths.find(stem);
    if (found == files.paths.end()) {
      without.push_back(image.path);
      continue;
    }
    AnnotatedFile file = read_annotation(found->second, names);
    file.image = image.path;
    file.image_name = join_path(folders.name, image.short_name);
    part.files.push_back(std::move(file));
  }
  if (!without.empty())
    parts.notes.push_back(str("left out: ", without.size(),
                              without.size() == 1 ? " image" : " images",
                              " without a file of boxes (an empty one says that there are none): ",
                              short_list(without, 5)));
  GRAFT_CHECK(!part.files.empty(), folders.images,
              ": none of its images has a file of boxes of the same name in ", folders.annotations);
  return part;
}

// "0", "1" ... up to the highest that a box has.
std::vector<std::string> numbers_as_names(AnnotatedFiles& files) {
  size_t count = 0;
  for (const AnnotatedPart* part : {&files.train, &files.val, &files.test})
    for (const AnnotatedFile& file : part->files)
      for (const NamedBox& box : file.boxes)
        if (file.is_relative)
          count = std::max(count, static_cast<size_t>(std::stoul(box.name)) + 1);
  std::vector<std::string> names;
  for (size_t c = 0; c < count; ++c) names.push_back(std::to_string(c));
  return names;
}

}  // namespace

std::string why_box_folder(const std::string& path) {
  for (const BoxFolders& folders : wanted_parts(path)) {
    BoxFiles files;
    add_box_files(folders.annotations, "", files);
    if (files.paths.empty()) continue;
    // Texts beside images may be anything: one that has lines must read as boxes.
    int64_t looked = 0;
    for (const auto& [stem, file] : files.paths) {
      const AnnotatedFile first = read_annotation(file, {});
      if (!first.fault.empty()) break;
      if (!first.boxes.empty())
        return str(file_name(folders.annotations), "/ holds ",
                   files.extension == ".xml" ? "Pascal VOC" : "YOLO", " files of boxes");
      if (++looked == 20) break;
    }
  }
  return "";
}

FoundBoxes read_box_folder(const std::string& path, const PartsWanted& wanted, DataParts& parts) {
  const std::vector<BoxFolders> all = wanted_parts(path);
  GRAFT_CHECK(!all.empty(), path,
              ": images and a file of boxes each are needed (JPEGImages/ and Annotations/ of "
              "Pascal VOC, images/ and labels/ of YOLO), COCO's JSON, or a table with the columns "
              "image, class, xmin, ymin, xmax, ymax");
  const std::string set = set_of_list(path).empty() ? within_wrappers(path) : set_of_list(path);
  if (set != path && file_system().is_directory(path))
    parts.notes.push_back(str(path, ": ", set, " is read"));
  FoundBoxes found;
  std::string names_file;
  found.names = yolo_names({set, all[0].annotations, parent_path(set)}, names_file);
  const bool has_other = std::any_of(all.begin(), all.end(), [](const BoxFolders& folders) {
    return folders.role != PartRole::train;
  });
  bool is_yolo = false;
  for (const BoxFolders& folders : all) {
    if (folders.role == PartRole::train && has_other && !wanted.need_train) continue;
    AnnotatedPart& part = found.files.of(folders.role);
    GRAFT_CHECK(part.files.empty(), path, ": two folders look like one part: ", part.name, " and ",
                folders.name);
    part = read_boxed_part(folders, found.names, parts);
    // By the files' names: a damaged one says nothing of itself.
    is_yolo = is_yolo || lower_extension(part.files[0].annotation) != ".xml";
  }
  if (!is_yolo) {
    found.names.clear();  // Pascal VOC's files name their classes
  } else if (found.names.empty()) {
    found.names = numbers_as_names(found.files);
    parts.notes.push_back(
        "no file names the classes (data.yaml, classes.txt): their numbers are their names");
  } else {
    parts.notes.push_back("names of classes from " + names_file);
  }
  return found;
}

}  // namespace graft::io
