#include "graft/train/tasks/table.h"

#include <array>

#include "graft/core/base/text.h"
#include "graft/train/tasks/classification/classification.h"
#include "graft/train/tasks/detection/detection.h"
#include "graft/train/tasks/multilabel/multilabel.h"
#include "graft/train/tasks/regression/regression.h"
#include "graft/train/tasks/segmentation/segmentation.h"
#include "graft/train/tasks/transcription/transcription.h"

namespace graft::train {
namespace {

using MakeTask = std::shared_ptr<Task> (*)(const Recipe& recipe, const io::OpenedData& data);
using TaskOfCard = std::shared_ptr<Task> (*)(const TaskCard& card);
struct TaskRow {
  const char* name;
  io::AnswerKind answers;  // that it takes
  MakeTask make;
  TaskOfCard of_card;
};

// A task is one line here and a folder beside this file.
constexpr std::array kTasks = {
    TaskRow{"classify", io::AnswerKind::one_label, make_classification, classification_of},
    TaskRow{"multilabel", io::AnswerKind::several_labels, make_multilabel, multilabel_of},
    TaskRow{"regress", io::AnswerKind::numbers, make_regression, regression_of},
    TaskRow{"segment", io::AnswerKind::maps, make_segmentation, segmentation_of},
    TaskRow{"detect", io::AnswerKind::boxes, make_detection, detection_of},
    TaskRow{"transcribe", io::AnswerKind::text, make_transcription, transcription_of},
};

const TaskRow& row_named(const std::string& name) {
  for (const TaskRow& row : kTasks)
    if (name == row.name) return row;
  bad_input("task: '", name, "' is none of ", join(task_names()));
}

}  // namespace

std::vector<std::string> task_names() {
  std::vector<std::string> names;
  for (const TaskRow& row : kTasks) names.emplace_back(row.name);
  return names;
}

std::shared_ptr<Task> make_task(const Recipe& recipe, const io::OpenedData& data) {
  return row_named(recipe.task).make(recipe, data);
}

std::shared_ptr<Task> task_of_card(const TaskCard& card) {
  return row_named(card.name()).of_card(card);
}

io::AnswerKind answers_for(const std::string& task) { return row_named(task).answers; }

std::string task_for(io::AnswerKind answers) {
  for (const TaskRow& row : kTasks)
    if (row.answers == answers) return row.name;
  bad_input("task: none is for such data; it is one of ", join(task_names()));
}

}  // namespace graft::train
