// The recipes of finetune through the command: what it says of them, and where they are kept.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "graft/core/base/file_system.h"
#include "graft/models/model_file.h"
#include "graft/tests/support/command.h"

namespace graft {
namespace {

using RecipeJson = nlohmann::json;

CommandResult finetune_photos(const TemporaryFolder& folder, std::vector<std::string> more) {
  write_photos(folder / "photos", {"red", "green", "blue"}, 8, 36);
  std::vector<std::string> arguments = {
      "finetune", "--weights",    carried_weights(), "--data", folder / "photos",
      "--out",    folder / "run", "--batch",         "8",      "--seed",
      "3"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_graft(arguments);
}

TEST(FinetuneRecipes, ProbeThenTuneSaysWhichIsKept) {
  const TemporaryFolder folder;
  const CommandResult run = finetune_photos(
      folder, {"--recipe", "probe-then-tune", "--probe-epochs", "2", "--epochs", "2"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_NE(run.err.find("probe: the head alone, on frozen features, for 2 epochs"),
            std::string::npos);
  EXPECT_NE(run.err.find("probe epoch 1/4"), std::string::npos) << run.err;
  EXPECT_NE(run.err.find("tune epoch 4/4"), std::string::npos) << run.err;
  EXPECT_TRUE(run.err.find("kept: the probe, validation loss") != std::string::npos ||
              run.err.find("kept: the tuned network, validation loss") != std::string::npos)
      << run.err;
  const models::Model model = models::load_model(folder / "run/model.safetensors");
  const RecipeJson recipe = RecipeJson::parse(model.card.lineage.recipe);
  EXPECT_EQ(recipe["probe_epochs"], 2);
  EXPECT_EQ(recipe["freeze"], "none");
  EXPECT_NE(read_text(folder / "run/report.html").find("validation loss"), std::string::npos);
  EXPECT_NE(read_text(folder / "run/metrics.jsonl").find("\"phase\":\"tune\""), std::string::npos);
  const CommandResult compared = run_graft({"compare", folder / "run", "--json"});
  ASSERT_EQ(compared.code, 0) << compared.err;
  const std::string kept = RecipeJson::parse(compared.out)[0]["kept_phase"];
  EXPECT_EQ(kept == "probe", run.err.find("kept: the probe") != std::string::npos);
}

TEST(FinetuneRecipes, FlagsAreInTheCard) {
  const TemporaryFolder folder;
  const CommandResult run =
      finetune_photos(folder, {"--freeze", "none", "--epochs", "1", "--layer-decay", "0.65",
                               "--decay-norms", "off", "--clip-norm", "1", "--ema", "0.9",
                               "--mixup", "0.2", "--cutmix", "1", "--label-smoothing", "0.1"});
  ASSERT_EQ(run.code, 0) << run.err;
  const models::Model model = models::load_model(folder / "run/model.safetensors");
  const RecipeJson recipe = RecipeJson::parse(model.card.lineage.recipe);
  EXPECT_EQ(recipe["layer_decay"], 0.65);
  EXPECT_EQ(recipe["decay_norms"], false);
  EXPECT_EQ(recipe["clip_norm"], 1);
  EXPECT_EQ(recipe["ema"], 0.9);
  EXPECT_EQ(recipe["mixup"], 0.2);
  EXPECT_EQ(recipe["cutmix"], 1);
  EXPECT_EQ(recipe["label_smoothing"], 0.1);
  EXPECT_NE(read_text(folder / "run/report.html").find("layer_decay"), std::string::npos);
}

TEST(FinetuneRecipes, WhatMakesNoSenseIsOneSentence) {
  const TemporaryFolder folder;
  const auto says = [&](const std::vector<std::string>& flags, const char* part) {
    const CommandResult run = finetune_photos(folder, flags);
    EXPECT_EQ(run.code, 3) << run.err;
    EXPECT_NE(run.err.find(part), std::string::npos) << run.err;
  };
  says({"--recipe", "probe-then-tune", "--freeze", "backbone"}, "nothing is left to tune");
  says({"--probe-epochs", "3"}, "--probe-epochs is for --recipe probe-then-tune");
  says({"--mixup", "0.2"}, "not for freeze backbone");
}

TEST(FinetuneRecipes, TensorboardHearsOfEachEpoch) {
  const TemporaryFolder folder;
  const CommandResult run =
      finetune_photos(folder, {"--epochs", "2", "--tensorboard", folder / "log"});
  ASSERT_EQ(run.code, 0) << run.err;
  std::vector<std::string> files;
  for (const DirectoryEntry& entry : file_system().list(folder / "log"))
    files.push_back(entry.name);
  ASSERT_EQ(files.size(), 1u);
  EXPECT_NE(files[0].find(".tfevents."), std::string::npos) << files[0];
  const std::string log = read_text(join_path(folder / "log", files[0]));
  for (const char* words : {"brain.Event:2", "graft finetune", "loss/train", "loss/validation",
                            "accuracy/validation", "learning rate"})
    EXPECT_NE(log.find(words), std::string::npos) << words;
  size_t epochs = 0;
  for (size_t at = log.find("loss/train"); at != std::string::npos;
       at = log.find("loss/train", at + 1))
    ++epochs;
  EXPECT_EQ(epochs, 2u);
}

}  // namespace
}  // namespace graft
