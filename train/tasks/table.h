// The tasks that graft knows by name.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graft/train/recipe.h"
#include "graft/train/tasks/task.h"

namespace graft::train {

GRAFT_API std::vector<std::string> task_names();
// Recipe::task for these data. bad_input for a name that is none, or data that have no such
// targets.
GRAFT_API std::shared_ptr<Task> make_task(const Recipe& recipe, const io::OpenedData& data);

}  // namespace graft::train
