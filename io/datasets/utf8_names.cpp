#include "graft/io/datasets/utf8_names.h"

#include <algorithm>

#include "graft/core/base/error.h"
#include "graft/core/base/printable.h"

namespace graft::io {

void write_as_utf8(std::vector<std::string>& classes, const std::string& path,
                   std::vector<std::string>& notes) {
  int64_t count = 0;
  std::string last;
  for (std::string& name : classes) {
    if (is_utf8(name)) continue;
    std::string text = printable(name);
    GRAFT_CHECK(std::find(classes.begin(), classes.end(), text) == classes.end(), path,
                ": its class ", text,
                " has a name that is no UTF-8, which would be written as that "
                "of another class");
    last = name = std::move(text);
    ++count;
  }
  if (count > 0)
    notes.push_back(str(path, ": the names of ", count,
                        " classes are no UTF-8; such bytes are written escaped: ", last));
}

}  // namespace graft::io
