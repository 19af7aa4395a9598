// The names of a network's classes, as files beside it and metadata within it write them.
#pragma once
#include <string>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::models {

// From JSON or Python's way of writing it, a list ["cat", "dog"] or numbers to names {0: 'cat',
// "1": "dog"}; else a name a line. In the classes' order. Empty when a number is missing or there
// is more than names in the text.
GRAFT_API std::vector<std::string> labels_from_text(const std::string& text);

}  // namespace graft::models
