// FileKind: which files of a data set are its samples. Images, unless it is said otherwise.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "graft/core/base/export.h"

namespace graft {
class File;
}

namespace graft::io {

struct GRAFT_API FileKind {
  std::string one = "image", many = "images";  // what they are called
  // With the dot, lower case. None: those of images (has_image_extension), and files without one
  // that begin like an image.
  std::vector<std::string> extensions{};
  // What decoding takes at most, from the header alone; null: not known.
  int64_t (*decode_bytes)(File& file) = nullptr;

  bool is_images() const { return extensions.empty(); }
  // Plain texts: samples may also stand in a table's cells, or in the lines of a file, and none is
  // shown as a picture.
  bool is_texts() const { return !is_images() && extensions[0] == ".txt"; }
  // By the name's extension.
  bool takes(const std::string& name) const;
};

}  // namespace graft::io
