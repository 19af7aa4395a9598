// The command with images and boxes: what it says of them, a run, its scores, boxes in the images'
// own pixels, and what it refuses.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "graft/io/images/png_writer.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

class DetectCommand : public testing::Test {
 protected:
  // Bright squares on dark ground, 64 pixels wide and 32 high; the last image has none.
  void SetUp() override {
    for (const char* kind : {"JPEGImages", "Annotations"})
      std::filesystem::create_directories(folder / str("data/", kind));
    for (int i = 0; i < 10; ++i) {
      const int left = 4 * i, right = left + 24;
      std::vector<uint8_t> pixels;
      for (int y = 0; y < 32; ++y)
        for (int x = 0; x < 64; ++x)
          pixels.push_back(i < 9 && x >= left && x < right && y >= 6 && y < 24 ? 220 : 30);
      io::write_png(folder / str("data/JPEGImages/", i, ".png"),
                    {64, 32, 1, Tensor::of<uint8_t>({32, 64, 1}, pixels)});
      const std::string object =
          str("<object><name>square</name><bndbox><xmin>", left, "</xmin><ymin>6</ymin><xmax>",
              right, "</xmax><ymax>24</ymax></bndbox></object>");
      write_text(folder / str("data/Annotations/", i, ".xml"),
                 str("<annotation><size><width>64</width><height>32</height></size>",
                     i < 9 ? object : std::string(), "</annotation>"));
    }
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
  TemporaryFolder folder;
};

TEST_F(DetectCommand, DataAreRecognizedAndCounted) {
  const CommandResult text = run_graft({"data", folder / "data"});
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_TRUE(has(text.out, "1 class of objects, 10 training images")) << text.out;
  EXPECT_TRUE(has(text.out, "note: 1 training image has no objects")) << text.out;
  const CommandResult shown = run_graft({"data", folder / "data", "--json"});
  ASSERT_EQ(shown.code, 0) << shown.err;
  const auto j = nlohmann::json::parse(shown.out);
  EXPECT_EQ(j["answers"], "boxes");
  EXPECT_EQ(j["classes"][0]["training"]["boxes"], 9);
}

TEST_F(DetectCommand, DataAreDrawn) {
  const CommandResult result =
      run_graft({"data", folder / "data", "--pictures", folder / "drawn", "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(nlohmann::json::parse(result.out)["pictures"], 10);
  const io::Image drawn = io::read_image(folder / "drawn/training/3.png");
  ASSERT_EQ(drawn.width, 64);
  ASSERT_EQ(drawn.channels, 3);
  const auto pixel = [&](int64_t x, int64_t y) {
    const uint8_t* at = drawn.pixels.data<uint8_t>() + (y * 64 + x) * 3;
    return std::vector<int>{at[0], at[1], at[2]};
  };
  EXPECT_EQ(pixel(12, 10), (std::vector<int>{0xe6, 0x19, 0x4b})) << "the box's left edge is red";
  EXPECT_EQ(pixel(20, 10), (std::vector<int>{220, 220, 220})) << "within";
  EXPECT_EQ(pixel(11, 10), (std::vector<int>{30, 30, 30})) << "outside";
  write_photos(folder / "photos", {"red", "green"}, 2, 24);
  const CommandResult photos =
      run_graft({"data", folder / "photos", "--pictures", folder / "none"});
  EXPECT_EQ(photos.code, 3);
  EXPECT_TRUE(has(photos.err, "--pictures draws the boxes of objects, and there are none"))
      << photos.err;
}

TEST_F(DetectCommand, TrainsJudgesAndPredictsInTheImagesPixels) {
  const std::vector<std::string> line{"finetune",
                                      "--weights",
                                      carried_weights(),
                                      "--data",
                                      folder / "data",
                                      "--epochs",
                                      "4",
                                      "--batch",
                                      "4",
                                      "--image-size",
                                      "32x64",
                                      "--views",
                                      "2",
                                      "--augment",
                                      "light",
                                      "--threads",
                                      "2"};
  const auto run = [&](const std::string& out, std::vector<std::string> more) {
    std::vector<std::string> words = line;
    words.insert(words.end(), {"--out", folder / out});
    words.insert(words.end(), more.begin(), more.end());
    return run_graft(words);
  };
  const CommandResult whole = run("run", {});
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_TRUE(has(whole.err, "task: detect, because Annotations/ holds Pascal VOC files of boxes"))
      << whole.err;
  const std::string metrics = read_text(folder / "run/metrics.jsonl");
  for (const char* name : {"val_map50", "val_map", "val_map75", "val_voc07_map50", "val_recall100",
                           "val_count_error", "val_ap50_square", "train_place_accuracy"})
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
  EXPECT_EQ(j["classes"][0]["objects"], 9);
  EXPECT_TRUE(j.contains("confidence"));
  EXPECT_TRUE(has(read_text(folder / "page.html"), "A box is said from a score of"));
  EXPECT_TRUE(has(read_text(folder / "table.csv"), "0.png"));

  const CommandResult answered =
      run_graft({"predict", folder / "run/model.safetensors", folder / "data/JPEGImages/3.png",
                 "--json", "--out", folder / "pictures"});
  ASSERT_EQ(answered.code, 0) << answered.err;
  const auto answer = nlohmann::json::parse(answered.out)[0];
  ASSERT_TRUE(answer["objects"].is_array()) << answered.out;
  EXPECT_EQ(answer["counts"]["square"], answer["objects"].size());
  for (const auto& object : answer["objects"]) {
    EXPECT_LE(object["box"][2], 64);
    EXPECT_LE(object["box"][3], 32);
  }
  EXPECT_EQ(io::read_image(folder / "pictures/3_boxes.png").width, 64);

  const CommandResult boxes =
      run_graft({"predict", folder / "run/model.safetensors", folder / "data/JPEGImages/3.png",
                 folder / "data/JPEGImages/4.png", "--coco", folder / "found.json", "--yolo",
                 folder / "lines", "--json"});
  ASSERT_EQ(boxes.code, 0) << boxes.err;
  const auto said = nlohmann::json::parse(boxes.out);
  const auto found = nlohmann::json::parse(read_text(folder / "found.json"));
  int64_t of_third = 0;
  for (const auto& row : found) {
    EXPECT_TRUE(row["image_id"] == 3 || row["image_id"] == 4) << row;
    EXPECT_EQ(row["category_id"], 1);
    EXPECT_EQ(row["bbox"].size(), 4u);
    of_third += row["image_id"] == 3 && row["score"] >= j["confidence"];
  }
  EXPECT_EQ(of_third, std::ssize(said[0]["objects"]));
  const std::string lines = read_text(folder / "lines/3.txt");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), std::ssize(said[0]["objects"]));
  EXPECT_TRUE(std::filesystem::exists(folder / "lines/4.txt"));
  const CommandResult other = run_graft(
      {"predict", carried_weights(), folder / "data/JPEGImages/3.png", "--yolo", folder / "y"});
  EXPECT_EQ(other.code, 3);
  EXPECT_TRUE(has(other.err, "boxes are those of a model that finds objects")) << other.err;
}

TEST_F(DetectCommand, WhatDoesNotFitIsRefusedInASentence) {
  int runs = 0;
  const auto refused = [&](std::vector<std::string> more, const std::string& words) {
    std::vector<std::string> line{
        "finetune",      "--weights", carried_weights(),          "--data",
        folder / "data", "--out",     folder / str("run", ++runs)};
    line.insert(line.end(), more.begin(), more.end());
    const CommandResult result = run_graft(line);
    EXPECT_EQ(result.code, 3) << result.err;
    EXPECT_TRUE(has(result.err, words)) << words << "\n" << result.err;
    EXPECT_FALSE(std::filesystem::exists(folder / str("run", runs, "/data.json")))
        << "the run began";
  };
  refused({"--loss", "focal"}, "'focal' is not for task detect, which has one of its own");
  refused({"--decoder", "unet"}, "'unet' is not for task detect");
  refused({"--balance", "weights"}, "the focal loss of task detect");
  refused({"--resize", "window", "--image-size", "32"},
          "windows at an image's own scale are for images with masks");
  refused({"--image-size", "36"}, "expected sides that 8 divides");
  write_text(folder / "data/Annotations/3.xml", "<!DOCTYPE a><annotation/>");
  write_text(folder / "data/Annotations/4.xml", "<annotation>");
  refused({}, "2 of 10 images with boxes cannot be used");
  write_photos(folder / "photos", {"red", "green"}, 4, 24);
  const CommandResult photos =
      run_graft({"finetune", "--weights", carried_weights(), "--data", folder / "photos", "--task",
                 "detect", "--out", folder / "photos_run"});
  EXPECT_EQ(photos.code, 3);
  EXPECT_TRUE(has(photos.err, "images and a file of boxes each are needed")) << photos.err;
}

}  // namespace
}  // namespace graft
