#include "graft/train/repeated_step.h"

#include "graft/core/autograd/grad_meta.h"
#include "graft/core/tensor/rounded_copy.h"
#include "graft/layers/modules/dropout.h"

namespace graft::train {

// One of the network's tensors, as the recording found it, and what a step does to it.
struct RepeatedStep::Place {
  Tensor tensor;
  uint64_t storage, copy_storage;  // copy: core/tensor/rounded_copy.h; 0: none
  bool learns;
  uint64_t version = 0;
  int64_t count = 0, added = 0;  // of a counter on the host: its value, and what a step adds
  bool is_counter = false, is_written = false, copy_is_written = false;
  bool operator==(const Place& other) const {
    return storage == other.storage && copy_storage == other.copy_storage && learns == other.learns;
  }
};

RepeatedStep::RepeatedStep(StagedNetwork& network, size_t first, const Task& task,
                           Optimizer& optimizer)
    : network_(network), first_(first), task_(task), optimizer_(optimizer) {
  keep_dropout_streams_on(network.device(), network);
}

RepeatedStep::~RepeatedStep() {
  try {
    keep_dropout_streams_on(Device{}, network_);
  } catch (...) {  // no memory for the modules' names: the streams stay where they are
  }
}

bool RepeatedStep::takes(const Batch& batch, const StepOptions& options) {
  std::string key = str(batch.x.shape(), " ", name_of(batch.x.dtype()), " ",
                        static_cast<int>(batch.x.format()), " ", name_of(options.activations));
  for (const Tensor& target : batch.targets.tensors)
    key += str(" ", target.shape(), " ", name_of(target.dtype()));
  return work_.takes(network_.device(), key);
}

// 16-bit copies are brought up to date on the way: a recording reads them without asking.
std::vector<RepeatedStep::Place> RepeatedStep::places() {
  std::vector<Place> all;
  network_.for_each_module([&](const std::string&, Module& module) {
    for (const NamedTensor& own : module.own_tensors()) {
      const Tensor copy = is_cpu(own.tensor.device()) ? Tensor() : refreshed_copy(own.tensor);
      Place place{own.tensor, own.tensor.storage_id(), copy.defined() ? copy.storage_id() : 0,
                  requires_grad(own.tensor)};
      place.version = own.tensor.version();
      place.is_counter = is_cpu(own.tensor.device()) && own.tensor.dtype() == DType::i64 &&
                         own.tensor.numel() == 1;
      if (place.is_counter) place.count = own.tensor.data<int64_t>()[0];
      all.push_back(std::move(place));
    }
  });
  return all;
}

void RepeatedStep::bring(const Batch& batch) {
  const Device device = network_.device();
  const auto into = [&](Tensor& place, const Tensor& from) {
    if (!place.defined() || place.shape() != from.shape() || place.dtype() != from.dtype() ||
        place.format() != from.format() || place.device() != device)
      place = Tensor::empty(from.shape(), {from.dtype(), from.format(), device});
    place.copy_from(from);
  };
  into(x_, batch.x);
  targets_.tensors.resize(batch.targets.tensors.size());
  for (size_t i = 0; i < targets_.tensors.size(); ++i)
    into(targets_.tensors[i], batch.targets.tensors[i]);
}

// Keeps what a step did to the network's tensors since they were noted.
void RepeatedStep::note_changes() {
  for (Place& place : recorded_places_) {
    place.is_written = place.tensor.version() != place.version;
    if (place.is_counter) place.added = place.tensor.data<int64_t>()[0] - place.count;
    const Tensor copy = is_cpu(place.tensor.device()) ? Tensor() : current_copy(place.tensor);
    place.copy_is_written = place.is_written && copy.defined();
    place.copy_storage = copy.defined() ? copy.storage_id() : place.copy_storage;
  }
}

// What a step that is queued anew does on the host.
void RepeatedStep::tell_of_repeat() {
  ++repeats_;
  for (Place& place : recorded_places_) {
    if (!place.is_written) continue;
    if (place.is_counter)
      place.tensor.mutable_data<int64_t>()[0] += place.added;
    else
      place.tensor.mutable_raw();
    if (place.copy_is_written) copy_was_written(place.tensor);
  }
}

StepResult RepeatedStep::run(const Batch& batch, const StepOptions& options,
                             const StepPosition& position, double lr) {
  if (work_.is_recorded() && places() != recorded_places_) work_.forget();
  if (work_.is_recorded())
    task_.check(batch.targets, result_.pieces[0].outputs.shape());
  else
    result_ = {};  // its memory is wanted again
  bring(batch);
  set_dropout_streams(network_, position.seed, position.epoch, position.step);
  optimizer_.begin_step(lr);
  const Batch brought{x_, batch.targets, {}};
  const auto step = [&] {
    const BatchLoss of = loss_of(network_, first_, task_, brought, options, position, targets_);
    result_ = {};
    result_.pieces.push_back({of.loss.detach(), of.outputs.detach(), 1});
    optimizer_.backward_and_apply(of.loss);
    note_changes();
  };
  const auto undo = [&] {
    for (Place& place : recorded_places_)
      if (place.is_counter) place.tensor.mutable_data<int64_t>()[0] = place.count;
    network_.zero_grad();
    result_ = {};
  };
  if (!work_.is_recorded()) recorded_places_ = places();
  if (work_.run(step, undo)) tell_of_repeat();
  return result_;
}

}  // namespace graft::train
