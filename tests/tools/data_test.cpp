// What the command says of a folder of photos before it works, graft data, and the ways into the
// network.
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "graft/core/base/file_system.h"
#include "graft/models/model_file.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

class Photos : public testing::Test {
 protected:
  void SetUp() override { write_photos(folder / "photos", {"red", "green"}, 6, 24); }
  CommandResult finetune(const std::string& data, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"finetune", "--data",       data,
                                          "--out",    folder / "run", "--overwrite"};
    if (std::find(more.begin(), more.end(), "--weights") == more.end())
      more.insert(more.end(), {"--weights", carried_weights()});
    if (std::find(more.begin(), more.end(), "--epochs") == more.end())
      more.insert(more.end(), {"--epochs", "2"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_graft(arguments);
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
  TemporaryFolder folder;
};

TEST_F(Photos, TheSummaryComesFirstAndIsKept) {
  write_text(folder / "photos/red/._0.ppm", "x");
  write_text(folder / "photos/red/film.mp4", "x");
  fs::create_directories(folder / "photos/__MACOSX/red");
  const CommandResult result = finetune(folder / "photos");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.err.rfind("data: ", 0), 0u) << result.err;
  EXPECT_TRUE(has(result.err, "passed over: 1 .mp4, 1 __MACOSX/, 1 hidden")) << result.err;
  EXPECT_LT(result.err.find("passed over"), result.err.find("certificate"));
  EXPECT_TRUE(has(result.err, "2 validation images say little"));
  const json j = json::parse(read_text(folder / "run/data.json"));
  EXPECT_EQ(j["parts"]["training"], 10);
  EXPECT_EQ(j["classes"][1]["name"], "red");
  EXPECT_EQ(j["passed_over"]["hidden"], 1);
  EXPECT_TRUE(has(read_text(folder / "run/metrics.jsonl"), "\"val_loss\":"));
}

// Whatever is no data: counted each, and the tensors have the clean folder's bits.
TEST_F(Photos, LitterChangesNoBitOfTheModel) {
  ASSERT_EQ(finetune(folder / "photos").code, 0);
  const std::string clean = read_text(folder / "run/model.safetensors");
  const std::vector<std::pair<std::string, std::string>> litter = {
      {"red/._0.ppm", "x"},
      {".DS_Store", "x"},
      {"green/.hidden.png", "x"},
      {"red/Thumbs.db", "x"},
      {"desktop.ini", "x"},
      {"red/notes.txt", "x"},
      {"green/film.mp4", "x"},
      {"green/clip.MOV", "x"},
      {"labels.csv", "a,b"},
      {"green/empty.jpg", ""},
      {"green/LICENSE", "words"},
      {"__MACOSX/red/._0.ppm", "x"},
      {"red/@eaDir/0.ppm/a.jpg", "x"},
      {".ipynb_checkpoints/0.ppm", "x"}};
  for (const auto& [name, content] : litter) {
    fs::create_directories(fs::path(folder / "photos/" + name).parent_path());
    write_text(folder / "photos/" + name, content);
  }
  const CommandResult result = finetune(folder / "photos");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(read_text(folder / "run/model.safetensors"), clean);
  const json counts = {{"hidden", 3},      {"Thumbs.db", 1},
                       {"desktop.ini", 1}, {".txt", 1},
                       {".mp4", 1},        {".mov", 1},
                       {".csv", 1},        {"empty", 1},
                       {"__MACOSX/", 1},   {"without extension", 1},
                       {"@eaDir/", 1},     {".ipynb_checkpoints/", 1}};
  EXPECT_EQ(json::parse(read_text(folder / "run/data.json"))["passed_over"], counts);
  EXPECT_TRUE(has(result.err, "passed over: 3 hidden, ")) << result.err;
}

TEST_F(Photos, ATestPartIsReportedAndChoosesNothing) {
  for (const char* part : {"Train", "Val", "Test"})
    write_photos(folder / "parts" + std::string("/") + part, {"red", "green"}, 4, 24);
  const CommandResult result = finetune(folder / "parts");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(has(result.out, "on 8 test images, by which nothing was chosen")) << result.out;
  EXPECT_TRUE(has(read_text(folder / "run/report.html"), "test accuracy"));
}

TEST_F(Photos, PredictNamesWhatItCannotReadAndAnswersTheRest) {
  write_text(folder / "photos/red/line.pgm", "P5 3000 1 255 " + std::string(3000, 'a'));
  write_text(folder / "photos/red/broken.jpg", "\xff\xd8\xff");
  write_text(folder / "photos/red/._1.ppm", "x");
  const CommandResult result =
      run_graft({"predict", carried_weights(), folder / "photos", "--json"});
  EXPECT_EQ(result.code, 3);
  const json answers = json::parse(result.out);
  ASSERT_EQ(answers.size(), 14u);
  int64_t labelled = 0;
  for (const json& answer : answers) labelled += answer.contains("top");
  EXPECT_EQ(labelled, 13);
  EXPECT_TRUE(has(result.err, "passed over: 1 hidden"));
  EXPECT_TRUE(has(result.err, "broken.jpg: broken JPEG"));
  EXPECT_TRUE(has(result.err, "1 of 14 images could not be read"));
}

TEST_F(Photos, EvaluateNeedsOnlyWhatItReads) {
  ASSERT_EQ(finetune(folder / "photos").code, 0);
  write_photos(folder / "one", {"red"}, 3, 24);
  write_photos(folder / "more", {"red", "violet"}, 3, 24);
  const std::string model = folder / "run/model.safetensors";
  const CommandResult one = run_graft({"evaluate", model, "--data", folder / "one", "--json"});
  ASSERT_EQ(one.code, 0) << one.err;
  EXPECT_EQ(json::parse(one.out)["images"], 3);
  EXPECT_EQ(json::parse(one.out)["data"]["parts"]["validation"], 3);
  const CommandResult more = run_graft({"evaluate", model, "--data", folder / "more"});
  ASSERT_EQ(more.code, 0) << more.err;
  EXPECT_TRUE(has(more.err,
                  "left out: 3 of 6 images, of classes that the model does not know: "
                  "violet"))
      << more.err;
}

TEST_F(Photos, BrokenImagesUpToAShare) {
  write_text(folder / "photos/red/broken.jpg", "\xff\xd8\xff");
  const CommandResult strict = finetune(folder / "photos", {"--broken", "0"});
  EXPECT_EQ(strict.code, 3);
  EXPECT_TRUE(has(strict.err, "images are broken, more than 0 %")) << strict.err;
  const CommandResult lenient = finetune(folder / "photos", {"--broken", "0.5"});
  EXPECT_EQ(lenient.code, 0);
  EXPECT_TRUE(has(lenient.err, "left out: "));
}

TEST_F(Photos, ResizeStandsInCardAndRecipe) {
  for (const char* how : {"squash", "pad", "crop"}) {
    ASSERT_EQ(finetune(folder / "photos", {"--resize", how}).code, 0);
    const models::Model model = models::load_model(folder / "run/model.safetensors");
    EXPECT_EQ(model.card.preprocess.fit(), how);
    EXPECT_EQ(json::parse(model.card.lineage.recipe)["resize"], how);
  }
  EXPECT_EQ(finetune(folder / "photos", {"--resize", "stretch"}).code, 2);
  for (const char* verb : {"predict", "evaluate", "features", "pretrain"})
    EXPECT_TRUE(has(run_graft({verb, "--help"}).out, "--resize")) << verb;
}

TEST_F(Photos, DataFindsWhatWasPlanted) {
  fs::copy_file(folder / "photos/red/0.ppm", folder / "photos/green/again.ppm");
  fs::copy_file(folder / "photos/red/1.ppm", folder / "photos/red/photo.jpg");
  write_text(folder / "photos/green/broken.png", "\x89PNG\r\n\x1a\n");
  write_text(folder / "photos/green/dot.pgm", "P5 1 1 255 a");
  fs::create_directories(folder / "photos/empty");
  const CommandResult result = run_graft({"data", folder / "photos", "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  const json j = json::parse(result.out);
  EXPECT_EQ(j["broken"].size(), 1u);
  ASSERT_EQ(j["misnamed"].size(), 1u);
  EXPECT_TRUE(has(j["misnamed"][0], "photo.jpg is PNM"));
  ASSERT_EQ(j["equal_twins"].size(), 2u);
  EXPECT_EQ(j["equal_twins"][0]["across_classes"], true);
  EXPECT_EQ(j["equal_twins"][1]["across_classes"], false);
  EXPECT_EQ(j["near_twins"].size(), 0u);
  EXPECT_EQ(j["classes"][0]["name"], "green");
  EXPECT_EQ(j["classes"][0]["grey"], 1);
  EXPECT_EQ(j["classes"][0]["width"], (json{1, 24, 24}));
  EXPECT_TRUE(has(j["notes"].dump(), "no class: empty"));
  EXPECT_TRUE(has(j["doubts"].dump(), "under two labels"));
  const CommandResult text = run_graft({"data", folder / "photos"});
  EXPECT_TRUE(has(text.out, "groups of images that are the same file: 2")) << text.out;
}

// The same file and a brighter copy, within a part and across parts and labels: each is found and
// said to be what it is. Without them there is nothing to say.
TEST_F(Photos, DataFindsTwinsWithinAndAcrossParts) {
  write_photos(folder / "set/train", {"a", "b"}, 12, 24);
  for (const char* part : {"val/a", "val/b"}) fs::create_directories(folder / "set/" + part);
  for (int i = 0; i < 6; ++i)  // both classes in both parts, no image twice
    for (const auto& [name, at] : {std::pair("a", i + 6), std::pair("b", i)})
      fs::rename(folder / "set/train/" + name + str("/", at, ".ppm"),
                 folder / "set/val/" + name + str("/", at, ".ppm"));
  const auto twins = [&](const char* kind) {
    return json::parse(run_graft({"data", folder / "set", "--json"}).out)[kind];
  };
  EXPECT_EQ(twins("equal_twins").size(), 0u);
  EXPECT_EQ(twins("near_twins").size(), 0u);
  const auto brighter = [&](const std::string& from, const std::string& to) {
    std::string ppm = read_text(folder / "set/" + from);
    for (size_t i = ppm.size() - 24 * 24 * 3; i < ppm.size(); ++i) ppm[i] += 3;
    write_text(folder / "set/" + to, ppm);
  };
  const auto same = [&](const std::string& from, const std::string& to) {
    fs::copy_file(folder / "set/" + from, folder / "set/" + to);
  };
  same("train/a/0.ppm", "train/a/again.ppm");       // within a part
  same("train/a/1.ppm", "val/a/leaked.ppm");        // across the split
  same("train/a/2.ppm", "train/b/mislabeled.ppm");  // a wrong label
  brighter("train/b/6.ppm", "train/b/edited.ppm");
  brighter("train/b/7.ppm", "val/b/leaked.ppm");
  brighter("train/b/9.ppm", "val/a/mislabeled.ppm");
  const auto kinds = [&](const char* kind) {  // across parts, under two labels
    std::vector<std::pair<bool, bool>> found;
    for (const json& group : twins(kind)) {
      EXPECT_EQ(group["images"].size(), 2u);
      found.emplace_back(group["across_parts"].get<bool>(), group["across_classes"].get<bool>());
    }
    std::sort(found.begin(), found.end());
    return found;
  };
  using Kinds = std::vector<std::pair<bool, bool>>;
  EXPECT_EQ(kinds("equal_twins"), (Kinds{{false, false}, {false, true}, {true, false}}));
  EXPECT_EQ(kinds("near_twins"), (Kinds{{false, false}, {true, false}, {true, true}}));
  const std::string text = run_graft({"data", folder / "set"}).out;
  EXPECT_TRUE(has(text, "[across parts]  [under different labels]")) << text;
}

// A model's own head is where training goes on: at a rate of nothing the model stays what it was.
TEST_F(Photos, AModelGoesOnWithItsHead) {
  ASSERT_EQ(finetune(folder / "photos", {"--epochs", "20"}).code, 0);
  fs::copy_file(folder / "run/model.safetensors", folder / "first.safetensors");
  const auto accuracy = [&](const std::string& model) {
    const auto result = run_graft({"evaluate", model, "--data", folder / "photos", "--json"});
    return json::parse(result.out)["loss"].get<double>();
  };
  const double before = accuracy(folder / "first.safetensors");
  for (const char* freeze : {"backbone", "none"}) {
    const CommandResult again =
        run_graft({"finetune", "--weights", folder / "first.safetensors", "--data",
                   folder / "photos", "--out", folder / "run", "--overwrite", "--epochs", "1",
                   "--lr", "1e-9", "--freeze", freeze, "--bn", "source"});
    ASSERT_EQ(again.code, 0) << again.err;
    EXPECT_TRUE(has(again.err, "kept: ")) << again.err;
    EXPECT_NEAR(accuracy(folder / "run/model.safetensors"), before, 1e-3) << freeze;
  }
  write_photos(folder / "photos", {"violet"}, 4, 24);
  const CommandResult other =
      finetune(folder / "photos", {"--weights", folder / "first.safetensors"});
  EXPECT_TRUE(has(other.err, "new: ")) << other.err;
}

// The matrix of 3,000 classes made a page of 450 MB.
TEST_F(Photos, TheReportOfManyClassesListsTheWorstPairs) {
  std::vector<std::string> classes;
  for (int c = 0; c < 101; ++c) classes.push_back(str("class", c));
  write_photos(folder / "many", classes, 2, 8);
  ASSERT_EQ(finetune(folder / "many").code, 0);
  const std::string report = read_text(folder / "run/report.html");
  EXPECT_TRUE(has(report, "Confused most"));
  EXPECT_FALSE(has(report, "<table class=\"m\">"));
  EXPECT_LT(report.size(), 200000u);
}

TEST_F(Photos, AnImageThatChangesDuringTheRunIsSaid) {
  RunningGraft graft({"pretrain", "--arch", "cifar_resnet20", "--data", folder / "photos", "--out",
                      folder / "run", "--epochs", "400", "--checkpoint-seconds", "0"});
  ASSERT_TRUE(graft.reaches([&] { return fs::exists(folder / "run/last.ckpt.safetensors"); }))
      << graft.err();
  const std::string changed = folder / "photos/red/1.ppm";
  write_text(changed, read_text(changed) + " ");
  graft.send(SIGTERM);
  const CommandResult result = graft.wait();
  EXPECT_EQ(result.code, 130) << result.err;
  EXPECT_TRUE(has(result.err, "1 image file was written or removed while this went on"))
      << result.err;
  EXPECT_TRUE(has(result.err, "red/1.ppm")) << result.err;
}

// 16 MB of pixels out of 16 kB: unpacked where they stay, so once.
TEST_F(Photos, GzippedIdxTakesItsPixelsOnce) {
  const auto write_idx = [&](const std::string& name, const std::string& header, size_t bytes) {
    fs::create_directories(folder / "idx");
    gzFile file = gzopen((folder / ("idx/" + name + ".gz")).c_str(), "wb");
    std::string content = header;
    for (size_t i = 0; i < bytes; ++i) content += static_cast<char>(i / 4096 % 7);
    EXPECT_EQ(gzwrite(file, content.data(), static_cast<unsigned>(content.size())),
              static_cast<int>(content.size()));
    gzclose(file);
  };
  write_idx("train-images-idx3-ubyte",
            std::string("\0\0\x08\x03\0\0\0\x40\0\0\x02\0\0\0\x02\0", 16), size_t{64} * 512 * 512);
  write_idx("train-labels-idx1-ubyte", std::string("\0\0\x08\x01\0\0\0\x40", 8), 64);
  const CommandResult result = run_graft({"data", folder / "idx"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_LE(result.peak_bytes - run_graft({"data", folder / "photos"}).peak_bytes, 24 << 20);
}

}  // namespace
}  // namespace graft
