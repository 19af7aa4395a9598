// Several labels and numbers through the command: from a table to a model, its answers and its
// scores; and what is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "graft/core/base/text.h"
#include "graft/io/weights/weights.h"
#include "graft/models/model_file.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

using nlohmann::json;

class Tasks : public testing::Test {
 protected:
  // Red photos are warm, green ones warm and plants, blue ones nothing; 10, 20.5 and 31 degrees.
  void SetUp() override {
    const std::vector<std::string> colors = {"red", "green", "blue"};
    write_photos(folder / "photos", colors, 8, 24);
    const std::vector<std::string> labels = {"warm", "plant|warm", ""},
                                   flags = {"1,0", "1,1", "0,0"}, degrees = {"10", "20.5", "31"};
    std::string lists = "path,label\n", columns = "path,warm,plant\n", numbers = "path,degrees\n";
    for (size_t c = 0; c < colors.size(); ++c)
      for (int i = 0; i < 8; ++i) {
        const std::string path = str("photos/", colors[c], "/", i, ".ppm,");
        lists += path + labels[c] + "\n";
        columns += path + flags[c] + "\n";
        numbers += path + degrees[c] + "\n";
      }
    // A column looks like lists by two lists and two labels that come again.
    lists += "photos/red/0.ppm,red|warm\nphotos/blue/0.ppm,red\n";
    write_text(folder / "lists.csv", lists);
    write_text(folder / "columns.csv", columns);
    write_text(folder / "numbers.csv", numbers);
  }
  CommandResult finetune(const std::string& data, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"finetune", "--data",       data,
                                          "--out",    folder / "run", "--overwrite"};
    if (std::find(more.begin(), more.end(), "--weights") == more.end())
      more.insert(more.end(), {"--weights", carried_weights()});
    if (std::find(more.begin(), more.end(), "--epochs") == more.end())
      more.insert(more.end(), {"--epochs", "20"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_graft(arguments);
  }
  void expect_refused(const CommandResult& result, int code, const std::string& words) const {
    EXPECT_EQ(result.code, code) << result.err;
    EXPECT_TRUE(
        has(result.err.substr(std::min(result.err.size(), result.err.rfind("graft: "))), words))
        << words << " in: " << result.err;
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
  std::string model() const { return folder / "run/model.safetensors"; }
  TemporaryFolder folder;
};

TEST_F(Tasks, SeveralLabelsFromATableToAnswers) {
  const CommandResult trained = finetune(folder / "columns.csv");
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_TRUE(has(trained.err, "task: multilabel, because 2 label columns hold 0 and 1"))
      << trained.err;
  EXPECT_TRUE(has(trained.err, "2 labels, ")) << trained.err;
  EXPECT_TRUE(has(trained.err, "new: ")) << trained.err;
  EXPECT_TRUE(has(trained.out, "mAP ")) << trained.out;
  const std::string metrics = read_text(folder / "run/metrics.jsonl");
  for (const char* key : {"train_label_accuracy", "val_mAP", "val_macro_f1", "val_micro_f1"})
    EXPECT_TRUE(has(metrics, str("\"", key, "\":"))) << metrics;
  const std::string report = read_text(folder / "run/report.html");
  for (const char* part : {"Per label (validation)", "Furthest from the truth", "<img alt="})
    EXPECT_TRUE(has(report, part)) << part;
  const models::ModelCard card = models::load_model(model()).card;
  EXPECT_EQ(json::parse(card.task)["thresholds"].size(), 2u);
  EXPECT_EQ(card.labels, (std::vector<std::string>{"warm", "plant"}));

  const json inspected = json::parse(run_graft({"inspect", model(), "--json"}).out);
  EXPECT_EQ(inspected["import"]["task"]["name"], "multilabel");

  const CommandResult judged =
      run_graft({"evaluate", model(), "--data", folder / "columns.csv", "--json"});
  ASSERT_EQ(judged.code, 0) << judged.err;
  const json scores = json::parse(judged.out);
  EXPECT_GE(scores["mAP"].get<double>(), 0.9);
  EXPECT_GE(scores["macro_f1"].get<double>(), 0.8);
  EXPECT_EQ(scores["labels"][0]["label"], "warm");
  EXPECT_EQ(scores["labels"][0]["images"], 16);
  const CommandResult text = run_graft({"evaluate", model(), "--data", folder / "lists.csv"});
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_TRUE(has(text.err, "labels that the model does not know: red")) << text.err;
  EXPECT_TRUE(has(text.out, "threshold")) << text.out;

  const std::string photo = folder / "photos/green/7.ppm";
  const CommandResult answer = run_graft({"predict", model(), photo, "--json"});
  ASSERT_EQ(answer.code, 0) << answer.err;
  const json said = json::parse(answer.out)[0];
  EXPECT_EQ(said["path"], photo);
  EXPECT_EQ(said["labels"].size(), 2u) << answer.out;
  EXPECT_EQ(said["probabilities"][1]["label"], "plant");
  ASSERT_EQ(run_graft({"predict", model(), photo, "--predictions", folder / "predicted.csv"}).code,
            0);
  const std::string table = read_text(folder / "predicted.csv");
  EXPECT_TRUE(has(table, "path,true,predicted,error,p_warm,p_plant\n")) << table;
  EXPECT_TRUE(has(table, ",,warm|plant,,") || has(table, ",,plant|warm,,")) << table;
  ASSERT_EQ(run_graft({"evaluate", model(), "--data", folder / "columns.csv", "--predictions",
                       folder / "judged.jsonl"})
                .code,
            0);
  int warm = 0, images = 0;
  std::istringstream lines(read_text(folder / "judged.jsonl"));
  for (std::string line; std::getline(lines, line); ++images)
    warm += json::parse(line)["true"].dump().find("\"warm\"") != std::string::npos;
  EXPECT_EQ(images, 24);
  EXPECT_EQ(warm, 16);
}

TEST_F(Tasks, FeaturesStandBesideTheAnswersOfTheTable) {
  const auto answers = [&](const std::string& table) {
    const CommandResult made =
        run_graft({"features", carried_weights(), "--data", table, "--out", folder / "f.npz"});
    EXPECT_EQ(made.code, 0) << made.err;
    const io::WeightFile file = io::read_weights(folder / "f.npz");
    EXPECT_EQ(file.tensors.at("x").size(0), file.tensors.at("y").size(0));
    return file.tensors.at("y");
  };
  const Tensor there = answers(folder / "columns.csv");
  EXPECT_EQ(there.shape(), (Shape{24, 2}));
  EXPECT_EQ(there.to_doubles()[16], 1) << "the first green one is warm";
  EXPECT_EQ(there.to_doubles()[17], 1) << "and a plant";
  EXPECT_EQ(there.to_doubles()[32], 0) << "a blue one is nothing";
  const Tensor degrees = answers(folder / "numbers.csv");
  EXPECT_EQ(degrees.shape(), (Shape{24, 1}));
  EXPECT_EQ(degrees.to_doubles()[8], 20.5);
  EXPECT_EQ(answers(folder / "photos").shape(), (Shape{24}));
}

TEST_F(Tasks, ListsOfLabelsAreSeenAndResumeGoesOn) {
  const CommandResult trained = finetune(folder / "lists.csv", {"--epochs", "2"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_TRUE(has(trained.err, "holds lists with | between the labels")) << trained.err;
  const std::string before = read_text(model());
  const CommandResult again =
      run_graft({"finetune", "--weights", carried_weights(), "--data", folder / "lists.csv",
                 "--out", folder / "run", "--epochs", "2", "--resume"});
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(read_text(model()), before);
  const CommandResult no_model = run_graft({"inspect", folder / "run/last.ckpt.safetensors"});
  EXPECT_TRUE(has(no_model.out + no_model.err, "is the checkpoint of a run")) << no_model.err;
  EXPECT_EQ(run_graft({"verify", model(), model()}).code, 0);
}

TEST_F(Tasks, NumbersFromATableToAnswers) {
  const CommandResult trained = finetune(folder / "numbers.csv", {"--epochs", "40"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_TRUE(has(trained.err, "task: regress, because degrees holds numbers")) << trained.err;
  EXPECT_TRUE(has(trained.err, "1 number, ")) << trained.err;
  EXPECT_TRUE(has(trained.out, "mae ")) << trained.out;
  EXPECT_TRUE(has(read_text(folder / "run/metrics.jsonl"), "\"val_rmse\":"));
  const CommandResult judged =
      run_graft({"evaluate", model(), "--data", folder / "numbers.csv", "--json"});
  ASSERT_EQ(judged.code, 0) << judged.err;
  const json scores = json::parse(judged.out);
  EXPECT_GE(scores["r2"].get<double>(), 0.8);
  EXPECT_EQ(scores["numbers"][0]["name"], "degrees");
  EXPECT_LT(scores["numbers"][0]["mae"].get<double>(), 3) << "in degrees";
  const CommandResult answer =
      run_graft({"predict", model(), folder / "photos/blue/0.ppm", "--json"});
  ASSERT_EQ(answer.code, 0) << answer.err;
  EXPECT_NEAR(json::parse(answer.out)[0]["numbers"][0]["value"].get<double>(), 31, 8);
  ASSERT_EQ(run_graft({"evaluate", model(), "--data", folder / "numbers.csv", "--predictions",
                       folder / "judged.csv"})
                .code,
            0);
  const std::string table = read_text(folder / "judged.csv");
  EXPECT_TRUE(table.starts_with("path,true_degrees,predicted_degrees,error\n")) << table;
  EXPECT_TRUE(has(table, "photos/green/0.ppm,20.5,")) << table;

  std::filesystem::copy_file(model(), folder / "first.safetensors");
  const CommandResult on =
      finetune(folder / "numbers.csv", {"--weights", folder / "first.safetensors", "--epochs", "1",
                                        "--lr", "1e-9", "--loss", "huber"});
  ASSERT_EQ(on.code, 0) << on.err;
  EXPECT_TRUE(has(on.err, "kept: ")) << on.err;
  EXPECT_EQ(models::load_model(model()).card.task,
            models::load_model(folder / "first.safetensors").card.task);
}

TEST_F(Tasks, WhatIsAskedForAndDoesNotFitIsRefused) {
  expect_refused(finetune(folder / "photos", {"--task", "regress"}), 3, "holds no numbers");
  expect_refused(finetune(folder / "photos", {"--task", "dance"}), 2, "--task");
  expect_refused(finetune(folder / "photos", {"--loss", "l1"}), 3,
                 "loss: 'l1' is not for task classify, which has ce and focal");
  expect_refused(finetune(folder / "columns.csv", {"--balance", "sampling"}), 3, "balance: ");
  expect_refused(finetune(folder / "columns.csv", {"--task", "classify"}), 3,
                 "which column is the label?");
  write_text(folder / "bad.csv", "path,a,b\nphotos/red/0.ppm,1,0\nphotos/red/1.ppm,1,maybe\n");
  expect_refused(finetune(folder / "bad.csv", {"--task", "multilabel", "--label-column", "a,b"}), 3,
                 "line 3: 'maybe' in b is neither 0 nor 1");
  EXPECT_FALSE(std::filesystem::exists(model()));
  ASSERT_EQ(finetune(folder / "numbers.csv", {"--epochs", "1"}).code, 0);
  expect_refused(run_graft({"evaluate", model(), "--data", folder / "photos"}), 3,
                 "holds no numbers");
}

TEST_F(Tasks, DataSaysWhatItIs) {
  const CommandResult labels = run_graft({"data", folder / "lists.csv"});
  ASSERT_EQ(labels.code, 0) << labels.err;
  EXPECT_TRUE(has(labels.out, "3 labels")) << labels.out;
  const json numbers = json::parse(run_graft({"data", folder / "numbers.csv", "--json"}).out);
  EXPECT_EQ(numbers["answers"], "numbers");
  EXPECT_EQ(numbers["classes"][0]["training"]["highest"], 31);
}

}  // namespace
}  // namespace graft
