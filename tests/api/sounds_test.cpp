// Sounds by the library's calls: finetune() and a Predictor of what it made.
#include <gtest/gtest.h>

#include <filesystem>

#include "graft/api/finetune.h"
#include "graft/api/predictor.h"
#include "graft/core/base/error.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/wav_writer.h"

namespace graft {
namespace {

class SoundCalls : public testing::Test {
 protected:
  void SetUp() override {
    for (int pitch = 0; pitch < 2; ++pitch)
      for (int i = 0; i < 8; ++i)
        write_text(
            folder / str(pitch == 0 ? "low" : "high", "_", i, ".wav"),
            wav_file(tone(pitch == 0 ? 400 : 1600, 0.25, static_cast<uint64_t>(8 * pitch + i))));
    options.input_settings = "rate=8000,fft=256,window=256,hop=80,mels=32,frames=32";
    options.data.columns.label_pattern = "^([a-z]+)_";
    options.data.columns.val_pattern = "_[67]\\.wav$";
    options.recipe.epochs = 15;
    options.fit.on_note = [this](const std::string& note) { notes += note + "\n"; };
  }
  TemporaryFolder folder;
  FinetuneOptions options;
  std::string notes;
};

TEST_F(SoundCalls, LearnAndPredict) {
  Finetuned made = finetune(carried_weights(), folder.path(), options);
  EXPECT_EQ(made.result.best_score, 1.0);
  EXPECT_NE(notes.find("input: audio, because "), std::string::npos) << notes;
  EXPECT_EQ(made.model.card.preprocess.input, "audio");
  EXPECT_EQ(made.model.card.preprocess.sides(), "32x32");
  models::save_model(folder / "model.safetensors", *made.model.network, made.model.card);
  const Predictor predictor(folder / "model.safetensors");
  EXPECT_EQ(predictor.preprocess(), made.model.card.preprocess);
  const std::vector<ImageSource> sounds{folder / "low_6.wav", folder / "high_6.wav",
                                        folder / "model.safetensors"};
  const std::vector<Answer> answers = predictor.predict(sounds);
  EXPECT_EQ(answers[0].said()[0].name, "low");
  EXPECT_EQ(answers[1].said()[0].name, "high");
  EXPECT_NE(answers[2].error().find("is not a WAV file"), std::string::npos) << answers[2].error();
}

// A model of sounds is no start for images, and no task needs places in a sound.
TEST_F(SoundCalls, PairsThatMakeNoSenseAreRefused) {
  options.recipe.epochs = 1;
  Finetuned made = finetune(carried_weights(), folder.path(), options);
  models::save_model(folder / "model.safetensors", *made.model.network, made.model.card);
  write_photos(folder / "photos", {"red", "green"}, 4, 16);
  FinetuneOptions of_images;
  try {
    finetune(folder / "model.safetensors", folder / "photos", of_images);
    ADD_FAILURE() << "images entered a network of sounds";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    EXPECT_NE(std::string(error.what()).find("trained on input audio, these samples are images"),
              std::string::npos)
        << error.what();
  }
  options.task = "detect";
  EXPECT_THROW(finetune(carried_weights(), folder.path(), options), Error);
}

}  // namespace
}  // namespace graft
