// Runs that are numbered, compared and gone on with; answers kept as a table.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "graft/core/base/text.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

class Runs : public testing::Test {
 protected:
  void SetUp() override { write_photos(folder / "photos", {"red", "green, dark"}, 6, 24); }
  CommandResult finetune(const std::string& out, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"finetune",  "--data",          folder / "photos",
                                          "--weights", carried_weights(), "--out",
                                          folder / out};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_graft(arguments);
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
  static std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
  }
  TemporaryFolder folder;
};

TEST_F(Runs, FoldsHoldOutEachImageOnce) {
  const CommandResult run = finetune("cv", {"--epochs", "2", "--folds", "3"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_TRUE(has(run.err, "fold 2 of 3: 4 of 12 samples are held out, drawn by class")) << run.err;
  EXPECT_TRUE(has(run.out, "folds    accuracy ")) << run.out;
  std::ifstream file(folder / "cv/folds.json");
  const json scores = json::parse(file)["scores"]["accuracy"];
  double mean = 0, squares = 0;
  ASSERT_EQ(scores["values"].size(), 3u);
  for (const double value : scores["values"]) mean += value / 3;
  for (const double value : scores["values"]) squares += (value - mean) * (value - mean);
  EXPECT_NEAR(scores["mean"], mean, 1e-12);
  EXPECT_NEAR(scores["deviation"], std::sqrt(squares / 2), 1e-12);

  const auto stamp = fs::last_write_time(folder / "cv/3/last.ckpt.safetensors");
  const CommandResult again = finetune("cv", {"--epochs", "2", "--folds", "3", "--resume"});
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(again.out, run.out);
  EXPECT_EQ(fs::last_write_time(folder / "cv/3/last.ckpt.safetensors"), stamp) << "trained again";
  EXPECT_EQ(finetune("cv", {"--epochs", "2", "--folds", "3"}).code, 2) << "nothing is overwritten";
  EXPECT_EQ(finetune("cv2", {"--folds", "2", "--val", folder / "photos"}).code, 2);
  EXPECT_EQ(finetune("cv2", {"--folds", "13"}).code, 3) << "more folds than images";
  EXPECT_EQ(finetune("cv2", {"--folds", "1"}).code, 2);
}

TEST_F(Runs, FoldsOfGroupsNameWhatTheyHoldOut) {
  const std::vector<std::string> by_number = {"--epochs",        "1",          "--folds", "groups",
                                              "--group-pattern", "/([0-2])[.]"};
  for (const char* color : {"red", "green, dark"})
    for (const char* more : {"3", "4", "5"})
      fs::remove(folder / str("photos/", color, "/", more, ".ppm"));
  const CommandResult run = finetune("cv", by_number);
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_TRUE(has(run.err, "fold 2 of 3: group 1\n")) << run.err;
  EXPECT_TRUE(has(run.err, "fold 2 of 3: 2 of 6 samples are held out, group 1")) << run.err;
  EXPECT_TRUE(has(run.err, "groups: 2 training and 1 validation")) << run.err;
  EXPECT_TRUE(has(run.out, "over 3 groups held out, one each (0 ")) << run.out;
  std::ifstream file(folder / "cv/folds.json");
  const json document = json::parse(file);
  EXPECT_EQ(document["groups"], json({"0", "1", "2"}));
  EXPECT_EQ(document["scores"]["accuracy"]["values"].size(), 3u);
  const CommandResult none = finetune("cv2", {"--folds", "groups"});
  EXPECT_EQ(none.code, 2);
  EXPECT_TRUE(has(none.err, "--folds groups needs --group-column or --group-pattern")) << none.err;
  EXPECT_EQ(finetune("cv2", {"--folds", "patients"}).code, 2);
}

TEST_F(Runs, AreNumberedAndCompared) {
  ASSERT_EQ(finetune("runs/", {"--epochs", "2"}).code, 0);
  const CommandResult second = finetune("runs/", {"--epochs", "2", "--lr", "0.002"});
  ASSERT_EQ(second.code, 0) << second.err;
  EXPECT_TRUE(has(second.err, str("run: ", folder / "runs/2"))) << second.err;
  EXPECT_TRUE(fs::exists(folder / "runs/1/model.safetensors"));
  const CommandResult longer = finetune("runs/", {"--epochs", "3", "--lr", "0.002", "--resume"});
  ASSERT_EQ(longer.code, 0) << longer.err;
  EXPECT_TRUE(has(longer.err, "note: the run was of 2 epochs and goes on to 3")) << longer.err;
  EXPECT_FALSE(fs::exists(folder / "runs/3"));
  // A run's own folder, its slash completed by a shell, is that run.
  EXPECT_EQ(finetune("runs/1/", {"--epochs", "2", "--resume"}).code, 0);

  const CommandResult photos = finetune("photos/", {});
  EXPECT_EQ(photos.code, 2) << "a folder of other things gets no runs";
  EXPECT_TRUE(has(photos.err, "holds other things than runs")) << photos.err;

  const CommandResult compared = run_graft({"compare", folder / "runs/", "--json"});
  ASSERT_EQ(compared.code, 0) << compared.err;
  const json runs = json::parse(compared.out);
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0]["epochs"], 2);
  EXPECT_EQ(runs[1]["epochs"], 3);
  EXPECT_EQ(runs[1]["settings"]["lr"], 0.002);
  EXPECT_FALSE(runs[0]["settings"].contains("optimizer"));  // of both the same
  const CommandResult text = run_graft({"compare", folder / "runs/1", folder / "runs/2"});
  EXPECT_TRUE(has(text.out, "accuracy")) << text.out;
  EXPECT_TRUE(has(text.out, "0.002")) << text.out;
  const CommandResult none = run_graft({"compare", folder / "photos"});
  EXPECT_EQ(none.code, 3);
  EXPECT_TRUE(has(none.err, "is no run of graft")) << none.err;
}

TEST_F(Runs, AnswersAreKeptAsATable) {
  ASSERT_EQ(finetune("run", {"--epochs", "2"}).code, 0);
  const std::string model = folder / "run/model.safetensors";
  const CommandResult evaluated = run_graft(
      {"evaluate", model, "--data", folder / "photos", "--predictions", folder / "p.csv"});
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  const auto lines = lines_of(read_text(folder / "p.csv"));
  ASSERT_EQ(lines.size(), 13u);
  EXPECT_EQ(lines[0], "path,true,predicted,error,\"p_green, dark\",p_red");
  EXPECT_TRUE(has(lines[1], ",\"green, dark\",")) << lines[1];

  write_text(folder / "photos/red/broken.ppm", "P6 no");
  const CommandResult predicted =
      run_graft({"predict", model, folder / "photos", "--predictions", folder / "p.jsonl"});
  EXPECT_EQ(predicted.code, 3);
  int broken = 0, answered = 0;
  for (const std::string& line : lines_of(read_text(folder / "p.jsonl"))) {
    const json j = json::parse(line);
    broken += j.contains("error");
    if (!j.contains("predicted")) continue;
    ++answered;
    EXPECT_NEAR(
        j["probabilities"]["red"].get<double>() + j["probabilities"]["green, dark"].get<double>(),
        1, 1e-5);
  }
  EXPECT_EQ(broken, 1);
  EXPECT_EQ(answered, 12);
  EXPECT_EQ(
      run_graft({"predict", model, folder / "photos", "--predictions", folder / "p.txt"}).code, 2);
  const CommandResult large =
      run_graft({"predict", model, folder / "photos/red/0.ppm", "--max-pixels", "100"});
  EXPECT_EQ(large.code, 3);
  EXPECT_TRUE(has(large.err, "more than the limit of 100")) << large.err;
}

// A list of paths, as ls or a spreadsheet makes it.
TEST_F(Runs, PathsToPredictComeFromATable) {
  ASSERT_EQ(finetune("run", {"--epochs", "1"}).code, 0);
  write_text(folder / "list.csv", "photo\nphotos/red/0.ppm\n\"photos/green, dark/1.ppm\"\n");
  const CommandResult result =
      run_graft({"predict", folder / "run/model.safetensors", folder / "list.csv"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(lines_of(result.out).size(), 2u) << result.out;
  // Lines of ls, with what is a separator elsewhere; and a folder that is called like a table.
  write_text(folder / "ls.txt", "photos/green, dark/1.ppm\r\nphotos/green, dark/2.ppm\r\n");
  EXPECT_EQ(
      lines_of(run_graft({"predict", folder / "run/model.safetensors", folder / "ls.txt"}).out)
          .size(),
      2u);
  fs::copy(folder / "photos/red", folder / "red.csv", fs::copy_options::recursive);
  EXPECT_EQ(run_graft({"predict", folder / "run/model.safetensors", folder / "red.csv"}).code, 0);
  write_text(folder / "two.tsv", "label\tfile\nred\tphotos/red/0.ppm\nred\tphotos/red/gone.ppm\n");
  const CommandResult some =
      run_graft({"predict", folder / "run/model.safetensors", folder / "two.tsv"});
  EXPECT_EQ(some.code, 3);
  EXPECT_EQ(lines_of(some.out).size(), 1u) << some.out;
  EXPECT_TRUE(has(some.err, "gone.ppm")) << some.err;
}

}  // namespace
}  // namespace graft
