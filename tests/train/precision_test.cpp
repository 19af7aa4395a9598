// Training in bfloat16: gradients near those of float32, float32 where it is promised, and the same
// bits again.
#include <gtest/gtest.h>

#include <cmath>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/loss.h"
#include "graft/tests/train/fit_case.h"

namespace graft::train {
namespace {

Recipe half_recipe(const std::string& freeze = "none") {
  Recipe recipe = small_recipe(freeze);
  recipe.precision = "bf16";
  return recipe;
}

// The gradients of one step on fixed images, by parameter.
std::vector<std::vector<double>> gradients(DType activations, InstructionSet set,
                                           bool batch_statistics) {
  ExecContext context(2, set);
  const ScopedExecContext scope(context);
  const auto network = small_network();
  network->train(batch_statistics);
  Tensor x = Tensor::empty({9, 3, 32, 32}, {.format = MemoryFormat::channels_last});
  CountedRandom random(4, RandomPurpose::synthetic);
  fill_normal(x, 0, 1, random);
  const Tensor labels = Tensor::zeros({9}, {.dtype = DType::i64});
  const Tensor logits = network->forward(functional::cast(x, activations));
  EXPECT_EQ(logits.dtype(), DType::f32) << "the classifier answers in float32";
  backward(functional::cross_entropy(logits, labels));
  std::vector<std::vector<double>> all;
  for (const NamedTensor& p : network->parameters()) {
    EXPECT_EQ(p.tensor.dtype(), DType::f32) << p.name;
    EXPECT_EQ(grad_of(p.tensor).dtype(), DType::f32) << p.name;
    all.push_back(grad_of(p.tensor).to_doubles());
  }
  return all;
}

// With batch statistics a gradient is what is left of nearly equal terms: PyTorch's autocast
// differs by 2 to 10 % there too.
TEST(Precision, GradientsInBfloat16AreNearThoseInFloat32) {
  for (const bool batch_statistics : {false, true}) {
    const auto exact = gradients(DType::f32, machine_instruction_set(), batch_statistics);
    for (const InstructionSet set :
         {InstructionSet::portable,
          machine_instruction_set()}) {  // widened, and in pairs where there are
      const auto half = gradients(DType::bf16, set, batch_statistics);
      double difference = 0, magnitude = 0;
      for (size_t i = 0; i < exact.size(); ++i)
        for (size_t j = 0; j < exact[i].size(); ++j) {
          difference += (half[i][j] - exact[i][j]) * (half[i][j] - exact[i][j]);
          magnitude += exact[i][j] * exact[i][j];
        }
      EXPECT_LT(std::sqrt(difference / magnitude), batch_statistics ? 1e-1 : 3e-2) << name_of(set);
      EXPECT_GT(std::sqrt(difference / magnitude), 1e-4)
          << name_of(set) << ": this was not bfloat16";
    }
  }
}

TEST(Precision, TheLossFalls) {
  Recipe recipe = half_recipe();
  recipe.epochs = 6;
  recipe.lr = 0.05;
  const Outcome outcome = run_small(recipe);
  EXPECT_LT(outcome.result.history.back().loss, outcome.result.history.front().loss / 2);
  EXPECT_GE(outcome.result.best_score, 0.9);
}

TEST(Precision, ThreadsAndTheCacheChangeNoBit) {
  for (const char* freeze : {"none", "stem", "backbone"}) {
    Recipe recipe = half_recipe(freeze);
    recipe.augment = "none";
    ExecContext one(1), three(3);
    Outcome first, second;
    {
      const ScopedExecContext scope(one);
      first = run_small(recipe);
    }
    recipe.cache_features = false;
    const ScopedExecContext scope(three);
    second = run_small(recipe);
    EXPECT_EQ(first.model, second.model) << freeze;
    EXPECT_EQ(first.metrics, second.metrics) << freeze;
    recipe.precision = "fp32";
    EXPECT_NE(first.metrics, run_small(recipe).metrics)
        << freeze << ": the precision made no difference";
  }
}

TEST(Precision, StandsInTheRecipeUnlessItIsFloat32) {
  EXPECT_EQ(small_recipe().to_json().find("precision"),
            std::string::npos);  // as recipes were written before
  EXPECT_NE(half_recipe().to_json().find("\"precision\":\"bf16\""), std::string::npos);
  Recipe wrong = small_recipe();
  wrong.precision = "fp8";
  EXPECT_THROW(wrong.validate(), Error);
}

}  // namespace
}  // namespace graft::train
