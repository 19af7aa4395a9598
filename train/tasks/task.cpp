#include "graft/train/tasks/task.h"

#include <nlohmann/json.hpp>

#include "graft/core/base/text.h"
#include "graft/train/tasks/classification/classification.h"
#include "graft/train/tasks/presentation.h"

namespace graft::train {

std::shared_ptr<const io::Dataset> Task::to_train_on(
    std::shared_ptr<const io::Dataset> dataset) const {
  return dataset;
}

std::shared_ptr<const io::Dataset> Task::to_judge(
    const io::OpenedData& data, const std::string&,
    const std::function<void(const std::string&)>&) const {
  return data.val;
}

Targets Task::placed_targets(const io::Dataset& dataset, std::span<const int64_t> samples,
                             const SampleViews&) const {
  return targets(dataset, samples);
}

HeadPlan Task::head() const { return {.outputs = outputs()}; }

void Task::to(Device) {}

double Task::weight(const Targets& targets) const { return static_cast<double>(targets.samples()); }

bool Task::mixes() const { return false; }

Targets Task::mixed(const Targets&, double) const {
  bad_input("task ", name(), ": its targets have no mixture");
}

std::string Task::what() const { return str(outputs(), outputs() == 1 ? " output" : " outputs"); }

int64_t Task::terms() const { return 1; }

TaskCard Task::card() const {
  return {.json = nlohmann::json::object({{"name", name()}}).dump(), .outputs = outputs()};
}

bool Task::take_head_of(const TaskCard& card) { return is_same_head(this->card(), card); }

std::shared_ptr<const Task> Task::chosen_by(const Metric&) const { return nullptr; }
std::vector<std::string> Task::choices(const Metric&) const { return {}; }
std::shared_ptr<const Task> Task::answering_from(double) const { return nullptr; }
void Task::choose_thresholds(double, double) {
  bad_input(
      "thresholds for a precision or a recall: are for tasks classify and multilabel, this is ",
      name());
}

std::unique_ptr<Presentation> Task::presentation() const {
  return std::make_unique<Presentation>(*this);
}

Targets targets_of(const Task* task, const io::Dataset& dataset, std::span<const int64_t> samples,
                   const SampleViews& seen) {
  return task ? task->placed_targets(dataset, samples, seen) : class_targets(dataset, samples);
}

}  // namespace graft::train
