// The command with texts: sentences of two kinds learned around word vectors, resumed, judged,
// predicted line by line and exported; and what it refuses.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "graft/api/finetune.h"
#include "graft/api/predictor.h"
#include "graft/core/base/file_system.h"
#include "graft/tests/support/command.h"

namespace graft {
namespace {

// Sentences whose label is told by one word; the others are of both.
std::string sentence(int i, bool good) {
  const char* subjects[] = {"the film", "this plot", "her acting", "its music", "a story"};
  const char* praise[] = {"wonderful", "brilliant", "moving", "funny"};
  const char* blame[] = {"boring", "awful", "clumsy", "empty"};
  const char* ends[] = {"from the start", "in the end", "again, and again", "for me"};
  return str(subjects[i % 5], " is ", (good ? praise : blame)[(i / 5) % 4], " ", ends[i % 4]);
}

class TextCommand : public testing::Test {
 protected:
  void SetUp() override {
    std::string table = "text,label,split\n";
    for (int i = 0; i < 60; ++i)
      table += str("\"", sentence(i, i % 2 == 0), "\",", i % 2 == 0 ? "good" : "bad", ",",
                   i >= 40 ? "val" : "train", "\n");
    write_text(folder / "data.csv", table);
    // Vectors of four numbers; praise and blame lie apart.
    std::string vectors;
    int n = 0;
    for (const char* word : {"the", "film", "is", "in", "end", "a"})
      vectors += str(word, " 0.", ++n, " 0.2 -0.", n, " 0.1\n");
    for (const char* word : {"wonderful", "brilliant", "moving", "funny", "splendid"})
      vectors += str(word, " 1.0 0.", ++n, " 0.3 0.1\n");
    for (const char* word : {"boring", "awful", "clumsy", "empty", "dreary"})
      vectors += str(word, " -1.0 0.", ++n, " 0.3 0.1\n");
    write_text(folder / "vectors.txt", vectors);
  }
  std::vector<std::string> finetune(const std::string& out, std::vector<std::string> more = {},
                                    const std::string& data = "data.csv") const {
    std::vector<std::string> words{
        "finetune", "--input",     "text",  "--vectors",  folder / "vectors.txt",
        "--data",   folder / data, "--out", folder / out, "--threads",
        "2"};
    if (std::find(more.begin(), more.end(), "--epochs") == more.end())
      words.insert(words.end(), {"--epochs", "20"});
    if (std::find(more.begin(), more.end(), "--text") == more.end())
      words.insert(words.end(), {"--text", "maps=8"});
    words.insert(words.end(), {"--lr", "0.01", "--batch", "8"});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
  std::string model() const { return folder / "run/model.safetensors"; }
  TemporaryFolder folder;
};

TEST_F(TextCommand, LearnsAndPredictsEverywhereAlike) {
  const CommandResult run = run_graft(finetune("run"));
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_TRUE(has(run.err, "40 training and 20 validation texts")) << run.err;
  EXPECT_TRUE(has(run.err, "note: vectors: ")) << run.err;
  EXPECT_TRUE(has(run.err, "vectors.txt (GloVe text, 16 words of 4 numbers)")) << run.err;
  EXPECT_TRUE(has(run.out, "accuracy 1.0000")) << run.out;

  const CommandResult judged =
      run_graft({"evaluate", model(), "--data", folder / "data.csv", "--json", "--threads", "2"});
  ASSERT_EQ(judged.code, 0) << judged.err;
  EXPECT_EQ(nlohmann::json::parse(judged.out)["accuracy"], 1.0);

  const CommandResult said = run_graft({"predict", model(), "-", "--json", "--top", "2"},
                                       {.input = "what a splendid film\n\ndreary, to the end\n"});
  ASSERT_EQ(said.code, 0) << said.err;
  auto entries = nlohmann::ordered_json::parse(said.out);
  ASSERT_EQ(entries.size(), 2u) << "a blank line is no text";
  EXPECT_EQ(entries[0]["path"], "standard input:1");
  EXPECT_EQ(entries[1]["path"], "standard input:3");
  const Predictor predictor(model());
  const std::string text = "what a splendid film";
  const Answer answer =
      predictor.predict(NamedBytes(std::as_bytes(std::span(text)), "standard input:1"));
  EXPECT_EQ(answer.said()[0].name, "good") << "a word of the vectors that no training text has";
  entries[0].erase("path");
  const auto words = entries[0]["words"];
  ASSERT_GE(words.size(), 1u);
  EXPECT_EQ(words[0]["word"], "splendid") << words;
  EXPECT_EQ(words[0]["begin"], 7);
  EXPECT_EQ(words[0]["end"], 15);
  entries[0].erase("words");
  EXPECT_EQ(entries[0], nlohmann::ordered_json::parse(answer.json(2)));

  write_text(folder / "one.txt", "a boring film");
  const CommandResult files =
      run_graft({"predict", model(), folder / "one.txt", folder / "data.csv"});
  ASSERT_EQ(files.code, 0) << files.err;
  EXPECT_EQ(std::count(files.out.begin(), files.out.end(), '\n'), 61);
  EXPECT_TRUE(has(files.out, "one.txt\tbad ")) << files.out;
}

TEST_F(TextCommand, ModesTasksAndANetworkFromRandomVectors) {
  for (const char* mode : {"static", "multichannel", "random"}) {
    const CommandResult run =
        run_graft(finetune(mode, {"--text", str("maps=8,mode=", mode), "--epochs", "3"}));
    EXPECT_EQ(run.code, 0) << mode << ": " << run.err;
    EXPECT_EQ(has(run.err, "frozen tensors are unchanged"), std::string(mode) == "static")
        << run.err;
  }
  const CommandResult mean = run_graft(finetune("mean", {"--arch", "word_mean"}));
  EXPECT_EQ(mean.code, 0) << mean.err;
  const CommandResult random = run_graft(
      {"pretrain", "--arch", "kim_cnn", "--text", "maps=4,width=6,windows=2/3", "--data",
       folder / "data.csv", "--out", folder / "random", "--epochs", "2", "--threads", "2"});
  EXPECT_EQ(random.code, 0) << random.err;
  std::string numbers = "text,stars\n", labels = "text,labels\n";
  for (int i = 0; i < 24; ++i) {
    numbers += str("\"", sentence(i, i % 2 == 0), "\",", i % 2 == 0 ? 4.5 : 1.5, "\n");
    labels += str("\"", sentence(i, i % 2 == 0), "\",", i % 3 == 0 ? "good|film" : "film", "\n");
  }
  write_text(folder / "numbers.csv", numbers);
  write_text(folder / "labels.csv", labels);
  const CommandResult regress =
      run_graft(finetune("numbers", {"--task", "regress", "--epochs", "3"}, "numbers.csv"));
  EXPECT_EQ(regress.code, 0) << regress.err;
  const CommandResult several = run_graft(finetune("labels", {"--epochs", "3"}, "labels.csv"));
  EXPECT_EQ(several.code, 0) << several.err;
  EXPECT_TRUE(has(several.err, "task: multilabel")) << several.err;
}

TEST_F(TextCommand, ResumesToTheSameBits) {
  ASSERT_EQ(run_graft(finetune("whole", {"--epochs", "60"})).code, 0);
  {
    RunningGraft run(finetune("parts", {"--epochs", "60", "--checkpoint-seconds", "0"}));
    EXPECT_TRUE(run.reaches([&] {
      return std::filesystem::exists(folder / "parts/last.ckpt.safetensors");
    })) << run.err();
    run.send(SIGINT);
    run.wait();
  }
  const CommandResult rest = run_graft(finetune("parts", {"--epochs", "60", "--resume"}));
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(read_text(folder / "parts/model.safetensors"),
            read_text(folder / "whole/model.safetensors"));
}

TEST_F(TextCommand, AModelOfTextsIsAStartForOthersAndBecomesOnnx) {
  ASSERT_EQ(run_graft(finetune("run")).code, 0);
  const CommandResult onnx = run_graft({"convert", model(), folder / "model.onnx"});
  ASSERT_EQ(onnx.code, 0) << onnx.err;
  const CommandLimits texts{.input = "a dreary film\n"};
  const CommandResult by_onnx = run_graft({"predict", folder / "model.onnx", "-"}, texts);
  ASSERT_EQ(by_onnx.code, 0) << by_onnx.err;
  EXPECT_EQ(by_onnx.out, run_graft({"predict", model(), "-"}, texts).out);
  const CommandResult again =
      run_graft({"finetune", "--input", "text", "--weights", model(), "--data", folder / "data.csv",
                 "--out", folder / "again", "--freeze", "none", "--epochs", "2", "--threads", "2",
                 "--augment", "none"});
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_TRUE(has(again.out, "accuracy 1.0000")) << again.out;
}

TEST_F(TextCommand, WhatMakesNoSenseIsSaidInOneSentence) {
  const auto refused = [&](std::vector<std::string> words, int code) {
    const CommandResult bad = run_graft(words);
    EXPECT_EQ(bad.code, code) << bad.err;
    return bad.err;
  };
  EXPECT_TRUE(has(refused(finetune("bad", {"--weights", carried_weights()}), 3),
                  "--weights and --vectors exclude each other"));
  EXPECT_TRUE(has(refused({"finetune", "--weights", carried_weights(), "--input", "text", "--data",
                           folder / "data.csv", "--out", folder / "bad"},
                          3),
                  "the network takes images, these samples are texts, which a network of words"));
  EXPECT_TRUE(has(refused(finetune("bad", {"--text", "modus=static"}), 3), "there is no 'modus'"));
  EXPECT_TRUE(has(refused(finetune("bad", {"--task", "detect"}), 3), "texts have no places"));
  EXPECT_TRUE(has(refused(finetune("bad", {"--precision", "bf16"}), 3), "bf16"));
  write_text(folder / "empty.csv", "text,label\n--,good\nfine,good\n...,bad\ndull,bad\n\"\",bad\n");
  EXPECT_TRUE(has(refused(finetune("bad", {}, "empty.csv"), 3), "has no words"));
  write_text(folder / "long.csv", str("text,label\n", std::string(1 << 20, 'a'),
                                      ",good\nfine,good\ndull film,bad\nso "
                                      "dull,bad\n"));
  const CommandResult run = run_graft(finetune("long", {"--epochs", "1"}, "long.csv"));
  EXPECT_EQ(run.code, 0) << run.err;
}

}  // namespace
}  // namespace graft
