// RunContext: what every part of one run of fit() knows.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "graft/train/fit.h"
#include "graft/train/loader.h"
#include "graft/train/probe.h"

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
  // Of a run in phases (probe.h): this one, the recipe of all, and with "tune" the probe before it.
  std::string phase{};
  std::optional<Recipe> whole{};
  std::shared_ptr<const KeptProbe> probe{};
  bool goes_on = false;  // from a checkpoint of at least one epoch (of this phase)

  bool on_cpu() const;
  int64_t epochs_before() const;             // of an earlier phase
  int64_t last_epoch() const;                // of this phase
  int64_t all_epochs() const;                // of the run, as far as is known
  std::string recipe_json() const;           // of the run
  std::string file(const char* name) const;  // in the run's folder
  void note(const std::string& text) const;
  // Tells of a phase before the first epoch, and leaves it when the run is to stop.
  std::function<void(int64_t done, int64_t total)> hear(const char* name) const;
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
