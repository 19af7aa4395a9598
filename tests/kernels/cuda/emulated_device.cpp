// TestDevice as a fake GPU.
#include "graft/tests/kernels/cuda/emulated_device.h"

namespace graft::test {

struct TestDevice::State {
  cuda::emulator::FakeDnnState dnn;
  cuda::emulator::FakeBlasState blas;
  EmulatedDevice emulated;
  explicit State(Products products) : emulated(libraries(products)) {}
  Libraries libraries(Products products) {
    if (products == Products::wgmma) return {nullptr, nullptr, Libraries::Capability::hopper};
    return products == Products::libraries ? Libraries(&dnn, &blas) : Libraries();
  }
};

TestDevice::TestDevice(Products products) : state_(std::make_unique<State>(products)) {}
TestDevice::~TestDevice() = default;
gpu::Device& TestDevice::device() { return state_->emulated.device(); }
void TestDevice::queue_only() { state_->emulated.driver.skip_kernels(); }
bool TestDevice::is_real() { return false; }

std::set<std::string> expect_emulated_agrees(const OpCase& op, const Libraries& libraries) {
  std::set<std::string> ran;
  expect_device_agrees(op, [&] {
    const auto close = [&ran](EmulatedDevice* emulated) {
      ran.insert(emulated->driver.kernels_run().begin(), emulated->driver.kernels_run().end());
      delete emulated;
    };
    return std::shared_ptr<void>(new EmulatedDevice(libraries), close);
  });
  return ran;
}

}  // namespace graft::test
