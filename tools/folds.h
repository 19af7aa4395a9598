// K-fold validation: K runs, each with another part of the images held out, and what they say
// together.
#pragma once
#include <functional>

namespace graft::tools {

struct TrainingFlags;

// run(flags) where flags.folds is 0 and no group is held out. Else a run for each fold in out/1 ...
// out/K, then the mean and the deviation (of n - 1) of their kept epochs' scores on stdout and in
// out/folds.json. Ends with the first code that is not 0; with flags.resume finished folds are not
// trained again. With flags.fold_is_group each group of the images is a fold, and folds.json names
// them.
int over_folds(const TrainingFlags& flags, const std::function<int(const TrainingFlags&)>& run);

}  // namespace graft::tools
