#include "graft/train/features.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <utility>

#include "graft/core/autograd/record.h"
#include "graft/core/base/fork.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/layers/plan/plan.h"

namespace graft::train {

struct PrefixRunner::Compiled {
  Shape image;
  std::unique_ptr<Plan> plan;  // null: this network cannot be compiled
  std::string refusal;

  bool fits(const Shape& wanted) const { return image == wanted && !(plan && plan->stale()); }
};

struct PrefixRunner::Shared {
  ForkSafeMutex mutex;  // guards the two below
  std::shared_ptr<const Compiled> compiled;
  std::string refusal;
  TurnLock compiling, on_device;
};

PrefixRunner::PrefixRunner(StagedNetwork& network, size_t stages, DType precision,
                           Calibration calibration)
    : network_(network),
      stages_(stages),
      precision_(precision),
      calibration_(std::move(calibration)),
      shared_(std::make_unique<Shared>()) {}
PrefixRunner::~PrefixRunner() = default;

std::shared_ptr<const PrefixRunner::Compiled> PrefixRunner::compiled_for(const Shape& image) {
  const std::lock_guard lock(shared_->mutex);
  const auto& compiled = shared_->compiled;
  if (!compiled || !compiled->fits(image)) return nullptr;
  shared_->refusal = compiled->refusal;
  return compiled;
}

std::shared_ptr<const Plan> PrefixRunner::plan_for(const Tensor& x) {
  if (x.rank() != 4 || x.dtype() != DType::f32 || x.format() != MemoryFormat::channels_last ||
      stages_ == 0) {
    const std::lock_guard lock(shared_->mutex);
    shared_->refusal = stages_ == 0 ? "" : "plans take float32 channels_last images";
    return nullptr;
  }
  return plan_for({x.size(1), x.size(2), x.size(3)}, x.device());
}

// The plan keeps what it is part of: another thread may put another in its place.
std::shared_ptr<const Plan> PrefixRunner::plan_for(const Shape& image, Device device) {
  auto compiled = compiled_for(image);
  if (!compiled) {
    const std::lock_guard turn(shared_->compiling);
    compiled = compiled_for(image);  // by the thread before
    if (!compiled) compiled = compile(image, device);
  }
  return {compiled, compiled->plan.get()};
}

std::shared_ptr<const PrefixRunner::Compiled> PrefixRunner::compile(const Shape& image,
                                                                    Device device) {
  PlanOptions options{.precision = precision_,
                      .device = device,
                      .calibration = calibration_.empty() ? nullptr : &calibration_};
  if (!network_.looks_at_values()) options.tracing = PlanOptions::Tracing::shapes;
  if (!is_cpu(device)) work_.forget();
  const auto compiled = std::make_shared<Compiled>();
  compiled->image = image;
  compiled->plan = Plan::compile(
      [this](const Tensor& input) { return network_.forward_stages(input, 0, stages_); }, image,
      &compiled->refusal, options);
  std::shared_ptr<const Compiled> former = compiled;  // let go of without the mutex
  const std::lock_guard lock(shared_->mutex);
  shared_->compiled.swap(former);
  shared_->refusal = compiled->refusal;
  return compiled;
}

std::string PrefixRunner::refusal() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->refusal;
}

void PrefixRunner::warm_up(const Shape& image) {
  const NoGradGuard no_grad;
  if (const auto plan = plan_for(image, network_.device())) plan->warm_up();
}

void PrefixRunner::repeat(bool on) {
  repeats_ = on;
  if (!on) work_.forget();
}

Tensor PrefixRunner::run_repeatedly(const Tensor& from) {
  const Device device = network_.device();
  keeps_device_memory_ = true;
  if (!x_.defined() || x_.shape() != from.shape())
    x_ = Tensor::empty(from.shape(), {.format = MemoryFormat::channels_last, .device = device});
  x_.copy_from(from);
  const auto plan = plan_for(x_);
  if (!plan) return network_.forward_stages(x_.clone(), 0, stages_);
  work_.run([&] { y_ = plan->run(x_); }, [] {});
  return work_.is_recorded() ? y_.clone() : std::exchange(y_, Tensor());
}

Tensor PrefixRunner::operator()(const Tensor& from) {
  const NoGradGuard no_grad;
  if (is_cpu(network_.device()) && !keeps_device_memory_) return run(from);
  const std::lock_guard turn(shared_->on_device);  // one recording, and one stream anyway
  if (x_.defined() &&
      x_.device() != network_.device()) {  // nothing stays on a device that the network left
    work_.forget();
    x_ = y_ = Tensor();
    keeps_device_memory_ = false;
  }
  const bool is_image = from.rank() == 4 && from.dtype() == DType::f32 &&
                        from.format() == MemoryFormat::channels_last;
  if (repeats_ && is_image && stages_ > 0 &&
      work_.takes(network_.device(), from.shape().to_string()))
    return run_repeatedly(from);
  return run(from);
}

Tensor PrefixRunner::run(const Tensor& from) {
  const Tensor x = to_device(from, network_.device());
  if (const auto plan = plan_for(x)) return plan->run(x);
  GRAFT_CHECK(calibration_.empty(), "int8: this network cannot be compiled: ", refusal());
  return network_.forward_stages(x, 0, stages_);
}

void PrefixRunner::observe(const Tensor& x, RangeObserver& observer) {
  const NoGradGuard no_grad;
  const auto plan = plan_for(x);
  GRAFT_CHECK(plan, "int8: this network cannot be compiled: ", refusal());
  plan->observe(x, observer);
}

Calibration calibrate(StagedNetwork& network, std::shared_ptr<const io::Dataset> dataset,
                      const io::Preprocess& preprocess, int64_t most,
                      const std::function<void(int64_t, int64_t)>& progress) {
  GRAFT_CHECK(is_cpu(network.device()), "int8: ranges are observed on the CPU, the network is on ",
              network.device());
  network.train(false);
  const int64_t images = dataset->size(), taken = std::min(images, most);
  GRAFT_CHECK(taken > 0, "int8: there are no images to calibrate on");
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < taken; ++i) indices.push_back(i * images / taken);
  BatchLoader loader(io::subset(std::move(dataset), std::move(indices)), preprocess,
                     {.batch = 16, .cache_bytes = 0});
  PrefixRunner run(network, network.stages().size());
  RangeObserver observer;
  loader.start(0);
  int64_t done = 0;
  for (Batch b; loader.next(b);) {
    run.observe(b.x, observer);
    done += b.x.size(0);
    if (progress) progress(done, taken);
  }
  return observer.calibration();
}

FeatureSet extract_features(PrefixRunner& prefix, BatchLoader& loader,
                            const std::function<void(int64_t, int64_t)>& progress) {
  FeatureSet set;
  const int64_t total = loader.samples();
  set.targets = loader.all_targets();
  std::byte* out = nullptr;
  int64_t row = 0, done = 0;  // bytes a sample
  loader.start(0);
  for (Batch batch; loader.next(batch);) {
    const Tensor y = to_device(prefix(batch.x), {});
    if (!set.features.defined()) {
      TensorOptions options = y.options();
      set.features = Tensor::empty(y.shape().with(0, total), options);
      row = y.bytes() / y.size(0);
      out = static_cast<std::byte*>(set.features.mutable_raw());
    }
    GRAFT_ASSERT(done + y.size(0) <= total);
    std::memcpy(out + done * row, y.raw(), static_cast<size_t>(y.bytes()));
    done += y.size(0);
    if (progress) progress(done, total);
  }
  GRAFT_ASSERT(done == total);
  return set;
}

Standardizer Standardizer::of(int64_t rows, int64_t count,
                              const std::function<void(int64_t row, float* out)>& read) {
  GRAFT_CHECK(rows >= 1 && count >= 1, "standardisation: ", rows, " rows of ", count, " features");
  const auto size = static_cast<size_t>(count);
  Standardizer s{std::vector<double>(size), std::vector<double>(size)};
  std::vector<float> x(size);
  for (int64_t n = 0; n < rows; ++n) {
    read(n, x.data());
    for (size_t f = 0; f < size; ++f) s.mean[f] += static_cast<double>(x[f]);
  }
  for (double& m : s.mean) m /= static_cast<double>(rows);
  for (int64_t n = 0; n < rows; ++n) {
    read(n, x.data());
    for (size_t f = 0; f < size; ++f) {
      const double d = static_cast<double>(x[f]) - s.mean[f];
      s.deviation[f] += d * d;
    }
  }
  for (double& d : s.deviation) {
    d = std::sqrt(d / static_cast<double>(rows));
    if (!(d > 1e-12)) d = 1;
  }
  return s;
}

Standardizer Standardizer::of(const Tensor& features) {
  GRAFT_CHECK(features.rank() == 2, "standardisation: features ", features.shape());
  const int64_t count = features.size(1);
  return of(features.size(0), count, [&](int64_t row, float* out) {
    std::copy_n(features.data<float>() + row * count, count, out);
  });
}

Tensor Standardizer::apply(const Tensor& given) const {
  const Tensor features = to_device(given, {});
  const int64_t rows = features.size(0), count = features.size(1);
  GRAFT_CHECK(count == std::ssize(mean), "standardisation: ", count, " features, expected ",
              mean.size());
  Tensor result = Tensor::empty_like(features);
  const float* x = features.data<float>();
  float* y = result.mutable_data<float>();
  for (int64_t n = 0; n < rows; ++n, x += count, y += count)
    for (int64_t f = 0; f < count; ++f)
      y[f] = static_cast<float>((static_cast<double>(x[f]) - mean[static_cast<size_t>(f)]) /
                                deviation[static_cast<size_t>(f)]);
  return result;
}

StateDict Standardizer::fold(Linear& head) const {
  StateDict before;
  Tensor weight = head.weight(), bias = head.bias();
  GRAFT_CHECK(bias.defined() && weight.size(1) == std::ssize(mean),
              "standardisation: the head has no bias or other features");
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

void Standardizer::unfold(Linear& head) const {
  Tensor weight = head.weight(), bias = head.bias();
  GRAFT_CHECK(bias.defined() && weight.size(1) == std::ssize(mean),
              "standardisation: the head has no bias or other features");
  const int64_t out = weight.size(0), in = weight.size(1);
  std::vector<double> w = weight.to_doubles(), b = bias.to_doubles();
  for (int64_t o = 0; o < out; ++o)
    for (int64_t i = 0; i < in; ++i) {
      double& value = w[static_cast<size_t>(o * in + i)];
      b[static_cast<size_t>(o)] += value * mean[static_cast<size_t>(i)];
      value *= deviation[static_cast<size_t>(i)];
    }
  weight.copy_from(Tensor::of(weight.shape(), w));
  bias.copy_from(Tensor::of(bias.shape(), b));
}

}  // namespace graft::train
