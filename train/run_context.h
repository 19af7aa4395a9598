// RunContext: what every part of one run of fit() knows.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "graft/train/fit.h"
#include "graft/train/loader.h"

namespace graft::train {

struct RunContext {
  StagedNetwork& network;
  const io::OpenedData& data;
  const io::Preprocess& preprocess;
  Recipe recipe;  // with the step planned
  const FitOptions& options;
  std::shared_ptr<Task> task;
  io::Augment augment{};
  std::shared_ptr<io::DecodeGate> gate{};  // with FitOptions::ram, where images are decoded
  bool goes_on = false;                    // from a checkpoint of at least one epoch

  bool on_cpu() const;
  std::string file(const char* name) const;  // in the run's folder
  void note(const std::string& text) const;
  // Tells of a phase before the first epoch, and leaves it when the run is to stop.
  std::function<void(int64_t done, int64_t total)> hear(const char* phase) const;
  // Of training batches: shuffled and augmented.
  std::unique_ptr<BatchLoader> loader(std::shared_ptr<const io::Dataset> dataset, int64_t batch,
                                      bool training) const;
  // For batch norms to re-estimate their statistics: every training image as it is, but for a last
  // batch of one.
  std::unique_ptr<BatchLoader> statistics_loader() const;
  int64_t evaluation_batch() const;
};

// The tensors of the network that training can change, by name; copies of them on the host; and
// their values put back.
StateDict changing(StagedNetwork& network);
StateDict copy_of_changing(StagedNetwork& network);
void put_changing(StagedNetwork& network, const StateDict& values);

}  // namespace graft::train
