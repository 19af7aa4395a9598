// Plan: a part of a network compiled for inference: traced once, batch norms folded into their
// convolutions, sums and ReLUs done as the convolution writes its result, weights packed ahead. No
// gradients, no randomness. Any number of threads may run one plan at once, and compile plans of
// one network, while nobody writes its parameters.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "graft/core/tensor/tensor.h"
#include "graft/layers/plan/calibration.h"

namespace graft {

struct PlanOptions {
  DType precision =
      DType::f32;   // of the values between the steps: f32 or bf16; away from the CPU f16 too
  Device device{};  // where the parameters lie and the plan runs
  // shapes: leaves out the kernels whose input comes from the image, which is most of the time that
  // compiling takes. For a `forward` that never looks at values, not even to index by them.
  enum class Tracing { values, shapes } tracing = Tracing::values;
  const Calibration* calibration =
      nullptr;  // given: 8-bit convolutions; on the CPU and with precision f32 only
};

class GRAFT_API Plan {
 public:
  // Traces `forward` on a batch of zeros of the given image shape [C,H,W] (f32, channels_last) and
  // compiles what it did. It must be in eval mode, treat every sample alike and take its decisions
  // without looking at values. Null when it does something that plans do not know, or when a
  // forward hook watches it (Module::on_forward); `reason` (may be null) then says what. In bf16
  // the network's weights are stored in f32; a kernel rounds them as it packs. With a calibration
  // the convolutions run in 8-bit integers where they can (see plan/graph.h), else everything runs
  // in `precision`.
  static std::unique_ptr<Plan> compile(const std::function<Tensor(const Tensor&)>& forward,
                                       const Shape& image, std::string* reason = nullptr,
                                       const PlanOptions& options = {});
  ~Plan();

  // x f32 [N,C,H,W], channels_last, of the compiled image shape, any N, on the plan's device; the
  // result is f32. A sample's result does not depend on the others or on N. bad_input for another
  // shape.
  Tensor run(const Tensor& x) const;

  // Packs the weights for keeps by a run on an image of zeros: then the first run is as fast as the
  // hundredth. Without it the second run packs, because who has one image alone is done earlier so.
  void warm_up() const;

  // Runs x and tells `observer` what the convolutions of an f32 plan read and write.
  void observe(const Tensor& x, RangeObserver& observer) const;

  // True when a parameter was written to since compilation: the plan then computes the former
  // function.
  bool stale() const;
  // One line per step: "fused_conv 64x64x3x3 +residual relu".
  std::string describe() const;

 private:
  struct Impl;
  explicit Plan(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace graft
