#include "graft/tests/kernels/cuda/device_check.h"

#include <algorithm>

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

double tolerance(const OpCase& op, DType dtype) {
  return dtype == DType::f32 ? op.f32_tolerance : dtype == DType::bf16 ? 1.6e-2 : 2e-3;
}

// One case in one dtype: inputs on the host and what the reference makes of them in double.
struct Expected {
  std::vector<Tensor> inputs;
  Tensor dy;
  OpResult result;

  Expected(const OpCase& op, DType dtype) {
    std::vector<Tensor> exact;
    for (const Tensor& value : make_inputs(op)) {
      const OpInput& input = op.inputs[inputs.size()];
      inputs.push_back(for_device(value, input, dtype));
      exact.push_back(input.role == Role::labels
                          ? value
                          : inputs.back().to(DType::f64).to(MemoryFormat::contiguous));
    }
    ExecContext context(1);
    context.set_kernel_filter([](auto, auto kernel) { return kernel == "reference"; });
    const ScopedExecContext scope(context);
    result = run_op(op, exact, {});
    dy = distinct_values(result.tensors[0].shape(), -1, 1, 99).to(dtype);
    result = run_op(op, exact, dy.to(DType::f64));
  }
};

OpResult run_there(const OpCase& op, const Expected& expected) {
  std::vector<Tensor> inputs;
  for (const Tensor& tensor : expected.inputs) inputs.push_back(to_device(tensor, kCuda));
  OpResult actual = run_op(op, inputs, to_device(expected.dy, kCuda));
  for (const Tensor& result : actual.tensors) EXPECT_EQ(result.device(), kCuda) << op.name;
  actual.tensors.clear();
  return actual;
}

void compare(const OpResult& actual, const OpResult& expected, double bound,
             const std::string& what) {
  ASSERT_EQ(actual.outputs.size(), expected.outputs.size()) << what;
  for (size_t i = 0; i < actual.outputs.size(); ++i)
    EXPECT_LE(relative_error(actual.outputs[i], expected.outputs[i]), bound)
        << what << ": output " << i;
  for (size_t i = 0; i < actual.gradients.size(); ++i)
    EXPECT_LE(relative_error(actual.gradients[i], expected.gradients[i]), bound)
        << what << ": gradient of input " << i;
}

}  // namespace

void expect_device_agrees(const OpCase& op, const std::function<std::shared_ptr<void>()>& open) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    if (dtype != DType::f32 && std::find(op.forward_dtypes.begin(), op.forward_dtypes.end(),
                                         dtype) == op.forward_dtypes.end())
      continue;
    const std::string what = str(op.name, ", ", name_of(dtype));
    const Expected expected(op, dtype);
    const std::shared_ptr<void> device = open();
    const OpResult actual = run_there(op, expected);
    compare(actual, expected.result, tolerance(op, dtype), what);
    if (!TestDevice::is_real()) continue;
    const OpResult again = run_there(op, expected);
    EXPECT_TRUE(actual.outputs == again.outputs && actual.gradients == again.gradients)
        << what << ": other bits the second time";
  }
}

void expect_device_agrees(const OpCase& op) {
  const auto on = [&](Products products) {
    expect_device_agrees(op, [products] { return std::make_shared<TestDevice>(products); });
  };
  on(Products::as_dispatched);
  if (TestDevice::is_real()) on(Products::own);
}

}  // namespace graft::test
