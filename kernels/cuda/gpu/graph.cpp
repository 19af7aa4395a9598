// gpu::Graph: capture of the compute stream and its launch.
#include "graft/kernels/cuda/gpu/handles.h"

namespace graft::gpu {

Graph::Graph(Device& device, FunctionRef<void()> work) : device_(device) {
  device.require_alive();
  device.check(device.driver().begin_capture(device.stream()), "beginning a capture");
  device.set_capturing(true);
  device.pool().begin_graph();
  GraphId captured = nullptr;
  try {
    work();
    end_capture(captured);
    device.check(device.driver().instantiate(captured, executable_), "instantiating a graph");
  } catch (...) {
    if (device.capturing()) {  // leave the stream usable
      const Status ended = device.driver().end_capture(device.stream(), captured);
      device.note(ended);
      device.set_capturing(false);
      blocks_ = device.pool().end_graph();
    }
    if (captured && !device.lost()) device.note(device.driver().destroy_graph(captured));
    device.pool().release_graph(blocks_);
    throw;
  }
  device.note(device.driver().destroy_graph(captured));
}

void Graph::end_capture(GraphId& captured) {
  const Status ended = device_.driver().end_capture(device_.stream(), captured);
  device_.set_capturing(false);
  blocks_ = device_.pool().end_graph();
  device_.check(ended, "ending a capture");
}

Graph::~Graph() {
  if (!device_.lost()) device_.note(device_.driver().destroy_executable(executable_));
  device_.pool().release_graph(blocks_);
}

void Graph::launch() {
  device_.require_alive();
  device_.check(device_.driver().launch_graph(executable_, device_.stream()), "launching a graph");
}

}  // namespace graft::gpu
