// How numbers and names are shown: alike in a program's words, in reports and in the command.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::train {

// "0.8931" and the like: `digits` after the point, the same in every locale.
GRAFT_API std::string fixed(double value, int digits);
GRAFT_API std::string thousands(int64_t value);  // 25,557,032
GRAFT_API std::string shortest(float value);     // the fewest digits that read back equal
GRAFT_API std::string shortest(double value);
GRAFT_API std::string percent(double share);  // "12.5 %"; "-" when it is not finite
// For HTML, in its printable form. `kept`: "\n" for text that has lines of its own.
GRAFT_API std::string escape(const std::string& text, std::string_view kept = "");

// ImageNet has two cranes: names that are there twice get their places.
GRAFT_API std::vector<std::string> told_apart(std::vector<std::string> names);

}  // namespace graft::train
