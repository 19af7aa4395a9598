// RepeatedWork: work that comes again and again. A device records it and then repeats the
// recording, so that the host has one call to make in place of hundreds.
#pragma once
#include <memory>
#include <string>

#include "graft/core/base/function_ref.h"
#include "graft/core/tensor/device_backend.h"

namespace graft {

// The first run of a key is as it is (it allocates, chooses kernels, makes what is kept), the
// second is recorded, all others repeat the recording. What differs from run to run must stand in
// tensors whose places stay the same.
class GRAFT_API RepeatedWork {
 public:
  // Whether work of this key is for run(). Never on the CPU. A key that comes once between others
  // (a last, smaller batch) is not; one that comes twice in a row takes the place of the former.
  bool takes(Device device, const std::string& key);
  // Runs what `takes` took. `undo` puts back what a recording that came to nothing changed on the
  // host; `work` runs as it is then. True: the recording ran and `work` was not called.
  bool run(FunctionRef<void()> work, FunctionRef<void()> undo);
  bool is_recorded() const { return recorded_ != nullptr; }
  // The next run is a first one: for when places changed.
  void forget();

 private:
  static constexpr int kTries =
      3;  // the pool may lack a block that something else took between two runs
  Device device_;
  std::string key_, other_;
  bool has_run_ = false;
  int tries_ = 0;
  std::unique_ptr<RecordedWork> recorded_;
};

}  // namespace graft
