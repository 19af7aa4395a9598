// RAII handles of the GPU seam: events, second streams and captured graphs. Each gives its object
// back once.
#pragma once
#include <utility>

#include "graft/core/base/function_ref.h"
#include "graft/kernels/cuda/gpu/device.h"
#include "graft/kernels/cuda/gpu/pool.h"

namespace graft::gpu {

class Event {
 public:
  explicit Event(Device& device, bool timed = false) : device_(device) {
    device.check(device.driver().create_event(id_, timed), "making an event");
  }
  ~Event() {
    if (!device_.lost()) device_.note(device_.driver().destroy_event(id_));
  }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(StreamId stream) {
    device_.check(device_.driver().record(id_, stream), "recording an event");
  }
  // Later work of `stream` runs after what was recorded.
  void hold(StreamId stream) {
    device_.check(device_.driver().wait(stream, id_), "waiting for an event");
  }
  void synchronize() {
    device_.check(device_.driver().synchronize_event(id_), "waiting for an event");
  }
  // Between two timed events that were waited for.
  float milliseconds_since(const Event& earlier) {
    float result = 0;
    device_.check(device_.driver().elapsed(earlier.id_, id_, result), "reading the time");
    return result;
  }

 private:
  Device& device_;
  EventId id_ = nullptr;
};

// A stream beside the compute stream, for copies.
class SideStream {
 public:
  explicit SideStream(Device& device) : device_(device) {
    device.check(device.driver().create_stream(id_), "making a stream");
  }
  ~SideStream() {
    if (!device_.lost()) device_.note(device_.driver().destroy_stream(id_));
  }
  SideStream(const SideStream&) = delete;
  SideStream& operator=(const SideStream&) = delete;
  StreamId id() const { return id_; }
  void synchronize() { device_.check(device_.driver().synchronize(id_), "waiting for a stream"); }

 private:
  Device& device_;
  StreamId id_ = nullptr;
};

// A piece of work captured once and launched as one: a training step. What it allocated belongs to
// it while it lives; tensors that it made (loss, gradients) hold the values of its last run.
class Graph {
 public:
  // Runs `work` once, recording instead of computing. `work` may neither wait for the device nor
  // bring data from the host.
  Graph(Device& device, FunctionRef<void()> work);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void launch();

 private:
  void end_capture(GraphId& captured);

  Device& device_;
  ExecutableId executable_ = nullptr;
  BlockSet blocks_;
};

}  // namespace graft::gpu
