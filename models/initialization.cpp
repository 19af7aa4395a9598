#include "graft/models/initialization.h"

#include <cmath>

#include "graft/core/runtime/random.h"
#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/conv2d.h"
#include "graft/layers/modules/linear.h"
#include "graft/models/squeeze_excitation.h"

namespace graft::models {
namespace {

// FNV-1a of a path: the sample number of its random stream.
uint64_t stream_of(std::string_view path) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : path) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

void initialize_one(const std::string& path, Module& module, uint64_t seed) {
  const auto random = [&](const char* name) {
    return CountedRandom(seed, RandomPurpose::initialization, 0, stream_of(path + "." + name));
  };
  if (auto* conv = dynamic_cast<Conv2d*>(&module)) {
    const Shape& s = conv->weight().shape();
    CountedRandom stream = random("weight");
    Tensor weight = conv->weight();
    fill_normal(weight, 0, std::sqrt(2.0 / static_cast<double>(s[0] * s[2] * s[3])), stream);
    if (conv->bias().defined()) {
      Tensor bias = conv->bias();
      bias.copy_from(Tensor::zeros_like(bias));
    }
  } else if (auto* norm = dynamic_cast<BatchNorm2d*>(&module)) {
    const Tensor ones = Tensor::full(norm->weight().shape(), 1, norm->weight().options());
    const Tensor zeros = Tensor::zeros_like(ones);
    Tensor weight = norm->weight(), bias = norm->bias();
    weight.copy_from(ones);
    bias.copy_from(zeros);
    norm->set_statistics(zeros, ones);
  } else if (auto* filter = dynamic_cast<ChannelFilter*>(&module)) {
    const double bound = 1 / std::sqrt(static_cast<double>(filter->weight().numel()));
    CountedRandom stream = random("weight");
    Tensor weight = filter->weight();
    fill_uniform(weight, -bound, bound, stream);
  } else if (auto* linear = dynamic_cast<Linear*>(&module)) {
    const double bound = 1 / std::sqrt(static_cast<double>(linear->weight().shape()[1]));
    CountedRandom stream = random("weight");
    Tensor weight = linear->weight();
    fill_uniform(weight, -bound, bound, stream);
    if (!linear->bias().defined()) return;
    CountedRandom bias_stream = random("bias");
    Tensor bias = linear->bias();
    fill_uniform(bias, -bound, bound, bias_stream);
  }
}

}  // namespace

void initialize(Module& module, uint64_t seed) {
  module.for_each_module(
      [&](const std::string& path, Module& child) { initialize_one(path, child, seed); });
}

void initialize_at(Module& root, std::string_view path, uint64_t seed) {
  Module* module = root.find(path);
  GRAFT_CHECK(module != nullptr, "there is no module '", path, "'");
  const std::string prefix(path);
  module->for_each_module([&](const std::string& below, Module& child) {
    initialize_one(below.empty() ? prefix : prefix + "." + below, child, seed);
  });
}

}  // namespace graft::models
