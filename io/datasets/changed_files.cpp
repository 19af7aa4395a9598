#include "graft/io/datasets/changed_files.h"

#include "graft/core/base/text.h"

namespace graft::io {

std::string changed_files(const OpenedData& data) {
  int64_t count = 0;
  std::string first;
  for (const auto& part : {data.train, data.val, data.test})
    for (int64_t i = 0; part && i < part->size(); ++i)
      if (part->is_changed(i) && count++ == 0) first = part->name(i);
  if (count == 0) return "";
  return str(count, count == 1 ? " image file was" : " image files were",
             " written or removed while this went on, the first: ", first,
             "; the result is of no one state of the data: do it again");
}

}  // namespace graft::io
