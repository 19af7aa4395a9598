// The command with sounds: tones of three pitches, learned to full accuracy, resumed, judged and
// predicted; and what it refuses.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "graft/api/finetune.h"
#include "graft/api/predictor.h"
#include "graft/core/base/file_system.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/wav_writer.h"

namespace graft {
namespace {

constexpr const char* kSteps = "rate=8000,fft=256,window=256,hop=80,mels=32,frames=32";

class SoundCommand : public testing::Test {
 protected:
  void SetUp() override {
    for (int pitch = 0; pitch < 3; ++pitch)
      for (int i = 0; i < 12; ++i) {
        const bool is_val = i >= 8;
        const std::string file = str("pitch", pitch, "_", i, is_val ? "_val" : "", ".wav");
        const std::string part = str("data/", is_val ? "val" : "train", "/pitch", pitch);
        std::filesystem::create_directories(folder / part);
        std::filesystem::create_directories(folder / "flat");
        // Of two rates and two encodings.
        const uint32_t rate = i % 2 == 0 ? 8000 : 11025;
        const std::string bytes = wav_file(
            tone(400 * (1 << pitch), 0.2 + 0.01 * i, static_cast<uint64_t>(20 * pitch + i), rate),
            {.rate = rate, .bits = i % 3 == 0 ? 24u : 16u});
        write_text(folder / str(part, "/", file), bytes);
        write_text(folder / str("flat/", file), bytes);
      }
  }
  std::vector<std::string> finetune(const std::string& data, const std::string& out,
                                    std::vector<std::string> more = {}) const {
    std::vector<std::string> words{
        "finetune",  "--weights", carried_weights(), "--data", folder / data, "--out", folder / out,
        "--threads", "2",         "--sound",         kSteps};
    if (std::find(more.begin(), more.end(), "--epochs") == more.end())
      words.insert(words.end(), {"--epochs", "20"});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
  std::string model() const { return folder / "run/model.safetensors"; }
  TemporaryFolder folder;
};

TEST_F(SoundCommand, LearnsPitchesAndPredictsThemEverywhereAlike) {
  const CommandResult run = run_graft(finetune("data", "run"));
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_TRUE(has(run.err, "input: audio, because ")) << run.err;
  EXPECT_TRUE(has(run.err, "holds 36 sounds and 0 images")) << run.err;
  EXPECT_TRUE(has(run.err, "24 training and 12 validation sounds")) << run.err;
  EXPECT_TRUE(has(run.out, "accuracy 1.0000")) << run.out;
  const auto data = nlohmann::json::parse(read_text(folder / "run/data.json"));
  EXPECT_EQ(data["input"], "audio");
  EXPECT_TRUE(has(data["why_input"], "holds 36 sounds"));

  const CommandResult judged =
      run_graft({"evaluate", model(), "--data", folder / "data", "--json", "--threads", "2"});
  ASSERT_EQ(judged.code, 0) << judged.err;
  EXPECT_EQ(nlohmann::json::parse(judged.out)["accuracy"], 1.0);

  const std::string one = folder / "data/val/pitch1/pitch1_9_val.wav";
  const CommandResult said = run_graft({"predict", model(), one, "--json", "--top", "3"});
  ASSERT_EQ(said.code, 0) << said.err;
  const Predictor predictor(model());
  const Answer by_path = predictor.predict(one);
  const auto bytes = read_file(one, 1 << 20);
  const Answer by_bytes = predictor.predict(NamedBytes(bytes, "memory"));
  auto entry = nlohmann::ordered_json::parse(said.out).at(0);
  entry.erase("path");
  EXPECT_EQ(entry, nlohmann::ordered_json::parse(by_path.json(3)));
  EXPECT_EQ(by_bytes.json(3), by_path.json(3));
  EXPECT_TRUE(has(by_path.text(), "pitch1"));

  const CommandResult folder_said = run_graft({"predict", model(), folder / "data/val"});
  EXPECT_EQ(std::count(folder_said.out.begin(), folder_said.out.end(), '\n'), 12);

  const CommandResult features = run_graft({"features", model(), "--data", folder / "data", "--out",
                                            folder / "f.npz", "--threads", "2"});
  ASSERT_EQ(features.code, 0) << features.err;
  EXPECT_TRUE(has(features.out, "x float32 [24,64]")) << features.out;
}

TEST_F(SoundCommand, DataAreDescribed) {
  write_text(folder / "data/train/pitch0/words.wav", "these are words, no sound at all");
  const CommandResult text = run_graft({"data", folder / "data"});
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_TRUE(has(text.out, "3 classes, 25 training and 12 validation sounds")) << text.out;
  EXPECT_TRUE(has(text.out, "8000 Hz, one channel")) << text.out;
  EXPECT_TRUE(has(text.out, "broken sounds: 1")) << text.out;
  const CommandResult shown = run_graft({"data", folder / "data", "--json"});
  ASSERT_EQ(shown.code, 0) << shown.err;
  const auto j = nlohmann::json::parse(shown.out);
  EXPECT_EQ(j["input"], "audio");
  EXPECT_EQ(j["classes"][0]["broken"], 1);
}

// All layers with augmentation, stopped and gone on with; and within a memory plan.
TEST_F(SoundCommand, ResumesToTheSameBitsAndKeepsWithinAPlan) {
  const std::vector<std::string> tuned{"--freeze",  "none",  "--epochs", "6",
                                       "--augment", "light", "--batch",  "8"};
  ASSERT_EQ(run_graft(finetune("data", "whole", tuned)).code, 0);
  std::vector<std::string> stopped = tuned;
  stopped.insert(stopped.end(), {"--checkpoint-seconds", "0"});
  {
    RunningGraft run(finetune("data", "parts", stopped));
    EXPECT_TRUE(run.reaches([&] {
      return std::filesystem::exists(folder / "parts/last.ckpt.safetensors");
    })) << run.err();
    run.send(SIGINT);
    run.wait();
  }
  std::vector<std::string> resumed = tuned;
  resumed.push_back("--resume");
  const CommandResult rest = run_graft(finetune("data", "parts", resumed));
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(read_text(folder / "parts/model.safetensors"),
            read_text(folder / "whole/model.safetensors"));
  const CommandResult planned =
      run_graft(finetune("data", "planned", {"--ram", "600M", "--epochs", "2"}));
  EXPECT_EQ(planned.code, 0) << planned.err;
}

TEST_F(SoundCommand, NamesSayLabelsAndParts) {
  const CommandResult run = run_graft(finetune(
      "flat", "run", {"--label-pattern", "^(pitch[0-9])_", "--val-pattern", "_val\\.wav$"}));
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_TRUE(has(run.err, "labels from the files' names: pitch0, pitch1, pitch2")) << run.err;
  EXPECT_TRUE(has(run.err, "the 12 sounds whose names have --val-pattern are the validation part"))
      << run.err;
  EXPECT_TRUE(has(run.out, "accuracy 1.0000")) << run.out;
  const auto refused = [&](const std::string& pattern, int code = 3) {
    const CommandResult bad = run_graft(finetune("flat", "bad", {"--label-pattern", pattern}));
    EXPECT_EQ(bad.code, code) << bad.err;
    return bad.err;
  };
  EXPECT_TRUE(has(refused("x(y", 2), "--label-pattern x(y: is no regular expression"));
  EXPECT_TRUE(has(refused("nothing"), "is found in none of the 36 sounds below it"));
  EXPECT_TRUE(has(refused("pitch"), "finds one label only: pitch"));
}

// Numbers and several labels come with a table; no code for the pair.
TEST_F(SoundCommand, TablesOfNumbersAndOfSeveralLabels) {
  std::string numbers = "path,hertz\n", labels = "path,labels\n";
  for (int pitch = 0; pitch < 3; ++pitch)
    for (int i = 0; i < 8; ++i) {
      const std::string path = str("data/train/pitch", pitch, "/pitch", pitch, "_", i, ".wav");
      numbers += str(path, ",", 400 * (1 << pitch) + 0.5, "\n");
      labels += str(path, ",", pitch == 0 ? "low" : pitch == 1 ? "low|high" : "high", "\n");
    }
  write_text(folder / "numbers.csv", numbers);
  write_text(folder / "labels.csv", labels);
  const CommandResult regress =
      run_graft(finetune("numbers.csv", "numbers", {"--task", "regress"}));
  ASSERT_EQ(regress.code, 0) << regress.err;
  EXPECT_TRUE(has(regress.err, "input: audio")) << regress.err;
  const CommandResult several =
      run_graft(finetune("labels.csv", "labels", {"--task", "multilabel"}));
  ASSERT_EQ(several.code, 0) << several.err;
  EXPECT_TRUE(has(several.err, "task: multilabel")) << several.err;
}

TEST_F(SoundCommand, WhatIsNoSoundIsSaidInOneSentence) {
  write_text(folder / "data/train/pitch0/empty.wav", "");
  write_text(folder / "data/train/pitch0/zero.wav", wav_file({}));
  write_text(folder / "data/train/pitch0/words.wav", "these are words, no sound at all");
  const CommandResult run = run_graft(finetune("data", "run", {"--epochs", "1"}));
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_TRUE(has(run.err, "passed over: 1 empty")) << run.err;
  EXPECT_TRUE(has(run.err, "zero.wav: a WAV file without samples")) << run.err;
  EXPECT_TRUE(has(run.err, "words.wav: is not a WAV file (RIFF of kind WAVE)")) << run.err;

  const CommandResult said =
      run_graft({"predict", model(), folder / "data/train/pitch0/words.wav"});
  EXPECT_EQ(said.code, 3);
  EXPECT_TRUE(has(said.err, "is not a WAV file")) << said.err;
  const CommandResult image = run_graft({"predict", model(), "--input", "image", folder / "x.jpg"});
  EXPECT_EQ(image.code, 3);
  EXPECT_TRUE(has(image.err, "--input image: the model takes input audio")) << image.err;
  const CommandResult sized = run_graft(finetune("data", "bad", {"--image-size", "64"}));
  EXPECT_EQ(sized.code, 3);
  EXPECT_TRUE(has(sized.err, "--image-size is for images")) << sized.err;
  const CommandResult key =
      run_graft({"finetune", "--weights", carried_weights(), "--data", folder / "data", "--out",
                 folder / "bad", "--sound", "mel=64"});
  EXPECT_EQ(key.code, 3);
  EXPECT_TRUE(has(key.err, "there is no 'mel'")) << key.err;
  const CommandResult task = run_graft(finetune("data", "bad", {"--task", "segment"}));
  EXPECT_EQ(task.code, 3);
  EXPECT_TRUE(has(task.err, "sounds have no places for masks or boxes")) << task.err;
}

}  // namespace
}  // namespace graft
