#include "graft/kernels/cuda/emulator/fake_driver.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "graft/core/base/error.h"
#include "graft/kernels/cuda/device/span.h"
#include "graft/kernels/cuda/emulator/fake_blas.h"
#include "graft/kernels/cuda/emulator/fake_dnn.h"
#include "graft/kernels/cuda/emulator/tensor_map.h"

namespace graft::cuda::emulator {
namespace {

using gpu::Status;

// A call that CUDA refuses without losing the device.
struct Refused {
  std::string why;
};

constexpr int kLargestShared = 227 << 10;  // of a block, compute capability 9.0

// A launch's arguments, at the alignment that CUDA gives them.
struct alignas(128) ArgumentBytes {
  std::byte bytes[128];
};

struct RunningKernel {
  Memory* memory;
  const Work* work;
};
thread_local RunningKernel t_kernel{};
thread_local int t_device = 0;  // the thread's current device, as CUDA has it

}  // namespace

void* host_address(const void* data, int64_t size, int64_t index, int count, int element_bytes,
                   bool write) {
  const BlockRun* block = current_block();
  if (!block) fail(ErrorCode::internal, "global memory is used outside of a kernel");
  if (!data || index < 0 || index > size - count)
    block->fault_running(str(write ? "writes" : "reads", " element ", index,
                             count > 1 ? str(" and ", count - 1, " more") : "", " of ", size));
  const auto* first = reinterpret_cast<const std::byte*>(
      reinterpret_cast<uintptr_t>(data) + static_cast<uintptr_t>(index * element_bytes));
  if (reinterpret_cast<uintptr_t>(first) % static_cast<uintptr_t>(count * element_bytes) != 0)
    block->fault_running("uses a group that is not aligned");
  std::byte* host = nullptr;
  for (int i = count - 1; i >= 0; --i)
    host = t_kernel.memory->check_element(first + i * element_bytes, element_bytes, write,
                                          *t_kernel.work, block->running_place());
  return host;
}

const std::byte* host_range(const void* data, int64_t bytes) {
  return t_kernel.memory->check_range(data, bytes, false, *t_kernel.work);
}

FakeDriver::FakeDriver(int devices) : devices_(devices) { t_device = 0; }

FakeDriver::~FakeDriver() {
  for (Event* event : events_) delete event;
  for (Graph* graph : graphs_) delete graph;
}

void FakeDriver::fail_call(int64_t call, Status::Code code) {
  calls_ = 0;
  failing_call_ = call;
  failure_ = code;
}

int64_t FakeDriver::live_objects() const {
  return memory_.live() +
         static_cast<int64_t>(streams_.size() + events_.size() + graphs_.size() + pinned_.size());
}

// Every call passes here: counting, injected failures, a lost device, refusals. `always`: it is
// done though it fails.
template <class F>
Status FakeDriver::call(F&& body, bool always) {
  const bool injected = calls_++ == failing_call_;
  if (injected && failure_ == Status::Code::lost) lost_ = "unspecified launch failure";
  if (!lost_.empty()) {
    if (always) body();
    return {Status::Code::lost, lost_};
  }
  if (injected && !always)
    return {failure_, failure_ == Status::Code::out_of_memory ? "out of memory" : "invalid value"};
  try {
    body();
  } catch (const Refused& refused) {
    return {Status::Code::failed, refused.why};
  } catch (const Error& error) {  // a kernel did what it must not
    lost_ = error.what();
    return {Status::Code::lost, lost_};
  }
  if (injected) return {failure_, "invalid value"};
  return {};
}

FakeDriver::Stream& FakeDriver::stream_of(gpu::StreamId id) {
  for (const auto& stream : streams_)
    if (stream.get() == id) {
      if (stream->device != t_device) throw Refused{"the stream is another device's"};
      return *stream;
    }
  throw Refused{"invalid stream"};
}
FakeDriver::Event& FakeDriver::event_of(gpu::EventId id) {
  auto* event = static_cast<Event*>(id);
  if (!events_.contains(event)) throw Refused{"invalid event"};
  if (event->device != t_device) throw Refused{"the event is another device's"};
  return *event;
}
bool FakeDriver::is_pinned(const void* pointer) const {
  const auto* at = static_cast<const std::byte*>(pointer);
  const auto next = pinned_.upper_bound(at);
  return next != pinned_.begin() && at < std::prev(next)->first + std::prev(next)->second.second;
}
void FakeDriver::forbid_capture(Stream& stream, const char* what) {
  if (!stream.capture) return;
  stream.capture_broken = true;
  throw Refused{str("operation not permitted when stream is capturing: ", what)};
}

void FakeDriver::enqueue(gpu::StreamId id, std::string name, Job job) {
  Stream& stream = stream_of(id);
  if (stream.capture) {
    stream.capture->steps.push_back({std::move(name), std::move(job)});
    return;
  }
  stream.clock.join(host_);
  stream.clock.raise(stream.number, ++stream.queued);
  stream.queue.emplace_back(Work{std::move(name), stream.number, stream.queued, stream.clock},
                            std::move(job));
}

void FakeDriver::drain(Stream& stream, int64_t serial) {
  while (stream.done < serial) {
    auto [work, job] = std::move(stream.queue.front());
    stream.queue.pop_front();
    stream.done = work.serial;
    job(work);
  }
}

void FakeDriver::run_kernel(const gpu::Launch& launch, const Work& work) {
  const RunningKernel outer = std::exchange(t_kernel, {&memory_, &work});
  try {
    BlockRun run(launch);
    for (int64_t block = 0; block < launch.blocks && !skip_kernels_; ++block) run.run(block);
  } catch (...) {
    t_kernel = outer;
    throw;
  }
  t_kernel = outer;
  kernels_run_.push_back(launch.name);
}

Status FakeDriver::device_count(int& count) {
  return call([&] { count = devices_; });
}
Status FakeDriver::properties(int, gpu::Properties& result) {
  return call([&] {
    result = {"emulated GPU", major_, minor_, 4, int64_t{1} << 34, 1 << 20, 48 << 10};
    result.memory_pools = pools_;
  });
}
Status FakeDriver::open(int device) {
  return call([&] {
    if (device < 0 || device >= devices_) throw Refused{"invalid device ordinal"};
  });
}

// Not counted: it stands before every call, and fails only where the device is none.
Status FakeDriver::use(int device) {
  if (device < 0 || device >= devices_) return {Status::Code::failed, "invalid device ordinal"};
  t_device = device;
  return {};
}

Status FakeDriver::allocate(int64_t bytes, gpu::StreamId id, void*& pointer) {
  return call([&] {
    if (!pools_) throw Refused{"operation not supported"};
    Stream& stream = stream_of(id);
    forbid_capture(stream, "allocate");
    enqueue(id, "allocation", [](const Work&) {});
    pointer = memory_.allocate(bytes, {"allocation", stream.number, stream.queued, stream.clock});
  });
}
Status FakeDriver::free(void* pointer, gpu::StreamId id) {
  return call(
      [&] {
        if (!pools_) throw Refused{"operation not supported"};
        forbid_capture(stream_of(id), "free");
        enqueue(id, "a free", [this, pointer](const Work& work) { memory_.free(pointer, work); });
      },
      true);
}
// What is queued on any stream is done when this returns.
void FakeDriver::wait_for_all() {
  for (const auto& stream : streams_) {
    forbid_capture(*stream, "waiting for the device");
    drain(*stream, stream->queued);
    host_.join(stream->clock);
  }
}
Status FakeDriver::allocate_waiting(int64_t bytes, void*& pointer) {
  return call([&] {
    for (const auto& stream : streams_) forbid_capture(*stream, "allocate");
    pointer = memory_.allocate(bytes, {"allocation", 0, 0, host_});
  });
}
Status FakeDriver::free_waiting(void* pointer) {
  return call(
      [&] {
        if (lost_.empty()) wait_for_all();
        memory_.free(pointer, {"a free", 0, 0, host_});
      },
      true);
}
Status FakeDriver::allocate_pinned(int64_t bytes, void*& pointer) {
  return call([&] {
    auto data = std::make_unique_for_overwrite<std::byte[]>(static_cast<size_t>(bytes));
    pointer = data.get();
    pinned_[static_cast<std::byte*>(pointer)] = {std::move(data), bytes};
  });
}
Status FakeDriver::free_pinned(void* pointer) {
  return call(
      [&] {
        for (const auto& stream : streams_) drain(*stream, stream->queued);  // cudaFreeHost waits
        if (pinned_.erase(static_cast<std::byte*>(pointer)) == 0) throw Refused{"invalid value"};
      },
      true);
}

Status FakeDriver::copy(void* to, const void* from, int64_t bytes, gpu::CopyKind kind,
                        gpu::StreamId id) {
  return call([&] {
    Stream& stream = stream_of(id);
    const auto size = static_cast<size_t>(bytes);
    switch (kind) {
      case gpu::CopyKind::on_device:
        return enqueue(id, "a copy", [=, this](const Work& work) {
          const std::byte* source = memory_.check_range(from, bytes, false, work);
          std::memmove(memory_.check_range(to, bytes, true, work), source, size);
        });
      case gpu::CopyKind::to_device: {
        std::shared_ptr<std::vector<std::byte>>
            staged;  // pageable memory is read before the call returns
        if (!is_pinned(from))
          staged = std::make_shared<std::vector<std::byte>>(
              static_cast<const std::byte*>(from), static_cast<const std::byte*>(from) + size);
        return enqueue(id, "a copy", [=, this](const Work& work) {
          std::memcpy(memory_.check_range(to, bytes, true, work), staged ? staged->data() : from,
                      size);
        });
      }
      case gpu::CopyKind::to_host: break;
    }
    const bool waits = !is_pinned(to);
    if (waits) forbid_capture(stream, "copy to pageable memory");
    enqueue(id, "a copy", [=, this](const Work& work) {
      std::memcpy(to, memory_.check_range(from, bytes, false, work), size);
    });
    if (!waits) return;
    drain(stream, stream.queued);
    host_.join(stream.clock);
  });
}
Status FakeDriver::set_bytes(void* to, int value, int64_t bytes, gpu::StreamId id) {
  return call([&] {
    enqueue(id, "a fill", [=, this](const Work& work) {
      std::memset(memory_.check_range(to, bytes, true, work), value, static_cast<size_t>(bytes));
    });
  });
}
Status FakeDriver::launch(const gpu::Launch& launch, gpu::StreamId id) {
  return call([&] {
    if (launch.blocks < 1 || launch.blocks > 0x7fffffff || launch.threads < 32 ||
        launch.threads > 1024 || launch.threads % 32 != 0 || launch.shared_bytes < 0 ||
        launch.shared_bytes > (major_ >= 9 ? kLargestShared : 48 << 10))
      throw Refused{"invalid configuration argument"};
    const auto args =
        std::make_shared<std::vector<ArgumentBytes>>(launch.args_bytes / sizeof(ArgumentBytes) + 1);
    std::memcpy(args->data(), launch.args, launch.args_bytes);
    enqueue(id, launch.name, [=, this](const Work& work) {
      gpu::Launch copy = launch;
      copy.args = args->data();
      run_kernel(copy, work);
    });
  });
}

Status FakeDriver::count_call() {
  return call([] {});
}
Status FakeDriver::queue_on_host(std::string name, gpu::StreamId id, std::vector<HostRange> ranges,
                                 std::function<void(std::span<std::byte* const>)> work) {
  return call([&] {
    enqueue(
        id, name,
        [this, name, ranges = std::move(ranges), host_work = std::move(work)](const Work& queued) {
          std::vector<std::byte*> data;
          for (const HostRange& range : ranges)
            data.push_back(memory_.check_range(range.data, range.bytes, range.write, queued));
          if (!skip_kernels_) host_work(data);
          kernels_run_.push_back(name);
        });
  });
}
Status FakeDriver::encode(const gpu::BoxMap& boxes, gpu::TensorMap& map) {
  return call([&] {
    if (const std::string reason = refuses(boxes); !reason.empty()) throw Refused{reason};
    HostTensorMap(boxes).write(map);
  });
}
Status FakeDriver::encode(const gpu::PixelMap& pixels, gpu::TensorMap& map) {
  return call([&] {
    if (const std::string reason = refuses(pixels); !reason.empty()) throw Refused{reason};
    HostTensorMap(pixels).write(map);
  });
}
Status FakeDriver::open_dnn(int, std::unique_ptr<cudnn::Dnn>& dnn) {
  return call([&] {
    if (!dnn_) throw Refused{"the emulated GPU has no cuDNN"};
    dnn = std::make_unique<FakeDnn>(*this, *dnn_);
  });
}
Status FakeDriver::open_blas(int, std::unique_ptr<cublas::Blas>& blas) {
  return call([&] {
    if (!blas_) throw Refused{"the emulated GPU has no cuBLASLt"};
    blas = std::make_unique<FakeBlas>(*this, *blas_);
  });
}

Status FakeDriver::create_stream(gpu::StreamId& stream) {
  return call([&] {
    streams_.push_back(std::make_unique<Stream>());
    streams_.back()->number = next_stream_++;
    streams_.back()->device = t_device;
    stream = streams_.back().get();
  });
}
Status FakeDriver::destroy_stream(gpu::StreamId id) {
  return call(
      [&] {
        Stream& stream = stream_of(id);
        if (lost_.empty()) drain(stream, stream.queued);
        for (Event* event : events_)
          if (event->stream == &stream) event->stream = nullptr;
        std::erase_if(streams_, [&](const auto& owned) { return owned.get() == &stream; });
      },
      true);
}
Status FakeDriver::synchronize(gpu::StreamId id) {
  return call([&] {
    Stream& stream = stream_of(id);
    forbid_capture(stream, "synchronize");
    ++waits_;
    drain(stream, stream.queued);
    host_.join(stream.clock);
  });
}

Status FakeDriver::create_event(gpu::EventId& event, bool timed) {
  return call([&] {
    auto* made = new Event;
    made->timed = timed;
    made->device = t_device;
    events_.insert(made);
    event = made;
  });
}
Status FakeDriver::destroy_event(gpu::EventId event) {
  return call(
      [&] {
        delete &event_of(event);
        events_.erase(static_cast<Event*>(event));
      },
      true);
}
Status FakeDriver::record(gpu::EventId id, gpu::StreamId stream_id) {
  return call([&] {
    Stream& stream = stream_of(stream_id);
    forbid_capture(stream, "recording an event that lives outside of the graph");
    Event& event = event_of(id);
    if (event.timed)
      enqueue(stream_id, "an event", [this, recorded = &event](const Work&) {
        if (events_.contains(recorded)) recorded->time = time_;
      });
    event.stream = &stream, event.serial = stream.queued, event.clock = stream.clock;
  });
}
Status FakeDriver::wait(gpu::StreamId stream_id, gpu::EventId id) {
  return call([&] {
    Stream& stream = stream_of(stream_id);
    forbid_capture(stream, "waiting for an event outside of the graph");
    const Event event = event_of(id);
    if (!event.stream) return;
    stream.clock.join(event.clock);
    enqueue(stream_id, "a wait", [=, this](const Work&) { drain(*event.stream, event.serial); });
  });
}
Status FakeDriver::synchronize_event(gpu::EventId id) {
  return call([&] {
    const Event& event = event_of(id);
    if (!event.stream) return;
    drain(*event.stream, event.serial);
    host_.join(event.clock);
  });
}

Status FakeDriver::elapsed(gpu::EventId from, gpu::EventId to, float& milliseconds) {
  return call([&] {
    for (const gpu::EventId id : {from, to}) {
      const Event& event = event_of(id);
      if (!event.timed || !event.stream) throw Refused{"invalid resource handle"};
      if (event.stream->done < event.serial) throw Refused{"device not ready"};
    }
    milliseconds = static_cast<float>(event_of(to).time - event_of(from).time);
  });
}

Status FakeDriver::begin_capture(gpu::StreamId id) {
  return call([&] {
    Stream& stream = stream_of(id);
    forbid_capture(stream, "a second capture");
    stream.capture = std::make_unique<Graph>();
    stream.capture_broken = false;
  });
}
Status FakeDriver::end_capture(gpu::StreamId id, gpu::GraphId& graph) {
  const Status ended = call(
      [&] {
        Stream& stream = stream_of(id);
        if (!stream.capture) throw Refused{"stream is not capturing"};
        const std::unique_ptr<Graph> captured = std::move(stream.capture);
        if (stream.capture_broken)
          throw Refused{"operation failed due to a previous error during capture"};
        auto* made = new Graph(*captured);
        graphs_.insert(made);
        graph = made;
      },
      true);
  if (!ended.ok() && graph) {
    graphs_.erase(static_cast<Graph*>(graph));
    delete static_cast<Graph*>(std::exchange(graph, nullptr));
  }
  return ended;
}
Status FakeDriver::instantiate(gpu::GraphId graph, gpu::ExecutableId& executable) {
  return call([&] {
    auto* made = new Graph(*static_cast<Graph*>(graph));
    graphs_.insert(made);
    executable = made;
  });
}
Status FakeDriver::launch_graph(gpu::ExecutableId executable, gpu::StreamId stream) {
  return call([&] {
    if (!graphs_.contains(static_cast<Graph*>(executable))) throw Refused{"invalid graph"};
    for (const Step& step : static_cast<Graph*>(executable)->steps)
      enqueue(stream, step.name, step.job);
  });
}
Status FakeDriver::destroy_graph(gpu::GraphId graph) {
  return call(
      [&] {
        if (graphs_.erase(static_cast<Graph*>(graph)) == 0) throw Refused{"invalid graph"};
        delete static_cast<Graph*>(graph);
      },
      true);
}
Status FakeDriver::destroy_executable(gpu::ExecutableId executable) {
  return destroy_graph(executable);
}

}  // namespace graft::cuda::emulator
