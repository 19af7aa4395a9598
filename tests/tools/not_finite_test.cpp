// Answers that are NaN or infinity are said, and with --strict the exit code.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "graft/io/weights/weights.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

constexpr const char* kWords = "are not finite numbers";

// The carried ResNet-20 with the tensors whose names end so 1e37 times as large.
void write_overflowing(const std::string& path, const std::string& end) {
  io::WeightFile file = io::read_weights(carried_weights());
  StateDict tensors;
  for (const auto& [name, tensor] : file.tensors) {
    Tensor copy = tensor;
    if (name.ends_with(end)) {
      std::vector<float> values;
      for (const double value : tensor.to_doubles())
        values.push_back(static_cast<float>(std::clamp(value * 1e38, -3e38, 3e38)));
      copy = Tensor::of<float>(tensor.shape(), values);
    }
    tensors.add(name, copy);
  }
  io::write_safetensors(path, tensors, {});
}

class NotFinite : public testing::Test {
 protected:
  void SetUp() override {
    write_photos(folder / "photos", {"0", "1"}, 2, 32);
    write_overflowing(folder / "logits.safetensors", "linear.weight");
    write_overflowing(folder / "features.safetensors", "bn2.weight");
  }
  void expect_said(std::vector<std::string> arguments) {
    const CommandResult result = run_graft(arguments);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_NE(result.err.find("note: the network's answers to"), std::string::npos) << result.err;
    EXPECT_NE(result.err.find(kWords), std::string::npos) << result.err;
    arguments.emplace_back("--strict");
    const CommandResult strict = run_graft(arguments);
    EXPECT_EQ(strict.code, 3) << strict.err;
    EXPECT_NE(strict.err.find(kWords), std::string::npos) << strict.err;
  }
  TemporaryFolder folder;
};

TEST_F(NotFinite, Predictions) {
  expect_said({"predict", folder / "logits.safetensors", folder / "photos"});
  const CommandResult json = run_graft(
      {"predict", folder / "logits.safetensors", folder / "photos", "--top", "10", "--json"});
  EXPECT_EQ(nlohmann::json::parse(json.out)[0]["not_finite"], true) << json.out;
  const CommandResult good =
      run_graft({"predict", carried_weights(), folder / "photos", "--strict"});
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_EQ(good.err.find(kWords), std::string::npos);
}

TEST_F(NotFinite, Evaluations) {
  expect_said({"evaluate", folder / "logits.safetensors", "--data", folder / "photos"});
  const CommandResult json =
      run_graft({"evaluate", folder / "logits.safetensors", "--data", folder / "photos", "--json"});
  EXPECT_EQ(nlohmann::json::parse(json.out)["not_finite"], 4) << json.out;
}

TEST_F(NotFinite, FeaturesAreNotWrittenWhenStrict) {
  const std::string out = folder / "f.npz";
  const std::vector<std::string> arguments = {
      "features", folder / "features.safetensors", "--data", folder / "photos", "--out", out};
  expect_said(arguments);
  EXPECT_TRUE(std::filesystem::exists(out));
  std::filesystem::remove(out);
  std::vector<std::string> strict = arguments;
  strict.emplace_back("--strict");
  run_graft(strict);
  EXPECT_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace graft
