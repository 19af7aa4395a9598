#include "graft/models/doubts.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <numbers>
#include <optional>
#include <span>

#include "graft/core/autograd/record.h"
#include "graft/core/base/sha256.h"
#include "graft/core/runtime/kernel_skip.h"
#include "graft/layers/functional/batch_norm.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/conv.h"
#include "graft/layers/functional/unary.h"
#include "graft/layers/modules/batch_norm2d.h"

namespace graft::models {
namespace {

double normal_density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi); }
double normal_below(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

// The mean of min(max(x, 0), cap) for normal x.
double clipped_mean(double mean, double deviation, double cap) {
  if (deviation < 1e-12) return std::clamp(mean, 0.0, cap);
  const double low = -mean / deviation;
  if (std::isinf(cap)) return deviation * normal_density(low) + mean * normal_below(-low);
  const double high = (cap - mean) / deviation;
  return deviation * (normal_density(low) - normal_density(high)) +
         mean * (normal_below(high) - normal_below(low)) + cap * normal_below(-high);
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const auto n = static_cast<double>(a.size());
  double ma = 0, mb = 0, ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ma += a[i] / n;
    mb += b[i] / n;
  }
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - ma) * (b[i] - mb);
    aa += (a[i] - ma) * (a[i] - ma);
    bb += (b[i] - mb) * (b[i] - mb);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}

double deviation(const std::vector<double>& values) {
  double mean = 0, squares = 0;
  for (const double v : values) mean += v / static_cast<double>(values.size());
  for (const double v : values) squares += (v - mean) * (v - mean);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

bool all_equal(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [&](double v) { return v == values[0]; });
}

// The means of a value's channels, where a batch norm (and a ReLU behind it) decides them; empty
// elsewhere.
using Means = std::vector<double>;

// Follows one trace, keeping which norm a value comes from.
class StatisticsReader {
 public:
  explicit StatisticsReader(const StateDict& names) {
    for (const auto& [name, tensor] : names)
      if (name.ends_with(".weight")) owners_[tensor.storage_id()] = name.substr(0, name.size() - 7);
  }

  void add(const TraceStep& step) {
    if (step.op == ops::BatchNormAttributes::id) return norm(step);
    if (step.op == ops::ConvAttributes::id) return convolution(step);
    if (step.op != ops::UnaryAttributes::id) return;
    const auto& a = step.as<ops::UnaryAttributes>();
    const auto from = norms_.find(step.inputs[0].storage_id());
    if (from == norms_.end()) return;
    if (a.function == ops::Unary::relu)
      keep(step, from->second, std::numeric_limits<double>::infinity());
    if (a.function == ops::Unary::relu6) keep(step, from->second, 6);
    if (a.function == ops::Unary::clip && a.alpha == 0) keep(step, from->second, a.beta);
  }
  StatisticsCheck take() {
    std::sort(found_.begin(), found_.end());
    StatisticsCheck check;
    check.pairs = std::ssize(found_);
    for (const auto& [r, path] : found_) {
      if (r >= StatisticsCheck::kAgreement)
        ++check.agreeing;
      else
        check.disagreeing.push_back(path);
    }
    if (!found_.empty()) check.lowest = found_.front().first;
    return check;
  }

 private:
  struct Norm {
    std::vector<double> weight, bias;
  };

  void norm(const TraceStep& step) {
    if (!step.inputs[1].defined() || !step.inputs[2].defined()) return;
    compare(step);
    if (step.inputs[3].defined()) return;  // a residual sum: not one norm's
    Norm here{step.inputs[1].to_doubles(), step.inputs[2].to_doubles()};
    if (step.as<ops::BatchNormAttributes>().relu)
      keep(step, here, std::numeric_limits<double>::infinity());
    else {
      means_[step.outputs[0].storage_id()] = here.bias;
      norms_[step.outputs[0].storage_id()] = std::move(here);
    }
  }
  void keep(const TraceStep& step, const Norm& norm, double cap) {
    Means& means = means_[step.outputs[0].storage_id()];
    means.clear();
    for (size_t c = 0; c < norm.weight.size(); ++c)
      means.push_back(clipped_mean(norm.bias[c], std::abs(norm.weight[c]), cap));
  }

  // What the means of the input make of the means of the output; padding is left out of account.
  void convolution(const TraceStep& step) {
    const auto from = means_.find(step.inputs[0].storage_id());
    if (from == means_.end()) return;
    const Tensor& weight = step.inputs[1];
    const std::vector<double> w = weight.to_doubles();
    const int64_t K = weight.size(0), C = weight.size(1), area = weight.numel() / (K * C),
                  groups = step.as<ops::ConvAttributes>().groups;
    Means predicted(static_cast<size_t>(K));
    for (int64_t k = 0; k < K; ++k)
      for (int64_t c = 0; c < C; ++c) {
        double sum = 0;
        for (int64_t i = 0; i < area; ++i) sum += w[static_cast<size_t>((k * C + c) * area + i)];
        predicted[static_cast<size_t>(k)] +=
            sum * from->second[static_cast<size_t>(k / (K / groups) * C + c)];
      }
    if (step.inputs[2].defined()) {
      const std::vector<double> bias = step.inputs[2].to_doubles();
      for (size_t k = 0; k < predicted.size(); ++k) predicted[k] += bias[k];
    }
    const auto owner = owners_.find(weight.storage_id());
    predicted_[step.outputs[0].storage_id()] = {
        owner == owners_.end() ? std::string("a convolution") : owner->second,
        std::move(predicted)};
  }

  void compare(const TraceStep& step) {
    const auto from = predicted_.find(step.inputs[0].storage_id());
    if (from == predicted_.end() || !step.inputs[4].defined()) return;
    const std::vector<double> means = step.inputs[4].to_doubles();
    if (means.size() < 8 || all_equal(means) || all_equal(from->second.second)) return;
    const double r = correlation(means, from->second.second),
                 ratio = deviation(means) / deviation(from->second.second);
    // Of one direction but not of one size (an unfinished running mean): no agreement either.
    found_.emplace_back(ratio > 0.5 && ratio < 2 ? r : std::min(r, 0.0), from->second.first);
  }

  std::map<uint64_t, std::string> owners_;
  std::map<uint64_t, Norm> norms_;  // by storage: what a norm without ReLU computed
  std::map<uint64_t, Means> means_;
  std::map<uint64_t, std::pair<std::string, Means>> predicted_;
  std::vector<std::pair<double, std::string>> found_;
};

std::string two_digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

std::span<const float> floats_of(const Tensor& tensor) {
  return {tensor.data<float>(), static_cast<size_t>(tensor.numel())};
}

// One layer's weight, f32 [K,...] in the file's order.
void doubt_weight(const std::string& name, const Tensor& tensor, std::vector<std::string>& doubts) {
  const std::span<const float> w = floats_of(tensor);
  if (w.size() < 16) return;
  double largest = 0, squares = 0;
  for (const float v : w) {
    largest = std::max(largest, std::abs(static_cast<double>(v)));
    squares += static_cast<double>(v) * v;
  }
  if (std::all_of(w.begin(), w.end(), [&](float v) { return v == w[0]; }))
    return doubts.push_back(str(name, ": all ", w.size(), " numbers are ", w[0]));
  if (largest > 1e3)
    doubts.push_back(
        str(name, ": has a weight of ", largest, "; trained ones stay far below 1000"));
  if (std::sqrt(squares / static_cast<double>(w.size())) < 1e-7)
    doubts.push_back(str(name, ": all weights are next to zero (at most ", largest, ")"));
  const auto filters = static_cast<size_t>(tensor.size(0)), each = w.size() / filters;
  size_t zero = 0;
  for (size_t k = 0; k < filters; ++k) {
    const auto filter = w.subspan(k * each, each);
    zero += std::all_of(filter.begin(), filter.end(), [](float v) { return v == 0; });
  }
  if (2 * zero > filters)
    doubts.push_back(str(name, ": ", zero, " of ", filters, " filters are zero"));
}

void doubt_norms(StagedNetwork& network, const std::vector<std::string>& neutral,
                 std::vector<std::string>& doubts) {
  int64_t untrained = 0, all = 0;
  network.for_each_module([&](const std::string& path, Module& module) {
    const auto* norm = dynamic_cast<BatchNorm2d*>(&module);
    if (!norm || std::find(neutral.begin(), neutral.end(), path) != neutral.end()) return;
    ++all;
    const auto mean = norm->running_mean().to_doubles(),
               variance = norm->running_var().to_doubles();
    if (std::all_of(mean.begin(), mean.end(), [](double v) { return v == 0; }) &&
        std::all_of(variance.begin(), variance.end(), [](double v) { return v == 1; }))
      ++untrained;
    else if (all_equal(mean))
      doubts.push_back(str(path, ".running_mean: all are ", mean[0]));
    else if (all_equal(variance))
      doubts.push_back(str(path, ".running_var: all are ", variance[0]));
    const auto largest = *std::max_element(variance.begin(), variance.end());
    if (largest < 1e-10) doubts.push_back(str(path, ".running_var: at most ", largest));
    if (largest > 1e8) doubts.push_back(str(path, ".running_var: up to ", largest));
  });
  if (untrained > 0)
    doubts.push_back(
        str(untrained, " of ", all,
            " batch norms have the statistics of an untrained network (mean 0, variance 1)"));
}

}  // namespace

std::string StatisticsCheck::to_text() const {
  return str(agreeing, " of ", pairs,
             " running means follow from the layers before (lowest correlation ",
             two_digits(lowest), ")");
}

StatisticsCheck check_statistics(StagedNetwork& network, const Tensor& zeros) {
  network.train(false);
  StatisticsReader reader(network.state_dict());
  Trace trace;
  trace.listener = [&reader](const TraceStep& step) { reader.add(step); };
  const NoGradGuard no_grad;
  const ScopedTrace scope(trace);
  const auto everything = [](const Tensor&) { return true; };
  std::optional<ScopedKernelSkip> parameters_alone;  // the reader looks at nothing else
  if (!network.looks_at_values()) parameters_alone.emplace(everything);
  network.forward(zeros);
  return reader.take();
}

void refuse_impossible_values(const StateDict& tensors, bool may_be_infinite) {
  for (const auto& [name, tensor] : tensors) {
    if (!is_floating(tensor.dtype())) continue;
    const Tensor plain = tensor.to(DType::f32);
    const std::span<const float> values = floats_of(plain);
    const auto bad = std::find_if(values.begin(), values.end(), [&](float v) {
      return std::isnan(v) || (std::isinf(v) && !may_be_infinite);
    });
    GRAFT_CHECK(bad == values.end(), name, ": element ", bad - values.begin(), " is ",
                std::isnan(*bad) ? "not a number" : "infinite");
    if (!name.ends_with("running_var")) continue;
    const auto negative = std::find_if(values.begin(), values.end(), [](float v) { return v < 0; });
    GRAFT_CHECK(negative == values.end(), name, ": element ", negative - values.begin(), " is ",
                *negative, ", and no variance is negative");
  }
}

std::vector<std::string> doubts_of(StagedNetwork& network, const std::vector<std::string>& neutral,
                                   const StatisticsCheck& statistics) {
  std::vector<std::string> doubts;
  std::map<std::string, std::string> seen;  // SHA-256 of a weight -> its name
  for (const auto& [name, tensor] : network.state_dict()) {
    if (tensor.dtype() != DType::f32 || tensor.rank() < 2) continue;
    const Tensor plain = tensor.to(MemoryFormat::contiguous);
    doubt_weight(name, plain, doubts);
    if (tensor.numel() < 64) continue;
    const std::string digest = sha256_hex(std::as_bytes(floats_of(plain)));
    const auto [other, first] = seen.emplace(digest, name);
    const bool constant = std::all_of(floats_of(plain).begin(), floats_of(plain).end(),
                                      [&](float v) { return v == floats_of(plain)[0]; });
    if (!first && !constant)
      doubts.push_back(str(name, " and ", other->second, " are the same, bit for bit"));
  }
  doubt_norms(network, neutral, doubts);
  for (size_t i = 0; i < std::min<size_t>(statistics.disagreeing.size(), 4); ++i)
    doubts.push_back(str(statistics.disagreeing[i],
                         ": the running means of the batch norm behind it do not follow from its "
                         "weights and the norm before it",
                         i == 0 ? str(" (correlation ", two_digits(statistics.lowest), ")") : ""));
  if (statistics.disagreeing.size() > 4)
    doubts.push_back(str("so do ", statistics.disagreeing.size() - 4, " more"));
  return doubts;
}

}  // namespace graft::models
