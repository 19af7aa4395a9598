// Where images and the boxes of their objects lie: Pascal VOC or YOLO files beside images, COCO's
// JSON, a table.
#pragma once
#include <string>

#include "graft/io/datasets/box_dataset.h"
#include "graft/io/datasets/sources.h"

namespace graft::io {

// What says that a path holds boxes ("Annotations/ holds Pascal VOC files of the images' names");
// "": nothing does.
std::string why_boxes(const std::string& path);
// bad_input in a sentence where there are none.
DataParts read_box_data(const std::string& path, const PartsWanted& wanted,
                        const TableColumns& columns);

// What the readers below find, and the classes where the data list them in an order.
struct FoundBoxes {
  AnnotatedFiles files{};
  std::vector<std::string> names{};
};

// box_folder.cpp: images and a file of boxes each; or a list of the names of a part (the path of an
// ImageSets/Main/NAME.txt).
std::string why_box_folder(const std::string& path);
FoundBoxes read_box_folder(const std::string& path, const PartsWanted& wanted, DataParts& parts);
// coco_boxes.cpp: a file of COCO's JSON, or a folder that holds one or several.
std::string why_coco(const std::string& path);
FoundBoxes read_coco(const std::string& path, const PartsWanted& wanted, DataParts& parts);
// box_table.cpp: a line for each box.
std::string why_box_table(const std::string& path);
FoundBoxes read_box_table(const std::string& path, const TableColumns& columns,
                          const PartsWanted& wanted, DataParts& parts);

}  // namespace graft::io
