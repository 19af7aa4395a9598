// Texts without answers: the lines of a file, a column of a table.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::io {

struct NamedText {
  std::string name{};  // "file:line"
  std::string text{};
};

// Those that are not blank.
GRAFT_API std::vector<NamedText> lines_of(std::string_view bytes, const std::string& name);
// Of the column so called, or of the first of a usual name (text, sentence ...), or the longest; a
// header is known by such a name.
GRAFT_API std::vector<NamedText> texts_of_table(const std::string& path,
                                                const std::string& column = {});

}  // namespace graft::io
