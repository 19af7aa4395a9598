#include "graft/io/datasets/left_out.h"

#include <algorithm>

#include "graft/core/base/error.h"

namespace graft::io {

std::vector<int64_t> without_faults(const std::vector<std::string>& faults, const LeftOut& said,
                                    std::vector<std::string>& notes) {
  std::vector<int64_t> kept;
  std::vector<const std::string*> told;
  for (size_t i = 0; i < faults.size(); ++i) {
    if (faults[i].empty())
      kept.push_back(static_cast<int64_t>(i));
    else
      told.push_back(&faults[i]);
  }
  if (told.empty()) return kept;
  GRAFT_CHECK(
      static_cast<double>(told.size()) <= said.tolerated_share * static_cast<double>(faults.size()),
      told.size(), " of ", faults.size(), " ", said.of_all, ", more than ",
      said.tolerated_share * 100, " %; the first: ", *told.front());
  const size_t shown = std::min(told.size(), said.shown);
  for (size_t i = 0; i < shown; ++i) notes.push_back("left out: " + *told[i]);
  if (told.size() > shown)
    notes.push_back(str("left out: ", told.size() - shown, " ", said.noun, " more"));
  return kept;
}

}  // namespace graft::io
