#include "graft/kernels/cuda/gpu/device.h"

#include "graft/core/base/environment.h"
#include "graft/kernels/cuda/gpu/pool.h"
#include "graft/kernels/cuda/gpu/staging.h"

namespace graft::gpu {
namespace {

thread_local const char* t_operation = nullptr;
constexpr size_t kRecent = 4;

}  // namespace

OperationName::OperationName(const char* name) : previous_(t_operation) { t_operation = name; }
OperationName::~OperationName() { t_operation = previous_; }

Device::Device(Driver& driver, int index)
    : driver_(driver), index_(index), wait_each_(!environment("GRAFT_CUDA_WAIT").empty()) {
  check(driver_.open(index), "opening the device");
  check(this->driver().properties(index, properties_), "reading its properties");
  check(this->driver().create_stream(stream_), "making a stream");
  pool_ = std::make_unique<Pool>(*this);
  staging_ = std::make_unique<Staging>(*this);
}

Device::~Device() {
  if (!lost_) note(driver().synchronize(stream_));
  staging_.reset();
  pool_.reset();
  if (!lost_) note(driver().destroy_stream(stream_));
}

std::string Device::recent_kernels() const {
  std::string names;
  for (const char* name : recent_) names += str(names.empty() ? "" : ", ", name);
  return names;
}

void Device::require_alive() const {
  if (lost_)
    fail(ErrorCode::resource, id(),
         ": the device was lost; nothing runs on it any more in this process");
}

void Device::note(const Status& status) noexcept {
  lost_ = lost_ || status.code == Status::Code::lost;
}

void Device::check(const Status& status, const char* what) {
  if (status.ok()) return;
  note(status);
  std::string message =
      str(id(), ": ", t_operation ? str(t_operation, ": ") : "", what, ": ", status.message);
  if (lost_ && !recent_.empty())
    message += str(" (after ", recent_kernels(), "; GRAFT_CUDA_WAIT=1 says which)");
  fail(ErrorCode::resource, message);
}

void Device::launch(const Launch& launch) {
  queue(launch.name, [&](StreamId stream) { return driver().launch(launch, stream); });
}

void Device::queue(const char* name, FunctionRef<Status(StreamId)> work) {
  require_alive();
  make_current();
  check(work(stream_), name);
  if (recent_.size() == kRecent) recent_.erase(recent_.begin());
  recent_.push_back(name);
  if (wait_each_ && !capturing_) synchronize();
}

void Device::copy(void* to, const void* from, int64_t bytes, CopyKind kind) {
  if (bytes == 0) return;
  require_alive();
  check(driver().copy(to, from, bytes, kind, stream_), "copy");
}

void Device::set_bytes(void* to, int value, int64_t bytes) {
  if (bytes == 0) return;
  require_alive();
  check(driver().set_bytes(to, value, bytes, stream_), "fill");
}

void Device::synchronize() {
  require_alive();
  check(driver().synchronize(stream_), "waiting for the device");
  recent_.clear();
}

}  // namespace graft::gpu
