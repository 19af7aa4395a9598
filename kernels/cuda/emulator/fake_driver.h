// FakeDriver: a GPU of the host's. Work is queued and runs as late as it may, kernels run on the
// emulator; it checks what a GPU would not say: order between streams, use after free, leaks, data
// races; and it fails any call that a test names.
#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <span>

#include "graft/kernels/cuda/emulator/memory.h"
#include "graft/kernels/cuda/gpu/driver.h"

namespace graft::cuda::emulator {

struct FakeDnnState;
struct FakeBlasState;

// Device memory that a piece of the host's work reads or writes.
struct HostRange {
  void* data;
  int64_t bytes;
  bool write;
};

// Where the host finds `bytes` of the device's memory that the running kernel's copy engine reads.
// Throws Error(internal) when the access is not in order.
const std::byte* host_range(const void* data, int64_t bytes);

class FakeDriver final : public gpu::Driver {
 public:
  explicit FakeDriver(int devices = 1);
  ~FakeDriver() override;

  // Tests: the call number `call`, counted from 0 from now on, comes to `code`. lost: so do all
  // after it. Calls that give something back do so all the same.
  void fail_call(int64_t call, gpu::Status::Code code);
  // Tests of failures alone: kernels are queued but compute nothing.
  void skip_kernels() { skip_kernels_ = true; }
  int64_t calls() const { return calls_; }  // since the start or fail_call
  // Allocations, streams, events and graphs that were made and not given back.
  int64_t live_objects() const;
  int64_t device_allocations() const { return memory_.live(); }
  // Compute capability 8.0 when nothing else is said: what needs 9.0 is slow to emulate, and its
  // tests ask for it.
  void set_capability(int major, int minor) { major_ = major, minor_ = minor; }
  // Devices whose memory no stream orders.
  void forbid_pools() { pools_ = false; }
  // Gives the device a cuDNN (fake_dnn.h); without this it has none.
  void provide_dnn(FakeDnnState& state) { dnn_ = &state; }
  // The same with a cuBLASLt (fake_blas.h).
  void provide_blas(FakeBlasState& state) { blas_ = &state; }
  // For the libraries that stand beside the driver: a call that only counts and fails when it is
  // named, and work that is queued as a kernel is and gets the host's addresses of its ranges once
  // they are checked.
  gpu::Status count_call();
  gpu::Status queue_on_host(std::string name, gpu::StreamId stream, std::vector<HostRange> ranges,
                            std::function<void(std::span<std::byte* const>)> work);
  // Queued work that takes time says so while it runs; time stands still otherwise.
  void spend(double milliseconds) { time_ += milliseconds; }
  // How often the host waited for a stream.
  int64_t waits() const { return waits_; }
  // Names of the kernels that ran, in order.
  const std::vector<std::string>& kernels_run() const { return kernels_run_; }

  gpu::Status device_count(int& count) override;
  gpu::Status properties(int device, gpu::Properties& result) override;
  gpu::Status open(int device) override;
  gpu::Status use(int device) override;
  gpu::Status allocate(int64_t bytes, gpu::StreamId stream, void*& pointer) override;
  gpu::Status free(void* pointer, gpu::StreamId stream) override;
  gpu::Status allocate_waiting(int64_t bytes, void*& pointer) override;
  gpu::Status free_waiting(void* pointer) override;
  gpu::Status allocate_pinned(int64_t bytes, void*& pointer) override;
  gpu::Status free_pinned(void* pointer) override;
  gpu::Status copy(void* to, const void* from, int64_t bytes, gpu::CopyKind kind,
                   gpu::StreamId stream) override;
  gpu::Status set_bytes(void* to, int value, int64_t bytes, gpu::StreamId stream) override;
  gpu::Status launch(const gpu::Launch& launch, gpu::StreamId stream) override;
  gpu::Status create_stream(gpu::StreamId& stream) override;
  gpu::Status destroy_stream(gpu::StreamId stream) override;
  gpu::Status synchronize(gpu::StreamId stream) override;
  gpu::Status create_event(gpu::EventId& event, bool timed) override;
  gpu::Status destroy_event(gpu::EventId event) override;
  gpu::Status record(gpu::EventId event, gpu::StreamId stream) override;
  gpu::Status wait(gpu::StreamId stream, gpu::EventId event) override;
  gpu::Status synchronize_event(gpu::EventId event) override;
  gpu::Status elapsed(gpu::EventId from, gpu::EventId to, float& milliseconds) override;
  gpu::Status begin_capture(gpu::StreamId stream) override;
  gpu::Status end_capture(gpu::StreamId stream, gpu::GraphId& graph) override;
  gpu::Status instantiate(gpu::GraphId graph, gpu::ExecutableId& executable) override;
  gpu::Status launch_graph(gpu::ExecutableId executable, gpu::StreamId stream) override;
  gpu::Status destroy_graph(gpu::GraphId graph) override;
  gpu::Status destroy_executable(gpu::ExecutableId executable) override;
  gpu::Status encode(const gpu::BoxMap& boxes, gpu::TensorMap& map) override;
  gpu::Status encode(const gpu::PixelMap& pixels, gpu::TensorMap& map) override;
  gpu::Status open_dnn(int device, std::unique_ptr<cudnn::Dnn>& dnn) override;
  gpu::Status open_blas(int device, std::unique_ptr<cublas::Blas>& blas) override;

 private:
  using Job = std::function<void(const Work&)>;
  struct Step {
    std::string name;
    Job job;
  };
  struct Graph {
    std::vector<Step> steps;
  };
  struct Stream {
    size_t number = 0;
    int device = 0;
    int64_t queued = 0, done = 0;  // serials
    Clock clock;                   // what later work runs after
    std::deque<std::pair<Work, Job>> queue;
    std::unique_ptr<Graph> capture;
    bool capture_broken = false;
  };
  struct Event {
    Stream* stream = nullptr;  // null: never recorded
    int64_t serial = 0;
    Clock clock;
    bool timed = false;
    int device = 0;
    double time = -1;  // when the work before it was done, in milliseconds
  };
  template <class F>
  gpu::Status call(F&& body, bool always = false);
  void enqueue(gpu::StreamId stream, std::string name, Job job);
  void drain(Stream& stream, int64_t serial);
  Stream& stream_of(gpu::StreamId id);
  Event& event_of(gpu::EventId id);
  void forbid_capture(Stream& stream, const char* what);
  void wait_for_all();
  void run_kernel(const gpu::Launch& launch, const Work& work);
  bool is_pinned(const void* pointer) const;

  int devices_, major_ = 8, minor_ = 0;
  Memory memory_;
  Clock host_;  // what the host has waited for
  std::vector<std::unique_ptr<Stream>> streams_;
  std::set<Event*> events_;
  std::set<Graph*> graphs_;
  std::map<const std::byte*, std::pair<std::unique_ptr<std::byte[]>, int64_t>> pinned_;
  std::vector<std::string> kernels_run_;
  size_t next_stream_ = 0;
  int64_t calls_ = 0, failing_call_ = -1, waits_ = 0;
  gpu::Status::Code failure_ = gpu::Status::Code::ok;
  bool skip_kernels_ = false, pools_ = true;
  double time_ = 0;
  FakeDnnState* dnn_ = nullptr;
  FakeBlasState* blas_ = nullptr;
  std::string lost_;  // why; empty: it lives
};

}  // namespace graft::cuda::emulator
