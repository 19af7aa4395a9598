#include "graft/train/tasks/table.h"

#include <array>

#include "graft/core/base/text.h"
#include "graft/train/tasks/classification/classification.h"

namespace graft::train {
namespace {

using MakeTask = std::shared_ptr<Task> (*)(const Recipe& recipe, const io::OpenedData& data);
struct TaskRow {
  const char* name;
  MakeTask make;
};

// A task is one line here and a folder beside this file.
constexpr std::array kTasks = {
    TaskRow{"classify", make_classification},
};

}  // namespace

std::vector<std::string> task_names() {
  std::vector<std::string> names;
  for (const TaskRow& row : kTasks) names.emplace_back(row.name);
  return names;
}

std::shared_ptr<Task> make_task(const Recipe& recipe, const io::OpenedData& data) {
  for (const TaskRow& row : kTasks)
    if (recipe.task == row.name) return row.make(recipe, data);
  bad_input("task: '", recipe.task, "' is none of ", join(task_names()));
}

}  // namespace graft::train
