// expect_gradient: the analytic gradient in double against central differences of a random
// projection of the result.
#include <cmath>

#include "graft/core/autograd/record.h"
#include "graft/tests/support/op_case.h"

namespace graft::test {
namespace {

double projection(const OpCase& op, std::span<const Tensor> inputs,
                  std::span<const double> weights) {
  const NoGradGuard no_grad;
  const std::vector<double> y = op.call(inputs)[0].to_doubles();
  double sum = 0;
  for (size_t i = 0; i < y.size(); ++i) sum += y[i] * weights[i];
  return sum;
}

// Central differences in every element of input `which`; the inputs are contiguous doubles.
std::vector<double> finite_differences(const OpCase& op, std::vector<Tensor>& inputs, size_t which,
                                       std::span<const double> weights) {
  constexpr double h = 1e-5;
  std::vector<double> slopes(static_cast<size_t>(inputs[which].numel()));
  for (size_t i = 0; i < slopes.size(); ++i) {
    double* element = inputs[which].mutable_data<double>() + i;
    const double value = *element;
    *element = value + h;
    const double above = projection(op, inputs, weights);
    *element = value - h;
    const double below = projection(op, inputs, weights);
    *element = value;
    slopes[i] = (above - below) / (2 * h);
  }
  return slopes;
}

}  // namespace

void expect_gradient(const OpCase& op) {
  if (!op.finite_differences) return;
  std::vector<Tensor> inputs = make_inputs(op);
  const Tensor dy = distinct_values(run_op(op, inputs, {}).tensors[0].shape(), -1, 1, 99);
  const std::vector<double> weights = dy.to_doubles();
  std::vector<Tensor> channels_last;
  for (size_t i = 0; i < inputs.size(); ++i)
    channels_last.push_back(op.inputs[i].role == Role::activation
                                ? inputs[i].to(MemoryFormat::channels_last).clone()
                                : inputs[i].clone());
  const OpResult plain = run_op(op, inputs, dy), last = run_op(op, channels_last, dy);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!op.inputs[i].gradient) continue;
    const std::vector<double> slopes = finite_differences(op, inputs, i, weights);
    EXPECT_LE(relative_error(plain.gradients[i], slopes), 1e-7)
        << op.name << ": gradient of input " << i;
    EXPECT_LE(relative_error(last.gradients[i], slopes), 1e-7)
        << op.name << ": gradient of input " << i << ", channels_last";
  }
}

}  // namespace graft::test
