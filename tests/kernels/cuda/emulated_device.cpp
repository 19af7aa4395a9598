#include "graft/tests/kernels/cuda/emulated_device.h"

#include "graft/core/runtime/exec_context.h"

namespace graft::test {
namespace {

Tensor for_device(const Tensor& value, const OpInput& input, DType dtype) {
  switch (input.role) {
    case Role::labels: return value;
    case Role::matched: return value.to(dtype);
    case Role::parameter: return value.to(DType::f32).to(MemoryFormat::channels_last);
    case Role::activation: break;
  }
  return value.to(dtype).to(MemoryFormat::channels_last);
}

double tolerance(const OpCase& op, DType dtype) { return dtype == DType::f32 ? op.f32_tolerance : dtype == DType::bf16 ? 1.6e-2 : 2e-3; }

void compare(std::span<const double> actual, std::span<const double> expected, double bound, const std::string& what) {
  EXPECT_LE(relative_error(actual, expected), bound) << what;
}

}  // namespace

std::set<std::string> expect_device_agrees(const OpCase& op, const Libraries& libraries, std::string_view without) {
  std::set<std::string> ran;
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    if (dtype != DType::f32 && std::find(op.forward_dtypes.begin(), op.forward_dtypes.end(), dtype) == op.forward_dtypes.end()) continue;
    std::vector<Tensor> host, exact;
    for (const Tensor& value : make_inputs(op)) {
      const OpInput& input = op.inputs[host.size()];
      host.push_back(for_device(value, input, dtype));
      exact.push_back(input.role == Role::labels ? value : host.back().to(DType::f64).to(MemoryFormat::contiguous));
    }
    ExecContext context(1);
    context.set_kernel_filter([&](auto, auto kernel) { return kernel != without && (kernel == "reference" || kernel.starts_with("cuda") || kernel == "cudnn" || kernel == "cublaslt"); });
    const ScopedExecContext scope(context);
    OpResult expected = run_op(op, exact, {});
    const Tensor dy = distinct_values(expected.tensors[0].shape(), -1, 1, 99).to(dtype);
    expected = run_op(op, exact, dy.to(DType::f64));

    EmulatedDevice emulated(libraries);
    OpResult actual;
    {
      std::vector<Tensor> inputs;
      for (const Tensor& tensor : host) inputs.push_back(to_device(tensor, kCuda));
      actual = run_op(op, inputs, to_device(dy, kCuda));
      for (const Tensor& result : actual.tensors) EXPECT_EQ(result.device(), kCuda) << op.name;
      actual.tensors.clear();
    }
    const std::string what = str(op.name, ", ", name_of(dtype));
    ran.insert(emulated.driver.kernels_run().begin(), emulated.driver.kernels_run().end());
    EXPECT_EQ(actual.outputs.size(), expected.outputs.size()) << what;
    if (actual.outputs.size() != expected.outputs.size()) return ran;
    for (size_t i = 0; i < actual.outputs.size(); ++i) compare(actual.outputs[i], expected.outputs[i], tolerance(op, dtype), str(what, ": output ", i));
    for (size_t i = 0; i < actual.gradients.size(); ++i)
      compare(actual.gradients[i], expected.gradients[i], tolerance(op, dtype), str(what, ": gradient of input ", i));
  }
  return ran;
}

}  // namespace graft::test
