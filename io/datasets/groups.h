// Groups: samples that belong together (a patient, a speaker, a recording), which no split may
// part.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graft/core/base/export.h"
#include "graft/io/datasets/dataset.h"

namespace graft::io {

// The same samples, each in the group that the pattern's first parentheses find in its name().
// pattern: an ECMAScript regular expression, searched for anywhere in the name. usage for one that
// is none or has no parentheses; bad_input where a name does not hold it.
GRAFT_API std::shared_ptr<const Dataset> grouped_by(std::shared_ptr<const Dataset> dataset,
                                                    const std::string& pattern);

// The data set's groups by name, sorted; none where they are not known.
GRAFT_API std::vector<std::string> group_names(const Dataset& dataset);

// The group of each sample; none where they are not known.
GRAFT_API std::vector<std::string> sample_groups(const Dataset& dataset);

// Deals groups to parts so that each part's share of every stratum is near `shares` (which add up
// to 1), and no part is empty. counts: [group][stratum] samples. What is returned is each group's
// part. Largest first (of equals the earlier), each to the part for which sum over strata of
// (samples there - share x samples)^2 / (share x samples^2) grows least. As many groups as parts at
// least.
GRAFT_API std::vector<size_t> deal_groups(const std::vector<std::vector<int64_t>>& counts,
                                          const std::vector<double>& shares);

// The samples that are held out, ascending, whole groups only: one group (fold_is_group), one of
// `folds` parts, or about val_split. strata: of each its samples, whose shares are kept near.
// bad_input naming `path` where there are too few groups. `said`: how that was done.
GRAFT_API std::vector<int64_t> held_groups(const Dataset& dataset,
                                           const std::vector<std::vector<int64_t>>& strata,
                                           const DataOptions& options, const std::string& path,
                                           std::string& said);

}  // namespace graft::io
