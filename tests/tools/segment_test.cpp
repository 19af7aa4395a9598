// The command with images and masks: what it says of them, and what it refuses.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "graft/io/images/png_writer.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

class SegmentCommand : public testing::Test {
 protected:
  // Bright squares on dark ground, and masks of 0 and 255 where they are.
  void SetUp() override {
    for (const char* kind : {"images", "masks"})
      std::filesystem::create_directories(folder / str("data/", kind));
    for (int i = 0; i < 10; ++i)
      for (const bool is_mask : {false, true}) {
        std::vector<uint8_t> pixels;
        for (int y = 0; y < 32; ++y)
          for (int x = 0; x < 32; ++x) {
            const bool inside = x >= 2 * i && x < 2 * i + 10 && y >= 8 && y < 8 + 10;
            pixels.push_back(is_mask ? (inside ? 255 : 0) : (inside ? 220 : 30 + i));
          }
        io::write_png(folder / str("data/", is_mask ? "masks" : "images", "/", i, ".png"),
                      {32, 32, 1, Tensor::of<uint8_t>({32, 32, 1}, pixels)});
      }
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
  TemporaryFolder folder;
};

TEST_F(SegmentCommand, DataAreRecognizedAndTheirValuesSaid) {
  const CommandResult text = run_graft({"data", folder / "data"});
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_TRUE(has(text.out, "2 classes of pixels, 10 training images")) << text.out;
  EXPECT_TRUE(has(text.out, "grey levels found are 0 (90.2 %), 255 (9.8 %)")) << text.out;
  const CommandResult shown = run_graft({"data", folder / "data", "--json", "--foreground", "0"});
  ASSERT_EQ(shown.code, 0) << shown.err;
  const auto j = nlohmann::json::parse(shown.out);
  EXPECT_EQ(j["answers"], "maps");
  EXPECT_EQ(j["classes"][1]["name"], "0");
  EXPECT_EQ(j["classes"][1]["training"]["pixels"], 10 * (32 * 32 - 100));
}

// A run, its going on after a kill, the scores and the pictures.
TEST_F(SegmentCommand, TrainsResumesJudgesAndPredicts) {
  const std::vector<std::string> line{
      "finetune", "--weights", carried_weights(), "--data",    folder / "data",
      "--epochs", "4",         "--batch",         "4",         "--views",
      "2",        "--augment", "light",           "--threads", "2"};
  const auto run = [&](const std::string& out, std::vector<std::string> more) {
    std::vector<std::string> words = line;
    words.insert(words.end(), {"--out", folder / out});
    words.insert(words.end(), more.begin(), more.end());
    return run_graft(words);
  };
  const CommandResult whole = run("run", {});
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_TRUE(has(whole.err,
                  "task: segment, because images/ and masks/ hold image files of the "
                  "same names"))
      << whole.err;
  const std::string metrics = read_text(folder / "run/metrics.jsonl");
  for (const char* name : {"val_dice", "val_miou", "val_iou", "val_auc", "val_pixel_accuracy",
                           "val_dice_per_image", "val_iou_255"})
    EXPECT_TRUE(has(metrics, str("\"", name, "\":"))) << metrics;
  ASSERT_EQ(run("again", {"--checkpoint-seconds", "0"}).code, 0);
  EXPECT_EQ(read_text(folder / "again/model.safetensors"),
            read_text(folder / "run/model.safetensors"));

  const CommandResult judged =
      run_graft({"evaluate", folder / "run/model.safetensors", "--data", folder / "data", "--json",
                 "--report", folder / "page.html", "--predictions", folder / "table.csv"});
  ASSERT_EQ(judged.code, 0) << judged.err;
  const auto j = nlohmann::json::parse(judged.out);
  EXPECT_EQ(j["images"], 10);
  EXPECT_EQ(j["pixels"], 10 * 32 * 32);
  EXPECT_GT(j["dice"], 0.3);
  EXPECT_TRUE(has(read_text(folder / "page.html"), "is said from a probability of"));
  EXPECT_TRUE(has(read_text(folder / "table.csv"), "0.png"));

  const CommandResult answered =
      run_graft({"predict", folder / "run/model.safetensors", folder / "data/images/3.png", "--out",
                 folder / "pictures"});
  ASSERT_EQ(answered.code, 0) << answered.err;
  EXPECT_TRUE(has(answered.out, "0 ")) << answered.out;
  for (const char* what : {"classes", "probability", "overlay"}) {
    const io::Image picture = io::read_image(folder / str("pictures/3_", what, ".png"));
    EXPECT_EQ(picture.width, 32) << what;
  }
}

// Images of 32x32 in windows of 16x16: what is counted are images.
TEST_F(SegmentCommand, ImagesSeenInWindowsAreCountedAsImages) {
  const CommandResult trained = run_graft(
      {"finetune", "--weights", carried_weights(), "--data", folder / "data", "--epochs", "1",
       "--batch", "4", "--image-size", "16", "--resize", "window", "--out", folder / "run"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_TRUE(has(trained.out, " on 2 validation images")) << trained.out;
  const auto counts = [](const std::string& page, const std::string& what, int n) {
    const size_t at = page.find(what);
    return at != std::string::npos && has(page.substr(at, what.size() + 20), str(">", n, "<"));
  };
  EXPECT_TRUE(counts(read_text(folder / "run/report.html"), "validation images</t", 2));
  const CommandResult judged = run_graft({"evaluate", folder / "run/model.safetensors", "--data",
                                          folder / "data", "--report", folder / "page.html"});
  ASSERT_EQ(judged.code, 0) << judged.err;
  EXPECT_TRUE(has(judged.out, "10 images, 10,240 pixels that count")) << judged.out;
  EXPECT_TRUE(counts(read_text(folder / "page.html"), "images</t", 10));
}

TEST_F(SegmentCommand, WhatDoesNotFitIsRefusedInASentence) {
  const std::string weights = carried_weights();
  const auto refused = [&](std::vector<std::string> more, const std::string& words, int code = 3) {
    std::vector<std::string> line{"finetune",      "--weights", weights,       "--data",
                                  folder / "data", "--out",     folder / "run"};
    line.insert(line.end(), more.begin(), more.end());
    const CommandResult result = run_graft(line);
    EXPECT_EQ(result.code, code) << result.err;
    EXPECT_TRUE(has(result.err, words)) << words << "\n" << result.err;
  };
  refused({"--loss", "mse"},
          "'mse' is not for task segment, which has ce, dice, ce+dice and focal");
  refused({"--balance", "sampling"}, "weights weighs them");
  refused({"--ignore-value", "255"}, "segment needs pixels of two classes at least");
  refused({"--foreground", "9"}, "says which of two values is looked for");
  refused({"--decoder", "none"}, "--decoder", 2);
  write_photos(folder / "photos", {"red", "green"}, 4, 24);
  const CommandResult result =
      run_graft({"finetune", "--weights", weights, "--data", folder / "photos", "--task", "segment",
                 "--out", folder / "run"});
  EXPECT_EQ(result.code, 3);
  EXPECT_TRUE(has(result.err, "a folder of images and one of masks beside each other are needed"))
      << result.err;
  const CommandResult pictures =
      run_graft({"predict", weights, folder / "photos", "--out", folder / "pictures"});
  EXPECT_EQ(pictures.code, 3);
  EXPECT_TRUE(has(pictures.err, "--out is for models that segment")) << pictures.err;
}

}  // namespace
}  // namespace graft
