#include "graft/train/tasks/task.h"

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

void Task::to(Device) {}

double Task::weight(const Targets& targets) const { return static_cast<double>(targets.samples()); }

std::unique_ptr<Presentation> Task::presentation() const {
  return std::make_unique<Presentation>(*this);
}

Targets targets_of(const Task* task, const io::Dataset& dataset, std::span<const int64_t> samples) {
  return task ? task->targets(dataset, samples) : class_targets(dataset, samples);
}

}  // namespace graft::train
