#include "graft/models/folded_norms.h"

#include <algorithm>

#include "graft/core/base/error.h"
#include "graft/layers/modules/batch_norm2d.h"

namespace graft::models {
std::vector<std::string> unfold_norms(StateDict& tensors, const Architecture& architecture) {
  const bool biased = biased_before_norms(architecture);
  // The norm behind the convolution that a bias belongs to; "" for any other bias.
  const auto norm_of = [&](const std::string& bias) {
    const std::string layer = bias.substr(0, bias.size() - 5);
    const Tensor weight = tensors.find(layer + ".weight");
    return weight.defined() && weight.rank() == 4 ? norm_behind(architecture, layer)
                                                  : std::string();
  };
  std::vector<std::string> conv_biases, neutral;
  for (const auto& [name, tensor] : tensors)
    if (name.ends_with(".bias") && !norm_of(name).empty()) conv_biases.push_back(name);
  for (const std::string& name : conv_biases) {
    const std::string norm = norm_of(name);
    const Tensor bias = tensors.at(name).to(DType::f32);
    const Tensor mean = tensors.find(norm + ".running_mean");
    if (mean.defined() && biased) continue;
    if (biased)
      tensors.set(name, Tensor::zeros(bias.shape()));
    else
      tensors.erase(name);
    if (mean.defined()) {
      GRAFT_CHECK(mean.shape() == bias.shape(), name, " ", bias.shape(), " and ", norm,
                  ".running_mean ", mean.shape(), " do not fit");
      std::vector<double> shifted = mean.to_doubles();
      const std::vector<double> b = bias.to_doubles();
      for (size_t c = 0; c < b.size(); ++c) shifted[c] -= b[c];
      tensors.set(norm + ".running_mean", Tensor::of(mean.shape(), shifted).to(DType::f32));
      continue;
    }
    tensors.add(norm + ".weight", Tensor::full(bias.shape(), 1));
    tensors.add(norm + ".bias", bias);
    tensors.add(norm + ".running_mean", Tensor::zeros(bias.shape()));
    tensors.add(norm + ".running_var", Tensor::full(bias.shape(), 1 - eps_of(architecture)));
    neutral.push_back(norm);
  }
  std::sort(neutral.begin(), neutral.end());
  return neutral;
}

void mark_neutral(StagedNetwork& network, const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    auto* norm = dynamic_cast<BatchNorm2d*>(network.find(path));
    GRAFT_CHECK(norm != nullptr, "there is no batch norm '", path, "'");
    norm->mark_neutral();
  }
}

std::vector<std::string> still_neutral(StagedNetwork& network,
                                       const std::vector<std::string>& paths) {
  const auto all_are = [](const Tensor& tensor, double value) {
    const auto values = tensor.to_doubles();
    return std::all_of(values.begin(), values.end(), [value](double v) { return v == value; });
  };
  std::vector<std::string> neutral;
  for (const std::string& path : paths) {
    const auto* norm = dynamic_cast<const BatchNorm2d*>(network.find(path));
    GRAFT_CHECK(norm != nullptr, "there is no batch norm '", path, "'");
    const double variance = Tensor::full({1}, 1 - norm->options().eps).item();
    if (all_are(norm->weight(), 1) && all_are(norm->running_mean(), 0) &&
        all_are(norm->running_var(), variance))
      neutral.push_back(path);
  }
  return neutral;
}

}  // namespace graft::models
