// The images that a verb's arguments name, and the names of the pictures made of them.
#pragma once
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "graft/api/image_source.h"
#include "graft/io/datasets/path_list.h"

namespace graft::tools {

// Files, "-", tables of paths, and folders, whose other files are counted. bad_input when there are
// none.
std::vector<std::string> collect_images(const std::vector<std::string>& given,
                                        const io::TableColumns& columns);

// Standard input where "-" is among the paths, which is read once.
class StandardInput {
 public:
  explicit StandardInput(const std::vector<std::string>& paths);
  ImageSource source(const std::string& path) const;  // of a path that may be "-"

 private:
  std::vector<std::byte> bytes_;
};

// "photo" of "folder/photo.jpg", "standard_input" of "-"; of images of one name the later get
// numbers: "photo_2".
class PictureNames {
 public:
  std::string stem(const std::string& path);

 private:
  std::map<std::string, int64_t> times_;
};

}  // namespace graft::tools
