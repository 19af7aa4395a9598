#include "graft/train/features.h"

#include <cmath>
#include <cstring>

#include "graft/core/autograd/record.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/layers/plan/plan.h"

namespace graft::train {

struct PrefixRunner::Compiled {
  Shape image;
  std::unique_ptr<Plan> plan;  // null: this network cannot be compiled
};

PrefixRunner::PrefixRunner(StagedNetwork& network, size_t stages, DType precision)
    : network_(network), stages_(stages), precision_(precision) {}
PrefixRunner::~PrefixRunner() = default;

Tensor PrefixRunner::operator()(const Tensor& x) {
  const NoGradGuard no_grad;
  const auto run = [&](const Tensor& input) { return network_.forward_stages(input, 0, stages_); };
  if (x.rank() != 4 || x.dtype() != DType::f32 || x.format() != MemoryFormat::channels_last || stages_ == 0) return run(x);
  const Shape image{x.size(1), x.size(2), x.size(3)};
  if (!compiled_ || compiled_->image != image || (compiled_->plan && compiled_->plan->stale()))
    compiled_ = std::make_unique<Compiled>(Compiled{image, Plan::compile(run, image, nullptr, precision_)});
  return compiled_->plan ? compiled_->plan->run(x) : run(x);
}

FeatureSet extract_features(PrefixRunner& prefix, BatchLoader& loader, const std::function<void(int64_t, int64_t)>& progress) {
  FeatureSet set;
  const int64_t total = loader.samples();
  set.labels = Tensor::empty({total}, {.dtype = DType::i64});
  int64_t* labels = set.labels.mutable_data<int64_t>();
  std::byte* out = nullptr;
  int64_t row = 0, done = 0;  // bytes a sample
  loader.start(0);
  for (Batch batch; loader.next(batch);) {
    const Tensor y = prefix(batch.x);
    if (!set.features.defined()) {
      TensorOptions options = y.options();
      set.features = Tensor::empty(y.shape().with(0, total), options);
      row = y.bytes() / y.size(0);
      out = static_cast<std::byte*>(set.features.mutable_raw());
    }
    GRAFT_ASSERT(done + y.size(0) <= total);
    std::memcpy(out + done * row, y.raw(), static_cast<size_t>(y.bytes()));
    std::memcpy(labels + done, batch.labels.data<int64_t>(), static_cast<size_t>(batch.labels.bytes()));
    done += y.size(0);
    if (progress) progress(done, total);
  }
  GRAFT_ASSERT(done == total);
  return set;
}

Batch gather(const FeatureSet& set, const std::vector<int64_t>& samples) {
  const int64_t count = std::ssize(samples), row = set.features.bytes() / set.features.size(0);
  Batch batch{Tensor::empty(set.features.shape().with(0, count), set.features.options()),
              Tensor::empty({count}, {.dtype = DType::i64}), samples};
  auto* out = static_cast<std::byte*>(batch.x.mutable_raw());
  const auto* in = static_cast<const std::byte*>(set.features.raw());
  int64_t* labels = batch.labels.mutable_data<int64_t>();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t sample = samples[static_cast<size_t>(i)];
    std::memcpy(out + i * row, in + sample * row, static_cast<size_t>(row));
    labels[i] = set.labels.data<int64_t>()[sample];
  }
  return batch;
}

Standardizer Standardizer::of(const Tensor& features) {
  GRAFT_CHECK(features.rank() == 2 && features.size(0) >= 1, "standardisation: features ", features.shape());
  const int64_t rows = features.size(0), count = features.size(1);
  Standardizer s{std::vector<double>(static_cast<size_t>(count)), std::vector<double>(static_cast<size_t>(count))};
  const std::vector<double> x = features.to_doubles();
  for (int64_t n = 0; n < rows; ++n)
    for (size_t f = 0; f < s.mean.size(); ++f) s.mean[f] += x[static_cast<size_t>(n * count) + f];
  for (double& m : s.mean) m /= static_cast<double>(rows);
  for (int64_t n = 0; n < rows; ++n)
    for (size_t f = 0; f < s.mean.size(); ++f) {
      const double d = x[static_cast<size_t>(n * count) + f] - s.mean[f];
      s.deviation[f] += d * d;
    }
  for (double& d : s.deviation) {
    d = std::sqrt(d / static_cast<double>(rows));
    if (!(d > 1e-12)) d = 1;
  }
  return s;
}

Tensor Standardizer::apply(const Tensor& features) const {
  const int64_t rows = features.size(0), count = features.size(1);
  GRAFT_CHECK(count == std::ssize(mean), "standardisation: ", count, " features, expected ", mean.size());
  Tensor result = Tensor::empty_like(features);
  visit_floating(features.dtype(), "standardisation", [&](auto zero) {
    using T = decltype(zero);
    const T* x = features.data<T>();
    T* y = result.mutable_data<T>();
    for (int64_t i = 0; i < rows * count; ++i) {
      const auto f = static_cast<size_t>(i % count);
      y[i] = convert<T>((convert<double>(x[i]) - mean[f]) / deviation[f]);
    }
  });
  return result;
}

StateDict Standardizer::fold(Linear& head) const {
  StateDict before;
  Tensor weight = head.weight(), bias = head.bias();
  GRAFT_CHECK(bias.defined() && weight.size(1) == std::ssize(mean), "standardisation: the head has no bias or other features");
  before.add("weight", weight.clone());
  before.add("bias", bias.clone());
  const int64_t out = weight.size(0), in = weight.size(1);
  std::vector<double> w = weight.to_doubles(), b = bias.to_doubles();
  for (int64_t o = 0; o < out; ++o)
    for (int64_t i = 0; i < in; ++i) {
      double& value = w[static_cast<size_t>(o * in + i)];
      value /= deviation[static_cast<size_t>(i)];
      b[static_cast<size_t>(o)] -= value * mean[static_cast<size_t>(i)];
    }
  weight.copy_from(Tensor::of(weight.shape(), w));
  bias.copy_from(Tensor::of(bias.shape(), b));
  return before;
}

}  // namespace graft::train
