// Calibrated probabilities, "don't know", labels that may be wrong and explain, through the
// command.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "graft/core/base/text.h"
#include "graft/io/images/image.h"
#include "graft/models/model_file.h"
#include "graft/tests/support/command.h"

namespace graft {
namespace {

using CalibrationJson = nlohmann::json;

class CalibrationCommand : public testing::Test {
 protected:
  // Two classes of one look, so that some validation images are answered wrongly, and a third.
  void SetUp() override {
    write_photos(folder / "photos", {"blue", "green", "red"}, 12, 32);
    for (int i = 0; i < 12; i += 2)
      std::filesystem::rename(folder / str("photos/red/", i, ".ppm"),
                              folder / str("photos/green/red", i, ".ppm"));
  }
  CommandResult finetune(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"finetune",     "--weights",       carried_weights(),
                                          "--data",       folder / "photos", "--out",
                                          folder / "run", "--epochs",        "3",
                                          "--overwrite",  "--val-split",     "0.4"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_graft(arguments);
  }
  std::string model() const { return folder / "run/model.safetensors"; }
  CalibrationJson evaluated(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"evaluate", model(), "--data", folder / "photos",
                                          "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const CommandResult result = run_graft(arguments);
    EXPECT_EQ(result.code, 0) << result.err;
    return CalibrationJson::parse(result.out);
  }
  TemporaryFolder folder;
};

TEST_F(CalibrationCommand, TheModelIsCalibratedAndSaysSo) {
  const CommandResult run = finetune({"--least-precision", "0.9"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_NE(run.err.find("note: probabilities are calibrated: temperature"), std::string::npos)
      << run.err;
  EXPECT_NE(run.err.find("thresholds for a precision of 0.9000"), std::string::npos) << run.err;
  const auto task = CalibrationJson::parse(models::load_model(model()).card.task);
  const double temperature = task["temperature"].get<double>();
  EXPECT_GE(temperature, 0.05);
  EXPECT_EQ(task["thresholds"].size(), 3u);
  const std::string report = read_text(folder / "run/report.html");
  EXPECT_NE(report.find("<h2>Calibration (validation)</h2>"), std::string::npos);
  EXPECT_EQ(report.find("What spoke for it cannot be shown"), std::string::npos);
  EXPECT_NE(report.find("(Grad-CAM)"), std::string::npos) << "beside the worst mistakes";

  const CalibrationJson judged = evaluated();
  EXPECT_EQ(judged["calibration"]["temperature"], temperature);
  EXPECT_TRUE(judged["calibration"].contains("expected_calibration_error_at_temperature_1"));
  EXPECT_EQ(judged["answered"]["thresholds"], task["thresholds"]);
  EXPECT_EQ(judged["answered"]["of"], judged["images"]);

  const CalibrationJson all = evaluated({"--least-confidence", "1"});
  EXPECT_LT(all["answered"]["coverage"].get<double>(), 1);
  const CommandResult unsure = run_graft(
      {"predict", model(), folder / "photos/green/1.ppm", "--least-confidence", "1", "--json"});
  ASSERT_EQ(unsure.code, 0) << unsure.err;
  EXPECT_EQ(CalibrationJson::parse(unsure.out)[0]["answered"], false);
}

TEST_F(CalibrationCommand, ThresholdsAreRefusedWhereTheyMakeNoSense) {
  const CommandResult both = finetune({"--least-precision", "0.9", "--least-recall", "0.9"});
  EXPECT_EQ(both.code, 3);
  EXPECT_NE(both.err.find("thresholds are chosen for one of them"), std::string::npos) << both.err;
  EXPECT_EQ(finetune({"--least-recall", "1.5"}).code, 2);
}

TEST_F(CalibrationCommand, ExplainWritesOverlays) {
  ASSERT_EQ(finetune().code, 0);
  const CommandResult result =
      run_graft({"explain", model(), folder / "photos/blue", folder / "photos/red/1.ppm", "--out",
                 folder / "why", "--class", "red", "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto answers = CalibrationJson::parse(result.out);
  ASSERT_EQ(answers.size(), 13u);
  EXPECT_EQ(answers[0]["output"], "red");
  EXPECT_EQ(answers[0]["at"], "layer3");
  EXPECT_EQ(answers[0]["map"], (std::vector<int>{8, 8}));
  const io::Image overlay = io::read_image(answers[0]["picture"].get<std::string>());
  EXPECT_EQ(overlay.width, 32);
  EXPECT_EQ(overlay.channels, 3);
  EXPECT_TRUE(std::filesystem::exists(folder / "why/1_2_explained.png")) << "of a name told apart";

  const auto refused = [&](std::vector<std::string> more, int code, const std::string& words) {
    std::vector<std::string> arguments = {"explain", model(), folder / "photos/red", "--out",
                                          folder / "why"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const CommandResult got = run_graft(arguments);
    EXPECT_EQ(got.code, code) << got.err;
    EXPECT_NE(got.err.find(words), std::string::npos) << got.err;
  };
  refused({"--class", "cat"}, 3, "no output 'cat'");
  refused({"--at", "layer7"}, 3, "no stage or module 'layer7'");
  refused({"--at", "pool"}, 3, "no map of several places");
  write_text(folder / "broken.png", "no image");
  const CommandResult broken = run_graft({"explain", model(), folder / "broken.png",
                                          folder / "photos/red/1.ppm", "--out", folder / "why"});
  EXPECT_EQ(broken.code, 3);
  EXPECT_NE(broken.out.find("1_explained.png"), std::string::npos) << "the other is explained";
}

}  // namespace
}  // namespace graft
