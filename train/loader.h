// BatchLoader: a data set as batches of network input, in an order that (seed, epoch) alone
// decides.
#pragma once
#include <memory>
#include <vector>

#include "graft/io/augment.h"
#include "graft/io/datasets/dataset.h"
#include "graft/io/decode_gate.h"
#include "graft/io/preprocess.h"
#include "graft/train/inputs/input.h"
#include "graft/train/tasks/task.h"

namespace graft::train {

struct Batch {
  Tensor x{};                      // f32 [N,C,H,W], channels_last, on LoaderOptions::device
  Targets targets{};               // on the host
  std::vector<int64_t> samples{};  // indices in the data set
};

struct LoaderOptions {
  int64_t batch = 32;
  bool shuffle = false;
  bool drop_single = false;  // leave out a last batch of one sample (batch norm cannot train on it)
  uint64_t seed = 0;
  io::Augment augment{};  // none by default
  int64_t views = 0;  // with augmentation, 0: drawn anew every epoch; K: epoch e shows view e % K,
                      // of which view 0 is the image as it is
  int workers =
      0;  // threads that prepare batches ahead; 0: prepared on the compute threads, between steps
  // Away from the CPU images go there as 8-bit pixels, a quarter of the bytes, beside the work
  // queued before; mirroring and normalising are that device's (kernels/ops/image_input.h). Targets
  // stay on the host.
  Device device{};
  std::shared_ptr<const Task> task{};      // whose targets batches have; null: the data set's own
  std::shared_ptr<io::DecodeGate> gate{};  // decoders keep within it; null: no bound
  int64_t cache_bytes = int64_t{1} << 30;  // without augmentation, samples ready but for the last
                                           // step are kept up to this for later epochs
  // What the samples are; null: what the preprocessing says (inputs/table.h).
  std::shared_ptr<const Input> input{};
};

// For one thread at a time, which start() and next() check; the data set is read by several. A
// forked child cannot go on with a loader that has workers (Error): it makes its own.
class GRAFT_API BatchLoader {
 public:
  BatchLoader(std::shared_ptr<const io::Dataset> dataset, io::Preprocess preprocess,
              LoaderOptions options);
  ~BatchLoader();
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  int64_t samples() const;
  int64_t batches() const;      // an epoch's
  Targets all_targets() const;  // of all samples as they are, in the data set's order
  // Starts epoch `epoch` (counted from 0), at its sample number `first` in order; batches then come
  // from next().
  void start(int64_t epoch, int64_t first = 0);
  // False after the epoch's last batch. A sample that cannot be read: its Error. Within a
  // ScopedStop (core/runtime/stop.h), that of start() where there are workers: Stopped.
  bool next(Batch& batch);

 private:
  struct Impl;
  void start_workers();
  void check_not_forked() const;
  std::unique_ptr<Impl> impl_;
};

}  // namespace graft::train
