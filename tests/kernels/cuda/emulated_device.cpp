// TestDevice as a fake GPU.
#include "graft/tests/kernels/cuda/emulated_device.h"

namespace graft::test {

struct TestDevice::State {
  cuda::emulator::FakeDnnState dnn;
  EmulatedDevice emulated;
  explicit State(bool with_dnn) : emulated(with_dnn ? &dnn : nullptr) {}
};

TestDevice::TestDevice(Convolutions convolutions) : state_(std::make_unique<State>(convolutions == Convolutions::cudnn)) {}
TestDevice::~TestDevice() = default;
gpu::Device& TestDevice::device() { return state_->emulated.device(); }
bool TestDevice::is_real() { return false; }

}  // namespace graft::test
