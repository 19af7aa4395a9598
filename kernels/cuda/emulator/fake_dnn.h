// FakeDnn: cuDNN of the fake GPU. Plans are made at once; their runs are queued as any work and
// compute the convolution by its definition, with the order between streams, the bounds and the
// life of every tensor checked.
#pragma once
#include "graft/kernels/cuda/cudnn/dnn.h"
#include "graft/kernels/cuda/emulator/fake_driver.h"

namespace graft::cuda::emulator {

// What a test wants of it, and what it did.
struct FakeDnnState {
  std::function<bool(const cudnn::ConvGraph&)> refuses;  // graphs that no engine takes; empty: none
  int64_t engines = 1;                                   // how many take a graph
  std::function<double(const cudnn::ConvGraph&, int64_t engine)>
      milliseconds;                            // of a run, engines counted from 1; empty: none
  std::function<bool(int64_t engine)> breaks;  // engines whose plans do not run; empty: none
  bool needs_handle = false;                   // plans run only when they are made with a handle
  int64_t built = 0, restored = 0, executed = 0, live_plans = 0;
};

class FakeDnn final : public cudnn::Dnn {
 public:
  FakeDnn(FakeDriver& driver, FakeDnnState& state) : driver_(driver), state_(state) {}
  int64_t version() const override { return 91900; }
  const std::string& device_text() const override { return device_; }
  gpu::Status propose(const cudnn::ConvGraph& graph, const cudnn::PlanRules& rules, size_t most,
                      std::vector<std::unique_ptr<cudnn::Plan>>& plans) override;
  gpu::Status save(const cudnn::Plan& plan, std::string& text) override;
  gpu::Status restore(const std::string& text, std::unique_ptr<cudnn::Plan>& plan) override;
  gpu::Status make_for_handle(const cudnn::Plan& plan, std::unique_ptr<cudnn::Plan>& made) override;
  gpu::Status execute(const cudnn::Plan& plan, std::span<const cudnn::Binding> bindings,
                      void* workspace, gpu::StreamId stream) override;

 private:
  FakeDriver& driver_;
  FakeDnnState& state_;
  std::string device_ = "emulated GPU";
};

}  // namespace graft::cuda::emulator
