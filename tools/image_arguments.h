// The images or sounds that a verb's arguments name, and the names of the pictures made of them.
#pragma once
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "graft/api/image_source.h"
#include "graft/io/datasets/dataset.h"
#include "graft/io/datasets/path_list.h"

namespace graft::tools {

// Files, "-", tables of paths, and folders, of which files of this kind are taken and the others
// counted. bad_input when there are none.
std::vector<std::string> collect_samples(const std::vector<std::string>& given,
                                         const io::TableColumns& columns, const io::FileKind& kind);

// All of it; bad_input beyond 256 MiB.
std::vector<std::byte> read_standard_input();

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
