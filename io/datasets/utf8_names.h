// Class names as text that every file of graft can hold.
#pragma once
#include <string>
#include <vector>

namespace graft::io {

// Names that are no UTF-8 (folders of another system's encoding) get their bytes escaped, "\xff",
// so that they stay apart; a note says so. bad_input naming `path` when two names then are one.
void write_as_utf8(std::vector<std::string>& classes, const std::string& path,
                   std::vector<std::string>& notes);

}  // namespace graft::io
