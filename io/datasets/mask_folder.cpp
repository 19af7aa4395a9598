// Folders of images and of their masks, paired by the files' names without extension: images/ and
// masks/ under the names that people give them, within folders of parts, around them, or with
// Pascal VOC's lists of a part's names.
#include <algorithm>
#include <map>
#include <set>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/class_names.h"
#include "graft/io/datasets/image_files.h"
#include "graft/io/datasets/mask_dataset.h"
#include "graft/io/datasets/mask_sources.h"
#include "graft/io/datasets/part_folders.h"

namespace graft::io {
namespace {

constexpr int64_t kPartListLimit = int64_t{64} << 20;
constexpr int kMostWrappers = 4;

// "JPEGImages" and "jpeg_images" are one name.
std::string bare_name(const std::string& name) {
  std::string bare;
  for (const char c : name)
    if (c != '_' && c != '-' && c != ' ')
      bare += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return bare;
}

bool is_among(const std::string& bare, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), bare) != names.end();
}
bool is_image_folder(const std::string& bare) {
  return is_among(bare, {"images", "image", "imgs", "img", "jpegimages", "photos", "photo", "rgb",
                         "input", "inputs"});
}
bool is_mask_folder(const std::string& bare) {
  return is_among(bare, {"masks", "mask", "labels", "label", "annotations", "annotation", "annot",
                         "segmentationclass", "segmentation", "segmentations", "groundtruth", "gt",
                         "targets", "target"});
}

std::vector<std::string> inner_folders(const std::string& path) {
  std::vector<std::string> names;
  for (const DirectoryEntry& entry : file_system().list(path))
    if (entry.is_directory && !is_litter_folder(entry.name)) names.push_back(entry.name);
  return names;
}

// Two folders beside each other, and which part they are.
struct FolderPair {
  PartRole role = PartRole::train;
  std::string images{}, masks{};  // paths
  std::string name{};             // of the part's folder
  std::string list{};             // a file of the names that belong to the part; "": all do
};

// The folder of images and the folder of masks within one; of several the first by name.
bool find_pair(const std::string& path, FolderPair& pair) {
  for (const std::string& name : inner_folders(path)) {
    const std::string bare = bare_name(name);
    if (is_image_folder(bare) && pair.images.empty()) pair.images = join_path(path, name);
    if (is_mask_folder(bare) && pair.masks.empty()) pair.masks = join_path(path, name);
  }
  return !pair.images.empty() && !pair.masks.empty();
}

// images/train beside masks/train.
std::vector<FolderPair> parts_within(const FolderPair& whole) {
  std::vector<FolderPair> parts;
  std::map<PartRole, std::string> masks;
  for (const std::string& name : inner_folders(whole.masks)) masks.emplace(part_role(name), name);
  for (const std::string& name : inner_folders(whole.images)) {
    const PartRole role = part_role(name);
    if (role != PartRole::none && masks.contains(role))
      parts.push_back(
          {role, join_path(whole.images, name), join_path(whole.masks, masks.at(role)), name, ""});
  }
  return parts;
}

// Pascal VOC: ImageSets/Segmentation/train.txt and its like.
std::vector<FolderPair> parts_by_lists(const std::string& path, const FolderPair& whole) {
  std::vector<FolderPair> parts;
  const std::string lists = join_path(path, "ImageSets/Segmentation");
  for (const auto& [role, name] :
       {std::pair(PartRole::train, "train"), std::pair(PartRole::val, "val"),
        std::pair(PartRole::test, "test")}) {
    const std::string list = join_path(lists, str(name, ".txt"));
    if (file_system().exists(list)) parts.push_back({role, whole.images, whole.masks, name, list});
  }
  const bool has_train = !parts.empty() && parts[0].role == PartRole::train;
  return has_train ? parts : std::vector<FolderPair>();
}

// train/images and train/masks; or train/ beside train_masks/.
std::vector<FolderPair> parts_beside(const std::string& path) {
  std::vector<FolderPair> parts;
  const std::vector<std::string> names = inner_folders(path);
  for (const std::string& name : names) {
    const PartRole role = part_role(name);
    if (role == PartRole::none) continue;
    FolderPair pair{role, "", "", name, ""};
    if (!find_pair(join_path(path, name), pair)) {
      pair.images = join_path(path, name);
      pair.masks.clear();
      const std::string bare = bare_name(name);
      for (const std::string& other : names)
        if (const std::string of = bare_name(other); of.size() > bare.size() &&
                                                     of.starts_with(bare) &&
                                                     is_mask_folder(of.substr(bare.size())))
          pair.masks = join_path(path, other);
      if (pair.masks.empty()) continue;
    }
    parts.push_back(std::move(pair));
  }
  return parts;
}

std::vector<FolderPair> find_pairs(const std::string& path) {
  FolderPair whole;
  if (find_pair(path, whole)) {
    for (auto parts : {parts_by_lists(path, whole), parts_within(whole)})
      if (!parts.empty()) return parts;
    return {whole};
  }
  return parts_beside(path);
}

// Archives unpack into one folder more.
std::string below_wrappers(std::string path) {
  for (int depth = 0; depth < kMostWrappers && find_pairs(path).empty(); ++depth) {
    const std::vector<std::string> folders = inner_folders(path);
    if (folders.size() != 1) break;
    path = join_path(path, folders[0]);
  }
  return path;
}

std::string without_extension(const std::string& name) {
  return name.substr(0, name.size() - lower_extension(name).size());
}

// "cat_01_mask" and "cat_01_image" are both of "cat_01".
std::string without_affix(const std::string& stem) {
  for (const std::string_view end :
       {"_mask", "_masks", "_seg", "_segmentation", "_label", "_labels", "_gt", "_groundtruth",
        "_L", "-mask", "_image", "_img", "_sat", "-image"})
    if (stem.size() > end.size() && stem.ends_with(end))
      return stem.substr(0, stem.size() - end.size());
  const size_t slash = stem.find_last_of('/');
  const size_t at = slash == std::string::npos ? 0 : slash + 1;
  for (const std::string_view begin : {"mask_", "label_", "seg_", "gt_", "image_", "img_"})
    if (stem.size() > at + begin.size() && stem.compare(at, begin.size(), begin) == 0)
      return stem.substr(0, at) + stem.substr(at + begin.size());
  return stem;
}

std::set<std::string> names_in_list(const std::string& path) {
  std::set<std::string> names;
  std::string name;
  for (const char c : read_text_file(path, kPartListLimit) + "\n") {
    if (c != '\n' && c != '\r') {
      name += c;
      continue;
    }
    if (!name.empty()) names.insert(name);
    name.clear();
  }
  return names;
}

struct Paired {
  std::vector<MaskedFile> files{};
  std::vector<std::string> without_mask{}, without_image{};
  PassedOver passed_over{};
};

const size_t* place_in(const std::map<std::string, size_t>& places, const std::string& name) {
  const auto found = places.find(name);
  return found == places.end() ? nullptr : &found->second;
}

Paired pair_files(const FolderPair& folders) {
  Paired paired;
  std::vector<ImageFile> images, masks;
  find_images(folders.images, "", images, paired.passed_over);
  find_images(folders.masks, "", masks, paired.passed_over);
  std::map<std::string, size_t> by_stem, by_bare_stem;
  for (size_t i = 0; i < masks.size(); ++i) {
    const std::string stem = without_extension(masks[i].short_name);
    by_stem.emplace(stem, i);
    by_bare_stem.emplace(without_affix(stem), i);
  }
  const bool is_listed = !folders.list.empty();
  const std::set<std::string> listed =
      is_listed ? names_in_list(folders.list) : std::set<std::string>();
  std::vector<bool> is_used(masks.size());
  for (const ImageFile& image : images) {
    const std::string stem = without_extension(image.short_name);
    if (is_listed && !listed.contains(stem)) continue;
    const size_t* found = place_in(by_stem, stem);
    if (!found) found = place_in(by_bare_stem, without_affix(stem));
    if (!found) {
      paired.without_mask.push_back(image.path);
      continue;
    }
    const ImageFile& mask = masks[*found];
    is_used[*found] = true;
    paired.files.push_back({image.path, join_path(folders.name, image.short_name), mask.path,
                            join_path(folders.name, mask.short_name)});
  }
  for (size_t i = 0; i < masks.size(); ++i)
    if (!is_used[i] && !is_listed) paired.without_image.push_back(masks[i].path);
  return paired;
}

void say_unpaired(const Paired& paired, std::vector<std::string>& notes) {
  const auto say = [&](const std::vector<std::string>& names, const char* one, const char* many) {
    if (!names.empty())
      notes.push_back(str("left out: ", names.size(), names.size() == 1 ? one : many, ": ",
                          short_list(names, 5)));
  };
  say(paired.without_mask, " image without a mask", " images without a mask");
  say(paired.without_image, " mask without an image", " masks without an image");
}

}  // namespace

std::string why_masks(const std::string& given) {
  const std::string path = below_wrappers(given);
  for (const FolderPair& folders : find_pairs(path))
    if (!pair_files(folders).files.empty())
      return str(folders.images.substr(std::min(path.size() + 1, folders.images.size())), "/ and ",
                 folders.masks.substr(std::min(path.size() + 1, folders.masks.size())),
                 "/ hold image files of the same names");
  return "";
}

DataParts read_mask_folder(const std::string& given, const PartsWanted& wanted,
                           const MaskOptions& options) {
  DataParts parts;
  const std::string path = below_wrappers(given);
  if (path != given) parts.notes.push_back(str(given, ": ", path, " is read"));
  MaskedFiles files;
  const std::vector<FolderPair> pairs = find_pairs(path);
  GRAFT_CHECK(
      !pairs.empty(), given,
      ": a folder of images and one of masks beside each other are needed (images/ and "
      "masks/, image/ and label/, JPEGImages/ and SegmentationClass/, ...), or a table with "
      "the columns image and mask");
  const bool has_other = std::any_of(pairs.begin(), pairs.end(), [](const FolderPair& pair) {
    return pair.role != PartRole::train;
  });
  for (const FolderPair& folders : pairs) {
    if (folders.role == PartRole::train && has_other && !wanted.need_train) continue;
    Paired paired = pair_files(folders);
    say_unpaired(paired, parts.notes);
    parts.passed_over.add(paired.passed_over);
    GRAFT_CHECK(!paired.files.empty(), folders.images,
                ": none of its images has a mask of the same "
                "name in ",
                folders.masks);
    MaskedPart& part = files.of(folders.role);
    GRAFT_CHECK(part.files.empty(), path, ": two folders look like one part: ", part.name, " and ",
                folders.name);
    part = {std::move(paired.files), folders.name};
  }
  read_masks(std::move(files), given, path, options, parts);
  return parts;
}

}  // namespace graft::io
