// What is computed of constants alone when a file is read: the arithmetic around norms, scales and
// sizes.
#include <algorithm>
#include <cmath>
#include <functional>

#include "graft/models/tensorflow/translation.h"

namespace graft::models::tensorflow {
namespace {

using Unary = double (*)(double);
using Binary = double (*)(double, double);

Unary unary_of(std::string_view op) {
  static const std::map<std::string_view, Unary> all = {
      {"Neg", [](double x) { return -x; }},
      {"Sqrt", [](double x) { return std::sqrt(x); }},
      {"Rsqrt", [](double x) { return 1 / std::sqrt(x); }},
      {"Reciprocal", [](double x) { return 1 / x; }},
      {"Inv", [](double x) { return 1 / x; }},
      {"Square", [](double x) { return x * x; }},
      {"Exp", [](double x) { return std::exp(x); }},
      {"Log", [](double x) { return std::log(x); }},
      {"Abs", [](double x) { return std::abs(x); }},
      {"Floor", [](double x) { return std::floor(x); }}};
  const auto found = all.find(op);
  return found == all.end() ? nullptr : found->second;
}

Binary binary_of(std::string_view op) {
  static const std::map<std::string_view, Binary> all = {
      {"Add", [](double a, double b) { return a + b; }},
      {"AddV2", [](double a, double b) { return a + b; }},
      {"Sub", [](double a, double b) { return a - b; }},
      {"Mul", [](double a, double b) { return a * b; }},
      {"RealDiv", [](double a, double b) { return a / b; }},
      {"Div", [](double a, double b) { return a / b; }},
      {"FloorDiv", [](double a, double b) { return std::floor(a / b); }},
      {"Pow", [](double a, double b) { return std::pow(a, b); }},
      {"Maximum", [](double a, double b) { return std::max(a, b); }},
      {"Minimum", [](double a, double b) { return std::min(a, b); }}};
  const auto found = all.find(op);
  return found == all.end() ? nullptr : found->second;
}

Tensor with_type_of(const Tensor& operand, const Dims& dims, const std::vector<double>& numbers) {
  const bool real = is_floating(operand.dtype());
  if (!real)
    for (const double n : numbers)
      GRAFT_CHECK(std::abs(n) <= 9e15, "computes a whole number beyond all use of constants");
  return Tensor::of(Shape(dims), numbers).to(real ? DType::f32 : DType::i64);
}

Dims dims_of(const Tensor& tensor) { return {tensor.shape().begin(), tensor.shape().end()}; }

Tensor combined(Call& call, Binary function) {
  const Tensor &a = call.item(0).constant, &b = call.item(1).constant;
  const Dims shape = broadcast(dims_of(a), dims_of(b));
  const int64_t count = per_image(shape);
  GRAFT_CHECK(count <= std::max<int64_t>({a.numel(), b.numel(), 1 << 20}), "makes a constant of ",
              count, " numbers of smaller ones");
  call.t.charge(count * 24);
  const std::vector<double> x = a.to_doubles(), y = b.to_doubles();
  std::vector<double> result(static_cast<size_t>(count));
  const auto at = [&](const Tensor& t, size_t flat) {
    size_t index = 0, stride = 1;
    for (size_t back = 0; back < shape.size(); ++back) {
      const auto extent = static_cast<size_t>(shape[shape.size() - 1 - back]);
      const size_t own = flat % extent;
      flat /= extent;
      if (static_cast<int>(back) >= t.rank()) break;
      const auto size = static_cast<size_t>(t.size(t.rank() - 1 - static_cast<int>(back)));
      if (size > 1) index += own * stride;
      stride *= size;
    }
    return index;
  };
  for (size_t i = 0; i < result.size(); ++i) result[i] = function(x[at(a, i)], y[at(b, i)]);
  return with_type_of(is_floating(a.dtype()) ? a : b, shape, result);
}

}  // namespace

Tensor fold_constants(Call& call) {
  if (call.inputs.size() == 1) {
    const Unary function = unary_of(call.op);
    if (!function) return {};
    const Tensor& x = call.item(0).constant;
    call.t.charge(x.numel() * 16);
    std::vector<double> numbers = x.to_doubles();
    for (double& n : numbers) n = function(n);
    return with_type_of(x, dims_of(x), numbers);
  }
  const Binary function = call.inputs.size() == 2 ? binary_of(call.op) : nullptr;
  return function ? combined(call, function) : Tensor();
}

}  // namespace graft::models::tensorflow
