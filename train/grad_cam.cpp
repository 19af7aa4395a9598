#include "graft/train/grad_cam.h"

#include <algorithm>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/core/tensor/device_backend.h"

namespace graft::train {
namespace {

// While it lives no parameter of the network needs a gradient.
class ParametersAtRest {
 public:
  explicit ParametersAtRest(StagedNetwork& network) {
    for (const NamedTensor& parameter : network.parameters())
      if (requires_grad(parameter.tensor)) {
        set_requires_grad(parameter.tensor, false);
        resting_.push_back(parameter.tensor);
      }
  }
  ~ParametersAtRest() {
    for (const Tensor& parameter : resting_) set_requires_grad(parameter, true);
  }
  ParametersAtRest(const ParametersAtRest&) = delete;
  ParametersAtRest& operator=(const ParametersAtRest&) = delete;

 private:
  std::vector<Tensor> resting_;
};

bool is_map_of_places(const Tensor& value) {
  return value.rank() == 4 && value.size(2) * value.size(3) > 1;
}

struct Watched {
  Tensor value, outputs;  // where the gradient is asked, a leaf; and what depends on it
};

Watched watch_stage(StagedNetwork& network, const Tensor& x, size_t stage) {
  Watched watched;
  {
    const NoGradGuard no_grad;
    watched.value = network.forward_stages(x, 0, stage + 1).detach();
  }
  if (!is_map_of_places(watched.value)) return watched;  // refused by the caller
  set_requires_grad(watched.value, true);
  watched.outputs = network.forward_stages(watched.value, stage + 1, network.stages().size());
  return watched;
}

// What a module gives is no result of recorded operations here, so that it can become a leaf.
Watched watch_module(StagedNetwork& network, const Tensor& x, const std::string& path) {
  Watched watched;
  const ForwardHook hook = network.on_forward(path, [&](const Tensor& y) {
    if (watched.value.defined() || !is_map_of_places(y)) return;  // of several calls the first
    set_requires_grad(y, true);
    watched.value = y;
  });
  watched.outputs = network.forward_stages(x, 0, network.stages().size());
  return watched;
}

Watched watch(StagedNetwork& network, const Tensor& x, const std::string& at) {
  const std::vector<std::string>& stages = network.stages();
  const auto stage = std::find(stages.begin(), stages.end(), at);
  if (stage != stages.end())
    return watch_stage(network, x, static_cast<size_t>(stage - stages.begin()));
  GRAFT_CHECK(network.find(at), "grad-cam: there is no stage or module '", at, "'; the stages are ",
              join(stages));
  return watch_module(network, x, at);
}

// 1 at each sample's output, else 0.
Tensor chosen_outputs(const Tensor& outputs, std::span<const int64_t> chosen) {
  GRAFT_CHECK(outputs.rank() == 2,
              "grad-cam: is for networks that give numbers for an image, this one gives ",
              outputs.shape());
  Tensor ones = Tensor::zeros(outputs.shape(), {.dtype = outputs.dtype()});
  for (size_t n = 0; n < chosen.size(); ++n) {
    GRAFT_CHECK(chosen[n] >= 0 && chosen[n] < outputs.size(1), "grad-cam: output ", chosen[n],
                " of ", outputs.size(1));
    ones.mutable_data<float>()[static_cast<int64_t>(n) * outputs.size(1) + chosen[n]] = 1;
  }
  return to_device(ones, outputs.device());
}

Tensor on_host(const Tensor& tensor) {
  return to_device(tensor.detach(), {}).to(DType::f32).to(MemoryFormat::contiguous);
}

// relu(sum over channels of the gradient's mean times the value), [N,h,w].
Tensor weighted_maps(const Tensor& value, const Tensor& gradient) {
  const int64_t samples = value.size(0), channels = value.size(1),
                places = value.size(2) * value.size(3);
  Tensor maps = Tensor::zeros({samples, value.size(2), value.size(3)});
  std::vector<double> sum(static_cast<size_t>(places));
  const float *a = value.data<float>(), *da = gradient.data<float>();
  for (int64_t n = 0; n < samples; ++n) {
    std::fill(sum.begin(), sum.end(), 0);
    for (int64_t k = 0; k < channels; ++k, a += places, da += places) {
      double weight = 0;
      for (int64_t i = 0; i < places; ++i) weight += da[i];
      weight /= static_cast<double>(places);
      for (int64_t i = 0; i < places; ++i) sum[static_cast<size_t>(i)] += weight * a[i];
    }
    float* to = maps.mutable_data<float>() + n * places;
    for (int64_t i = 0; i < places; ++i)
      to[i] = static_cast<float>(std::max(sum[static_cast<size_t>(i)], 0.0));
  }
  return maps;
}

}  // namespace

std::string last_map_stage(StagedNetwork& network, const Tensor& x) {
  const NoGradGuard no_grad;
  network.train(false);
  std::string last;
  Tensor value = to_device(x.narrow_batch(0, 1), network.device());
  for (size_t stage = 0; stage < network.stages().size(); ++stage) {
    value = network.forward_stages(value, stage, stage + 1);
    if (is_map_of_places(value)) last = network.stages()[stage];
  }
  GRAFT_CHECK(!last.empty(),
              "grad-cam: no stage of the network gives maps: ", join(network.stages()));
  return last;
}

Tensor grad_cam(StagedNetwork& network, const Tensor& x, std::span<const int64_t> outputs,
                const std::string& at) {
  GRAFT_CHECK(x.rank() == 4 && x.size(0) == std::ssize(outputs), "grad-cam: ", outputs.size(),
              " outputs for images ", x.shape());
  const std::string place = at.empty() ? last_map_stage(network, x) : at;
  network.train(false);
  const ParametersAtRest rest(network);
  const Watched watched = watch(network, to_device(x, network.device()), place);
  GRAFT_CHECK(watched.value.defined() && is_map_of_places(watched.value), "grad-cam: '", place,
              "' gives no map of several places",
              watched.value.defined() ? str(", but ", watched.value.shape()) : std::string());
  const Tensor start = chosen_outputs(watched.outputs, outputs);
  Tensor gradient;
  if (needs_grad(watched.outputs)) {
    backward(watched.outputs, start);
    gradient = grad_of(watched.value);
  }
  GRAFT_CHECK(gradient.defined(), "grad-cam: the network's answer does not depend on '", place,
              "' by anything that has a gradient");
  return weighted_maps(on_host(watched.value), on_host(gradient));
}

}  // namespace graft::train
