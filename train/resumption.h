// Whether a run may go on from a checkpoint of another recipe.
#pragma once
#include <string>

#include "graft/core/base/export.h"

namespace graft::train {

// Error(bad_input) naming `path` and the fields in which the recipes (Recipe::to_json) differ. With
// more_epochs the number of epochs may: then a sentence says what that means; else "".
GRAFT_API std::string check_same_recipe(const std::string& path, const std::string& checkpoint,
                                        const std::string& recipe, bool more_epochs);

}  // namespace graft::train
