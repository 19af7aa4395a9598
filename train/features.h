// The frozen prefix: its features, computed once per sample when nothing random stands before it;
// and the standardisation of features for a linear head.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "graft/core/tensor/repeated_work.h"
#include "graft/layers/modules/linear.h"
#include "graft/layers/modules/staged_network.h"
#include "graft/layers/plan/plan.h"
#include "graft/train/loader.h"

namespace graft::train {

// Runs stages [0, stages) of a network in eval mode without recording; through a compiled plan
// where one can be made. A sample's features never depend on the other samples of its batch.
//
// Any number of threads may call one runner at once (operator(), observe, refusal, warm_up): the
// first compiles, all run, with the bits of one thread. Meanwhile nobody may train, write, freeze
// or move the network, nor switch repeat. On a device they take turns.
class GRAFT_API PrefixRunner {
 public:
  // precision f32 or bf16 (away from the CPU f16 too): of the values inside of the plan; features
  // are f32 either way. With a calibration, of the same network, its convolutions run in 8-bit
  // integers.
  PrefixRunner(StagedNetwork& network, size_t stages, DType precision = DType::f32,
               Calibration calibration = {});
  ~PrefixRunner();
  // x on any device; the features lie on the network's.
  Tensor operator()(const Tensor& x);
  // A device records the plan's work for a batch size that comes twice in a row and repeats it
  // (repeated_work.h); what it allocates then stays this runner's. The same bits. On unless it is
  // switched off.
  void repeat(bool on);
  bool is_recorded() const { return work_.is_recorded(); }
  // Runs x in f32 and tells the observer what the 8-bit form needs to know. bad_input when no plan
  // can be made.
  void observe(const Tensor& x, RangeObserver& observer);
  Device device() const { return network_.device(); }
  size_t stages() const { return stages_; }
  // Compiles for images [C,H,W] and packs the weights, so that the first call is as fast as the
  // hundredth; without it the first compiles and the second packs. Nothing to do where no plan can
  // be made.
  void warm_up(const Shape& image);
  // Why the last x did not go through a plan of the precision asked for, and so was computed in
  // f32; "" when it did. (8-bit integers are never given up silently: bad_input.)
  std::string refusal() const;

 private:
  struct Compiled;
  struct Shared;
  std::shared_ptr<const Plan> plan_for(const Tensor& x);  // null: none can be made
  std::shared_ptr<const Plan> plan_for(const Shape& image, Device device);
  std::shared_ptr<const Compiled> compiled_for(const Shape& image);  // null: not compiled yet
  std::shared_ptr<const Compiled> compile(const Shape& image, Device device);
  Tensor run(const Tensor& from);
  Tensor run_repeatedly(const Tensor& from);
  StagedNetwork& network_;
  size_t stages_;
  DType precision_;
  Calibration calibration_;
  std::unique_ptr<Shared> shared_;
  std::atomic<bool> keeps_device_memory_{false};
  bool repeats_ = true;
  Tensor x_, y_;  // what the recording reads and writes
  RepeatedWork work_;
};

// The features and targets of a whole data set, by sample index, on the host.
struct FeatureSet {
  Tensor features{};  // f32 [N,...]
  Targets targets{};
};

// `progress` (may be empty) hears the samples done. The loader must not shuffle. Within a
// ScopedStop (core/runtime/stop.h) it and calibrate() end with Stopped.
GRAFT_API FeatureSet
extract_features(PrefixRunner& prefix, BatchLoader& loader,
                 const std::function<void(int64_t done, int64_t total)>& progress = {});
// Observes up to `most` images spread evenly over a data set. `progress` (may be empty) hears the
// images done.
GRAFT_API Calibration
calibrate(StagedNetwork& network, std::shared_ptr<const io::Dataset> dataset,
          const io::Preprocess& preprocess, int64_t most = 256,
          const std::function<void(int64_t done, int64_t total)>& progress = {});

// Per-feature mean and deviation of [N,F] features, in double and in sample order; constant
// features get deviation 1.
struct GRAFT_API Standardizer {
  std::vector<double> mean{}, deviation{};

  static Standardizer of(const Tensor& features);  // f32
  // The same of rows that are read one after another, twice.
  static Standardizer of(int64_t rows, int64_t count,
                         const std::function<void(int64_t row, float* out)>& read);
  Tensor apply(
      const Tensor& features) const;  // f32: (x - mean) / deviation, in double, on the host
  // Makes a head that learned on standardised features take plain ones: W / deviation, b - W mean /
  // deviation. Writes into the head; the former values come back.
  StateDict fold(Linear& head) const;
  // The other way: a head that takes plain features takes standardised ones, the same function.
  void unfold(Linear& head) const;
};

}  // namespace graft::train
