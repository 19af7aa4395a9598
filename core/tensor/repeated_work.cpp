#include "graft/core/tensor/repeated_work.h"

namespace graft {

bool RepeatedWork::takes(Device device, const std::string& key) {
  if (is_cpu(device)) return false;
  if (device == device_ && key == key_) {
    other_.clear();
    return true;
  }
  const bool takes_over = key_.empty() || device != device_ || key == other_;
  other_ = takes_over ? std::string() : key;
  if (!takes_over) return false;
  forget();
  tries_ = 0;
  device_ = device;
  key_ = key;
  return true;
}

bool RepeatedWork::run(FunctionRef<void()> work, FunctionRef<void()> undo) {
  if (recorded_) {
    recorded_->run();
    return true;
  }
  if (has_run_ && tries_ < kTries) {
    ++tries_;
    recorded_ = device_backend(device_).record(device_, work);
    if (recorded_) {
      recorded_->run();
      return false;
    }
    undo();
  }
  has_run_ = false;
  work();
  has_run_ = true;
  return false;
}

void RepeatedWork::forget() {
  recorded_.reset();
  has_run_ = false;
}

}  // namespace graft
