// finetune's optimizers, penalties and augmentations through the command: in the card, and refused
// by a sentence.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "graft/models/model_file.h"
#include "graft/tests/support/command.h"

namespace graft {
namespace {

CommandResult finetune_regularised(const TemporaryFolder& folder, std::vector<std::string> more) {
  write_photos(folder / "photos", {"red", "green", "blue"}, 8, 36);
  std::vector<std::string> arguments = {"finetune",     "--weights",       carried_weights(),
                                        "--data",       folder / "photos", "--out",
                                        folder / "run", "--batch",         "8",
                                        "--overwrite",  "--epochs",        "1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_graft(arguments);
}

nlohmann::json recipe_in(const TemporaryFolder& folder) {
  return nlohmann::json::parse(
      models::load_model(folder / "run/model.safetensors").card.lineage.recipe);
}

TEST(RegularisedFlags, AreInTheCard) {
  const TemporaryFolder folder;
  CommandResult run = finetune_regularised(
      folder, {"--freeze", "none", "--sam", "0.05", "--l2-sp", "0.01", "--loss", "focal",
               "--augment", "trivial", "--erase", "0.25", "--optimizer", "lamb"});
  ASSERT_EQ(run.code, 0) << run.err;
  nlohmann::json recipe = recipe_in(folder);
  EXPECT_EQ(recipe["sam"], 0.05);
  EXPECT_EQ(recipe["l2_sp"], 0.01);
  EXPECT_EQ(recipe["loss"], "focal");
  EXPECT_EQ(recipe["augment"], "trivial");
  EXPECT_EQ(recipe["erase"], 0.25);
  EXPECT_EQ(recipe["optimizer"], "lamb");
  EXPECT_EQ(recipe["weight_decay"], 1e-4);
  EXPECT_EQ(recipe["lr"], 0.001);
  run = finetune_regularised(folder, {"--optimizer", "lars"});  // of a head alone
  ASSERT_EQ(run.code, 0) << run.err;
  recipe = recipe_in(folder);
  EXPECT_EQ(recipe["optimizer"], "lars");
  EXPECT_EQ(recipe["lr"], 1);
}

TEST(RegularisedFlags, WhatMakesNoSenseIsOneSentence) {
  const TemporaryFolder folder;
  const auto says = [&](const std::vector<std::string>& flags, const char* part) {
    const CommandResult run = finetune_regularised(folder, flags);
    EXPECT_EQ(run.code, 3) << run.err;
    EXPECT_NE(run.err.find(part), std::string::npos) << run.err;
  };
  says({"--l2-sp", "0.1"}, "with the backbone frozen none learns");
  says({"--loss", "dice"}, "'dice' is not for task classify, which has ce and focal");
  says({"--optimizer", "lars", "--weight-decay", "0"}, "and there is none");
  const CommandResult run = run_graft({"pretrain", "--arch", "resnet18", "--data",
                                       folder / "photos", "--l2-sp", "0.1", "--out", folder / "p"});
  EXPECT_EQ(run.code, 3);
  EXPECT_NE(run.err.find("pretrain begins with random ones"), std::string::npos) << run.err;
}

}  // namespace
}  // namespace graft
