// Images with the boxes of their objects: what all formats of them become.
#pragma once
#include <string>
#include <vector>

#include "graft/io/datasets/boxes.h"
#include "graft/io/datasets/part_folders.h"
#include "graft/io/datasets/sources.h"

namespace graft::io {

struct NamedBox {
  Box box{};
  std::string name{};  // of its class
  bool difficult = false, crowd = false;
  double area = 0;
};

// An image with its objects as they were written.
struct AnnotatedFile {
  std::string image{}, image_name{};            // its path; and below the data set's folder
  std::string annotation{};                     // path of its own file; "": it has none
  int64_t stated_width = 0, stated_height = 0;  // of the image, as the annotation says; 0: not said
  bool is_relative = false;                     // boxes in parts of the image's sides
  std::vector<NamedBox> boxes{};
  std::string fault{};  // why it cannot be used; "": it can
};

struct AnnotatedPart {
  std::vector<AnnotatedFile> files{};
  std::string name{};  // of its folder
};

struct AnnotatedFiles {
  AnnotatedPart train{}, val{}, test{};

  AnnotatedPart& of(PartRole role) {
    return role == PartRole::val ? val : role == PartRole::test ? test : train;
  }
};

// Boxes are cut at their image's edges; those without an extent, or wholly outside, are left out;
// both are said. Images that cannot be used are left out and said, up to a share of each part
// (kToleratedBrokenShare). names: the classes, in their order; empty: those found, sorted.
void take_boxes(AnnotatedFiles files, std::vector<std::string> names, const std::string& path,
                DataParts& parts);

}  // namespace graft::io
