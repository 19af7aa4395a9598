// Driver: the thin seam between graft and a GPU. Every call that reaches a GPU goes through it. Two
// implementations: the CUDA runtime (cuda_driver.cu) and a fake on the host that runs kernels on
// the emulator (emulator/fake_driver.h).
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "graft/kernels/cuda/gpu/tensor_map.h"

namespace graft::cudnn {
class Dnn;
}
namespace graft::cublas {
class Blas;
}

namespace graft::gpu {

// What a call came to. `lost`: the device answers nothing any more and never will in this process.
struct Status {
  enum class Code : unsigned char { ok, out_of_memory, lost, failed };
  Code code = Code::ok;
  std::string message{};  // the driver's words, when code is not ok
  bool ok() const { return code == Code::ok; }
};

struct Properties {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 1;
  int64_t memory_bytes = 0, l2_bytes = 0, shared_bytes_per_block = 48 << 10;
  int driver_version = 0, runtime_version = 0;  // of CUDA, 13010 for 13.1; 0: there is none
  bool memory_pools = true;  // else allocate_waiting and free_waiting are what there is
};

// Opaque objects of the driver; each belongs to the RAII handle of handles.h that made it.
using StreamId = void*;
using EventId = void*;
using GraphId = void*;       // a captured graph
using ExecutableId = void*;  // an instantiated one

enum class CopyKind : unsigned char { to_device, to_host, on_device };

// One kernel launch over a row of blocks. `entry` is the device function on CUDA, the emulator's on
// the fake.
struct Launch {
  const char* name;
  const void* entry;
  int64_t blocks;
  int threads;       // of a block
  int shared_bytes;  // dynamic shared memory of a block; more than 48 KiB where the device has it
  const void* args;  // one plain struct; copied by the call
  size_t args_bytes;
};

// Work given to a stream runs in its order and later; a call that waits says so. Streams order
// nothing between them but by events. While a stream captures, its work goes into the graph;
// waiting and allocating are then errors.
class Driver {
 public:
  virtual ~Driver() = default;
  virtual Status device_count(int& count) = 0;
  virtual Status properties(int device, Properties& result) = 0;
  virtual Status open(int device) = 0;  // once, before all else; the pool keeps what is freed
  // This thread's calls are for `device` from here on. Each thread begins with device 0.
  virtual Status use(int device) = 0;

  virtual Status allocate(int64_t bytes, StreamId stream,
                          void*& pointer) = 0;  // usable on `stream` from here on
  virtual Status free(void* pointer, StreamId stream) = 0;
  // Of devices without pools (some virtual GPUs): usable on every stream; a free waits for them
  // all.
  virtual Status allocate_waiting(int64_t bytes, void*& pointer) = 0;
  virtual Status free_waiting(void* pointer) = 0;
  virtual Status allocate_pinned(int64_t bytes, void*& pointer) = 0;  // on the host
  virtual Status free_pinned(void* pointer) = 0;

  virtual Status copy(void* to, const void* from, int64_t bytes, CopyKind kind,
                      StreamId stream) = 0;
  virtual Status set_bytes(void* to, int value, int64_t bytes, StreamId stream) = 0;
  virtual Status launch(const Launch& launch, StreamId stream) = 0;

  virtual Status create_stream(StreamId& stream) = 0;
  virtual Status destroy_stream(StreamId stream) = 0;
  virtual Status synchronize(StreamId stream) = 0;  // waits
  virtual Status create_event(EventId& event, bool timed) = 0;
  virtual Status destroy_event(EventId event) = 0;
  virtual Status record(EventId event, StreamId stream) = 0;
  virtual Status wait(StreamId stream, EventId event) = 0;  // the stream waits, the host does not
  virtual Status synchronize_event(EventId event) = 0;      // waits
  virtual Status elapsed(EventId from, EventId to,
                         float& milliseconds) = 0;  // timed events that were waited for

  virtual Status begin_capture(StreamId stream) = 0;
  virtual Status end_capture(StreamId stream, GraphId& graph) = 0;
  virtual Status instantiate(GraphId graph, ExecutableId& executable) = 0;
  virtual Status launch_graph(ExecutableId executable, StreamId stream) = 0;
  virtual Status destroy_graph(GraphId graph) = 0;
  virtual Status destroy_executable(ExecutableId executable) = 0;

  // Tensor maps for kernels of compute capability 9.0. failed: the shape is outside of what the
  // copy engine takes.
  virtual Status encode(const BoxMap& boxes, TensorMap& map) = 0;
  virtual Status encode(const PixelMap& pixels, TensorMap& map) = 0;

  // cuDNN for an open device (cudnn/dnn.h). failed: it is not there; the message says why.
  virtual Status open_dnn(int device, std::unique_ptr<cudnn::Dnn>& dnn) = 0;
  // cuBLASLt for an open device (cublas/blas.h), likewise.
  virtual Status open_blas(int device, std::unique_ptr<cublas::Blas>& blas) = 0;
};

}  // namespace graft::gpu
