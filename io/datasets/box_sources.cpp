#include "graft/io/datasets/box_sources.h"

#include "graft/core/base/file_system.h"
#include "graft/io/datasets/path_list.h"

namespace graft::io {

std::string why_boxes(const std::string& path) {
  if (const std::string why = why_box_folder(path); !why.empty()) return why;
  if (const std::string why = why_coco(path); !why.empty()) return why;
  return !file_system().is_directory(path) && is_table(path) ? why_box_table(path) : "";
}

DataParts read_box_data(const std::string& path, const PartsWanted& wanted,
                        const TableColumns& columns) {
  DataParts parts;
  FoundBoxes found;
  const bool is_list = !why_box_folder(path).empty();
  if (!is_list && !file_system().is_directory(path) && is_table(path))
    found = read_box_table(path, columns, wanted, parts);
  else if (!is_list && !why_coco(path).empty())
    found = read_coco(path, wanted, parts);
  else
    found = read_box_folder(path, wanted, parts);
  take_boxes(std::move(found.files), std::move(found.names), path, parts);
  return parts;
}

}  // namespace graft::io
