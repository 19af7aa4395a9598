#include "graft/models/initialization.h"

#include <cmath>
#include <functional>

#include "graft/core/runtime/random.h"
#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/conv_nd.h"
#include "graft/layers/modules/conv_transpose2d.h"
#include "graft/layers/modules/embedding.h"
#include "graft/layers/modules/linear.h"
#include "graft/layers/modules/sample_norms.h"
#include "graft/models/squeeze_excitation.h"

namespace graft::models {
namespace {

// FNV-1a of a path: the sample number of its random stream.
uint64_t stream_of(std::string_view path) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : path) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

using Streams = std::function<CountedRandom(const char* name)>;

void fill_both_uniform(Tensor weight, Tensor bias, int64_t fan_in, const Streams& random) {
  const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
  CountedRandom stream = random("weight");
  fill_uniform(weight, -bound, bound, stream);
  if (!bias.defined()) return;
  CountedRandom bias_stream = random("bias");
  fill_uniform(bias, -bound, bound, bias_stream);
}

void fill_neutral(Tensor weight, Tensor bias) {
  weight.copy_from(Tensor::full(weight.shape(), 1, weight.options()));
  bias.copy_from(Tensor::zeros_like(bias));
}

// The layers that no network of this folder has: as they are made (default_values.h).
void initialize_rare(Module& module, const Streams& random) {
  if (auto* conv = dynamic_cast<ConvNd*>(&module)) {
    const Shape& s = conv->weight().shape();
    fill_both_uniform(conv->weight(), conv->bias(), s.product(1, s.rank()), random);
  } else if (auto* transposed = dynamic_cast<ConvTranspose2d*>(&module)) {
    const Shape& s = transposed->weight().shape();
    fill_both_uniform(transposed->weight(), transposed->bias(), s.product(1, s.rank()), random);
  } else if (auto* embedding = dynamic_cast<Embedding*>(&module)) {
    CountedRandom stream = random("weight");
    Tensor weight = embedding->weight();
    fill_normal(weight, 0, 1, stream);
  } else if (auto* layer = dynamic_cast<LayerNorm*>(&module)) {
    fill_neutral(layer->weight(), layer->bias());
  } else if (auto* group = dynamic_cast<GroupNorm*>(&module)) {
    fill_neutral(group->weight(), group->bias());
  }
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
    fill_both_uniform(filter->weight(), Tensor(), filter->weight().numel(), random);
  } else if (auto* linear = dynamic_cast<Linear*>(&module)) {
    fill_both_uniform(linear->weight(), linear->bias(), linear->weight().size(1), random);
  } else {
    initialize_rare(module, random);
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
