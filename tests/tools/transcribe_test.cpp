// The command with texts of sounds: strings of tones are learned, judged and predicted, by the
// command and by C++; a long recording is listened to; and what is refused.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "graft/api/listening.h"
#include "graft/api/predictor.h"
#include "graft/core/base/file_system.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/wav_writer.h"

namespace graft {
namespace {

constexpr const char* kTextSteps = "rate=8000,fft=256,window=256,hop=80,mels=32,frames=64";

// 0.12 s of a tone and 0.08 s of silence for each letter: a is low, b high.
std::vector<double> letters(const std::string& text, uint64_t seed) {
  std::vector<double> samples;
  for (const char letter : text) {
    const std::vector<double> one = tone(letter == 'a' ? 500 : 2000, 0.12, seed++, 8000);
    samples.insert(samples.end(), one.begin(), one.end());
    samples.insert(samples.end(), 640, 0.0);
  }
  return samples;
}

class TranscribeCommand : public testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 24; ++i) {
      std::string text;
      for (int k = 0; k < 3; ++k) text += (i >> k) % 2 == 0 ? 'a' : 'b';
      const std::string part = i < 16 ? "data/train" : "data/val";
      std::filesystem::create_directories(folder / part);
      std::filesystem::create_directories(folder / "flat");
      const std::string bytes = wav_file(letters(text, static_cast<uint64_t>(10 * i)), {});
      write_text(folder / str(part, "/", i, ".wav"), bytes);
      write_text(folder / str(part, "/", i, ".txt"), text + "\n");
      write_text(folder / str("flat/", i, "_", text, ".wav"), bytes);
      table += str("flat/", i, "_", text, ".wav,", text, ",", i < 16 ? "train" : "val", "\n");
    }
    write_text(folder / "texts.csv", table);
  }
  CommandResult finetune(const std::string& data, const std::string& out,
                         std::vector<std::string> more = {}) const {
    std::vector<std::string> words{"finetune",    "--weights", carried_weights(), "--data",
                                   folder / data, "--out",     folder / out,      "--threads",
                                   "2",           "--sound",   kTextSteps};
    words.insert(words.end(), more.begin(), more.end());
    return run_graft(words);
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
  std::string model() const { return folder / "run/model.safetensors"; }
  std::string table = "path,text,split\n";
  TemporaryFolder folder;
};

TEST_F(TranscribeCommand, LearnsStringsOfTones) {
  const CommandResult run = finetune("data", "run", {"--epochs", "60", "--batch", "8"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_TRUE(has(run.err, "task: transcribe, because 24 of its 24 sounds have a text")) << run.err;
  EXPECT_TRUE(has(run.err, "texts of 2 characters")) << run.err;
  EXPECT_TRUE(has(run.out, "character_error_rate 0.")) << run.out;

  const CommandResult judged = run_graft({"evaluate", model(), "--data", folder / "data", "--json",
                                          "--predictions", folder / "p.csv", "--threads", "2"});
  ASSERT_EQ(judged.code, 0) << judged.err;
  const auto scores = nlohmann::json::parse(judged.out);
  EXPECT_LE(scores["character_error_rate"].get<double>(), 0.2);
  EXPECT_EQ(scores["characters"], 24);
  EXPECT_TRUE(scores["too_long"].empty());
  EXPECT_TRUE(has(read_text(folder / "p.csv"), "path,true,predicted,error\n"));

  const std::string one = folder / "data/val/17.wav";  // "baa"
  const CommandResult said = run_graft({"predict", model(), one, "--json"});
  ASSERT_EQ(said.code, 0) << said.err;
  auto entry = nlohmann::ordered_json::parse(said.out).at(0);
  const Predictor predictor(model());
  EXPECT_EQ(predictor.task(), "transcribe");
  const Answer answer = predictor.predict(one);
  entry.erase("path");
  EXPECT_EQ(entry, nlohmann::ordered_json::parse(answer.json()));
  EXPECT_EQ(entry["text"], answer.said().at(0).name);

  // A recording of two windows of it.
  std::vector<double> samples = letters("baa", 3);
  samples.resize(5120);
  const std::vector<double> rest = letters("abb", 7);
  samples.insert(samples.end(), rest.begin(), rest.end());
  write_text(folder / "long.wav", wav_file(samples, {}));
  const CommandResult heard = run_graft({"listen", model(), folder / "long.wav", "--json"});
  ASSERT_EQ(heard.code, 0) << heard.err;
  const auto events = nlohmann::json::parse(heard.out)["events"];
  ASSERT_GE(events.size(), 1u) << heard.out;
  EXPECT_EQ(events[0]["begin"], 0);
  const CommandResult smooth = run_graft({"listen", model(), folder / "long.wav", "--smooth", "3"});
  EXPECT_EQ(smooth.code, 3);
  EXPECT_TRUE(has(smooth.err, "texts have no mean")) << smooth.err;
}

TEST_F(TranscribeCommand, TablesAndNamesGiveTexts) {
  const CommandResult by_table = finetune(
      "texts.csv", "table", {"--task", "transcribe", "--epochs", "1", "--decoder", "beam"});
  ASSERT_EQ(by_table.code, 0) << by_table.err;
  EXPECT_TRUE(has(by_table.err, "16 training and 8 validation sounds")) << by_table.err;
  const CommandResult by_name =
      finetune("flat", "names",
               {"--task", "transcribe", "--epochs", "1", "--label-pattern", "_([ab]+)\\.wav$"});
  ASSERT_EQ(by_name.code, 0) << by_name.err;
  EXPECT_TRUE(has(by_name.err, "texts from the files' names")) << by_name.err;
  const CommandResult data = run_graft({"data", folder / "data", "--json"});
  ASSERT_EQ(data.code, 0) << data.err;
  const auto j = nlohmann::json::parse(data.out);
  EXPECT_EQ(j["answers"], "texts");
  EXPECT_EQ(j["classes"].size(), 2u);
}

TEST_F(TranscribeCommand, RefusesInOneSentence) {
  write_text(folder / "data/train/0.txt", std::string(40, 'a'));
  const CommandResult long_text = finetune("data", "bad", {"--epochs", "1"});
  EXPECT_EQ(long_text.code, 3);
  EXPECT_TRUE(has(long_text.err, "1 training text needs more: ")) << long_text.err;
  EXPECT_TRUE(has(long_text.err, "0.wav (40 characters, 79 steps)")) << long_text.err;
  write_text(folder / "data/train/0.txt", "\xff\xfe");
  const CommandResult bytes = finetune("data", "bad", {"--epochs", "1"});
  EXPECT_EQ(bytes.code, 3);
  EXPECT_TRUE(has(bytes.err, "0.txt: the text is not UTF-8")) << bytes.err;
  const CommandResult none = finetune("flat", "bad", {"--task", "transcribe"});
  EXPECT_EQ(none.code, 3);
  EXPECT_TRUE(has(none.err, "none of its 24 sounds has a text beside it")) << none.err;
  const CommandResult decoder =
      finetune("texts.csv", "bad", {"--task", "transcribe", "--decoder", "unet"});
  EXPECT_EQ(decoder.code, 3);
  EXPECT_TRUE(has(decoder.err, "which has greedy and beam")) << decoder.err;
}

// Tones of two pitches, as a recording of one and then the other.
TEST_F(TranscribeCommand, ListensForClasses) {
  for (int i = 0; i < 12; ++i)
    for (const std::string letter : {"a", "b"}) {
      std::filesystem::create_directories(folder / str("tones/", letter));
      write_text(
          folder / str("tones/", letter, "/", i, ".wav"),
          wav_file(tone(letter == "a" ? 500 : 2000, 0.64, static_cast<uint64_t>(i), 8000), {}));
    }
  const CommandResult run = finetune("tones", "run", {"--epochs", "20"});
  ASSERT_EQ(run.code, 0) << run.err;
  std::vector<double> samples = tone(500, 2, 1, 8000);
  const std::vector<double> rest = tone(2000, 2, 2, 8000);
  samples.insert(samples.end(), rest.begin(), rest.end());
  write_text(folder / "long.wav", wav_file(samples, {}));
  const CommandResult heard =
      run_graft({"listen", model(), folder / "long.wav", "--every", "0.1", "--smooth", "3",
                 "--json", "--out", folder / "events.csv"});
  ASSERT_EQ(heard.code, 0) << heard.err;
  const auto j = nlohmann::json::parse(heard.out);
  ASSERT_EQ(j["events"].size(), 2u) << heard.out;
  EXPECT_EQ(j["events"][0]["heard"], "a");
  EXPECT_EQ(j["events"][1]["heard"], "b");
  EXPECT_NEAR(j["events"][0]["end"], 2.0, 0.3);
  EXPECT_EQ(j["events"][1]["end"], 4.0);
  const std::string csv = read_text(folder / "events.csv");
  EXPECT_TRUE(csv.starts_with("begin,end,heard,probability\n0.000,")) << csv;
  const CommandResult even = run_graft({"listen", model(), folder / "long.wav", "--smooth", "4"});
  EXPECT_EQ(even.code, 3);
  EXPECT_TRUE(has(even.err, "an odd number is needed")) << even.err;
  const CommandResult image = run_graft({"listen", carried_weights(), folder / "long.wav"});
  EXPECT_EQ(image.code, 3);
  EXPECT_TRUE(has(image.err, "is for models of sounds")) << image.err;
  const CommandResult txt = run_graft({"listen", model(), folder / "texts.csv"});
  EXPECT_EQ(txt.code, 3);
  EXPECT_TRUE(has(txt.err, "is not a WAV file")) << txt.err;
}

TEST(Listening, SmoothsOverNeighbours) {
  const std::vector<std::vector<float>> rows{{0, 3}, {3, 0}, {3, 6}};
  EXPECT_EQ(smoothed_rows(rows, 1), rows);
  const std::vector<std::vector<float>> means{{1.5F, 1.5F}, {2, 3}, {3, 3}};
  EXPECT_EQ(smoothed_rows(rows, 3), means);
  EXPECT_THROW(smoothed_rows(rows, 2), Error);
}

}  // namespace
}  // namespace graft
