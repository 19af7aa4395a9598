// functional::ctc_loss and its Node.
#include "graft/layers/functional/ctc.h"

#include "graft/core/autograd/record.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/kernels/ops/binary.h"
#include "graft/kernels/registry.h"

namespace graft::functional {
namespace {

// The kernel has made the gradient for an incoming gradient of 1; backward scales it.
class CtcNode final : public Node {
 public:
  explicit CtcNode(const Tensor& dx) : dx_(dx) {}
  const char* name() const override { return "ctc_loss"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    const Tensor& dx = dx_.get(name());
    const double scale = grads[0].item();
    if (scale == 1.0) return {dx};
    Tensor scaled = Tensor::empty_like(dx);
    const ops::BinaryAttributes multiply{ops::Binary::mul};
    const Tensor factor = Tensor::scalar(scale, dx.dtype());
    kernels_for<ops::BinaryKernels>(dx).forward(current_context(), {dx, factor, multiply, scaled});
    return {scaled};
  }
  void release() override { dx_.release(); }

 private:
  SavedTensor dx_;
};

Replay refuse_ctc(const ReplaySite&) {
  return Replay::refused("a loss is one number for the whole batch");
}

void check_ctc_rows(const Tensor& target, int64_t classes, int64_t blank) {
  const int64_t rows = target.size(0), most = target.size(1);
  for (int64_t n = 0; n < rows; ++n) {
    const int64_t* row = target.data<int64_t>() + n * most;
    const int64_t labels = ops::ctc_labels(row, most);
    for (int64_t i = 0; i < most; ++i) {
      if (i >= labels) {
        GRAFT_CHECK(row[i] == ops::kNoCtcLabel, "ctc_loss: label ", row[i], " of sample ", n,
                    " stands behind the end of its labels");
        continue;
      }
      GRAFT_CHECK(row[i] >= 0 && row[i] < classes, "ctc_loss: label ", row[i], " of sample ", n,
                  " is not in [0, ", classes, ")");
      GRAFT_CHECK(row[i] != blank, "ctc_loss: a label of sample ", n, " is the blank, ", blank);
    }
  }
}

void check_ctc_lengths(const Tensor& lengths, int64_t samples, int64_t steps) {
  GRAFT_CHECK(lengths.shape() == Shape{samples} && lengths.dtype() == DType::i64,
              "ctc_loss: lengths ", lengths.shape(), " of ", name_of(lengths.dtype()), " for ",
              samples, " samples");
  for (int64_t n = 0; n < samples; ++n) {
    const int64_t length = lengths.data<int64_t>()[n];
    GRAFT_CHECK(length >= 0 && length <= steps, "ctc_loss: sample ", n, " has ", length,
                " steps of ", steps);
  }
}

}  // namespace

Tensor ctc_loss(const Tensor& logits, const Tensor& target, const CtcOptions& options) {
  GRAFT_CHECK(
      logits.rank() == 3 && logits.size(0) >= 1 && logits.size(1) >= 1 && logits.size(2) >= 2,
      "ctc_loss: logits ", logits.shape(), ", expected [N,T,C] with two classes or more");
  const int64_t samples = logits.size(0), steps = logits.size(1), classes = logits.size(2);
  GRAFT_CHECK(target.rank() == 2 && target.size(0) == samples && target.dtype() == DType::i64,
              "ctc_loss: target ", target.shape(), " of ", name_of(target.dtype()), " for logits ",
              logits.shape());
  GRAFT_CHECK(options.blank >= 0 && options.blank < classes, "ctc_loss: blank ", options.blank,
              " of ", classes, " classes");
  const bool has_lengths = options.lengths.defined();
  if (is_cpu(target.device())) check_ctc_rows(target, classes, options.blank);
  if (has_lengths && is_cpu(options.lengths.device()))
    check_ctc_lengths(options.lengths, samples, steps);
  const ops::CtcAttributes attributes{options.blank, options.reduction, options.zero_infinity};
  Tensor loss = Tensor::empty(Shape{}, {.dtype = logits.dtype(), .device = logits.device()});
  Tensor dlogits;
  if (will_record({logits})) dlogits = Tensor::empty_like(logits);
  kernels_for<ops::CtcKernels>(logits).ctc(
      current_context(), {logits, target, has_lengths ? &options.lengths : nullptr, attributes,
                          loss, dlogits.defined() ? &dlogits : nullptr});
  return record(attributes, refuse_ctc, {logits}, loss,
                [&] { return std::make_shared<CtcNode>(dlogits); });
}

}  // namespace graft::functional
