// gpu::Device: one open GPU: its compute stream, memory pool, staging, and the checking of every
// call. A call that fails throws graft::Error naming device, operation and call; once the device is
// lost, every later call throws at once.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graft/core/base/error.h"
#include "graft/core/base/function_ref.h"
#include "graft/core/tensor/device.h"
#include "graft/kernels/cuda/gpu/driver.h"

namespace graft::gpu {

class Pool;
class Staging;

class Device {
 public:
  Device(Driver& driver, int index);  // Error(resource) when the driver refuses it
  ~Device();                          // waits for the stream, gives everything back
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  graft::Device id() const { return {DeviceType::cuda, index_}; }
  // This thread's calls, and those of libraries, are for this device from here on.
  void make_current() noexcept { note(driver_.use(index_)); }  // if not, the next call fails
  Driver& driver() {
    make_current();
    return driver_;
  }
  const Properties& properties() const { return properties_; }
  StreamId stream() const { return stream_; }
  Pool& pool() { return *pool_; }
  Staging& staging() { return *staging_; }

  // Throws when `status` is an error. `what`: the call in words ("copy to the device").
  void check(const Status& status, const char* what);
  // Throws when the device was lost: before each call.
  void require_alive() const;
  // For destructors: remembers a lost device, throws nothing.
  void note(const Status& status) noexcept;
  bool lost() const { return lost_; }

  void launch(const Launch& launch);
  // Work that a library puts on the stream itself.
  void queue(const char* name, FunctionRef<Status(StreamId)> work);
  void copy(void* to, const void* from, int64_t bytes, CopyKind kind);
  void set_bytes(void* to, int value, int64_t bytes);
  void synchronize();  // an error of the work before it surfaces here, with the names of the last
                       // kernels

  bool waits_each() const { return wait_each_; }  // GRAFT_CUDA_WAIT: after every kernel
  bool capturing() const { return capturing_; }
  void set_capturing(bool on) { capturing_ = on; }

 private:
  std::string recent_kernels() const;

  Driver& driver_;
  int index_;
  Properties properties_;
  StreamId stream_ = nullptr;
  bool lost_ = false, capturing_ = false, wait_each_ = false;
  std::vector<const char*>
      recent_;  // names of the last kernels since the host waited, oldest first
  std::unique_ptr<Pool> pool_;
  std::unique_ptr<Staging> staging_;
};

// While it lives, errors of this thread's GPU calls name the operation.
class OperationName {
 public:
  explicit OperationName(const char* name);
  ~OperationName();
  OperationName(const OperationName&) = delete;
  OperationName& operator=(const OperationName&) = delete;

 private:
  const char* previous_;
};

}  // namespace graft::gpu
