// A run of fit() small enough for tests: three convolutions on 8x8 patterns of three classes.
#pragma once
#include <memory>
#include <string>

#include "graft/core/base/sha256.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/layers/functional/pool.h"
#include "graft/layers/functional/shape_change.h"
#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/conv2d.h"
#include "graft/layers/modules/linear.h"
#include "graft/models/initialization.h"
#include "graft/tests/train/pattern_dataset.h"
#include "graft/train/fit.h"
#include "graft/train/tasks/classification/classification.h"

namespace graft::train {

class SmallNetwork final : public StagedNetwork {
 public:
  SmallNetwork() {
    int64_t in = 3, out = 4;
    for (const char* name : {"1", "2", "3"}) {
      register_module(str("conv", name), std::make_shared<Conv2d>(Conv2dOptions{in, out, 3, 2, 1}));
      register_module(str("bn", name), std::make_shared<BatchNorm2d>(BatchNorm2dOptions{out}));
      in = out++;
    }
    register_module("fc", std::make_shared<Linear>(in, 3));
  }
  const std::vector<std::string>& stages() const override { return stages_; }
  std::vector<std::string> stage_paths(size_t stage) const override {
    if (stage < 3) return {str("conv", stage + 1), str("bn", stage + 1)};
    return stage == 3 ? std::vector<std::string>{} : std::vector<std::string>{"fc"};
  }
  Tensor forward_stages(const Tensor& x, size_t begin, size_t end) override {
    Tensor y = x;
    for (size_t stage = begin; stage < end; ++stage) {
      if (stage < 3)
        y = static_cast<BatchNorm2d*>(find(str("bn", stage + 1)))
                ->normalise(find(str("conv", stage + 1))->forward(y), true);
      else if (stage == 3)
        y = functional::flatten(functional::global_average_pool(y));
      else
        y = find("fc")->forward(y);
    }
    return y;
  }

 private:
  std::vector<std::string> stages_{"stem", "layer1", "layer2", "pool", "fc"};
};

inline std::unique_ptr<SmallNetwork> small_network(uint64_t seed = 0) {
  auto network = std::make_unique<SmallNetwork>();
  models::initialize(*network, seed);
  return network;
}

inline io::OpenedData small_data(int64_t train = 25, int64_t val = 12) {
  io::OpenedData data;
  data.format = "pattern";
  data.train = std::make_shared<PatternDataset>(train, 3, 10, 1);
  data.val = std::make_shared<PatternDataset>(val, 3, 10, 2);
  data.classes = {"a", "b", "c"};
  return data;
}

inline Recipe small_recipe(const std::string& freeze = "none") {
  Recipe recipe = default_recipe(freeze);
  recipe.epochs = 3;
  recipe.batch = 8;
  recipe.warmup_epochs = 0;
  return recipe;
}

// SHA-256 over all names and bytes of a network, buffers included.
inline std::string bytes_of(Module& network) {
  Sha256 hash;
  for (const auto& [name, tensor] : network.state_dict()) {
    hash.update(str(name, tensor.shape()));
    const Tensor plain = to_device(tensor, {}).to(MemoryFormat::contiguous);
    hash.update(
        std::span(static_cast<const std::byte*>(plain.raw()), static_cast<size_t>(plain.bytes())));
  }
  return hash.hex();
}

// What a run computed, as text: model, and metrics without their times.
struct Outcome {
  std::string model;
  std::string metrics;
  FitResult result;
  bool operator==(const Outcome& other) const {
    return model == other.model && metrics == other.metrics;
  }
};

inline const Evaluation& evaluation_of(const FitResult& result) {
  static const Evaluation none(1);
  return result.best ? static_cast<const Evaluation&>(*result.best) : none;
}

inline std::string numbers_of(const FitResult& result) {
  std::string text = str("best ", result.best_epoch, " ", result.best_score, " ",
                         evaluation_of(result).correct(), "\n");
  for (const EpochMetrics& m : result.history)
    text += str(m.epoch, " ", m.loss, " ", m.train.value, " ", m.val.at(0).value, " ", m.lr, "\n");
  return text;
}

inline Outcome run_small(const Recipe& recipe, const FitOptions& options = {}) {
  const auto network = small_network();
  FitResult result = fit(*network, small_data(), pattern_preprocess(8), recipe, options);
  return {bytes_of(*network), numbers_of(result), std::move(result)};
}

}  // namespace graft::train
