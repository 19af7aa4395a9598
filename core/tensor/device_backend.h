// DeviceBackend: what tensors ask of a device other than the CPU (memory, copies, the few
// conversions that Tensor itself offers). A backend gives core one when it opens its device, so
// that core knows no backend.
#pragma once
#include <cstdint>
#include <memory>

#include "graft/core/base/function_ref.h"
#include "graft/core/tensor/allocator.h"
#include "graft/core/tensor/tensor.h"

namespace graft {

inline bool is_cpu(Device device) { return device.type == DeviceType::cpu; }

// The same handle when the tensor is there, else a copy. To the CPU: waits. Not recorded by
// autograd.
GRAFT_API Tensor to_device(const Tensor& tensor, Device device);

// Work that a device has recorded. What it allocated stays its own: tensors made in it hold the
// values of its last run.
class GRAFT_API RecordedWork {
 public:
  virtual ~RecordedWork() = default;
  virtual void run() = 0;  // queues all of it again, on what its tensors hold then
};

// Work is queued in order and may be under way when a call returns, except where a call says that
// it waits.
class GRAFT_API DeviceBackend {
 public:
  virtual ~DeviceBackend() = default;
  virtual Allocator& allocator(Device device) = 0;  // bad_input when there is no such device
  virtual void upload(Device device, void* to, const void* from,
                      int64_t bytes) = 0;  // `from` may change once it returns
  virtual void download(Device device, void* to, const void* from, int64_t bytes) = 0;  // waits
  virtual void copy(Device device, void* to, const void* from,
                    int64_t bytes) = 0;  // within the device
  virtual void wait(Device device) = 0;  // for all work so far; an error of it surfaces here
  // Calls `work` once and keeps what it queues, computing nothing. Null where that cannot be done
  // (the log says why): as when `work` waits for the device, brings data from the host, or needs
  // memory that no run of it before has left in the pool.
  virtual std::unique_ptr<RecordedWork> record(Device, FunctionRef<void()>) { return nullptr; }
  virtual void fill(Tensor& y, double value) = 0;
  // Tensors of one shape: another dtype, another memory format, y = a + b in one dtype and format.
  virtual void cast(const Tensor& x, Tensor& y) = 0;
  virtual void reformat(const Tensor& x, Tensor& y) = 0;
  virtual void add(const Tensor& a, const Tensor& b, Tensor& y) = 0;
};

// The backend of a device type that is not the CPU; bad_input when none is open. set: null takes it
// away.
GRAFT_API DeviceBackend& device_backend(Device device);
GRAFT_API void set_device_backend(DeviceType type, DeviceBackend* backend);

}  // namespace graft
