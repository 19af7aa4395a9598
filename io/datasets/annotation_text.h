// What one image's file of boxes says: Pascal VOC's XML, or YOLO's lines.
#pragma once
#include <string>
#include <vector>

#include "graft/io/datasets/box_dataset.h"

namespace graft::io {

// Stated size and boxes. Coordinates are taken as edges as they stand, whether they count from 0 or
// from 1: that is a pixel at most. Of XML no more is read than such files have: elements,
// attributes (passed over), comments, CDATA and the five entities that XML itself names;
// Error(bad_input) naming the file and the line for a document type and for anything broken.
AnnotatedFile parse_voc(const std::string& text, const std::string& name);

// "class x y width height" a line, the middle and the sides in parts of the image's; or "class x y
// x y x y ...", an outline, of which the box around it is taken. No lines: no objects.
// names: of the classes; empty: their numbers are their names.
AnnotatedFile parse_yolo(const std::string& text, const std::vector<std::string>& names,
                         const std::string& name);

// YOLO's names of classes: a line each, or of a .yaml the list or the map behind "names:".
std::vector<std::string> parse_yolo_names(const std::string& text, const std::string& path);

}  // namespace graft::io
