#include "graft/train/tasks/segmentation/pixel_loss.h"

#include <algorithm>

#include "graft/core/tensor/device_backend.h"
#include "graft/io/datasets/dataset.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/functional.h"

namespace graft::train {
namespace {

using functional::add;
using functional::mul;
using functional::sub;

constexpr double kMostPixels = 1e18;

Tensor scaled(const Tensor& x, double factor) { return mul(x, Tensor::scalar(factor, x.dtype())); }
Tensor plus(const Tensor& x, double number) { return add(x, Tensor::scalar(number, x.dtype())); }

// 1 where a whole number is another one, else 0.
Tensor is_number(const Tensor& x, const Tensor& number) {
  const Tensor off = functional::clip(functional::abs(sub(x, number)), 0, 1);
  return plus(scaled(off, -1), 1);
}

Tensor sum_over(const Tensor& x, std::vector<int> axes, bool keep = false) {
  return functional::reduce(x, {ops::Reduce::sum, std::move(axes), keep});
}

}  // namespace

PixelLoss::PixelLoss(std::string name, int64_t classes, std::vector<double> weights)
    : name_(std::move(name)), maps_(classes == 2 ? 1 : classes) {
  GRAFT_CHECK(name_ == "ce" || name_ == "dice" || name_ == "ce+dice" || name_ == "focal", "loss: '",
              name_, "' is not for task segment, which has ce, dice, ce+dice and focal");
  GRAFT_CHECK(classes >= 2 && (weights.empty() || std::ssize(weights) == classes),
              "segment: ", weights.size(), " weights of ", classes, " classes");
  std::vector<float> numbers, each;
  for (int64_t map = 0; map < maps_; ++map)
    numbers.push_back(static_cast<float>(maps_ == 1 ? 1 : map));
  numbers_ = Tensor::of<float>({1, maps_, 1, 1}, numbers);
  if (weights.empty()) return;
  if (maps_ == 1) {
    weight_of_zero_ = weights[0];
    each.push_back(static_cast<float>(weights[1] - weights[0]));
  } else {
    each.assign(weights.begin(), weights.end());
  }
  weights_ = Tensor::of<float>({1, maps_, 1, 1}, each);
}

void PixelLoss::to(Device device) {
  numbers_ = to_device(numbers_, device);
  if (weights_.defined()) weights_ = to_device(weights_, device);
}

Tensor PixelLoss::of_pixels(const Tensor& outputs, const Tensor& there) const {
  Tensor loss, weight;
  if (maps_ == 1) {
    loss = sub(functional::unary(outputs, ops::UnaryAttributes{ops::Unary::softplus}),
               mul(outputs, there));
    if (weights_.defined())
      weight = plus(mul(there, functional::cast(weights_, there.dtype())), weight_of_zero_);
  } else {
    loss = functional::neg(sum_over(mul(functional::log_softmax(outputs, 1), there), {1}, true));
    if (weights_.defined())
      weight = sum_over(mul(there, functional::cast(weights_, there.dtype())), {1}, true);
  }
  if (name_ == "focal") {
    const Tensor wrong = plus(scaled(functional::exp(functional::neg(loss)), -1), 1);
    loss = mul(loss, mul(wrong, wrong));
  }
  return weight.defined() ? mul(loss, weight) : loss;
}

Tensor PixelLoss::dice(const Tensor& outputs, const Tensor& there, const Tensor& counts) const {
  const Tensor p =
      mul(maps_ == 1 ? functional::sigmoid(outputs) : functional::softmax(outputs, 1), counts);
  const Tensor both = plus(scaled(sum_over(mul(p, there), {2, 3}), 2), 1);
  const Tensor all = plus(add(sum_over(p, {2, 3}), sum_over(there, {2, 3})), 1);
  const Tensor overlap = functional::div(both, all);  // [N,maps]
  return plus(scaled(sum_over(overlap, {1}), -1.0 / static_cast<double>(maps_)), 1);
}

Tensor PixelLoss::of_samples(const Tensor& outputs, const Tensor& masks) const {
  GRAFT_CHECK(outputs.rank() == 4 && outputs.size(1) == maps_ && masks.rank() == 3 &&
                  masks.size(0) == outputs.size(0) && masks.size(1) == outputs.size(2) &&
                  masks.size(2) == outputs.size(3),
              "segment: masks ", masks.shape(), " for outputs ", outputs.shape(), " of ", maps_,
              maps_ == 1 ? " map" : " maps");
  const Shape plane{masks.size(0), 1, masks.size(1), masks.size(2)};
  const Tensor values = functional::to_format(
      functional::reshape(functional::cast(masks, outputs.dtype()), plane), outputs.format());
  const Tensor there =  // [N,maps,H,W]; one map has no layout of its own
      functional::to_format(is_number(values, functional::cast(numbers_, outputs.dtype())),
                            outputs.format());
  const Tensor counts = functional::clip(
      functional::abs(plus(values, -static_cast<double>(io::kIgnoredPixel))), 0, 1);
  Tensor total;
  if (name_ != "dice") {
    const Tensor pixels = functional::clip(sum_over(counts, {1, 2, 3}), 1, kMostPixels);
    total = functional::div(sum_over(mul(of_pixels(outputs, there), counts), {1, 2, 3}), pixels);
  }
  if (name_ == "dice" || name_ == "ce+dice") {
    const Tensor overlap = dice(outputs, there, counts);
    total = total.defined() ? add(total, overlap) : overlap;
  }
  return total;
}

Tensor PixelLoss::mean(const Tensor& outputs, const Tensor& masks) const {
  return functional::reduce(of_samples(outputs, masks), {ops::Reduce::mean});
}

}  // namespace graft::train
