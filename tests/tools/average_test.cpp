// graft average: the mean of two runs, the greedy choice on a validation part, and what it refuses.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "graft/core/base/text.h"
#include "graft/models/model_file.h"
#include "graft/tests/support/command.h"

namespace graft {
namespace {

class AverageCommand : public testing::Test {
 protected:
  void SetUp() override { write_photos(folder / "photos", {"blue", "green", "red"}, 8, 32); }
  // Trained with unfrozen norms, at this rate; gives the model's path.
  std::string model(const std::string& name, const std::string& rate) const {
    const CommandResult run = run_graft({"finetune", "--weights", carried_weights(), "--data",
                                         folder / "photos", "--out", folder / name, "--freeze",
                                         "none", "--epochs", "1", "--batch", "8", "--lr", rate});
    EXPECT_EQ(run.code, 0) << run.err;
    return folder / (name + "/model.safetensors");
  }
  TemporaryFolder folder;
};

TEST_F(AverageCommand, MeansAndGreedySoups) {
  const std::string one = model("one", "0.01"), two = model("two", "0.02"),
                    mean = folder / "mean.safetensors";
  const CommandResult plain = run_graft({"average", one, two, "--out", mean});
  ASSERT_EQ(plain.code, 0) << plain.err;
  EXPECT_NE(plain.err.find("--data PATH re-estimates them"), std::string::npos) << plain.err;
  const auto weight = [](const std::string& path) {
    return models::load_model(path).network->state_dict().at("linear.bias").to_doubles();
  };
  const std::vector<double> a = weight(one), b = weight(two), between = weight(mean);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(between[i], (a[i] + b[i]) / 2, 1e-7);

  const CommandResult greedy = run_graft(
      {"average", one, two, "--out", mean, "--greedy", "--data", folder / "photos", "--json"});
  ASSERT_EQ(greedy.code, 0) << greedy.err;
  const auto told = nlohmann::json::parse(greedy.out);
  EXPECT_GE(told["kept"].size(), 1u);
  EXPECT_EQ(told["reestimated"], true);
  EXPECT_EQ(told["score"]["name"], "accuracy");
  EXPECT_GE(
      told["score"]["value"].get<double>(),
      std::max(told["alone"][0]["score"].get<double>(), told["alone"][1]["score"].get<double>()));
}

TEST_F(AverageCommand, Refusals) {
  const std::string one = model("one", "0.01");
  const auto refused = [&](std::vector<std::string> more, int code, const std::string& words) {
    std::vector<std::string> arguments = {"average", one};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const CommandResult got = run_graft(arguments);
    EXPECT_EQ(got.code, code) << got.err;
    EXPECT_NE(got.err.find(words), std::string::npos) << got.err;
  };
  const std::string out = folder / "mean.safetensors";
  refused({"--out", out}, 3, "at least two are needed");
  refused({one, "--out", out, "--greedy"}, 3, "--greedy chooses by the validation part");
  refused({one, "--out", folder / "mean.npz"}, 3, "written as .safetensors");
  refused({carried_weights(), "--out", out}, 3, "cifar10_resnet20.th");
}

}  // namespace
}  // namespace graft
