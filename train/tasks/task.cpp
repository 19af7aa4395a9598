#include "graft/train/tasks/task.h"

#include "graft/train/tasks/classification/classification.h"

namespace graft::train {

std::shared_ptr<const io::Dataset> Task::to_train_on(
    std::shared_ptr<const io::Dataset> dataset) const {
  return dataset;
}

void Task::to(Device) {}

double Task::weight(const Targets& targets) const { return static_cast<double>(targets.samples()); }

Targets targets_of(const Task* task, const io::Dataset& dataset, std::span<const int64_t> samples) {
  return task ? task->targets(dataset, samples) : class_targets(dataset, samples);
}

}  // namespace graft::train
