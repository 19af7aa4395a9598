#include "graft/models/image_check.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>

#include "graft/core/autograd/record.h"
#include "graft/layers/functional/batch_norm.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/conv.h"
#include "graft/layers/modules/batch_norm2d.h"

namespace graft::models {
namespace {

struct Moments {
  std::vector<double> mean, variance;  // by channel
};

Moments moments_of(const Tensor& x) {  // [N,C,H,W]
  const Tensor plain = x.to(MemoryFormat::contiguous);
  const int64_t N = x.size(0), C = x.size(1), area = x.numel() / (N * C);
  const float* values = plain.data<float>();
  Moments m{std::vector<double>(static_cast<size_t>(C)),
            std::vector<double>(static_cast<size_t>(C))};
  const auto count = static_cast<double>(N * area);
  for (int64_t c = 0; c < C; ++c) {
    double sum = 0, squares = 0;
    for (int64_t n = 0; n < N; ++n)
      for (const float *v = values + (n * C + c) * area, *end = v + area; v != end; ++v) sum += *v;
    const double mean = sum / count;
    for (int64_t n = 0; n < N; ++n)
      for (const float *v = values + (n * C + c) * area, *end = v + area; v != end; ++v)
        squares += (*v - mean) * (*v - mean);
    m.mean[static_cast<size_t>(c)] = mean;
    m.variance[static_cast<size_t>(c)] = squares / count;
  }
  return m;
}

struct Distance {
  double means = 0, fit = 0;
};

Distance distance_of(const Moments& found, const Moments& running, double eps) {
  double shifts = 0, ratios = 0;
  const auto channels = static_cast<double>(found.mean.size());
  for (size_t c = 0; c < found.mean.size(); ++c) {
    const double shift = found.mean[c] - running.mean[c],
                 ratio = std::log((found.variance[c] + eps) / (running.variance[c] + eps));
    shifts += shift * shift / (running.variance[c] + eps) / channels;
    ratios += ratio * ratio / channels;
  }
  return {std::sqrt(shifts), shifts + ratios};
}

// The weight with each kernel turned by 180 degrees, or with rows and columns swapped (square
// kernels).
Tensor rearranged(const Tensor& weight, bool turn) {
  const Tensor plain = weight.to(MemoryFormat::contiguous);
  const int64_t R = weight.size(2), S = weight.size(3);
  Tensor other = Tensor::empty(weight.shape());
  const float* from = plain.data<float>();
  float* to = other.mutable_data<float>();
  for (int64_t kernel = 0; kernel < weight.numel(); kernel += R * S)
    for (int64_t r = 0; r < R; ++r)
      for (int64_t s = 0; s < S; ++s)
        to[kernel + r * S + s] = from[kernel + (turn ? (R - 1 - r) * S + S - 1 - s : s * S + r)];
  return other;
}

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

class ImageReader {
 public:
  ImageReader(StagedNetwork& network, const std::vector<std::string>& neutral) {
    for (const auto& [name, tensor] : network.state_dict())
      if (name.ends_with(".weight"))
        owners_[tensor.storage_id()] = name.substr(0, name.size() - 7);
      else
        owners_[tensor.storage_id()] = name;
    network.for_each_module([&](const std::string& path, Module& module) {
      const auto* norm = dynamic_cast<BatchNorm2d*>(&module);
      if (!norm) return;
      paths_[norm->running_mean().storage_id()] = path;
      if (std::find(neutral.begin(), neutral.end(), path) != neutral.end())
        left_out_.insert(norm->running_mean().storage_id());
    });
  }

  void add(const TraceStep& step) {
    if (step.op == ops::ConvAttributes::id)
      convolutions_.insert_or_assign(step.outputs[0].storage_id(), step);
    if (step.op == ops::BatchNormAttributes::id && step.inputs[0].rank() == 4 &&
        step.inputs[0].dtype() == DType::f32 && step.inputs[4].defined())
      norm(step);
  }
  // Ends a stage: only the convolution that gave its result may still have a norm behind it.
  void end_stage(const Tensor& result) {
    std::erase_if(convolutions_,
                  [&](const auto& entry) { return entry.first != result.storage_id(); });
  }
  ImageCheck take() { return std::move(check_); }

 private:
  void norm(const TraceStep& step) {
    const uint64_t id = step.inputs[4].storage_id();
    const Moments running{step.inputs[4].to_doubles(), step.inputs[5].to_doubles()};
    const auto all = [](const std::vector<double>& values, double value) {
      return std::all_of(values.begin(), values.end(), [value](double v) { return v == value; });
    };
    if (left_out_.contains(id) || (all(running.mean, 0) && all(running.variance, 1))) return;
    const double eps = step.as<ops::BatchNormAttributes>().eps;
    const Distance here = distance_of(moments_of(step.inputs[0]), running, eps);
    const std::string path = paths_.contains(id) ? paths_.at(id) : std::string("a batch norm");
    if (check_.norms > 0 && here.means >= ImageCheck::kFar &&
        here.means > ImageCheck::kRise * check_.furthest)
      check_.doubts.push_back(str(path, ": the means of your images lie ", short_number(here.means),
                                  " deviations from the running means here, and at most ",
                                  short_number(check_.furthest), " in the layers before"));
    check_.nearest = check_.norms == 0 ? here.means : std::min(check_.nearest, here.means);
    check_.furthest = std::max(check_.furthest, here.means);
    ++check_.norms;
    if (const auto conv = convolutions_.find(step.inputs[0].storage_id());
        conv != convolutions_.end())
      try_kernels(conv->second, running, eps, here.fit);
  }

  void try_kernels(const TraceStep& conv, const Moments& running, double eps, double fit) {
    const Tensor& weight = conv.inputs[1];
    if (weight.dtype() != DType::f32 || weight.size(2) != weight.size(3) || weight.size(2) < 2)
      return;
    for (const bool turn : {true, false}) {
      const Tensor y = functional::conv(conv.inputs[0], rearranged(weight, turn), conv.inputs[2],
                                        conv.as<ops::ConvAttributes>());
      const double other = distance_of(moments_of(y), running, eps).fit;
      if (other * ImageCheck::kBetter > fit) continue;
      check_.doubts.push_back(
          str(owners_[weight.storage_id()],
              ": on your images its kernels fit the running statistics behind them ",
              short_number(fit / std::max(other, 1e-9)), " times as well when ",
              turn ? "turned by 180 degrees" : "rows and columns are swapped"));
    }
  }

  std::map<uint64_t, std::string> owners_, paths_;  // by storage
  std::set<uint64_t> left_out_;
  std::map<uint64_t, TraceStep> convolutions_;  // by result
  ImageCheck check_;
};

}  // namespace

std::string ImageCheck::to_text() const {
  if (norms == 0) return "";
  return str(images, " of your images: the means of ", norms, " batch norms lie ",
             short_number(nearest), " to ", short_number(furthest),
             " deviations from the running ones");
}

int64_t images_to_check(int64_t side) { return side <= 64 ? 32 : side <= 160 ? 16 : 8; }

ImageCheck check_with_images(StagedNetwork& network, const std::vector<std::string>& neutral,
                             const Tensor& images) {
  const NoGradGuard no_grad;
  network.train(false);
  ImageReader reader(network, neutral);
  Tensor value = images;
  for (size_t stage = 0; stage < network.stages().size();
       ++stage) {  // one by one: only a stage's values are alive
    Trace trace;
    {
      const ScopedTrace scope(trace);
      value = network.forward_stages(value, stage, stage + 1);
    }
    for (const TraceStep& step : trace.steps) reader.add(step);
    reader.end_stage(value);
  }
  ImageCheck check = reader.take();
  check.images = images.size(0);
  return check;
}

}  // namespace graft::models
