// Class names from different file systems: a Mac writes "rosé" with the accent apart, Linux and
// Windows as one letter.
#pragma once
#include <string>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::io {

// The name in Unicode's composed form (NFC), so that names that print alike are one: letters and
// the accents behind them become one letter where Unicode has it, Hangul's parts a syllable. Bytes
// that are no UTF-8 stay as they are.
GRAFT_API std::string composed(const std::string& name);

// For each of `names` its place in `known`, both compared composed; -1: it is not there.
GRAFT_API std::vector<int64_t> matched_classes(const std::vector<std::string>& names,
                                               const std::vector<std::string>& known);

// "a, b, c"; beyond `most` the first of them and how many there are.
GRAFT_API std::string short_list(const std::vector<std::string>& names, size_t most = 10);

}  // namespace graft::io
