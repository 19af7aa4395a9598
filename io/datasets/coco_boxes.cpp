// COCO's JSON: images, annotations with bbox [x,y,width,height], categories.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/box_sources.h"
#include "graft/io/datasets/class_names.h"

namespace graft::io {
namespace {

constexpr int64_t kCocoLimit = int64_t{1} << 30;
constexpr size_t kHeadLooked = 1 << 16;

struct CocoFile {
  PartRole role = PartRole::train;
  std::string path{}, name{};
};

// "instances_train2017.json", "train.json", "_annotations.coco.json" within train/.
PartRole role_in_name(const std::string& path) {
  std::string name = file_name(path);
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (const auto& [word, role] :
       {std::pair("train", PartRole::train), std::pair("val", PartRole::val),
        std::pair("test", PartRole::test)})
    if (name.find(word) != std::string::npos) return role;
  return PartRole::none;
}

bool is_boxes_json(const DirectoryEntry& entry) {
  return entry.is_regular && entry.name[0] != '.' && lower_extension(entry.name) == ".json" &&
         !entry.name.starts_with("captions") && !entry.name.starts_with("person_keypoints");
}

std::vector<CocoFile> coco_files(const std::string& path) {
  if (!file_system().is_directory(path)) {
    if (lower_extension(path) != ".json") return {};
    return {{PartRole::train, path, ""}};
  }
  std::vector<CocoFile> files;
  const auto add_of = [&](const std::string& folder, PartRole of_folder, const std::string& name) {
    for (const DirectoryEntry& entry : file_system().list(folder)) {
      if (!is_boxes_json(entry)) continue;
      PartRole role = of_folder != PartRole::none ? of_folder : role_in_name(entry.name);
      if (role == PartRole::none) role = PartRole::train;
      files.push_back({role, join_path(folder, entry.name), name.empty() ? entry.name : name});
    }
  };
  const std::string annotations = join_path(path, "annotations");
  if (file_system().is_directory(annotations)) add_of(annotations, PartRole::none, "");
  if (!files.empty()) return files;
  for (const DirectoryEntry& entry : file_system().list(path))
    if (entry.is_directory && part_role(entry.name) != PartRole::none)
      add_of(join_path(path, entry.name), part_role(entry.name), entry.name);
  if (files.empty()) add_of(path, PartRole::none, "");
  return files;
}

bool looks_like_coco(const std::string& path) {
  const auto file = file_system().open_read(path);
  std::string head(static_cast<size_t>(std::min<int64_t>(file->size(), int64_t{kHeadLooked})), ' ');
  file->read_at(0, std::as_writable_bytes(std::span(head)));
  return head.find("\"images\"") != std::string::npos ||
         head.find("\"annotations\"") != std::string::npos ||
         head.find("\"categories\"") != std::string::npos;
}

using CocoJson = nlohmann::json;

class CocoReader {
 public:
  explicit CocoReader(const CocoFile& file) : path_(file.path) {
    const std::string folder = parent_path(path_), above = parent_path(folder);
    std::string stem = file_name(path_);
    stem = stem.substr(0, stem.find_last_of('.'));
    const size_t bar = stem.find_last_of('_');
    const std::string part = bar == std::string::npos ? stem : stem.substr(bar + 1);
    for (const std::string& root : {folder, above})
      for (const std::string& name :
           {std::string(), std::string("images"), part, join_path("images", part)})
        roots_.push_back(name.empty() ? root : join_path(root, name));
  }

  AnnotatedPart read(const std::string& part_name, std::vector<std::string>& names,
                     DataParts& parts) {
    const CocoJson j = CocoJson::parse(read_text_file(path_, kCocoLimit), nullptr, false);
    GRAFT_CHECK(!j.is_discarded(), path_, ": is no JSON, or damaged");
    AnnotatedPart part{{}, part_name};
    std::map<int64_t, std::string> categories;
    for (const CocoJson& category : list(j, "categories"))
      categories[whole(category, "id")] = text(category, "name");
    for (const auto& [id, name] : categories)
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    std::map<int64_t, size_t> places;
    std::vector<std::string> missing;
    std::set<int64_t> without_file;
    for (const CocoJson& image : list(j, "images")) {
      const int64_t id = whole(image, "id");
      AnnotatedFile file;
      file.image_name = text(image, "file_name");
      file.image = find(file.image_name);
      file.stated_width = image.contains("width") ? whole(image, "width") : 0;
      file.stated_height = image.contains("height") ? whole(image, "height") : 0;
      if (file.image.empty()) {
        missing.push_back(file.image_name);
        without_file.insert(id);
        continue;
      }
      GRAFT_CHECK(places.emplace(id, part.files.size()).second, path_, ": two images have the id ",
                  id);
      part.files.push_back(std::move(file));
    }
    for (const CocoJson& annotation : list(j, "annotations")) {
      const int64_t image = whole(annotation, "image_id");
      if (without_file.contains(image)) continue;
      const auto place = places.find(image);
      GRAFT_CHECK(place != places.end(), path_, ": a box is of image ", image,
                  ", which is not there");
      part.files[place->second].boxes.push_back(box_of(annotation, categories));
    }
    if (!missing.empty())
      parts.notes.push_back(str("left out: ", missing.size(),
                                missing.size() == 1 ? " image that is" : " images that are",
                                " not there: ", short_list(missing, 5)));
    GRAFT_CHECK(!part.files.empty(), path_, ": none of its images is there");
    return part;
  }

 private:
  const CocoJson& list(const CocoJson& j, const char* key) const {
    static const CocoJson empty = CocoJson::array();
    GRAFT_CHECK(j.is_object(), path_, ": is not COCO's JSON");
    if (!j.contains(key) && std::string(key) == "annotations") return empty;
    GRAFT_CHECK(j.contains(key) && j.at(key).is_array(), path_, ": has no list of ", key,
                ", as COCO's JSON has");
    return j.at(key);
  }
  int64_t whole(const CocoJson& j, const char* key) const {
    const bool is_there = j.is_object() && j.contains(key);
    if (is_there && j.at(key).is_number_integer()) return j.at(key).get<int64_t>();
    const double value = is_there && j.at(key).is_number() ? j.at(key).get<double>() : 0.5;
    GRAFT_CHECK(
        value > -9e15 && value < 9e15 && value == static_cast<double>(static_cast<int64_t>(value)),
        path_, ": an entry has no whole number ", key);
    return static_cast<int64_t>(value);
  }
  std::string text(const CocoJson& j, const char* key) const {
    GRAFT_CHECK(j.is_object() && j.contains(key) && j.at(key).is_string(), path_,
                ": an entry has no text ", key);
    return j.at(key).get<std::string>();
  }
  std::string find(const std::string& name) const {
    if (name.empty() || name[0] == '/' || name.find("..") != std::string::npos ||
        name.find('\0') != std::string::npos)
      return "";
    for (const std::string& root : roots_)
      if (const std::string path = join_path(root, name);
          file_system().exists(path) && !file_system().is_directory(path))
        return path;
    return "";
  }
  NamedBox box_of(const CocoJson& annotation,
                  const std::map<int64_t, std::string>& categories) const {
    NamedBox own;
    const auto category = categories.find(whole(annotation, "category_id"));
    GRAFT_CHECK(category != categories.end(), path_, ": a box is of category ",
                whole(annotation, "category_id"), ", which is not there");
    own.name = category->second;
    const bool has_box = annotation.contains("bbox") && annotation.at("bbox").is_array() &&
                         annotation.at("bbox").size() == 4 &&
                         std::all_of(annotation.at("bbox").begin(), annotation.at("bbox").end(),
                                     [](const CocoJson& n) { return n.is_number(); });
    GRAFT_CHECK(has_box, path_, ": an entry has no bbox of four numbers");
    const auto n = annotation.at("bbox").get<std::vector<double>>();
    own.box = {n[0], n[1], n[0] + n[2], n[1] + n[3]};
    own.crowd = annotation.contains("iscrowd") && whole(annotation, "iscrowd") != 0;
    if (annotation.contains("area") && annotation.at("area").is_number())
      own.area = annotation.at("area").get<double>();
    return own;
  }

  std::string path_;
  std::vector<std::string> roots_;  // where images may lie
};

}  // namespace

std::string why_coco(const std::string& path) {
  for (const CocoFile& file : coco_files(path))
    if (looks_like_coco(file.path)) return str(file_name(file.path), " is COCO's JSON");
  return "";
}

FoundBoxes read_coco(const std::string& path, const PartsWanted& wanted, DataParts& parts) {
  FoundBoxes found;
  std::vector<CocoFile> files = coco_files(path);
  std::erase_if(files, [](const CocoFile& file) { return !looks_like_coco(file.path); });
  const bool has_other = std::any_of(files.begin(), files.end(), [](const CocoFile& file) {
    return file.role != PartRole::train;
  });
  for (const CocoFile& file : files) {
    if (file.role == PartRole::train && has_other && !wanted.need_train) continue;
    AnnotatedPart& part = found.files.of(file.role);
    GRAFT_CHECK(part.files.empty(), path, ": two files look like one part: ", part.name, " and ",
                file.name);
    part = CocoReader(file).read(file.name, found.names, parts);
  }
  return found;
}

}  // namespace graft::io
