// functional::batch_norm and its Node.
#include "graft/kernels/ops/batch_norm.h"

#include "graft/core/autograd/record.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/batch_norm.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/conv.h"

namespace graft::functional {
namespace {

// The result again, without a residual.
class NormRemake final : public Remake {
 public:
  NormRemake(const SavedTensor& x, const SavedTensor& mean, const SavedTensor& variance,
             const SavedTensor& weight, const SavedTensor& bias,
             const ops::BatchNormAttributes& attributes)
      : attributes_(attributes),
        x_(x),
        mean_(mean),
        variance_(variance),
        weight_(weight),
        bias_(bias) {}
  Tensor operator()() const override {
    const Tensor &x = x_.get("batch_norm"), &weight = weight_.get("batch_norm"),
                 &bias = bias_.get("batch_norm");
    Tensor y = Tensor::empty_like(x);
    kernels_for<ops::BatchNormKernels>(x).apply(
        current_context(), {x, mean_.get("batch_norm"), variance_.get("batch_norm"),
                            weight.defined() ? &weight : nullptr, bias.defined() ? &bias : nullptr,
                            nullptr, attributes_, y});
    return y;
  }

 private:
  ops::BatchNormAttributes attributes_;
  SavedTensor x_, mean_, variance_, weight_, bias_;
};

// Inputs in the tape's order: x, weight, bias, residual.
class BatchNormNode final : public Node {
 public:
  // positive: the ReLU's mask in bits, or undefined.
  BatchNormNode(const Tensor& x, const Tensor& y, const Tensor& positive, const Tensor& mean,
                const Tensor& variance, const Tensor& weight, const Tensor& bias, bool residual,
                const ops::BatchNormAttributes& attributes)
      : attributes_(attributes),
        x_(x),
        positive_(positive),
        mean_(mean),
        variance_(variance),
        weight_(weight),
        bias_(bias),
        residual_(residual) {
    if (attributes.relu && residual && !positive.defined())
      y_ = SavedTensor(y);  // else its mask follows from x
  }

  const char* name() const override { return "batch_norm"; }

  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    const Tensor& x = x_.get("batch_norm");
    const Tensor mean = mean_.get("batch_norm"), variance = variance_.get("batch_norm");
    const Tensor y = y_.get("batch_norm"), positive = positive_.get("batch_norm"),
                 weight = weight_.get("batch_norm");
    const Tensor bias = bias_.get("batch_norm");
    Tensor dx, dweight, dbias, dresidual;
    if (needs(0)) dx = Tensor::empty_like(x);
    if (needs(1)) dweight = Tensor::empty_like(mean);
    if (needs(2)) dbias = Tensor::empty_like(mean);
    const bool copies = residual_ && needs(3) && attributes_.relu;
    if (copies) dresidual = Tensor::empty_like(x);
    kernels_for<ops::BatchNormKernels>(x).backward(
        current_context(),
        {x, y.defined() ? &y : nullptr, bias.defined() ? &bias : nullptr, residual_, grads[0], mean,
         variance, weight.defined() ? &weight : nullptr, attributes_, needs(0) ? &dx : nullptr,
         copies ? &dresidual : nullptr, needs(1) ? &dweight : nullptr, needs(2) ? &dbias : nullptr,
         positive.defined() ? &positive : nullptr});
    if (residual_ && needs(3) && !copies) dresidual = grads[0];  // without ReLU it passes through
    return {dx, dweight, dbias, dresidual};
  }

  std::shared_ptr<const Remake> remake(int) const override {
    return residual_
               ? nullptr
               : std::make_shared<NormRemake>(x_, mean_, variance_, weight_, bias_, attributes_);
  }

  void release() override {
    for (SavedTensor* saved : {&x_, &y_, &positive_, &mean_, &variance_, &weight_, &bias_})
      saved->release();
  }

 private:
  ops::BatchNormAttributes attributes_;
  SavedTensor x_, y_, positive_, mean_, variance_, weight_, bias_;
  bool residual_;
};

void check_channels(const char* what, const Tensor& t, int64_t channels, bool required) {
  if (!t.defined() && !required) return;
  GRAFT_CHECK(t.defined() && t.shape() == Shape{channels}, "batch_norm: ", what, " ",
              t.defined() ? t.shape() : Shape(), " for ", channels, " channels");
}

// In eval, with the running statistics as inputs.
Replay replay_batch_norm(const ReplaySite& site) {
  const auto a = site.as<ops::BatchNormAttributes>();
  if (a.training) return Replay::refused("it takes statistics of its batch, as in training");
  const BatchNormOptions options{.training = false, .eps = a.eps, .relu = a.relu};
  return {[options](const auto& in) {
            return batch_norm(in[0], in[1], in[2], in[4], in[5], options, in[3]);
          },
          {}};
}

}  // namespace

Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor running_mean,
                  Tensor running_var, const BatchNormOptions& options, const Tensor& residual,
                  const BatchStatistics& given) {
  GRAFT_CHECK(x.rank() >= 2, "batch_norm: input ", x.shape(), " has no channel axis");
  const int64_t channels = x.shape()[1], count = channels ? x.numel() / channels : 0;
  check_channels("weight", weight, channels, false);
  check_channels("bias", bias, channels, false);
  check_channels("statistics: mean", given.mean, channels, given.variance.defined());
  check_channels("statistics: variance", given.variance, channels, given.mean.defined());
  check_channels("running mean", running_mean, channels, !options.training);
  check_channels("running variance", running_var, channels, !options.training);
  GRAFT_CHECK(
      !residual.defined() || (residual.shape() == x.shape() && residual.format() == x.format()),
      "batch_norm: residual ", residual.defined() ? residual.shape() : Shape(), " for input ",
      x.shape());
  GRAFT_CHECK(!options.training || count > 1, "batch_norm: training on ", x.shape(),
              " would see one value per channel");
  const ops::BatchNormAttributes attributes{options.eps, options.training, options.relu};
  const ops::BatchNormKernels& kernels = kernels_for<ops::BatchNormKernels>(x);
  Tensor mean = running_mean, variance = running_var;
  if (options.training) {
    mean = given.mean, variance = given.variance;
    if (!mean.defined()) {
      const TensorOptions statistics{.dtype = x.dtype() == DType::f64 ? DType::f64 : DType::f32,
                                     .device = x.device()};
      mean = Tensor::empty({channels}, statistics);
      variance = Tensor::empty({channels}, statistics);
      kernels.statistics(current_context(), {x, mean, variance});
    }
    if (running_mean.defined() || running_var.defined())
      kernels.running(current_context(),
                      {mean, variance, running_mean.defined() ? &running_mean : nullptr,
                       running_var.defined() ? &running_var : nullptr, options.momentum, count});
  }
  Tensor y = Tensor::empty_like(x), positive;
  const bool recorded = will_record({x, weight, bias, residual});
  if (recorded && options.relu && residual.defined() && kernels.keeps_mask && kernels.keeps_mask(x))
    positive = Tensor::empty({x.numel() / 8}, {.dtype = DType::u8, .device = x.device()});
  kernels.apply(current_context(),
                {x, mean, variance, weight.defined() ? &weight : nullptr,
                 bias.defined() ? &bias : nullptr, residual.defined() ? &residual : nullptr,
                 attributes, y, positive.defined() ? &positive : nullptr});
  const Tensor inputs[] = {x, weight, bias, residual, mean, variance};
  const Tensor outputs[] = {y};
  if (Trace* trace = current_trace())  // statistics are inputs of the operation, though nothing
                                       // flows back to them
    trace->add(
        {ops::BatchNormAttributes::id, attributes, {inputs, inputs + 6}, {y}, replay_batch_norm});
  const auto differentiable = std::span(inputs).first(4);
  if (recorded)
    attach_node(std::make_shared<BatchNormNode>(x, y, positive, mean, variance, weight, bias,
                                                residual.defined(), attributes),
                differentiable, outputs);
  return y;
}

}  // namespace graft::functional
