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
// What a model of this card is for: judges and predicts, and is not trained. bad_input for a card
// of a task that this graft does not know.
GRAFT_API std::shared_ptr<Task> task_of_card(const TaskCard& card);

// What the data of a task hold, and the task that such data suggest.
GRAFT_API io::AnswerKind answers_for(const std::string& task);
GRAFT_API std::string task_for(io::AnswerKind answers);

}  // namespace graft::train
