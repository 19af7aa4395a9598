#include "graft/tests/support/op_case.h"

#include <cmath>
#include <limits>
#include <ostream>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/core/runtime/random.h"

namespace graft::test {

void PrintTo(const OpCase& op, std::ostream* out) { *out << op.name; }
std::string op_case_name(const ::testing::TestParamInfo<OpCase>& info) { return info.param.name; }

Tensor distinct_values(const Shape& shape, double low, double high, uint64_t stream) {
  CountedRandom random(11, RandomPurpose::synthetic, 0, stream);
  const std::vector<int64_t> order = random_permutation(shape.numel(), random);
  Tensor result = Tensor::empty(shape, {.dtype = DType::f64});
  double* out = result.mutable_data<double>();
  for (size_t i = 0; i < order.size(); ++i)
    out[i] = low + (high - low) * (static_cast<double>(order[i]) + 0.37) /
                       static_cast<double>(order.size());
  return result;
}

std::vector<Tensor> make_inputs(const OpCase& op) {
  std::vector<Tensor> inputs;
  for (const OpInput& input : op.inputs) {
    if (input.role == Role::labels) {
      CountedRandom random(11, RandomPurpose::synthetic, 1, inputs.size());
      Tensor labels = Tensor::empty(input.shape, {.dtype = DType::i64});
      for (int64_t i = 0; i < labels.numel(); ++i)
        labels.mutable_data<int64_t>()[i] =
            static_cast<int64_t>(random.below(static_cast<uint64_t>(input.high)));
      inputs.push_back(labels);
    } else {
      inputs.push_back(distinct_values(input.shape, input.low, input.high, inputs.size()));
    }
  }
  return inputs;
}

OpResult run_op(const OpCase& op, std::span<const Tensor> inputs, const Tensor& dy) {
  std::vector<Tensor> leaves;
  for (size_t i = 0; i < inputs.size(); ++i) {
    leaves.push_back(inputs[i].detach());
    if (dy.defined() && op.inputs[i].gradient) set_requires_grad(leaves.back(), true);
  }
  OpResult result;
  result.tensors = op.call(leaves);
  for (const Tensor& output : result.tensors) result.outputs.push_back(output.to_doubles());
  result.gradients.resize(leaves.size());
  if (!dy.defined() || !needs_grad(result.tensors[0])) return result;
  const Tensor& y = result.tensors[0];
  backward(y, dy.to(y.dtype()).to(y.format()));
  for (size_t i = 0; i < leaves.size(); ++i) {
    if (!op.inputs[i].gradient) continue;
    const Tensor gradient = grad_of(leaves[i]);
    if (!gradient.defined()) continue;
    EXPECT_EQ(gradient.shape(), leaves[i].shape()) << "gradient of input " << i;
    EXPECT_EQ(gradient.dtype(), leaves[i].dtype()) << "gradient of input " << i;
    result.gradients[i] = gradient.to_doubles();
  }
  return result;
}

double relative_error(std::span<const double> actual, std::span<const double> expected) {
  if (actual.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double largest = 1e-3, difference = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    if (actual[i] == expected[i] || (std::isnan(actual[i]) && std::isnan(expected[i]))) continue;
    if (!std::isfinite(actual[i]) || !std::isfinite(expected[i]))
      return std::numeric_limits<double>::infinity();
    difference = std::max(difference, std::abs(actual[i] - expected[i]));
  }
  for (const double value : expected)
    if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
  return difference / largest;
}

}  // namespace graft::test
