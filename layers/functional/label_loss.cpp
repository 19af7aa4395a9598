// functional::negative_log_likelihood, composed of gather and reductions.
#include "graft/layers/functional/label_loss.h"

#include "graft/core/tensor/device_backend.h"
#include "graft/kernels/ops/reduce.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/indexing.h"
#include "graft/layers/functional/movement.h"
#include "graft/layers/functional/reduce.h"

namespace graft::functional {
namespace {

void check_label_range(const Tensor& labels, int64_t classes,
                       const std::optional<int64_t>& ignored) {
  for (const int64_t label : labels.elements<int64_t>())
    GRAFT_CHECK((label >= 0 && label < classes) || label == ignored,
                "negative_log_likelihood: label ", label, " is not in [0, ", classes, ")");
}

}  // namespace

Tensor negative_log_likelihood(const Tensor& log_probabilities, const Tensor& labels,
                               const LabelLossOptions& options) {
  const Tensor& x = log_probabilities;
  static constexpr int kClass[] = {1};
  GRAFT_CHECK(x.rank() >= 2 && (labels.dtype() == DType::i64 || labels.dtype() == DType::i32) &&
                  labels.rank() == x.rank() - 1 && x.shape().with(1, 1).numel() == labels.numel() &&
                  unsqueeze(labels, kClass).shape() == x.shape().with(1, 1),
              "negative_log_likelihood: labels ", labels.shape(), " for ", x.shape());
  GRAFT_CHECK(!options.class_weights.defined() || options.class_weights.shape() == Shape{x.size(1)},
              "negative_log_likelihood: class weights for ", x.size(1), " classes");
  const Tensor wide = cast(to_format(labels, MemoryFormat::contiguous), DType::i64);
  if (is_cpu(wide.device()))
    check_label_range(wide, x.size(1),
                      options.ignore_index);  // a device's gather makes the loss NaN
  const Tensor zero = Tensor::scalar(0, x.dtype());
  Tensor ignored, known = wide;
  if (options.ignore_index) {
    const Tensor index = Tensor::of<int64_t>(Shape{}, {*options.ignore_index});
    ignored = binary(wide, index, ops::Binary::equal);
    known = where(ignored, Tensor::scalar(0, DType::i64), wide);
  }
  const Tensor ordered = to_format(x, MemoryFormat::contiguous);
  Tensor loss = neg(squeeze(gather_elements(ordered, unsqueeze(known, kClass), 1), kClass));
  Tensor weights = options.class_weights.defined()
                       ? cast(gather(options.class_weights, known), x.dtype())
                       : Tensor();
  if (ignored.defined()) {
    loss = where(ignored, zero, loss);
    const Tensor counted =
        weights.defined()
            ? weights
            : Tensor::full(loss.shape(), 1, {.dtype = x.dtype(), .device = x.device()});
    weights = where(ignored, zero, counted);
  }
  if (weights.defined()) loss = mul(loss, weights);
  if (options.reduction == LossReduction::none) return loss;
  const Tensor sum = reduce(loss, {ops::Reduce::sum});
  if (options.reduction == LossReduction::sum) return sum;
  const Tensor count = weights.defined()
                           ? reduce(weights, {ops::Reduce::sum})
                           : Tensor::scalar(static_cast<double>(loss.numel()), x.dtype());
  return div(sum, count);
}

}  // namespace graft::functional
