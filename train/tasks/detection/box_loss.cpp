#include "graft/train/tasks/detection/box_loss.h"

#include <array>

#include "graft/core/autograd/record.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/functional.h"
#include "graft/train/tasks/detection/box_maps.h"

namespace graft::train {
namespace {

using functional::add;
using functional::div;
using functional::maximum;
using functional::minimum;
using functional::mul;
using functional::sub;

constexpr double kAlpha = 0.25;
constexpr double kTiny = 1e-7;  // so that no quotient is of nothing
constexpr double kMostPlaces = 1e18;

Tensor times(const Tensor& x, double factor) { return mul(x, Tensor::scalar(factor, x.dtype())); }
Tensor shifted(const Tensor& x, double number) { return add(x, Tensor::scalar(number, x.dtype())); }

Tensor sum_of_each(const Tensor& x) {  // [N,...] -> [N]
  return functional::reduce(x, {ops::Reduce::sum, {1, 2, 3}, false});
}

// Binary cross-entropy of a logit and what it should be.
Tensor cross_entropy_of(const Tensor& logit, const Tensor& truth) {
  return sub(functional::unary(logit, ops::UnaryAttributes{ops::Unary::softplus}),
             mul(logit, truth));
}

// Left, top, right, bottom: distances from a place, [N,1,H,W] each.
using Edges = std::array<Tensor, 4>;

Tensor area_of(const Edges& e) { return mul(add(e[0], e[2]), add(e[1], e[3])); }

template <class F>
Edges of_both(const Edges& a, const Edges& b, F&& f) {
  return {f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])};
}

struct Overlaps {
  Tensor iou, giou;
};

// Two boxes around one place: both hold it, so that they overlap.
Overlaps overlaps_of(const Edges& said, const Edges& truth) {
  const Tensor both = area_of(of_both(said, truth, minimum));
  const Tensor hull = area_of(of_both(said, truth, maximum));
  const Tensor all = sub(add(area_of(said), area_of(truth)), both);
  const Tensor iou = div(both, shifted(all, kTiny));
  return {iou, sub(iou, div(sub(hull, all), shifted(hull, kTiny)))};
}

std::vector<Tensor> split_maps(const Tensor& x, std::vector<int64_t> sizes) {
  return functional::split(functional::to_format(x, MemoryFormat::contiguous), sizes, 1);
}

}  // namespace

BoxLoss::BoxLoss(int64_t classes) : classes_(classes) {
  GRAFT_CHECK(classes >= 1, "detect: boxes of ", classes, " classes");
  std::vector<float> numbers;
  for (int64_t c = 0; c < classes; ++c) numbers.push_back(static_cast<float>(c));
  numbers_ = Tensor::of<float>({1, classes, 1, 1}, numbers);
}

void BoxLoss::to(Device device) { numbers_ = to_device(numbers_, device); }

Tensor BoxLoss::of_classes(const Tensor& logits, const Tensor& label) const {
  // 1 where the place's class is the map's, else 0: classes are whole numbers.
  const Tensor off = functional::clip(functional::abs(sub(label, numbers_)), 0, 1);
  const Tensor truth = shifted(times(off, -1), 1);
  const Tensor p = functional::sigmoid(logits);
  const Tensor wrong = add(mul(p, shifted(times(truth, -2), 1)), truth);  // 1 - that of the truth
  const Tensor alpha = shifted(times(truth, 2 * kAlpha - 1), 1 - kAlpha);
  return mul(mul(alpha, mul(wrong, wrong)), cross_entropy_of(logits, truth));
}

Tensor BoxLoss::of_samples(const Tensor& outputs, const Tensor& assigned) const {
  GRAFT_CHECK(outputs.rank() == 4 && outputs.size(1) == classes_ + kBoxMaps &&
                  assigned.shape() == Shape({outputs.size(0), 5, outputs.size(2), outputs.size(3)}),
              "detect: outputs ", outputs.shape(), " beside places ", assigned.shape(), ", of ",
              classes_, " classes");
  const std::vector<Tensor> said = split_maps(outputs, {classes_, 1, 1, 1, 1, 1});
  const std::vector<Tensor> truth = split_maps(assigned, {1, 1, 1, 1, 1});
  const Tensor& label = truth[0];
  const Tensor finds = functional::clip(shifted(label, 1), 0, 1);
  Edges edges, meant;
  for (size_t k = 0; k < 4; ++k) {
    edges[k] = functional::exp(functional::clip(said[k + 1], kLeastLog, kMostLog));
    meant[k] = truth[k + 1];
  }
  const Overlaps overlaps = overlaps_of(edges, meant);
  Tensor fit;  // a number: no gradient goes through it
  {
    const NoGradGuard no_grad;
    fit = functional::clip(overlaps_of(edges, meant).iou, 0, 1);
  }
  const Tensor of_box =
      mul(add(shifted(times(overlaps.giou, -1), 1), cross_entropy_of(said[5], fit)), finds);
  return add(sum_of_each(of_classes(said[0], label)), sum_of_each(of_box));
}

Tensor BoxLoss::places(const Tensor& assigned) const {
  const Tensor label = split_maps(assigned, {1, 4})[0];
  const Tensor finds = functional::clip(shifted(label, 1), 0, 1);
  return functional::clip(sum_of_each(finds), 1, kMostPlaces);
}

Tensor BoxLoss::mean(const Tensor& outputs, const Tensor& assigned) const {
  const auto sum = [](const Tensor& x) { return functional::reduce(x, {ops::Reduce::sum}); };
  return div(sum(of_samples(outputs, assigned)), sum(places(assigned)));
}

}  // namespace graft::train
